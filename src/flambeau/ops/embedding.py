"""Rows of a table by number: embedding, and bags of them summed, averaged or maximised.

Sources: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html and
https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding_bag.html
"""

from __future__ import annotations

import numpy as np

from .._dtypes import from_numpy
from .._errors import type_name
from ..core.modes import by_copy, hook
from ..core.mutation import written
from ..core.op import define
from ..core.promotion import wide
from ..core.value import Value, constant, reading, wrap
from ._accumulate import add_rows

ndarray = np.ndarray

# ---- embedding --------------------------------------------------------------------------------


def _embedding_forward(
    weight: ndarray, index: ndarray, padding_idx: int, scale_grad_by_freq: bool
) -> ndarray:
    return weight.take(index, 0)


def _embedding_grad_forward(
    grad: ndarray, index: ndarray, rows: int, padding_idx: int, scale_grad_by_freq: bool
) -> ndarray:
    width = grad.shape[index.ndim :]
    out = np.zeros((rows, *width), grad.dtype)
    flat = index.reshape(-1)
    values = grad.reshape(flat.size, *width)
    if scale_grad_by_freq and flat.size:
        counts = np.bincount(flat, minlength=rows)
        values = (values / counts[flat][:, None]).astype(grad.dtype)
    if padding_idx >= 0:
        kept = flat != padding_idx
        if not kept.all():
            flat, values = flat[kept], values[kept]
    return add_rows(out, flat, values)


def _embedding_grad_vjp(
    g: Value, index: Value, padding_idx: int, scale_grad_by_freq: bool
) -> Value:
    if padding_idx < 0 and not scale_grad_by_freq:
        return _embedding(g, index, -1, False)
    flat = index._array
    factor = np.ones(flat.shape, g._array.dtype)
    if scale_grad_by_freq and flat.size:
        factor /= np.bincount(flat.reshape(-1))[flat]
    if padding_idx >= 0:
        factor[flat == padding_idx] = 0
    return _embedding(g, index, -1, False) * wrap(factor[..., None])


_embedding_grad = define(
    "embedding_dense_backward", _embedding_grad_forward, {"grad": _embedding_grad_vjp}
)


def _embedding_vjp(
    g: Value, index: Value, weight_shape: tuple, padding_idx: int, scale_grad_by_freq: bool
) -> Value:
    return _embedding_grad(g, index, weight_shape[0], padding_idx, scale_grad_by_freq)


_embedding = define("embedding", _embedding_forward, {"weight": _embedding_vjp})


def _check_index(name: str, input: Value, weight: Value) -> None:
    """Types and ranges of ``input`` as row numbers of ``weight``."""
    for value, argument, place in ((weight, "weight", 1), (input, "indices", 2)):
        if not isinstance(value, Value):
            raise TypeError(
                f"{name}(): argument '{argument}' (position {place}) must be Tensor, not "
                f"{type_name(value)}"
            )
    index, table = input._array, weight._array
    if table.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D\n  {name}: it has shape {table.shape}")
    if index.dtype.kind != "i" or index.dtype.itemsize < 4:
        d = from_numpy(index.dtype)
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got torch.{d.legacy_name}Tensor instead (while checking arguments for "
            f"{name})\n  row numbers are integers: use input.long()"
        )
    if index.size:
        low, high = int(index.min()), int(index.max())
        if low < 0 or high >= table.shape[0]:
            raise out_of_range(name, index, table.shape)


def out_of_range(name: str, index: ndarray, shape: tuple[int, ...]) -> Exception:
    index = np.array(index.tolist(), index.dtype)  # wherever it lies
    place = tuple(int(i) for i in np.argwhere((index < 0) | (index >= shape[0]))[0])
    value = int(index[place])
    if name == "embedding_bag":
        return RuntimeError(
            f"Index {', '.join(map(str, place))} of input takes value {value} which is not in the "
            f"valid range [0, {shape[0]})"
        )
    where = f"input[{', '.join(map(str, place))}]" if place else "input"
    text = f"index out of range in self\n  {where} = {value}, but the table has {shape[0]} rows"
    text += f", 0..{shape[0] - 1}" if shape[0] else ""
    if value == shape[0]:
        text += f"; num_embeddings must be at least {value + 1}, or do numbers start at 1?"
    elif value < 0:
        text += "; negative numbers do not count from the end here"
    else:
        text += f"; num_embeddings must be at least {int(index.max()) + 1}"
    return IndexError(text)


def _padding_row(padding_idx: int | None, rows: int) -> int:
    if padding_idx is None:
        return -1
    if not -rows <= padding_idx < rows:
        raise AssertionError(
            f"Padding_idx must be within num_embeddings\n  it is {padding_idx}, and there are "
            f"{rows} rows"
        )
    return padding_idx % rows


def _renormalise(weight: Value, index: ndarray, max_norm: float, norm_type: float) -> None:
    """Scale the rows of ``weight`` that ``index`` names down to norm ``max_norm``, in place."""
    table = weight._array
    rows = np.unique(index)
    wide = table[rows].astype(np.promote_types(table.dtype, np.float32))
    norms = np.linalg.norm(wide, norm_type, axis=1)
    long = norms > max_norm
    if long.any():
        scale = (max_norm / (norms[long] + 1e-7)).astype(wide.dtype)
        table[rows[long]] = wide[long] * scale[:, None]
        written(weight.detach(), "embedding_renorm_")


def embedding(
    input: Value,
    weight: Value,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Value:
    """``weight[input]``: one row of ``weight`` (rows, width) for each integer of ``input``.

    Row ``padding_idx`` gets no gradient. ``max_norm``: rows used are first scaled down to it, in
    place. ``scale_grad_by_freq``: a row's gradient is divided by how often it is used. ``sparse``
    is accepted; the gradient is dense, with the same values. IndexError for a row that does not
    exist.
    """
    _check_index("embedding", input, weight)
    padding = _padding_row(padding_idx, weight._array.shape[0])
    if max_norm is not None:
        reading(weight, "embedding(max_norm)")
        _renormalise(weight, input._array, max_norm, norm_type)
    return _embedding(weight, input, padding, scale_grad_by_freq)


# ---- bags -------------------------------------------------------------------------------------


def _bag_reduce(values: ndarray, starts: ndarray, sizes: ndarray, mode: str) -> ndarray:
    """Values (items, width) reduced bag by bag; an empty bag gives zeros."""
    out = np.zeros((len(sizes), values.shape[1]), values.dtype)
    full = np.flatnonzero(sizes)
    if full.size:
        ufunc = np.maximum if mode == "max" else np.add
        out[full] = ufunc.reduceat(values, starts[full], axis=0)
    if mode == "mean":
        out /= np.maximum(sizes, 1).astype(values.dtype)[:, None]
    return out


def _bag_forward(
    weight: ndarray,
    scales: ndarray | None,
    index: ndarray,
    starts: ndarray,
    sizes: ndarray,
    mode: str,
    scale_grad_by_freq: bool,
) -> ndarray:
    values = wide(weight.take(index, 0))
    if scales is not None:
        values = values * wide(scales)[:, None]
    return _bag_reduce(values, starts, sizes, mode).astype(weight.dtype, copy=False)


def _bag_items_forward(
    y: ndarray, weight: ndarray, index: ndarray, starts: ndarray, sizes: ndarray, mode: str
) -> tuple[ndarray, ndarray, ndarray]:
    """Of each item: its bag, how many are in that, and (mode "max") where it is the greatest."""
    bag_of = np.repeat(np.arange(sizes.size), sizes)
    first = np.zeros(0, bool)
    if mode == "max":
        best = weight[index] == y[bag_of]
        # Where several items of a bag are the greatest, the first takes the gradient.
        before = np.cumsum(best, 0) - best
        first = best & (before == before[starts[bag_of]])
    return bag_of, sizes[bag_of], first


_bag_items = define("bag_items", _bag_items_forward)


def _bag_vjp(
    g: Value,
    y: Value,
    weight: Value,
    scales: Value | None,
    index: Value,
    starts: Value,
    sizes: Value,
    mode: str,
    scale_grad_by_freq: bool,
    needs: tuple,
) -> list:
    bag, counts, first = _bag_items(y, weight, index, starts, sizes, mode)
    per_item = _embedding(g, bag, -1, False)
    into_scales = None
    if mode == "mean":
        per_item = per_item / counts.to(g.dtype).unsqueeze(1)
    elif mode == "max":
        per_item = per_item * first.to(g.dtype)
    elif scales is not None:
        if needs[1]:
            into_scales = (per_item * _embedding(weight, index, -1, False)).sum(1)
        per_item = per_item * scales.unsqueeze(1)
    rows = weight._array.shape[0]
    into_weight = None
    if needs[0]:
        into_weight = _embedding_grad(per_item, index, rows, -1, scale_grad_by_freq)
    return [into_weight, *([] if scales is None else [into_scales]), None, None, None]


_bag = define("embedding_bag", _bag_forward, _bag_vjp)


def _bag_arguments(
    input: Value, offsets: Value | None, per_sample_weights: Value | None
) -> tuple[Value, ndarray, Value | None]:
    """Items in one dimension, where each bag begins, and the weights in one dimension."""
    if per_sample_weights is not None and input.shape != per_sample_weights.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then "
            f"it must have the same shape as the input ({input.shape})"
        )
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                f"of fixed length sequences. However, found offsets of type {type(offsets)}"
            )
        rows, width = input._array.shape
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)
        return input.reshape(-1), np.arange(rows) * width, per_sample_weights
    if input.dim() != 1:
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}"
        )
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.dim() != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    return input, _bag_starts(offsets._array, input._array.size), per_sample_weights


def _bag_starts(starts: ndarray, count: int) -> ndarray:
    """``starts``, the first of ``count`` items of each bag; RuntimeError if they cannot be."""
    if starts.dtype.kind != "i":
        raise RuntimeError(
            "Expected tensor for argument #1 'offsets' to have one of the following scalar types: "
            f"Long, Int; but got torch.{from_numpy(starts.dtype).legacy_name}Tensor instead"
        )
    if starts.size and starts[0]:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
            f"position 0. However, got {starts[0]}"
        )
    if starts.size and starts[-1] > count:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {count} but got offsets[-1] of "
            f"{starts[-1]}"
        )
    return starts


def _bag_layout_forward(input: ndarray, offsets: ndarray) -> tuple[ndarray, ndarray]:
    starts = _bag_starts(offsets, input.size)
    return starts.astype(np.int64), np.maximum(np.append(starts[1:], input.size) - starts, 0)


_bag_layout = define("bag_layout", _bag_layout_forward)


@by_copy
def embedding_bag(
    input: Value,
    weight: Value,
    offsets: Value | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Value | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Value:
    """The sum, mean or maximum of the rows of ``weight`` that each bag of ``input`` names.

    A bag is a row of a 2-dimensional input, or input[offsets[i]:offsets[i + 1]]. Items equal to
    ``padding_idx`` are left out. ``per_sample_weights`` multiply the items (mode "sum" only).
    """
    if isinstance(weight, Value) and weight._array.dtype.kind == "i":
        input, weight = weight, input  # an order of arguments that PyTorch once had
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}')."
        )
    if mode == "max" and (scale_grad_by_freq or sparse):
        what = "scaling the gradient by the frequency" if scale_grad_by_freq else "sparse weights"
        raise ValueError(f"max mode does not support {what}")
    input, starts, scales = _bag_arguments(input, offsets, per_sample_weights)
    _check_index("embedding_bag", input, weight)
    if scales is not None and scales.dtype is not weight.dtype:
        raise RuntimeError(
            f"expected scalar type {weight.dtype.legacy_name} but found "
            f"{scales.dtype.legacy_name} for per_sample_weights"
        )
    simple = padding_idx is None and not include_last_offset and max_norm is None
    if hook.active is not None and simple:  # the bags as tensors that follow from offsets
        if offsets is None:
            offsets = constant(starts)
        first, sizes = _bag_layout(input, offsets)
        return _bag(weight, scales, input.long(), first, sizes, mode, scale_grad_by_freq)
    index = input._array
    if max_norm is not None:
        _renormalise(weight, index, max_norm, norm_type)
    ends = np.append(starts[1:], index.size)
    if include_last_offset:
        starts, ends = starts[:-1], starts[1:]
    sizes = np.maximum(ends - starts, 0)
    padding = _padding_row(padding_idx, weight._array.shape[0])
    used = np.zeros(index.size, bool)
    if padding >= 0 or (include_last_offset and ends.size and ends[-1] < index.size):
        for_bag = np.repeat(np.arange(sizes.size), sizes)
        used[: for_bag.size] = True
        used &= index != padding
        sizes = np.bincount(for_bag[used[: for_bag.size]], minlength=sizes.size)
        starts = np.cumsum(sizes) - sizes
        index = index[used]
        if scales is not None:
            scales = scales[wrap(used)]
    return _bag(
        weight,
        scales,
        wrap(index.astype(np.int64, copy=False)),
        wrap(starts.astype(np.int64, copy=False)),
        wrap(sizes.astype(np.int64, copy=False)),
        mode,
        scale_grad_by_freq,
    )
