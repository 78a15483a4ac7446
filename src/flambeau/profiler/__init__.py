"""PyTorch's ``torch.profiler``, over what ``flambeau.profile`` records.

Sources: https://docs.pytorch.org/docs/stable/profiler.html
"""

from __future__ import annotations

import gzip
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from enum import Enum, IntEnum
from typing import Any

from ..core.modes import hook
from ._averages import EventList, FunctionEvent, averages, single_events
from ._recorder import Range, Recorder


class ProfilerActivity(Enum):
    """What is recorded; here, operations on the CPU."""

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4
    PrivateUse1 = 5


class ProfilerAction(IntEnum):
    """What a schedule asks for in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def kineto_available() -> bool:
    """Whether ``profile`` can be used, and not only its older form: yes."""
    return True


def _default_schedule_fn(_: int) -> ProfilerAction:
    """Without a schedule: each step is recorded."""
    return ProfilerAction.RECORD


def supported_activities() -> set[ProfilerActivity]:
    """CPU alone."""
    return {ProfilerActivity.CPU}


def schedule(
    *,
    wait: int,
    warmup: int,
    active: int,
    repeat: int = 0,
    skip_first: int = 0,
    skip_first_wait: int = 0,
) -> Callable[[int], ProfilerAction]:
    """After ``skip_first`` steps, cycles of ``wait`` idle, ``warmup`` and ``active`` steps.

    The active ones are recorded. ``repeat``: how many cycles; 0: without end. ``skip_first_wait``
    not 0: the first cycle has no wait. A ValueError for negative numbers or no active step.
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise ValueError(
            "Invalid profiler schedule arguments: wait, warmup, repeat and skip_first must be at "
            f"least 0 and active at least 1, but got {wait}, {warmup}, {repeat}, {skip_first} and "
            f"{active}"
        )
    cycle = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait:
            step += wait
        if repeat and step >= repeat * cycle:
            return ProfilerAction.NONE
        place = step % cycle
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        last = place == cycle - 1
        return ProfilerAction.RECORD_AND_SAVE if last else ProfilerAction.RECORD

    return action


def tensorboard_trace_handler(
    dir_name: str,
    worker_name: str | None = None,
    use_gzip: bool = False,
    use_python_export: bool = False,
) -> Callable[[profile], None]:
    """For ``on_trace_ready``: writes each trace into ``dir_name``, as TensorBoard looks for it."""

    def handle(prof: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        ending = "pt.trace.json" + (".gz" if use_gzip else "")
        prof.export_chrome_trace(os.path.join(dir_name, f"{worker}.{time.time_ns()}.{ending}"))

    return handle


class record_function:
    """Context manager and decorator: names a piece of the program in the profile."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name
        self.args = args

    def __enter__(self) -> record_function:
        self._start = time.perf_counter_ns()
        return self

    def __exit__(self, *error: object) -> None:
        end = time.perf_counter_ns()
        found = hook.active
        while found is not None:
            if isinstance(found, Recorder) and found.thread == threading.get_ident():
                found.ranges.append(Range(self.name, max(self._start, found.begun), end))
            found = found.below

    def __call__(self, function: Callable) -> Callable:
        def inside(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        inside.__name__ = getattr(function, "__name__", "inside")
        inside.__doc__ = function.__doc__
        return inside


class profile:
    """Records operations of the thread that entered, for ``key_averages().table()`` and traces.

    ``activities`` other than CPU have nothing to record. ``schedule`` says which of the steps that
    ``step()`` ends are recorded, ``on_trace_ready(prof)`` is called when a cycle of them is done
    (without a schedule: at the end). ``record_shapes`` keeps the operands' shapes;
    ``profile_memory``, ``with_stack`` and ``with_modules`` are recorded in any case; ``with_flops``
    is accepted, and counts nothing.
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[..., Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        experimental_config: Any = None,
        execution_trace_observer: Any = None,
        acc_events: bool = False,
        use_cuda: bool | None = None,
        custom_trace_id_callback: Callable[[], str] | None = None,
        post_processing_timeout_s: float | None = None,
    ) -> None:
        self.activities = set(activities) if activities else supported_activities()
        self.schedule = schedule or _default_schedule_fn
        self.on_trace_ready = on_trace_ready
        self.record_shapes = record_shapes
        self.step_num = 0
        self._recorder: Recorder | None = None  # the one at work
        self._done: Recorder | None = None  # the last one that is complete
        self._metadata: dict[str, Any] = {}

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin; the schedule says whether to record the first step."""
        self._follow(self.schedule(self.step_num))

    def stop(self) -> None:
        """End, and hand over what has been recorded."""
        if self._recorder is not None:
            self._finish()
            self._ready()

    def step(self) -> None:
        """The next step of the program begins."""
        before = self.schedule(self.step_num)
        self.step_num += 1
        if before is ProfilerAction.RECORD_AND_SAVE and self._recorder is not None:
            self._finish()
            self._ready()
        self._follow(self.schedule(self.step_num))

    def _follow(self, action: ProfilerAction) -> None:
        wanted = action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if wanted and self._recorder is None:
            self._recorder = Recorder(self.record_shapes)
            self._recorder.__enter__()
        elif not wanted and self._recorder is not None:
            self._finish()

    def _finish(self) -> None:
        self._recorder.__exit__()
        self._done, self._recorder = self._recorder, None

    def _ready(self) -> None:
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def _complete(self) -> Recorder:
        if self._done is None:
            raise AssertionError(
                "Profiler must be initialized before getting its results: nothing is recorded yet\n"
                "  they are there after the with block, or in on_trace_ready"
            )
        return self._done

    def events(self) -> EventList:
        """Every operation and named range, in order of time."""
        return single_events(self._complete())

    def key_averages(
        self,
        group_by_input_shape: bool = False,
        group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        """One entry per operation name; also by operands' shapes, or by line, if asked."""
        return averages(self._complete(), group_by_input_shape, group_by_stack_n > 0)

    def export_chrome_trace(self, path: str) -> None:
        """Write a JSON file for chrome://tracing, Perfetto or TensorBoard; .gz compresses it."""
        text = json.dumps(
            {"schemaVersion": 1, **self._metadata, "traceEvents": self.events().trace()}
        ).encode()
        if str(path).endswith(".gz"):
            text = gzip.compress(text)
        with open(path, "wb") as file:
            file.write(text)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write ``line microseconds`` for flame graphs; metric: self_cpu_time_total."""
        if metric not in ("self_cpu_time_total", "self_cuda_time_total"):
            raise ValueError(f"metric should be one of: self_cpu_time_total, not {metric}")
        with open(path, "w") as file:
            for entry in averages(self._complete(), by_line=True):
                if entry.stack:
                    place = entry.stack[0].replace(" ", "_").replace(";", ",")
                    file.write(f"{place};{entry.key} {round(entry.self_cpu_time_total)}\n")

    def add_metadata(self, key: str, value: str) -> None:
        """A string to be written into the trace."""
        self._metadata[key] = value

    def add_metadata_json(self, key: str, value: str) -> None:
        """A JSON value to be written into the trace."""
        self._metadata[key] = json.loads(value)


profiler = sys.modules[__name__]  # PyTorch has a module of this name below

__all__ = [
    "EventList", "FunctionEvent", "ProfilerAction", "ProfilerActivity", "kineto_available",
    "profile", "record_function", "schedule", "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip
