"""Windows for spectra: bell-shaped sequences of numbers, made by formula.

``periodic`` windows (``sym=False`` in torch.signal.windows) are symmetric ones of one number more
whose last is left out, as spectra want them; symmetric ones are for filters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .. import _dtypes
from .._dtypes import dtype
from ..core.value import Value
from ..tensor._creation import finished


def made(
    formula: Callable[[np.ndarray, int], np.ndarray],
    length: int,
    periodic: bool,
    d: dtype | None,
    requires_grad: bool,
    device: object,
    layout: object,
) -> Value:
    """``formula(n, last)`` for n of 0 ... length - 1, where ``last`` ends a symmetric window."""
    d = _dtypes.get_default_dtype() if d is None else d
    if length < 2:
        values = np.ones(length)
    else:
        values = formula(np.arange(length, dtype=np.float64), length - 1 + periodic)
    return finished(values.astype(d.numpy), requires_grad, device, layout)


def cosines(*weights: float) -> Callable[[np.ndarray, int], np.ndarray]:
    """The formula ``w0 - w1 cos(x) + w2 cos(2 x) - ...``, with x from 0 to 2 pi."""

    def formula(n: np.ndarray, last: int) -> np.ndarray:
        x = n * (2 * np.pi / last)
        return sum((-1) ** i * w * np.cos(i * x) for i, w in enumerate(weights))

    return formula


def triangle(n: np.ndarray, last: int) -> np.ndarray:
    """Bartlett's window: a line up from 0, and down again."""
    return 1 - np.abs(2 * n / last - 1)


def bessel(beta: float) -> Callable[[np.ndarray, int], np.ndarray]:
    """Kaiser's window ``I0(beta sqrt(1 - x^2)) / I0(beta)``, with x from -1 to 1."""

    def formula(n: np.ndarray, last: int) -> np.ndarray:
        x = 2 * n / last - 1
        return np.i0(beta * np.sqrt(np.maximum(1 - x * x, 0))) / np.i0(beta)

    return formula


BLACKMAN = (0.42, 0.5, 0.08)
NUTTALL = (0.3635819, 0.4891775, 0.1365995, 0.0106411)


def _checked(
    name: str,
    formula: Callable[[np.ndarray, int], np.ndarray],
    length: int,
    periodic: bool,
    d: dtype | None,
    *rest: object,
) -> Value:
    if d is not None and not d.is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {d!r}")
    if length < 0:
        raise RuntimeError(
            f"{name} requires non-negative window_length, got window_length={length}"
        )
    return made(formula, length, periodic, d, *rest)


def bartlett_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``1 - |2 n / N - 1|``: a triangle."""
    return _checked(
        "bartlett_window", triangle, window_length, periodic, dtype, requires_grad, device, layout
    )


def blackman_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N)``."""
    formula = cosines(*BLACKMAN)
    return _checked(
        "blackman_window", formula, window_length, periodic, dtype, requires_grad, device, layout
    )


def hann_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``0.5 - 0.5 cos(2 pi n / N)``."""
    formula = cosines(0.5, 0.5)
    return _checked(
        "hann_window", formula, window_length, periodic, dtype, requires_grad, device, layout
    )


def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``alpha - beta cos(2 pi n / N)``."""
    formula = cosines(alpha, beta)
    return _checked(
        "hamming_window", formula, window_length, periodic, dtype, requires_grad, device, layout
    )


def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """``I0(beta sqrt(1 - (2 n / N - 1)^2)) / I0(beta)``."""
    formula = bessel(beta)
    return _checked(
        "kaiser_window", formula, window_length, periodic, dtype, requires_grad, device, layout
    )


def weights_of(a: Sequence[float], name: str) -> tuple[float, ...]:
    """The weights of a sum of cosines; TypeError or ValueError unless there is at least one."""
    if not isinstance(a, (list, tuple)) and not hasattr(a, "__iter__"):
        raise TypeError(f"{name}: Coefficients must be a list/tuple, got {type(a).__name__}")
    weights = tuple(float(w) for w in a)
    if not weights:
        raise ValueError(f"{name}: Coefficients cannot be empty")
    return weights


__all__ = [
    "bartlett_window",
    "blackman_window",
    "hamming_window",
    "hann_window",
    "kaiser_window",
]
