"""``random`` and ``numpy.random`` for worker threads: each draws from generators of its own.

Their functions work on one hidden generator that all threads share. ``install`` puts a switch in
front of it: a thread that has set ``own`` draws from there, every other thread from the hidden
generator as before, number for number.
"""

from __future__ import annotations

import functools
import random
import sys
import threading
from collections.abc import Callable

import numpy as np


class _Own(threading.local):
    """This thread's generators; None: the shared ones."""

    random: random.Random | None = None
    numpy: np.random.RandomState | None = None
    #: Gives the seed of a generator that is made without one: ``default_rng()``.
    fresh: Callable[[], np.random.SeedSequence] | None = None


own = _Own()
_done: set[str] = set()
_lock = threading.Lock()
_base = random.Random


class _Switch(random.Random):
    """The class of ``random``'s hidden instance once threads have generators of their own."""

    def random(self) -> float:
        """The next number of [0, 1)."""
        return _base.random(own.random or self)

    def getrandbits(self, k: int) -> int:
        """``k`` bits."""
        return _base.getrandbits(own.random or self, k)

    def seed(self, a: object = None, version: int = 2) -> None:
        """Start again."""
        _base.seed(own.random or self, a, version)

    def getstate(self) -> tuple:
        """The state."""
        return _base.getstate(own.random or self)

    def setstate(self, state: tuple) -> None:
        """Continue from a state."""
        _base.setstate(own.random or self, state)

    @property
    def gauss_next(self) -> float | None:
        """The second normal number of a pair."""
        return vars(own.random or self)["gauss_next"]

    @gauss_next.setter
    def gauss_next(self, value: float | None) -> None:
        vars(own.random or self)["gauss_next"] = value


def install() -> None:
    """Put the switches in place, for good. A second call does nothing.

    A class or closure that keeps ``random.random`` or one of ``numpy.random``'s functions itself,
    and code that holds NumPy's hidden RandomState, still reach the shared generator.
    """
    with _lock:
        if "switches" not in _done:
            _install_switches()
            _done.add("switches")


def _install_switches() -> None:
    hidden = random._inst
    replaced = {}
    names = ("random", "getrandbits", "seed", "getstate", "setstate")
    before = {name: getattr(random, name) for name in names}
    hidden.__class__ = _Switch
    for name, function in before.items():
        replaced[id(function)] = (function, getattr(hidden, name))
    shared = np.random.mtrand._rand
    for name, function in vars(np.random).items():
        owner = getattr(function, "__self__", None)
        if owner is shared or (name in ("seed", "ranf", "sample") and callable(function)):
            method = {"ranf": "random_sample", "sample": "random_sample"}.get(name, name)
            replaced[id(function)] = (function, _switched(function, method))
    _replace(replaced)


def _switched(function: Callable, name: str) -> Callable:
    @functools.wraps(function)
    def switched(*args: object, **kwargs: object) -> object:
        mine = own.numpy
        return (function if mine is None else getattr(mine, name))(*args, **kwargs)

    return switched


def install_fresh_seeds() -> None:
    """Let ``numpy.random.default_rng()`` ask ``own.fresh`` for its seed where there is one."""
    with _lock:
        if "fresh" not in _done:
            _install_fresh_seeds()
            _done.add("fresh")


def _install_fresh_seeds() -> None:
    function = np.random.default_rng

    @functools.wraps(function)
    def default_rng(seed: object = None) -> np.random.Generator:
        fresh = own.fresh
        return function(fresh() if seed is None and fresh is not None else seed)

    _replace({id(function): (function, default_rng)})


def _replace(replaced: dict[int, tuple[Callable, Callable]]) -> None:
    """Put new functions in the place of old ones in every module that has them by name."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict) or names is globals():
            continue
        for name, value in list(names.items()):
            found = replaced.get(id(value))
            if found is not None and found[0] is value:
                names[name] = found[1]
