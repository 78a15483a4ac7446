"""Products of two matrices on the crew's threads, each a product of BLAS on one thread.

BLAS has threads of its own, which stay awake for a while after each product, as the crew's do:
two sets of them would take the processors from each other.
"""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from .. import _system
from ..core import threads
from ..core.value import address
from . import machine_code
from .builder import I64, PTR, Code, Value, vector_of
from .crew import crew
from .rows_kernels import lanes_of
from .rows_text import row_pass

_POINTER, _INDEX = ctypes.c_void_p, ctypes.c_int64
_KINDS = {np.dtype(np.float32): ("float", "s"), np.dtype(np.float64): ("double", "d")}
_PLAIN, _TURNED, _ROW_MAJOR = 111, 112, 101  # of the C interface to BLAS


def _text(element: str, letter: str) -> str:
    """Rows or columns ``start`` to ``stop`` of c (m, n) = a (m, k) b (k, n), plus ``bias`` (n)
    where that is no null pointer, while c is in the cache.

    ``step_a``, ``step_b``, ``step_c``: from one to the next, in elements of each array.
    """
    given = ", ".join(
        ["ptr %a", "ptr %b", "ptr %c", "ptr %bias"]
        + [f"i64 %{name}" for name in ("rows", "turned_a", "turned_b", "m", "n", "k")]
        + [f"i64 %{name}" for name in ("lead_a", "lead_b", "lead_c", "step_a", "step_b", "step_c")]
    )
    moved = "\n".join(
        f"  %skip_{x} = mul i64 %start, %step_{x}\n"
        f"  %from_{x} = getelementptr {element}, ptr %{x}, i64 %skip_{x}"
        for x in "abc"
    )
    return f"""
declare void @flambeau_{letter}gemm(i32, i32, i32, INT, INT, INT,
    {element}, ptr, INT, ptr, INT, {element}, ptr, INT)

define void @kernel({given}, i64 %start, i64 %stop) {{
entry:
{moved}
  %length = sub i64 %stop, %start
  %by_rows = icmp ne i64 %rows, 0
  %own_m = select i1 %by_rows, i64 %length, i64 %m
  %own_n = select i1 %by_rows, i64 %n, i64 %length
  %form_a = trunc i64 %turned_a to i32
  %form_b = trunc i64 %turned_b to i32
  WIDTHS
  call void @flambeau_{letter}gemm(i32 {_ROW_MAJOR}, i32 %form_a, i32 %form_b,
      INT %size_own_m, INT %size_own_n, INT %size_k, {element} 1.0, ptr %from_a, INT %size_lead_a,
      ptr %from_b, INT %size_lead_b, {element} 0.0, ptr %from_c, INT %size_lead_c)
  %some = icmp ne ptr %bias, null
  br i1 %some, label %more, label %done
more:
  %skip_bias = select i1 %by_rows, i64 0, i64 %start
  %from_bias = getelementptr {element}, ptr %bias, i64 %skip_bias
  call void @added(ptr %from_c, ptr %from_bias, i64 %own_m, i64 %own_n, i64 %lead_c)
  br label %done
done:
  ret void
}}
"""


def _added_text(element: str) -> str:
    """``added(c, bias, rows, columns, step)``: the bias is added to each row."""
    code = Code("added", {"c": PTR, "bias": PTR, "rows": I64, "columns": I64, "step": I64})

    def row(r: Value) -> None:
        c = code.at(code["c"], element, r * code["step"])

        def some(lanes: int, i: Value) -> None:
            kind = vector_of(element, lanes)
            code.store(code.load(kind, c, i) + code.load(kind, code["bias"], i), c, i)

        row_pass(code, lanes_of(element), 0, code["columns"], some)

    code.loop(0, code["rows"], row)
    return code.text()


@functools.cache
def _kernel(dtype: np.dtype) -> machine_code.Task:
    wide = bool(_system.blas().suffix)
    cast = "add i64 %{0}, 0" if wide else "trunc i64 %{0} to i32"
    names = ("own_m", "own_n", "k", "lead_a", "lead_b", "lead_c")
    widths = "\n  ".join(f"%size_{name} = {cast.format(name)}" for name in names)
    text = _text(*_KINDS[dtype]).replace("WIDTHS", widths)
    text = f"{_added_text(_KINDS[dtype][0])}\n{text}"
    return machine_code.load(text, [_POINTER] * 4 + [_INDEX] * 14)


def _laid(a: np.ndarray) -> tuple[int, int, int, int] | None:
    """(form, leading dimension, step of rows, step of columns), in elements; None where the matrix
    is neither of rows nor of columns without gaps."""
    size = a.itemsize
    rows, columns = a.strides
    if rows % size or columns % size:
        return None
    rows, columns = rows // size, columns // size
    if columns == 1 and rows >= a.shape[1]:
        return _PLAIN, rows, rows, columns
    if rows == 1 and columns >= a.shape[0]:
        return _TURNED, columns, rows, columns
    return None


def dot(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray | None:
    """The product of two matrices with more than one row and column each, plus ``bias`` in each
    row, by all threads; None where it has to be NumPy's."""
    dtype = a.dtype
    count = threads.at_hand()
    if count == 1 or dtype not in _KINDS or b.dtype != dtype or _system.blas() is None:
        return None
    (m, k), n = a.shape, b.shape[1]
    laid_a, laid_b = _laid(a), _laid(b)
    if laid_a is None or laid_b is None or b.shape[0] != k or min(m, n, k) < 2:
        return None
    if bias is not None and (bias.dtype, bias.shape, bias.strides) != (dtype, (n,), (a.itemsize,)):
        return None
    c = np.empty((m, n), dtype)
    by_rows = m >= n
    steps = (laid_a[2], 0, n) if by_rows else (0, laid_b[3], 1)
    given = [None if x is None else address(x) for x in (a, b, c, bias)]
    given += (int(by_rows), laid_a[0], laid_b[0], m, n, k, laid_a[1], laid_b[1], n, *steps)
    with threads.blas_on_one_thread():
        crew().spread(_kernel(dtype), given, m if by_rows else n, 16, count)
    return c
