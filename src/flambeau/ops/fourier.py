"""The records of Fourier transforms: complex to complex, real to half of complex, and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import fft as _fft

from ..core.op import define
from ..core.value import Value

# ---- the three transforms, on arrays -------------------------------------------------------
# Every function of torch.fft is one of them after its arguments are put in order. ``norm`` says
# which direction NumPy divides by the number of elements: "backward", "ortho", "forward".


@np.errstate(all="ignore")
def _along(transform: Callable, x: np.ndarray, dims: tuple[int, ...], norm: str) -> np.ndarray:
    for d in dims:
        x = transform(x, axis=d, norm=norm)
    return x


def _c2c(x: np.ndarray, dims: tuple[int, ...], norm: str, forward: bool) -> np.ndarray:
    return _along(_fft.fft if forward else _fft.ifft, x, dims, norm)


@np.errstate(all="ignore")
def _r2c(x: np.ndarray, dims: tuple[int, ...], norm: str, forward: bool) -> np.ndarray:
    """Of real input the half that is not redundant, in the last of ``dims``."""
    if forward:
        r = _fft.rfft(x, axis=dims[-1], norm=norm)
        return _along(_fft.fft, r, dims[:-1], norm)
    r = np.conj(_fft.rfft(x, axis=dims[-1], norm=OTHER[norm]))
    return _along(_fft.ifft, r, dims[:-1], norm)


@np.errstate(all="ignore")
def _c2r(x: np.ndarray, dims: tuple[int, ...], norm: str, forward: bool, last: int) -> np.ndarray:
    """The real result of ``last`` elements from the half that is not redundant."""
    if forward:
        x = _along(_fft.fft, x, dims[:-1], norm)
        return _fft.irfft(np.conj(x), last, axis=dims[-1], norm=OTHER[norm])
    x = _along(_fft.ifft, x, dims[:-1], norm)
    return _fft.irfft(x, last, axis=dims[-1], norm=norm)


#: NumPy's names say which direction is divided; seen from the other direction they change places.
OTHER = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def resized(x: Value, dim: int, n: int) -> Value:
    """``x`` cut to ``n`` elements along ``dim``, or with zeros after its end."""
    size = x._array.shape[dim]
    if n == size:
        return x
    if n < size:
        return x.narrow(dim, 0, n)
    shape = list(x._array.shape)
    shape[dim] = n
    return x.new_zeros(shape).slice_scatter(x, dim, 0, size)


# ---- records -------------------------------------------------------------------------------
# The gradient of a transform is the transform in the other direction, without its scale.


def _c2c_vjp(g: Value, dims: tuple[int, ...], norm: str, forward: bool) -> Value:
    return c2c_op(g, dims, OTHER[norm], not forward)


def _r2c_vjp(g: Value, x_shape: tuple, dims: tuple[int, ...], norm: str, forward: bool) -> Value:
    d, n = dims[-1], x_shape[dims[-1]]
    half = g._array.shape[d]
    if n > half:  # the redundant half does not count
        g = resized(g, d, n)
    return c2c_op(g, dims, OTHER[norm], not forward).real


def _c2r_vjp(
    g: Value, x_shape: tuple, dims: tuple[int, ...], norm: str, forward: bool, last: int
) -> Value:
    d = dims[-1]
    r = r2c_op(g, dims, OTHER[norm], not forward)
    twice = last - x_shape[d] if last - x_shape[d] > 0 else 0
    if twice:  # all but the ends stand for two elements of the whole
        weight = np.ones(x_shape[d], g._array.dtype)
        weight[1 : 1 + twice] = 2
        weight = weight.reshape([-1 if i == d else 1 for i in range(r._array.ndim)])
        r = r * g.new_tensor(weight)
    return r


c2c_op = define("fft_c2c", _c2c, {"x": _c2c_vjp})
r2c_op = define("fft_r2c", _r2c, {"x": _r2c_vjp})
c2r_op = define("fft_c2r", _c2r, {"x": _c2r_vjp})
