"""What a worker does: take tasks, make batches, send them; in a process or in a thread."""

from __future__ import annotations

import builtins
import os
import pickle
import signal
import threading
import time
import traceback
import weakref
from _queue import SimpleQueue
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from .... import _settings
from . import collate
from .fetch import Fetcher, IterableFetcher, MapFetcher
from .streams import Streams, ThreadStreams, mix, own_copy
from .transport import Receiver, Sender

PARENT_CHECK = 5.0  # seconds between two looks at whether the training process is still there
LAST_WORDS = 1.0  # seconds that a worker has to end by itself once it is told to
FORK_WAIT = 5.0  # seconds that a fork waits for a worker thread to finish a batch


@dataclass
class WorkerInfo:
    """What ``get_worker_info()`` tells: number, how many there are, seed, and own dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: object


class _Place(threading.local):
    info: WorkerInfo | None = None


_place = _Place()


def get_worker_info() -> WorkerInfo | None:
    """In a worker: its ``id``, ``num_workers``, ``seed`` and its own ``dataset``; else None."""
    return _place.info


@dataclass
class Setup:
    """What all workers of a loader have in common."""

    dataset: object
    iterable: bool
    auto_collation: bool
    collate_fn: Callable
    drop_last: bool
    init: Callable[[int], None] | None
    num_workers: int
    draws: bool  # whether samples may draw random numbers at all


@dataclass
class Failure:
    """An error on its way to the training process."""

    kind: type[BaseException] | None
    kind_name: str
    report: str = field(repr=False)

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """``error`` as text, and its class where that can be sent."""
        kind: type[BaseException] | None = type(error)
        if kind.__module__ == "builtins":  # some of ours go by the name of Python's own
            kind = getattr(builtins, kind.__qualname__)
        try:
            pickle.dumps(kind)
        except Exception:
            kind = None
        report = "".join(traceback.format_exception(error))
        return cls(kind, type(error).__qualname__, report)

    def error(self, where: str) -> BaseException:
        """The error again, of its own class where that takes a message, else a RuntimeError."""
        text = f"Caught {self.kind_name} {where}\nOriginal {self.report}"
        kind = self.kind
        if kind is None or not issubclass(kind, Exception) or issubclass(kind, StopIteration):
            return RuntimeError(text)
        if issubclass(kind, KeyError):
            return collate.KeyErrorText(text)
        try:
            made = kind(text)
        except Exception:
            return RuntimeError(text)
        return made if isinstance(made, BaseException) else RuntimeError(text)


def make_streams(kind: type[Streams], setup: Setup, dataset: object) -> Streams | None:
    """The streams of whoever makes the batches of ``setup``, of ``dataset``."""
    if not setup.draws:
        return None
    return kind() if setup.iterable else kind(dataset, setup.collate_fn)


def make_fetcher(
    setup: Setup, dataset: object, streams: Streams | None, progress: MutableSequence[int]
) -> Fetcher:
    """What makes the batches of ``setup``, of ``dataset``."""
    kind = IterableFetcher if setup.iterable else MapFetcher
    return kind(dataset, setup.auto_collation, setup.collate_fn, setup.drop_last, streams, progress)


class Worker:
    """The part that processes and threads share: a fetcher, begun anew for each epoch."""

    def __init__(
        self, setup: Setup, number: int, dataset: object, streams: type[Streams],
        progress: MutableSequence[int],
    ) -> None:  # fmt: skip
        self.setup = setup
        self.number = number
        self.dataset = dataset
        self.progress = progress
        self.streams = make_streams(streams, setup, dataset)
        self.fetcher: Fetcher | None = None
        self.failure: Failure | None = None

    def begin(self, base_seed: int) -> None:
        """A new epoch; the first one calls ``worker_init_fn``. Errors answer the next task."""
        self.failure = None
        setup, number = self.setup, self.number
        try:
            if _place.info is None:
                seed = base_seed + number
                _place.info = WorkerInfo(number, setup.num_workers, seed, self.dataset)
                init = (lambda: setup.init(number)) if setup.init else (lambda: None)
                if self.streams is not None:
                    self.streams.start_worker(base_seed, number, init)
                else:
                    init()
            if self.streams is not None:
                # Keys are shared out among the workers, whatever their number; an iterable dataset
                # runs as a whole in each.
                own = setup.iterable and number
                self.streams.begin(mix(base_seed, number) if own else base_seed)
            if self.fetcher is None:
                self.fetcher = make_fetcher(setup, self.dataset, self.streams, self.progress)
            else:
                self.fetcher.begin()
        except Exception as error:
            error.add_note("  while the worker was starting")
            self.failure = Failure.of(error)

    def work(self, keys: object, position: int) -> tuple[str, object]:
        """("batch", batch), ("end", None) or ("error", Failure)."""
        if self.failure is not None:
            failure, self.failure = self.failure, None
            return "error", failure
        if self.fetcher is None:
            return "end", None
        try:
            return "batch", self.fetcher.fetch(keys, position)
        except StopIteration as end:
            if self.setup.iterable:
                return "end", None
            return "error", Failure.of(end)
        except Exception as error:
            return "error", Failure.of(error)


# ---- in a process ----------------------------------------------------------------------------


def run_process(
    setup: Setup,
    number: int,
    connection: Connection,
    progress: MutableSequence[int],
    inherited: Sequence[Receiver],
) -> None:
    """A worker process: answers tasks until it is told to stop or the training process is gone.

    ``inherited``: ends of pipes that a fork has copied, and that only the other side is to have,
    or the end of the training process would not be seen.
    """
    for receiver in inherited:
        receiver.close()
    # Ctrl-C goes to all processes of a terminal; the training process decides what it means.
    signal.signal(signal.SIGINT, lambda *_: None)
    _settings.set_num_threads(1)
    tasks: SimpleQueue = SimpleQueue()
    epoch = [0]
    threading.Thread(target=_listen, args=(connection, tasks, epoch), daemon=True).start()
    sender = Sender(connection)
    collate.place.empty = sender.empty if sender.shares else None
    worker = Worker(setup, number, setup.dataset, Streams, progress)
    while (task := tasks.get()) is not None:
        kind, of_epoch, *rest = task
        if kind == "epoch":
            worker.begin(*rest)
            continue
        number_of_task, position, keys, returned = rest
        sender.take_back(returned)
        if of_epoch != epoch[0]:
            continue
        progress[0], progress[1] = number_of_task, 0
        status, answer = worker.work(keys, position)
        try:
            sender.send((of_epoch, number_of_task, status), answer)
        except Exception as error:
            if isinstance(error, ConnectionError):
                return  # the training process is gone
            error.add_note(f"  sending a batch: {collate.unsendable(answer)}")
            sender.send((of_epoch, number_of_task, "error"), Failure.of(error))
        progress[0] = -1
        del answer


def _listen(connection: Connection, tasks: SimpleQueue, epoch: list[int]) -> None:
    """Read tasks as they come, so that the training process never waits to hand one over."""
    parent = os.getppid()
    try:
        while True:
            if not connection.poll(PARENT_CHECK):
                if os.getppid() != parent:
                    os._exit(1)
                continue
            task = pickle.loads(connection.recv_bytes())
            if task is not None and task[0] == "epoch":
                epoch[0] = task[1]
            tasks.put(task)
            if task is None:
                time.sleep(LAST_WORDS)
                os._exit(0)  # nobody waits for the batch that is being made
    except (EOFError, OSError):
        os._exit(0)  # the training process is gone, and nobody waits for what is being done
    except Exception:  # a task that cannot be read
        traceback.print_exc()
        os._exit(1)


# ---- in a thread -----------------------------------------------------------------------------

# One per worker thread, held while it makes a batch. A fork waits for all of them: at that moment
# OpenBLAS stops the threads that it computes with (its pthread_atfork handler), and a product that
# another thread has under way would wait for them for ever.
_gates: weakref.WeakSet = weakref.WeakSet()
_held_for_fork: list[object] = []
_gates_lock = threading.Lock()


def _new_gate() -> threading.RLock:
    gate = threading.RLock()  # the thread that holds it may fork itself
    with _gates_lock:
        _gates.add(gate)
    return gate


def _before_fork() -> None:
    _gates_lock.acquire()
    for gate in list(_gates):
        if gate.acquire(timeout=FORK_WAIT):
            _held_for_fork.append(gate)


def _after_in_parent() -> None:
    while _held_for_fork:
        _held_for_fork.pop().release()
    _gates_lock.release()


def _after_in_child() -> None:
    global _gates_lock
    _held_for_fork.clear()
    _gates.clear()
    _gates_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )


def run_thread(
    setup: Setup,
    number: int,
    tasks: SimpleQueue,
    results: SimpleQueue,
    epoch: list[int],
    progress: list[int],
) -> None:
    """A worker thread: answers tasks until it is told to stop. Its last answer is "dead", with the
    error, if it cannot go on."""
    try:
        worker = Worker(setup, number, own_copy(setup.dataset), ThreadStreams, progress)
        gate = _new_gate()
        while (task := tasks.get()) is not None:
            kind, of_epoch, *rest = task
            if of_epoch != epoch[0]:
                continue
            if kind == "epoch":
                worker.begin(*rest)
                continue
            number_of_task, position, keys = rest
            progress[0], progress[1] = number_of_task, 0
            with gate:
                answer = worker.work(keys, position)
            results.put((of_epoch, number_of_task, *answer))
    except BaseException as error:
        results.put((0, number, "dead", Failure.of(error)))
