"""Steps that are iterated over."""

from __future__ import annotations

import copy
import fnmatch
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ...._missing import missing as _missing
from .._utils.collate import default_collate
from .._utils.worker import get_worker_info
from ._pipe import DataChunk, IterDataPipe, Shuffling, functional_datapipe, length


class IterableWrapper(IterDataPipe):
    """The elements of any iterable, copied beforehand unless ``deepcopy=False``."""

    def __init__(self, iterable: Iterable, deepcopy: bool = True) -> None:
        self.iterable = iterable
        self.deepcopy = deepcopy

    def __iter__(self) -> Iterator:
        return iter(copy.deepcopy(self.iterable) if self.deepcopy else self.iterable)

    def __len__(self) -> int:
        return len(self.iterable)


@functional_datapipe("map")
class Mapper(IterDataPipe):
    """``fn`` of each sample; of its entries ``input_col``, put back at ``output_col`` (by default
    in their place; -1: at the end), where these are given."""

    def __init__(
        self, datapipe: Iterable, fn: Callable, input_col: Any = None, output_col: Any = None
    ) -> None:
        if input_col is None and output_col is not None:
            raise ValueError("`output_col` must be None when `input_col` is None.")
        if isinstance(output_col, list | tuple):
            if len(output_col) > 1:
                raise ValueError("`output_col` must be a single-element list or tuple")
            output_col = output_col[0]
        self.datapipe = datapipe
        self.fn = fn
        self.input_col = input_col
        self.output_col = output_col

    def _of(self, sample: Any) -> Any:
        columns = self.input_col
        if columns is None:
            return self.fn(sample)
        several = isinstance(columns, list | tuple)
        result = self.fn(*(sample[c] for c in columns)) if several else self.fn(sample[columns])
        entries = list(sample) if isinstance(sample, tuple) else copy.copy(sample)
        place = self.output_col
        if place is None:
            place = columns[0] if several else columns
            for extra in sorted(columns[1:], reverse=True) if several else ():
                del entries[extra]
        if place == -1:
            entries.append(result)
        else:
            entries[place] = result
        return tuple(entries) if isinstance(sample, tuple) else entries

    def __iter__(self) -> Iterator:
        return map(self._of, self.datapipe)

    def __len__(self) -> int:
        return length(self.datapipe, self)


@functional_datapipe("collate")
class Collator(Mapper):
    """Batches (lists of samples) as tensors: ``default_collate`` of each."""

    def __init__(self, datapipe: Iterable, collate_fn: Callable = default_collate) -> None:
        super().__init__(datapipe, collate_fn)


@functional_datapipe("filter")
class Filter(IterDataPipe):
    """The samples for which ``filter_fn``, of the sample or its ``input_col``, is true."""

    def __init__(self, datapipe: Iterable, filter_fn: Callable, input_col: Any = None) -> None:
        self.datapipe = datapipe
        self.filter_fn = filter_fn
        self.input_col = input_col

    def _keeps(self, sample: Any) -> bool:
        columns = self.input_col
        if columns is None:
            return bool(self.filter_fn(sample))
        if isinstance(columns, list | tuple):
            return bool(self.filter_fn(*(sample[c] for c in columns)))
        return bool(self.filter_fn(sample[columns]))

    def __iter__(self) -> Iterator:
        return filter(self._keeps, self.datapipe)


@functional_datapipe("shuffle")
class Shuffler(Shuffling, IterDataPipe):
    """Samples in random order, drawn from a buffer of ``buffer_size``: PyTorch's order for the
    same seed, which is drawn from the default generator at each iteration unless it is set."""

    def __init__(
        self, datapipe: Iterable, *, buffer_size: int = 10000, unbatch_level: int = 0
    ) -> None:
        if buffer_size <= 0:
            raise ValueError("buffer_size should be larger than 0")
        self.datapipe = UnBatcher(datapipe, unbatch_level) if unbatch_level else datapipe
        self.buffer_size = buffer_size

    def __iter__(self) -> Iterator:
        if not self._enabled:
            yield from self.datapipe
            return
        numbers = self._numbers()
        buffer: list = []
        for sample in self.datapipe:
            if len(buffer) < self.buffer_size:
                buffer.append(sample)
                continue
            place = numbers.randint(0, len(buffer) - 1)
            chosen, buffer[place] = buffer[place], sample
            yield chosen
        while buffer:
            yield buffer.pop(numbers.randint(0, len(buffer) - 1))

    def __len__(self) -> int:
        return length(self.datapipe, self)


@functional_datapipe("batch")
class Batcher(IterDataPipe):
    """Lists of ``batch_size`` samples; the last may be shorter, unless ``drop_last``."""

    def __init__(
        self,
        datapipe: Iterable,
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

    def __iter__(self) -> Iterator:
        samples = iter(self.datapipe)
        while batch := list(itertools.islice(samples, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield self.wrapper_class(batch)

    def __len__(self) -> int:
        count = length(self.datapipe, self)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


@functional_datapipe("unbatch")
class UnBatcher(IterDataPipe):
    """The samples of batches; of batches of batches with ``unbatch_level=2``; -1: of all."""

    def __init__(self, datapipe: Iterable, unbatch_level: int = 1) -> None:
        if unbatch_level < -1:
            raise ValueError("unbatch_level must be -1 or >= 0")
        self.datapipe = datapipe
        self.unbatch_level = unbatch_level

    def _opened(self, element: Any, level: int) -> Iterator:
        if level == -1 and not isinstance(element, list) or level == 0:
            yield element
        elif isinstance(element, list):
            for inner in element:
                yield from self._opened(inner, level if level == -1 else level - 1)
        else:
            raise IndexError(
                f"unbatch_level {self.unbatch_level} exceeds the depth of the DataPipe"
            )

    def __iter__(self) -> Iterator:
        for element in self.datapipe:
            yield from self._opened(element, self.unbatch_level)


class _Several(IterDataPipe):
    def __init__(self, *datapipes: Iterable) -> None:
        if not datapipes:
            raise ValueError("Expected at least one DataPipe, but got nothing")
        if not all(isinstance(d, IterDataPipe) for d in datapipes):
            raise TypeError("Expected all inputs to be `IterDataPipe`")
        self.datapipes = datapipes

    def _lengths(self) -> list[int]:
        return [length(pipe, self) for pipe in self.datapipes]


@functional_datapipe("concat")
class Concater(_Several):
    """All samples of the first pipe, then of the second ..."""

    def __iter__(self) -> Iterator:
        return itertools.chain(*self.datapipes)

    def __len__(self) -> int:
        return sum(self._lengths())


@functional_datapipe("zip")
class Zipper(_Several):
    """Tuples with a sample of each pipe, until one has no more."""

    def __iter__(self) -> Iterator:
        return zip(*self.datapipes, strict=False)

    def __len__(self) -> int:
        return min(self._lengths())


@functional_datapipe("mux")
class Multiplexer(_Several):
    """A sample of each pipe in turn, until one has no more."""

    def __iter__(self) -> Iterator:
        return itertools.chain.from_iterable(zip(*self.datapipes, strict=False))

    def __len__(self) -> int:
        return min(self._lengths()) * len(self.datapipes)


class _Child(IterDataPipe):
    """One of the pipes that ``fork`` or ``demux`` makes."""

    def __init__(self, source: _Divided, number: int) -> None:
        self.source = source
        self.number = number

    def __iter__(self) -> Iterator:
        return self.source.read(self.number)

    def __len__(self) -> int:
        return length(self.source.datapipe, self) if self.source.choose is None else length(0, self)


class _Divided:
    """A pipe read by several, each at its own pace: what others are still to read is kept."""

    def __init__(
        self, datapipe: Iterable, count: int, most: int, choose: Callable | None, drop: bool
    ) -> None:
        if count < 1:
            raise ValueError(f"Expected `num_instances` larger than 0, but {count} is found")
        self.datapipe = datapipe
        self.most = most
        self.choose = choose
        self.drop = drop
        self.begun: set[int] = set()
        self.kept: list[deque] = [deque() for _ in range(count)]
        self.samples: Iterator = iter(())

    def read(self, number: int) -> Iterator:
        """The samples of child ``number``. A child that begins a second time begins for all."""
        if not self.begun or number in self.begun:
            self.begun.clear()
            self.samples = iter(self.datapipe)
            for waiting in self.kept:
                waiting.clear()
        self.begun.add(number)
        samples = self.samples
        while samples is self.samples:
            if self.kept[number]:
                yield self.kept[number].popleft()
                continue
            try:
                sample = next(samples)
            except StopIteration:
                return
            self._hand_out(sample)
        raise RuntimeError("This iterator is invalid: another child has begun a new iteration")

    def _hand_out(self, sample: Any) -> None:
        to = range(len(self.kept))
        if self.choose is not None:
            place = self.choose(sample)
            if place is None and self.drop:
                return
            if place is None or not 0 <= place < len(self.kept):
                raise ValueError(
                    "Output of the classification fn should be between 0 and "
                    f"{len(self.kept) - 1}. {place} is returned."
                )
            to = range(place, place + 1)
        for place in to:
            self.kept[place].append(sample)
        held = max(map(len, self.kept)) if self.choose is None else sum(map(len, self.kept))
        if 0 <= self.most < held:
            raise BufferError(
                f"DataPipe buffer overflow: more than {self.most} samples wait for a slower child; "
                "read the children side by side, or give a larger buffer_size (-1: no limit)"
            )


class Forker:
    """``num_instances`` pipes with all the samples each: ``fork``. A tuple of pipes."""

    def __new__(
        cls, datapipe: Iterable, num_instances: int, buffer_size: int = 1000, copy: Any = None
    ) -> tuple[IterDataPipe, ...]:
        source = _Divided(datapipe, num_instances, buffer_size, None, False)
        if copy is not None:
            makes = {"shallow": _shallow, "deep": _deep}
            if copy not in makes:
                raise ValueError(f"Unknown copy method `{copy}`: one of {sorted(makes)}")
            return tuple(Mapper(_Child(source, i), makes[copy]) for i in range(num_instances))
        return tuple(_Child(source, i) for i in range(num_instances))


def _shallow(sample: Any) -> Any:
    return copy.copy(sample)


def _deep(sample: Any) -> Any:
    return copy.deepcopy(sample)


class Demultiplexer:
    """``num_instances`` pipes; ``classifier_fn`` says to which a sample goes: ``demux``."""

    def __new__(
        cls,
        datapipe: Iterable,
        num_instances: int,
        classifier_fn: Callable,
        drop_none: bool = False,
        buffer_size: int = 1000,
    ) -> tuple[IterDataPipe, ...]:
        source = _Divided(datapipe, num_instances, buffer_size, classifier_fn, drop_none)
        return tuple(_Child(source, i) for i in range(num_instances))


IterDataPipe.register_function("fork", Forker)
IterDataPipe.register_function("demux", Demultiplexer)


@functional_datapipe("sharding_filter")
class ShardingFilter(IterDataPipe):
    """Every n-th sample, where n DataLoader workers read this; all samples otherwise."""

    def __init__(self, source_datapipe: Iterable, sharding_group_filter: Any = None) -> None:
        self.source_datapipe = source_datapipe

    def __iter__(self) -> Iterator:
        info = get_worker_info()
        if info is None:
            return iter(self.source_datapipe)
        return itertools.islice(self.source_datapipe, info.id, None, info.num_workers)


@functional_datapipe("list_files")
class FileLister(IterDataPipe):
    """The paths of the files in folders, whose names match ``masks``."""

    def __init__(
        self,
        root: str | Sequence[str] | IterDataPipe = ".",
        masks: str | list[str] = "",
        *,
        recursive: bool = False,
        abspath: bool = False,
        non_deterministic: bool = False,
        length: int = -1,
    ) -> None:
        self.datapipe = IterableWrapper([root], deepcopy=False) if isinstance(root, str) else root
        self.masks = [masks] if isinstance(masks, str) else masks
        self.recursive = recursive
        self.abspath = abspath

    def __iter__(self) -> Iterator[str]:
        for root in self.datapipe:
            for folder, folders, names in os.walk(os.path.abspath(root) if self.abspath else root):
                folders.sort()
                if not self.recursive:
                    folders.clear()
                for name in sorted(names):
                    if any(not m or fnmatch.fnmatch(name, m) for m in self.masks or [""]):
                        yield os.path.join(folder, name)


@functional_datapipe("open_files")
class FileOpener(IterDataPipe):
    """(path, open file) of each path; the file is closed when the next is asked for."""

    def __init__(
        self,
        datapipe: Iterable[str],
        mode: str = "r",
        encoding: str | None = None,
        length: int = -1,
    ) -> None:
        if mode not in ("b", "t", "rb", "rt", "r"):
            raise ValueError(f"Invalid mode {mode}")
        self.datapipe = datapipe
        self.mode = mode if mode.startswith("r") else "r" + mode
        self.encoding = encoding

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for path in self.datapipe:
            with open(path, self.mode, encoding=self.encoding) as file:
                yield path, file


@functional_datapipe("read_from_stream")
class StreamReader(IterDataPipe):
    """(name, contents) of each (name, stream), in pieces of ``chunk`` where it is given."""

    def __init__(self, datapipe: Iterable, chunk: int | None = None) -> None:
        self.datapipe = datapipe
        self.chunk = chunk

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for name, stream in self.datapipe:
            while piece := stream.read(self.chunk):
                yield name, piece


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
