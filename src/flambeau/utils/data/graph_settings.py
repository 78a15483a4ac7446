"""Settings of all steps of a DataPipe at once: whether to shuffle, and by what seeds.

Source: torch/utils/data/graph_settings.py
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from ..._missing import missing
from ...core.generator import Generator
from .datapipes._pipe import IterDataPipe, MapDataPipe
from .datapipes.iter import Shuffler, _Divided
from .sampler import draw_seed

Pipe = IterDataPipe | MapDataPipe


def _steps(pipe: object, seen: set[int]) -> Iterator[Pipe]:
    """``pipe`` and the steps before it, the last first."""
    if id(pipe) in seen:
        return
    seen.add(id(pipe))
    if isinstance(pipe, Pipe):
        yield pipe
    if isinstance(pipe, Pipe | _Divided):
        for value in vars(pipe).values():
            yield from _steps(value, seen)
    elif isinstance(pipe, list | tuple) and len(pipe) < 1000:
        for value in pipe:
            yield from _steps(value, seen)


def apply_shuffle_settings(datapipe: Pipe, shuffle: bool | None = None) -> Pipe:
    """Set ``shuffle`` in every step that shuffles; None: leave them. A shuffler is put at the end,
    with a warning, where there is none and ``shuffle`` is true."""
    if shuffle is None:
        return datapipe
    shufflers = [s for s in _steps(datapipe, set()) if hasattr(type(s), "set_shuffle")]
    if not shufflers and shuffle:
        warnings.warn(
            "`shuffle=True` was set, but the datapipe does not contain a `Shuffler`. Adding one at "
            "the end. Be aware that the default buffer size might not be sufficient for your task.",
            stacklevel=3,
        )
        datapipe = Shuffler(datapipe)
        shufflers = [datapipe]
    for step in shufflers:
        step.set_shuffle(shuffle)
    return datapipe


def apply_random_seed(datapipe: Pipe, rng: Generator) -> Pipe:
    """Give every random step a seed drawn from ``rng``."""
    for step in _steps(datapipe, set()):
        if hasattr(type(step), "set_seed"):
            step.set_seed(draw_seed(rng))
    return datapipe


def __getattr__(name: str) -> object:
    raise missing(__name__, name, globals())
