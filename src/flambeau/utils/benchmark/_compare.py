"""``Compare``: measurements as a table, rows by what was computed, columns by who did it."""

from __future__ import annotations

from collections.abc import Iterable

from ._measurement import Measurement, select_unit, trim_sigfig, unit_to_english


class Compare:
    """A table of measurements for each label; a row for each sub_label (by threads and env), a
    column for each description."""

    def __init__(self, results: Iterable[Measurement]) -> None:
        self._results: list[Measurement] = []
        self.extend_results(results)
        self._trim = False
        self._highlight = False

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Add measurements. ValueError for anything else."""
        for r in results:
            if not isinstance(r, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(r)} instead.")
            self._results.append(r)

    def trim_significant_figures(self) -> None:
        """Show only figures that the spread of the times leaves meaningful."""
        self._trim = True

    def colorize(self, rowwise: bool = False) -> None:
        """Mark the fastest of each row (or of each column): with an asterisk."""
        self._highlight = True
        self._rowwise = rowwise

    def highlight_warnings(self) -> None:
        """Accepted: measurements that spread too far carry an exclamation mark in any case."""

    def print(self) -> None:
        """Print the tables."""
        print(str(self))

    def __str__(self) -> str:
        merged = Measurement.merge(self._results)
        labels = dict.fromkeys(m.task_spec.label for m in merged)
        return "\n\n".join(
            self._table(label, [m for m in merged if m.task_spec.label == label])
            for label in labels
        )

    def _table(self, label: str | None, results: list[Measurement]) -> str:
        columns = list(dict.fromkeys(m.task_spec.description or "" for m in results))
        unit, scale = select_unit(min(m.median for m in results))
        threads = list(dict.fromkeys(m.task_spec.num_threads for m in results))
        several_envs = len({m.env for m in results}) > 1
        lines: list[list[str] | str] = [["", *columns]]
        for count in threads:
            lines.append(f"{count} threads: ")
            of_count = [m for m in results if m.task_spec.num_threads == count]
            rows = dict.fromkeys((m.env, m.as_row_name) for m in of_count)
            for env, name in rows:
                cells = {
                    m.task_spec.description or "": m
                    for m in of_count
                    if (m.env, m.as_row_name) == (env, name)
                }
                fastest = min(m.median for m in cells.values())
                row = [f"({env})  {name}" if several_envs else name]
                for c in columns:
                    m = cells.get(c)
                    row.append("" if m is None else self._cell(m, scale, m.median == fastest))
                lines.append(row)
        widths = [
            max(len(line[i]) for line in lines if isinstance(line, list))
            for i in range(len(columns) + 1)
        ]
        text = []
        for line in lines:
            if isinstance(line, list):
                cells = [f"{c:^{w}}" if line is lines[0] else f"{c:>{w}}"
                         for c, w in zip(line[1:], widths[1:])]  # fmt: skip
                text.append("  |  ".join([f"      {line[0]:<{widths[0]}}", *cells]))
            else:
                text.append(line)
        width = max(map(len, text))
        text = [t.ljust(width, "-") if isinstance(o, str) else t for t, o in zip(text, lines)]
        title = f" {label or 'Measurement'} ".center(width - 2, "-")
        return "\n".join(
            [f"[{title}]", *text, "", f"Times are in {unit_to_english(unit)}s ({unit})."]
        )

    def _cell(self, m: Measurement, scale: float, fastest: bool) -> str:
        value = m.median / scale
        if self._trim:
            figures = m.significant_figures
            value = trim_sigfig(value, figures)
            digits = max(0, figures - len(str(int(value))))
            text = f"{value:.{digits}f}"
        else:
            text = f"{value:.1f}"
        mark = "*" if self._highlight and fastest else ""
        return f"{'! ' if m.has_warnings else ''}{text}{mark}"
