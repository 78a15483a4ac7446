"""A softmax over very many classes, the rare ones in clusters of their own."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence

from ..._dtypes import dtype
from ...core.value import Value
from ...ops.joining import cat
from ...tensor._creation import arange, empty
from .. import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of ``n_classes`` classes that are sorted by frequency.

    ``cutoffs`` divide them into clusters: the first is part of the head, each other one is one
    output of the head and a tail, whose inner width is in_features / div_value^(i + 1).
    ``forward(input, target)``: (N, in_features) or (in_features,), and the classes; the result is
    the targets' log-probabilities and the mean negative one.
    Source: https://arxiv.org/abs/1609.04309
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            cutoffs != sorted(set(cutoffs))
            or cutoffs[0] <= 0
            or cutoffs[-1] > n_classes - 1
            or any(int(c) != c for c in cutoffs)
        ):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing "
                "order, where each value is between 1 and n_classes-1"
            )
        factory = {"device": device, "dtype": dtype}
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, **factory)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(zip(self.cutoffs, self.cutoffs[1:])):
            width = int(in_features // div_value ** (i + 1))
            self.tail.append(
                Sequential(
                    Linear(in_features, width, bias=False, **factory),
                    Linear(width, high - low, bias=False, **factory),
                )
            )

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        self.head.reset_parameters()
        for inner, outer in self.tail:
            inner.reset_parameters()
            outer.reset_parameters()

    def forward(self, input_: Value, target_: Value) -> _ASMoutput:
        """(output (N,), loss): the targets' log-probabilities, and minus their mean."""
        if input_.dim() not in (1, 2) or target_.dim() not in (0, 1):
            raise RuntimeError(
                "1D or 2D input expected, with a target of one dimension less, got "
                f"{input_.dim()}D and {target_.dim()}D"
            )
        batched = target_.dim() > 0
        input, target = (input_, target_) if batched else (input_[None], target_[None])
        if input.shape[0] != target.shape[0]:
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if target.numel() and not 0 <= int(target.min()) <= int(target.max()) < self.n_classes:
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{int(target.min())}, {int(target.max())}] were found. "
            )
        places = target.clone()  # of each target in the head: its own, or its cluster's
        parts, rows = [], []
        for i, (low, high) in enumerate(zip(self.cutoffs, self.cutoffs[1:])):
            inside = ((target >= low) & (target < high)).nonzero().squeeze(1)
            if not inside.numel():
                continue
            places[inside] = self.shortlist_size + i
            scores = F.log_softmax(self.tail[i](input.index_select(0, inside)), dim=1)
            parts.append(scores.gather(1, (target[inside] - low).unsqueeze(1)).squeeze(1))
            rows.append(inside)
        head = F.log_softmax(self.head(input), dim=1)
        output = head.gather(1, places.unsqueeze(1)).squeeze(1)
        if parts:
            output = output.index_add(0, cat(rows), cat(parts))
        loss = (-output).mean()
        return _ASMoutput(output if batched else output.squeeze(0), loss)

    def _all(self, input: Value, head: Value) -> Value:
        """Log-probabilities of all classes from the head's scores."""
        scores = F.log_softmax(head, dim=1)
        out = empty((head.shape[0], self.n_classes), dtype=head.dtype)
        parts = [scores[:, : self.shortlist_size]]
        for i in range(self.n_clusters):
            of_cluster = scores[:, self.shortlist_size + i].unsqueeze(1)
            parts.append(F.log_softmax(self.tail[i](input), dim=1) + of_cluster)
        return cat(parts, dim=1) if head.shape[0] else out

    def log_prob(self, input: Value) -> Value:
        """The log-probabilities (N, n_classes) of all classes."""
        return self._all(input, self.head(input))

    def predict(self, input: Value) -> Value:
        """The most probable class of each input: ``log_prob(input).argmax(1)``."""
        head = self.head(input)
        best = head.argmax(dim=1)
        rare = best >= self.shortlist_size  # the others need no tail
        if bool(rare.any()):
            rows = arange(len(best))[rare]
            best[rows] = self._all(input[rows], head[rows]).argmax(dim=1)
        return best


__all__ = ["AdaptiveLogSoftmaxWithLoss"]
