"""Quantiles, covariances and the limiting of norms."""

from __future__ import annotations

import warnings

import numpy as np

from .. import _dtypes
from .._errors import type_name
from .._shapes import wrap_dim
from ..core.modes import hook
from ..core.mutation import accepts_out
from ..core.promotion import Number, is_number
from ..core.value import Value, constant, fails

# ---- quantiles -----------------------------------------------------------------------------

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    input: Value,
    q: float | Value,
    dim: int | None,
    keepdim: bool,
    interpolation: str,
    ignore_nan: bool,
) -> Value:
    name = "nanquantile" if ignore_nan else "quantile"
    if not isinstance(input, Value):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type_name(input)}"
        )
    if not input.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if input.dtype not in (_dtypes.float32, _dtypes.float64):
        raise RuntimeError(
            f"{name}() input tensor must be either float or double dtype\n"
            f"  it is {input.dtype}; convert it with .float()"
        )
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    if is_number(q):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q:g}")
        levels = constant(np.full(1, q, input._array.dtype))
    else:
        if q.dim() > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
        if q.dtype is not input.dtype:
            raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
        if fails(~((q >= 0) & (q <= 1))):
            raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
        levels = q.reshape(-1)
    if dim is None or not input.dim():
        line = input.reshape(-1)
    else:
        dim = wrap_dim(dim, input.dim())
        line = input.movedim(dim, -1)
    result = _at_levels(line.sort(-1)[0], levels, interpolation, ignore_nan)
    several = isinstance(q, Value) and q.dim() == 1
    result = result.movedim(-1, 0) if several else result.squeeze(-1)
    if keepdim and input.dim():
        kept = [1 if dim is None or d == dim else n for d, n in enumerate(input.shape)]
        return result.reshape([len(levels), *kept] if several else kept)
    return result


def _at_levels(ordered: Value, levels: Value, interpolation: str, ignore_nan: bool) -> Value:
    """Between which two of the ordered elements (last dimension) each of ``levels`` lies, and what
    ``interpolation`` makes of them."""
    shape = ordered._array.shape
    n = shape[-1]
    plain = ordered.detach()
    present = (plain == plain).sum(-1, keepdim=True)  # nan comes last
    if ignore_nan:
        ranks = levels * (present - 1).clamp(min=0).to(ordered.dtype)
    else:
        ranks = (levels * (n - 1)).expand(*shape[:-1], len(levels)).masked_fill(present < n, n - 1)
    places = ranks.detach()
    below, above = places.floor(), places.ceil()
    whole = {"lower": below, "higher": above, "nearest": places.round()}.get(interpolation)
    if whole is not None:
        return ordered.gather(-1, whole.to(_dtypes.int64))
    low = ordered.gather(-1, below.to(_dtypes.int64))
    high = ordered.gather(-1, above.to(_dtypes.int64))
    if interpolation == "midpoint":
        return low.lerp(high, 0.5)
    return low.lerp(high, ranks - below)


@accepts_out
def quantile(
    input: Value,
    q: float | Value,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Value:
    """The value below which a part ``q`` of the elements lies, of all or along ``dim``; nan if one
    is nan. For several ``q`` the first dimension of the result is theirs."""
    if hook.active is not None:
        input, q = hook.active.operands("quantile", (input, q))
    return _quantile(input, q, dim, keepdim, interpolation, False)


@accepts_out
def nanquantile(
    input: Value,
    q: float | Value,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Value:
    """``quantile`` of the elements that are not nan."""
    if hook.active is not None:
        input, q = hook.active.operands("nanquantile", (input, q))
    return _quantile(input, q, dim, keepdim, interpolation, True)


# ---- covariance ----------------------------------------------------------------------------


def _weights(v: Value, count: int, name: str, floating: bool) -> None:
    if v.dim() > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with "
            f"{v.dim()} dimensions"
        )
    if v.dtype.is_floating_point != floating or v.dtype.category == _dtypes.COMPLEX:
        raise RuntimeError(
            f"cov(): expected {name} to have {'floating point' if floating else 'integral'} dtype "
            f"but got {name} with {v.dtype.legacy_name} dtype"
        )
    if v.numel() != count:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input "
            f"but got {v.numel()} != {count}"
        )
    if fails(v < 0):
        raise RuntimeError(f"cov(): {name} cannot be negative")


def cov(
    input: Value,
    *,
    correction: int = 1,
    fweights: Value | None = None,
    aweights: Value | None = None,
) -> Value:
    """The covariance matrix of variables (rows) over observations (columns).

    ``sum_k w_k (x_ik - m_i) conj(x_jk - m_j) / norm`` with ``norm = sum w - correction``, or
    ``sum w - correction * sum(w a) / sum w`` with ``aweights`` a. ``fweights``: how often each
    observation counts (integers); ``aweights``: how much it matters (floating).
    """
    if input.dim() > 2:
        raise RuntimeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{input.dim()} dimensions"
        )
    if input.dtype.category == _dtypes.BOOL:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input if input.dim() == 2 else input.reshape(1, -1)
    if x.dtype.category == _dtypes.INTEGRAL:
        x = x.to(_dtypes.get_default_dtype())
    count = x.shape[1]
    w = None
    if fweights is not None:
        _weights(fweights, count, "fweights", False)
        w = fweights
    if aweights is not None:
        _weights(aweights, count, "aweights", True)
        w = aweights if w is None else w * aweights
    w_sum = count if w is None else w.sum()
    if isinstance(w_sum, Value) and fails(w_sum == 0):
        raise RuntimeError("cov(): the sum of fweights times aweights is 0, expected it to be > 0")
    mean = (x if w is None else x * w).sum(1, True) / w_sum
    if w is not None and aweights is not None and correction:
        norm = w_sum - correction * (w * aweights).sum() / w_sum
    else:
        norm = w_sum - correction
    if norm <= 0:
        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number "
            "of observations.",
            UserWarning,
            stacklevel=2,
        )
        norm = norm * 0 if isinstance(norm, Value) else 0
    d = x - mean
    product = d.matmul((d if w is None else d * w).t().conj())
    return (product / norm).squeeze()


def corrcoef(input: Value) -> Value:
    """The correlation coefficients ``c_ij / sqrt(c_ii c_jj)`` of variables (rows)."""
    if input.dim() > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{input.dim()} dimensions"
        )
    c = cov(input)
    if not c.dim():
        return c / c
    deviation = c.diagonal()
    deviation = (deviation.real if deviation.is_complex() else deviation).sqrt()
    c = c / deviation.unsqueeze(1) / deviation.unsqueeze(0)
    if c.is_complex():
        return c.real.clamp(-1, 1) + c.imag.clamp(-1, 1) * 1j
    return c.clamp(-1, 1)


# ---- renorm --------------------------------------------------------------------------------


@accepts_out
def renorm(input: Value, p: Number, dim: int, maxnorm: Number) -> Value:
    """``input`` with every slice along ``dim`` whose ``p``-norm is above ``maxnorm`` scaled down
    to it."""
    if p <= 0:
        raise RuntimeError(f"renorm: non-positive-norm not supported\n  got p = {p}")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if input.dim() < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.dim()} dimensions"
        )
    dim = wrap_dim(dim, input.dim())
    others = tuple([d for d in range(input.dim()) if d != dim])
    norm = input.norm(p, others, True)
    factor = (maxnorm / (norm + 1e-7)).masked_fill(norm <= maxnorm, 1)
    return input * factor


__all__ = ["corrcoef", "cov", "nanquantile", "quantile", "renorm"]
