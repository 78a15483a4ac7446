"""A picture of how a tensor was made: operations, values, gradients and shapes, as SVG."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..autograd import grad as gradients_of
from ..core.modes import Interpreter
from ..core.tape import FREED, Leaf, Node, Output, made_by
from ..core.value import Value
from ..core.whereabouts import user_frame
from ..nn.modules._place import _brief
from ..nn.modules.module import Module
from ..watching._where import ModuleStack, module_path
from ._layout import layered

_FONT = "font-family='ui-monospace,Menlo,Consolas,monospace' font-size='12'"
_CHARACTER, _LINE, _MARGIN = 7.3, 16, 10
_MOST = 400  # boxes

#: kind of box -> (fill, stroke); told apart in black and white by their outlines
_STYLES = {
    "leaf": ("#e8f1e4", "#3f6b35"),
    "operation": ("#ffffff", "#444444"),
    "module": ("#e4ecf7", "#2f4f7f"),
    "result": ("#fbeedd", "#8a5a14"),
}


class Picture:
    """An SVG drawing: shown by notebooks, kept by ``save(path)``; ``str()`` is its text."""

    def __init__(self, svg: str, boxes: dict[Any, tuple[str, list[str]]]) -> None:
        self.svg = svg
        self.boxes = list(boxes.values())  # (kind, lines of text) of each box

    def save(self, path: str | Path) -> None:
        """Write the SVG file."""
        Path(path).write_text(self.svg, encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg

    def __str__(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<picture of {len(self.boxes)} boxes>"


class _Record(Interpreter):
    """Keeps the results and modules of the operations of a run."""

    def __init__(self) -> None:
        self.values: dict[int, Value] = {}  # by the tick of the edge
        self.chains: dict[int, tuple[Module, ...]] = {}
        self._modules = ModuleStack()

    def __enter__(self) -> _Record:
        self._modules.__enter__()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._modules.__exit__()

    def run(self, op: Any, plain: Callable[..., Any], args: tuple) -> Any:
        """See Interpreter."""
        result = self.onward(op, plain, args)
        for value in result if type(result) is tuple else (result,):
            if isinstance(value, Value) and value._edge is not None:
                self.values[value._edge.tick] = value
                node = _node(value._edge)
                self.chains[node.tick] = self._modules.chain
        return result


def graph(out: Any, *inputs: Any, fold: int | None = 1, model: Module | None = None) -> Picture:
    """Draw how the tensor ``out`` was made, from the leaves above to the result below.

    ``graph(out)``: boxes for operations, leaves (with the names they have in ``model``, or as
    variables of the caller) and what the graph has kept of values and gradients.
    ``graph(function, *inputs)``, where the function may be a model: it is run, so that every value
    is known, the module of every operation, and if the result is a single number, the gradient of
    every value. Modules ``fold`` levels below the outermost are folded into one box; ``fold=None``:
    none are. A ValueError for more than 400 boxes, or for a tensor that was made by no operation
    that is recorded.
    """
    record = _Record()
    if not isinstance(out, Value):
        if not callable(out):
            raise TypeError(f"graph() takes a tensor or a function, not {type(out).__name__}")
        if isinstance(out, Module):
            model = model or out
        with record:
            out = out(*inputs)
        while isinstance(out, (tuple, list)) and out:
            out = out[0]
        if not isinstance(out, Value):
            raise TypeError(f"the function returned a {type(out).__name__}, not a tensor")
    if out._edge is None:
        raise ValueError("this tensor does not require grad: no operation that made it is recorded")
    if _node(out._edge).saved is FREED:
        raise ValueError(
            "backward has used this graph up, and its edges are gone\n"
            "  draw it before, or call backward(retain_graph=True)"
        )
    return _Drawing(out, record, fold, model).picture()


def _node(edge: Node) -> Node:
    """The operation behind an edge, which may be one of its several results."""
    return edge.edges[0] if type(edge) is Output and edge.edges else edge


class _Drawing:
    def __init__(self, out: Value, record: _Record, fold: int | None, model: Module | None) -> None:
        self.out, self.record, self.fold = out, record, fold
        frame = user_frame(3)  # of the caller, whose variables' names are the tensors'
        found = frame.f_locals.items() if frame is not None else ()
        self.locals = {id(v): n for n, v in found if isinstance(v, Value)}
        self.names = {id(p): n for n, p in model.named_parameters()} if model is not None else {}
        self.nodes = self._reachable()
        self.values = dict(record.values)
        self.values[out._edge.tick] = out
        for node in self.nodes:
            self._take_saved(node)
        self.gradients = self._gradients()

    def _reachable(self) -> list[Node]:
        """Oldest first."""
        first = _node(self.out._edge)
        seen, stack = {first}, [first]
        while stack:
            for edge in stack.pop().edges:
                node = None if edge is None else _node(edge)
                if node is not None and node not in seen:
                    seen.add(node)
                    stack.append(node)
        return sorted(seen, key=lambda n: n.tick)

    def _take_saved(self, node: Node) -> None:
        """Values that the gradient of ``node`` keeps are those of its operands."""
        saved = node.saved
        if saved is None or saved is FREED or not isinstance(saved, (tuple, list)):
            return
        for entry in saved:
            value = entry[1] if type(entry) is tuple and len(entry) == 2 else entry
            if isinstance(value, Value) and value._edge is not None:
                self.values.setdefault(value._edge.tick, value)

    def _gradients(self) -> dict[int, Value]:
        found = {}
        for tick, value in self.values.items():
            if value._grad is not None:
                found[tick] = value._grad
        for node in self.nodes:
            if type(node) is Leaf and node.variable is not None:
                self.values[node.tick] = node.variable
                if node.variable._grad is not None:
                    found[node.tick] = node.variable._grad
        if self.record.values and self.out.numel() == 1:
            ticks = [t for t, v in self.values.items() if v._edge is not None]
            results = gradients_of(
                self.out.sum(),
                [self.values[t] for t in ticks],
                retain_graph=True,
                allow_unused=True,
            )
            found.update(zip(ticks, results, strict=True))
        return {tick: gradient for tick, gradient in found.items() if gradient is not None}

    def _box(self, node: Node) -> Any:
        """What box stands for ``node``: itself, or its folded module."""
        if self.fold is None or type(node) is Leaf:
            return node
        chain = self.record.chains.get(node.tick, ())
        return chain[: self.fold + 1] if len(chain) > self.fold else node

    def picture(self) -> Picture:
        """Put it all together."""
        of = {node: self._box(node) for node in self.nodes}
        edges: dict[tuple[Any, Any], None] = {}
        for node in self.nodes:
            for edge in node.edges:
                if edge is not None and of[_node(edge)] != of[node]:
                    edges[of[_node(edge)], of[node]] = None
        # Parameters of a folded module are part of its box.
        users: dict[Any, set] = {}
        for a, b in edges:
            users.setdefault(a, set()).add(b)
        inside = {
            n
            for n in self.nodes
            if type(n) is Leaf
            and self._name(n)
            and users.get(n)
            and all(isinstance(b, tuple) for b in users[n])
        }
        edges = {e: None for e in edges if e[0] not in inside}
        boxes: dict[Any, tuple[str, list[str]]] = {}
        for box in _in_order([b for n, b in of.items() if n not in inside], list(edges)):
            boxes[box] = self._text(box, of)
        if len(boxes) > _MOST:
            raise ValueError(
                f"{len(boxes)} boxes are too many to look at; "
                "fold modules (graph(model, x, fold=0)), or draw a part"
            )
        return Picture(_svg(boxes, list(edges)), boxes)

    def _name(self, node: Node) -> str | None:
        return self.names.get(id(node.variable))

    def _text(self, box: Any, of: dict[Node, Any]) -> tuple[str, list[str]]:
        if isinstance(box, tuple):
            nodes = [n for n in self.nodes if of[n] == box]
            size = sum(p.numel() for p in box[-1].parameters())
            lines = [module_path(box).split(" (")[0], _brief(box[-1])]
            count = f"{len(nodes)} operation" + ("s" if len(nodes) > 1 else "")
            lines.append(count + (f", {size:,} parameters" if size else ""))
            return "module", [*lines, *self._numbers(nodes[-1])]
        if type(box) is Leaf:
            if box.variable is None:
                return "leaf", ["(a tensor that is gone)"]
            name = self._name(box) or self.locals.get(id(box.variable), "leaf")
            return "leaf", [name, *self._numbers(box)]
        kind = "result" if box is _node(self.out._edge) else "operation"
        op = getattr(box, "op", None)
        name = op.name if op is not None else made_by(box).rpartition("::")[2]
        return kind, [name, *self._numbers(box)]

    def _numbers(self, node: Node) -> list[str]:
        """Shape, value and gradient, as far as they are known."""
        tick = node.tick
        if tick not in self.values:  # a result among several
            tick = next(
                (
                    t
                    for t, v in self.values.items()
                    if v._edge is not None and _node(v._edge) is node
                ),
                None,
            )
        value = self.values.get(tick)
        if value is None:
            return []
        lines = [] if value.dim() == 0 else ["x".join(map(str, value.shape))]
        lines.append(f"value {_brief_numbers(value)}")
        gradient = self.gradients.get(tick)
        if gradient is not None:
            lines.append(f"grad {_brief_numbers(gradient)}")
        return lines


def _brief_numbers(x: Value) -> str:
    """The number; of several, their range."""
    x = x.detach()
    if x.numel() == 1:
        return f"{x.item():.4g}"
    if not x.numel():
        return "empty"
    if x.is_complex():
        return str(x.dtype)
    x = x.double()
    return f"{x.min().item():.3g} ... {x.max().item():.3g}"


def _in_order(boxes: list[Any], edges: list[tuple[Any, Any]]) -> list[Any]:
    """Every box after those it comes from; one that is reached in a circle (a folded module that is
    used twice) where it comes first."""
    into: dict[Any, list] = {}
    for a, b in edges:
        into.setdefault(b, []).append(a)
    order = []
    seen = set()

    def visit(box: Any) -> None:
        stack = [(box, iter(into.get(box, [])))]
        seen.add(box)
        while stack:
            b, rest = stack[-1]
            nxt = next((a for a in rest if a not in seen), None)
            if nxt is None:
                order.append(b)
                stack.pop()
            else:
                seen.add(nxt)
                stack.append((nxt, iter(into.get(nxt, []))))

    for box in boxes:
        if box not in seen:
            visit(box)
    return order


def _svg(boxes: dict[Any, tuple[str, list[str]]], edges: list[tuple[Any, Any]]) -> str:
    sizes = {
        k: (max(map(len, lines)) * _CHARACTER + 2 * _MARGIN, len(lines) * _LINE + _MARGIN)
        for k, (_, lines) in boxes.items()
    }
    place = {k: i for i, k in enumerate(boxes)}
    forward = [(a, b) for a, b in edges if place[a] < place[b]]
    centres, paths, width, height = layered(sizes, forward)
    pad = 14
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width + 2 * pad:.0f}' "
        f"height='{height + 2 * pad:.0f}' viewBox='{-pad} {-pad} {width + 2 * pad:.0f} "
        f"{height + 2 * pad:.0f}'>",
        "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' "
        "markerHeight='7' orient='auto'><path d='M0 0 L8 4 L0 8 z' fill='#555'/></marker></defs>",
        f"<rect x='{-pad}' y='{-pad}' width='100%' height='100%' fill='white'/>",
    ]
    for points in paths:
        d = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        for (x0, y0), (x1, y1) in zip(points, points[1:]):
            middle = (y0 + y1) / 2
            d += f" C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
        parts.append(f"<path d='{d}' fill='none' stroke='#555' marker-end='url(#tip)'/>")
    for k, (kind, lines) in boxes.items():
        (x, y), (w, h) = centres[k], sizes[k]
        fill, stroke = _STYLES[kind]
        round_ = 0 if kind == "leaf" else 7
        thick = 2 if kind in ("module", "result") else 1
        parts.append(
            f"<rect x='{x - w / 2:.1f}' y='{y - h / 2:.1f}' width='{w:.1f}' height='{h:.1f}' "
            f"rx='{round_}' fill='{fill}' stroke='{stroke}' stroke-width='{thick}'/>"
        )
        for i, line in enumerate(lines):
            weight = " font-weight='bold'" if i == 0 else ""
            ty = y - h / 2 + _MARGIN / 2 + (i + 0.75) * _LINE
            parts.append(
                f"<text x='{x:.1f}' y='{ty:.1f}' text-anchor='middle' {_FONT}{weight}>"
                f"{html.escape(line)}</text>"
            )
    return "\n".join([*parts, "</svg>\n"])
