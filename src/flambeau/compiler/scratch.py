"""Memory that kernels work in: one block for each thread, used again by its next kernel."""

from __future__ import annotations

import threading

import numpy as np

from ..core.value import address


class _Scratch(threading.local):
    array = np.empty(0, np.uint8)

    def address(self, elements: int, itemsize: int) -> int:
        """Where so many elements begin, at a multiple of 64; valid until this thread asks again."""
        size = elements * itemsize
        if self.array.size < size + 64:
            self.array = np.empty(size + 64, np.uint8)
        return -(-address(self.array) // 64) * 64


scratch = _Scratch()
