"""A stream of random numbers for each sample: the same for any number of workers of any kind.

Before a sample is read, every generator it may draw from is started from a seed made of the
loader's seed, which is drawn anew for each epoch, and the sample's position in the epoch:
flambeau's default generator, ``random``, ``numpy.random``, ``numpy.random.default_rng()`` without a
seed, and the generators that a dataset with keys holds as attributes (one that is iterated over may
need them to be alike in all workers, to share its samples out among them). Outside of samples all
of them go on as if nothing had been read. What ``worker_init_fn`` seeds is the program's own, and
left alone.
"""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType

import numpy as np

from .... import _config
from ....core import generator as generators
from ....core.generator import Generator
from ....core.value import Value
from . import thread_random
from .states import State, numpy_state, python_state

_64 = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
COLLATING = 1 << 62  # the stream of collate_fn: far from any sample's position
_MOST = 10_000  # objects that are looked at in search of generators
_QUIET = 64  # samples that have to be read without a draw before a generator is left alone
_LONG = 1000  # items from which a container is taken for data
_KINDS = (Generator, random.Random, np.random.Generator, np.random.RandomState)


def mix(seed: int, number: int) -> int:
    """64 bits of a seed and a number, all of which change when either does.

    Source: splitmix64, Steele et al. 2014, https://doi.org/10.1145/2660193.2660195
    """
    z = (seed + (number + 1) * _GOLDEN) & _64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _64
    return z ^ (z >> 31)


class Watched:
    """One generator that is started for each sample, unless it turns out that none draws from it.

    If none of the first ``_QUIET`` samples drew, it is not started any more. One that does draw
    after all is noticed, and is read once more with its own stream; from then on all have theirs.
    """

    def __init__(self, state: State, salt: int) -> None:
        self.state = state
        self.salt = salt
        self.unused = 0  # samples that did not draw, until one did
        self.is_used = False
        self.signature: tuple | None = None

    def start(self, seed: int, certain: bool) -> None:
        """Start it for a sample; ``certain``: even if no sample has drawn so far."""
        if certain or self.is_used or self.unused < _QUIET:
            self.state.seed(seed ^ self.salt)
            self.signature = self.state.signature()

    def begin(self) -> None:
        """Somebody else may have drawn from it."""
        self.signature = self.state.signature()

    def stale(self) -> bool:
        """After a sample: whether it drew without the generator having been started for it."""
        if self.is_used:
            return False
        if self.state.signature() == self.signature is not None:
            self.unused += 1
            return False
        self.is_used = True
        return self.unused >= _QUIET


class Streams:
    """The generators of a worker that has its process for itself, and those inside ``roots``."""

    def __init__(self, *roots: object) -> None:
        self.torch = Generator()
        self.held = list(held_generators(*roots))
        self.base_seed = 0
        self.active = _config.sample_seeds
        self.own_torch = True  # False: worker_init_fn has seeded the default generator
        self._now = self._made = 0
        self._make_states()
        thread_random.install_fresh_seeds()

    def _make_states(self) -> None:
        self._watch(random._inst, np.random.mtrand._rand)

    def _watch(self, of_python: random.Random, of_numpy: np.random.RandomState) -> None:
        self.watched = [
            Watched(python_state(of_python), 0x5555555555555555),
            Watched(numpy_state(of_numpy), 0x2A5A2A5A2A5A2A5A),
        ]

    def begin(self, base_seed: int) -> None:
        """A new epoch with a seed of its own."""
        self.base_seed = base_seed

    def start_worker(self, base_seed: int, number: int, init: Callable[[], None]) -> None:
        """Seed as PyTorch seeds a worker, call ``init``, and see what it has seeded itself."""
        generators.manual_seed(base_seed + number)
        random.seed(base_seed + number)
        words = [number, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
        np.random.seed(np.random.SeedSequence(words).generate_state(4))
        generator = generators.current()
        before = generator.get_state_array().tobytes(), random.getstate(), _numpy_now()
        init()
        after = generator.get_state_array().tobytes(), random.getstate(), _numpy_now()
        self.own_torch = before[0] == after[0]
        changed = [a != b for a, b in zip(before[1:], after[1:])]
        self.watched = [w for w, own in zip(self.watched, changed) if not own]

    def __enter__(self) -> Streams:
        if self.active:
            self._outer = generators.place.own, thread_random.own.fresh
            if self.own_torch:
                generators.place.own = self.torch
            thread_random.own.fresh = self._fresh
            for generator in self.watched:
                generator.begin()
        return self

    def __exit__(self, *error: object) -> None:
        if self.active:
            generators.place.own, thread_random.own.fresh = self._outer

    def seed(self, position: int, certain: bool = True) -> None:
        """Start the stream of the sample at ``position``.

        Not ``certain``: the sample can be read again if ``stale()`` says so.
        """
        if not self.active:
            return
        self._now = now = mix(self.base_seed, position)
        self._made = 0
        self.torch.manual_seed(now)
        for generator in self.watched:
            generator.start(now, certain)
        for i, generator in enumerate(self.held):
            reseed(generator, mix(now, i))

    def stale(self) -> bool:
        """Whether the sample that was just read has to be read again, after ``seed``."""
        if not self.active:
            return False
        again = False
        for generator in self.watched:
            again |= generator.stale()
        return again

    def _fresh(self) -> np.random.SeedSequence:
        """The seed of the next generator that this sample makes without one."""
        self._made += 1
        return np.random.SeedSequence([self._now, self._made])


def _numpy_now() -> bytes:
    return pickle.dumps(np.random.get_state(legacy=False))


class BorrowedStreams(Streams):
    """The generators of the training process itself, which get their states back."""

    def __enter__(self) -> Streams:
        if self.active:
            if getattr(np.random.mtrand._rand, "_bit_generator", None) is not self._bits:
                self._make_states()  # the program has given NumPy another one
            self._saved = [w.state.save() for w in self.watched]
            self._held = [state_of(generator) for generator in self.held]
        return super().__enter__()

    def _make_states(self) -> None:
        self._bits = getattr(np.random.mtrand._rand, "_bit_generator", None)
        super()._make_states()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        if self.active:
            for watched, saved in zip(self.watched, self._saved):
                watched.state.restore(saved)
            for generator, state in zip(self.held, self._held):
                set_state(generator, state)


class ThreadStreams(Streams):
    """The generators of one worker thread, which the functions of ``random`` and so on use there
    once ``thread_random.install`` has been called."""

    def _make_states(self) -> None:
        own = thread_random.own
        own.random, own.numpy = random.Random(0), np.random.RandomState(0)
        self._watch(own.random, own.numpy)
        generators.place.own = self.torch

    def __exit__(self, *error: object) -> None:
        pass  # the thread's own they remain


# ---- generators that a dataset holds --------------------------------------------------------


def inside(*roots: object) -> Iterator[object]:
    """The objects reachable from ``roots`` by attributes and items of short containers."""
    seen: set[int] = set()
    queue = list(roots)
    while queue and len(seen) < _MOST:
        value = queue.pop()
        if id(value) in seen or is_data(value):
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, dict):
            queue += value.values()
        elif isinstance(value, (list, tuple)):
            queue += value
        elif not isinstance(value, _KINDS):
            queue += getattr(value, "__dict__", {}).values()


def is_data(value: object) -> bool:
    """Whether ``value`` holds no generators: numbers, arrays, code, long containers."""
    if isinstance(value, (list, tuple, set, dict)):
        return len(value) > _LONG
    kinds = (Value, np.ndarray, np.generic, str, bytes, int, float, type, FunctionType, ModuleType)
    return value is None or isinstance(value, kinds)


def held_generators(*roots: object) -> Iterator[object]:
    """Every generator that is reachable from ``roots``, but not the shared ones."""
    shared = (random._inst, np.random.mtrand._rand, generators.default_generator)
    for value in inside(*roots):
        if isinstance(value, _KINDS) and not any(value is other for other in shared):
            if type(value) is not random.SystemRandom:
                yield value


def reseed(generator: object, seed: int) -> None:
    """Start ``generator`` from ``seed``."""
    if isinstance(generator, Generator):
        generator.manual_seed(seed)
    elif isinstance(generator, random.Random):
        generator.seed(seed)
    elif isinstance(generator, np.random.RandomState):
        generator.seed(seed & 0xFFFFFFFF)
    else:
        bits = generator.bit_generator
        bits.state = type(bits)(np.random.SeedSequence(seed)).state


def state_of(generator: object) -> object:
    """The generator's state, for ``set_state``."""
    if isinstance(generator, Generator):
        return generator.get_state_array()
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return generator.get_state()
    return generator.bit_generator.state


def set_state(generator: object, state: object) -> None:
    """Continue from what ``state_of`` returned."""
    if isinstance(generator, Generator):
        generator.set_state_array(state)
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.bit_generator.state = state


def own_copy(dataset: object) -> object:
    """A copy of ``dataset`` for one thread: its small state is copied, its data shared.

    Data: arrays and tensors over 64 KB, containers of over 1000 items, and what cannot be copied.
    """
    memo: dict[int, object] = {}
    for value in list(inside(dataset)):
        for part in _parts(value):
            if _is_shared(part):
                memo[id(part)] = part
    try:
        return copy.deepcopy(dataset, memo)
    except Exception:
        return copy.copy(dataset)


def _parts(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, tuple, set)):
        return list(value)
    return list(getattr(value, "__dict__", {}).values())


def _is_shared(value: object) -> bool:
    if isinstance(value, (Value, np.ndarray)):
        return value.nbytes > 1 << 16
    if isinstance(value, (list, tuple, set, dict)):
        return len(value) > _LONG
    plain = (str, bytes, int, float, type(None))
    if isinstance(value, (*plain, *_KINDS)):
        return False
    return isinstance(value, ModuleType) or not hasattr(value, "__dict__")
