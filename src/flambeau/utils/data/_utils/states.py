"""The states of ``random``'s and NumPy's old generators, at the places in memory where they are.

Both are mt19937: 624 words and how many of them are taken. By their documented methods, saving and
setting such a state takes 20 to 130 us, and seeding 4 to 6, which is much for each sample of a data
loader; where they lie in memory, 1 us and 3. Where they lie is found by experiment, and held
against what the documented methods say; where that fails, those are used.
"""

from __future__ import annotations

import ctypes
import random
import sys

import numpy as np

_WORDS = 624
_OBJECT = object.__basicsize__
_MARK = 1.234567890123e-289  # a number that is in no generator by chance


class State:
    """A generator whose state can be saved, set, seeded, and watched.

    ``signature()`` changes when anything is drawn; None where that cannot be seen.
    """

    def save(self) -> object:
        """The state, for ``restore``."""
        raise NotImplementedError

    def restore(self, saved: object) -> None:
        """Continue from a state."""
        raise NotImplementedError

    def seed(self, seed: int) -> None:
        """Start from 64 bits of seed."""
        raise NotImplementedError

    def signature(self) -> tuple | None:
        """What changes when something is drawn."""
        return None


class PythonState(State):
    """Of a ``random.Random``."""

    def __init__(self, generator: random.Random) -> None:
        self.generator = generator

    def save(self) -> object:
        """The state, for ``restore``."""
        return random.Random.getstate(self.generator)

    def restore(self, saved: object) -> None:
        """Continue from a state."""
        random.Random.setstate(self.generator, saved)

    def seed(self, seed: int) -> None:
        """Start from 64 bits of seed."""
        random.Random.seed(self.generator, seed)


class NumpyState(State):
    """Of a ``numpy.random.RandomState``."""

    def __init__(self, generator: np.random.RandomState) -> None:
        self.generator = generator

    def save(self) -> object:
        """The state, for ``restore``."""
        return self.generator.get_state(legacy=False)

    def restore(self, saved: object) -> None:
        """Continue from a state."""
        self.generator.set_state(saved)

    def seed(self, seed: int) -> None:
        """Start from 64 bits of seed."""
        kind = type(self.generator._bit_generator)
        fresh = kind(np.random.SeedSequence(seed)).state
        self.generator.set_state({**fresh, "has_gauss": 0, "gauss": 0.0})


class _Scratch:
    """A mt19937 that turns seeds into states; its words and its counter as one array."""

    def __init__(self) -> None:
        self.bits = np.random.MT19937(0)
        self.start = self.bits._legacy_seeding
        self.memory = _array(self.bits.ctypes.state_address)


def _array(place: int) -> np.ndarray:
    return np.frombuffer((ctypes.c_uint32 * (_WORDS + 1)).from_address(place), np.uint32)


class _FastPythonState(PythonState):
    """In CPython: the counter, and then the words, behind the head of the object."""

    def __init__(self, generator: random.Random) -> None:
        super().__init__(generator)
        place = id(generator) + _OBJECT
        self.memory = _array(place)
        self.taken = ctypes.c_uint32.from_address(place)
        self.first = ctypes.c_uint32.from_address(place + 4)
        self.scratch = _Scratch()
        self.own = vars(generator)

    def is_true(self) -> bool:
        """Whether the memory is what ``getstate`` tells."""
        words = random.Random.getstate(self.generator)[1]
        return self.memory.tolist() == [words[-1], *words[:-1]]

    def save(self) -> object:
        """The state, for ``restore``."""
        return self.memory.copy(), self.own.get("gauss_next")

    def restore(self, saved: object) -> None:
        """Continue from a state."""
        self.memory[:], self.own["gauss_next"] = saved

    def seed(self, seed: int) -> None:
        """Start from the low 32 bits of the seed."""
        scratch = self.scratch
        scratch.start(seed & 0xFFFFFFFF)
        self.memory[0] = _WORDS
        self.memory[1:] = scratch.memory[:_WORDS]
        self.own["gauss_next"] = None

    def signature(self) -> tuple:
        """What changes when something is drawn."""
        return self.taken.value, self.first.value, self.own["gauss_next"]


class _FastNumpyState(NumpyState):
    """The words where ``ctypes`` says; the spare normal number where a search has found it."""

    def __init__(self, generator: np.random.RandomState, gauss: int) -> None:
        super().__init__(generator)
        self.bits = generator._bit_generator
        self.start = self.bits._legacy_seeding
        place = self.bits.ctypes.state_address
        self.memory = _array(place)
        self.first = ctypes.c_uint32.from_address(place)
        self.taken = ctypes.c_uint32.from_address(place + 4 * _WORDS)
        self.has_gauss = ctypes.c_int.from_address(id(generator) + gauss - 8)
        self.gauss = ctypes.c_double.from_address(id(generator) + gauss)

    def is_true(self) -> bool:
        """Whether the memory is what ``get_state`` tells."""
        _, words, taken, has_gauss, gauss = self.generator.get_state()
        told = self.has_gauss.value, self.gauss.value
        return self.memory.tolist() == [*words.tolist(), taken] and told == (has_gauss, gauss)

    def save(self) -> object:
        """The state, for ``restore``."""
        return self.memory.copy(), self.has_gauss.value, self.gauss.value

    def restore(self, saved: object) -> None:
        """Continue from a state."""
        self.memory[:], self.has_gauss.value, self.gauss.value = saved

    def seed(self, seed: int) -> None:
        """Start from the low 32 bits of the seed."""
        self.start(seed & 0xFFFFFFFF)
        self.has_gauss.value = 0
        self.gauss.value = 0.0

    def signature(self) -> tuple:
        """What changes when something is drawn."""
        return self.taken.value, self.first.value, self.has_gauss.value


def python_state(generator: random.Random) -> PythonState:
    """The state of ``generator``, in memory where that is understood."""
    room = type(generator).__basicsize__ >= _OBJECT + 4 * (_WORDS + 1)
    if sys.implementation.name == "cpython" and room:
        fast = _FastPythonState(generator)
        if fast.is_true():
            return fast
    return PythonState(generator)


_gauss: list[int] = []  # where a RandomState keeps its spare normal number; -1: not found


def numpy_state(generator: np.random.RandomState) -> NumpyState:
    """The state of ``generator``, in memory where that is understood."""
    if not _gauss:
        _gauss.append(_find_gauss())
    bits = getattr(generator, "_bit_generator", None)
    if _gauss[0] > 0 and type(bits) is np.random.MT19937 and hasattr(bits, "_legacy_seeding"):
        fast = _FastNumpyState(generator, _gauss[0])
        if fast.is_true():
            return fast
    return NumpyState(generator)


def _find_gauss() -> int:
    """The byte of a RandomState at which its spare normal number is, an int before telling
    whether there is one; -1 if there is no such place, or more than one."""
    if sys.implementation.name != "cpython":
        return -1
    trial = np.random.RandomState(0)
    size = type(trial).__basicsize__
    kind, words, taken, *_ = trial.get_state()
    trial.set_state((kind, words, taken, 1, _MARK))
    mark = np.float64(_MARK).tobytes()
    seen = ctypes.string_at(id(trial), size)
    place = seen.find(mark)
    if place < 8 or seen.find(mark, place + 1) >= 0:
        return -1
    has = ctypes.c_int.from_address(id(trial) + place - 8)
    if has.value != 1:
        return -1
    trial.set_state((kind, words, taken, 0, 0.0))
    return place if has.value == 0 else -1
