"""``torch.utils.flop_counter``: how many operations the products of a program take.

``with FlopCounterMode() as counter: model(x).sum().backward()`` counts 2 for each multiplication
and addition of matrix products, convolutions and attention, forward and backward, by module;
elementwise operations count nothing. It works on ``device="meta"``, where nothing is computed.
Source: https://github.com/pytorch/pytorch/blob/main/torch/utils/flop_counter.py
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from ..core.modes import Interpreter
from ..core.op import REGISTRY
from ..core.tape import Output
from ..core.value import Value
from ..nn.modules.module import (
    Module,
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

Formula = Callable[..., int]
#: Formulas by the name of an operation: ``(*operands, out_val) -> count``.
flop_registry: dict[str, Formula] = {}
_SHOWN: dict[str, str] = {}  # the operation of PyTorch's that it counts as


def _shape(v: Any) -> tuple[int, ...]:
    return tuple(v.shape) if isinstance(v, Value) else ()


def _formula(names: str, shown: str) -> Callable[[Formula], Formula]:
    def enter(function: Formula) -> Formula:
        for name in names.split():
            flop_registry[name] = function
            _SHOWN[name] = shown
        return function

    return enter


def register_flop_formula(
    targets: str | Iterable[str], get_raw: bool = False
) -> Callable[[Formula], Formula]:
    """Decorator: count the operations of these names (those of flambeau's records) by
    ``formula(*shapes, out_shape=shape)``; with ``get_raw`` it is given tensors, and ``out_val``.

    ValueError for a name that no operation has.
    """

    def register(formula: Formula) -> Formula:
        for name in [targets] if isinstance(targets, str) else list(targets):
            if name not in REGISTRY:
                raise ValueError(
                    f"register_flop_formula(targets): expected each target to be an operation, got "
                    f"{name!r}\n  the records of flambeau.ops have names such as 'mm' and 'linear'"
                )
            flop_registry[name] = formula if get_raw else _of_shapes(formula)
            _SHOWN.setdefault(name, f"aten.{name}")
        return formula

    return register


def _of_shapes(formula: Formula) -> Formula:
    def counted(*args: Any, out_val: Any) -> int:
        shapes = [_shape(a) if isinstance(a, Value) else a for a in args]
        return formula(*shapes, out_shape=_shape(out_val))

    return counted


# ---- products ------------------------------------------------------------------------------------


@_formula("mm mm_nt mm_tn bmm bmm_nt bmm_tn mv dot", "aten.mm")
def _product(a: Value, b: Value, *rest: Any, out_val: Value) -> int:
    # each element of the result is a sum as long as what both operands have beside it
    size = math.prod(_shape(out_val))
    batch = math.prod(_shape(out_val)[:-2]) if len(_shape(out_val)) > 2 else 1
    if not size:
        return 0
    inner = math.isqrt(a.numel() * b.numel() // (size * batch)) if a.dim() > 1 < b.dim() else 0
    return 2 * size * (inner or a.shape[-1])


@_formula("linear", "aten.addmm")
def _linear(input: Value, weight: Value, *rest: Any, out_val: Value) -> int:
    return 2 * input.numel() * (weight.shape[0] if weight.dim() > 1 else 1)


@_formula("addmm baddbmm addbmm addmv", "aten.addmm")
def _added(a: Value, b: Value, *rest: Any, out_val: Value) -> int:
    return 2 * a.numel() * (b.shape[-1] if b.dim() > 1 else 1)


# ---- convolutions --------------------------------------------------------------------------------


def _convolved(small: tuple[int, ...], weight: tuple[int, ...]) -> int:
    """``small``: of the input and the output, the one whose every place meets the whole kernel."""
    return 2 * small[0] * math.prod(small[2:]) * math.prod(weight)


@_formula("convolution", "aten.convolution")
def _convolution(x: Value, weight: Value, *rest: Any, out_val: Value) -> int:
    return _convolved(_shape(out_val), _shape(weight))


@_formula("convolution_transposed", "aten.convolution")
def _transposed(x: Value, weight: Value, *rest: Any, out_val: Value) -> int:
    return _convolved(_shape(x), _shape(weight))


@_formula("convolution_weight_gradient", "aten.convolution_backward")
def _weight_gradient(grad: Value, x: Value, *rest: Any, out_val: Value) -> int:
    return _convolved(_shape(grad), _shape(out_val))


# ---- attention -----------------------------------------------------------------------------------


def _attention(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...]) -> int:
    lead = math.prod(q[:-2])
    return 2 * lead * q[-2] * k[-2] * (q[-1] + v[-1])


@_formula(
    "scaled_dot_product_flash_attention_for_cpu", "aten._scaled_dot_product_flash_attention_for_cpu"
)
def _attended(q: Value, k: Value, v: Value, *rest: Any, out_val: Any) -> int:
    return _attention(_shape(q), _shape(k), _shape(v))


@_formula(
    "scaled_dot_product_flash_attention_for_cpu_backward",
    "aten._scaled_dot_product_flash_attention_for_cpu_backward",
)
def _attended_backward(
    grad: Value, q: Value, k: Value, v: Value, *rest: Any, out_val: Any
) -> int:  # the scores once more, and the gradients of both products
    m, n, d, e = q.shape[-2], k.shape[-2], q.shape[-1], v.shape[-1]
    return 2 * math.prod(q.shape[:-2]) * m * n * (3 * d + 2 * e)


# ---- counting ------------------------------------------------------------------------------------


class FlopCounterMode(Interpreter):
    """Counts, while it is entered, what ``flop_registry`` has a formula for.

    ``depth``: how deep modules are shown in the table, printed at the end unless ``display`` is
    false. ``mods`` is accepted: modules are found as they are called. ``custom_mapping``: further
    formulas by the names of operations, given ``out_shape`` and shapes, or tensors where the
    formula has an attribute ``_get_raw``.
    """

    def __init__(
        self,
        mods: Module | list[Module] | None = None,
        depth: int = 2,
        display: bool = True,
        custom_mapping: dict[str, Formula] | None = None,
    ) -> None:
        self.depth = depth
        self.display = display
        self.formulas = dict(flop_registry)
        for name, formula in (custom_mapping or {}).items():
            raw = getattr(formula, "_get_raw", False)
            self.formulas[name] = formula if raw else _of_shapes(formula)
        self.flop_counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._handles: list = []

    # ---- where the program is ----------------------------------------------------------------

    def __enter__(self) -> FlopCounterMode:
        self.flop_counts.clear()
        self._calls: list[tuple[Module, str]] = []  # modules being called, outermost first
        self._made: dict[int, tuple[str, ...]] = {}  # node -> modules that made it
        self._back: tuple[str, ...] | None = None  # modules whose node the walk back is at
        self._backward = False
        self._handles = [
            register_module_forward_pre_hook(self._called),
            register_module_forward_hook(self._left, always_call=True),
        ]
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()
        self._made.clear()
        if self.display:
            print(self.get_table(self.depth))

    def _called(self, module: Module, args: tuple) -> None:
        name = type(module).__name__
        if self._calls:
            parent, prefix = self._calls[-1]
            below = next((n for n, m in parent.named_modules() if m is module and n), None)
            name = f"{prefix}.{below or name}"
        self._calls.append((module, name))

    def _left(self, module: Module, args: tuple, output: object) -> None:
        if self._calls and self._calls[-1][0] is module:
            self._calls.pop()

    def _within(self) -> tuple[str, ...]:
        found = []
        for _, name in self._calls:
            parts = name.split(".")
            found += [".".join(parts[: i + 1]) for i in range(len(parts))]
        return tuple(dict.fromkeys(found))

    def reached(self, node: Any, grad: Any) -> None:
        """See Interpreter."""
        self._backward = node is not None
        self._back = None if node is None else self._made.get(id(node))
        super().reached(node, grad)

    def run(self, op: Any, plain: Callable[..., Any], args: tuple) -> Any:
        """See Interpreter."""
        out = self.onward(op, plain, args)
        within = self._within() if self._back is None else self._back
        formula = self.formulas.get(op.name)
        if formula is not None:
            count = formula(*args, out_val=out)
            shown = self._shown(op.name, args)
            for name in ("Global", *within):
                self.flop_counts[name][shown] += count
        if within and not self._backward:
            first = out[0] if type(out) is tuple and out else out
            edge = getattr(first, "_edge", None)
            if edge is not None:
                self._made[id(edge.node if isinstance(edge, Output) else edge)] = within
        return out

    def _shown(self, name: str, args: tuple) -> str:
        """The operation of PyTorch's that this one counts as."""
        shown = _SHOWN.get(name, f"aten.{name}")
        if name.startswith("b"):
            return "aten.baddbmm" if name == "baddbmm" else "aten.bmm"
        if self._backward:
            backward = {"aten.convolution": "aten.convolution_backward", "aten.addmm": "aten.mm"}
            return backward.get(shown, shown)
        return "aten.mm" if name == "linear" and args[2:3] == (None,) else shown

    # ---- what was counted --------------------------------------------------------------------

    def get_total_flops(self) -> int:
        """The count of all operations."""
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self) -> dict[str, dict[str, int]]:
        """Module ("Global" for all) -> operation, by PyTorch's name -> count."""
        return {module: dict(counts) for module, counts in self.flop_counts.items()}

    def get_table(self, depth: int | None = None) -> str:
        """The counts as text, modules nested no deeper than ``depth``."""
        depth = self.depth if depth is None else depth
        total = max(self.get_total_flops(), 1)
        rows = [("Module", "FLOP", "% Total")]
        for module in sorted(self.flop_counts, key=lambda name: (name != "Global", name)):
            level = 0 if module == "Global" else module.count(".") + 1
            if level > depth:
                continue
            counts = self.flop_counts[module]
            rows.append(_row("  " * level + module, sum(counts.values()), total))
            rows += [_row("  " * level + f" - {op}", n, total) for op, n in counts.items()]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [
            f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}".rstrip() for a, b, c in rows
        ]
        lines.insert(1, "  ".join("-" * w for w in widths))
        return "\n".join(lines)


def _row(name: str, count: int, total: int) -> tuple[str, str, str]:
    suffix, size = next(
        ((s, f) for s, f in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)) if count >= f),
        ("", 1),
    )
    number = f"{count:d}" if not suffix else f"{count / size:.3f}{suffix}"
    return name, number, f"{count / total:.2%}"
