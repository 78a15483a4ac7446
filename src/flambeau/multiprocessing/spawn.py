"""Start several processes of one function, and pass on the first error of any."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from multiprocessing import connection


class ProcessException(Exception):
    """A process ended badly: ``error_index`` says which of them, ``pid`` its number."""

    def __init__(self, msg: str, error_index: int, error_pid: int) -> None:
        super().__init__(msg)
        self.msg = msg
        self.error_index = error_index
        self.pid = error_pid

    def __reduce__(self) -> tuple:
        return type(self), (self.msg, self.error_index, self.pid)


class ProcessRaisedException(ProcessException):
    """A process raised an exception."""


class ProcessExitedException(ProcessException):
    """A process was killed, or left with a status other than 0."""

    def __init__(
        self,
        msg: str,
        error_index: int,
        error_pid: int,
        exit_code: int,
        signal_name: str | None = None,
    ) -> None:
        super().__init__(msg, error_index, error_pid)
        self.exit_code = exit_code
        self.signal_name = signal_name

    def __reduce__(self) -> tuple:
        return type(self), (
            self.msg,
            self.error_index,
            self.pid,
            self.exit_code,
            self.signal_name,
        )


def _run(fn: Callable, i: int, args: tuple, error_file: str) -> None:
    try:
        fn(i, *args)
    except KeyboardInterrupt:
        pass  # the parent had it, too
    except Exception:
        with open(error_file, "wb") as file:
            pickle.dump(traceback.format_exc(), file)
        sys.exit(1)


class ProcessContext:
    """Processes that were started together."""

    def __init__(self, processes: list, error_files: list[str]) -> None:
        self.processes = processes
        self.error_files = error_files
        self.sentinels = {process.sentinel: i for i, process in enumerate(processes)}

    def pids(self) -> list[int]:
        """Their process numbers."""
        return [int(process.pid) for process in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait until one ends, at most ``timeout`` seconds; True when all have ended well.

        If one ended badly the others are terminated, after ``grace_period`` seconds killed, and
        its error is raised: ProcessRaisedException or ProcessExitedException.
        """
        if not self.sentinels:
            return True
        ready = connection.wait(list(self.sentinels), timeout=timeout)
        failed = None
        for sentinel in ready:
            i = self.sentinels.pop(sentinel)
            self.processes[i].join()
            if self.processes[i].exitcode != 0 and failed is None:
                failed = i
        if failed is None:
            return not self.sentinels
        self._stop_others(grace_period)
        self._raise(failed)
        return False

    def _stop_others(self, grace_period: float | None) -> None:
        end = time.monotonic() + (30.0 if grace_period is None else grace_period)
        for process in self.processes:
            if process.is_alive():
                process.terminate()
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()

    def _raise(self, i: int) -> None:
        process, code = self.processes[i], self.processes[i].exitcode
        with open(self.error_files[i], "rb") as file:
            told = file.read()
        if told:
            raise ProcessRaisedException(
                f"\n\n-- Process {i} terminated with the following error:\n{pickle.loads(told)}",
                i,
                process.pid,
            )
        if code < 0:
            name = signal.Signals(-code).name
            hint = ": usually the out-of-memory killer" if name == "SIGKILL" else ""
            raise ProcessExitedException(
                f"process {i} terminated with signal {name}{hint}", i, process.pid, code, name
            )
        raise ProcessExitedException(
            f"process {i} terminated with exit code {code}", i, process.pid, code
        )

    def __del__(self) -> None:
        for name in self.error_files:
            if os.path.exists(name):
                os.unlink(name)


class SpawnContext(ProcessContext):
    """What ``spawn`` returns without ``join``."""


def start_processes(
    fn: Callable,
    args: tuple = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """``fn(i, *args)`` in ``nprocs`` processes, i = 0, 1 ...

    With ``join`` it returns None when all have ended, or raises the first error, the others being
    terminated; otherwise it returns the context, whose ``join`` does that.
    """
    context = multiprocessing.get_context(start_method)
    processes, error_files = [], []
    for i in range(nprocs):
        descriptor, error_file = tempfile.mkstemp(prefix="flambeau_error")
        os.close(descriptor)
        process = context.Process(target=_run, args=(fn, i, args, error_file), daemon=daemon)
        process.start()
        processes.append(process)
        error_files.append(error_file)
    started = (SpawnContext if start_method == "spawn" else ProcessContext)(processes, error_files)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(
    fn: Callable,
    args: tuple = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """``fn(i, *args)`` in ``nprocs`` new interpreters: see ``start_processes``."""
    return start_processes(fn, args, nprocs, join, daemon, start_method)
