"""``torch.backends.nnpack``: a library that is not there. Its flag changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


def is_available() -> bool:
    """Whether the library is there: no."""
    return False


def set_flags(_enabled: bool) -> tuple[bool]:
    """Accepted; what it was before: off."""
    return (False,)


@contextlib.contextmanager
def flags(enabled: bool = False) -> Iterator[None]:
    """A scope that changes nothing."""
    yield
