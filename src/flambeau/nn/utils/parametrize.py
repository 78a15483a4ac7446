"""Parameters that are functions of other parameters.

A parametrized tensor of a module becomes a property of a class made for this module; what it is
computed from, and by which modules, lies in ``module.parametrizations``.
Source: https://docs.pytorch.org/docs/stable/nn.html#parametrizations
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ...core.modes import no_grad
from ...core.value import Value
from ..modules.container import ModuleDict, ModuleList
from ..modules.module import Module
from ..parameter import Parameter

_cache: dict[tuple[int, str], Value] = {}
_cached = 0  # how many ``cached`` contexts are open
_UNSAFE = "unless `unsafe` flag is enabled."


@contextmanager
def cached() -> Iterator[None]:
    """Within, each parametrized tensor is computed once."""
    global _cached
    _cached += 1
    try:
        yield
    finally:
        _cached -= 1
        if not _cached:
            _cache.clear()


def _register(module: Module, name: str, tensor: Value) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _put(holder: Module, name: str, tensor: Value) -> None:
    """Let the tensor ``name`` of ``holder`` have the elements of ``tensor``, in place."""
    held = getattr(holder, name)
    if held.shape == tensor.shape and held.dtype == tensor.dtype:
        held.data.copy_(tensor)
    else:
        held.data = tensor.detach().clone()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, first to last, and the tensors it is computed from:
    ``original``, or ``original0``, ``original1``, ... where the first one takes several."""

    original: Value
    unsafe: bool

    def __init__(self, modules: Sequence[Module], original: Value, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        before = {"dtype": original.dtype, "shape": original.shape}
        new: Any = original
        with no_grad():
            for module in reversed(self):
                if hasattr(module, "right_inverse"):
                    with suppress(NotImplementedError):  # it stays as it is
                        new = module.right_inverse(new)
        self.is_tensor = isinstance(new, Value)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if original.dtype != new.dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {original.dtype}\n"
                    f"right_inverse(original).dtype: {new.dtype}"
                )
            with no_grad():  # the same parameter, so that optimizers keep it
                original.data = new.detach()
            _register(self, "original", original)
        else:
            for i, part in enumerate(new):
                if not isinstance(part, Value):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors (list, "
                        f"tuple...). Got element {i} of the sequence with type "
                        f"{type(part).__name__}."
                    )
                if isinstance(original, Parameter):
                    part = Parameter(part.detach(), original.requires_grad)
                _register(self, f"original{i}", part)
        if not unsafe:
            result = self()
            if not isinstance(result, Value):
                raise ValueError(
                    f"A parametrization must return a tensor. Got {type(result).__name__}."
                )
            for what, then in before.items():
                if then != getattr(result, what):
                    _refuse(what, then, getattr(result, what))

    def _originals(self) -> list[Value]:
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def right_inverse(self, value: Value) -> None:
        """Give the originals values that are mapped to ``value``, last parametrization first."""
        with no_grad():
            for module in reversed(self):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                value = module.right_inverse(value)
            if self.is_tensor:
                if not isinstance(value, Value):
                    raise ValueError(
                        f"`right_inverse` should return a tensor. Got {type(value).__name__}"
                    )
                if value.dtype != self.original.dtype:
                    raise ValueError(
                        f"The tensor returned by `right_inverse` has dtype {value.dtype} while "
                        f"`original` has dtype {self.original.dtype}"
                    )
                _put(self, "original", value)
                return
            if not isinstance(value, Sequence):
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors. "
                    f"Got {type(value).__name__}."
                )
            if len(value) != self.ntensors:
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors of length "
                    f"{self.ntensors}. Got a sequence of length {len(value)}."
                )
            for i, part in enumerate(value):
                _put(self, f"original{i}", part)

    def forward(self) -> Value:
        """The parametrized tensor."""
        first, *rest = self
        value = first(*self._originals())
        for module in rest:
            value = module(value)
        return value


def _refuse(what: str, before: object, after: object) -> None:
    raise ValueError(
        f"Registering a parametrization may not change the {what} of the tensor, {_UNSAFE}\n"
        f"unparametrized {what}: {before}\nparametrized {what}: {after}"
    )


# ---- the class of a parametrized module ----------------------------------------------------


class _Parametrized:
    """Marks the classes that are made here, and copies their instances."""

    def __getstate__(self) -> Any:
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(). See:\n"
            "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
            "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
        )

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            original = type_before_parametrizations(self)
            twin = memo[id(self)] = original.__new__(original)
            twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
            _inject_class(twin)
            for name in self.parametrizations:
                _inject_property(twin, name)
        return memo[id(self)]


def _inject_class(module: Module) -> None:
    original = type(module)
    body = {
        "__getstate__": _Parametrized.__getstate__,
        "__module__": __name__,
        "__doc__": f"{original.__name__} with parametrized tensors.",
    }
    if not hasattr(original, "__deepcopy__"):
        body["__deepcopy__"] = _Parametrized.__deepcopy__
    module.__class__ = type(f"Parametrized{original.__name__}", (original,), body)


def _inject_property(module: Module, name: str) -> None:
    def read(self: Module) -> Value:
        if not _cached:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _cache:
            _cache[key] = self.parametrizations[name]()
        return _cache[key]

    def write(self: Module, value: Value) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(read, write))


# ---- functions -----------------------------------------------------------------------------


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Let ``module.tensor_name`` be ``parametrization(original)``.

    Assigning to it calls ``parametrization.right_inverse``, if there is one, which also gives the
    first original. ``unsafe``: the shape and dtype may change. A second parametrization is
    applied to the result of the first. ValueError for a tensor that is not there.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        held = module.parametrizations[tensor_name]
        if not unsafe:
            before = getattr(module, tensor_name)
            _check_next(parametrization, before)
        held.append(parametrization)
        held.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        held = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _inject_class(module)
            module.parametrizations = ModuleDict()
        _inject_property(module, tensor_name)
        module.parametrizations[tensor_name] = held
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    return module


def _check_next(parametrization: Module, before: Value) -> None:
    """A further parametrization keeps shape and dtype, and so does its right inverse."""
    with no_grad():
        after = parametrization(before)
        if not isinstance(after, Value):
            raise ValueError(f"A parametrization must return a tensor. Got {type(after).__name__}.")
        for what in ("dtype", "shape"):
            if getattr(before, what) != getattr(after, what):
                _refuse(what, getattr(before, what), getattr(after, what))
        if hasattr(parametrization, "right_inverse"):
            back = parametrization.right_inverse(before)
            if not isinstance(back, Value):
                raise ValueError(
                    "parametrization.right_inverse must return a tensor. "
                    f"Got: {type(back).__name__}"
                )
            for what in ("dtype", "shape"):
                if getattr(back, what) != getattr(before, what):
                    raise ValueError(
                        "The tensor returned by parametrization.right_inverse must have the same "
                        f"{what} as the one it is given, {_UNSAFE}\n"
                        f"  {getattr(before, what)} became {getattr(back, what)}"
                    )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether ``module`` has a parametrized tensor (of this name)."""
    held = module._modules.get("parametrizations")
    if not isinstance(held, ModuleDict):
        return False
    return len(held) > 0 if tensor_name is None else tensor_name in held


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make ``module.tensor_name`` a parameter (or buffer) of its own again.

    ``leave_parametrized``: with the value it has now; else the original, which must be one tensor.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    held = module.parametrizations[tensor_name]
    originals = held._originals()
    tensor = originals[0]
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name).detach()
        if held.is_tensor:  # the same parameter, so that optimizers keep it
            tensor.data = value
        else:
            learned = any(t.requires_grad for t in originals)
            tensor = Parameter(value) if learned else value
    elif not held.is_tensor:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, tensor)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that ``module`` had before it was parametrized."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Give ``to_module`` the parametrizations of ``from_module``, and what they compute from."""
    if not is_parametrized(from_module):
        return to_module
    names = list(from_module.parametrizations) if tensor_name is None else [tensor_name]
    for name in names:
        source = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for part in source:
            register_parametrization(to_module, name, part, unsafe=source.unsafe)
        target = to_module.parametrizations[name]
        for key, tensor in zip(_original_names(target), source._originals(), strict=True):
            setattr(target, key, Parameter(tensor.detach().clone(), tensor.requires_grad))
    return to_module


def _original_names(held: ParametrizationList) -> list[str]:
    return ["original"] if held.is_tensor else [f"original{i}" for i in range(held.ntensors)]


__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]
