"""``Timer``: how long a statement takes, measured as often as that needs."""

from __future__ import annotations

import enum
import textwrap
import timeit
from collections.abc import Callable
from time import perf_counter as timer
from typing import Any, NoReturn

from ... import _settings
from ._measurement import Measurement, TaskSpec


class Language(enum.Enum):
    """The language of a statement."""

    PYTHON = 0
    CPP = 1


class Timer:
    """Times ``stmt``, Python code in the scope of ``globals``, after running ``setup`` once.

    It runs with ``num_threads`` threads (1 unless said otherwise). ``label``, ``sub_label``,
    ``description`` and ``env`` lay out the tables of ``Compare``.
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Language | str = Language.PYTHON,
    ) -> None:
        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        if language not in (Language.PYTHON, "py", "python"):
            raise NotImplementedError(
                "Timer: statements in C++ are not supported: flambeau has no C++ interface"
            )
        if global_setup:
            raise ValueError("global_setup is C++ only, got `{global_setup}`.")
        stmt, setup = (textwrap.dedent(code).strip() for code in (stmt, setup))
        self._task_spec = TaskSpec(
            stmt, setup, global_setup, label, sub_label, description, env, num_threads
        )
        self._timer = timeit.Timer(stmt, setup, timer, dict(globals or {}))

    def _seconds(self, number: int) -> float:
        return max(self._timer.timeit(number), 1e-9)

    def _threads(self) -> _Threads:
        return _Threads(self._task_spec.num_threads)

    def _measured(self, number: int, times: list[float]) -> Measurement:
        return Measurement(number, times, self._task_spec)

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """``number`` runs, timed together, after some to warm up."""
        with self._threads():
            self._seconds(max(number // 100, min(2, number)))
            return self._measured(number, [self._seconds(number)])

    def repeat(self, repeat: int = -1, number: int = -1) -> NoReturn:
        """Refused, as in PyTorch: NotImplementedError."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback: Callable[[int, float], NoReturn] | None = None) -> NoReturn:
        """Refused, as in PyTorch: NotImplementedError."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def _block_size(self, min_run_time: float) -> int:
        """So many runs that reading the clock costs less than 0.1 % of them."""
        empty = timeit.Timer("pass", timer=self._timer.timer)
        overhead = min(empty.timeit(0) for _ in range(5))
        number = 1
        while True:
            taken = self._seconds(number)
            if overhead <= 1e-4 * taken and taken >= min_run_time / 1000:
                return number
            if taken > min_run_time:
                return number
            number *= 10

    def blocked_autorange(
        self, callback: Callable[[int, float], None] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Blocks of runs until ``min_run_time`` seconds have passed; the block's size follows
        from how long one run takes."""
        with self._threads():
            number = self._block_size(min_run_time)
            times: list[float] = []
            while sum(times) < min_run_time:
                times.append(self._seconds(number))
                if callback is not None:
                    callback(number, times[-1])
        return self._measured(number, times)

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callable[[int, float], None] | None = None,
    ) -> Measurement:
        """Blocks of runs until the quartiles lie within ``threshold`` of the median, or
        ``max_run_time`` seconds have passed."""
        with self._threads():
            number = self._block_size(min_run_time)
            times: list[float] = []
            while True:
                block = 0.0
                while block < min_run_time:
                    times.append(self._seconds(number))
                    block += times[-1]
                    if callback is not None:
                        callback(number, times[-1])
                found = self._measured(number, times)
                if (len(times) > 3 and found.meets_confidence(threshold)) or sum(
                    times
                ) >= max_run_time:
                    return found

    def collect_callgrind(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: NotImplementedError."""
        raise NotImplementedError(
            "Timer.collect_callgrind is not supported: it would count the interpreter's "
            "instructions; use blocked_autorange"
        )


class _Threads:
    """Scope of a number of threads."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __enter__(self) -> None:
        self.before = _settings.get_num_threads()
        _settings.set_num_threads(self.count)

    def __exit__(self, *error: object) -> None:
        _settings.set_num_threads(self.before)
