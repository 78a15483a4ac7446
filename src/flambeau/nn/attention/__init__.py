"""Which implementation of attention may run. Here there is one, and it is always allowed.

Source: https://docs.pytorch.org/docs/stable/nn.attention.html
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager

from ..._missing import missing as _missing
from . import bias, flex_attention

WARN_FOR_UNFUSED_KERNELS = False


class SDPBackend(enum.IntEnum):
    """PyTorch's implementations of ``scaled_dot_product_attention``."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(
    backends: SDPBackend | list[SDPBackend], set_priority: bool = False
) -> Iterator[None]:
    """Accepted: the implementation is the same whatever is chosen, and so is the result."""
    if not isinstance(backends, list | SDPBackend):
        raise AssertionError("Backend must be an instance of SDPBackend or a list of SDPBackend.")
    chosen = [backends] if isinstance(backends, SDPBackend) else backends
    for one in chosen:
        if not isinstance(one, SDPBackend):
            raise AssertionError(
                f"Backend must be an instance of SDPBackend, but got {type(one).__name__}"
            )
    yield


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
