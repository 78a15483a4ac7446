"""The CPU random generator: mt19937, seeded and stored as PyTorch does it.

Matsumoto and Nishimura, "Mersenne Twister" (ACM TOMACS 8, 1998): 624 words of state, of which each
twist makes the next 624 outputs of 32 bits. What is made of the outputs: ``random_recipes``.
"""

from __future__ import annotations

import ctypes
import os
from _thread import allocate_lock
from collections.abc import Callable
from threading import local
from typing import Any, ClassVar

import numpy as np

from . import random_recipes
from .modes import hook
from .value import Value, drawn, wrap

WORDS = 624  # words of state, and outputs of one twist
DEFAULT_SEED = 67280421310721  # of a Generator that nobody seeded, as in PyTorch
_BATCH = 16 * WORDS  # outputs made at a time: 80 KB as 64-bit integers, inside the second cache

# The state as PyTorch stores it: the 5056 bytes of a C struct of these fields.
_STATE = np.dtype(
    [
        ("seed", "<u8"),
        ("left", "<i4"),  # outputs until the next twist, counting the next output
        ("seeded", "<i4"),
        ("next", "<u8"),  # outputs taken since the last twist
        ("words", "<u8", WORDS),
        ("normal_x", "<f8"),
        ("normal", "<f8"),  # the unused second half of a pair of normal numbers
        ("normal_rho", "<f8"),
        ("normal_is_valid", "<i4"),
        ("padding", "<i4"),
        ("float_normal", "<f4"),
        ("float_normal_is_valid", "?"),
        ("float_padding", "u1", 3),
    ]
)


class _Twister:
    """NumPy's compiled mt19937 as a subroutine that runs on our generators' state.

    It makes 624 outputs in 4 us and many at 3.4 ns each, where the twist written with NumPy slices
    takes 11 us and 16 ns. NumPy's ``state`` property costs 60 us each way and a new MT19937 190 us,
    so there is one of them for all generators, and its state (624 words and how many are used up)
    is read and written at the address that its ``ctypes`` interface gives; the layout is checked
    here against ``state``. It is made at the first draw, because ``numpy.random`` takes 16 ms and
    27 modules to import, which NumPy too puts off until it is first named.
    """

    __slots__ = ("_lock", "_source", "_state")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._source = np.random.MT19937(0)
        memory = (ctypes.c_uint32 * (WORDS + 1)).from_address(self._source.ctypes.state_address)
        self._state = np.frombuffer(memory, np.uint32)
        self._source.random_raw(3)
        told = self._source.state["state"]
        if self._state[WORDS] != told["pos"] or not np.array_equal(self._state[:-1], told["key"]):
            raise RuntimeError(f"NumPy {np.__version__} keeps mt19937's state in an unknown layout")

    def seed(self, seed: int) -> np.ndarray:
        """The state, 624 words of uint32, that init_genrand makes of the seed's low 32 bits."""
        with self._lock:
            self._source._legacy_seeding(seed & 0xFFFFFFFF)
            return self._state[:WORDS].copy()

    def draw(self, words: np.ndarray, used: int, count: int) -> np.ndarray:
        """``count`` outputs (as uint64) of the state ``words``, which is moved on in place.

        ``used`` outputs of the current twist are taken already; ``used + count`` must be a
        multiple of 624, so that the state returned is always one that is used up.
        """
        state = self._state
        with self._lock:
            state[:WORDS] = words
            state[WORDS] = used
            outputs = self._source.random_raw(count)
            words[:] = state[:WORDS]
        return outputs


_twister: _Twister | None = None


def _get_twister() -> _Twister:
    global _twister
    if _twister is None:
        _twister = _Twister()
    return _twister


class Generator:
    """A stream of random numbers: the same seed gives the same numbers as in PyTorch on a CPU.

    ``Generator()`` starts from PyTorch's default seed, 67280421310721; ``manual_seed`` sets it.
    Several threads may draw from one generator: no output is handed out twice.
    """

    # _words: the 624 words of state, None before the first draw after seeding.
    # _block: the outputs of the current twist, of which _taken are taken.
    # normal: the unused second half of a pair of normal numbers in double, or None. PyTorch keeps
    #   one in float as well, which only set_state can bring and nothing on a CPU uses.
    __slots__ = ("__weakref__", "_block", "_float_normal", "_lock", "_seed", "_taken", "_words",
                 "normal")  # fmt: skip

    device: object = "cpu"  # the layer that has device objects puts its own here
    recipes: Any = random_recipes  # how each distribution spends its outputs
    elsewhere: Callable[[object], type[Generator] | None]  # the class for a device that is there

    def __new__(cls, device: object = "cpu") -> Generator:
        """A generator of the class that the device has."""
        if cls is Generator and device != "cpu":
            cls = Generator.elsewhere(device) or cls
        return object.__new__(cls)

    def __init__(self, device: object = "cpu") -> None:
        if str(device) not in ("cpu", "cpu:0"):
            raise RuntimeError(f"Generator on device {device!s}: random numbers are made on cpu")
        self._lock = allocate_lock()
        self._reset(DEFAULT_SEED)
        if hook.active is not None:
            hook.active.seeded(self, DEFAULT_SEED)

    def _reset(self, seed: int) -> None:
        with self._lock:
            self._seed = seed
            self._words = None
            self._block = _NOTHING
            self._taken = WORDS
            self.normal = self._float_normal = None

    def manual_seed(self, seed: int) -> Generator:
        """Start again from ``seed``, -2**63 <= seed < 2**64; negative ones count from 2**64.

        mt19937 takes the low 32 bits. Returns the generator. ValueError when out of range.
        """
        if type(seed) is not int:
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"Overflow when unpacking long long: seed {seed} needs over 64 bits")
        if hook.active is not None:
            hook.active.seeded(self, seed)
        self._reset(seed % 2**64)
        return self

    def seed(self) -> int:
        """Start again from 64 bits of the operating system's randomness, which are returned."""
        if hook.active is not None:
            hook.active.opaque("a generator is seeded")
        self._reset(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """The seed that the generator was last started from."""
        if hook.active is not None:
            hook.active.opaque("the seed of a generator is asked for")
        return self._seed

    def words(self, count: int) -> np.ndarray:
        """The next ``count`` outputs, uint32 [count]. Read-only for the caller."""
        start = self._taken
        stop = start + count
        if stop <= WORDS:
            self._taken = stop  # Python switches threads at calls, of which there is none so far
            return self._block[start:stop]
        with self._lock:
            return self._more_words(count)

    def _more_words(self, count: int) -> np.ndarray:
        twister = _get_twister()
        rest = self._block[self._taken :]
        self._taken = WORDS  # sends other threads here, where they wait
        done = len(rest)
        if count <= done:  # another thread has made more meanwhile
            self._taken -= done - count
            return rest[:count]
        if self._words is None:
            self._words = twister.seed(self._seed)
        outputs = np.empty(count, np.uint32)
        outputs[:done] = rest
        whole = (count - done - 1) // WORDS * WORDS  # leaves 1 to 624 for the block that is kept
        while whole >= _BATCH:
            outputs[done : done + _BATCH] = twister.draw(self._words, WORDS, _BATCH)
            done += _BATCH
            whole -= _BATCH
        last = twister.draw(self._words, WORDS, whole + WORDS)
        outputs[done : done + whole] = last[:whole]
        done += whole
        block = last[whole:].astype(np.uint32)
        outputs[done:] = block[: count - done]
        self._block = block
        self._taken = count - done
        return outputs

    def words_of_block(self) -> np.ndarray:
        """What is left of the current twist's outputs, or the next twist's 624."""
        return self.words(WORDS - self._taken or WORDS)

    def give_back(self, count: int) -> None:
        """The last ``count`` outputs of the last ``words_of_block`` were not used.

        They are lost if another thread has drawn since.
        """
        if self._taken == WORDS:
            self._taken -= count

    def get_state_array(self) -> np.ndarray:
        """The state in PyTorch's 5056 bytes, uint8 [5056]."""
        with self._lock:
            fresh = self._block is _NOTHING
            if self._words is None:
                self._words = _get_twister().seed(self._seed)
            state = np.zeros((), _STATE)
            state["seed"] = self._seed
            state["left"] = 1 if fresh else WORDS + 1 - self._taken
            state["seeded"] = 1
            state["next"] = 0 if fresh else self._taken
            state["words"] = self._words
            if self.normal is not None:
                state["normal"] = self.normal
                state["normal_is_valid"] = 1
            if self._float_normal is not None:
                state["float_normal"] = self._float_normal
                state["float_normal_is_valid"] = True
        return state.reshape(1).view(np.uint8)

    def set_state_array(self, state: np.ndarray) -> None:
        """Continue from a state that ``get_state_array``, or PyTorch's ``get_state``, returned.

        TypeError unless it holds uint8; RuntimeError for a wrong size or no state of mt19937.
        """
        if hook.active is not None:
            hook.active.opaque("a generator's state is set")
        self._continue(state)

    def _continue(self, state: np.ndarray) -> None:
        if not isinstance(state, np.ndarray) or state.dtype != np.uint8:
            found = state.dtype if isinstance(state, np.ndarray) else type(state).__name__
            raise TypeError(f"RNG state must be a torch.ByteTensor, not {found}")
        if state.size != _STATE.itemsize:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {_STATE.itemsize} but found the input "
                f"RNG state size to be {state.size}"
            )
        fields = np.ascontiguousarray(state).reshape(-1).view(_STATE)[0]
        left, taken = int(fields["left"]), int(fields["next"])
        # PyTorch twists when ``left`` comes down to 0, whatever ``next`` says.
        if fields["seeded"] != 1 or not (left == 1 and taken <= WORDS or left == WORDS + 1 - taken):
            raise RuntimeError(
                f"Invalid mt19937 state: seeded {fields['seeded']}, left {left}, next {taken}"
            )
        words = fields["words"].astype(np.uint32)
        block = _NOTHING
        if left > 1 or taken == WORDS:
            block = np.zeros(WORDS, np.uint32)
            if left > 1:
                block[taken:] = _get_twister().draw(words.copy(), taken, WORDS - taken)
        with self._lock:
            self._seed = int(fields["seed"])
            self._words = words
            self._block = block
            self._taken = WORDS if left == 1 else taken
            self.normal = float(fields["normal"]) if fields["normal_is_valid"] else None
            valid = fields["float_normal_is_valid"]
            self._float_normal = float(fields["float_normal"]) if valid else None

    def snapshot(self) -> tuple:
        """The state, for ``restore`` alone: 0.5 us, where that in PyTorch's form takes 4."""
        with self._lock:
            words = None if self._words is None else self._words.copy()
            return (self._seed, words, self._block, self._taken, self.normal, self._float_normal)

    def restore(self, snapshot: tuple) -> None:
        """Continue from where ``snapshot`` was taken; once, since its words are moved on then."""
        with self._lock:
            (self._seed, self._words, self._block, self._taken, self.normal,
             self._float_normal) = snapshot  # fmt: skip

    def get_state(self) -> Value:
        """The state as a tensor of 5056 bytes; flambeau and PyTorch take each other's."""
        return wrap(drawn(self.get_state_array))

    def set_state(self, new_state: Value) -> Generator:
        """Continue from a tensor that ``get_state`` returned; returns the generator."""
        if not isinstance(new_state, Value):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        self._continue(new_state._array)
        if hook.active is not None:
            hook.active.seeded(self, new_state)
        return self

    def state_dict(self) -> dict[str, Value]:
        """``{"state": get_state()}``, for a checkpoint."""
        return {"state": self.get_state()}

    def load_state_dict(self, state_dict: dict[str, Value]) -> None:
        """Continue from what ``state_dict`` returned."""
        self.set_state(state_dict["state"])

    def clone_state(self) -> Generator:
        """A new generator that will give the same numbers as this one."""
        twin = type(self)()
        twin.set_state_array(self.get_state_array())
        return twin

    def get_offset(self) -> int:
        """RuntimeError: mt19937 has no offset; PyTorch's GPU generators have."""
        raise RuntimeError("CPU Generator does not use offset")

    def set_offset(self, offset: int) -> None:
        """RuntimeError: mt19937 has no offset; PyTorch's GPU generators have."""
        raise RuntimeError("CPU Generator does not use offset")

    def __setstate__(self, state: tuple) -> None:
        """Take ``(seed, offset, state)``, as PyTorch's checkpoints have it."""
        self.set_state(state[2])

    def __reduce__(self) -> tuple:
        return _restore, (type(self), self.get_state_array())


_NOTHING = np.empty(WORDS, np.uint32)  # the block of a generator that has not drawn since seeding


def _restore(cls: type[Generator], state: np.ndarray) -> Generator:
    generator = cls()
    generator.set_state_array(state)
    return generator


#: What every random function draws from unless it is given a generator. Differs from run to run.
default_generator = Generator()
default_generator.seed()


class _Place(local):
    """The generator that stands in for the default one in this thread, if any."""

    own: Generator | None = None


place = _Place()


def current(like: np.ndarray | None = None) -> Generator:
    """What a random function draws from in this thread where it is given no generator: for numbers
    that go with the array ``like``, the generator of its device.

    ``default_generator``, but for the samples of a data loader, each of which has its own stream.
    """
    if hook.active is not None:
        hook.active.draws()
        own = getattr(like, "generator", None)  # of a ForeignArray
        if own is not None:
            return own
    return place.own or default_generator


class Followers:
    """The default generators of devices, which begin where ``manual_seed`` says, too."""

    seed: ClassVar[int | None] = None  # the last one, for a generator that is made later
    generators: ClassVar[list[Generator]] = []

    @classmethod
    def states(cls) -> dict[Generator, Value]:
        """Their states, for ``back``."""
        return {generator: generator.get_state() for generator in cls.generators}

    @classmethod
    def back(cls, states: dict[Generator, Value]) -> None:
        """Let them go on from ``states``; one that was made since begins again."""
        for generator in cls.generators:
            if generator in states:
                generator.set_state(states[generator])
            else:
                generator.manual_seed(generator.initial_seed())

    @classmethod
    def start(cls, seed: int) -> None:
        """Begin at ``seed``."""
        cls.seed = seed
        for generator in cls.generators:
            generator.manual_seed(seed)


def manual_seed(seed: int) -> Generator:
    """Start the default generators, of the CPU and of devices, from ``int(seed)``; returns the
    CPU's."""
    generator = current().manual_seed(int(seed))
    if place.own is None:
        Followers.start(int(seed))
    return generator


def seed() -> int:
    """Start the default generators from the operating system's randomness; return that seed."""
    seed = current().seed()
    if place.own is None:
        Followers.start(seed)
    return seed


def initial_seed() -> int:
    """The seed that the default generator was last started from."""
    return current().initial_seed()


def _unlock() -> None:
    """A forked child has none of the threads that may have held a lock."""
    global _twister
    _twister = None
    default_generator._lock = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
