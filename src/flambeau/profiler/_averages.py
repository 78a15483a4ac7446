"""What PyTorch's profiler shows: events, their averages, and the table."""

from __future__ import annotations

from typing import Any

from ..core.whereabouts import told
from ._recorder import Recorder


class FunctionEvent:
    """One operation, or the sum of several of one name. Times are in microseconds.

    ``cpu_time_total`` with, ``self_cpu_time_total`` without what ran inside (of a named range).
    ``cpu_memory_usage``: bytes of the results. There is no other device: its times are 0.
    """

    device_time_total = self_device_time_total = device_time = 0.0
    cuda_time_total = self_cuda_time_total = cuda_time = 0.0
    device_memory_usage = self_device_memory_usage = flops = 0
    device_type = "CPU"

    def __init__(
        self, key: str, start: int, end: int, nbytes: int, shapes: tuple, stack: list[str]
    ) -> None:
        self.key = self.name = key
        self.start, self.end = start, end
        self.count = 1
        self.cpu_time_total = self.self_cpu_time_total = (end - start) / 1e3
        self.cpu_memory_usage = self.self_cpu_memory_usage = nbytes
        self.input_shapes = [list(s) for s in shapes]
        self.stack = stack
        self.is_user_annotation = False

    @property
    def cpu_time(self) -> float:
        """The average."""
        return self.cpu_time_total / self.count

    def add(self, other: FunctionEvent) -> FunctionEvent:
        """Count ``other`` with this one."""
        for name in (
            "count", "cpu_time_total", "self_cpu_time_total", "cpu_memory_usage",
            "self_cpu_memory_usage",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={_time(self.self_cpu_time_total)} "
            f"cpu_time={_time(self.cpu_time)} cpu_memory_usage={self.cpu_memory_usage}>"
        )


class EventList(list):
    """Events or averages; ``table()`` shows them."""

    @property
    def self_cpu_time_total(self) -> float:
        """The time of all, nothing counted twice."""
        return sum(e.self_cpu_time_total for e in self)

    def total_average(self) -> FunctionEvent:
        """All as one."""
        total = FunctionEvent("Total", 0, 0, 0, (), [])
        total.count = 0
        for event in self:
            total.add(event)
        return total

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
        time_unit: str | None = None,
    ) -> str:
        """Rows of name, times, bytes and calls; ``sort_by`` an attribute, largest first."""
        entries = list(self)
        if sort_by:
            if entries and not hasattr(entries[0], sort_by):
                raise AttributeError(f"no column named {sort_by!r} to sort by")
            entries.sort(key=lambda e: getattr(e, sort_by), reverse=True)
        whole = self.self_cpu_time_total or 1.0
        columns = [
            ("Name", lambda e: _cut(e.key, max_name_column_width)),
            ("Self CPU %", lambda e: f"{100 * e.self_cpu_time_total / whole:.2f}%"),
            ("Self CPU", lambda e: _time(e.self_cpu_time_total, time_unit)),
            ("CPU total %", lambda e: f"{100 * e.cpu_time_total / whole:.2f}%"),
            ("CPU total", lambda e: _time(e.cpu_time_total, time_unit)),
            ("CPU time avg", lambda e: _time(e.cpu_time, time_unit)),
            ("CPU Mem", lambda e: _bytes(e.cpu_memory_usage)),
            ("# of Calls", lambda e: str(e.count)),
        ]
        if any(e.input_shapes for e in entries):
            columns.append(
                ("Input Shapes", lambda e: _cut(str(e.input_shapes), max_shapes_column_width))
            )
        if any(e.stack for e in entries):
            columns.append(
                ("Source Location", lambda e: _cut(" ".join(e.stack), max_src_column_width))
            )
        rows = [[show(e) for _, show in columns] for e in entries[:row_limit]]
        widths = [
            max([len(name), *(len(row[i]) for row in rows)]) for i, (name, _) in enumerate(columns)
        ]
        rule = "  ".join("-" * w for w in widths)
        lines = [rule, "  ".join(f"{n:>{w}}" for (n, _), w in zip(columns, widths)), rule]
        lines += ["  ".join(f"{c:>{w}}" for c, w in zip(row, widths)) for row in rows]
        lines += [rule, f"Self CPU time total: {_time(self.self_cpu_time_total)}", ""]
        return "\n".join([header, *lines] if header else lines)

    def trace(self) -> list[dict[str, Any]]:
        """The events as chrome://tracing takes them."""
        return [
            {
                "ph": "X", "cat": "user_annotation" if e.is_user_annotation else "cpu_op",
                "name": e.key, "pid": 0, "tid": 0, "ts": e.start / 1e3,
                "dur": (e.end - e.start) / 1e3,
                "args": {"Input Dims": e.input_shapes, "Call stack": "; ".join(e.stack)},
            }
            for e in self
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.table()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _time(us: float, unit: str | None = None) -> str:
    if unit == "s" or (unit is None and us >= 1e6):
        return f"{us / 1e6:.3f}s"
    if unit == "ms" or (unit is None and us >= 1e3):
        return f"{us / 1e3:.3f}ms"
    return f"{us:.3f}us"


def _bytes(n: int) -> str:
    for size, unit in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if abs(n) >= size:
            return f"{n / size:.2f} {unit}"
    return f"{n} B"


def single_events(recorder: Recorder) -> EventList:
    """Every operation and named range of what was recorded, in order of time."""
    found = []
    for e in recorder.events:
        if e.line is None and e.name.startswith("("):
            continue  # the time after the last operation
        name = e.name if ".step" in e.name else f"aten::{e.name}"
        stack = [told(e.line)] if e.line else []
        found.append(FunctionEvent(name, e.start, e.end, e.nbytes, e.shapes, stack))
    for r in recorder.ranges:
        event = FunctionEvent(r.name, r.start, r.end, 0, (), [])
        event.is_user_annotation = True
        found.append(event)
    found.sort(key=lambda e: (e.start, -e.end))
    inside: list[FunctionEvent] = []  # ranges that are open
    for event in found:
        while inside and inside[-1].end <= event.start:
            inside.pop()
        if inside:
            inside[-1].self_cpu_time_total -= event.cpu_time_total
        for outer in inside:
            outer.cpu_memory_usage += event.self_cpu_memory_usage
        if event.is_user_annotation:
            inside.append(event)
    return EventList(found)


def averages(recorder: Recorder, by_shape: bool = False, by_line: bool = False) -> EventList:
    """One entry for each name, and for each of the shapes or lines if asked, as they came."""
    found: dict[tuple, FunctionEvent] = {}
    for event in single_events(recorder):
        key = (
            event.key,
            str(event.input_shapes) if by_shape else "",
            tuple(event.stack) if by_line else (),
        )
        if key in found:
            found[key].add(event)
            continue
        if not by_shape:
            event.input_shapes = []
        if not by_line:
            event.stack = []
        found[key] = event
    return EventList(found.values())
