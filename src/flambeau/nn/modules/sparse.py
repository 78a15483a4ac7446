"""Tables of vectors that are looked up by number."""

from __future__ import annotations

from ..._dtypes import dtype
from ...core.modes import no_grad
from ...core.value import Value
from ...tensor._creation import empty
from .. import functional as F
from .. import init
from ..parameter import Parameter
from .module import Module


class _Table(Module):
    """What Embedding and EmbeddingBag share: the table, its start, its padding row."""

    padding_idx: int | None

    def _make_table(
        self, given: Value | None, freeze: bool, device: object, dtype: dtype | None
    ) -> None:
        shape = (self.num_embeddings, self.embedding_dim)
        padding = self.padding_idx
        if padding is not None:
            if not -shape[0] <= padding < shape[0]:
                raise AssertionError(
                    f"Padding_idx must be within num_embeddings\n  it is {padding}, and there are "
                    f"{shape[0]} rows"
                )
            self.padding_idx = padding % shape[0]
        if given is None:
            self.weight = Parameter(empty(shape, device=device, dtype=dtype), not freeze)
            self.reset_parameters()
            return
        if tuple(given.shape) != shape:
            raise AssertionError(
                "Shape of weight does not match num_embeddings and embedding_dim\n"
                f"  {tuple(given.shape)} was given, {shape} is needed"
            )
        self.weight = Parameter(given, not freeze)

    def reset_parameters(self) -> None:
        """Draw the table from the normal distribution; the padding row is zeros."""
        init.normal_(self.weight)
        self._fill_padding_idx_with_zero()

    @no_grad()
    def _fill_padding_idx_with_zero(self) -> None:
        if self.padding_idx is not None:
            self.weight[self.padding_idx].fill_(0)


class Embedding(_Table):
    """``weight[input]``: a vector of ``embedding_dim`` numbers for each integer.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Value | None = None,
        _freeze: bool = False,
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        self._make_table(_weight, _freeze, device, dtype)

    def forward(self, input: Value) -> Value:
        """One row of the table for each number."""
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    def extra_repr(self) -> str:
        return _settings(self)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Value,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A layer whose table is ``embeddings`` (rows, width), which does not learn if frozen."""
        _check_table(embeddings)
        rows, width = embeddings.shape
        return cls(
            rows,
            width,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            embeddings,
            freeze,
        )


class EmbeddingBag(_Table):
    """The sum, mean or maximum of the vectors of each bag of integers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.EmbeddingBag.html
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Value | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.padding_idx = padding_idx
        self._make_table(_weight, False, device, dtype)
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset

    def forward(
        self,
        input: Value,
        offsets: Value | None = None,
        per_sample_weights: Value | None = None,
    ) -> Value:
        """One vector for each bag."""
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        end = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{_settings(self)}, mode={self.mode!r}{end}"

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Value,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A layer whose table is ``embeddings`` (rows, width), which does not learn if frozen."""
        _check_table(embeddings)
        rows, width = embeddings.shape
        layer = cls(
            rows,
            width,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            embeddings,
            include_last_offset,
            padding_idx,
        )
        layer.weight.requires_grad = not freeze
        return layer


def _check_table(embeddings: Value) -> None:
    if embeddings.dim() != 2:
        raise AssertionError(
            "Embeddings parameter is expected to be 2-dimensional, got "
            f"{embeddings.dim()} dimensions"
        )


def _settings(layer: Module) -> str:
    """The settings that differ from their defaults, after the sizes."""
    text = f"{layer.num_embeddings}, {layer.embedding_dim}"
    if isinstance(layer, Embedding) and layer.padding_idx is not None:
        text += f", padding_idx={layer.padding_idx}"
    if layer.max_norm is not None:
        text += f", max_norm={layer.max_norm}"
    if layer.norm_type != 2:
        text += f", norm_type={layer.norm_type}"
    if layer.scale_grad_by_freq is not False:
        text += f", scale_grad_by_freq={layer.scale_grad_by_freq}"
    if layer.sparse is not False:
        text += ", sparse=True"
    return text


__all__ = ["Embedding", "EmbeddingBag"]
