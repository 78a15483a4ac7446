"""Matrix products by cuBLAS, called by its own interface: CuPy refuses its calls while a graph is
recorded. Source: https://docs.nvidia.com/cuda/cublas/"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

_LIBRARIES = (
    ("cublas64_13.dll", "cublas64_12.dll")
    if sys.platform == "win32"
    else ("libcublas.so.13", "libcublas.so.12")
)
_WORKSPACE = 32 << 20  # bytes; what NVIDIA recommends for its newest GPUs
_LETTERS = {"f": "S", "d": "D"}
_TAKES = {"i": ctypes.c_int, "l": ctypes.c_longlong, "p": ctypes.c_void_p}
#: What the functions take after the handle: integers, long steps, pointers.
_FUNCTIONS = {
    "cublas{}gemm_v2": "iiiii p pi pi p pi",
    "cublas{}gemmStridedBatched": "iiiii p pil pil p pil i",
    "cublas{}gemmBatched": "iiiii p pi pi p pi i",
}


class Products:
    """``products(a, b, out)``: ``out = a @ b`` on CuPy's arrays of float32 or float64.

    The last two dimensions of ``a`` and ``b`` lie in rows or in columns, ``out`` is dense. All
    calls share one piece of memory to work in, and go to CuPy's current stream.
    """

    def __init__(self, xp: ModuleType) -> None:
        self.xp = xp
        xp.cuda.Device().cublas_handle  # noqa: B018  (CuPy finds the library, wherever it is)
        library = _loaded()
        self.calls: dict[tuple[str, str], Any] = {}
        for name, takes in _FUNCTIONS.items():
            for char, letter in _LETTERS.items():
                call = getattr(library, name.format(letter))
                call.argtypes = [ctypes.c_void_p, *[_TAKES[t] for t in takes.replace(" ", "")]]
                self.calls[name, char] = call
        self.handle = ctypes.c_void_p()
        _checked(library.cublasCreate_v2(ctypes.byref(self.handle)))
        self.workspace = xp.cuda.alloc(_WORKSPACE)
        self.set_stream = library.cublasSetStream_v2
        self.set_stream.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self.set_workspace = library.cublasSetWorkspace_v2
        self.set_workspace.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        self.stream: int | None = None
        self.numbers = [np.array([1, 0], dtype) for dtype in (np.float32, np.float64)]
        self.factors = {
            n.dtype.char: (n.ctypes.data, n.ctypes.data + n.itemsize) for n in self.numbers
        }
        self.lists: dict[tuple, Any] = {}  # of matrices that one call takes, never given back

    def __call__(self, a: Any, b: Any, out: Any) -> None:
        """cuBLAS counts columns first: it is asked for out' = b' a'."""
        stream = self.xp.cuda.get_current_stream().ptr
        if stream != self.stream:
            _checked(self.set_stream(self.handle, stream))
            _checked(self.set_workspace(self.handle, self.workspace.ptr, _WORKSPACE))
            self.stream = stream
        size, char = out.dtype.itemsize, out.dtype.char
        m, n = out.shape[-2:]
        turned_b, b_step = _as_columns(b, size)
        turned_a, a_step = _as_columns(a, size)
        one, zero = self.factors[char]
        head = (self.handle, turned_b, turned_a, n, m, a.shape[-1], one)
        batch = [d for d in range(out.ndim - 2) if out.shape[d] > 1]
        if not batch:
            call = self.calls["cublas{}gemm_v2", char]
            places = (b.data.ptr, b_step, a.data.ptr, a_step, zero, out.data.ptr, n)
            _checked(call(*head, *places))
            return
        count = 1
        for d in batch:
            count *= out.shape[d]
        b_next, a_next = _one_step(b, batch), _one_step(a, batch)
        if a_next is not None and b_next is not None:
            call = self.calls["cublas{}gemmStridedBatched", char]
            b_place = (b.data.ptr, b_step, b_next // size)
            a_place = (a.data.ptr, a_step, a_next // size)
            _checked(call(*head, *b_place, *a_place, zero, out.data.ptr, n, m * n, count))
            return
        lists = [self._listed(x, batch) for x in (b, a, out)]  # each stays until they are used
        b_list, a_list, out_list = [x.data.ptr for x in lists]
        call = self.calls["cublas{}gemmBatched", char]
        _checked(call(*head, b_list, b_step, a_list, a_step, zero, out_list, n, count))

    def _listed(self, x: Any, batch: Sequence[int]) -> Any:
        """The addresses of the matrices in ``x``, on the device."""
        shape = tuple([x.shape[d] for d in batch])
        key = (x.data.ptr, shape, tuple([x.strides[d] for d in batch]))
        found = self.lists.get(key)
        if found is None:
            xp = self.xp
            found = xp.full(shape, x.data.ptr, np.int64)
            for k, d in enumerate(batch):
                along = [-1 if j == k else 1 for j in range(len(shape))]
                found = found + (xp.arange(shape[k]) * x.strides[d]).reshape(along)
            if not xp.cuda.get_current_stream().is_capturing():  # else it is not filled yet
                self.lists[key] = found
        return found


def _loaded() -> ctypes.CDLL:
    for name in _LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise RuntimeError(
        f"products on cuda need cuBLAS ({' or '.join(_LIBRARIES)}), which is missing"
    )


def _checked(status: int) -> None:
    if status:
        raise RuntimeError(f"CUDA error: a call of cuBLAS failed with status {status}")


def _as_columns(x: Any, size: int) -> tuple[int, int]:
    """A matrix as cuBLAS takes it, seen with rows and columns exchanged: 0 where that is how it
    lies, 1 where it must be turned, and the step from one column to the next."""
    m, n = x.shape[-2:]
    rows, cols = [s // size for s in x.strides[-2:]]
    if (cols == 1 or n == 1) and (rows >= n or m == 1):
        return 0, max(rows, n, 1) if m > 1 else max(n, 1)
    return 1, max(cols, m, 1) if n > 1 else max(m, 1)


def _one_step(x: Any, batch: Sequence[int]) -> int | None:
    """The bytes from one matrix to the next, if they are the same for all."""
    for outer, inner in zip(batch, batch[1:]):
        if x.strides[outer] != x.strides[inner] * x.shape[inner]:
            return None
    return x.strides[batch[-1]]
