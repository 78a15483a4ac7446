"""Quantiles, covariances and the limiting of norms."""

from __future__ import annotations

import warnings

import numpy as np

from .. import _dtypes
from .._errors import type_name
from .._shapes import wrap_dim
from ..core.promotion import Number, is_number
from ..core.twins import accepts_out
from ..core.value import Value, wrap

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
        wanted = np.asarray(q, input._array.dtype)
    else:
        wanted = q._array
        if wanted.ndim > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
        if q.dtype is not input.dtype:
            raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
        if not ((wanted >= 0) & (wanted <= 1)).all():
            raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    dim_kept = dim
    if dim is None:
        line = input.reshape(-1)
    else:
        dim = wrap_dim(dim, input.dim())
        line = input.unsqueeze(-1).transpose(dim, -1).squeeze(dim) if input.dim() else input
        line = input.movedim(dim, -1) if input.dim() else input.reshape(-1)
    ordered = line.sort(-1)[0]
    a = ordered._array
    n = a.shape[-1]
    qs = wanted.reshape(-1)
    counts = (a == a).sum(-1, keepdims=True)  # nan comes last
    if ignore_nan:
        ranks = np.maximum(qs * (counts - 1).astype(a.dtype), 0)
    else:
        ranks = np.broadcast_to(qs * a.dtype.type(n - 1), (*a.shape[:-1], len(qs)))
        ranks = np.where(counts < n, a.dtype.type(n - 1), ranks)
    if interpolation == "lower":
        ranks = np.floor(ranks)
    elif interpolation == "higher":
        ranks = np.ceil(ranks)
    elif interpolation == "nearest":
        ranks = np.rint(ranks)
    below = np.floor(ranks)
    result = ordered.gather(-1, wrap(below.astype(np.int64)))
    if interpolation in ("linear", "midpoint"):
        weight = np.full_like(ranks, 0.5) if interpolation == "midpoint" else ranks - below
        above = ordered.gather(-1, wrap(np.ceil(ranks).astype(np.int64)))
        result = result.lerp(above, wrap(np.ascontiguousarray(weight)))
    if wanted.ndim:
        result = result.movedim(-1, 0)
        shape = [len(qs)]
    else:
        result = result.squeeze(-1)
        shape = []
    if keepdim and input.dim():
        kept = [1 if dim_kept is None or d == dim else m for d, m in enumerate(input.shape)]
        return result.reshape(shape + kept)
    return result


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
    if (v._array < 0).any():
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
    if count == 0 or (w is not None and w_sum.item() == 0 and w_sum.is_floating_point() is None):
        mean = x.sum(1, True) / 0.0
    elif w is None:
        mean = x.mean(1, True)
    else:
        mean = (x * w).sum(1, True) / w_sum
    if w is not None and aweights is not None and correction:
        norm = w_sum - correction * (w * aweights).sum() / w_sum
    else:
        norm = w_sum - correction
    value = norm.item() if isinstance(norm, Value) else norm
    if value <= 0:
        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number "
            "of observations.",
            UserWarning,
            stacklevel=2,
        )
        norm = norm * 0 if isinstance(norm, Value) else 0
    d = x - mean
    weighted = d if w is None else d * w
    product = weighted.matmul(d.t().conj())
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
