"""Forward mode by hand: tensors that carry a tangent (``make_dual``), and what follows from them.

A dual tensor requires grad while its level lasts, and what is computed from it is recorded. The
tangent of a result is J v, found when ``unpack_dual`` asks for it, as the gradient of u^T J with
respect to u. Under ``no_grad`` nothing is recorded, and results have no tangent.
Source: https://docs.pytorch.org/docs/stable/autograd.html#forward-mode-automatic-differentiation
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np

from ..core.modes import enable_grad
from ..core.value import Value, wrap
from ._grad import grad


class UnpackedDualTensor(NamedTuple):
    """A tensor without its tangent, and the tangent (None if it has none)."""

    primal: Value
    tangent: Value | None


class _Levels(threading.local):
    """The dual tensors of each level in force in this thread, with their tangents."""

    def __init__(self) -> None:
        self.stack: list[list[tuple[Value, Value]]] = []


_levels = _Levels()


def enter_dual_level() -> int:
    """Begin a level; returns its number. PyTorch, too, has but one at a time: RuntimeError."""
    if _levels.stack:
        raise RuntimeError(
            "Nested forward mode AD is not supported at the moment. Entering a second level is "
            "refused; torch.func.jvp nests"
        )
    _levels.stack.append([])
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End a level: its tangents are forgotten. RuntimeError where there is none."""
    if not _levels.stack:
        raise RuntimeError("Dual level must be a positive number.\n  no level has been entered")
    _levels.stack.pop()


class dual_level:
    """``with dual_level():`` the scope of dual tensors."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *error: object) -> None:
        exit_dual_level()


def make_dual(tensor: Value, tangent: Value, *, level: int | None = None) -> Value:
    """``tensor`` with a tangent of the same shape; both are floating or complex."""
    if not _levels.stack:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    for value, what in ((tensor, "primal"), (tangent, "tangent")):
        if value._array.dtype.kind in "biu":
            raise ValueError(
                f"Expected {what} to be floating point or complex, but got: {value.dtype!r}"
            )
    if tensor._array.shape != tangent._array.shape:
        raise RuntimeError(
            f"Expected the tangent to have the shape of its primal, {tuple(tensor.shape)}, but got "
            f"{tuple(tangent.shape)}"
        )
    with enable_grad():
        leaf = tensor if tensor._edge is not None else wrap(tensor._array).requires_grad_()
        dual = leaf.view_as(leaf)
    _levels.stack[-1].append((dual, tangent))
    return dual


def unpack_dual(tensor: Value, *, level: int | None = None) -> UnpackedDualTensor:
    """``(primal, tangent)`` of a dual tensor or of what was computed from some; the tangent is None
    for any other tensor, and outside of a level."""
    primal = wrap(tensor._array)
    if not _levels.stack or tensor._edge is None:
        return UnpackedDualTensor(primal, None)
    duals = _levels.stack[-1]
    for dual, tangent in duals:
        if dual is tensor:
            return UnpackedDualTensor(primal, tangent)
    if not duals:
        return UnpackedDualTensor(primal, None)
    inputs = [dual for dual, _ in duals]
    with enable_grad():
        ghost = wrap(np.zeros(tensor._array.shape, tensor._array.dtype)).requires_grad_()
        rows = grad(tensor, inputs, ghost, retain_graph=True, create_graph=True, allow_unused=True)
        pairs = [(r, t) for r, (_, t) in zip(rows, duals, strict=True) if r is not None]
        if not pairs:
            return UnpackedDualTensor(primal, None)
        pairs = [(r, t) for r, t in pairs if r._edge is not None]
        found = [None]
        if pairs:
            found = grad([r for r, _ in pairs], [ghost], [t for _, t in pairs], allow_unused=True)
    tangent = found[0]
    if tangent is None:
        tangent = wrap(np.zeros(tensor._array.shape, tensor._array.dtype))
    return UnpackedDualTensor(primal, tangent)


__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual",
    "unpack_dual",
]  # fmt: skip
