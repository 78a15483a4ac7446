"""Where the time goes: every operation with its time, bytes, line and module.

Time is cut at the beginning and end of each operation, so that nothing is left out: what lies
between two operations (Python, data loading, shortcuts that no record sees) is counted as
``between`` at the line whose operation ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from time import perf_counter_ns
from types import FrameType
from typing import Any, NamedTuple

from ..core.modes import Interpreter, hook
from ..core.value import Value
from ..core.whereabouts import Line, told, user_frame
from ..nn.modules.module import Module
from ..watching._where import ModuleStack, module_path


class Event(NamedTuple):
    """One operation. Times in ns of ``time.perf_counter_ns``; ``since`` is the end of the one
    before."""

    name: str
    backward: bool
    line: Line | None
    modules: tuple
    since: int
    start: int
    end: int
    nbytes: int  # of the results
    shapes: tuple  # of the operands, if asked for


class Range(NamedTuple):
    """A piece of the program that ``record_function`` named."""

    name: str
    start: int
    end: int


_FIELDS = 7


class _Chains(ModuleStack):
    """The modules whose forward is being run, with the sites known there."""

    def __init__(self) -> None:
        super().__init__()
        self.sites: dict[tuple, dict] = {}
        self.here = self.sites[()] = {}  # (code's id, instruction) -> number of the site

    def begin(self, module: Module) -> None:
        """See ModuleStack."""
        super().begin(module)
        self.here = self.sites.setdefault(self.chain, {})

    def end(self, module: Module) -> None:
        """See ModuleStack."""
        super().end(module)
        self.here = self.sites.setdefault(self.chain, {})


class Recorder(Interpreter):
    """Writes down every operation of its thread."""

    def __init__(self, shapes: bool = False) -> None:
        # The fields of the events one after the other, and sites by number: a tuple for each event
        # would keep the garbage collector busy.
        self._flat: list[Any] = []
        self._sites: list[tuple[Line | None, tuple]] = []
        self._shapes: dict[int, tuple] = {}
        self.ranges: list[Range] = []
        self.keep_shapes = shapes
        self._modules = _Chains()
        self._site_of: dict[int, int] = {}  # tick of a node -> site of its operation
        self._node: Any = None  # whose gradient is being computed
        self._mark = self.begun = self.ended = 0

    def __enter__(self) -> Recorder:
        self._modules.__enter__()
        super().__enter__()
        self._mark = self.begun = perf_counter_ns()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended = perf_counter_ns()
        self._add("(after the last operation)", self._site(None), self.ended, self.ended)
        super().__exit__(*error)
        self._modules.__exit__()
        self._site_of.clear()

    @property
    def events(self) -> list[Event]:
        """Every operation, in order."""
        flat, n = self._flat, _FIELDS
        found = []
        for i in range(0, len(flat), n):
            name, backward, site, since, start, end, nbytes = flat[i : i + n]
            line, modules = self._sites[site]
            shapes = self._shapes.get(i, ())
            found.append(Event(name, backward, line, modules, since, start, end, nbytes, shapes))
        return found

    def _site(self, frame: FrameType | None) -> int:
        """The number of this line in the module whose forward is being run."""
        modules = self._modules
        key = (0, 0) if frame is None else (id(frame.f_code), frame.f_lasti)
        found = modules.here.get(key)
        if found is None:
            found = modules.here[key] = len(self._sites)
            self._sites.append((frame and (frame.f_code, frame.f_lineno), modules.chain))
        return found

    def _add(self, name: str, site: int, start: int, end: int) -> None:
        backward = self._node is not None
        self._flat += (name, backward, site, self._mark, start, end, 0)
        self._mark = end

    def dispatch(self, op: Any, plain: Callable[..., Any], args: tuple) -> Any:
        """See Interpreter. Written out flat: what it costs is added to every operation."""
        below = self.below
        if get_ident() != self.thread:
            return plain(*args) if below is None else below.dispatch(op, plain, args)
        hook.active = below
        start = perf_counter_ns()
        try:
            result = plain(*args) if below is None else below.dispatch(op, plain, args)
        finally:
            hook.active = self
        end = perf_counter_ns()
        node = self._node
        site = None if node is None else self._site_of.get(node.tick)
        if site is None:
            frame = user_frame()
            site = frame and self._modules.here.get((id(frame.f_code), frame.f_lasti))
            if site is None:
                site = self._site(frame)
        if isinstance(result, Value):
            nbytes = result._array.nbytes
            edge = result._edge
            if edge is not None:
                self._site_of[edge.tick] = site
        elif type(result) is tuple and result and isinstance(result[0], Value):
            nbytes = sum([r._array.nbytes for r in result])
            edge = result[0]._edge
            if edge is not None and edge.edges:  # an Output of the node
                self._site_of[edge.edges[0].tick] = site
        else:
            nbytes = 0
        if self.keep_shapes:
            self._shapes[len(self._flat)] = tuple(
                [list(a._array.shape) if isinstance(a, Value) else [] for a in args]
            )
        self._flat += (op.name, node is not None, site, self._mark, start, end, nbytes)
        self._mark = end
        return result

    def recorded(self, node: Any) -> None:
        """See Interpreter."""
        if get_ident() == self.thread:
            self._site_of[node.tick] = self._site(user_frame())
        super().recorded(node)

    def reached(self, node: Any, grad: Any) -> None:
        """See Interpreter."""
        if get_ident() == self.thread:
            self._node = node
        super().reached(node, grad)

    def updated(self, optimizer: Any, *rest: Any) -> None:
        """See Interpreter."""
        if get_ident() == self.thread:
            name = f"{type(optimizer).__name__}.step"
            self._add(name, self._site(user_frame()), self._mark, perf_counter_ns())
        super().updated(optimizer, *rest)


class Row:
    """Sums over events: times in ns."""

    __slots__ = ("backward", "between", "calls", "forward", "nbytes")

    def __init__(self) -> None:
        self.forward = self.backward = self.between = self.nbytes = self.calls = 0

    @property
    def total(self) -> int:
        """All of the time."""
        return self.forward + self.backward + self.between

    def add(self, event: Event) -> None:
        """Count one event."""
        duration = event.end - event.start
        if event.backward:
            self.backward += duration
        else:
            self.forward += duration
        self.between += event.start - event.since
        self.nbytes += event.nbytes
        self.calls += 1


def sums(events: list[Event], key: Callable[[Event], Any]) -> dict[Any, Row]:
    """One row for each value of ``key``, those that took longest first."""
    rows: dict[Any, Row] = {}
    for event in events:
        rows.setdefault(key(event), Row()).add(event)
    return dict(sorted(rows.items(), key=lambda item: -item[1].total))


class profile:
    """Context manager that prints, at its end, where the time of the ``with`` block went.

    Two tables, by source line and by module: ms in forward, ms in backward (counted at the forward
    line and module that caused it), ms between operations, MB of results, calls. Their sums are the
    wall time. ``show=False``: print nothing; ``str(p)`` has the tables. ``rows``: lines of each.
    Only operations of the thread that entered are seen; what compiled code does, is not.
    """

    def __init__(self, show: bool = True, rows: int = 20) -> None:
        self.show = show
        self.rows = rows
        self.recorder = Recorder()

    def __enter__(self) -> profile:
        self.recorder.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.recorder.__exit__()
        if self.show and error[0] is None:
            print(self)

    @property
    def wall(self) -> float:
        """Seconds of the block."""
        return (self.recorder.ended - self.recorder.begun) / 1e9

    def lines(self) -> dict[str, Row]:
        """The table by source line."""
        by_line = sums(self.recorder.events, lambda e: e.line or e.name)
        return {k if isinstance(k, str) else told(k): row for k, row in by_line.items()}

    def modules(self) -> dict[str, Row]:
        """The table by module; operations count for the innermost module that ran them."""
        by_module = sums(self.recorder.events, lambda e: e.modules)
        return {module_path(chain): row for chain, row in by_module.items()}

    def __str__(self) -> str:
        wall = self.wall
        text = f"{_table('line', self.lines(), wall, self.rows)}\n\n"
        text += _table("module", self.modules(), wall, self.rows)
        return f"{text}\n\nwall time {1e3 * wall:.1f} ms"

    def _repr_html_(self) -> str:
        return f"<pre>{str(self).replace('&', '&amp;').replace('<', '&lt;')}</pre>"


def _table(what: str, rows: dict[str, Row], wall: float, most: int) -> str:
    shown = dict(list(rows.items())[:most])
    if len(rows) > most:
        rest = Row()
        for row in list(rows.values())[most:]:
            for name in Row.__slots__:
                setattr(rest, name, getattr(rest, name) + getattr(row, name))
        shown[f"({len(rows) - most} more)"] = rest
    width = max([len(what), *(min(len(name), 70) for name in shown)])
    head = f"{what:<{width}}  forward ms  backward ms  between ms      %        MB   calls"
    lines = [head, "-" * len(head)]
    for name, row in shown.items():
        name = name if len(name) <= 70 else name[:67] + "..."
        share = row.total / 1e7 / wall if wall else 0.0
        lines.append(
            f"{name:<{width}}  {row.forward / 1e6:10.2f}  {row.backward / 1e6:11.2f}  "
            f"{row.between / 1e6:10.2f}  {share:5.1f}  {row.nbytes / 1e6:8.1f}  {row.calls:6d}"
        )
    return "\n".join(lines)
