"""The kernels of eager operations in the loop language: one for arrays of every size.

The result is buffer 0, the operands follow; all are contiguous.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .kernel import COUNT, WIDTH, Kernel, Load, Pass, Reduction, Size, Store
from .scalar import Scalar, input, reduced
from .scalar_functions import exp_below, log


def elementwise(
    rule: Callable[..., Scalar],
    dtypes: Sequence[np.dtype],
    rest: Sequence[object] = (),
    streams: bool = False,
) -> Kernel:
    """``rule`` of each element, flat.

    ``dtypes`` of the operands; what ``rest`` holds comes after them, and is fixed in the kernel.
    """
    operands = [input(place, dtype) for place, dtype in enumerate(dtypes)]
    root = rule(*operands, *rest)
    steps = (1,)
    loads = [Load(1 + place, dtype, steps, 0) for place, dtype in enumerate(dtypes)]
    stores = [Store(0, steps, 0, root)]
    buffers, passes = [root.dtype, *dtypes], [Pass(stores=stores)]
    return Kernel((), (WIDTH,), buffers, loads, passes, [], streams=streams)


# ---- rows ----------------------------------------------------------------------------------

_STEPS: tuple[Size, ...] = (WIDTH, 1)  # of everything: element (r, c) is at r * width + c


def _rows(dtype: np.dtype, operands: int, passes: list[Pass], slots: int) -> Kernel:
    """``input(k)`` is operand k of the row, ``input(operands)`` what the result holds so far."""
    loads = [Load(k + 1, dtype, _STEPS, 0) for k in range(operands)]
    loads.append(Load(0, dtype, _STEPS, 0))
    buffers = [dtype] * (1 + operands)
    return Kernel((COUNT,), (WIDTH,), buffers, loads, passes, [dtype] * slots)


def _result(term: Scalar) -> list[Store]:
    return [Store(0, _STEPS, 0, term)]


# A nan is passed over by the largest: the sum is nan, and so is the row.


def _softmax(dtype: np.dtype) -> Kernel:
    x, kept = input(0, dtype), input(1, dtype)
    largest, total, factor = (reduced(slot, dtype) for slot in range(3))
    e = exp_below(x - largest)
    passes = [
        Pass([], [Reduction(0, "largest", x)]),
        Pass([], [Reduction(1, "sum", e)], _result(e)),
        Pass([(2, 1 / total)], [], _result(kept * factor)),
    ]
    return _rows(dtype, 1, passes, 3)


def _log_softmax(dtype: np.dtype) -> Kernel:
    x = input(0, dtype)
    largest, total, log_total = (reduced(slot, dtype) for slot in range(3))
    passes = [
        Pass([], [Reduction(0, "largest", x)]),
        Pass([], [Reduction(1, "sum", exp_below(x - largest))]),
        Pass([(2, log(total))], [], _result(x - largest - log_total)),
    ]
    return _rows(dtype, 1, passes, 3)


def _softmax_backward(dtype: np.dtype) -> Kernel:
    grad, y = input(0, dtype), input(1, dtype)
    total = Reduction(0, "sum", grad * y)
    passes = [Pass([], [total]), Pass([], [], _result((grad - reduced(0, dtype)) * y))]
    return _rows(dtype, 2, passes, 1)


def _log_softmax_backward(dtype: np.dtype) -> Kernel:
    grad, y = input(0, dtype), input(1, dtype)
    result = _result(grad - exp_below(y) * reduced(0, dtype))
    return _rows(dtype, 2, [Pass([], [Reduction(0, "sum", grad)]), Pass([], [], result)], 1)


#: Operations along the rows of a matrix: name -> its kernel for a dtype.
ROW_KERNELS: dict[str, Callable[[np.dtype], Kernel]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "softmax_backward_data": _softmax_backward,
    "log_softmax_backward_data": _log_softmax_backward,
}
