"""``torch.cuda.streams``: queues of work on a GPU, and marks in them.

What is asked of the GPU goes to the thread's current queue, in order; Python goes on meanwhile.
Source: https://docs.pytorch.org/docs/stable/cuda.html#streams-and-events
"""

from __future__ import annotations

from typing import Any

from ..tensor._device import CUDA as _CUDA
from ._machine import machine as _machine
from ._machine import there as _there

_NONE = "flambeau has no cuda device: tensors live on the CPU"


class Stream:
    """A queue of work on the GPU. RuntimeError where there is none.

    ``cuda_stream``: the address that CUDA knows it by.
    """

    def __init__(self, device: object = None, priority: int = 0, **kwargs: object) -> None:
        if not _there():
            raise RuntimeError(f"torch.cuda.Stream requires CUDA support\n  {_NONE}")
        self._queue = _machine(device).stream(priority)
        self.priority = priority

    device = _CUDA
    device_index, device_type = 0, 1

    @property
    def cuda_stream(self) -> int:
        """CUDA's address of the queue."""
        return self._queue.ptr

    def query(self) -> bool:
        """Whether all work that it was given is done."""
        return bool(self._queue.done)

    def synchronize(self) -> None:
        """Wait until all work that it was given is done."""
        self._queue.synchronize()

    def record_event(self, event: Event | None = None) -> Event:
        """Set a mark after the work so far, ``event`` or a new one; returns it."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let what it is given from now on wait for ``event``."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Let what it is given from now on wait for the work that ``stream`` has so far."""
        self.wait_event(stream.record_event())

    @staticmethod
    def priority_range() -> tuple[int, int]:
        """The least and the greatest priority: 0 and -5."""
        return 0, -5

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.cuda_stream == other.cuda_stream

    def __hash__(self) -> int:
        return hash(self.cuda_stream)

    def __repr__(self) -> str:
        return f"<torch.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


def _over(queue: Any) -> Stream:
    made = object.__new__(Stream)
    made._queue, made.priority = queue, getattr(queue, "priority", 0)
    return made


class ExternalStream(Stream):
    """A queue that another library made, by CUDA's address of it."""

    def __init__(self, stream_ptr: int, device: object = None, **kwargs: object) -> None:
        self._queue, self.priority = _machine(device).stream_at(stream_ptr), 0


class Event:
    """A mark in a queue of work on a GPU. Without a GPU it can be made, and used not:
    AssertionError."""

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        self.enable_timing, self.blocking = enable_timing, blocking
        self._mark: Any = None  # made when it is first recorded

    device = _CUDA

    def record(self, stream: Stream | None = None) -> None:
        """Stand after the work that ``stream``, or the current one, was given so far."""
        gpu = _machine()
        if self._mark is None:
            self._mark = gpu.event(self.enable_timing, self.blocking)
        self._mark.record(gpu.current_stream() if stream is None else stream._queue)

    def wait(self, stream: Stream | None = None) -> None:
        """Let what ``stream``, or the current one, is given from now on wait for the mark."""
        gpu = _machine()
        if self._mark is not None:
            queue = gpu.current_stream() if stream is None else stream._queue
            queue.wait_event(self._mark)

    def synchronize(self) -> None:
        """Wait until the work before the mark is done."""
        if self._mark is not None:
            self._mark.synchronize()

    def query(self) -> bool:
        """Whether the work before the mark is done."""
        return self._mark is None or bool(self._mark.done)

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this mark to ``end_event``. ValueError unless both were made with
        ``enable_timing``, RuntimeError unless both are recorded and reached."""
        gpu = _machine()
        if not (self.enable_timing and end_event.enable_timing):
            raise ValueError(
                "Both events must be created with argument 'enable_timing=True'.\n  "
                "torch.cuda.Event(enable_timing=True)"
            )
        if self._mark is None or end_event._mark is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        if not (self.query() and end_event.query()):
            raise RuntimeError(
                "CUDA error: device not ready\n  wait for the events first: "
                "end_event.synchronize(), or torch.cuda.synchronize()"
            )
        return gpu.elapsed(self._mark, end_event._mark)

    def __repr__(self) -> str:
        return "<torch.cuda.Event uninitialized>" if self._mark is None else "<torch.cuda.Event>"


class StreamContext:
    """Scope in which work goes to ``stream``; None: nothing changes. AssertionError without a
    GPU."""

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream
        if stream is not None:
            _machine()

    def __enter__(self) -> None:
        if self.stream is not None:
            self._before = _machine().current_stream()
            _machine().use_stream(self.stream._queue)

    def __exit__(self, *error: object) -> None:
        if self.stream is not None:
            _machine().use_stream(self._before)


def stream(stream: Stream | None) -> StreamContext:
    """``StreamContext(stream)``."""
    return StreamContext(stream)


def current_stream(device: object = None) -> Stream:
    """The queue that this thread's work goes to. AssertionError without a GPU."""
    return _over(_machine(device).current_stream())


def default_stream(device: object = None) -> Stream:
    """The queue that there is from the start. AssertionError without a GPU."""
    return _over(_machine(device).default_stream())


def set_stream(stream: Stream | None) -> None:
    """Let this thread's work go to ``stream``; None changes nothing. AssertionError without a
    GPU."""
    if stream is not None:
        _machine().use_stream(stream._queue)


def get_stream_from_external(data_ptr: int, device: object = None) -> Stream:
    """The queue that another library made, by CUDA's address of it."""
    return ExternalStream(data_ptr, device)


__all__ = [
    "Event", "ExternalStream", "Stream", "StreamContext", "current_stream", "default_stream",
    "get_stream_from_external", "set_stream", "stream",
]  # fmt: skip
