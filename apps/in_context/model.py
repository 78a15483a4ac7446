"""The transformer that learns in context: GPT-2 blocks over the sequence x1 y1 x2 y2 ... xn yn.

An x is a vector of `dims` numbers; a y takes the first of `dims` numbers, the rest are zero. One
linear map (`_read_in`) turns both into tokens, another (`_read_out`) turns the token of an x into
the prediction of its y. Attention is causal, so that the prediction of y_i sees the i - 1 examples
before it and x_i: one pass over a prompt of n examples gives n predictions.

The blocks are those of GPT-2 (learned positions, normalisation before attention and MLP, gelu in
its tanh form), and parameters have the names that the paper's published checkpoints use. Source:
arXiv 2208.01066, section 2 and appendix A; Radford et al. 2019 for GPT-2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STD = 0.02  # of GPT-2's initial weights

#: Tensors in published checkpoints that hold nothing learned: the embedding of words, which a
#: prompt of numbers never uses, and the causal mask, which older code kept as a buffer.
UNUSED = (".wte.weight", ".attn.bias", ".attn.masked_bias")


class Projection(nn.Module):
    """y = x W + b with W of shape (inputs, outputs): GPT-2 keeps its weights that way round."""

    def __init__(self, inputs: int, outputs: int, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.normal_(self.weight, std=std)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        return x @ self.weight + self.bias


class Attention(nn.Module):
    """Multi-head self-attention: softmax(Q K^T / sqrt(width / heads)) V for every head."""

    def __init__(self, width: int, heads: int, layers: int, std: float) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = Projection(width, 3 * width, std)
        self.c_proj = Projection(width, width, std / math.sqrt(2 * layers))

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (batch, heads, tokens, width / heads)."""
        batch, tokens, width = x.shape
        parts = self.c_attn(x).split(width, dim=2)
        shape = (batch, tokens, self.heads, width // self.heads)
        q, k, v = (part.view(shape).transpose(1, 2) for part in parts)
        return q, k, v

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, tokens, width) -> the same; causal unless a mask says who sees whom."""
        q, k, v = self._split(x)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.c_proj(mixed.transpose(1, 2).reshape(x.shape))

    def weights(self, x: Tensor) -> Tensor:
        """What each token looks at: (batch, heads, tokens, tokens), rows that sum to 1."""
        q, k, _ = self._split(x)
        tokens = x.shape[1]
        future = torch.ones(tokens, tokens, dtype=torch.bool, device=x.device).triu(1)
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
        return scores.masked_fill(future, -math.inf).softmax(dim=3)


class MLP(nn.Module):
    """gelu(x W1 + b1) W2 + b2, four times as wide inside."""

    def __init__(self, width: int, layers: int, std: float) -> None:
        super().__init__()
        self.c_fc = Projection(width, 4 * width, std)
        self.c_proj = Projection(4 * width, width, std / math.sqrt(2 * layers))

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int, layers: int, std: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads, layers, std)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = MLP(width, layers, std)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, tokens, width) -> the same."""
        x = x + self.attn(self.ln_1(x), mask)
        return x + self.mlp(self.ln_2(x))


class Backbone(nn.Module):
    """GPT-2 without its words: positions, blocks and a last normalisation."""

    def __init__(self, tokens: int, width: int, layers: int, heads: int, std: float) -> None:
        super().__init__()
        self.wpe = nn.Embedding(tokens, width)
        self.h = nn.ModuleList(Block(width, heads, layers, std) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        nn.init.normal_(self.wpe.weight, std=std)

    def forward(self, x: Tensor, places: Tensor, mask: Tensor | None = None) -> Tensor:
        """(batch, tokens, width) and what stands for each token's place -> the former's shape."""
        x = x + places
        for block in self.h:
            x = block(x, mask)
        return self.ln_f(x)


def interleave(xs: Tensor, ys: Tensor) -> Tensor:
    """The sequence x1 y1 x2 y2 ...: (batch, n, dims) and (batch, n) -> (batch, 2n, dims)."""
    batch, points, dims = xs.shape
    wide = F.pad(ys.unsqueeze(2), (0, dims - 1))
    return torch.stack((xs, wide), dim=2).view(batch, 2 * points, dims)


def mask_of_queries(points: int, device: torch.device) -> Tensor:
    """Who sees whom when each example has a question of its own, (3n, 3n), True where seen.

    The first 2n tokens are the prompt, causal as ever. Token 2n + i is question i: it sees the
    examples before i and itself, as if it stood in the place of x_i.
    """
    prompt = torch.arange(2 * points, device=device)
    question = torch.arange(points, device=device)
    seen = torch.zeros(3 * points, 3 * points, dtype=torch.bool, device=device)
    seen[: 2 * points, : 2 * points] = prompt <= prompt.unsqueeze(1)
    seen[2 * points :, : 2 * points] = prompt < 2 * question.unsqueeze(1)
    seen[2 * points :, 2 * points :] = question == question.unsqueeze(1)
    return seen


class Transformer(nn.Module):
    """Predicts every y of a prompt from the examples before it.

    Args:
        dims: numbers in an x.
        points: the longest prompt, in examples; the model has twice as many positions.
        width, layers, heads: of the blocks.
        std: of the initial weights of the blocks and positions; what ends a branch is divided by
            sqrt(2 layers), as in GPT-2.
    """

    def __init__(
        self, dims: int, points: int, width: int, layers: int, heads: int, std: float = STD
    ) -> None:
        super().__init__()
        self.dims, self.points = dims, points
        self._read_in = nn.Linear(dims, width)
        self._backbone = Backbone(2 * points, width, layers, heads, std)
        self._read_out = nn.Linear(width, 1)

    def forward(self, xs: Tensor, ys: Tensor, queries: Tensor | None = None) -> Tensor:
        """Predictions (batch, n) for the n examples xs (batch, n, dims), ys (batch, n).

        Prediction i is what the model says of x_i, or of queries[:, i] where queries are given,
        after the examples 0 .. i - 1. All questions are asked in one pass of 3n tokens: each has
        the position of the x it stands for, and none sees another.

        Raises:
            ValueError: the prompt is longer than the model's positions.
        """
        points = xs.shape[1]
        if points > self.points:
            raise ValueError(
                f"the prompt has {points} examples, but the model was made for at most"
                f" {self.points} (setting model.points)"
            )
        tokens = interleave(xs, ys)
        places = self._backbone.wpe.weight[: 2 * points]
        if queries is None:
            hidden = self._backbone(self._read_in(tokens), places)
            return self._read_out(hidden[:, ::2]).squeeze(2)
        tokens = torch.cat((tokens, queries), dim=1)
        places = torch.cat((places, places[::2]))
        mask = mask_of_queries(points, xs.device)
        hidden = self._backbone(self._read_in(tokens), places, mask)
        return self._read_out(hidden[:, 2 * points :]).squeeze(2)

    def attention(self, xs: Tensor, ys: Tensor) -> list[Tensor]:
        """What each token looks at, layer by layer: (batch, heads, 2n, 2n) each."""
        tokens = interleave(xs, ys)
        x = self._read_in(tokens) + self._backbone.wpe.weight[: tokens.shape[1]]
        maps = []
        for block in self._backbone.h:
            maps.append(block.attn.weights(block.ln_1(x)))
            x = block(x)
        return maps


def load_published(state: Mapping[str, Any], heads: int) -> Transformer:
    """A model with the weights of a checkpoint that the paper's authors published.

    Args:
        state: its state_dict, as torch.load gives it, alone or under "model_state_dict".
        heads: the attention heads, which no tensor's shape tells (12 layers have 8, 6 have 4,
            3 have 2).

    Raises:
        ValueError: a tensor is missing or left over.
    """
    state = state.get("model_state_dict", state)
    kept = {name: value for name, value in state.items() if not name.endswith(UNUSED)}
    sizes = ("_read_in.weight", "_backbone.wpe.weight")
    missing = [name for name in sizes if name not in kept]
    if missing:
        raise ValueError(f"not a checkpoint of this model: it has no {' and no '.join(missing)}")
    width, dims = kept["_read_in.weight"].shape
    points = kept["_backbone.wpe.weight"].shape[0] // 2
    layers = len({name.split(".")[2] for name in kept if name.startswith("_backbone.h.")})
    model = Transformer(dims, points, width, layers, heads)
    difference = model.state_dict().keys() ^ kept.keys()
    if difference:
        raise ValueError(f"not a checkpoint of this model: {', '.join(sorted(difference))}")
    model.load_state_dict(kept)
    return model
