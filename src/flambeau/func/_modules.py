"""Modules as functions of their parameters: ``functional_call``, ``stack_module_state``.

Source: https://docs.pytorch.org/docs/stable/func.api.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.value import Value
from ..nn.modules.batchnorm import _NormBase
from ..nn.modules.module import Module
from ..nn.utils.stateless import call_with
from ..ops.joining import stack


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: dict[str, Value] | Sequence[dict[str, Value]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """``module(*args, **kwargs)`` with parameters and buffers replaced by those of a dictionary
    (or of several, whose names must differ); the module itself is left as it is.

    ``tie_weights``: a tensor that the module has by several names is replaced by all of them.
    ``strict``: every parameter and buffer must be given, and no other.
    """
    given = parameter_and_buffer_dicts
    if isinstance(given, dict):
        merged = given
    else:
        merged = {}
        for d in given:
            if not isinstance(d, dict):
                raise ValueError(
                    "Expected all elements of parameter_and_buffer_dicts to be dictionaries"
                )
            twice = [k for k in d if k in merged]
            if twice:
                raise ValueError(
                    f"{twice} appeared in multiple dictionaries; behavior of functional call is "
                    "ambiguous"
                )
            merged.update(d)
    return call_with(module, merged, args, kwargs, tie_weights, strict)


def stack_module_state(
    models: Sequence[Module],
) -> tuple[dict[str, Value], dict[str, Value]]:
    """The parameters and the buffers of ``models``, which are alike: each name's stacked along a
    new first dimension. Stacked parameters are leaves that require grad as the parameters do."""
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if len({type(m) for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")

    def stacked(named: Callable[[Module], dict[str, Value]]) -> dict[str, Value]:
        every = [named(m) for m in models]
        result = {}
        for name in every[0]:
            values = [e[name] for e in every]
            whole = stack(tuple([v.detach() for v in values]), 0)
            wants = {v.requires_grad for v in values}
            if len(wants) > 1:
                raise RuntimeError(
                    f"Expected {name} from each model to have the same .requires_grad"
                )
            result[name] = whole.requires_grad_(wants.pop())
        return result

    return (
        stacked(lambda m: dict(m.named_parameters())),
        stacked(lambda m: dict(m.named_buffers())),
    )


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Make every batch norm below ``root`` forget its running statistics, which it would write
    in place; returns ``root``."""
    for module in root.modules():
        if isinstance(module, _NormBase):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root


def functionalize(func: Callable, *, remove: str = "mutations") -> Callable:
    """``func`` as it is: what it writes in place stays a write, of the same result.

    PyTorch's removes writes and views from a program that is then traced; nothing is traced here.
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}. "
            "Valid options are: remove='mutations', remove='mutations_and_views'"
        )
    return func


__all__ = [
    "functional_call", "functionalize", "replace_all_batch_norm_modules_", "stack_module_state",
]  # fmt: skip
