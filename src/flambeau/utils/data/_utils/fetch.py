"""One batch: ask the dataset for its samples and collate them."""

from __future__ import annotations

from collections.abc import Callable, Iterator


class MapFetcher:
    """Batches of a dataset with keys."""

    def __init__(
        self, dataset: object, auto_collation: bool, collate_fn: Callable, drop_last: bool
    ) -> None:
        self.dataset = dataset
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn

    def fetch(self, keys: object) -> object:
        """The batch of ``keys``, or the one sample where there is no batching."""
        if not self.auto_collation:
            return self.collate_fn(self.dataset[keys])
        together = getattr(self.dataset, "__getitems__", None)
        if together:
            return self.collate_fn(together(keys))
        return self.collate_fn([self.dataset[key] for key in keys])


class IterableFetcher:
    """Batches of a dataset that is iterated over. StopIteration at its end."""

    def __init__(
        self, dataset: object, auto_collation: bool, collate_fn: Callable, drop_last: bool
    ) -> None:
        self.samples: Iterator = iter(dataset)
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.ended = False

    def fetch(self, keys: object) -> object:
        """As many samples as there are ``keys``, or what is left of them."""
        if self.ended:
            raise StopIteration
        if not self.auto_collation:
            return self.collate_fn(next(self.samples))
        batch = []
        for _ in keys:
            try:
                batch.append(next(self.samples))
            except StopIteration:
                self.ended = True
                break
        if not batch or (self.drop_last and len(batch) < len(keys)):
            raise StopIteration
        return self.collate_fn(batch)
