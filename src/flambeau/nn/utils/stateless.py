"""A module called with other tensors in the place of its own."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...core.value import Value
from ..modules.module import Module


def functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Value],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """``module(*args, **kwargs)`` with some parameters and buffers replaced, by dotted name.

    What the module writes into its buffers goes into the given tensors. ``tie_weights``: one
    tensor under several names is replaced under all of them. ``strict``: names that are missing or
    unknown are RuntimeErrors.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.func.functional_call.html
    """
    warnings.warn(
        "This API is deprecated as of PyTorch 2.0 and will be removed in a future version of "
        "PyTorch. Please use torch.func.functional_call instead which is a drop-in replacement "
        "for this API.",
        FutureWarning,
        stacklevel=2,
    )
    return call_with(module, parameters_and_buffers, args, kwargs, tie_weights, strict)


def call_with(
    module: Module,
    given: dict[str, Value],
    args: Any,
    kwargs: dict[str, Any] | None,
    tie_weights: bool,
    strict: bool,
) -> Any:
    """``functional_call`` without its warning."""
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    with replaced(module, given, tie_weights, strict):
        return module(*args, **(kwargs or {}))


def _members(module: Module) -> Iterator[tuple[str, Value]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _with_ties(module: Module, given: dict[str, Value]) -> dict[str, Value]:
    """``given`` and the other names of the tensors it replaces."""
    names: dict[int, list[str]] = {}
    for name, member in _members(module):
        names.setdefault(id(member), []).append(name)
    result = dict(given)
    for group in names.values():
        here = {id(given[name]): given[name] for name in group if name in given}
        if len(here) > 1:
            raise ValueError(
                "functional_call got multiple values for keys "
                f"{sorted(name for name in group if name in given)}, which are tied. Consider "
                "using tie_weights=False"
            )
        for value in here.values():
            result.update(dict.fromkeys(group, value))
    return result


@contextmanager
def replaced(
    module: Module, given: dict[str, Value], tie_weights: bool, strict: bool
) -> Iterator[None]:
    """Within, ``module`` has the tensors of ``given`` in the place of its own."""
    if tie_weights:
        given = _with_ties(module, given)
    if strict:
        known = {name for name, _ in _members(module)}
        wrong = [
            f"{what} key(s): {', '.join(repr(name) for name in sorted(names))}."
            for what, names in (
                ("Unexpected", given.keys() - known),
                ("Missing", known - given.keys()),
            )
            if names
        ]
        if wrong:
            told = "\n\t".join(wrong)
            raise RuntimeError(
                f"Error(s) in reparametrizing for {type(module).__name__}:\n\t{told}"
            )
    undo: list[tuple[dict, str, Any]] = []
    try:
        for name, value in given.items():
            if not isinstance(value, Value):
                raise TypeError(f"{value} is not an instance of torch.Tensor")
            table, leaf = _place(module, name)
            undo.append((table, leaf, table.get(leaf, undo)))
            table[leaf] = value
        yield
    finally:
        for table, leaf, value in reversed(undo):
            if value is undo:  # there was nothing
                del table[leaf]
            else:
                table[leaf] = value


def _place(module: Module, name: str) -> tuple[dict, str]:
    """The table that has the tensor ``name``, and its key; one that nobody has is a buffer."""
    path, _, leaf = name.rpartition(".")
    owner = module
    for part in path.split(".") if path else ():
        if part not in owner._modules:
            raise AttributeError(f"{type(owner).__name__} has no attribute `{part}`")
        owner = owner._modules[part]
    table = owner._parameters if leaf in owner._parameters else owner._buffers
    if leaf not in table and hasattr(owner, leaf):
        raise TypeError(
            f"attribute `{leaf}`: {getattr(owner, leaf)} is not an instance of torch.Tensor"
        )
    return table, leaf


__all__ = ["functional_call"]
