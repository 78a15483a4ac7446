"""Pruning: parameters times masks of zeros and ones.

A pruned parameter ``name`` is kept as the parameter ``name_orig`` and the buffer ``name_mask``;
``module.name`` is their product, computed before each call.
Source: https://docs.pytorch.org/tutorials/intermediate/pruning_tutorial.html
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from ...core.value import Value
from ...ops.joining import cat
from ...ops.norms import norm
from ...ops.order_statistics import kthvalue
from ...ops.sorting import topk
from ...tensor._creation import ones_like, zeros_like
from ...tensor._random import rand, rand_like
from ..modules.module import Module

Amount = int | float


class BasePruningMethod(ABC):
    """A way to choose what is pruned, and the hook that applies the mask before each call.

    ``PRUNING_TYPE``: "unstructured" masks single elements, "structured" whole channels along
    ``dim``, "global" looks at the whole tensor even where it is pruned already.
    """

    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        """Compute the pruned tensor anew."""
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Value, default_mask: Value) -> Value:
        """The mask for ``t``, on top of ``default_mask``. To be overridden."""

    def apply_mask(self, module: Module) -> Value:
        """The original times the mask."""
        name = self._tensor_name
        if name is None:
            raise AssertionError(f"Module {module} has to be pruned")
        original = getattr(module, name + "_orig")
        return getattr(module, name + "_mask").to(original.dtype) * original

    @classmethod
    def apply(
        cls,
        module: Module,
        name: str,
        *args: Any,
        importance_scores: Value | None = None,
        **kwargs: Any,
    ) -> BasePruningMethod:
        """Prune ``module.name`` by this method, on top of what is pruned already.

        ``importance_scores``: of the parameter's shape; what is chosen by, instead of its values.
        """
        old = None
        for key, hook in list(module._forward_pre_hooks.items()):
            if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
                old = hook
                del module._forward_pre_hooks[key]
        method = cls(*args, **kwargs)
        method._tensor_name = name
        original = getattr(module, name)
        if importance_scores is None:
            importance_scores = original
        elif importance_scores.shape != original.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name} of {module}"
            )
        if old is None:
            mask = ones_like(importance_scores)
        else:
            mask = getattr(module, name + "_mask").detach().clone()
            container = PruningContainer(old)
            container.add_pruning_method(method)
            method = container
        try:
            mask = method.compute_mask(importance_scores, default_mask=mask)
        except Exception:
            if old is not None:
                module.register_forward_pre_hook(old)
            raise
        if old is None:
            del module._parameters[name]
            module.register_parameter(name + "_orig", original)
        module.register_buffer(name + "_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(
        self,
        t: Value,
        default_mask: Value | None = None,
        importance_scores: Value | None = None,
    ) -> Value:
        """The tensor ``t``, pruned; no module has a part in it."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError("importance_scores should have the same shape as tensor t")
        mask = ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, default_mask=mask)

    def remove(self, module: Module) -> None:
        """Make the pruned values the parameter."""
        name = self._tensor_name
        weight = self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        original = module._parameters.pop(name + "_orig")
        original.data = weight.data
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """Several methods, one after the other."""

    def __init__(self, *args: Any) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        given = args[0] if len(args) == 1 and isinstance(args[0], Iterable) else args
        for method in given:
            if not self._pruning_methods and isinstance(method, BasePruningMethod):
                self._tensor_name = method._tensor_name
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod | None) -> None:
        """Put ``method`` last. TypeError for anything else; ValueError for another tensor's."""
        if not isinstance(method, BasePruningMethod) and method is not None:
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, index: Any) -> Any:
        return self._pruning_methods[index]

    def compute_mask(self, t: Value, default_mask: Value) -> Value:
        """The last method's mask for what the earlier ones have left."""
        method, mask = self._pruning_methods[-1], default_mask.to(t.dtype)
        if method.PRUNING_TYPE == "unstructured":
            left: Any = mask == 1
        elif method.PRUNING_TYPE == "structured":
            if not hasattr(method, "dim"):
                raise AttributeError(
                    "Pruning methods of PRUNING_TYPE 'structured' need to have the attribute `dim` "
                    "defined."
                )
            dim = method.dim % t.dim()
            others = tuple(d for d in range(t.dim()) if d != dim)
            channels = mask.sum(dim=others) != 0 if others else mask != 0
            left = (slice(None),) * dim + (channels,)
        elif method.PRUNING_TYPE == "global":
            left = (slice(None),) * t.dim()
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        new = mask.clone()
        new[left] = method.compute_mask(t[left], default_mask=mask[left]).to(new.dtype)
        return new


class Identity(BasePruningMethod):
    """Prunes nothing, but makes the parameter one that can be pruned further."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Value, default_mask: Value) -> Value:
        """The mask that was there."""
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """Prunes ``amount`` elements (a number, or a share as a float), chosen at random."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Amount) -> None:
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Value, default_mask: Value) -> Value:
        """Zeros at random places."""
        count = _count(self.amount, t.numel())
        mask = default_mask.clone()
        if count:
            mask.view(-1)[topk(rand_like(t).view(-1), count).indices] = 0
        return mask


class L1Unstructured(BasePruningMethod):
    """Prunes the ``amount`` elements with the smallest absolute values."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Amount) -> None:
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Value, default_mask: Value) -> Value:
        """Zeros where the values are smallest."""
        count = _count(self.amount, t.numel())
        mask = default_mask.clone()
        if count:
            mask.view(-1)[topk(t.abs().view(-1), count, largest=False).indices] = 0
        return mask


class _Structured(BasePruningMethod):
    """Whole slices along a dimension."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Amount, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount, self.dim = amount, dim

    def _channels_to_prune(self, t: Value) -> int:
        if t.dim() <= 1:
            raise ValueError(
                "Structured pruning can only be applied to multidimensional tensors. Found tensor "
                f"of shape {t.shape} with {t.dim()} dims"
            )
        if self.dim >= t.dim():
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        return _count(self.amount, t.shape[self.dim])

    def _masked(self, t: Value, default_mask: Value, kept: Any) -> Value:
        mask = zeros_like(t)
        dim = self.dim % t.dim()
        mask[(slice(None),) * dim + (kept,)] = 1
        return mask * default_mask.to(mask.dtype)


class RandomStructured(_Structured):
    """Prunes ``amount`` slices along ``dim``, chosen at random."""

    def compute_mask(self, t: Value, default_mask: Value) -> Value:
        """Zeros in random slices."""
        count = self._channels_to_prune(t)
        if not count:
            return default_mask
        draw = rand(t.shape[self.dim])
        return self._masked(t, default_mask, draw > kthvalue(draw, k=count).values)


class LnStructured(_Structured):
    """Prunes the ``amount`` slices along ``dim`` whose n-norm is smallest."""

    def __init__(self, amount: Amount, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def compute_mask(self, t: Value, default_mask: Value) -> Value:
        """Zeros in the slices with the smallest norms."""
        count = self._channels_to_prune(t)
        if not count:
            return default_mask
        others = [d for d in range(t.dim()) if d != self.dim % t.dim()]
        norms = norm(t, p=self.n, dim=others)
        kept = topk(norms, k=t.shape[self.dim] - count, largest=True).indices
        return self._masked(t, default_mask, kept)


class CustomFromMask(BasePruningMethod):
    """Prunes by a given mask."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Value) -> None:
        self.mask = mask

    def compute_mask(self, t: Value, default_mask: Value) -> Value:
        """The given mask, where the one that was there has ones."""
        return default_mask * self.mask.to(default_mask.dtype)


def _check_amount(amount: Amount) -> None:
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    whole = isinstance(amount, numbers.Integral)
    if amount < 0 or (not whole and amount > 1.0):
        raise ValueError(
            f"amount={amount} should either be a float in the range [0, 1] or a non-negative "
            "integer"
        )


def _count(amount: Amount, size: int) -> int:
    """How many of ``size`` are to be pruned; ValueError where there are fewer."""
    if not isinstance(amount, numbers.Integral):
        return round(amount * size)
    if amount > size:
        raise ValueError(
            f"amount={amount} should be smaller than the number of parameters to prune={size}"
        )
    return int(amount)


def identity(module: Module, name: str) -> Module:
    """Prune nothing of ``module.name``, but put it behind a mask."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: Amount) -> Module:
    """Prune ``amount`` elements of ``module.name`` at random."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: Module, name: str, amount: Amount, importance_scores: Value | None = None
) -> Module:
    """Prune the ``amount`` elements of ``module.name`` with the smallest absolute values."""
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: Amount, dim: int) -> Module:
    """Prune ``amount`` slices of ``module.name`` along ``dim`` at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module,
    name: str,
    amount: Amount,
    n: Any,
    dim: int,
    importance_scores: Value | None = None,
) -> Module:
    """Prune the ``amount`` slices of ``module.name`` along ``dim`` with the smallest n-norms."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: dict[tuple[Module, str], Value] | None = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters, (module, name) pairs, as if they were one vector."""
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    parameters = list(parameters)
    scores = importance_scores or {}
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    flat = [scores.get((m, name), getattr(m, name)).reshape(-1) for m, name in parameters]
    masks = [
        getattr(m, name + "_mask", ones_like(getattr(m, name))).reshape(-1)
        for m, name in parameters
    ]
    if pruning_method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {pruning_method.PRUNING_TYPE}"
        )
    container = PruningContainer()
    container._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    container.add_pruning_method(method)
    final = container.compute_mask(cat(flat), cat(masks))
    start = 0
    for module, name in parameters:
        shape = getattr(module, name).shape
        count = shape.numel()
        custom_from_mask(module, name, mask=final[start : start + count].reshape(shape))
        start += count


def custom_from_mask(module: Module, name: str, mask: Value) -> Module:
    """Prune ``module.name`` where ``mask`` is 0."""
    CustomFromMask.apply(module, name, mask)
    return module


def remove(module: Module, name: str) -> Module:
    """Make the pruned values of ``module.name`` the parameter. ValueError if it is not pruned."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(
        f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
    )


def is_pruned(module: Module) -> bool:
    """Whether ``module``, or one below it, has a pruned parameter."""
    return any(
        isinstance(hook, BasePruningMethod)
        for below in module.modules()
        for hook in below._forward_pre_hooks.values()
    )


__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]
