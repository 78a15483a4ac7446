"""Discrete Fourier transforms. PyTorch's ``torch.fft``, over ``numpy.fft``.

Source: https://docs.pytorch.org/docs/stable/fft.html
"""

from __future__ import annotations

from collections.abc import Sequence

from . import _dtypes
from ._dtypes import dtype
from ._errors import type_name
from ._shapes import wrap_dim, wrap_dims
from .core.mutation import accepts_out
from .core.value import Value
from .ops.fourier import OTHER, c2c_op, c2r_op, r2c_op, resized
from .ops.rearranging import roll
from .tensor._creation import arange

Norm = str | None
Sizes = int | Sequence[int] | None

# ---- arguments -----------------------------------------------------------------------------


def _norm(norm: Norm, forward: bool) -> str:
    """NumPy's word for ``norm``, which PyTorch gives from the transform's own direction."""
    if norm is None:
        norm = "backward"
    if norm not in OTHER:
        raise RuntimeError(
            f'Invalid normalization mode: "{norm}"\n  it is "forward", "backward" or "ortho"'
        )
    return norm


def _floating(name: str, x: object, to_complex: bool, real_only: bool = False) -> Value:
    """``x`` as floating point (integers become the default dtype), or as complex."""
    if not isinstance(x, Value):
        raise TypeError(
            f"fft_{name}(): argument 'input' (position 1) must be Tensor, not {type_name(x)}"
        )
    d = x.dtype
    if d.is_complex:
        if real_only:
            raise RuntimeError(f"{name} expects a real input tensor, but got {d.legacy_name}")
        return x
    if d.is_floating_point and d.itemsize < 4:
        raise RuntimeError(
            f"Unsupported dtype {d.legacy_name}: Fourier transforms of 16-bit floats; "
            "convert the input with .float()"
        )
    if d.category < _dtypes.FLOATING:
        x = x.to(_dtypes.get_default_dtype())
    return x.to(x.dtype.to_complex()) if to_complex else x


def _one_dim(name: str, x: Value, n: int | None, dim: int) -> tuple[int, int | None]:
    if not x._array.ndim:
        wrap_dim(dim, 0, scalar_ok=False)
    dim = wrap_dim(dim, x._array.ndim)
    if n is not None and n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return dim, n


def _many_dims(x: Value, s: Sizes, dim: Sizes) -> tuple[tuple[int, ...], list[int]]:
    """The dimensions that are transformed, and the size of each."""
    ndim = x._array.ndim
    if isinstance(s, int):
        s = (s,)
    if dim is not None:
        dims = wrap_dims(dim, ndim) if ndim else _no_dims(dim)
        if len(set(dims)) != len(dims):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(dims):
            raise RuntimeError(
                "When given, dim and shape arguments must have the same length\n"
                f"  dim={dims}, s={tuple(s)}"
            )
    elif s is not None:
        if len(s) > ndim:
            raise RuntimeError(
                f"Got shape with {len(s)} values but input tensor only has {ndim} dimensions."
            )
        dims = tuple(range(ndim - len(s), ndim))
    else:
        dims = tuple(range(ndim))
    shape = x._array.shape
    sizes = (
        [shape[d] for d in dims]
        if s is None
        else [shape[d] if n == -1 else int(n) for n, d in zip(s, dims)]
    )
    for n in sizes:
        if n < 1:
            raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return dims, sizes


def _no_dims(dim: Sizes) -> tuple[int, ...]:
    for d in (dim,) if isinstance(dim, int) else dim:
        wrap_dim(d, 0, scalar_ok=False)
    return ()


def _fitted(x: Value, dims: Sequence[int], sizes: Sequence[int]) -> Value:
    for d, n in zip(dims, sizes):
        x = resized(x, d, n)
    return x


# ---- one dimension -------------------------------------------------------------------------


def _check_points(n: int) -> None:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")


def _complex_1d(name: str, x: Value, n: int | None, dim: int, norm: Norm, forward: bool) -> Value:
    x = _floating(name, x, True)
    dim, n = _one_dim(name, x, n, dim)
    n = x._array.shape[dim] if n is None else n
    _check_points(n)
    return c2c_op(resized(x, dim, n), (dim,), _norm(norm, forward), forward)


def _half_1d(name: str, x: Value, n: int | None, dim: int, norm: Norm, forward: bool) -> Value:
    x = _floating(name, x, False, True)
    dim, n = _one_dim(name, x, n, dim)
    n = x._array.shape[dim] if n is None else n
    _check_points(n)
    return r2c_op(resized(x, dim, n), (dim,), _norm(norm, forward), forward)


def _real_1d(name: str, x: Value, n: int | None, dim: int, norm: Norm, forward: bool) -> Value:
    x = _floating(name, x, True)
    dim, n = _one_dim(name, x, n, dim)
    n = 2 * (x._array.shape[dim] - 1) if n is None else n
    _check_points(n)
    x = resized(x, dim, n // 2 + 1)
    return c2r_op(x, (dim,), _norm(norm, forward), forward, n)


@accepts_out
def fft(input: Value, n: int | None = None, dim: int = -1, norm: Norm = None) -> Value:
    """``X[k] = sum_j x[j] exp(-2 pi i j k / n)`` along ``dim``, of the input cut or padded to
    ``n``. ``norm``: "backward" (no scale), "ortho" (1/sqrt(n)), "forward" (1/n)."""
    return _complex_1d("fft", input, n, dim, norm, True)


@accepts_out
def ifft(input: Value, n: int | None = None, dim: int = -1, norm: Norm = None) -> Value:
    """The inverse of ``fft``; "backward" divides by n here, "forward" does not."""
    return _complex_1d("ifft", input, n, dim, norm, False)


@accepts_out
def rfft(input: Value, n: int | None = None, dim: int = -1, norm: Norm = None) -> Value:
    """``fft`` of real input: the first ``n // 2 + 1`` elements, of which the others follow."""
    return _half_1d("rfft", input, n, dim, norm, True)


@accepts_out
def irfft(input: Value, n: int | None = None, dim: int = -1, norm: Norm = None) -> Value:
    """The inverse of ``rfft``: ``n`` real elements (default ``2 (m - 1)`` for m of the input)."""
    return _real_1d("irfft", input, n, dim, norm, False)


@accepts_out
def hfft(input: Value, n: int | None = None, dim: int = -1, norm: Norm = None) -> Value:
    """``fft`` of a Hermitian signal, of which the first half is given: ``n`` real elements."""
    return _real_1d("hfft", input, n, dim, norm, True)


@accepts_out
def ihfft(input: Value, n: int | None = None, dim: int = -1, norm: Norm = None) -> Value:
    """The inverse of ``hfft``: the first half of a Hermitian signal."""
    return _half_1d("ihfft", input, n, dim, norm, False)


# ---- several dimensions --------------------------------------------------------------------


def _complex_nd(name: str, x: Value, s: Sizes, dim: Sizes, norm: Norm, forward: bool) -> Value:
    x = _floating(name, x, True)
    dims, sizes = _many_dims(x, s, dim)
    x = _fitted(x, dims, sizes)
    return c2c_op(x, dims, _norm(norm, forward), forward)


def _half_nd(name: str, x: Value, s: Sizes, dim: Sizes, norm: Norm, forward: bool) -> Value:
    x = _floating(name, x, False, True)
    dims, sizes = _many_dims(x, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    return r2c_op(_fitted(x, dims, sizes), dims, _norm(norm, forward), forward)


def _real_nd(name: str, x: Value, s: Sizes, dim: Sizes, norm: Norm, forward: bool) -> Value:
    x = _floating(name, x, True)
    ndim = x._array.ndim
    if dim is None and s is None and not ndim:
        raise RuntimeError(f"{name} must transform at least one axis")
    open_end = s is None or (not isinstance(s, int) and len(s) and s[-1] == -1)
    if s is not None and not isinstance(s, int) and open_end:
        s = (*s[:-1], 1)
    dims, sizes = _many_dims(x, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    last = 2 * (x._array.shape[dims[-1]] - 1) if open_end else sizes[-1]
    _check_points(last)
    x = _fitted(x, dims, [*sizes[:-1], last // 2 + 1])
    return c2r_op(x, dims, _norm(norm, forward), forward, last)


@accepts_out
def fftn(input: Value, s: Sizes = None, dim: Sizes = None, norm: Norm = None) -> Value:
    """``fft`` along several dimensions (default: all, or the last ``len(s)``)."""
    return _complex_nd("fftn", input, s, dim, norm, True)


@accepts_out
def ifftn(input: Value, s: Sizes = None, dim: Sizes = None, norm: Norm = None) -> Value:
    """The inverse of ``fftn``."""
    return _complex_nd("ifftn", input, s, dim, norm, False)


@accepts_out
def rfftn(input: Value, s: Sizes = None, dim: Sizes = None, norm: Norm = None) -> Value:
    """``fftn`` of real input; the last dimension keeps the half that is not redundant."""
    return _half_nd("rfftn", input, s, dim, norm, True)


@accepts_out
def irfftn(input: Value, s: Sizes = None, dim: Sizes = None, norm: Norm = None) -> Value:
    """The inverse of ``rfftn``."""
    return _real_nd("irfftn", input, s, dim, norm, False)


@accepts_out
def hfftn(input: Value, s: Sizes = None, dim: Sizes = None, norm: Norm = None) -> Value:
    """``fftn`` of a Hermitian signal, of which half of the last dimension is given: real."""
    return _real_nd("hfftn", input, s, dim, norm, True)


@accepts_out
def ihfftn(input: Value, s: Sizes = None, dim: Sizes = None, norm: Norm = None) -> Value:
    """The inverse of ``hfftn``."""
    return _half_nd("ihfftn", input, s, dim, norm, False)


@accepts_out
def fft2(input: Value, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm = None) -> Value:
    """``fftn`` along the last two dimensions."""
    return _complex_nd("fft2", input, s, dim, norm, True)


@accepts_out
def ifft2(input: Value, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm = None) -> Value:
    """``ifftn`` along the last two dimensions."""
    return _complex_nd("ifft2", input, s, dim, norm, False)


@accepts_out
def rfft2(input: Value, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm = None) -> Value:
    """``rfftn`` along the last two dimensions."""
    return _half_nd("rfft2", input, s, dim, norm, True)


@accepts_out
def irfft2(input: Value, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm = None) -> Value:
    """``irfftn`` along the last two dimensions."""
    return _real_nd("irfft2", input, s, dim, norm, False)


@accepts_out
def hfft2(input: Value, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm = None) -> Value:
    """``hfftn`` along the last two dimensions."""
    return _real_nd("hfft2", input, s, dim, norm, True)


@accepts_out
def ihfft2(input: Value, s: Sizes = None, dim: Sizes = (-2, -1), norm: Norm = None) -> Value:
    """``ihfftn`` along the last two dimensions."""
    return _half_nd("ihfft2", input, s, dim, norm, False)


# ---- frequencies ---------------------------------------------------------------------------


def fftfreq(
    n: int,
    d: float = 1.0,
    *,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """The frequencies that ``fft`` of ``n`` samples, ``d`` apart, has: 0 1 ... -2 -1 over n d."""
    dtype = _dtypes.get_default_dtype() if dtype is None else dtype
    r = arange(n, dtype=dtype, device=device)
    array = r._array
    array[n - n // 2 :] -= n
    array *= 1.0 / (n * d)
    return _made(r, out, requires_grad)


def rfftfreq(
    n: int,
    d: float = 1.0,
    *,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """The frequencies that ``rfft`` of ``n`` samples, ``d`` apart, has: 0 1 ... n//2 over n d."""
    dtype = _dtypes.get_default_dtype() if dtype is None else dtype
    r = arange(n // 2 + 1, dtype=dtype, device=device)
    array = r._array
    array *= 1.0 / (n * d)
    return _made(r, out, requires_grad)


def _made(r: Value, out: Value | None, requires_grad: bool) -> Value:
    if out is not None:
        return out.resize_(r._array.shape).copy_(r)
    return r.requires_grad_() if requires_grad else r


def _shifted(x: Value, dim: Sizes, sign: int) -> Value:
    dims = tuple(range(x._array.ndim)) if dim is None else wrap_dims(dim, x._array.ndim)
    shape = x._array.shape
    shifts = [shape[d] // 2 if sign > 0 else (shape[d] + 1) // 2 for d in dims]
    return roll(x, tuple(shifts), dims) if dims else x.clone()


def fftshift(input: Value, dim: Sizes = None) -> Value:
    """The frequencies reordered from the most negative to the most positive."""
    return _shifted(input, dim, 1)


def ifftshift(input: Value, dim: Sizes = None) -> Value:
    """The inverse of ``fftshift``."""
    return _shifted(input, dim, -1)


__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2",
    "ifftn", "ifftshift", "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft",
    "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip
