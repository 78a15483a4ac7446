"""Inputs cut into a part for each device, and outputs joined again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..._missing import missing as _missing
from ...core.value import Value
from ...ops.joining import cat, stack
from ...ops.pieces import chunk
from ...tensor._device import here


def _over(value: Any, leaf: Callable[[Value], list], count: int) -> list:
    """``value`` in ``count`` parts: tensors cut by ``leaf``, containers part by part."""
    if isinstance(value, Value):
        return leaf(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [type(value)(*parts) for parts in zip(*(_over(v, leaf, count) for v in value))]
    if isinstance(value, list | tuple) and value:
        return [type(value)(p) for p in zip(*(_over(v, leaf, count) for v in value))]
    if isinstance(value, dict) and value:
        parts = zip(*(_over(v, leaf, count) for v in value.values()))
        return [type(value)(zip(value, p)) for p in parts]
    return [value] * count


def scatter(inputs: Any, target_gpus: Sequence[Any], dim: int = 0) -> list:
    """Tensors cut along ``dim`` into one part for each device; other things given to each."""
    count = len(target_gpus)
    for place in target_gpus:
        here(f"cuda:{place}" if isinstance(place, int) else place)
    return _over(inputs, lambda t: list(chunk(t, count, dim)), count)


def gather(outputs: Sequence[Any], target_device: Any, dim: int = 0) -> Any:
    """The parts joined along ``dim``: the inverse of ``scatter``."""
    first = outputs[0]
    if isinstance(first, Value):
        return stack(list(outputs)) if first.dim() == 0 else cat(list(outputs), dim)
    if first is None:
        return None
    if isinstance(first, dict):
        return type(first)((k, gather([o[k] for o in outputs], target_device, dim)) for k in first)
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(gather(list(o), target_device, dim) for o in zip(*outputs)))
    return type(first)(gather(list(o), target_device, dim) for o in zip(*outputs))


def scatter_kwargs(
    inputs: Any, kwargs: dict[str, Any] | None, target_gpus: Sequence[Any], dim: int = 0
) -> tuple[tuple, tuple[dict[str, Any], ...]]:
    """Positional and keyword arguments, scattered; the shorter of the two lists is filled up with
    empty ones."""
    first = list(scatter(inputs, target_gpus, dim)) if inputs else []
    second = list(scatter(kwargs, target_gpus, dim)) if kwargs else []
    first += [()] * (len(second) - len(first))
    second += [{} for _ in range(len(first) - len(second))]
    return tuple(first), tuple(second)


def is_namedtuple(obj: Any) -> bool:
    """Whether ``obj`` is a named tuple."""
    return isinstance(obj, tuple) and hasattr(obj, "_fields") and hasattr(obj, "_asdict")


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
