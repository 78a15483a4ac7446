"""Operations of programs that are there for what they find or do, and not for what they give:
checks that fail where a call is to go elsewhere, and generators that are seeded.
"""

from __future__ import annotations

import numpy as np

from ..core.generator import Generator
from ..core.op import define

ndarray = np.ndarray
#: Why those are called, for people.
REASONS = {
    "all_true": "a condition on elements",
    "same_way": "an `if` that depends on elements",
    "set_state": "a generator goes on from a state",
}
NOTHING = np.zeros(0, np.bool_)  # what those give that nobody reads


def _all_true(valid: ndarray) -> ndarray:
    if not valid.all():
        raise ValueError("a condition does not hold")
    return np.zeros((), np.bool_)


all_true = define("all_true", _all_true)


def seeded(generator: Generator, seed: int) -> ndarray:
    """Let ``generator`` begin at ``seed``; gives nothing."""
    generator.manual_seed(seed)
    return NOTHING


def _continued(state: ndarray, generator: Generator) -> ndarray:
    generator.set_state_array(state)
    return NOTHING


continued = define("set_state", _continued)


class OtherWay(Exception):
    """A run finds that Python would have gone another way than at capture."""


def _same_way(x: ndarray, truth: bool) -> ndarray:
    if bool(x.reshape(()).astype(bool)) is not truth:
        raise OtherWay
    return np.zeros((), np.bool_)


same_way = define("same_way", _same_way)


__all__ = ["NOTHING", "REASONS", "OtherWay", "all_true", "continued", "same_way", "seeded"]
