"""Finite differences and integrals of sampled functions."""

from __future__ import annotations

from collections.abc import Sequence

from .._dtypes import bool_, uint8
from .._shapes import wrap_dim, wrap_dims
from ..core.mutation import accepts_out
from ..core.promotion import Number, is_number
from ..core.value import Value
from ..ops.joining import cat


def _extended(input: Value, dim: int, prepend: Value | None, append: Value | None) -> Value:
    for other in (prepend, append):
        if other is not None and other.dim() != input.dim():
            raise RuntimeError(
                "diff expects prepend or append to be the same dimension as input\n"
                f"  got {other.dim()} dimensions for an input of {input.dim()}"
            )
    parts = tuple([p for p in (prepend, input, append) if p is not None])
    return cat(parts, dim) if len(parts) > 1 else input


@accepts_out
def diff(
    input: Value,
    n: int = 1,
    dim: int = -1,
    prepend: Value | None = None,
    append: Value | None = None,
) -> Value:
    """The ``n``-th differences ``x[i+1] - x[i]`` along ``dim``, after putting ``prepend`` before
    and ``append`` behind ``input``; for bools, whether neighbours differ."""
    if not input.dim():
        raise RuntimeError("diff expects input to be at least one-dimensional")
    dim = wrap_dim(dim, input.dim())
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if n == 0:
        return input.clone()
    if prepend is not None or append is not None:
        input = _extended(input, dim, prepend, append)
    for _ in range(min(n, input.shape[dim])):
        size = input.shape[dim]
        after, before = input.narrow(dim, 1, size - 1), input.narrow(dim, 0, size - 1)
        input = after.logical_xor(before) if input.dtype is bool_ else after - before
    return input


# ---- the gradient of a sampled function ----------------------------------------------------


def _spacings(input: Value, spacing: object, dims: tuple[int, ...], given: bool) -> list:
    """For each of ``dims`` the distance of its points, or a tensor of their coordinates."""
    if spacing is None or is_number(spacing):
        return [1.0 if spacing is None else spacing] * len(dims)
    spacing = list(spacing)
    if len(spacing) != len(dims):
        place = f"'self.dim() = {len(dims)}', since dim argument was not given"
        if given:
            place = f"dim's length {len(dims)}"
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar, or a list "
            f"of length equal to {place}, but got a list of length {len(spacing)}"
        )
    for s in spacing:
        if isinstance(s, Value) and s.dim() != 1:
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have one dimension, but got an "
                f"element with {s.dim()} dimensions!"
            )
    return spacing


def _slope(f: Value, spacing: Number | Value, dim: int, edge_order: int) -> Value:
    """Second-order differences inside, differences of order ``edge_order`` at both ends."""
    n = f.shape[dim]

    def at(start: int, length: int = 1) -> Value:
        return f.narrow(dim, start % n, length)

    if isinstance(spacing, Value):
        shape = [-1 if d == dim else 1 for d in range(f.dim())]
        h = (spacing.narrow(0, 1, n - 1) - spacing.narrow(0, 0, n - 1)).reshape(shape)
        first, last = h.narrow(dim, 0, 1), h.narrow(dim, n - 2, 1)
        l, r = h.narrow(dim, 0, n - 2), h.narrow(dim, 1, n - 2)
        inside = (
            at(0, n - 2) * (-r / (l * (l + r)))
            + at(1, n - 2) * ((r - l) / (l * r))
            + at(2, n - 2) * (l / (r * (l + r)))
        )
    else:
        first = last = spacing
        inside = (at(2, n - 2) - at(0, n - 2)) / (2.0 * spacing)
    if edge_order == 1:
        ends = (at(1) - at(0)) / first, (at(-1) - at(-2)) / last
    elif isinstance(spacing, Value):
        a, b = h.narrow(dim, 0, 1), h.narrow(dim, 1, 1)
        left = -(2 * a + b) / (a * (a + b)) * at(0) + (a + b) / (a * b) * at(1)
        left = left - a / (b * (a + b)) * at(2)
        a, b = h.narrow(dim, n - 3, 1), h.narrow(dim, n - 2, 1)
        right = (2 * b + a) / (b * (a + b)) * at(-1) - (a + b) / (a * b) * at(-2)
        ends = left, right + b / (a * (a + b)) * at(-3)
    else:
        left = at(0) * -1.5 + at(1) * 2.0 - at(2) * 0.5
        right = at(-1) * 1.5 - at(-2) * 2.0 + at(-3) * 0.5
        ends = left / spacing, right / spacing
    return cat((ends[0], inside, ends[1]), dim)


def gradient(
    input: Value,
    *,
    spacing: Number | Sequence[Number] | Sequence[Value] | None = None,
    dim: int | Sequence[int] | None = None,
    edge_order: int = 1,
) -> tuple[Value, ...]:
    """The derivatives of a function sampled on a grid, one tensor for each of ``dim``.

    ``spacing``: the distance of the sample points (default 1), one for each dimension, or tensors
    of their coordinates. Inside, differences are of second order; at both ends of ``edge_order``.
    """
    given = dim is not None
    dims = wrap_dims(dim, input.dim())
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if input.dtype is uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    spacings = _spacings(input, spacing, dims, given)
    for d in dims:
        if input.shape[d] < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1\n"
                f"  dimension {d} has {input.shape[d]} elements, edge_order is {edge_order}"
            )
    return tuple([_slope(input, s, d, edge_order) for s, d in zip(spacings, dims)])


# ---- integrals -----------------------------------------------------------------------------


def _steps(y: Value, x: Value, dim: int) -> Value:
    """The widths of the intervals between the sample points ``x``, in the shape of ``y``."""
    if x.dim() == 1 and y.dim() > 1:
        if x.shape[0] != y.shape[dim]:
            raise RuntimeError(
                "trapezoid: There must be one `x` value for each sample point\n"
                f"  x has {x.shape[0]}, y has {y.shape[dim]} along dimension {dim}"
            )
        x = x.reshape([-1 if d == dim else 1 for d in range(y.dim())])
    elif x.dim() < y.dim():
        x = x.reshape([1] * (y.dim() - x.dim()) + list(x.shape))
    n = x.shape[dim]
    return x.narrow(dim, 1, n - 1) - x.narrow(dim, 0, n - 1)


def _checked(y: Value, x: Value | None, dx: Number | None, dim: int, name: str) -> int:
    if x is not None and dx is not None:
        raise TypeError(f"{name}() expected only one of x and dx")
    dim = wrap_dim(dim, y.dim(), scalar_ok=False)
    for what, v in (("`y`", y), ("`x`", x)):
        if v is not None and v.dtype is bool_:
            raise RuntimeError(
                f"{name}: received a bool input for {what}, but bool is not supported"
            )
    return dim


def _halves(y: Value, dim: int) -> Value:
    """The sum of each pair of neighbours."""
    n = y.shape[dim]
    return y.narrow(dim, 0, n - 1) + y.narrow(dim, 1, n - 1)


def trapezoid(
    y: Value, x: Value | None = None, *, dx: Number | None = None, dim: int = -1
) -> Value:
    """The integral of ``y`` along ``dim`` by the trapezoidal rule; sample points ``x``, or ``dx``
    (default 1) apart."""
    dim = _checked(y, x, dx, dim, "trapezoid")
    if y.shape[dim] == 0:
        shape = list(y.shape)
        del shape[dim]
        return y.new_zeros(shape)
    if x is not None:
        return (_steps(y, x, dim) * _halves(y, dim)).sum(dim) / 2.0
    n = y.shape[dim]
    ends = (y.select(dim, 0) + y.select(dim, n - 1)) * 0.5
    return (y.sum(dim) - ends) * (1.0 if dx is None else dx)


def trapz(y: Value, x: Value | None = None, *, dx: Number | None = None, dim: int = -1) -> Value:
    """The same as ``trapezoid``."""
    return trapezoid(y, x, dx=dx, dim=dim)


def cumulative_trapezoid(
    y: Value, x: Value | None = None, *, dx: Number | None = None, dim: int = -1
) -> Value:
    """The running integrals of ``y`` along ``dim`` by the trapezoidal rule."""
    dim = _checked(y, x, dx, dim, "cumulative_trapezoid")
    if x is not None:
        return (_steps(y, x, dim) * _halves(y, dim)).cumsum(dim) / 2.0
    return _halves(y, dim).cumsum(dim) * ((1.0 if dx is None else dx) / 2.0)


__all__ = ["cumulative_trapezoid", "diff", "gradient", "trapezoid", "trapz"]
