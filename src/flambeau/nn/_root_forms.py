"""Layers and losses by the names of ``torch`` itself, which orders their arguments as PyTorch's
kernels do: the weight of an embedding first, reductions as numbers (0 none, 1 mean, 2 sum).

What they compute is what ``nn.functional`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..core.value import Value
from ..functions import losses
from ..functions.dropout import alpha_dropout, dropout, feature_alpha_dropout
from ..functions.linear_algebra import matrix_norm
from ..functions.shape import channel_shuffle
from ..ops.ctc import ctc_loss as _ctc_loss
from ..ops.embedding import embedding as _embedding
from ..ops.embedding import embedding_bag as _embedding_bag
from ..ops.joining import cat, stack
from ..ops.losses import binary_cross_entropy_with_logits as _bce_with_logits
from ..ops.norms import vector_norm
from ..tensor._creation import arange, empty
from . import functional as F
from .modules.rnn import GRU, LSTM, RNN, _run_layer

_REDUCTIONS = ("none", "mean", "sum")


def _reduction(number: int) -> str:
    if isinstance(number, int) and 0 <= number < 3:
        return _REDUCTIONS[number]
    raise ValueError(f"{number!r} is not a valid value for reduction\n  0: none, 1: mean, 2: sum")


# ---- embeddings ----------------------------------------------------------------------------------


def embedding(
    weight: Value,
    indices: Value,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Value:
    """The rows of ``weight`` that ``indices`` names; row ``padding_idx`` gets no gradient."""
    padding = None if padding_idx < 0 else padding_idx
    return _embedding(indices, weight, padding, scale_grad_by_freq=scale_grad_by_freq)


def embedding_bag(
    weight: Value,
    indices: Value,
    offsets: Value,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Value | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Value, Value, Value, Value]:
    """``nn.functional.embedding_bag`` (mode 0: sum, 1: mean, 2: max), and which bag each index is
    in, how many indices each bag has, and (mode 2) which index gave each maximum."""
    result = _embedding_bag(
        indices, weight, offsets, None, 2.0, scale_grad_by_freq, ("sum", "mean", "max")[mode],
        sparse, per_sample_weights, include_last_offset,
        None if padding_idx is None or padding_idx < 0 else padding_idx,
    )  # fmt: skip
    starts = offsets[:-1] if include_last_offset else offsets
    bags = starts.shape[0]
    place = arange(indices.shape[0])
    bag_of = (place.unsqueeze(1) >= starts.long().unsqueeze(0)).sum(1) - 1
    kept = place.new_ones(indices.shape) if padding_idx is None else (indices != padding_idx).long()
    sizes = place.new_zeros(bags).index_add(0, bag_of, kept)
    found = sizes
    if mode == 2:
        rows = weight.detach()[indices] == result.detach()[bag_of]
        rows = rows & kept.bool().unsqueeze(1)
        first = place.unsqueeze(1).masked_fill(~rows, indices.shape[0]).expand(rows.shape)
        at = place.new_full(result.shape, indices.shape[0]).scatter_reduce(
            0, bag_of.unsqueeze(1).expand(rows.shape), first, "amin"
        )
        found = indices[at.clamp(max=max(indices.shape[0] - 1, 0))]
        found = found.masked_fill(at == indices.shape[0], -1)
    elif mode == 0:
        sizes = found = sizes * 0
        bag_of = bag_of if padding_idx is not None and padding_idx >= 0 else bag_of[:0]
    return result, bag_of, sizes, found


# ---- normalisation -------------------------------------------------------------------------------


def batch_norm(
    input: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Value:
    """``nn.functional.batch_norm``."""
    return F.batch_norm(
        input, running_mean, running_var, weight, bias, training, momentum, eps
    )  # fmt: skip


def instance_norm(
    input: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Value:
    """``nn.functional.instance_norm``."""
    return F.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


def _statistics(x: Value, dims: Sequence[int], eps: float) -> tuple[Value, Value]:
    """Mean and 1 / sqrt(var + eps) over ``dims``."""
    x = x.detach()
    return x.mean(dims, True), (x.var(dims, correction=0, keepdim=True) + eps).rsqrt()


def native_batch_norm(
    input: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Value, Value, Value]:
    """``batch_norm``, and the mean and 1 / sqrt(var + eps) of the batch, in training."""
    result = F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        return result, input.new_empty(0), input.new_empty(0)
    mean, rstd = _statistics(input, [0, *range(2, input.dim())], eps)
    return result, mean.reshape(-1), rstd.reshape(-1)


def native_layer_norm(
    input: Value,
    normalized_shape: Sequence[int],
    weight: Value | None,
    bias: Value | None,
    eps: float,
) -> tuple[Value, Value, Value]:
    """``layer_norm``, and the mean and 1 / sqrt(var + eps) of each row."""
    result = F.layer_norm(input, tuple(normalized_shape), weight, bias, eps)
    return result, *_statistics(input, list(range(-len(normalized_shape), 0)), eps)


def native_group_norm(
    input: Value,
    weight: Value | None,
    bias: Value | None,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> tuple[Value, Value, Value]:
    """``group_norm``, and the mean and 1 / sqrt(var + eps) of each group."""
    result = F.group_norm(input, group, weight, bias, eps)
    mean, rstd = _statistics(input.reshape(N, group, -1), [2], eps)
    return result, mean.squeeze(2), rstd.squeeze(2)


# ---- dropout, pooling, shuffling -----------------------------------------------------------------


def dropout_(input: Value, p: float, train: bool) -> Value:
    """``dropout`` in place."""
    return dropout(input, p, train, True)


def alpha_dropout_(input: Value, p: float, train: bool) -> Value:
    """``alpha_dropout`` in place."""
    return alpha_dropout(input, p, train, True)


def feature_alpha_dropout_(input: Value, p: float, train: bool) -> Value:
    """``feature_alpha_dropout`` in place."""
    return feature_alpha_dropout(input, p, train, True)


def feature_dropout(input: Value, p: float, train: bool) -> Value:
    """Dropout of whole channels (dimension 1)."""
    return F.dropout2d(input, p, train)


def feature_dropout_(input: Value, p: float, train: bool) -> Value:
    """``feature_dropout`` in place."""
    return F.dropout2d(input, p, train, True)


def native_dropout(input: Value, p: float, train: bool | None) -> tuple[Value, Value]:
    """``dropout``, and the mask of what was kept."""
    if train is False:
        return input, input.new_ones(input.shape).bool()
    mask = dropout(input.detach().new_ones(input.shape), p, True)
    return input * mask, mask != 0


def adaptive_max_pool1d(input: Value, output_size: int | Sequence[int]) -> tuple[Value, Value]:
    """The maxima of ``output_size`` windows, and their places."""
    return F.adaptive_max_pool1d(input, output_size, return_indices=True)


def native_channel_shuffle(input: Value, groups: int) -> Value:
    """``nn.functional.channel_shuffle``."""
    return channel_shuffle(input, groups)


# ---- losses --------------------------------------------------------------------------------------


def binary_cross_entropy_with_logits(
    input: Value,
    target: Value,
    weight: Value | None = None,
    pos_weight: Value | None = None,
    reduction: int = 1,
) -> Value:
    """``nn.functional.binary_cross_entropy_with_logits``."""
    return _bce_with_logits(
        input, target, weight, reduction=_reduction(reduction), pos_weight=pos_weight
    )


def cosine_embedding_loss(
    input1: Value, input2: Value, target: Value, margin: float = 0.0, reduction: int = 1
) -> Value:
    """``nn.functional.cosine_embedding_loss``."""
    return losses.cosine_embedding_loss(
        input1, input2, target, margin, reduction=_reduction(reduction)
    )


def ctc_loss(
    log_probs: Value,
    targets: Value,
    input_lengths: Value | Sequence[int],
    target_lengths: Value | Sequence[int],
    blank: int = 0,
    reduction: int = 1,
    zero_infinity: bool = False,
) -> Value:
    """``nn.functional.ctc_loss``."""
    return _ctc_loss(
        log_probs, targets, input_lengths, target_lengths, blank, _reduction(reduction),
        zero_infinity,
    )  # fmt: skip


def hinge_embedding_loss(
    input: Value, target: Value, margin: float = 1.0, reduction: int = 1
) -> Value:
    """``nn.functional.hinge_embedding_loss``."""
    return losses.hinge_embedding_loss(input, target, margin, reduction=_reduction(reduction))


def kl_div(input: Value, target: Value, reduction: int = 1, log_target: bool = False) -> Value:
    """``nn.functional.kl_div``."""
    return losses.kl_div(input, target, reduction=_reduction(reduction), log_target=log_target)


def margin_ranking_loss(
    input1: Value, input2: Value, target: Value, margin: float = 0.0, reduction: int = 1
) -> Value:
    """``nn.functional.margin_ranking_loss``."""
    return losses.margin_ranking_loss(
        input1, input2, target, margin, reduction=_reduction(reduction)
    )


def poisson_nll_loss(
    input: Value, target: Value, log_input: bool, full: bool, eps: float, reduction: int
) -> Value:
    """``nn.functional.poisson_nll_loss``."""
    return losses.poisson_nll_loss(
        input, target, log_input, full, eps=eps, reduction=_reduction(reduction)
    )


def triplet_margin_loss(
    anchor: Value,
    positive: Value,
    negative: Value,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: int = 1,
) -> Value:
    """``nn.functional.triplet_margin_loss``."""
    return losses.triplet_margin_loss(
        anchor, positive, negative, margin, p, eps, swap, reduction=_reduction(reduction)
    )


# ---- norms ---------------------------------------------------------------------------------------


def frobenius_norm(
    input: Value, dim: int | Sequence[int], keepdim: bool = False, *, out: Value | None = None
) -> Value:
    """The square root of the sum of squares over ``dim``."""
    dims = [dim] if isinstance(dim, int) else list(dim)
    return vector_norm(input, 2, dims, keepdim, out=out)


def nuclear_norm(
    input: Value,
    dim: Sequence[int] | bool | None = None,
    keepdim: bool = False,
    *,
    out: Value | None = None,
) -> Value:
    """The sum of the singular values of each matrix in the two dimensions ``dim``."""
    if isinstance(dim, bool):
        dim, keepdim = None, dim
    return matrix_norm(input, "nuc", tuple(dim or (-2, -1)), keepdim, out=out)


# ---- recurrent layers ----------------------------------------------------------------------------


def _recurrent(
    kind: Callable,
    input: Value,
    hx: Value | tuple[Value, ...],
    params: Sequence[Value],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
    **more: object,
) -> tuple[Value, ...]:
    """The layers of ``nn`` over given weights."""
    states = hx if isinstance(hx, (tuple, list)) else (hx,)
    per = (4 if has_biases else 2) + (len(states) == 2 and states[0].shape != states[1].shape)
    own = params[1].shape[1]
    hidden = states[-1].shape[-1]
    projected = {"proj_size": own} if own != hidden else {}
    layer = kind(
        params[0].shape[1], hidden, num_layers, bias=has_biases, batch_first=batch_first,
        dropout=dropout, bidirectional=bidirectional, device="meta", **projected, **more,
    )  # fmt: skip
    names = layer._flat_weights_names
    if len(names) != len(params):
        raise RuntimeError(
            f"expected {len(names)} parameters, {per} for each layer and direction, "
            f"got {len(params)}"
        )
    for name, weight in zip(names, params, strict=True):
        del layer._parameters[name]
        object.__setattr__(layer, name, weight)
    layer.train(train)
    y, last = layer(input, tuple(states) if len(states) == 2 else states[0])
    return (y, *last) if isinstance(last, tuple) else (y, last)


def lstm(
    input: Value,
    hx: Sequence[Value],
    params: Sequence[Value],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Value, Value, Value]:
    """``nn.LSTM`` with the weights ``params``: outputs, last h, last c."""
    return _recurrent(
        LSTM, input, tuple(hx), params, has_biases, num_layers, dropout, train, bidirectional,
        batch_first,
    )  # fmt: skip


def _simple(kind: Callable, name: str, **more: object) -> Callable[..., tuple[Value, Value]]:
    def layer(
        input: Value,
        hx: Value,
        params: Sequence[Value],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[Value, Value]:
        return _recurrent(
            kind, input, hx, params, has_biases, num_layers, dropout, train, bidirectional,
            batch_first, **more,
        )  # fmt: skip

    layer.__name__ = layer.__qualname__ = name
    layer.__doc__ = f"``nn.{kind.__name__}`` with the weights ``params``: outputs, last h."
    return layer


gru = _simple(GRU, "gru")
rnn_tanh = _simple(RNN, "rnn_tanh", nonlinearity="tanh")
rnn_relu = _simple(RNN, "rnn_relu", nonlinearity="relu")


def lstm_cell(
    input: Value,
    hx: Sequence[Value],
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None = None,
    b_hh: Value | None = None,
) -> tuple[Value, Value]:
    """One step of an LSTM: the next (h, c)."""
    return _cell("LSTM", input, tuple(hx), w_ih, w_hh, b_ih, b_hh)


def _cell(
    mode: str,
    input: Value,
    states: tuple[Value, ...],
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None,
    b_hh: Value | None,
) -> tuple[Value, ...]:
    biases = [] if b_ih is None else [b_ih, b_hh]
    weights = [w_ih, w_hh, *biases]
    return _run_layer(mode, input, states, weights, bool(biases), (input.shape[0],), False)[1:]


def _simple_cell(mode: str, name: str) -> Callable[..., Value]:
    def cell(
        input: Value,
        hx: Value,
        w_ih: Value,
        w_hh: Value,
        b_ih: Value | None = None,
        b_hh: Value | None = None,
    ) -> Value:
        return _cell(mode, input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]

    cell.__name__ = cell.__qualname__ = name
    cell.__doc__ = f"One step of a layer of kind {mode}: the next h."
    return cell


gru_cell = _simple_cell("GRU", "gru_cell")
rnn_tanh_cell = _simple_cell("RNN_TANH", "rnn_tanh_cell")
rnn_relu_cell = _simple_cell("RNN_RELU", "rnn_relu_cell")


# ---- segments ------------------------------------------------------------------------------------


def segment_reduce(
    data: Value,
    reduce: str,
    *,
    lengths: Value | None = None,
    indices: Value | None = None,
    offsets: Value | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Value:
    """``reduce`` (sum, mean, max, min, prod) of the segments of ``data`` along ``axis``, whose
    ``lengths`` or ``offsets`` are given; an empty one gives ``initial``."""
    if reduce not in ("sum", "mean", "max", "min", "prod"):
        raise RuntimeError(f"segment_reduce(): unsupported reduction {reduce!r}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported.")
    if (lengths is None) == (offsets is None):
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if lengths is None:
        lengths = offsets.diff()
    if axis != lengths.dim() - 1:
        raise RuntimeError(
            "segment_reduce(): axis should be equal to lengths.ndim - 1, but got "
            f"axis={axis}, lengths.ndim={lengths.dim()}"
        )
    if axis:
        rows = [
            segment_reduce(d, reduce, lengths=n, axis=axis - 1, unsafe=unsafe, initial=initial)
            for d, n in zip(data.unbind(0), lengths.unbind(0), strict=True)
        ]
        return stack(rows)
    sizes = lengths.tolist()
    if not unsafe and (min(sizes, default=0) < 0 or sum(sizes) != data.shape[0]):
        raise RuntimeError(
            "Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when "
            f"!unsafe: {sizes} sum to {sum(sizes)}, of {data.shape[0]} rows"
        )
    neutral = {"sum": 0.0, "mean": float("nan"), "prod": 1.0}
    neutral |= {"max": float("-inf"), "min": float("inf")}
    found = []
    for piece in data.split(sizes):
        if not piece.shape[0]:
            start = neutral[reduce] if initial is None else initial
            found.append(data.new_full(data.shape[1:], start))
            continue
        whole = piece
        if initial is not None:
            whole = cat((data.new_full((1, *data.shape[1:]), initial), piece))
        if reduce in ("max", "min"):
            found.append(whole.amax(0) if reduce == "max" else whole.amin(0))
        elif reduce == "prod":
            found.append(whole.prod(0))
        else:
            total = whole.sum(0)
            found.append(total if reduce == "sum" else total / piece.shape[0])
    return stack(found) if found else empty(0, *data.shape[1:], dtype=data.dtype)
