"""Pooling as parts of a program: the functions of ``pool_text``, which eager's routines call, too.

Means over everything are sums and maps, which become one kernel with what is around them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..ops import _pool_arrays
from ..ops._axis_maps import AxisMap
from . import pool_kernels, pool_text
from .arrays import Part
from .graph import Call
from .layer_code import Operand, Recipe, Result, Step, filled, in_memory
from .lowering import Lazy, Lowering, Refused, expanded, reduced
from .lowering_convolution import element_of, sizes_text
from .lowering_rules import rule
from .rows_kernels import lanes_of

# ---- maxima --------------------------------------------------------------------------------


@rule("max_pool2d_with_indices", "max_pool3d_with_indices")
def _max_pool(lowering: Lowering, node: Call) -> list[Lazy]:
    x, kernel, stride, padding, dilation, ceil_mode = node.args
    element = element_of(x)
    dims, outs = len(kernel), node.outs[0].shape[len(x.shape) - len(kernel) :]
    sizes = x.shape[len(x.shape) - dims :]
    settings = tuple(kernel), tuple(stride), tuple(padding), tuple(dilation)
    if not pool_kernels.covers(sizes, outs, *settings):
        raise Refused("windows that the kernel does not know")

    def plain(x: np.ndarray) -> Sequence[np.ndarray]:
        return _pool_arrays.max_pool(x, *settings, ceil_mode)

    quick = stride[-1] if stride[-1] in (1, 2) and dilation[-1] == 1 else 0
    text = pool_text.maximum(element, lanes_of(element), pool_kernels.three(kernel, 1), quick)
    table = pool_kernels.table(sizes, outs, *settings)
    given = (Result(), Result(part=0), Operand(0), table)
    planes = math.prod(x.shape[: len(x.shape) - dims])
    size = math.prod(node.outs[0].shape)
    recipe = Recipe(
        f"maxima over {sizes_text(kernel)} of {sizes_text(x.shape)}",
        (Step(text, given, planes),), plain, (x.shape,), nanoseconds=size * math.prod(kernel) * 0.4,
    )  # fmt: skip
    shape = node.outs[0].shape
    return filled(
        shape, x.dtype, [in_memory(lowering.of(x))], recipe, [(shape, node.outs[1].dtype)]
    )


@rule("max_pool_backward")
def _max_pool_backward(lowering: Lowering, node: Call) -> Lazy:
    grad, indices, sizes = node.args
    element = element_of(grad)
    where = in_memory(lowering.of(indices))
    made = where.read.array
    if not (isinstance(made, Part) and made.note.startswith("maxima")):
        raise Refused("positions that may be outside")
    sizes = tuple(sizes)
    dims = len(sizes)
    lead = grad.shape[: len(grad.shape) - dims]
    planes, size, count = (
        math.prod(n) for n in (lead, sizes, grad.shape[len(grad.shape) - dims :])
    )

    def plain(grad: np.ndarray, where: np.ndarray) -> list[np.ndarray]:
        return [_pool_arrays.pooled_scatter(grad, where, sizes), np.zeros(1, np.int64)]

    given = (Result(), Result(part=0), Operand(0), Operand(1), size, count)
    recipe = Recipe(
        f"gradient of maxima to {sizes_text((*lead, *sizes))}",
        (Step(pool_text.scatter(element), given, planes),), plain, (grad.shape, indices.shape),
        nanoseconds=planes * (size * 0.2 + count * 1.5),
    )  # fmt: skip
    operands = [in_memory(lowering.of(grad)), where]
    shape = (*lead, *sizes)
    return filled(shape, grad.dtype, operands, recipe, [((1,), np.dtype(np.int64))])[0]


# ---- means ---------------------------------------------------------------------------------


def _sums(
    lowering: Lowering,
    node: Call,
    maps: Sequence[AxisMap],
    counts: Sequence[np.ndarray],
    turned: bool,
    plain: Callable[[np.ndarray], np.ndarray],
) -> Lazy:
    """The maps along the last axes of the first operand, divided by ``counts`` of their rows;
    ``turned``: the gradient, which goes the other way."""
    x, shape = node.args[0], node.outs[0].shape
    element = element_of(x)
    if len(maps) > 3 or any(m.counts.min() == 0 for m in maps):
        raise Refused("windows in which nothing is")
    table = pool_kernels.sums_table(maps, counts, turned)
    planes = math.prod(shape[: len(shape) - len(maps)])
    entries = math.prod(int(m.counts.sum()) for m in maps)
    recipe = Recipe(
        f"means over windows, {sizes_text(x.shape)} to {sizes_text(shape)}",
        (Step(pool_text.sums(element), (Result(), Operand(0), table), planes),),
        lambda x: [plain(x)], (x.shape,), nanoseconds=planes * entries * 1.5,
    )  # fmt: skip
    return filled(shape, x.dtype, [in_memory(lowering.of(x))], recipe)[0]


@rule("avg_pool2d", "avg_pool3d")
def _avg_pool(lowering: Lowering, node: Call) -> Lazy:
    x, *settings = node.args
    maps, counts = _pool_arrays.averages(x.shape[len(x.shape) - len(settings[0]) :], *settings)
    return _sums(lowering, node, maps, counts, False, lambda x: _pool_arrays.avg_pool(x, *settings))


@rule("avg_pool2d_backward", "avg_pool3d_backward")
def _avg_pool_backward(lowering: Lowering, node: Call) -> Lazy:
    _, sizes, *settings = node.args
    maps, counts = _pool_arrays.averages(sizes, *settings)

    def plain(grad: np.ndarray) -> np.ndarray:
        return _pool_arrays.avg_pool_gradient(grad, sizes, *settings)

    return _sums(lowering, node, maps, counts, True, plain)


@rule("adaptive_avg_pool2d", "adaptive_avg_pool3d")
def _adaptive_avg_pool(lowering: Lowering, node: Call) -> Lazy:
    x, outs = node.args
    sizes = x.shape[len(x.shape) - len(outs) :]
    if math.prod(outs) == 1:
        element_of(x)
        return reduced("sum", lowering.of(x), range(-len(outs), 0)) / math.prod(sizes)
    maps, counts = _pool_arrays.parts(sizes, outs)

    def plain(x: np.ndarray) -> np.ndarray:
        return _pool_arrays.adaptive_avg_pool(x, outs)

    return _sums(lowering, node, maps, counts, False, plain)


@rule("adaptive_avg_pool2d_backward", "adaptive_avg_pool3d_backward")
def _adaptive_avg_pool_backward(lowering: Lowering, node: Call) -> Lazy:
    grad, sizes = node.args
    outs = grad.shape[len(grad.shape) - len(sizes) :]
    if math.prod(outs) == 1:
        element_of(grad)
        return expanded(lowering.of(grad) / math.prod(sizes), node.outs[0].shape)
    maps, counts = _pool_arrays.parts(sizes, outs)

    def plain(grad: np.ndarray) -> np.ndarray:
        return _pool_arrays.adaptive_avg_pool_gradient(grad, sizes)

    return _sums(lowering, node, maps, counts, True, plain)
