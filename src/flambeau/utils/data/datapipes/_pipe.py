"""What every DataPipe is, and how steps become methods."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any, Self, TypeVar

from ..dataset import Dataset, IterableDataset
from ..sampler import draw_seed

T_co = TypeVar("T_co", covariant=True)


class _Steps:
    """The steps that are methods of all pipes of a kind; each kind has its own."""

    functions: dict[str, Callable]

    def __getattr__(self, name: str) -> Any:
        step = None if name.startswith("__") else type(self).functions.get(name)
        if step is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return functools.partial(step, self)

    @classmethod
    def register_function(cls, function_name: str, function: Callable) -> None:
        """``pipe.function_name(...)`` is ``function(pipe, ...)``."""
        cls.functions[function_name] = function

    @classmethod
    def register_datapipe_as_function(
        cls, function_name: str, cls_to_register: type, enable_df_api_tracing: bool = False
    ) -> None:
        """The same for the class of a step. ValueError for a name that is taken."""
        if function_name in cls.functions:
            raise ValueError(
                f"Unable to add DataPipe function name {function_name} as it is already taken"
            )
        cls.functions[function_name] = cls_to_register

    def __repr__(self) -> str:
        return type(self).__qualname__

    def __str__(self) -> str:
        return type(self).__qualname__


class IterDataPipe(_Steps, IterableDataset[T_co]):
    """A step of a dataset that is iterated over: a subclass defines ``__iter__``, and is often
    given the step before as its first argument. Each ``iter`` begins anew."""

    functions: dict[str, Callable] = {}


class MapDataPipe(_Steps, Dataset[T_co]):
    """A step of a dataset with keys: a subclass defines ``__getitem__`` and ``__len__``."""

    functions: dict[str, Callable] = {}


class functional_datapipe:
    """Class decorator: the step is also a method ``name`` of all pipes of its kind."""

    def __init__(self, name: str, enable_df_api_tracing: bool = False) -> None:
        self.name = name

    def __call__(self, cls: type) -> type:
        kind = next((k for k in (IterDataPipe, MapDataPipe) if issubclass(cls, k)), None)
        if kind is None:
            raise TypeError("`functional_datapipe` can only decorate IterDataPipe or MapDataPipe")
        kind.register_datapipe_as_function(self.name, cls)
        return cls


class Shuffling:
    """What the steps that shuffle share: whether they do, and the seed of the next iteration."""

    _enabled = True
    _seed: int | None = None

    def set_shuffle(self, shuffle: bool = True) -> Self:
        """Whether to shuffle at all."""
        self._enabled = shuffle
        return self

    def set_seed(self, seed: int) -> Self:
        """The seed of the next iteration."""
        self._seed = seed
        return self

    def _numbers(self) -> random.Random:
        """A generator with the seed that was set, once, or else one drawn from the default one."""
        seed, self._seed = self._seed, None
        return random.Random(draw_seed(None) if seed is None else seed)


def length(pipe: object, step: object) -> int:
    """The length of the step before; TypeError where it has none."""
    if hasattr(type(pipe), "__len__"):
        return len(pipe)  # type: ignore[arg-type]
    raise TypeError(f"{type(step).__name__} instance doesn't have valid length")


class DataChunk(list):
    """A batch: a list of samples."""

    def raw_iterator(self) -> Any:
        """The samples."""
        return iter(self)
