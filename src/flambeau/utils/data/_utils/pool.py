"""The workers of one loader, seen from the training process: processes or threads."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import threading
import time
from _queue import SimpleQueue
from collections.abc import MutableSequence
from multiprocessing import connection
from multiprocessing.context import BaseContext

from . import thread_random
from .transport import Receiver
from .worker import Failure, Setup, run_process, run_thread

GRACE = 5.0  # seconds that workers have to finish what they are doing


class Pool:
    """Workers that answer numbered tasks.

    ``given``: the tasks that are not answered yet, each with its worker and keys.
    """

    kind = "process"

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.epoch = 0
        self.given: dict[int, tuple[int, object]] = {}
        #: Per worker: the task it is at, and the sample in it, -1 while it collates.
        self.progress: list[MutableSequence[int]] = []
        self.closed = False

    def begin(self, base_seed: int) -> int:
        """Start an epoch, forgetting what is left of the last one; its number."""
        self.epoch += 1
        self.given.clear()
        for number in range(self.setup.num_workers):
            self._post(number, ("epoch", self.epoch, base_seed))
        return self.epoch

    def submit(self, worker: int, task: int, position: int, keys: object) -> None:
        """Give ``worker`` a batch to make."""
        self.given[task] = (worker, keys)
        self._post(worker, ("task", self.epoch, task, position, keys, *self._extra(worker)))

    def receive(self, timeout: float | None) -> tuple[int, int, str, object] | None:
        """(task, worker, status, answer) of the next one that is ready; None after ``timeout``."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            answer = self._next(left)
            if answer is None:
                return None
            epoch, task, status, result = answer
            if epoch == self.epoch and task in self.given:
                worker, _ = self.given.pop(task)
                return task, worker, status, result

    def place(self, worker: int) -> str:
        """How messages name a worker."""
        return f"in DataLoader worker {self.kind} {worker}"

    def doing(self, worker: int) -> str:
        """What a worker is doing, or was doing at its end."""
        task, number = self.progress[worker]
        if task not in self.given:
            if not self.given:
                return "it had nothing to do"
            task, number = next((t for t, (w, _) in self.given.items() if w == worker), task), -2
        keys = self.given[task][1] if task in self.given else None
        name = type(self.setup.dataset).__name__
        if keys is None or self.setup.iterable:
            return f"it was making batch {task} of {name}"
        if number == -1:
            return f"it was collating batch {task} of {name}"
        if not self.setup.auto_collation:
            return f"it was reading sample {keys!r} of {name}"
        if not 0 <= number < len(keys):
            return f"it was making batch {task} of {name}"
        return f"it was reading sample {keys[number]!r} of {name}, number {number} of batch {task}"

    def _post(self, worker: int, message: tuple) -> None:
        raise NotImplementedError

    def _next(self, timeout: float | None) -> tuple | None:
        raise NotImplementedError

    def _extra(self, worker: int) -> tuple:
        return ()

    def close(self) -> None:
        """End all workers."""
        raise NotImplementedError


class ProcessPool(Pool):
    """Workers that are processes."""

    def __init__(self, setup: Setup, context: BaseContext | None) -> None:
        super().__init__(setup)
        context = multiprocessing.get_context() if context is None else context
        self.processes, self.receivers = [], []
        self._owner = os.getpid()
        forks = context.get_start_method() == "fork"
        try:
            for number in range(setup.num_workers):
                ours, theirs = context.Pipe(duplex=True)
                # Which task it is at, and which sample of it: still there when it is not.
                progress = context.RawArray("q", [-1, 0])
                receiver = Receiver(ours)
                self.receivers.append(receiver)
                process = context.Process(
                    target=run_process,
                    args=(setup, number, theirs, progress, self.receivers if forks else ()),
                    name=f"flambeau-loader-{number}",
                    daemon=True,
                )
                process.start()
                theirs.close()
                self.processes.append(process)
                self.progress.append(progress)
        except BaseException as error:
            if not forks:
                error.add_note(
                    f"  {context.get_start_method()!r} pickles dataset, collate_fn and "
                    "worker_init_fn for each worker; multiprocessing_context='fork' and 'thread' "
                    "do not"
                )
            self.close()
            raise
        self._waited = {receiver.connection: i for i, receiver in enumerate(self.receivers)}
        self._waited |= {process.sentinel: i for i, process in enumerate(self.processes)}

    def _extra(self, worker: int) -> tuple:
        return (self.receivers[worker].returned(),)

    def _post(self, worker: int, message: tuple) -> None:
        try:
            self.receivers[worker].connection.send_bytes(pickle.dumps(message))
        except (BrokenPipeError, ConnectionError):
            self._died(worker)

    def _next(self, timeout: float | None) -> tuple | None:
        ready = connection.wait(self._waited, timeout)
        if not ready:
            return None
        worker = self._waited[ready[0]]
        receiver = self.receivers[worker]
        try:
            # A worker that has died may have sent answers before.
            if receiver.connection in ready or receiver.connection.poll():
                return receiver.receive()
        except (EOFError, ConnectionError, BrokenPipeError):
            pass
        self._died(worker)
        return None

    def _died(self, worker: int) -> None:
        """Say how a worker came to its end. RuntimeError."""
        process = self.processes[worker]
        code, memory = _reap(process)
        doing = self.doing(worker)
        self.close()
        raise RuntimeError(
            f"DataLoader worker (pid(s) {process.pid}) exited unexpectedly\n"
            f"  worker {worker} (process {process.pid}) {_ending(code)}; its memory was {memory}\n"
            f"  {doing}"
        )

    def close(self) -> None:
        """Tell the workers to stop, and see to it that they do."""
        if self.closed or os.getpid() != self._owner:
            return
        self.closed = True
        for receiver in self.receivers:
            with contextlib.suppress(OSError, ValueError):
                receiver.connection.send_bytes(pickle.dumps(None))
            receiver.close()
        end = time.monotonic() + GRACE
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                process.terminate()
                process.join(1.0)
            if process.is_alive():
                process.kill()
                process.join()


def _reap(process: multiprocessing.Process) -> tuple[int | None, str]:
    """The exit code of a process that has ended, and the most memory it had held."""
    popen = getattr(process, "_popen", None)
    if hasattr(os, "wait4") and popen is not None and popen.returncode is None:
        end = time.monotonic() + GRACE
        while time.monotonic() < end:
            try:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            except (ChildProcessError, OSError):
                break  # a server forked it, or somebody else has waited for it
            if pid:
                popen.returncode = os.waitstatus_to_exitcode(status)
                return popen.returncode, f"{usage.ru_maxrss * 1024 / 1e9:.1f} GB"
            time.sleep(0.005)
    process.join(GRACE)
    return process.exitcode, "not recorded"


def _ending(code: int | None) -> str:
    if code is None:
        return "closed its pipe"
    if code >= 0:
        return f"left with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "signal"
    causes = {
        "SIGKILL": ": usually the OOM killer",
        "SIGSEGV": ": a fault in compiled code that the dataset calls",
        "SIGBUS": ": usually memory that the system could not provide",
        "SIGABRT": ": compiled code that the dataset calls gave up",
    }
    return f"was killed by {name} ({-code}){causes.get(name, '')}"


class ThreadPool(Pool):
    """Workers that are threads of the training process: nothing is sent, nothing is copied."""

    kind = "thread"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        if setup.draws:
            thread_random.install()
        self._tasks = [SimpleQueue() for _ in range(setup.num_workers)]
        self._results: SimpleQueue = SimpleQueue()
        self._current = [0]
        self.progress = [[-1, 0] for _ in self._tasks]
        for number, (tasks, progress) in enumerate(zip(self._tasks, self.progress)):
            threading.Thread(
                target=run_thread,
                args=(setup, number, tasks, self._results, self._current, progress),
                name=f"flambeau-loader-{number}",
                daemon=True,
            ).start()

    def begin(self, base_seed: int) -> int:
        """Start an epoch, forgetting what is left of the last one; its number."""
        self._current[0] = self.epoch + 1
        return super().begin(base_seed)

    def _post(self, worker: int, message: tuple) -> None:
        self._tasks[worker].put(message)

    def _next(self, timeout: float | None) -> tuple | None:
        try:
            answer = self._results.get(timeout=timeout)
        except queue.Empty:
            return None
        _, worker, status, failure = answer
        if status == "dead":
            self.close()
            raise failure.error(f"{self.place(worker)}, which has ended.\n  {self.doing(worker)}")
        return answer

    def close(self) -> None:
        """Tell the threads to stop after what they are doing."""
        self.closed = True
        self._current[0] = -1
        for tasks in self._tasks:
            tasks.put(None)


def failure_of(pool: Pool, worker: int, task: int, failure: Failure) -> BaseException:
    """The error of a task, to be raised by the one who asked for it."""
    return failure.error(f"{pool.place(worker)}.\n  it was making batch {task}")
