"""Multi-head attention with its projections, as ``nn.MultiheadAttention`` calls it."""

from __future__ import annotations

import math

import numpy as np

from ..core.value import Value, constant
from ..ops.attention import scaled_dot_product_attention
from ..ops.joining import cat
from ..ops.padding import pad
from ..ops.products import linear
from .dropout import dropout


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _check_ranks(
    query: Value, key: Value, value: Value, padding: Value | None, mask: Value | None, heads: int
) -> bool:
    """Whether the operands are batched. AssertionError where they do not go together."""
    rank = query.dim()
    _require(
        rank in (2, 3),
        f"query should be unbatched 2D or batched 3D tensor but received {rank}-D query tensor",
    )
    what = f"For {'batched (3-D)' if rank == 3 else 'unbatched (2-D)'} `query`, expected"
    _require(
        key.dim() == rank and value.dim() == rank,
        f"{what} `key` and `value` to be {rank}-D but found {key.dim()}-D and {value.dim()}-D "
        "tensors respectively",
    )
    if padding is not None:
        _require(
            padding.dim() == rank - 1,
            f"{what} `key_padding_mask` to be `None` or {rank - 1}-D but found {padding.dim()}-D "
            "tensor instead",
        )
    if mask is not None:
        _require(
            mask.dim() in (2, 3),
            f"{what} `attn_mask` to be `None`, 2-D or 3-D but found {mask.dim()}-D tensor instead",
        )
        if rank == 2 and mask.dim() == 3:
            wanted = (heads, query.shape[0], key.shape[0])
            _require(
                tuple(mask.shape) == wanted,
                f"Expected `attn_mask` shape to be {wanted} but got {tuple(mask.shape)}",
            )
    return rank == 3


def _as_numbers(mask: Value | None, name: str, like: Value) -> Value | None:
    """A mask of bool (True: leave out) as 0 and -inf, one of numbers as it is."""
    if mask is None:
        return None
    if mask._array.dtype.kind == "b":
        d = like._array.dtype
        return constant(np.zeros((), d)).masked_fill(mask, -np.inf)
    _require(mask.is_floating_point(), f"only bool and floating types of {name} are supported")
    return mask


def _projected(
    query: Value,
    key: Value,
    value: Value,
    weight: Value,
    bias: Value | None,
) -> tuple[Value, Value, Value]:
    """The three projections by one weight (3 E, E), in as few products as the operands allow."""
    width = query.shape[-1]
    if key is value:
        if query is key:
            all_three = linear(query, weight, bias)
            return tuple(all_three.chunk(3, -1))
        w = weight.split([width, 2 * width])
        b = (None, None) if bias is None else bias.split([width, 2 * width])
        return linear(query, w[0], b[0]), *linear(key, w[1], b[1]).chunk(2, -1)
    w = weight.chunk(3)
    b = (None, None, None) if bias is None else bias.chunk(3)
    return linear(query, w[0], b[0]), linear(key, w[1], b[1]), linear(value, w[2], b[2])


def multi_head_attention_forward(
    query: Value,
    key: Value,
    value: Value,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Value | None,
    in_proj_bias: Value | None,
    bias_k: Value | None,
    bias_v: Value | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Value,
    out_proj_bias: Value | None,
    training: bool = True,
    key_padding_mask: Value | None = None,
    need_weights: bool = True,
    attn_mask: Value | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Value | None = None,
    k_proj_weight: Value | None = None,
    v_proj_weight: Value | None = None,
    static_k: Value | None = None,
    static_v: Value | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Value, Value | None]:
    """(result, weights or None) of attention with input and output projections.

    query (L, N, E), key and value (S, N, E), or all without N; result (L, N, E), weights (N, L, S)
    (one for each head unless ``average_attn_weights``). Masks of bool: True leaves a key out.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html
    """
    batched = _check_ranks(query, key, value, key_padding_mask, attn_mask, num_heads)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. "
            "Transformer.generate_square_subsequent_mask makes it."
        )
    if is_causal and key_padding_mask is None and not need_weights:
        attn_mask = None  # the hint says that it is the causal one
    else:
        is_causal = False
    if not batched:
        same_k, same_v = key is query, value is key
        query = query.unsqueeze(1)
        key = query if same_k else key.unsqueeze(1)
        value = key if same_v else value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    target, batch, width = query.shape
    source = key.shape[0]
    key_padding_mask = _as_numbers(key_padding_mask, "key_padding_mask", query)
    attn_mask = _as_numbers(attn_mask, "attn_mask", query)
    _require(
        width == embed_dim_to_check,
        f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}",
    )
    head = width // num_heads
    _require(head * num_heads == width, f"embed_dim {width} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight:
        _require(
            key.shape[:2] == value.shape[:2],
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}",
        )
        weights = (q_proj_weight, k_proj_weight, v_proj_weight)
        for weight, name in zip(weights, ("q", "k", "v"), strict=True):
            _require(
                weight is not None,
                f"use_separate_proj_weight is True but {name}_proj_weight is None",
            )
        biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
        q, k, v = (
            linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)
        )
    else:
        _require(
            key.shape == value.shape,
            f"key shape {key.shape} does not match value shape {value.shape}",
        )
        _require(
            in_proj_weight is not None,
            "use_separate_proj_weight is False but in_proj_weight is None",
        )
        q, k, v = _projected(query, key, value, in_proj_weight, in_proj_bias)

    if attn_mask is not None:
        if attn_mask.dim() == 2:
            wanted = (target, source)
            name = "2D"
        else:
            wanted = (batch * num_heads, target, source)
            name = "3D"
        if tuple(attn_mask.shape) != wanted:
            raise RuntimeError(
                f"The shape of the {name} attn_mask is {attn_mask.shape}, but should be {wanted}."
            )
        if attn_mask.dim() == 2:
            attn_mask = attn_mask.unsqueeze(0)

    if bias_k is not None and bias_v is not None:
        _require(static_k is None, "bias cannot be added to static key.")
        _require(static_v is None, "bias cannot be added to static value.")
        k = cat((k, bias_k.expand(1, batch, width)))
        v = cat((v, bias_v.expand(1, batch, width)))
        attn_mask, key_padding_mask = _one_more(attn_mask), _one_more(key_padding_mask)
    else:
        _require(bias_k is None, "bias_k is set but bias_v is None")
        _require(bias_v is None, "bias_v is set but bias_k is None")

    q = q.reshape(target, batch * num_heads, head).transpose(0, 1)
    k = _heads(k, static_k, batch * num_heads, head, "static_k")
    v = _heads(v, static_v, batch * num_heads, head, "static_v")
    if add_zero_attn:
        zeros = k.new_zeros((batch * num_heads, 1, head))
        k, v = cat((k, zeros), 1), cat((v, zeros), 1)
        attn_mask, key_padding_mask = _one_more(attn_mask), _one_more(key_padding_mask)
    source = k.shape[1]
    if key_padding_mask is not None:
        _require(
            key_padding_mask.shape[0] == batch,
            f"Expected key_padded_mask.shape[0] to be {batch}, but got {key_padding_mask.shape[0]}",
        )
        _require(
            key_padding_mask.shape[1] == source,
            f"Expected key_padded_mask.shape[1] to be {source}, but got "
            f"{key_padding_mask.shape[1]}",
        )
        padding = key_padding_mask.reshape(batch, 1, 1, source).expand(-1, num_heads, -1, -1)
        padding = padding.reshape(batch * num_heads, 1, source)
        attn_mask = padding if attn_mask is None else attn_mask + padding
    dropout_p = dropout_p if training else 0.0

    if need_weights:
        scores = (q * math.sqrt(1.0 / head)) @ k.transpose(-2, -1)
        if attn_mask is not None:
            scores = scores + attn_mask
        p = scores.softmax(-1)
        if dropout_p > 0.0:
            p = dropout(p, dropout_p)
        y = p @ v
    else:
        four = (batch, num_heads)
        if attn_mask is not None:
            if attn_mask.shape[0] == 1:
                attn_mask = attn_mask.unsqueeze(0)
            else:
                attn_mask = attn_mask.reshape(*four, -1, source)
        y = scaled_dot_product_attention(
            q.reshape(*four, target, head),
            k.reshape(*four, source, head),
            v.reshape(*four, source, head),
            attn_mask,
            dropout_p,
            is_causal,
        ).reshape(batch * num_heads, target, head)
    y = y.transpose(0, 1).reshape(target * batch, width)
    y = linear(y, out_proj_weight, out_proj_bias).reshape(target, batch, -1)
    if not need_weights:
        return (y if batched else y.squeeze(1)), None
    p = p.reshape(batch, num_heads, target, source)
    if average_attn_weights:
        p = p.mean(1)
    return (y, p) if batched else (y.squeeze(1), p.squeeze(0))


def _one_more(mask: Value | None) -> Value | None:
    """The mask with one more key, which is seen."""
    return None if mask is None else pad(mask, (0, 1))


def _heads(x: Value, static: Value | None, count: int, head: int, name: str) -> Value:
    """(S, N, E) as (heads, S, head), or what the caller gives instead."""
    if static is None:
        return x.reshape(x.shape[0], count, head).transpose(0, 1)
    _require(
        static.shape[0] == count,
        f"expecting {name}.size(0) of {count}, but got {static.shape[0]}",
    )
    _require(
        static.shape[2] == head, f"expecting {name}.size(2) of {head}, but got {static.shape[2]}"
    )
    return static
