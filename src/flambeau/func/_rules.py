"""How each operation runs on a batch: with one dimension more, in front.

A rule gets ``(level, op, plain, args)`` and returns the result on inner tensors, the batch first
(a tuple of them for several results), or NotImplemented. An operation without a rule is run once
for each example, with a warning: ``loops``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..core.op import Op
from ..core.value import Value
from ..ops.joining import stack
from ..ops.products import matmul
from ..ops.views import view_as_complex, view_as_real
from ._batch import ALL, Level

Rule = Callable[[Level, Op, Callable, tuple], Any]
rules: dict[str, Callable] = {}  # by the name of the record


def rule(names: str) -> Callable[[Rule], Rule]:
    """Decorator: the rule of the records with these names."""

    def enter(function: Rule) -> Rule:
        for name in names.split():
            rules[name] = function
        return function

    return enter


def _ndim(value: Value) -> int:
    return value._array.ndim


# ---- no rule -------------------------------------------------------------------------------------

_told: set[str] = set()
# Records whose forward writes into the first operand, which they have to themselves.
_WRITES = frozenset(
    """index_put scatter scatter_add scatter_reduce index_reduce index_add index_copy index_fill
    put masked_scatter""".split()
)


def loops(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    """The operation once for each example, and the results stacked."""
    if op.name not in _told:
        _told.add(op.name)
        warnings.warn(
            f"There is a performance drop because we have not yet implemented the batching rule "
            f"for {op.name}. It runs once for each of the {level.size} examples.",
            stacklevel=4,
        )
    columns = []
    for a in args:
        if type(a) in (tuple, list):
            columns.append([type(a)(row) for row in zip(*map(level.examples, a))])
        else:
            columns.append(level.examples(a))
    columns = [c or [()] * level.size for c in columns]
    if op.name in _WRITES and level.shared(args[0]):
        columns[0] = [v.clone() for v in columns[0]]
    rows = [level.call(op, plain, row) for row in zip(*columns, strict=True)]
    if type(rows[0]) is tuple:
        return tuple([_stacked(op, column) for column in zip(*rows, strict=True)])
    return _stacked(op, rows)


def _stacked(op: Op, rows: Sequence[Value]) -> Value:
    if any(r._array.shape != rows[0]._array.shape for r in rows):
        shapes = ", ".join(dict.fromkeys(str(tuple(r._array.shape)) for r in rows))
        raise RuntimeError(
            "vmap: We do not support batching operators that can support dynamic shape. Attempting "
            f"to batch over {op.name}.\n  its results differ in shape between examples: {shapes}"
        )
    return stack(tuple(rows), 0)


# ---- elementwise ---------------------------------------------------------------------------------


@rule(
    """unary binary where masked_fill masked_fill_tensor split_ties clamp_backward clamp
    clamp_tensor nan_to_num logit round_decimals nextafter frexp to_copy isclose addcmul
    addcdiv lerp lerp_tensor fill fill_tensor zero threshold_backward threshold
    leaky_relu_backward leaky_relu hardtanh_backward hardtanh hardshrink_backward hardshrink
    softshrink_backward softshrink softplus_backward softplus elu_backward elu complex polar
    polygamma mvlgamma"""
)
def _elementwise(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    ndim = max(_ndim(a) for a in args if isinstance(a, Value))
    return level.call(op, plain, tuple([level.lined(a, ndim) for a in args]))


@rule("clone")
def _clone(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    return level.call(op, plain, (level.whole(args[0]), None))


@rule(
    """tril triu linalg_solve_ex linalg_inv_ex linalg_det linalg_slogdet linalg_matrix_exp
    linalg_cholesky_ex linalg_qr linalg_lu_factor_ex linalg_solve_triangular cholesky_solve
    linalg_eigh linalg_eigvalsh linalg_eig linalg_eigvals linalg_svd linalg_svdvals
    linalg_householder_product _euclidean_dist"""
)
def _matrices(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    """Operations on the last two dimensions of their tensors."""
    tensors = [a for a in args if isinstance(a, Value)]
    if len({_ndim(a) for a in tensors}) > 1:
        return NotImplemented
    whole = [level.whole(a) if isinstance(a, Value) else a for a in args]
    return level.call(op, plain, tuple(whole))


# ---- along dimensions ----------------------------------------------------------------------------


@rule(
    """sum mean nansum prod prod_all logsumexp amax amin max_all min_all all any max min argmax
    argmin var std var_mean std_mean linalg_vector_norm sort argsort topk median nanmedian
    kthvalue mode cumsum reverse_cumsum cumprod cummax cummin logcumsumexp softmax
    log_softmax softmax_backward_data log_softmax_backward_data flip glu split
    split_with_sizes unsafe_split unbind fft_c2c fft_r2c fft_c2r linalg_cross pick
    expand_reduced value_selecting_reduction_backward rot90"""
)
def _along(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    """The parameters ``dim`` and ``dims`` count one more, and ``shape`` has the batch in front."""
    tensors = [a for a in args if isinstance(a, Value)]
    ndim = max(map(_ndim, tensors))
    place = op.params.index("dims" if "dims" in op.params else "dim")
    if "shape" in op.params:  # the shape of the result
        at = op.params.index("shape")
        ndim = len(args[at])
        args = (*args[:at], (level.size, *args[at]), *args[at + 1 :])
    elif len({_ndim(t) for t in tensors}) > 1 and op.name != "pick":
        return NotImplemented
    dim = args[place]
    if ndim == 0:
        if op.name == "expand_reduced":
            return level.whole(args[0]).to(level.inside(args[0])[0].dtype)
        return NotImplemented
    if dim is None or (dim == () and op.name in ("sum", "mean", "nansum", "expand_reduced")):
        dim = tuple(range(ndim))
    if isinstance(dim, tuple):
        dim = tuple([d % ndim + 1 for d in dim])
    else:
        dim = dim % ndim + 1
    new = [level.whole(a) if isinstance(a, Value) else a for a in args]
    if op.name == "expand_reduced" and len(new[0]._array.shape) == 1 and len(dim) == ndim:
        new[0] = new[0].reshape(-1, *(1,) * ndim)
        new[op.params.index("keepdim")] = True
    if op.name in ("max_all", "min_all", "prod_all", "argmax", "argmin") and isinstance(dim, tuple):
        keepdim = new[2]
        new[0] = new[0].reshape(level.size, math.prod(new[0]._array.shape[1:]))
        new[2] = False
        new[place] = (1,) if op.name in ("max_all", "min_all") else 1
        if op.name == "prod_all":
            result = new[0].prod(1, dtype=None)
        else:
            result = level.call(op, plain, tuple(new))
        return result.reshape(level.size, *(1,) * ndim) if keepdim else result
    new[place] = dim
    return level.call(op, plain, tuple(new))


@rule("sum_to_size")
def _sum_to_size(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    a, shape = args
    missing = _ndim(a) - len(shape)
    padded = (level.size, *(1,) * missing, *shape)
    return level.call(op, plain, (level.whole(a), padded)).reshape(level.size, *shape)


@rule("_unsafe_view")
def _reshape(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    return level.whole(args[0]).reshape(level.size, *args[1])


@rule("copy_backwards")
def _stretched(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    source, shape = args
    return level.lined(source, len(shape)).expand(level.size, *shape)


@rule("repeat")
def _repeat(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, repeats = args
    return level.call(op, plain, (level.lined(x, len(repeats)), (1, *repeats)))


@rule("roll")
def _roll(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, shifts, dims = args
    if not dims or not _ndim(x):
        return NotImplemented
    n = _ndim(x)
    return level.call(op, plain, (level.whole(x), shifts, tuple([d % n + 1 for d in dims])))


@rule("cat stack")
def _joined(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    tensors, dim = args
    if op.name == "cat":
        ndim = max(map(_ndim, tensors))
        tensors = [t for t in tensors if _ndim(t) == ndim]
    return level.call(op, plain, (tuple(map(level.whole, tensors)), dim + 1))


@rule("slice_backward")
def _placed(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, shape, index = args
    return level.call(op, plain, (level.whole(x), (level.size, *shape), (ALL, *index)))


@rule("diagonal_backward")
def _diagonal_placed(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, shape, offset, i, j = args
    return level.call(op, plain, (level.whole(x), (level.size, *shape), offset, i + 1, j + 1))


@rule("diag_embed diagonal_copy")
def _diagonals(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, offset, i, j = args
    return level.call(op, plain, (level.whole(x), offset, i + 1, j + 1))


@rule("unfold_backward")
def _windows_placed(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, shape, dim, size, step = args
    return level.call(op, plain, (level.whole(x), (level.size, *shape), dim + 1, size, step))


@rule("trace")
def _trace(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    return level.whole(args[0]).diagonal(0, 1, 2).sum(-1)


# ---- indices -------------------------------------------------------------------------------------


@rule("gather")
def _gather(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, dim, index = args
    if not _ndim(x) or _ndim(x) != _ndim(index):
        return NotImplemented
    return level.call(op, plain, (level.whole(x), dim % _ndim(x) + 1, level.whole(index)))


@rule("scatter_add_along")
def _scatter_along(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    grad, index, dim, shape = args
    if not shape or _ndim(grad) != len(shape):
        return NotImplemented
    shape = (level.size, *shape)
    return level.call(op, plain, (level.whole(grad), level.whole(index), dim + 1, shape))


@rule("scatter scatter_add scatter_reduce")
def _scatter(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, dim, index, src, *rest = args
    if not _ndim(x) or (isinstance(src, Value) and _ndim(src) != _ndim(x)):
        return NotImplemented
    target = level.whole(x)
    if level.shared(x):  # the record writes into it
        target = target.clone()
    src = level.whole(src) if isinstance(src, Value) else src
    return level.call(op, plain, (target, dim % _ndim(x) + 1, level.whole(index), src, *rest))


@rule("index_select")
def _index_select(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, index, dim = args
    if not level.shared(index) or not _ndim(x):
        return NotImplemented
    return level.call(op, plain, (level.whole(x), level.inside(index)[0], dim % _ndim(x) + 1))


def _examples(level: Level, like: Value, ndim: int) -> Value:
    """The number of each example, of shape (examples, 1, ...)."""
    count = like.new_zeros((level.size,)).long() + 1
    return (count.cumsum(0) - 1).reshape(level.size, *(1,) * ndim)


def _with_examples(
    level: Level, indices: tuple, dims: tuple, like: Value
) -> tuple[tuple, tuple] | None:
    """Index tensors and dimensions that pick the same of every example; the batch comes first in
    the result. None where the result would have it elsewhere."""
    if tuple(dims) != tuple(range(dims[0], dims[0] + len(dims))):
        return None
    if all(map(level.shared, indices)):
        return tuple([level.inside(i)[0] for i in indices]), tuple([d + 1 for d in dims])
    if dims[0] != 0:
        return None
    ndim = max(map(_ndim, indices))
    rows = _examples(level, like, ndim)
    lined = [level.lined(i, ndim) for i in indices]
    return (rows, *lined), (0, *[d + 1 for d in dims])


@rule("index")
def _index(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, indices, *dims = args
    if not dims:  # rows
        if level.shared(x):
            return level.call(op, plain, (level.inside(x)[0], level.whole(indices)))
        indices, dims = (indices,), ((0,),)
        moved = _with_examples(level, indices, dims[0], level.inside(x)[0])
        if len(moved[0]) == 1 and moved[0][0]._array.dtype.kind == "b":
            return NotImplemented
        return level.whole(x)[tuple([ALL] * (2 - len(moved[0]))) + moved[0]]
    if any(i._array.dtype.kind == "b" for i in indices):
        return NotImplemented
    moved = _with_examples(level, indices, dims[0], level.inside(x)[0])
    return NotImplemented if moved is None else level.call(op, plain, (level.whole(x), *moved))


@rule("index_backward")
def _index_backward(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, indices, dims, shape = args
    if any(i._array.dtype.kind == "b" for i in indices):
        return NotImplemented
    moved = _with_examples(level, indices, dims, level.inside(x)[0])
    if moved is None:
        return NotImplemented
    return level.call(op, plain, (level.whole(x), *moved, (level.size, *shape)))


@rule("embedding")
def _embedding(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    weight, index, *rest = args
    if not level.shared(weight):
        return NotImplemented
    return level.call(op, plain, (level.inside(weight)[0], level.whole(index), *rest))


@rule("embedding_dense_backward")
def _embedding_backward(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    grad, index, rows, padding_idx, scale = args
    if scale or (padding_idx is not None and padding_idx >= 0):
        return NotImplemented
    index = level.whole(index)
    index = index + _examples(level, index, index._array.ndim - 1) * rows
    grad = level.whole(grad)
    table = level.call(op, plain, (grad, index, rows * level.size, padding_idx, scale))
    return table.reshape(level.size, rows, -1)


# ---- products ------------------------------------------------------------------------------------


def _turned(x: Value) -> Value:
    return x.transpose(-1, -2)


@rule("mm mm_nt mm_tn bmm bmm_nt bmm_tn")
def _matrix_product(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    a, b = args
    if op.name == "mm" and level.shared(b):  # the rows of all examples meet the same matrix
        return matmul(level.whole(a), level.inside(b)[0])
    x, y = level.lined(a, _ndim(a)), level.lined(b, _ndim(b))
    kind = op.name.partition("_")[2]
    return matmul(_turned(x) if kind == "tn" else x, _turned(y) if kind == "nt" else y)


@rule("mv")
def _mv(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    a, b = (level.lined(v, _ndim(v)) for v in args)
    return matmul(a, b.unsqueeze(-1)).squeeze(-1)


@rule("dot")
def _dot(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    a, b = (level.lined(v, 1) for v in args)
    return matmul(a.unsqueeze(-2), b.unsqueeze(-1)).squeeze(-1).squeeze(-1)


@rule("linear")
def _linear(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    input, weight, bias = args
    if level.shared((weight, bias) if bias is not None else weight):
        c = None if bias is None else level.inside(bias)[0]
        return level.call(op, plain, (level.whole(input), level.inside(weight)[0], c))
    n = _ndim(input)
    x, w = level.lined(input, n), level.lined(weight, max(n, 2))
    if n == 1:
        x = x.unsqueeze(-2)
    r = matmul(x, _turned(w))
    if n == 1:
        r = r.squeeze(-2)
    return r if bias is None else r + level.lined(bias, n)


@rule("addmm baddbmm addbmm addmv addr")
def _added(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    a, b, c, beta, alpha = args
    x, y = level.lined(a, _ndim(a)), level.lined(b, _ndim(b))
    if op.name == "addr":
        r, ndim = x.unsqueeze(-1) * y.unsqueeze(-2), 2
    elif op.name == "addmv":
        r, ndim = matmul(x, y.unsqueeze(-1)).squeeze(-1), 1
    else:
        r, ndim = matmul(x, y), 2
    if op.name == "addbmm":
        r = r.sum(-3)
    elif op.name == "baddbmm":
        ndim = 3
    r = r if alpha == 1 else r * alpha
    if beta == 0:
        return r.expand(level.size, *r._array.shape) if level.shared((a, b)) else r
    c = level.lined(c, ndim)
    return r + (c if beta == 1 else c * beta)


# ---- convolution ---------------------------------------------------------------------------------


def _beside(level: Level, x: Value, at: int) -> Value:
    """All examples of ``x`` side by side in its dimension ``at``: groups of channels."""
    x = level.whole(x)
    shape = x._array.shape
    x = x.movedim(0, at)
    return x.reshape(*shape[1 : at + 1], shape[0] * shape[at + 1], *shape[at + 2 :])


def _apart(level: Level, x: Value, at: int) -> Value:
    """``_beside`` undone."""
    shape = x._array.shape
    x = x.reshape(*shape[:at], level.size, shape[at] // level.size, *shape[at + 1 :])
    return x.movedim(at, 0)


@rule("convolution convolution_transposed")
def _convolution(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, weight, bias, *rest, groups = args
    if level.shared((weight, bias) if bias is not None else weight):
        c = None if bias is None else level.inside(bias)[0]
        return _folded(level, op, plain, (x, level.inside(weight)[0], c, *rest, groups), 1)
    bias = None if bias is None else _beside(level, bias, 0)
    operands = (_beside(level, x, 1), _beside(level, weight, 0), bias)
    return _apart(level, level.call(op, plain, (*operands, *rest, groups * level.size)), 1)


@rule("convolution_weight_gradient")
def _weight_gradient(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    grad, x, *rest, groups = args
    operands = (_beside(level, grad, 1), _beside(level, x, 1))
    return _apart(level, level.call(op, plain, (*operands, *rest, groups * level.size)), 0)


def _folded(level: Level, op: Op, plain: Callable, args: tuple, count: int) -> Any:
    """The first ``count`` operands with the batch folded into their first dimension."""
    new = []
    for i, a in enumerate(args):
        if i < count and isinstance(a, Value):
            a = level.whole(a)
            shape = a._array.shape
            a = a.reshape(shape[0] * shape[1], *shape[2:])
        new.append(a)
    results = level.call(op, plain, tuple(new))

    rows = args[0]._array.shape[0]  # of an example: what there is of the batch has none to tell

    def unfolded(r: Value) -> Value:
        shape = r._array.shape
        return r.reshape(level.size, shape[0] // level.size if level.size else rows, *shape[1:])

    return tuple(map(unfolded, results)) if type(results) is tuple else unfolded(results)


@rule(
    """avg_pool2d avg_pool3d adaptive_avg_pool2d adaptive_avg_pool3d avg_pool2d_backward
    avg_pool3d_backward adaptive_avg_pool2d_backward adaptive_avg_pool3d_backward
    max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool2d adaptive_max_pool3d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_nearest_exact1d
    upsample_nearest_exact2d upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d
    upsample_bicubic2d upsample_trilinear3d upsample_nearest1d_backward
    upsample_nearest2d_backward upsample_nearest3d_backward upsample_linear1d_backward
    upsample_bilinear2d_backward upsample_bicubic2d_backward upsample_trilinear3d_backward
    upsample_nearest_exact1d_backward upsample_nearest_exact2d_backward
    upsample_nearest_exact3d_backward im2col max_pool_gather max_pool_backward"""
)
def _over_images(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    tensors = [i for i, a in enumerate(args) if isinstance(a, Value)]
    if min(_ndim(args[i]) for i in tensors) < 3 or tensors != list(range(len(tensors))):
        return NotImplemented
    return _folded(level, op, plain, args, len(tensors))


@rule("constant_pad_nd")
def _pad(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, pad, value = args
    if isinstance(value, Value) and not level.shared(value):
        return NotImplemented
    return level.call(op, plain, (level.whole(x), pad, level.inside(value)[0]))


_BORDERS = " ".join(f"{k}_pad{n}d" for k in ("reflection", "replication") for n in (1, 2, 3))


@rule(f"{_BORDERS} pad_circular")
def _bordered(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, borders = args
    return level.call(op, plain, (level.whole(x), _one_further(borders)))


@rule(_BORDERS.replace("d ", "d_backward ") + "_backward pad_circular_backward")
def _unbordered(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, borders, shape = args
    return level.call(op, plain, (level.whole(x), _one_further(borders), (level.size, *shape)))


def _one_further(borders: tuple) -> tuple:
    return tuple([(d + 1, *border) for d, *border in borders])


@rule("native_group_norm")
def _group_norm(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, weight, bias, *rest = args
    if not all(level.shared(v) for v in (weight, bias) if v is not None):
        return NotImplemented
    weight, bias = (None if v is None else level.inside(v)[0] for v in (weight, bias))
    return _folded(level, op, plain, (x, weight, bias, *rest), 1)


@rule("native_layer_norm")
def _layer_norm(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    x, weight, bias, *rest = args
    if not all(level.shared(v) for v in (weight, bias) if v is not None):
        return NotImplemented
    weight, bias = (None if v is None else level.inside(v)[0] for v in (weight, bias))
    return level.call(op, plain, (level.whole(x), weight, bias, *rest))


@rule("scaled_dot_product_flash_attention_for_cpu")
def _attention(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    q, k, v, mask, noise, *rest = args
    if noise is not None or (mask is not None and (not level.shared(mask) or _ndim(mask) > 2)):
        return NotImplemented
    mask = None if mask is None else level.inside(mask)[0]
    return _folded(level, op, plain, (q, k, v, mask, None, *rest), 3)


@rule("native_layer_norm_backward")
def _layer_norm_backward(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    grad, x, mean, rstd, weight, dims, centred, needs = args
    lead = x._array.shape[: _ndim(x) - dims]
    spread = (level.size, *lead, *(1,) * dims)
    g, x = level.whole(grad), level.whole(x)
    rstd = level.whole(rstd).reshape(spread).to(x.dtype)
    over = tuple(range(-dims, 0))
    xhat = (x - level.whole(mean).reshape(spread).to(x.dtype) if centred else x) * rstd
    none = x.new_zeros((level.size, 0))
    into_x = into_weight = into_bias = none
    if needs[0]:
        gw = g if weight is None else g * level.lined(weight, len(lead) + dims)
        into_x = gw - xhat * (gw * xhat).mean(over, True)
        if centred:
            into_x = into_x - gw.mean(over, True)
        into_x = into_x * rstd
    rows = tuple(range(1, len(lead) + 1))
    if needs[1]:
        into_weight = (g * xhat).sum(rows) if rows else g * xhat
    if needs[2]:
        into_bias = g.sum(rows) if rows else g
    return into_x, into_weight, into_bias


@rule("scaled_dot_product_flash_attention_for_cpu_backward")
def _attention_backward(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    grad, q, k, v, mask, noise, kept, *rest = args
    if noise is not None or (mask is not None and (not level.shared(mask) or _ndim(mask) > 2)):
        return NotImplemented
    mask = None if mask is None else level.inside(mask)[0]
    reordered = (grad, q, k, v, kept, mask, None, *rest)

    def call(g: Value, q: Value, k: Value, v: Value, kept: Value, *others: Any) -> Any:
        return plain(g, q, k, v, *others[:2], kept, *others[2:])

    return _folded(level, op, call, reordered, 5)


# ---- losses --------------------------------------------------------------------------------------


@rule(
    """mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy
    binary_cross_entropy_with_logits"""
)
def _loss(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    *operands, reduction = args
    ndim = max(_ndim(a) for a in operands if isinstance(a, Value))
    lined = [level.lined(a, ndim) for a in operands]
    whole = (level.size, *_broadcast_sizes(operands))
    lined[:2] = [v.expand(whole) for v in lined[:2]]
    losses = level.call(op, plain, (*lined, "none"))
    if reduction == "none" or not ndim:
        return losses
    dims = tuple(range(1, ndim + 1))
    return losses.mean(dims) if reduction == "mean" else losses.sum(dims)


@rule(
    """mse_loss_backward l1_loss_backward smooth_l1_loss_backward huber_loss_backward
    binary_cross_entropy_backward binary_cross_entropy_with_logits_backward"""
)
def _loss_backward(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    grad, *operands, reduction = args
    ndim = max(_ndim(a) for a in operands if isinstance(a, Value))
    grad = level.lined(grad, ndim)
    if reduction == "mean":
        count = 1
        for n in _broadcast_sizes(operands):
            count *= n
        grad = grad / max(count, 1)
    shape = (level.size, *_broadcast_sizes(operands))
    lined = [level.lined(a, ndim) for a in operands]
    lined[:2] = [v.expand(shape) for v in lined[:2]]
    return level.call(op, plain, (grad.expand(shape), *lined, "none"))


def _broadcast_sizes(operands: Sequence[Any]) -> list[int]:
    shapes = [a._array.shape for a in operands if isinstance(a, Value)]
    sizes = [1] * max(map(len, shapes))
    for shape in shapes:
        for i, n in enumerate(reversed(shape), 1):
            if n != 1:
                sizes[-i] = n
    return sizes


def _class_weights(
    level: Level, target: Value, weight: Value | None, ignore_index: int, like: Value
) -> Value:
    """The weight of each target of all examples: 0 where it is ignored."""
    target = level.whole(target)
    kept = target != ignore_index
    if weight is None:
        return kept.to(like.dtype)
    classes = level.inside(weight)[0]
    chosen = classes[target.masked_fill(~kept, 0)]
    return chosen.masked_fill(~kept, 0)


def _rows(level: Level, value: Value, scores: int) -> Value:
    """``value`` of all examples with the batch folded into the first dimension; one row of scores
    (``scores``: how many dimensions they have) becomes a row of each example."""
    value = level.whole(value)
    shape = value._array.shape
    return value if scores == 1 else value.reshape(shape[0] * shape[1], *shape[2:])


@rule("cross_entropy_loss nll_loss")
def _classes(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    input, target, weight, ignore_index, reduction = args
    if weight is not None and not level.shared(weight):
        return NotImplemented
    n = _ndim(input)
    shared = None if weight is None else level.inside(weight)[0]
    operands = (_rows(level, input, n), _rows(level, target, n), shared)
    results = level.call(op, plain, (*operands, ignore_index, "none"))
    losses = results[0] if type(results) is tuple else results
    losses = losses.reshape(level.size, *target._array.shape)
    dims = tuple(range(1, losses._array.ndim))
    if reduction != "none":
        total = losses.sum(dims) if dims else losses
        if reduction == "mean":
            w = _class_weights(level, target, weight, ignore_index, losses)
            total = total / (w.sum(dims) if dims else w)
        losses = total
    if type(results) is not tuple:
        return losses
    return losses, results[1].reshape(level.size, *input._array.shape)


@rule("cross_entropy_backward nll_loss_backward")
def _classes_backward(level: Level, op: Op, plain: Callable, args: tuple) -> Any:
    grad, logp, target, weight, ignore_index, reduction, *rest = args
    if weight is not None and not level.shared(weight):
        return NotImplemented
    n = _ndim(logp)
    shared = None if weight is None else level.inside(weight)[0]
    shape = target._array.shape
    grad = level.lined(grad, len(shape))
    if reduction == "mean":
        w = _class_weights(level, target, weight, ignore_index, level.inside(logp)[0])
        dims = tuple(range(1, len(shape) + 1))
        total = w.sum(dims, keepdim=True) if dims else w
        grad = grad / total.masked_fill(total == 0, 1)
    grad = grad.expand(level.size, *shape)
    grad = grad if n == 1 else grad.reshape(level.size * shape[0], *shape[1:])
    operands = (grad, _rows(level, logp, n), _rows(level, target, n), shared)
    result = level.call(op, plain, (*operands, ignore_index, "none", *rest))
    return result.reshape(level.size, *logp._array.shape)


# ---- views ---------------------------------------------------------------------------------------


def _view(op: Op, inner: Value, args: tuple, shape: tuple, many: bool) -> Value:
    """The view of the inner tensor, whose first dimension is the batch if ``many``."""
    name = op.name
    n = int(many)
    lead = (ALL,) * n
    if name == "permute":
        return inner.permute(*range(n), *[d + n for d in args[0]])
    if name == "transpose":
        return inner.transpose(args[0] % (_ndim(inner) - n) + n, args[1] % (_ndim(inner) - n) + n)
    if name == "t":
        return inner.transpose(-1, -2)
    if name in ("select", "slice") and len(args) == 1:
        return inner[(*lead, *args[0])]
    if name == "diagonal":
        return inner.diagonal(args[0], args[1] + n, args[2] + n)
    if name == "unfold":
        return inner.unfold(args[0] + n, args[1], args[2])
    if name in ("real", "imag"):
        return getattr(inner, name)
    if name in ("view_as_real", "view_as_complex"):
        return (view_as_real if name == "view_as_real" else view_as_complex)(inner)
    head = inner._array.shape[:n]
    if name in ("select", "slice", "unsqueeze") and len(args) == 2:
        return inner[(*lead, *args[0])].reshape(*head, *shape)
    if name == "expand":
        own = inner._array.shape[n:]
        return inner.reshape(*head, *(1,) * (len(shape) - len(own)), *own).expand(*head, *shape)
    if name in ("view", "squeeze", "unsqueeze", "alias") and not _other_dtype(op, args):
        return inner.reshape(*head, *shape)
    raise RuntimeError(
        f"vmap: {name} has no batching rule for tensors that require grad or are batched twice"
    )


def _other_dtype(op: Op, args: tuple) -> bool:
    return op.name == "view" and len(args) == 3


rules["a view"] = _view


class Batch(Level):
    """A Level with these rules."""

    rules = rules
    loops = loops
