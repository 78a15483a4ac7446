"""The numbers of optimizers' formulas, anew for each run: learning rates, corrections of bias."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.value import Value, wrap
from .capture import Beyond, numbers_of
from .graph import Update

copyto = np.copyto
Step = tuple[Update, Any, Value, dict, dict]  # node, optimizer, parameter, group, state


def _scalars(state: dict[str, Any], taken: set[str]) -> list[str]:
    """The keys of ``state`` whose values are single numbers."""
    return [
        k
        for k, v in state.items()
        if k not in taken
        and (type(v) in (int, float) or (isinstance(v, Value) and v._array.ndim == 0))
    ]


def _private(value: Any) -> Any:
    return wrap(value._array.copy()) if isinstance(value, Value) else value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Value):
        return isinstance(b, Value) and bool(np.array_equal(a._array, b._array))
    return a == b


def _turn(n: float) -> int:
    """What formulas may ask of a number: its sign, and whether it is 1."""
    return 2 if n == 1 else (n > 0) - (n < 0)


def _picker(places: list[int]) -> Callable[[list], list]:
    """A function that lists the elements at ``places``."""
    return eval(f"lambda v: [{', '.join([f'v[{i}]' for i in places])}]")  # two times as fast


class Unit:
    """Parameters of one group whose formula has the same numbers. ``states``: of each of them.

    ``numbers()`` asks the formula on a copy of the first state's scalars; ``advance()`` gives all
    states what the formula made of them.
    """

    def __init__(self, steps: list[Step]) -> None:
        node, optimizer, self.p, group, state = steps[0]
        self.nodes = [s[0] for s in steps]
        self.formula: Callable = optimizer._formula
        self.group = group
        self.states = [s[-1] for s in steps]
        change = node.change
        self.code = change.__code__
        cells = change.__closure__ or ()
        names = self.code.co_freevars
        self.at = [names.index(n) for n in node.scalars]
        self.turns = [_turn(n) for n in node.first]
        static = [i for i in range(len(names)) if i not in self.at]
        self.pick, self.pick_static = _picker(self.at), _picker(static)
        self.static = self.pick_static([cell.cell_contents for cell in cells])
        scalars = _scalars(state, set())
        trial = {k: _private(v) if k in scalars else v for k, v in state.items()}
        _, used = self.formula(self.p._array, group, trial)
        self.keys = _scalars(state, set(used))
        self.trial = {k: _private(v) if k in self.keys else v for k, v in state.items()}
        self.tensors = [k for k in self.keys if isinstance(state[k], Value)]
        self.plain = [k for k in self.keys if k not in self.tensors]

    def numbers(self) -> list[float] | None:
        """The numbers of the next step; None if the formula took another turn than at capture."""
        trial, state = self.trial, self.states[0]
        for k in self.tensors:
            copyto(trial[k]._array, state[k]._array)
        for k in self.plain:
            trial[k] = state[k]
        change, _ = self.formula(self.p._array, self.group, trial)
        if change.__code__ is not self.code:
            return None
        values = [cell.cell_contents for cell in change.__closure__ or ()]
        if self.pick_static(values) != self.static:
            return None
        numbers = self.pick(values)
        if [2 if n == 1 else (n > 0) - (n < 0) for n in numbers] != self.turns:
            return None
        return numbers

    def advance(self) -> None:
        """Count the step in the states of all parameters."""
        for k in self.tensors:
            now = self.trial[k]._array.item()
            for state in self.states:
                state[k]._array.fill(now)  # a fifth of the time that copyto takes
        for k in self.plain:
            now = self.trial[k]
            for state in self.states:
                state[k] = now


def units_of(steps: list[Step]) -> list[Unit]:
    """The updates of a capture, by what they share. Their nodes are given their places."""
    groups: dict[tuple, list[Step]] = {}
    for step in steps:
        node, optimizer, p, group, state = step
        scalars = tuple(
            (k, float(v._array) if isinstance(v, Value) else v)
            for k, v in state.items()
            if k in _scalars(state, set())
        )
        who = id(p) if node.whole else 0  # such a formula depends on the shape
        key = (id(optimizer), id(group), node.change.__code__, node.first, scalars, who)
        groups.setdefault(key, []).append(step)
    if len({id(s[-1]) for s in steps}) != len(steps):
        raise Beyond("a parameter is stepped more than once in one run")
    place = 0
    units = []
    for same in groups.values():
        for node, *_ in same:
            node.place = place
        place += len(same[0][0].scalars)
        units.append(Unit(same))
    return units


__all__ = ["Unit", "numbers_of", "units_of"]
