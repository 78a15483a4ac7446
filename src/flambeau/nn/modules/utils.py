"""One number or one for each dimension: what layers do with their arguments."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any


def _ntuple(n: int, name: str = "parse") -> Callable[[Any], tuple]:
    """A function that makes tuples: of an iterable, or of ``n`` times the same."""

    def parse(x: Any) -> tuple:
        return tuple(x) if isinstance(x, Iterable) else tuple(itertools.repeat(x, n))

    parse.__name__ = name
    return parse


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


def _reverse_repeat_tuple(t: tuple, n: int) -> tuple:
    """``t`` backwards, each element ``n`` times: padding as ``functional.pad`` takes it."""
    return tuple(x for x in reversed(t) for _ in range(n))


def _list_with_default(out_size: list[int | None], defaults: list[int]) -> list[int]:
    """``out_size`` with ``defaults``, counted from the end, where there is None."""
    if isinstance(out_size, int):
        return out_size
    if len(defaults) <= len(out_size):
        raise ValueError(f"Input dimension should be at least {len(out_size) + 1}")
    ends = defaults[-len(out_size) :]
    return [d if v is None else v for v, d in zip(out_size, ends, strict=True)]


def consume_prefix_in_state_dict_if_present(state_dict: dict[str, Any], prefix: str) -> None:
    """Take ``prefix`` away from the keys that have it, in place, and in the metadata."""
    for table in (state_dict, getattr(state_dict, "_metadata", None)):
        if table is None:
            continue
        for key in list(table):
            if key in ("", prefix.rstrip(".")) and table is not state_dict:
                moved = table.pop(key)
                if key:
                    table[""] = moved
            elif key.startswith(prefix):
                table[key[len(prefix) :]] = table.pop(key)


__all__ = ["consume_prefix_in_state_dict_if_present"]
