"""``torch.library``: operators of one's own, found by name as ``torch.ops.namespace.name``.

``custom_op`` makes one of an annotated function; ``Library`` and ``define`` take a schema as text.
Source: https://docs.pytorch.org/docs/stable/library.html
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from . import _ops
from ._dtypes import dtype as _dtype
from ._missing import missing as _missing
from ._ops import OpOverload
from ._refusals import refusing_modules as _refusing_modules
from .core.value import Value
from .tensor._device import device as _device

_refusing_modules(
    {
        "torch.library": """
            get_ctx get_kernel opcheck register_autocast register_torch_dispatch triton_op
            wrap_triton
        """
    },
    "flambeau has no tracer and no Triton kernels that would need it",
)

_NAMES = {
    int: "SymInt", float: "float", bool: "bool", str: "str", _dtype: "ScalarType",
    _device: "Device", int | float | bool: "Scalar",
}  # fmt: skip
_LISTS = (list, Sequence)

#: Kernels that do nothing but leave it to the next.
fallthrough_kernel = object()


def _type_name(annotation: Any, func: Callable, place: str) -> str:
    """An annotation as a schema writes it: ``Tensor?``, ``SymInt[]``. ValueError for others."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _NAMES:
        return _NAMES[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Value):
        return "Tensor"
    if origin in (typing.Union, types.UnionType) and len(inner) == 2 and types.NoneType in inner:
        some = next(a for a in inner if a is not types.NoneType)
        return _type_name(some, func, place) + "?"
    if origin in _LISTS and len(inner) == 1:
        return _type_name(inner[0], func, place) + "[]"
    raise ValueError(
        f"infer_schema(func): {place} has unsupported type {annotation}. The valid types are "
        "torch.Tensor, int, float, bool, str, torch.types.Number, torch.dtype, torch.device, and "
        f"Optional and lists of these. Got func with signature {inspect.signature(func)}"
    )


def infer_schema(
    prototype_function: Callable,
    /,
    *,
    mutates_args: str | Iterable[str] = (),
    op_name: str | None = None,
) -> str:
    """The schema of an annotated function: ``(Tensor x, SymInt n=2) -> Tensor``.

    ``mutates_args`` names the tensors that it writes to, or is "unknown": each of them.
    ValueError for arguments without annotation, or of a type that operators do not take.
    """
    func = prototype_function
    signature = inspect.signature(func)
    hints = typing.get_type_hints(func)

    def wrong(text: str) -> NoReturn:
        raise ValueError(f"infer_schema(func): {text} Got func with signature {signature}")

    parts, keywords_begun, written = [], False, 0
    for name, parameter in signature.parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            wrong("We do not support positional-only args, varargs, or varkwargs.")
        if parameter.kind is parameter.KEYWORD_ONLY and not keywords_begun:
            keywords_begun = True
            parts.append("*")
        if name not in hints:
            wrong(f"Parameter {name} must have a type annotation.")
        kind = _type_name(hints[name], func, f"Parameter {name}")
        tensor = kind.startswith("Tensor")
        if (mutates_args == "unknown" and tensor) or (
            mutates_args != "unknown" and name in mutates_args
        ):
            if not tensor:
                wrong(f"Parameter {name} is in mutable_args but only Tensors can be mutated.")
            kind = kind.replace("Tensor", f"Tensor(a{written}!)", 1)
            written += 1
        default = "" if parameter.default is parameter.empty else f"={_spelled(parameter.default)}"
        parts.append(f"{kind} {name}{default}")
    unknown = set() if mutates_args == "unknown" else set(mutates_args) - set(signature.parameters)
    if unknown:
        wrong(f"{unknown} in mutates_args were not found in the function's parameters.")
    if "return" not in hints:
        wrong("No return type annotation was provided. Please add one.")
    schema = f"({', '.join(parts)}) -> {_return_name(hints['return'], func)}"
    return schema if op_name is None else op_name + schema


def _spelled(default: Any) -> str:
    if isinstance(default, str):
        return f'"{default}"'
    return str(default).removeprefix("torch.")


def _return_name(annotation: Any, func: Callable) -> str:
    if annotation in (None, types.NoneType):
        return "()"
    if typing.get_origin(annotation) is tuple:
        each = (_type_name(a, func, "Return") for a in typing.get_args(annotation))
        return f"({', '.join(each)})"
    return _type_name(annotation, func, "Return")


def _place(key: str | None) -> str | None:
    """The kernels' key of a device type or one of PyTorch's dispatch keys; None: to be ignored."""
    if key in ("", None, "default", "CompositeExplicitAutograd", "CompositeImplicitAutograd"):
        return "all"
    if key == "Meta" or key.islower() or key in ("CPU", "CUDA", "MPS", "XPU", "HPU"):
        return key.lower()
    return None


def _add_kernel(operator: OpOverload, key: str | None, func: Callable) -> None:
    place = _place(key)
    if func is fallthrough_kernel:
        return
    if place is None:
        raise NotImplementedError(
            f"torch.library: kernels for the dispatch key {key!r} are not supported by flambeau: "
            "there are those of a device (CPU), of all (CompositeImplicitAutograd) and of shapes "
            "(Meta)\n  a gradient is given by torch.library.register_autograd"
        )
    operator.kernels[place] = func


def _known(op: str | OpOverload | CustomOpDef) -> OpOverload:
    """The operator of a name. RuntimeError if it was never defined."""
    if isinstance(op, CustomOpDef):
        return op._opoverload
    if isinstance(op, OpOverload):
        return op
    found = _ops.find(op)
    if found is None:
        raise RuntimeError(f"operator {op} does not exist: torch.library.define makes it")
    return found


#: What was registered for operators that are not defined (yet): name -> what to do with it then.
_waiting: dict[str, list[Callable[[OpOverload], None]]] = {}


def _when_defined(op: str | OpOverload | CustomOpDef, act: Callable[[OpOverload], None]) -> None:
    """Do ``act(operator)`` now, or when its library, which may be missing, defines it."""
    if isinstance(op, str) and _ops.find(op) is None:
        _waiting.setdefault(op, []).append(act)
    else:
        act(_known(op))


class Library:
    """A namespace's operators, or part of them.

    ``ns``            the namespace
    ``kind``          "DEF" (the one that defines it), "FRAGMENT" (one of several), or "IMPL"
    ``dispatch_key``  what kernels are for if ``impl`` does not say
    """

    _defined: dict[str, Library] = {}

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("DEF", "FRAGMENT", "IMPL"):
            raise ValueError(f"Unsupported kind: {kind}")
        if kind == "DEF":
            if ns == "aten" or ns in self._defined:
                raise RuntimeError(
                    "Only a single TORCH_LIBRARY can be used to register the namespace "
                    f"{ns}; please put all of your definitions in a single TORCH_LIBRARY block, "
                    'or make it a Library of kind "FRAGMENT"'
                )
            self._defined[ns] = self
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key
        self._own: list[OpOverload] = []

    def __repr__(self) -> str:
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})>"

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Define ``name(Tensor x, ...) -> Tensor``; returns its name."""
        if self.kind == "IMPL":
            raise RuntimeError("define(): Only DEF and FRAGMENT libraries define operators")
        qualname, _, rest = schema.partition("(")
        space, name, overload = _ops.split(f"{self.ns}::{qualname.strip()}")
        operator = _ops.enter(OpOverload(space, name, overload, f"({rest}"))
        self._own.append(operator)
        for act in _waiting.pop(operator.name(), ()):
            act(operator)
        return qualname.strip()

    def impl(
        self,
        op_name: str | OpOverload,
        fn: Callable,
        dispatch_key: str = "",
        *,
        with_keyset: bool = False,
        allow_override: bool = False,
    ) -> None:
        """Give an operator the kernel ``fn``.

        RuntimeError for a name that was not defined; NotImplementedError for a dispatch key
        that stands for neither a device nor all of them.
        """
        name = op_name.name() if isinstance(op_name, OpOverload) else op_name
        qualname = name if "::" in name else f"{self.ns}::{name}"
        key = dispatch_key or self.dispatch_key
        if not key:
            key = "CompositeImplicitAutograd"
        _when_defined(qualname, lambda operator: _add_kernel(operator, key, fn))

    def _register_fake(self, op_name: str, fn: Callable, *args: Any, **kwargs: Any) -> None:
        self.impl(op_name, fn, "Meta")

    def _destroy(self) -> None:
        """Take back what this library defined."""
        for operator in self._own:
            _ops.remove(operator)
        self._own.clear()
        if self._defined.get(self.ns) is self:
            del self._defined[self.ns]


class CustomOpDef:
    """An operator made of a function by ``custom_op``: called as the function is."""

    def __init__(self, qualname: str, fn: Callable, schema: str) -> None:
        space, name, overload = _ops.split(qualname)
        if overload != "default":
            raise ValueError(f"custom_op: {qualname!r} names an overload; there is only one")
        self._namespace, self._name, self._qualname = space, name, qualname
        self._init_fn, self.__name__, self.__doc__ = fn, name, fn.__doc__
        found = _ops.find(qualname)
        if found is not None:  # defined anew, as in a notebook
            _ops.remove(found)
        self._opoverload = OpOverload(
            space, name, "default", schema, composite=False, no_alias=True
        )
        _ops.enter(self._opoverload)

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._opoverload(*args, **kwargs)

    def register_kernel(
        self, device_types: str | Sequence[str] | None, fn: Callable | None = None, /
    ) -> Callable:
        """What is run for tensors on ``device_types``; a decorator if ``fn`` is not given."""
        return register_kernel(self, device_types, fn)

    def register_fake(self, fn: Callable, /) -> Callable:
        """What tells the shape of the result, for tensors without values."""
        return register_fake(self, fn)

    def register_autograd(
        self, backward: Callable, /, *, setup_context: Callable | None = None
    ) -> None:
        """The gradient: see ``torch.library.register_autograd``."""
        register_autograd(self, backward, setup_context=setup_context)

    def register_vmap(self, func: Callable | None = None) -> Callable:
        """The rule for batches: see ``torch.library.register_vmap``."""
        return register_vmap(self, func)

    @contextmanager
    def set_kernel_enabled(self, device_type: str, enabled: bool = True) -> Iterator[None]:
        """While it lasts, use the kernel of ``device_type``, or the function itself."""
        kernels = self._opoverload.kernels
        before = kernels.get(device_type)
        if not enabled:
            kernels[device_type] = self._init_fn
        try:
            yield
        finally:
            if before is None:
                kernels.pop(device_type, None)
            else:
                kernels[device_type] = before


def custom_op(
    name: str,
    fn: Callable | None = None,
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: str | Sequence[str] | None = None,
    schema: str | None = None,
    tags: Sequence[Any] | None = None,
) -> CustomOpDef | Callable[[Callable], CustomOpDef]:
    """An operator of one's own, opaque to autograd: a decorator if ``fn`` is not given.

    ``name``          ``namespace::name``
    ``mutates_args``  names of the tensors that ``fn`` writes to
    ``device_types``  devices that ``fn`` is for; None: all
    ``schema``        its schema; by default that of ``fn``'s annotations

    Results may not be, or share memory with, arguments: RuntimeError. A gradient is given by
    ``register_autograd`` of the result; without one, backward raises RuntimeError.
    """

    def decorate(fn: Callable) -> CustomOpDef:
        found = schema or infer_schema(fn, mutates_args=mutates_args)
        made = CustomOpDef(name, fn, found)
        register_kernel(made, device_types, fn)
        for act in _waiting.pop(name, ()):
            act(made._opoverload)
        return made

    return decorate if fn is None else decorate(fn)


def define(
    qualname: str, schema: str, *, lib: Library | None = None, tags: Any = ()
) -> Callable | None:
    """Define ``ns::name`` with ``schema``: ``(Tensor x) -> Tensor``."""
    space, name, overload = _ops.split(qualname)
    full = name if overload == "default" else f"{name}.{overload}"
    (lib or Library(space, "FRAGMENT")).define(full + schema)


def impl(
    qualname: str,
    types: str | Sequence[str],
    func: Callable | None = None,
    *,
    lib: Library | None = None,
) -> Callable | None:
    """The kernel of a defined operator for devices ("cpu") or "default": all of them."""

    def register(func: Callable) -> Callable:
        for kind in [types] if isinstance(types, str) else types:
            _add_kernel(_known(qualname), kind, func)
        return func

    return register if func is None else (register(func), None)[1]


def register_kernel(
    op: str | OpOverload | CustomOpDef,
    device_types: str | Sequence[str] | None,
    func: Callable | None = None,
    /,
    *,
    lib: Library | None = None,
) -> Callable:
    """What is run for tensors on ``device_types``; None: on all."""

    def register(func: Callable) -> Callable:
        for kind in (
            [device_types]
            if device_types is None or isinstance(device_types, str)
            else (device_types)
        ):
            _add_kernel(_known(op), kind, func)
        return func

    return register if func is None else register(func)


def register_fake(
    op: str | OpOverload | CustomOpDef,
    func: Callable | None = None,
    /,
    *,
    lib: Library | None = None,
    _stacklevel: int = 1,
    allow_override: bool = True,
) -> Callable:
    """What tells the shape of the result, for tensors without values (device "meta").

    For an operator that is not defined (PyTorch: RuntimeError) it is kept until it is, if ever:
    the library that defines it may be one that cannot be loaded here.
    """

    def register(func: Callable) -> Callable:
        _when_defined(op, lambda operator: _add_kernel(operator, "Meta", func))
        return func

    return register if func is None else register(func)


impl_abstract = register_fake


def register_autograd(
    op: str | OpOverload | CustomOpDef,
    backward: Callable,
    /,
    *,
    setup_context: Callable | None = None,
    lib: Library | None = None,
) -> None:
    """The gradient of an operator.

    ``backward(ctx, *grads)``                one gradient for each argument
    ``setup_context(ctx, inputs, output)``   saves on ``ctx`` what backward needs; takes
                                             ``keyword_only_inputs``, too, where there are any
    """
    operator = _known(op)
    operator.backward, operator.setup_context = backward, setup_context


def register_vmap(
    op: str | OpOverload | CustomOpDef,
    func: Callable | None = None,
    /,
    *,
    lib: Library | None = None,
) -> Callable:
    """The rule of an operator under ``vmap``: ``func(info, in_dims, *args, **keywords)`` returns
    the results and the dimension of each along which the batch lies."""

    def register(func: Callable) -> Callable:
        _known(op).vmap = func
        return func

    return register if func is None else register(func)


__all__ = [
    "CustomOpDef", "Library", "custom_op", "define", "fallthrough_kernel", "impl",
    "impl_abstract", "infer_schema", "register_autograd", "register_fake", "register_kernel",
    "register_vmap",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
