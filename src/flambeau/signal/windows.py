"""Windows for filters and spectra: PyTorch's ``torch.signal.windows``.

Every window has ``M`` numbers; ``sym=False`` makes it periodic, for spectra.
Source: https://docs.pytorch.org/docs/stable/signal.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from .. import _dtypes
from .._dtypes import dtype
from ..core.value import Value
from ..functions.windows import BLACKMAN, NUTTALL, bessel, cosines, made, triangle, weights_of
from ..tensor._device import strided


def _window(
    name: str,
    formula: Callable[[np.ndarray, int], np.ndarray],
    M: int,
    sym: bool,
    d: dtype | None,
    requires_grad: bool,
    device: object,
    layout: object,
) -> Value:
    d = _dtypes.get_default_dtype() if d is None else d
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if d not in (_dtypes.float32, _dtypes.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {d!r}")
    if layout is not None and layout is not strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    return made(formula, M, not sym, d, requires_grad, device, layout)


def bartlett(
    M: int,
    *,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """A triangle: ``1 - |2 n / N - 1|``."""
    return _window("bartlett", triangle, M, sym, dtype, requires_grad, device, layout)


def blackman(
    M: int,
    *,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N)``."""
    return _window("blackman", cosines(*BLACKMAN), M, sym, dtype, requires_grad, device, layout)


def cosine(
    M: int,
    *,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """Half a wave: ``sin(pi (n + 0.5) / (N + 1))``."""

    def formula(n: np.ndarray, last: int) -> np.ndarray:
        return np.sin((n + 0.5) * (np.pi / (last + 1)))

    return _window("cosine", formula, M, sym, dtype, requires_grad, device, layout)


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``exp(-|n - center| / tau)``; the center (default: the middle) only if not ``sym``."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")

    def formula(n: np.ndarray, last: int) -> np.ndarray:
        return np.exp(-np.abs(n - (last / 2 if center is None else center)) / tau)

    return _window("exponential", formula, M, sym, dtype, requires_grad, device, layout)


def gaussian(
    M: int,
    *,
    std: float = 1.0,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``exp(-((n - N / 2) / std)^2 / 2)``."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")

    def formula(n: np.ndarray, last: int) -> np.ndarray:
        return np.exp(-0.5 * ((n - last / 2) / std) ** 2)

    return _window("gaussian", formula, M, sym, dtype, requires_grad, device, layout)


def hamming(
    M: int,
    *,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``0.54 - 0.46 cos(2 pi n / N)``."""
    return _window("hamming", cosines(0.54, 0.46), M, sym, dtype, requires_grad, device, layout)


def hann(
    M: int,
    *,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``0.5 - 0.5 cos(2 pi n / N)``."""
    return _window("hann", cosines(0.5, 0.5), M, sym, dtype, requires_grad, device, layout)


def kaiser(
    M: int,
    *,
    beta: float = 12.0,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``I0(beta sqrt(1 - (2 n / N - 1)^2)) / I0(beta)``."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return _window("kaiser", bessel(beta), M, sym, dtype, requires_grad, device, layout)


def nuttall(
    M: int,
    *,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """The sum of four cosines with Nuttall's weights, of least side lobes."""
    return _window("nuttall", cosines(*NUTTALL), M, sym, dtype, requires_grad, device, layout)


def general_cosine(
    M: int,
    *,
    a: Iterable[float],
    sym: bool = True,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N) - ...``."""
    formula = cosines(*weights_of(a, "general_cosine"))
    return _window("general_cosine", formula, M, sym, dtype, requires_grad, device, layout)


def general_hamming(
    M: int,
    *,
    alpha: float = 0.54,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``alpha - (1 - alpha) cos(2 pi n / N)``."""
    return _window(
        "general_hamming", cosines(alpha, 1 - alpha), M, sym, dtype, requires_grad, device, layout
    )


__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine",
    "general_hamming", "hamming", "hann", "kaiser", "nuttall",
]  # fmt: skip
