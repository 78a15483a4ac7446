"""Samplers: in which order a DataLoader reads its dataset.

The random ones give PyTorch's order for the same seed. Those that draw have ``state_dict()``, what
a pass over them began with, and ``load_state_dict()``, after which the next pass repeats that one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Generic, TypeVar

from ..._dtypes import float64, int64
from ...core.generator import Generator, current
from ...core.value import Value
from ...tensor._creation import as_tensor, empty
from ...tensor._random import randint, randperm
from ...tensor._sampling import multinomial

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """Keys of a dataset in some order: a subclass defines ``__iter__``, if it can ``__len__``."""

    def __init__(self, data_source: Sized | None = None) -> None:
        pass

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__(self)")


class SequentialSampler(Sampler[int]):
    """0, 1, 2 ..."""

    data_source: Sized

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class _Drawing(Sampler[int]):
    """A sampler that draws from ``generator`` (the default one where it is None)."""

    generator: Generator | None
    _before: Value | None = None  # the generator's state when the last pass began
    _resume: Value | None = None  # the state that the next pass is to begin with

    def state_dict(self) -> dict[str, object]:
        """What the last pass began with: ``{"generator": state}``, the state None before any."""
        return {"generator": self._before if self._resume is None else self._resume}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Let the next pass repeat the one that ``state_dict`` is of."""
        self._resume = state_dict["generator"]

    def _begin(self, generator: Generator | None) -> Generator | None:
        """Note where a pass begins to draw, or go back to where it has begun."""
        if self._resume is not None:
            generator = generator or Generator()
            generator.set_state(self._resume)
            self._resume = None
        self._before = (generator or current()).get_state()
        return generator


class RandomSampler(_Drawing):
    """All keys 0 ... n - 1 in random order, or ``num_samples`` of them.

    With ``replacement`` each is drawn from all; without it, more than n are drawn in rounds.
    Without a generator each pass draws a seed from the default one.
    """

    data_source: Sized
    replacement: bool

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(
                f"replacement should be a boolean value, but got replacement={replacement}"
            )
        n = self.num_samples
        if not isinstance(n, int) or n <= 0:
            raise ValueError(
                f"num_samples should be a positive integer value, but got num_samples={n}"
            )

    @property
    def num_samples(self) -> int:
        """How many keys one pass gives: the dataset's length unless it was given."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n = len(self.data_source)
        generator = self.generator
        if generator is None and self._resume is None:
            generator = Generator().manual_seed(draw_seed(None))
        generator = self._begin(generator)
        if self.replacement:
            for _ in range(self.num_samples // 32):
                yield from randint(n, (32,), generator=generator).tolist()
            yield from randint(n, (self.num_samples % 32,), generator=generator).tolist()
        else:
            for _ in range(self.num_samples // n):
                yield from randperm(n, generator=generator).tolist()
            yield from randperm(n, generator=generator).tolist()[: self.num_samples % n]

    def __len__(self) -> int:
        return self.num_samples


def draw_seed(generator: Generator | None) -> int:
    """63 bits drawn from ``generator``, as PyTorch draws seeds."""
    return int(empty((), dtype=int64).random_(generator=generator).item())


class SubsetRandomSampler(_Drawing):
    """``indices`` in random order."""

    indices: Sequence[int]

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in randperm(len(self.indices), generator=self._begin(self.generator)).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(_Drawing):
    """``num_samples`` keys, key i with a probability in proportion to ``weights[i]``."""

    weights: Value
    num_samples: int
    replacement: bool

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(
                f"num_samples should be a positive integer value, but got num_samples={num_samples}"
            )
        if not isinstance(replacement, bool):
            raise ValueError(
                f"replacement should be a boolean value, but got replacement={replacement}"
            )
        weights = as_tensor(weights, dtype=float64)
        if weights.ndim != 1:
            raise ValueError(
                "weights should be a 1d sequence but given weights have shape "
                f"{tuple(weights.shape)}"
            )
        self.weights = weights
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        generator = self._begin(self.generator)
        drawn = multinomial(self.weights, self.num_samples, self.replacement, generator=generator)
        yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of ``batch_size`` keys of another sampler, the last shorter unless ``drop_last``."""

    sampler: Sampler[int] | Iterable[int]

    def __init__(
        self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool
    ) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        keys = iter(self.sampler)
        while batch := list(itertools.islice(keys, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


__all__ = [
    "BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "SubsetRandomSampler",
    "WeightedRandomSampler",
]  # fmt: skip
