"""Datasets: what a DataLoader reads samples from.

Source: https://docs.pytorch.org/docs/stable/data.html
"""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from ...core.generator import Generator
from ...core.value import Value
from ...tensor._random import default_generator, randperm

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Samples by key: a subclass defines ``__getitem__(key)``, and ``__len__`` for most samplers.

    ``__getitems__(keys)``, where it is defined, is asked for all samples of a batch at once.
    """

    def __getitem__(self, index: object) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(self, index)")

    def __add__(self, other: Dataset[T_co]) -> ConcatDataset[T_co]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """Samples one after the other: a subclass defines ``__iter__``.

    With several workers each has its own copy and iterates over all of it, unless ``__iter__``
    asks ``get_worker_info()`` for its share.
    """

    def __add__(self, other: Dataset[T_co]) -> ChainDataset:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Value, ...]]):
    """The rows of tensors of one length: sample i is ``(t[i] for each tensor t)``."""

    tensors: tuple[Value, ...]

    def __init__(self, *tensors: Value) -> None:
        lengths = [t.size(0) for t in tensors]
        if any(n != lengths[0] for n in lengths):
            raise AssertionError(
                f"Size mismatch between tensors\n  their first dimensions are {lengths}"
            )
        self.tensors = tensors

    def __getitem__(self, index: object) -> tuple[Value, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].size(0)


class StackDataset(Dataset):
    """Datasets of one length side by side: sample i is a tuple of the i-th sample of each.

    With keyword arguments it is a dict of them.
    """

    datasets: tuple | dict

    def __init__(self, *args: Dataset, **kwargs: Dataset) -> None:
        if args and kwargs:
            raise ValueError(
                "Supported either ``tuple``- (via ``args``) or ``dict``- (via ``kwargs``) like "
                "input/output, but both types are given."
            )
        if not args and not kwargs:
            raise ValueError("At least one dataset should be passed")
        parts = args or tuple(kwargs.values())
        self._length = len(parts[0])
        lengths = [len(part) for part in parts]
        if any(n != self._length for n in lengths):
            raise ValueError(f"Size mismatch between datasets\n  their lengths are {lengths}")
        self.datasets = args or kwargs

    def __getitem__(self, index: int) -> tuple | dict:
        if isinstance(self.datasets, dict):
            return {name: part[index] for name, part in self.datasets.items()}
        return tuple(part[index] for part in self.datasets)

    def __getitems__(self, indices: list[int]) -> list[tuple | dict]:
        """The samples of a batch, asked of each dataset at once where it can."""
        if isinstance(self.datasets, dict):
            columns = [_items(part, indices) for part in self.datasets.values()]
            return [dict(zip(self.datasets, row)) for row in zip(*columns)]
        return list(zip(*(_items(part, indices) for part in self.datasets)))

    def __len__(self) -> int:
        return self._length


def _items(dataset: Dataset, indices: list[int]) -> Sequence:
    """The samples of ``indices``, by ``__getitems__`` where the dataset has it."""
    together = getattr(dataset, "__getitems__", None)
    if not callable(together):
        return [dataset[i] for i in indices]
    items = together(indices)
    if len(items) != len(indices):
        raise ValueError(
            "Nested dataset's output size mismatch. "
            f"Expected {len(indices)}, got {len(items)}\n"
            f"  {type(dataset).__name__}.__getitems__ must return one sample for each index"
        )
    return items


class ConcatDataset(Dataset[T_co]):
    """Datasets one behind the other.

    ``cumulative_sizes``: where each ends.
    """

    datasets: list[Dataset[T_co]]
    cumulative_sizes: list[int]

    @staticmethod
    def cumsum(sequence: Iterable[Sequence]) -> list[int]:
        """The sums of the lengths up to and with each item."""
        return list(itertools.accumulate(len(part) for part in sequence))

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(part, IterableDataset) for part in self.datasets):
            raise AssertionError(
                "ConcatDataset does not support IterableDataset\n  use ChainDataset"
            )
        self.cumulative_sizes = self.cumsum(self.datasets)

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, idx: int) -> T_co:
        if idx < 0:
            if -idx > len(self):
                raise ValueError(
                    "absolute value of index should not exceed dataset length\n"
                    f"  got {idx}, the length is {len(self)}"
                )
            idx += len(self)
        which = bisect.bisect_right(self.cumulative_sizes, idx)
        return self.datasets[which][idx - (self.cumulative_sizes[which - 1] if which else 0)]

    @property
    def cummulative_sizes(self) -> list[int]:
        """``cumulative_sizes`` under its old, misspelt name; warns."""
        warnings.warn(
            "cummulative_sizes attribute is renamed to cumulative_sizes",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.cumulative_sizes


class ChainDataset(IterableDataset):
    """Iterable datasets one behind the other."""

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator:
        for part in self.datasets:
            if not isinstance(part, IterableDataset):
                raise AssertionError(
                    "ChainDataset only supports IterableDataset\n"
                    f"  one of its parts is a {type(part).__name__}; use ConcatDataset"
                )
            yield from part

    def __len__(self) -> int:
        total = 0
        for part in self.datasets:
            if not isinstance(part, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            total += len(part)
        return total


class Subset(Dataset[T_co]):
    """The samples of ``dataset`` at ``indices``, in that order."""

    dataset: Dataset[T_co]
    indices: Sequence[int]

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, idx: int | list[int]) -> T_co:
        if isinstance(idx, list):
            return self.dataset[[self.indices[i] for i in idx]]
        return self.dataset[self.indices[idx]]

    def __getitems__(self, indices: list[int]) -> Sequence[T_co]:
        """The samples of a batch, asked of the dataset at once where it can."""
        chosen = [self.indices[i] for i in indices]
        together = getattr(self.dataset, "__getitems__", None)
        return together(chosen) if callable(together) else [self.dataset[i] for i in chosen]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Dataset[T],
    lengths: Sequence[int | float],
    generator: Generator | None = default_generator,
) -> list[Subset[T]]:
    """Cut ``dataset`` at random into disjoint subsets of ``lengths``.

    Fractions that sum to 1 stand for ``floor(fraction * len(dataset))`` samples each; what is left
    over goes to the subsets one by one, in order. ValueError unless the lengths sum to the whole.
    """
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        sizes: list[int] = []
        for i, fraction in enumerate(lengths):
            if fraction < 0 or fraction > 1:
                raise ValueError(f"Fraction at index {i} is not between 0 and 1")
            sizes.append(math.floor(len(dataset) * fraction))
        for i in range(len(dataset) - sum(sizes)):
            sizes[i % len(sizes)] += 1
        lengths = sizes
        for i, size in enumerate(lengths):
            if size == 0:
                warnings.warn(
                    f"Length of split at index {i} is 0. This might result in an empty dataset.",
                    stacklevel=2,
                )
    if sum(lengths) != len(dataset):
        raise ValueError(
            "Sum of input lengths does not equal the length of the input dataset!\n"
            f"  {' + '.join(map(str, lengths))} = {sum(lengths)}, the dataset has {len(dataset)}"
        )
    order = randperm(sum(lengths), generator=generator).tolist()
    ends = itertools.accumulate(lengths)
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, lengths)]


__all__ = [
    "ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "StackDataset", "Subset",
    "TensorDataset", "random_split",
]  # fmt: skip
