"""The DataLoader: batches of a dataset, made by the one who asks, by threads, or by processes.

Source: https://docs.pytorch.org/docs/stable/data.html
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.context import BaseContext
from typing import Generic, TypeVar

import numpy as np

from ... import _config, _system
from ...core import generator as generators
from ...core.generator import Generator
from ...core.value import Value
from ...tensor._device import Elsewhere
from ._utils.collate import default_collate, default_convert
from ._utils.pin_memory import pinned
from ._utils.pool import Pool, ProcessPool, ThreadPool, failure_of
from ._utils.streams import BorrowedStreams, inside, mix
from ._utils.worker import Setup, get_worker_info, make_fetcher, make_streams
from .datapipes._pipe import IterDataPipe, MapDataPipe
from .dataset import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
)
from .distributed import DistributedSampler
from .graph_settings import apply_random_seed, apply_shuffle_settings
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    _Drawing,
    draw_seed,
)

T_co = TypeVar("T_co", covariant=True)
_collate_fn_t = Callable[[list], object]
_worker_init_fn_t = Callable[[int], None]
_MANY = 1_000_000  # Python objects from which a dataset is better shared by threads than forked


class _DatasetKind:
    """Whether a dataset has keys or is iterated over."""

    Map = 0
    Iterable = 1


class _InfiniteConstantSampler(Sampler[None]):
    """None for ever: the keys of a dataset that has none."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


class DataLoader(Generic[T_co]):
    """Batches of ``dataset``, in the order of ``sampler``, or shuffled, or as they come.

    ``collate_fn`` makes a batch of a list of samples; ``batch_size=None`` gives samples one by one.
    The other arguments are PyTorch's; what is different here:

    - Workers are processes, or threads where those serve better, and ``multiprocessing_context``
      says which: "thread", or "fork", "spawn", "forkserver" or a context for processes. Without
      it they are threads if the dataset says ``thread_safe = True``; if it is a TensorDataset, a
      list, an array, or a Subset, ConcatDataset or StackDataset of such, and ``collate_fn`` is the
      default one; or if it holds over a million Python objects, which every process would come to
      copy. With a ``worker_init_fn`` they are processes unless "thread" is asked for. Each thread
      has a copy of the dataset that shares arrays over 64 KB and long containers.
    - Each sample has a stream of random numbers of its own, made of the loader's seed, which is
      drawn anew in each epoch, and the sample's position: the same for any number of workers of
      any kind, and for 0. It is that of ``flambeau``, ``random``, ``numpy.random``, unseeded
      ``numpy.random.default_rng()``, and of generators that a dataset with keys holds. What
      ``worker_init_fn`` seeds is not touched. The first sample that draws from ``random`` or
      ``numpy.random`` after 64 that did not is read twice. ``FLAMBEAU_SAMPLE_SEEDS=0``: PyTorch's
      way.
    - ``state_dict()`` and ``load_state_dict()``: stop after any batch and go on with the next
      (unless ``in_order=False``, when the next is not known).
    - Batches of processes come in shared memory, which is used again when they are dropped.
    - Errors name the sample, the field, the worker, and how a process died.
    """

    dataset: Dataset[T_co]
    batch_size: int | None
    num_workers: int
    sampler: Sampler | Iterable
    _ready = False

    def __init__(
        self,
        dataset: Dataset[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler | Iterable | None = None,
        batch_sampler: Sampler[list] | Iterable[list] | None = None,
        num_workers: int = 0,
        collate_fn: _collate_fn_t | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: _worker_init_fn_t | None = None,
        multiprocessing_context: object = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ValueError(
                "num_workers option should be non-negative; use num_workers=0 to disable "
                "multiprocessing."
            )
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing."
                "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to "
                "None."
            )
        if prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError("prefetch_factor option should be non-negative")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self._dataset_kind = _DatasetKind.Map
        if isinstance(dataset, IterDataPipe | MapDataPipe):
            self.dataset = dataset = apply_shuffle_settings(dataset, shuffle)
            shuffle = False if isinstance(dataset, IterDataPipe) else shuffle
        if isinstance(dataset, IterableDataset):
            self._dataset_kind = _DatasetKind.Iterable
            for option, value in (
                ("shuffle", shuffle or None),
                ("sampler", sampler),
                ("batch_sampler", batch_sampler),
            ):
                if value is not None:
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {option} option, "
                        f"but got {option}={value}"
                    )
        shuffle = bool(shuffle)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, "
                    "sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with "
                "drop_last"
            )
        if sampler is None:
            if self._dataset_kind == _DatasetKind.Iterable:
                sampler = _InfiniteConstantSampler()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        if collate_fn is None:
            collate_fn = default_collate if self._auto_collation else default_convert
        self.collate_fn = collate_fn
        self.persistent_workers = persistent_workers
        self._length: int | None = None  # what len() told of an iterable dataset
        self._pool: Pool | None = None  # of persistent workers
        self._last_seed: int | None = None  # of persistent workers' last epoch
        self._pipe_seed: int | None = None  # from which a DataPipe's random steps have theirs
        self._pass: _Pass | None = None  # the one that began last
        self._resume: dict | None = None  # where the next one is to go on
        self._ready = True
        self._check_worker_count()

    def __setattr__(self, name: str, value: object) -> None:
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset",
                 "persistent_workers")  # fmt: skip
        if self._ready and name in fixed:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        object.__setattr__(self, name, value)

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Sampler | Iterable:
        return self.batch_sampler if self._auto_collation else self.sampler

    @property
    def multiprocessing_context(self) -> BaseContext | str | None:
        """How workers are started: a context, "thread", or None for what serves best."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: BaseContext | str | None) -> None:
        if context is not None:
            if self.num_workers == 0:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading "
                    f"(num_workers > 0), but got num_workers={self.num_workers}"
                )
            methods = multiprocessing.get_all_start_methods()
            if isinstance(context, str) and context != "thread":
                if context not in methods:
                    raise ValueError(
                        "multiprocessing_context option should specify a valid start method in "
                        f"{methods!r}, but got multiprocessing_context={context!r}\n"
                        "  'thread' gives workers that are threads"
                    )
                context = multiprocessing.get_context(context)
            elif context != "thread" and not isinstance(context, BaseContext):
                raise TypeError(
                    "multiprocessing_context option should be a valid context object or a string "
                    f"specifying the start method, but got multiprocessing_context={context}"
                )
        self._context = context

    def _check_worker_count(self) -> None:
        usable = _system.usable_cpus()
        if self.num_workers > usable:
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. Our "
                f"suggested max number of worker in current system is {usable}, which is smaller "
                "than what this DataLoader is going to create. Please be aware that excessive "
                "worker creation might get DataLoader running slow or even freeze, lower the "
                "worker number to avoid potential slowness/freeze if necessary.",
                stacklevel=3,
            )

    def check_worker_number_rationality(self) -> None:
        """Warn if there are more workers than processors to run them."""
        self._check_worker_count()

    def _uses_threads(self) -> bool:
        """Whether workers are threads: see the class."""
        if self._context is not None:
            return self._context == "thread"
        if self.worker_init_fn is not None:
            return False
        declared = getattr(self.dataset, "thread_safe", None)
        if declared is not None:
            return bool(declared)
        if self._plain_collate and _is_plain(self.dataset):
            return True
        return _objects_in(self.dataset) > _MANY

    @property
    def _plain_collate(self) -> bool:
        return self.collate_fn in (default_collate, default_convert)

    def _setup(self) -> Setup:
        return Setup(
            dataset=self.dataset,
            iterable=self._dataset_kind == _DatasetKind.Iterable,
            auto_collation=self._auto_collation,
            collate_fn=self.collate_fn,
            drop_last=self.drop_last,
            init=self.worker_init_fn,
            num_workers=self.num_workers,
            draws=not (self._plain_collate and _is_plain(self.dataset))
            or bool(self.worker_init_fn),
        )

    def _make_pool(self) -> Pool:
        if self._uses_threads():
            return ThreadPool(self._setup())
        return ProcessPool(self._setup(), self._context)

    def __iter__(self) -> _BaseDataLoaderIter:
        if isinstance(self.dataset, IterDataPipe):
            seed = None if self._resume is None else self._resume.get("pipe_seed")
            self._pipe_seed = draw_seed(self.generator) if seed is None else seed
            apply_random_seed(self.dataset, Generator().manual_seed(self._pipe_seed))
        kind = _WorkersDataLoaderIter if self.num_workers else _SingleProcessDataLoaderIter
        return kind(self)

    def _next_seed(self) -> int:
        """The seed of an epoch. As in PyTorch, persistent workers draw one only once."""
        if self._last_seed is None:
            return draw_seed(self.generator)
        return mix(self._last_seed, 0) >> 1

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_pool": None}

    # ---- stopping and going on ---------------------------------------------------------------

    def state_dict(self) -> dict[str, object]:
        """Where the loader stands: the batches handed out in this epoch, its seed, the sampler.

        A loader made with the same arguments that ``load_state_dict`` is given this goes on with
        the next batch, bit for bit; between epochs, with the next epoch. After a ``break`` it is
        the state of the pass that was broken off. The default generators of the training process
        are not part of it: save ``get_rng_state()`` beside it.
        """
        if self._resume is not None:
            return dict(self._resume)
        running = self._pass is not None and not self._pass.ended
        stands = self._pass if running else _Pass(None)
        state = {name: getattr(stands, name) for name in _Pass.NAMES}
        sampler = _stateful(self._index_sampler)
        if not running and sampler is not None and not isinstance(sampler, _Drawing):
            state["sampler"] = sampler.state_dict()
        state["last_seed"] = self._last_seed
        if running and self._pipe_seed is not None:
            state["pipe_seed"] = self._pipe_seed
        state["generators"] = [g.get_state() for g in self._generators()]
        state["dataset"] = len(self.dataset) if hasattr(self.dataset, "__len__") else None
        return state

    def _generators(self) -> list[Generator]:
        """The generators that this loader and its sampler were given."""
        given = (self.generator, getattr(_stateful(self._index_sampler), "generator", None))
        return [g for g in given if isinstance(g, Generator)]

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Let the next iteration go on where ``state_dict`` was taken.

        Map-style datasets go on at once. Datasets that are iterated over, and workers with a
        ``worker_init_fn``, are run from the start of the epoch without handing out what comes
        before. ValueError if the dataset has another length than it had.
        """
        known, now = state_dict["dataset"], getattr(self.dataset, "__len__", lambda: None)()
        if known != now:
            raise ValueError(
                f"load_state_dict: the state is of a dataset of length {known}, this one has {now}"
            )
        self._last_seed = state_dict["last_seed"]
        for generator, state in zip(self._generators(), state_dict["generators"]):
            generator.set_state(state)
        sampler = _stateful(self._index_sampler)
        if state_dict["base_seed"] is not None:
            self._resume = dict(state_dict)
        elif state_dict["sampler"] is not None and sampler is not None:
            sampler.load_state_dict(state_dict["sampler"])

    def __len__(self) -> int:
        """The number of batches; for an iterable dataset by its own len()."""
        if self._dataset_kind != _DatasetKind.Iterable:
            return len(self._index_sampler)
        length = self._length = len(self.dataset)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)


class _Pass:
    """Where one pass over a loader stands, which outlives its iterator."""

    NAMES = ("base_seed", "batches", "sampler", "globals")

    def __init__(
        self,
        base_seed: int | None,
        batches: int = 0,
        sampler: dict | None = None,
        globals: dict | None = None,
    ) -> None:
        self.base_seed = base_seed
        self.batches = batches  # handed out
        self.sampler = sampler  # what repeats its sampler's order
        self.globals = globals  # the default generators before a sampler that may draw from them
        self.ended = False


class _BaseDataLoaderIter:
    """One pass over a loader."""

    def __init__(self, loader: DataLoader) -> None:
        resume, loader._resume = loader._resume, None
        self._loader = loader
        self._told_length = loader._length
        self._num_yielded = 0
        self._position = 0  # of the next sample that is asked for
        self._ahead: deque = deque()  # keys that the sampler has given, not yet asked for
        self._pins = loader.pin_memory and Elsewhere.has_cuda()
        if loader.pin_memory and not self._pins:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device "
                "pinned memory won't be used.",
                stacklevel=3,
            )
        sampler = self._sampler = _stateful(loader._index_sampler)
        if resume is not None:
            self._pass = _Pass(**{name: resume[name] for name in _Pass.NAMES})
            self._redo_sampler()
        else:
            self._pass = _Pass(loader._next_seed())
            if not isinstance(sampler, _Drawing):
                self._pass.sampler = None if sampler is None else sampler.state_dict()
            self._before = _global_states() if _may_draw(loader._index_sampler) else None
            self._sampler_iter = iter(loader._index_sampler)
            if self._before is not None and not _same(self._before, _global_states()):
                self._pass.globals = self._before  # it has drawn already
        self._skip = self._pass.batches
        self._base_seed = self._pass.base_seed
        loader._pass = self._pass
        if loader.persistent_workers:
            loader._last_seed = self._base_seed

    def _redo_sampler(self) -> None:
        """Let the sampler give again what it gave in the pass that was stopped."""
        states = self._before = self._pass.globals
        now = _global_states()
        if self._sampler is not None and self._pass.sampler is not None:
            self._sampler.load_state_dict(self._pass.sampler)
        if states is not None:
            _set_global_states(states)
        self._sampler_iter = iter(self._loader._index_sampler)
        if states is not None:
            self._ahead.extend(itertools.islice(self._sampler_iter, self._pass.batches + 1))
            _set_global_states(now)

    def _go_on(self) -> None:
        """Get to where the state that was loaded had been taken."""
        skip, self._skip = self._skip, 0
        if not skip:
            return
        loader = self._loader
        if loader._dataset_kind == _DatasetKind.Iterable or loader.worker_init_fn is not None:
            for _ in range(skip):
                self._next_data()
        else:
            for _ in range(skip):
                self._next_keys()
            self._skipped(skip)
        self._num_yielded = skip

    def _skipped(self, count: int) -> None:
        """Batches that are not made, since they were handed out before."""

    def _next_keys(self) -> tuple[int, object]:
        """The position and the keys of the next batch. StopIteration when there is none."""
        keys = self._ahead.popleft() if self._ahead else next(self._sampler_iter)
        if self._position == 0:  # the sampler has begun to draw
            self._pass.globals = self._before
            if isinstance(self._sampler, _Drawing):
                self._pass.sampler = self._sampler.state_dict()
        position = self._position
        self._position += len(keys) if self._loader._auto_collation else 1
        return position, keys

    def __iter__(self) -> _BaseDataLoaderIter:
        return self

    def _next_data(self) -> object:
        raise NotImplementedError

    def __next__(self) -> object:
        try:
            data = self._next_data()
        except StopIteration:
            self._pass.ended = True
            raise
        self._num_yielded += 1
        self._pass.batches = self._num_yielded
        if (
            self._told_length is not None
            and self._loader._dataset_kind == _DatasetKind.Iterable
            and self._num_yielded > self._told_length
        ):
            several = self._loader.num_workers > 1
            warnings.warn(
                f"Length of IterableDataset {self._loader.dataset} was reported to be "
                f"{self._told_length}(when accessing len(dataloader)), but {self._num_yielded} "
                "samples have been fetched. "
                + (
                    "For multiprocessing data-loading, this could be caused by not properly "
                    "configuring the IterableDataset replica at each worker. Please see "
                    "https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset "
                    "for examples."
                    if several
                    else ""
                ),
                stacklevel=2,
            )
        return pinned(data) if self._pins else data

    next = __next__

    def __len__(self) -> int:
        return len(self._loader._index_sampler)


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """Batches made when they are asked for, by the thread that asks."""

    def __init__(self, loader: DataLoader) -> None:
        super().__init__(loader)
        setup = loader._setup()
        streams = None
        if setup.draws and _config.sample_seeds:
            streams = make_streams(BorrowedStreams, setup, loader.dataset)
            streams.begin(self._base_seed)
        self._fetcher = make_fetcher(setup, loader.dataset, streams, [-1, 0])
        self._go_on()

    def _next_data(self) -> object:
        position, keys = self._next_keys()
        return self._fetcher.fetch(keys, position)


class _WorkersDataLoaderIter(_BaseDataLoaderIter):
    """Batches made by workers, a few of them ahead of the one that is asked for."""

    def __init__(self, loader: DataLoader) -> None:
        super().__init__(loader)
        pool = loader._pool
        if pool is None or pool.closed:
            pool = loader._make_pool()
            if loader.persistent_workers:
                loader._pool = pool
                weakref.finalize(loader, pool.close)
            else:
                weakref.finalize(self, pool.close)
        self._pool = pool
        self._epoch = pool.begin(self._base_seed)
        self._turn = itertools.cycle(range(loader.num_workers))
        self._active = [True] * loader.num_workers  # False: its iterable dataset has ended
        self._task = 0  # the next one's number
        self._out = 0  # the next one to hand out
        self._answers: dict[int, tuple[int, str, object]] = {}
        self._go_on()
        for _ in range(loader.prefetch_factor * loader.num_workers):
            self._submit()

    def _skipped(self, count: int) -> None:
        self._task = self._out = count
        for _ in range(count % self._loader.num_workers):
            next(self._turn)

    def _submit(self) -> bool:
        """Give the next task to the next worker; False if there is neither."""
        if not any(self._active):
            return False
        try:
            position, keys = self._next_keys()
        except StopIteration:
            return False
        worker = next(w for w in self._turn if self._active[w])
        self._pool.submit(worker, self._task, position, keys)
        self._task += 1
        return True

    def _next_data(self) -> object:
        pool, loader = self._pool, self._loader
        if pool.epoch != self._epoch and not self._pass.ended:
            raise RuntimeError(
                "this iteration is over: its persistent workers have begun another one"
            )
        while True:
            if self._out == self._task and not self._submit():
                if not loader.persistent_workers:
                    pool.close()
                raise StopIteration
            task = self._out if loader.in_order else next(iter(self._answers), None)
            answer = self._answers.pop(task, None)
            if answer is None:
                self._wait()
                continue
            self._out += 1
            worker, status, result = answer
            if status == "end":
                continue
            self._submit()
            if status == "error":
                raise failure_of(pool, worker, task, result)
            return result

    def _wait(self) -> None:
        """Until an answer has come."""
        timeout = self._loader.timeout or None
        got = self._pool.receive(timeout)
        if got is None:
            late = self._out if self._loader.in_order else min(self._pool.given)
            worker = self._pool.given[late][0]
            raise RuntimeError(
                f"DataLoader timed out after {timeout} seconds\n"
                f"  worker {worker}: {self._pool.doing(worker)}"
            )
        task, worker, status, result = got
        if status == "end":
            self._active[worker] = False
            self._submit()
        self._answers[task] = (worker, status, result)


_MultiProcessingDataLoaderIter = _WorkersDataLoaderIter


# ---- what a dataset and a sampler are like --------------------------------------------------


def _is_plain(dataset: object) -> bool:
    """Whether reading ``dataset`` runs nothing but flambeau's and Python's own code."""
    kind = type(dataset)
    if kind in (TensorDataset, list, tuple, range, np.ndarray) or isinstance(dataset, Value):
        return True
    if kind is Subset:
        return _is_plain(dataset.dataset)
    if kind is ConcatDataset:
        return all(map(_is_plain, dataset.datasets))
    if kind is StackDataset:
        parts = dataset.datasets
        return all(map(_is_plain, parts.values() if isinstance(parts, dict) else parts))
    return False


def _objects_in(dataset: object) -> int:
    """About how many Python objects the containers of ``dataset`` hold."""
    count, seen = 0, set()
    for value in inside(dataset):
        parts = value.values() if isinstance(value, dict) else value
        if not isinstance(value, (dict, list, tuple)):
            parts = getattr(value, "__dict__", {}).values()
        for part in parts:
            if isinstance(part, (list, tuple, set, dict)) and id(part) not in seen:
                seen.add(id(part))
                count += len(part)
    return count


def _stateful(sampler: object) -> object:
    """The sampler inside of batches, if it has a state of its own."""
    while type(sampler) is BatchSampler:
        sampler = sampler.sampler
    stateful = hasattr(sampler, "state_dict") and hasattr(sampler, "load_state_dict")
    return sampler if stateful else None


def _may_draw(sampler: object) -> bool:
    """Whether a sampler may draw from the default generators in ways that its state leaves out."""
    while type(sampler) is BatchSampler:
        sampler = sampler.sampler
    fixed = (SequentialSampler, DistributedSampler, _InfiniteConstantSampler, list, tuple, range)
    return type(sampler) not in fixed and not isinstance(sampler, _Drawing)


def _global_states() -> dict[str, object]:
    of_numpy = np.random.get_state(legacy=False)
    if "key" in of_numpy["state"]:  # mt19937; as numbers, which every kind of file can hold
        of_numpy["state"]["key"] = of_numpy["state"]["key"].tolist()
    version, numbers, gauss = random.getstate()
    return {
        "flambeau": generators.current().get_state(),
        "random": [version, list(numbers), gauss],
        "numpy": of_numpy,
    }


def _same(a: dict[str, object], b: dict[str, object]) -> bool:
    return a["flambeau"].equal(b["flambeau"]) and all(a[k] == b[k] for k in ("random", "numpy"))


def _set_global_states(states: dict[str, object]) -> None:
    generators.current().set_state(states["flambeau"])
    version, numbers, gauss = states["random"]
    random.setstate((version, tuple(numbers), gauss))
    of_numpy = dict(states["numpy"])
    if "key" in of_numpy["state"]:
        words = np.array(of_numpy["state"]["key"], np.uint32)
        of_numpy["state"] = {**of_numpy["state"], "key": words}
    np.random.set_state(of_numpy)


__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]
