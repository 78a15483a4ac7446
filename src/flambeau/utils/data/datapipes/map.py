"""Steps with keys."""

from __future__ import annotations

import bisect
import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...._missing import missing as _missing
from ._pipe import DataChunk, IterDataPipe, MapDataPipe, Shuffling, functional_datapipe


class SequenceWrapper(MapDataPipe):
    """The elements of a sequence or a dict, copied beforehand unless ``deepcopy=False``."""

    def __init__(self, sequence: Any, deepcopy: bool = True) -> None:
        self.sequence = copy.deepcopy(sequence) if deepcopy else sequence

    def __getitem__(self, index: Any) -> Any:
        return self.sequence[index]

    def __len__(self) -> int:
        return len(self.sequence)


@functional_datapipe("map")
class Mapper(MapDataPipe):
    """``fn`` of each sample."""

    def __init__(self, datapipe: MapDataPipe, fn: Callable) -> None:
        self.datapipe = datapipe
        self.fn = fn

    def __getitem__(self, index: Any) -> Any:
        return self.fn(self.datapipe[index])

    def __len__(self) -> int:
        return len(self.datapipe)


@functional_datapipe("batch")
class Batcher(MapDataPipe):
    """Lists of ``batch_size`` samples; the last may be shorter, unless ``drop_last``."""

    def __init__(
        self,
        datapipe: MapDataPipe,
        batch_size: int,
        drop_last: bool = False,
        wrapper_class: type = DataChunk,
    ) -> None:
        if batch_size <= 0:
            raise AssertionError("Batch size is required to be larger than 0!")
        self.datapipe = datapipe
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.wrapper_class = wrapper_class

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"Index {index} is out of bound.")
        start = index * self.batch_size
        stop = min(start + self.batch_size, len(self.datapipe))
        return self.wrapper_class([self.datapipe[i] for i in range(start, stop)])

    def __len__(self) -> int:
        count = len(self.datapipe)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


@functional_datapipe("concat")
class Concater(MapDataPipe):
    """The samples of the first pipe, then of the second ..., under the keys 0, 1 ..."""

    def __init__(self, *datapipes: MapDataPipe) -> None:
        if not datapipes:
            raise ValueError("Expected at least one DataPipe, but got nothing")
        self.datapipes = datapipes

    def __getitem__(self, index: int) -> Any:
        ends = list(itertools.accumulate(map(len, self.datapipes)))
        place = bisect.bisect_right(ends, index)
        if place == len(ends):
            raise IndexError(f"Index {index} is out of range.")
        return self.datapipes[place][index - (ends[place - 1] if place else 0)]

    def __len__(self) -> int:
        return sum(map(len, self.datapipes))


@functional_datapipe("zip")
class Zipper(MapDataPipe):
    """Tuples with the samples of all pipes under a key."""

    def __init__(self, *datapipes: MapDataPipe) -> None:
        if not datapipes:
            raise ValueError("Expected at least one DataPipe, but got nothing")
        self.datapipes = datapipes

    def __getitem__(self, index: Any) -> tuple:
        return tuple(pipe[index] for pipe in self.datapipes)

    def __len__(self) -> int:
        return min(map(len, self.datapipes))


class Shuffler(Shuffling, IterDataPipe):
    """The samples in random order: ``shuffle``, which makes a pipe that is iterated over."""

    def __init__(self, datapipe: MapDataPipe, *, indices: Sequence | None = None) -> None:
        self.datapipe = datapipe
        self.indices = list(range(len(datapipe)) if indices is None else indices)

    def __iter__(self) -> Iterator:
        order = self.indices
        if self._enabled:
            order = self._numbers().sample(order, len(order))
        for index in order:
            yield self.datapipe[index]

    def __len__(self) -> int:
        return len(self.datapipe)


MapDataPipe.register_datapipe_as_function("shuffle", Shuffler)


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
