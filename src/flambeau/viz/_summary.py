"""A table of a model's modules: what goes in, what comes out, how many parameters."""

from __future__ import annotations

import html
from typing import Any, NamedTuple

from ..core.modes import no_grad
from ..core.value import Value
from ..nn.modules._place import _brief
from ..nn.modules.module import Module


class Row(NamedTuple):
    """One module."""

    depth: int
    name: str
    kind: str
    inputs: str
    outputs: str
    parameters: int  # its own and its submodules'
    trainable: int
    calls: int


class Summary:
    """The table: ``str()`` shows it, and so do notebooks. Byte counts are those of the tensors."""

    def __init__(self, rows: list[Row], model: Module) -> None:
        self.rows = rows
        unique = {id(p): p for p in model.parameters()}.values()
        self.parameters = sum(p.numel() for p in unique)
        self.trainable = sum(p.numel() for p in unique if p.requires_grad)
        self.nbytes = sum(p.nbytes for p in unique) + sum(b.nbytes for b in model.buffers())

    _head = ("module", "input", "output", "parameters", "calls")

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                "  " * row.depth + (f"{row.name}: " if row.name else "") + row.kind,
                row.inputs,
                row.outputs,
                f"{row.parameters:,}" if row.parameters else "-",
                str(row.calls),
            )
            for row in self.rows
        ]

    def _foot(self) -> str:
        frozen = self.parameters - self.trainable
        return (
            f"{self.parameters:,} parameters, {self.trainable:,} trainable, {frozen:,} frozen; "
            f"{_bytes(self.nbytes)}"
        )

    def __str__(self) -> str:
        cells = [self._head, *self._cells()]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self._head))]
        lines = []
        for row in cells:
            left = [f"{c:<{w}}" for c, w in zip(row[:3], widths)]
            right = [f"{c:>{w}}" for c, w in zip(row[3:], widths[3:])]
            lines.append("  ".join(left + right))
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:], rule, self._foot()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th style='text-align:left'>{h}</th>" for h in self._head)
        body = "".join(
            "<tr>"
            + "".join(
                f"<td style='text-align:left;white-space:pre'>{html.escape(c)}</td>" for c in row
            )
            + "</tr>"
            for row in self._cells()
        )
        return f"<table><tr>{head}</tr>{body}</table><p>{html.escape(self._foot())}</p>"


def summary(model: Module, *inputs: Any, **named: Any) -> Summary:
    """Run ``model(*inputs, **named)`` once, without gradients and in evaluation mode, and describe
    every module: shapes of input and output, parameters with those of its submodules, calls.

    Modules that were not called have "-" for their shapes. The training mode is put back.
    """
    seen: dict[int, list] = {}  # id of the module -> [inputs, outputs, calls]

    def note(module: Module, args: tuple, output: Any) -> None:
        entry = seen.setdefault(id(module), [_shapes(args), _shapes(output), 0])
        entry[2] += 1

    handles = [m.register_forward_hook(note) for m in model.modules()]
    modes = [(m, m.training) for m in model.modules()]
    try:
        model.eval()
        with no_grad():
            model(*inputs, **named)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    rows: list[Row] = []

    def add(module: Module, name: str, depth: int) -> None:
        into, out, calls = seen.get(id(module), ["-", "-", 0])
        parameters = list(module.parameters())
        rows.append(
            Row(
                depth,
                name,
                _brief(module),
                into,
                out,
                sum(p.numel() for p in parameters),
                sum(p.numel() for p in parameters if p.requires_grad),
                calls,
            )  # fmt: skip
        )
        for child_name, child in module.named_children():
            add(child, child_name, depth + 1)

    add(model, "", 0)
    return Summary(rows, model)


def _bytes(n: int) -> str:
    return f"{n / 1e6:,.1f} MB" if n >= 1e6 else f"{n / 1e3:,.1f} kB"


def _shapes(value: Any) -> str:
    """``(64, 10)``; of several tensors, all; of anything else, its type."""
    if isinstance(value, Value):
        return str(tuple(value.shape))
    if isinstance(value, (tuple, list)):
        return _shapes(value[0]) if len(value) == 1 else ", ".join(map(_shapes, value)) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{k}: {_shapes(v)}" for k, v in value.items())
    return type(value).__name__
