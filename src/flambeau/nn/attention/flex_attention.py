"""Attention whose scores and masks are given as functions of positions.

A ``score_mod(score, batch, head, q_idx, kv_idx)`` and a ``mask_mod(batch, head, q_idx, kv_idx)``
are written for one element. Here they are called once, with tensors of indices that broadcast
against each other, so they may use elementwise operations and index with all of them at once.
Source: https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..._dtypes import bool_, float32, int32
from ..._missing import missing as _missing
from ...core.value import Value
from ...ops.comparison import where
from ...ops.reductions import logsumexp
from ...tensor._creation import arange, zeros

ScoreMod = Callable[[Value, Value, Value, Value, Value], Value]
MaskMod = Callable[[Value, Value, Value, Value], Value]
_mask_mod_signature, _score_mod_signature = MaskMod, ScoreMod
_DEFAULT_SPARSE_BLOCK_SIZE = 128


class AuxRequest(NamedTuple):
    """What ``flex_attention`` is to return besides the result."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What ``flex_attention`` returns on an AuxRequest."""

    lse: Value | None = None
    max_scores: Value | None = None


def noop_mask(batch: Value, head: Value, token_q: Value, token_kv: Value) -> Value:
    """A mask that leaves nothing out."""
    return batch.new_ones((), dtype=bool_)


def and_masks(*mask_mods: MaskMod) -> MaskMod:
    """What all of the masks let through."""
    return _joined(mask_mods, lambda a, b: a & b, True)


def or_masks(*mask_mods: MaskMod) -> MaskMod:
    """What one of the masks lets through."""
    return _joined(mask_mods, lambda a, b: a | b, False)


def _joined(
    mods: tuple[MaskMod, ...], join: Callable[[Value, Value], Value], empty: bool
) -> MaskMod:
    if not all(callable(mod) for mod in mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mods}")

    def mask_mod(b: Value, h: Value, q_idx: Value, kv_idx: Value) -> Value:
        """The masks joined."""
        result = b.new_full((), empty, dtype=bool_)
        for mod in mods:
            result = join(result, mod(b, h, q_idx, kv_idx))
        return result

    return mask_mod


def _indices(shape: tuple[int, ...]) -> list[Value]:
    """Indices of the four dimensions, which broadcast to ``shape``."""
    return [arange(n).view([-1 if d == i else 1 for d in range(4)]) for i, n in enumerate(shape)]


def _full(value: Value, shape: tuple[int, ...], what: str) -> Value:
    """``value`` broadcast to ``shape``. NotImplementedError where that cannot be."""
    try:
        return value.expand(shape)
    except RuntimeError:
        raise NotImplementedError(
            f"{what} returned a tensor of shape {tuple(value.shape)} for indices that broadcast to "
            f"{shape}\n  it is called with all indices at once: use elementwise operations, and "
            "index with them together, bias[h, q_idx - kv_idx], not bias[h][q_idx - kv_idx]"
        ) from None


def create_mask(
    mod_fn: ScoreMod | MaskMod,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
) -> Value:
    """What ``mod_fn`` says of every element, (B, H, Q_LEN, KV_LEN): bool of a mask_mod."""
    shape = (B or 1, H or 1, Q_LEN, KV_LEN)
    count = mod_fn.__code__.co_argcount if hasattr(mod_fn, "__code__") else 4
    if count == 5:
        return _full(mod_fn(zeros(shape), *_indices(shape)), shape, "score_mod")
    return _full(mod_fn(*_indices(shape)), shape, "mask_mod").contiguous()


class BlockMask:
    """A mask in blocks: for each row of blocks, how many columns are not empty, and which.

    ``kv_num_blocks`` (B, H, rows), ``kv_indices`` (B, H, rows, columns): the blocks in which
    ``mask_mod`` decides; ``full_*``: those that are let through as they are.
    """

    def __init__(
        self,
        seq_lengths: tuple[int, int],
        kv_num_blocks: Value,
        kv_indices: Value,
        full_kv_num_blocks: Value | None = None,
        full_kv_indices: Value | None = None,
        BLOCK_SIZE: tuple[int, int] = (_DEFAULT_SPARSE_BLOCK_SIZE, _DEFAULT_SPARSE_BLOCK_SIZE),
        mask_mod: MaskMod = noop_mask,
    ) -> None:
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        self.seq_lengths = seq_lengths
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.BLOCK_SIZE, self.mask_mod = BLOCK_SIZE, mask_mod

    @classmethod
    def from_kv_blocks(
        cls,
        kv_num_blocks: Value,
        kv_indices: Value,
        full_kv_num_blocks: Value | None = None,
        full_kv_indices: Value | None = None,
        BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
        mask_mod: MaskMod | None = None,
        seq_lengths: tuple[int, int] | None = None,
    ) -> BlockMask:
        """A mask of given blocks."""
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        rows, columns = kv_indices.shape[-2:]
        lengths = seq_lengths or (rows * size[0], columns * size[1])
        return cls(
            lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, size,
            mask_mod or noop_mask,
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, H, Q_LEN, KV_LEN)."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """How many elements the mask stands for."""
        return math.prod(self.shape)

    def _blocks(self, counts: Value | None, indices: Value | None) -> Value:
        """Bool (B, H, rows, columns): the blocks of one kind."""
        if counts is None:
            return zeros(self.kv_indices.shape, dtype=bool_)
        columns = indices.shape[-1]
        used = (arange(columns) < counts.unsqueeze(-1)).to(int32)
        return zeros(indices.shape, dtype=int32).scatter_add(-1, indices.long(), used) > 0

    def to_dense(self) -> Value:
        """1 for each block that is not empty, int32 (B, H, rows, columns)."""
        partial = self._blocks(self.kv_num_blocks, self.kv_indices)
        full = self._blocks(self.full_kv_num_blocks, self.full_kv_indices)
        return (partial | full).to(int32)

    def sparsity(self) -> float:
        """The share of elements that lie in no block, in percent."""
        area = self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1]
        return 100 * (1 - self.to_dense().sum().item() * area / self.numel())

    def _allowed(self, shape: tuple[int, ...]) -> Value:
        """Bool of ``shape``: which scores count."""
        rows, columns = shape[-2:]

        def spread(blocks: Value) -> Value:
            wide = blocks.repeat_interleave(self.BLOCK_SIZE[0], -2)
            return wide.repeat_interleave(self.BLOCK_SIZE[1], -1)[..., :rows, :columns]

        full = spread(self._blocks(self.full_kv_num_blocks, self.full_kv_indices))
        partial = spread(self._blocks(self.kv_num_blocks, self.kv_indices))
        inside = _full(self.mask_mod(*_indices(shape)), shape, "mask_mod")
        return full | (partial & inside)

    def to(self, device: Any) -> BlockMask:
        """The mask itself: it is on the CPU, where it has to be."""
        self.kv_indices.to(device)
        return self

    def __repr__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%)"


def create_block_mask(
    mask_mod: MaskMod,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
    _compile: bool = False,
) -> BlockMask:
    """The BlockMask of ``mask_mod``. B or H None: the same for all of the batch or all heads."""
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    mask = create_mask(mask_mod, B, H, Q_LEN, KV_LEN)
    rows, columns = -(-Q_LEN // size[0]), -(-KV_LEN // size[1])
    padded = zeros((*mask.shape[:2], rows * size[0], columns * size[1]), dtype=bool_)
    padded[..., :Q_LEN, :KV_LEN] = mask
    blocks = padded.view(*mask.shape[:2], rows, size[0], columns, size[1])
    counts = blocks.sum((3, 5))
    full = counts == size[0] * size[1]
    partial = (counts > 0) & ~full

    def listed(which: Value) -> tuple[Value, Value]:
        order = which.to(int32).argsort(dim=-1, descending=True, stable=True)
        return which.sum(-1).to(int32), order.to(int32)

    return BlockMask((Q_LEN, KV_LEN), *listed(partial), *listed(full), size, mask_mod)


def flex_attention(
    query: Value,
    key: Value,
    value: Value,
    score_mod: ScoreMod | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: Any = None,
    *,
    return_aux: AuxRequest | None = None,
) -> Any:
    """softmax(score_mod(query key^T * scale), where block_mask lets through) value.

    query (B, H, L, E), key (B, H, S, E), value (B, H, S, Ev); ``enable_gqa``: each head of key and
    value serves several of query. Queries that see no key give 0. ``return_lse``: the logarithms
    of the sums (B, H, L) as well.
    """
    if enable_gqa and key.shape[1] != query.shape[1]:
        times = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
    elif key.shape[1] != query.shape[1]:
        raise ValueError(
            "Expect query and key/value to have the same number of heads but got "
            f"Hq={query.shape[1]} and Hkv={key.shape[1]}. Try setting enable_gqa=True for GQA."
        )
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    dtype = query.dtype
    wide = dtype if dtype.itemsize > 2 else float32
    scores = (query.to(wide) @ key.to(wide).transpose(-2, -1)) * scale
    shape = tuple(scores.shape)
    if score_mod is not None:
        changed = score_mod(scores, *_indices(shape))
        scores = _full(changed, shape, "score_mod").to(wide)
    if block_mask is not None:
        if block_mask.seq_lengths[0] < shape[2] or block_mask.seq_lengths[1] < shape[3]:
            raise ValueError(
                f"block_mask was created for block_mask.shape={block_mask.shape} but got "
                f"q_len={shape[2]} and kv_len={shape[3]}. As the block mask was created for "
                "another length than you're using it for, you need to create a new block mask."
            )
        scores = where(block_mask._allowed(shape), scores, -math.inf)
    total = logsumexp(scores, -1, keepdim=True)
    seen = total > -math.inf
    weights = (scores - where(seen, total, 0.0)).exp()
    result = (weights @ value.to(wide)).to(dtype)
    total = total.squeeze(-1)
    if return_aux is not None:
        largest = scores.amax(-1) if return_aux.max_scores else None
        return result, AuxOutput(total if return_aux.lse else None, largest)
    return (result, total) if return_lse else result


__all__ = [
    "AuxOutput",
    "AuxRequest",
    "BlockMask",
    "and_masks",
    "create_block_mask",
    "create_mask",
    "flex_attention",
    "noop_mask",
    "or_masks",
]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
