"""One batch: ask the dataset for its samples and collate them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableSequence

from ....core.value import Value, wrap
from ....tensor._tensor import Tensor
from ..dataset import Subset, TensorDataset
from .collate import default_collate, default_convert
from .streams import COLLATING, Streams


class Fetcher:
    """Makes batches of one dataset.

    ``streams`` seeds the generators for each sample; None where nothing draws. ``progress[1]`` is
    kept at the number of the sample in its batch that is being read, -1 while collating.
    """

    def __init__(
        self,
        dataset: object,
        auto_collation: bool,
        collate_fn: Callable,
        drop_last: bool,
        streams: Streams | None,
        progress: MutableSequence[int],
    ) -> None:
        self.dataset = dataset
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.streams = streams
        self.progress = progress
        self.plain_collate = collate_fn in (default_collate, default_convert)
        self.begin()

    def begin(self) -> None:
        """A new epoch."""

    def fetch(self, keys: object, position: int) -> object:
        """The batch of ``keys``, the first of which has ``position`` in the epoch; without
        batching, the one sample. StopIteration at the end of a dataset that is iterated over.

        Errors of the dataset and of ``collate_fn`` carry a note that says which sample it was.
        """
        if self.streams is None:
            return self._fetch(keys, position)
        with self.streams:
            return self._fetch(keys, position)

    def _fetch(self, keys: object, position: int) -> object:
        raise NotImplementedError

    def _collate(self, samples: object, position: int) -> object:
        self.progress[1] = -1
        if self.streams is not None and not self.plain_collate:
            self.streams.seed(COLLATING + position)
        return self.collate_fn(samples)

    def _seed(self, number: int, position: int) -> None:
        self.progress[1] = number
        if self.streams is not None:
            self.streams.seed(position)


class MapFetcher(Fetcher):
    """Batches of a dataset with keys."""

    def begin(self) -> None:
        """A new epoch."""
        whole = self.auto_collation and self.collate_fn is default_collate
        self.rows = rows_of(self.dataset) if whole else None

    def _fetch(self, keys: object, position: int) -> object:
        dataset = self.dataset
        if not self.auto_collation:
            self._seed(0, position)
            try:
                sample = dataset[keys]
            except Exception as error:
                error.add_note(f"  {self._reading(keys)}")
                raise
            return self._collate(sample, position)
        if self.rows is not None and all(type(key) is int for key in keys):
            try:
                return self.rows(keys)
            except IndexError:
                pass  # told below, of the sample that it is about
        together = getattr(dataset, "__getitems__", None)
        if together:
            self._seed(0, position)
            try:
                samples = together(keys)
            except Exception as error:
                error.add_note(f"  {self._reading_all(keys)}")
                raise
        else:
            samples = []
            streams, progress, i = self.streams, self.progress, 0
            try:
                for key in keys:
                    progress[1] = i
                    if streams is not None:
                        streams.seed(position + i, False)
                    sample = dataset[key]
                    if streams is not None and streams.stale():
                        streams.seed(position + i)
                        sample = dataset[key]
                    samples.append(sample)
                    i += 1
            except Exception as error:
                error.add_note(f"  {self._reading(key)}, number {i} of its batch")
                raise
        return self._collate(samples, position)

    def _reading(self, key: object) -> str:
        return f"reading sample {key!r} of {type(self.dataset).__name__}"

    def _reading_all(self, keys: list) -> str:
        few = ", ".join(map(repr, keys[:8])) + (", ..." if len(keys) > 8 else "")
        return f"reading samples [{few}] of {type(self.dataset).__name__} by __getitems__"


def rows_of(dataset: object) -> Callable[[list[int]], list[Value]] | None:
    """What gives a whole batch of a TensorDataset, or of a Subset of one, by one indexing of each
    tensor; None for other datasets."""
    if type(dataset) is TensorDataset:
        tensors = dataset.tensors
        if all(type(t) is Tensor and t._edge is None for t in tensors):
            return lambda keys: [wrap(t._array.take(keys, 0)) for t in tensors]
    elif type(dataset) is Subset:
        rows, indices = rows_of(dataset.dataset), dataset.indices
        if rows is not None and type(indices) in (list, tuple, range):
            return lambda keys: rows([indices[key] for key in keys])
    return None


class IterableFetcher(Fetcher):
    """Batches of a dataset that is iterated over: as many samples as there are keys."""

    samples: Iterator

    def begin(self) -> None:
        """Iterate anew: each worker over its own copy."""
        self.ended = False
        self.count = 0
        if self.streams is not None:
            with self.streams:
                self._seed(0, -1)
                self.samples = iter(self.dataset)
        else:
            self.samples = iter(self.dataset)

    def _fetch(self, keys: object, position: int) -> object:
        if self.ended:
            raise StopIteration
        if not self.auto_collation:
            return self._collate(self._next(0), self.count)
        batch = []
        try:
            for i in range(len(keys)):
                batch.append(self._next(i))
        except StopIteration:
            self.ended = True
        if not batch or (self.drop_last and len(batch) < len(keys)):
            raise StopIteration
        return self._collate(batch, self.count)

    def _next(self, number: int) -> object:
        self._seed(number, self.count)
        try:
            sample = next(self.samples)
        except StopIteration:
            raise
        except Exception as error:
            error.add_note(
                f"  reading sample {self.count} of {type(self.dataset).__name__}, counted in the "
                "order in which this worker iterates"
            )
            raise
        self.count += 1
        return sample
