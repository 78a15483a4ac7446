"""The base class of every layer and model."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..._dtypes import dtype
from ...compiler.compiled import compile
from ...core.modes import Edits
from ...core.modes import hook as _hook
from ...core.tape import Handle, add_hook
from ...core.value import Value
from ...tensor._conversion import parse_to
from ...tensor._creation import empty_like
from ...tensor._device import CPU, device
from ...tensor._tensor import Tensor
from ..parameter import Buffer, Parameter
from . import _global_hooks as _every
from . import _state
from ._global_hooks import (
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from ._hooks import BackwardHooks
from ._place import note_module
from ._state import _EXTRA_STATE_KEY_SUFFIX as _EXTRA_STATE_KEY_SUFFIX
from ._state import StateMethods

T = TypeVar("T", bound="Module")

#: Tables of hooks, by the key of the handle; each is made when it is first asked for.
_CALL_TABLES = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_TABLES = frozenset(
    (
        *_CALL_TABLES,
        "_forward_pre_hooks_with_kwargs",
        "_forward_hooks_with_kwargs",
        "_forward_hooks_always_called",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
        "_load_state_dict_pre_hooks",
        "_load_state_dict_post_hooks",
    )
)
_EMPTY: dict = {}
_IncompatibleKeys = _state._IncompatibleKeys
_global_forward_pre_hooks, _global_forward_hooks = _every.forward_pre, _every.forward
_global_backward_pre_hooks, _global_backward_hooks = _every.backward_pre, _every.backward
T_destination = TypeVar("T_destination", bound=dict[str, Any])


class Module(StateMethods):
    """A layer or model: parameters, buffers and submodules by name, and a ``forward``.

    Attributes that are Parameters or Modules are registered when they are set.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
    """

    training: bool
    dump_patches = False
    _optimized: Callable[..., Module]  # the class of what torch.compile makes of a module
    call_super_init = False

    def __init__(self, *args: object, **kwargs: object) -> None:
        if not self.call_super_init and (args or kwargs):
            extra = (
                f"got an unexpected keyword argument '{next(iter(kwargs))}'"
                if kwargs
                else f"takes 1 positional argument but {len(args) + 1} were given"
            )
            raise TypeError(f"{type(self).__name__}.__init__() {extra}")
        d = self.__dict__
        d["training"] = True
        d["_parameters"] = {}
        d["_buffers"] = {}
        d["_non_persistent_buffers_set"] = set()
        d["_modules"] = {}
        d["_hooked"] = False
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes. To be overridden."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooked or _every.any_of_calls():
                call = self._call_watched if _every.watchers else self._call_hooked
                return call(args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            note_module(error, self)
            raise

    _call_impl = _wrapped_call_impl = __call__

    # ---- hooks -----------------------------------------------------------------------------

    def _call_plain(self, *args: Any, **kwargs: Any) -> Any:
        """A call that ``compile`` has not taken over."""
        return self._call_hooked(args, kwargs, False)

    def _call_watched(self, args: tuple, kwargs: dict) -> Any:
        """A call that others look on at."""
        watchers = tuple(_every.watchers)
        for watcher in watchers:
            watcher.begin(self)
        try:
            if self._hooked or _every.any_hooks():
                return self._call_hooked(args, kwargs)
            return self.forward(*args, **kwargs)
        finally:
            for watcher in watchers:
                watcher.end(self)

    def _call_hooked(self, args: tuple, kwargs: dict, compiled: bool = True) -> Any:
        d = self.__dict__
        if compiled and d.get("_compiled_call_impl") is not None:
            return d["_compiled_call_impl"](*args, **kwargs)
        with_kwargs = d.get("_forward_pre_hooks_with_kwargs", _EMPTY)
        hooks = d.get("_forward_pre_hooks", _EMPTY)
        for key, hook in (*_every.forward_pre.items(), *hooks.items()):
            if key not in with_kwargs:
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
                continue
            changed = hook(self, args, kwargs)
            if changed is None:
                continue
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise RuntimeError(
                    "forward pre-hook must return None or a tuple of (new_args, new_kwargs)"
                    f", but got {changed}."
                )
            args, kwargs = changed
        backward = {**_every.backward, **d.get("_backward_hooks", _EMPTY)}
        backward_pre = {**_every.backward_pre, **d.get("_backward_pre_hooks", _EMPTY)}
        watch = BackwardHooks(self, backward, backward_pre) if backward or backward_pre else None
        if watch is not None:
            args = watch.watch_inputs(args)
        hooks = {**_every.forward, **d.get("_forward_hooks", _EMPTY)}
        with_kwargs = {
            **_every.forward_with_kwargs,
            **d.get("_forward_hooks_with_kwargs", _EMPTY),
        }
        due = dict(hooks)
        result = None
        try:
            result = self.forward(*args, **kwargs)
            for key, hook in hooks.items():
                del due[key]
                more = (kwargs,) if key in with_kwargs else ()
                changed = hook(self, args, *more, result)
                if changed is not None:
                    result = changed
        except Exception:
            always = {**_every.forward_always, **d.get("_forward_hooks_always_called", _EMPTY)}
            for key, hook in due.items():
                if key in always:
                    self._run_anyway(hook, args, (kwargs,) if key in with_kwargs else (), result)
            raise
        return result if watch is None else watch.watch_outputs(result)

    def _run_anyway(self, hook: Callable, args: tuple, more: tuple, result: Any) -> None:
        """A hook that is always called, after an error; errors of its own are warnings."""
        try:
            hook(self, args, *more, result)
        except Exception as error:
            warnings.warn(
                "module forward hook with ``always_call=True`` raised an exception that was "
                f"silenced as another error was raised in forward: {error}",
                stacklevel=3,
            )

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> Handle:
        """Call ``hook(module, args)`` before forward; what it returns replaces the arguments.

        ``with_kwargs``: ``hook(module, args, kwargs)``, which returns both.
        """
        handle = _add(self._forward_pre_hooks, hook, prepend)
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.key] = True
        return handle

    def register_forward_hook(
        self,
        hook: Callable,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> Handle:
        """Call ``hook(module, args, output)`` after forward; it may return another output.

        ``with_kwargs``: ``hook(module, args, kwargs, output)``. ``always_call``: after an error,
        too.
        """
        handle = _add(self._forward_hooks, hook, prepend)
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.key] = True
        if always_call:
            self._forward_hooks_always_called[handle.key] = True
        return handle

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call ``hook(module, grad_input, grad_output)`` when the inputs' gradients are known."""
        return _add(self._backward_hooks, hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call ``hook(module, grad_output)`` when the output's gradients are known."""
        return _add(self._backward_pre_hooks, hook, prepend)

    register_backward_hook = register_full_backward_hook

    # ---- registration ----------------------------------------------------------------------

    def _check_name(self, name: str, what: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain "."')
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter (or the place of one: None) under ``name``."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        Edits.count += 1
        self._check_name(name, "parameter")
        if hasattr(self, name) and name not in self._parameters:
            raise KeyError(f"attribute '{name}' already exists")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_kind(param)}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be "
                f"created explicitly. To express '{name}' as a function of another Tensor, compute "
                "the value in the forward() method."
            )
        self._parameters[name] = _every.replaced(_every.parameters, self, name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but not learned; ``persistent``: part of the state_dict."""
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        Edits.count += 1
        self._check_name(name, "buffer")
        if hasattr(self, name) and name not in self._buffers:
            raise KeyError(f"attribute '{name}' already exists")
        if tensor is not None and not isinstance(tensor, Value):
            raise TypeError(
                f"cannot assign '{_kind(tensor)}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        self._buffers[name] = _every.replaced(_every.buffers, self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under ``name``."""
        Edits.count += 1
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        if not isinstance(name, str):
            raise TypeError(f"module name should be a string. Got {type(name).__name__}")
        if hasattr(self, name) and name not in self._modules:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError('module name can\'t be empty string ""')
        self._modules[name] = _every.replaced(_every.modules, self, name, module)

    register_module = add_module

    def __setattr__(self, name: str, value: Any) -> None:
        Edits.count += 1
        d = self.__dict__
        if isinstance(value, Parameter):
            if "_parameters" not in d:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, d, d["_buffers"], d["_modules"])
            self.register_parameter(name, value)
            return
        if isinstance(value, Module):
            if "_modules" not in d:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, d, d["_parameters"], d["_buffers"])
            d["_modules"][name] = _every.replaced(_every.modules, self, name, value)
            return
        if isinstance(value, Buffer):
            if "_buffers" not in d:
                raise AttributeError("cannot assign buffer before Module.__init__() call")
            self._forget(name, d, d["_parameters"], d["_modules"])
            self.register_buffer(name, value, value.persistent)
            return
        for table, kind in (("_parameters", "parameter"), ("_modules", "child module"),
                            ("_buffers", "buffer")):  # fmt: skip
            if table in d and name in d[table]:
                tensor_ok = table == "_buffers" and isinstance(value, Value)
                if value is not None and not tensor_ok:
                    wanted = {"_parameters": "torch.nn.Parameter or None",
                              "_modules": "torch.nn.Module or None",
                              "_buffers": "torch.nn.Buffer, torch.Tensor or None",
                              }[table]  # fmt: skip
                    raise TypeError(
                        f"cannot assign '{_kind(value)}' as {kind} '{name}' ({wanted} expected)"
                    )
                d[table][name] = value
                return
        object.__setattr__(self, name, value)

    def _forget(self, name: str, *tables: dict) -> None:
        for table in tables:
            table.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __getattr__(self, name: str) -> Any:
        d = self.__dict__
        for table in ("_parameters", "_buffers", "_modules"):
            found = d.get(table)
            if found is not None and name in found:
                return found[name]
        if name in _TABLES and "_parameters" in d:
            Edits.count += 1
            d["_hooked"] = True  # who asks for a table may put hooks into it
            table = d[name] = OrderedDict()
            return table
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        Edits.count += 1
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __setstate__(self, state: dict) -> None:
        Edits.count += 1
        self.__dict__.update(state)
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_hooked", any(self.__dict__.get(table) for table in _CALL_TABLES))

    def __dir__(self) -> list[str]:
        names = set(dir(type(self))) | set(self.__dict__)
        names |= set(self._parameters) | set(self._modules) | set(self._buffers)
        return sorted(n for n in names if not n[:1].isdigit())

    # ---- what is inside --------------------------------------------------------------------

    def get_submodule(self, target: str) -> Module:
        """The submodule at the dotted path ``target``. AttributeError if there is none."""
        module: Module = self
        for part in target.split(".") if target else ():
            if not hasattr(module, part):
                raise AttributeError(f"{module._get_name()} has no attribute `{part}`")
            module = getattr(module, part)
            if not isinstance(module, Module):
                raise AttributeError(f"`{part}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put ``module`` at the dotted path ``target``."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at the dotted path ``target``. AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        found = getattr(module, name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at the dotted path ``target``. AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return module._buffers[name]

    def _named_members(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name, member in getattr(module, table).items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield (f"{path}.{name}" if path else name), member

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter once, in the order of registration."""
        for _, p in self.named_parameters(recurse=recurse):
            yield p

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Pairs of dotted name and parameter."""
        yield from self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Every buffer once."""
        for _, b in self.named_buffers(recurse=recurse):
            yield b

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Pairs of dotted name and buffer."""
        yield from self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def children(self) -> Iterator[Module]:
        """The direct submodules, each once."""
        for _, m in self.named_children():
            yield m

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Pairs of name and direct submodule."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it, each once."""
        for _, m in self.named_modules(remove_duplicate=remove_duplicate):
            yield m

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Pairs of dotted name and module: this one (named ``prefix``) and all below it."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, below, remove_duplicate)

    # ---- changing all of it ----------------------------------------------------------------

    def apply(self: T, fn: Callable[[Module], None]) -> T:
        """Call ``fn`` on every submodule, children first, then on this module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self: T, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> T:
        """Replace every parameter's and buffer's data, and gradients, by ``fn`` of it."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, p in self._parameters.items():
            if p is None:
                continue
            data = fn(p.data)
            if data.dtype.category < 2 and p.requires_grad:
                raise RuntimeError(f"parameter {name} cannot become {data.dtype!r}: it learns")
            p._array = data._array
            if p._grad is not None:
                p._grad = fn(p._grad)
        for name, b in self._buffers.items():
            if b is not None:
                self._buffers[name] = fn(b)
        Edits.count += 1
        return self

    def to(self: T, *args: Any, **kwargs: Any) -> T:
        """Move or convert all parameters and buffers; arguments as for ``Tensor.to``.

        Only floating and complex tensors change dtype.
        """
        d, place, _, format = parse_to(args, dict(kwargs))
        if d is not None and d.category < 2:
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, but got desired "
                f"dtype={d!r}"
            )
        if d is None and place in (None, CPU) and format is None and self._is_on_cpu():
            return self

        def moved(t: Tensor) -> Tensor:
            if t.is_meta and place is CPU:
                raise NotImplementedError(
                    "Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty("
                    ") instead of torch.nn.Module.to() when moving module from meta to a different "
                    "device."
                )
            t = t.to(place, d if t.dtype.category >= 2 else None)
            return (
                t if format is None or t.dim() not in (4, 5) else t.contiguous(memory_format=format)
            )

        return self._apply(moved)

    def _is_on_cpu(self) -> bool:
        return all(t.is_cpu for t in (*self.parameters(), *self.buffers()))

    def float(self: T) -> T:
        """Convert floating parameters and buffers to float32."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self: T) -> T:
        """Convert floating parameters and buffers to float64."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self: T) -> T:
        """Convert floating parameters and buffers to float16."""
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def bfloat16(self: T) -> T:
        """Convert floating parameters and buffers to bfloat16."""
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    def type(self: T, dst_type: dtype | str) -> T:
        """Convert all parameters and buffers to ``dst_type``."""
        return self._apply(lambda t: t.type(dst_type))

    def cpu(self: T) -> T:
        """Move all parameters and buffers to the CPU, where they may be already."""
        return self._apply(lambda t: t.cpu())

    def cuda(self: T, device: int | device | None = None) -> T:
        """Move all parameters and buffers to the GPU. AssertionError without one."""
        return self._apply(lambda t: t.cuda(device))

    def xpu(self: T, device: int | device | None = None) -> T:
        """Refused: there is no such device. RuntimeError."""
        return self.to("xpu")

    def ipu(self: T, device: int | device | None = None) -> T:
        """Refused: there is no such device. RuntimeError."""
        return self.to("ipu")

    def mtia(self: T, device: int | device | None = None) -> T:
        """Refused: there is no such device. RuntimeError."""
        return self.to("mtia")

    def to_empty(self: T, *, device: object, recurse: bool = True) -> T:
        """Give every tensor new memory that is not filled."""
        return self._apply(lambda t: empty_like(t, device=device), recurse)

    def share_memory(self: T) -> T:
        """Move all tensors to memory shared between processes."""
        return self._apply(lambda t: t.share_memory_())

    def train(self: T, mode: bool = True) -> T:
        """Training mode on (or off) for this module and all below it."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: T) -> T:
        """Evaluation mode: the same as ``train(False)``."""
        return self.train(False)

    def requires_grad_(self: T, requires_grad: bool = True) -> T:
        """Learn (or freeze) all parameters."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop all gradients, or fill them with zeros."""
        for p in self.parameters():
            if _hook.active is not None:
                _hook.active.graded(p)
            if p._grad is None:
                continue
            if set_to_none:
                p._grad = None
            else:
                p._grad = p._grad.detach()
                p._grad.zero_()

    # ---- text ------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What the repr shows between the parentheses, besides submodules."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {_indented(repr(m))}" for name, m in self._modules.items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"

    def __hash__(self) -> int:
        return id(self)

    def compile(self, *args: object, **kwargs: object) -> None:
        """Compile this module's calls in place; arguments as for ``torch.compile``."""
        self.__dict__["_compiled_call_impl"] = compile(self._call_plain, *args, **kwargs)
        self.__dict__["_hooked"] = True
        Edits.count += 1


def _kind(value: object) -> str:
    """A value's type, as errors name it."""
    return value.type() if isinstance(value, Value) else type(value).__name__


def _indented(text: str) -> str:
    first, *rest = text.split("\n")
    return "\n".join([first, *("  " + line for line in rest)])


def _add(table: dict, entry: object, prepend: bool) -> Handle:
    handle = add_hook(table, entry)
    if prepend:
        items = list(table.items())
        table.clear()
        table.update([items[-1], *items[:-1]])
    return handle


__all__ = [
    "Module",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]
