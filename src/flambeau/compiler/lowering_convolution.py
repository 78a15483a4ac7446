"""Convolution and its gradients as parts of a program: the functions of ``conv_text`` and
``winograd_text``, which eager's routines call, too.

Weights are packed by a unit of their own, so that they are there when the threads begin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..core import threads
from ..ops import _conv_arrays
from . import conv_kernels, conv_text, winograd_text
from .builder import BYTES, FLOATS, I64, PTR, Code, Value
from .conv_plan import Geometry, Plan, plan
from .graph import Call, Var
from .layer_code import Given, Operand, Recipe, Result, Scratch, Step, filled, in_memory
from .lowering import Lazy, Lowering, Refused
from .lowering_rules import reshaped, rule
from .tiles import Tile

PER_OPERATION = 1 / 60  # nanoseconds, for the guess of what is worth threads
Taps = tuple[int, ...] | None


def element_of(*operands: Var | None) -> str:
    """The one type of the operands' elements, "float" or "double"."""
    found = {v.dtype for v in operands if v is not None}
    if len(found) > 1 or not found <= set(FLOATS):
        raise Refused("a layer in 16 bits")
    return FLOATS[found.pop()]


# ---- forward -------------------------------------------------------------------------------


def _bias_text(element: str) -> str:
    """``kernel(to, bias, outputs, padded, given, start, stop)``: the bias of every group's outputs,
    zeros up to ``padded``; zeros alone where none is ``given`` (0)."""
    numbers = dict.fromkeys(("outputs", "padded", "given", "start", "stop"), I64)
    code = Code("kernel", {"to": PTR, "bias": PTR, **numbers})

    def one(i: Value) -> None:
        group, m = i // code["padded"], i % code["padded"]
        place = group * code["outputs"] + m

        def copied() -> None:
            code.store(code.load(element, code["bias"], place), code["to"], i)

        def zero() -> None:
            code.store(code.constant(element, 0.0), code["to"], i)

        code.either((code["given"] > 0) & (m < code["outputs"]), copied, zero)

    code.loop(code["start"], code["stop"], one)
    return code.text()


class _Forward:
    """One convolution of a geometry: its packed weights, and the call of the kernel."""

    def __init__(
        self, element: str, g: Geometry, w_shape: tuple[int, ...], taps: Taps, start: int, at: int
    ) -> None:
        self.element, self.g, self.start, self.at = element, g, start, at
        self.tile = conv_kernels.forward_tile(element, g.outputs)
        self.plan: Plan = plan(g, self.tile, threads.get_num_threads(), False)
        self.offsets = conv_kernels.weight_offsets(w_shape, g.groups, taps)
        self.weights = g.groups * self.plan.outputs_padded * self.plan.terms
        self.biases = g.groups * self.plan.outputs_padded

    @property
    def size(self) -> int:
        """Elements of the packed weights and biases."""
        return self.weights + self.biases

    def packing(
        self, to: Given, weight: Given, bias: Operand | None, only_if: Result | None = None
    ) -> list[Step]:
        """The steps that pack into ``to``."""
        g, p, rows = self.g, self.plan, self.tile.rows
        tiles = p.outputs_padded // rows
        offsets, output_step, group_step = self.offsets
        table = np.array([tiles, g.outputs, p.terms, group_step, output_step], np.int64)
        first = Result(to.offset, to.part)
        last = Result(to.offset + self.weights, to.part)
        pack = conv_text.pack_weights(self.element, rows)
        given = (last, bias or weight, g.outputs, p.outputs_padded, int(bias is not None))
        return [
            Step(pack, (first, weight, offsets, table), g.groups * tiles, only_if=only_if),
            Step(_bias_text(self.element), given, self.biases, only_if=only_if),
        ]

    def running(
        self, x: Given, packed: Given, only_if: Result | None = None, waits: bool = False
    ) -> Step:
        """The step that convolves ``x``."""
        p = self.plan
        kind = type(packed)
        weights = [
            kind(**{**_fields(packed), "offset": packed.offset + skip})
            for skip in (self.at, self.at + self.weights)
        ]
        tables = (p.table, p.offsets, p.taps, Scratch())
        given = (Result(self.start), x, *weights, *tables)
        text = conv_text.forward(self.tile)
        return Step(text, given, p.blocks, waits=waits, only_if=only_if)


def _fields(given: Operand | Result) -> dict[str, object]:
    return {name: getattr(given, name) for name in given.__slots__}


def _convolved(
    x: Lazy,
    weight: Lazy,
    bias: Lazy | None,
    element: str,
    shape: tuple[int, ...],
    whole: bool,
    parts: list[tuple[Geometry, int, Taps]],
    recipe: Recipe,
) -> Lazy:
    """``recipe`` with its steps: convolutions of ``x`` that each fill some places of ``shape``."""
    runs: list[_Forward] = []
    at = 0
    for g, start, taps in parts:
        runs.append(_Forward(element, g, weight.shape, taps, start, at))
        at += runs[-1].size
    operands = [weight] if bias is None else [weight, bias]
    packing = [
        step
        for run in runs
        for step in run.packing(Result(run.at), Operand(0), Operand(1) if bias else None)
    ]
    pack = Recipe(
        "packed weights", tuple(packing), lambda *_: (), tuple(a.shape for a in operands),
        nanoseconds=at * 1.5,
    )  # fmt: skip
    (packed,) = filled((at,), x.dtype, operands, pack)
    steps = [] if whole else [_zeros(element, math.prod(shape), Result())]
    for run in runs:
        steps.append(run.running(Operand(0), Operand(1), waits=not whole and run is runs[0]))
        recipe.scratch = max(recipe.scratch, run.plan.scratch * BYTES[element])
    recipe.steps = tuple(steps)
    recipe.shapes = (x.shape, packed.shape, *recipe.shapes)
    (out,) = filled(shape, x.dtype, [x, packed, *operands], recipe)
    return out


def _zeros(element: str, size: int, to: Result) -> Step:
    code = Code("kernel", {"to": PTR, "start": I64, "stop": I64})
    zero = code.constant(element, 0.0)
    code.loop(code["start"], code["stop"], lambda i: code.store(zero, code["to"], i))
    return Step(code.text(), (to,), size, 1024)


def _quick(
    w: conv_kernels.Winograd,
    x: Lazy,
    weight: Lazy,
    bias: Lazy | None,
    sizes: tuple[int, ...],
    turned: bool,
    direct: _Forward,
    recipe: Recipe,
) -> Lazy:
    """A convolution with fewer multiplications; if one of its results is not finite, then all over
    again by the direct sum."""
    operands = [weight] if bias is None else [weight, bias]
    given = conv_kernels.winograd_steps(weight.shape, turned)
    start = Operand(0, 8 if turned else 0)
    text = winograd_text.weights("float", w.tile.rows, w.m)
    padded = w.plan.outputs_padded
    offset = Operand(1) if bias is not None else start
    there = (w.outputs, padded, int(bias is not None))
    steps = (
        Step(text, (Result(), start, w.outputs, w.channels, *given), padded // w.tile.rows),
        Step(_bias_text("float"), (Result(w.weights), offset, *there), padded),
    )
    pack = Recipe(
        "weights at points", steps, lambda *_: (), tuple(a.shape for a in operands),
        nanoseconds=w.weights * 0.5,
    )  # fmt: skip
    (u,) = filled((w.weights + padded,), x.dtype, operands, pack)
    bad, again = Result(part=0), Result(part=1)
    p = w.plan
    tables = (p.table, p.offsets, p.taps, Scratch(), w.points_at, w.chunk, *sizes)
    bias_of = Operand(3) if bias is not None else None
    repacked = direct.packing(again, Operand(2), bias_of, only_if=bad)
    repacked[0].waits = True
    recipe.steps = (
        _zeros("i64", 1, bad),
        Step(
            winograd_text.forward(w.tile, w.m),
            (Result(), bad, Operand(0), Operand(1), Operand(1, w.weights), *tables),
            p.blocks,
            waits=True,
        ),
        *repacked,
        direct.running(Operand(0), again, only_if=bad, waits=True),
    )
    recipe.scratch = BYTES["float"] * max(w.scratch, direct.plan.scratch)
    recipe.shapes = (x.shape, u.shape, *recipe.shapes)
    parts = [((1,), np.dtype(np.int64)), ((direct.size,), x.dtype)]
    shape = (x.shape[0], w.outputs, *sizes)
    return filled(shape, x.dtype, [x, u, *operands], recipe, parts)[0]


def _is_quick(weight: Var, settings: tuple) -> bool:
    """Whether kernel, stride, dilation and groups are those that ``_quick`` knows."""
    stride, _, dilation, groups = settings
    return weight.shape[2:] == (3, 3) and stride == dilation == (1, 1) and groups == 1


@rule("convolution")
def _convolution(lowering: Lowering, node: Call) -> Lazy:
    x, weight, bias, stride, padding, dilation, groups = node.args
    element = element_of(x, weight, bias)
    settings = tuple(stride), tuple(map(tuple, padding)), tuple(dilation), groups
    g, shape = conv_kernels.geometry(x.shape, weight.shape, *settings)
    operations = 2.0 * math.prod(shape) * math.prod(weight.shape[1:])

    def plain(x: np.ndarray, _: object, weight: np.ndarray, *bias: np.ndarray) -> list[np.ndarray]:
        return [_conv_arrays.convolve(x, weight, bias[0] if bias else None, *settings)]

    given = [in_memory(lowering.of(v)) for v in (x, weight)]
    offset = None if bias is None else in_memory(lowering.of(bias))
    shapes = (weight.shape,) if bias is None else (weight.shape, bias.shape)
    name = f"convolution {sizes_text(x.shape)} by {sizes_text(weight.shape)}"
    recipe = Recipe(
        name, (), plain, shapes, nanoseconds=operations * PER_OPERATION, operations=operations
    )
    if _is_quick(weight, settings):
        first = (-padding[0][0], -padding[1][0])
        quick = conv_kernels.winograd_plan(x.dtype, x.shape, weight.shape[0], shape[2:], first)
        if quick is not None:
            direct = _Forward(element, g, weight.shape, None, 0, 0)
            return _quick(quick, *given, offset, shape[2:], False, direct, recipe)
    return _convolved(*given, offset, element, shape, True, [(g, 0, None)], recipe)


def sizes_text(shape: Sequence[int]) -> str:
    """Sizes as "2x3x4"."""
    return "x".join(map(str, shape))


@rule("convolution_transposed")
def _transposed(lowering: Lowering, node: Call) -> Lazy:
    grad, weight, bias, sizes, stride, padding, dilation, groups = node.args
    element = element_of(grad, weight, bias)
    settings = tuple(stride), tuple(map(tuple, padding)), tuple(dilation), groups
    sizes = tuple(sizes)
    parts = conv_kernels.gradient_geometries(grad.shape, weight.shape, sizes, *settings)
    shape = (grad.shape[0], weight.shape[1] * groups, *sizes)
    operations = 2.0 * grad.size * math.prod(weight.shape[1:])

    def plain(grad: np.ndarray, _: object, weight: np.ndarray) -> list[np.ndarray]:
        return [_conv_arrays.convolve_input_gradient(grad, weight, sizes, *settings)]

    given = [in_memory(lowering.of(v)) for v in (grad, weight)]
    name = f"transposed convolution {sizes_text(grad.shape)} by {sizes_text(weight.shape)}"
    recipe = Recipe(
        name, (), plain, (weight.shape,), nanoseconds=operations * PER_OPERATION,
        operations=operations,
    )  # fmt: skip
    whole = len(parts) == math.prod(stride)
    quick = None
    if _is_quick(weight, settings):
        first = (padding[0][0] - 2, padding[1][0] - 2)
        quick = conv_kernels.winograd_plan(grad.dtype, grad.shape, shape[1], sizes, first)
    if quick is None:
        y = _convolved(*given, None, element, shape, whole, parts, recipe)
    else:
        g, start, taps = parts[0]
        direct = _Forward(element, g, weight.shape, taps, start, 0)
        y = _quick(quick, *given, None, sizes, True, direct, recipe)
    if bias is None:
        return y
    return y + reshaped(lowering.of(bias), (shape[1], *(1,) * len(sizes)))


# ---- the gradient to the weight ------------------------------------------------------------


def _weight_text(parts: int, size: int, blocks: int, element: str) -> str:
    """``kernel(sums, grad, x, table, offsets, taps, scratch, start, stop)``: ``inner`` with sums
    of their own for each of ``parts``, the blocks of which follow each other."""
    names = ("sums", "grad", "x", "table", "offsets", "taps", "scratch")
    code = Code("kernel", {**dict.fromkeys(names, PTR), "start": I64, "stop": I64})

    def part(p: Value) -> None:
        own = code.at(code["sums"], element, p * size)
        zero = code.constant(element, 0.0)
        code.loop(0, size, lambda i: code.store(zero, own, i))
        first, last = p * blocks // parts, (p + 1) * blocks // parts
        code.run("inner", own, *(code[n] for n in names[1:]), first, last)

    code.loop(code["start"], code["stop"], part)
    return code.text()


def _joined_text(element: str, parts: int, size: int, tile: Tile, few: bool) -> str:
    """``kernel(out, sums, outputs, terms, padded, panels, start, stop)`` over all outputs: what
    the parts have added up, term by term."""
    names = ("outputs", "terms", "padded", "panels", "start", "stop")
    code = Code("kernel", {"out": PTR, "sums": PTR, **dict.fromkeys(names, I64)})
    columns = 1 if few else tile.columns

    def output(i: Value) -> None:
        group, o = i // code["outputs"], i % code["outputs"]
        line = (group * code["panels"] + o // columns) * code["padded"] * columns + o % columns

        def term(k: Value) -> None:
            place = line + k * columns
            total = code.load(element, code["sums"], place)
            for p in range(1, parts):
                total = total + code.load(element, code["sums"], place + p * size)
            code.store(total, code["out"], i * code["terms"] + k)

        code.loop(0, code["terms"], term)

    code.loop(code["start"], code["stop"], output)
    return code.text()


@rule("convolution_weight_gradient")
def _weight_gradient(lowering: Lowering, node: Call) -> Lazy:
    grad, x, kernel, stride, padding, dilation, groups = node.args
    element = element_of(grad, x)
    settings = tuple(stride), tuple(map(tuple, padding)), tuple(dilation), groups
    kernel = tuple(kernel)
    o, c = grad.shape[1], x.shape[1] // groups
    shape = (o, c, *kernel)
    g, _ = conv_kernels.geometry(x.shape, shape, *settings)
    tile = conv_kernels.gradient_tile(element, g.outputs)
    parts = threads.get_num_threads()
    p = plan(g, tile, parts, True)
    padded, few = len(p.offsets), tile.vectors == 1
    panels = p.outputs_padded // tile.columns
    lines = g.outputs if few else panels  # of a group
    size = groups * lines * padded * (1 if few else tile.columns)
    operations = 2.0 * grad.size * c * math.prod(kernel)

    def plain(grad: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
        found = _conv_arrays.convolve_weight_gradient(grad, x, kernel, *settings)
        sums = np.zeros((parts, size), found.dtype)
        sums[0, : found.size] = found.reshape(-1)
        return [sums]

    name = f"weight gradient of {sizes_text(grad.shape)} by {sizes_text(x.shape)}"
    inner = conv_text.weight_gradient_of_few if few else conv_text.weight_gradient
    given = (Result(), Operand(0), Operand(1), p.table, p.offsets, p.taps, Scratch())
    text = _weight_text(parts, size, p.blocks, element)
    inner_text = inner(tile).replace("@kernel(", "@$self(")
    step = Step(text, given, parts, inner=inner_text)
    recipe = Recipe(
        name, (step,), plain, (grad.shape, x.shape), p.scratch * BYTES[element],
        operations * PER_OPERATION, operations,
    )  # fmt: skip
    operands = [in_memory(lowering.of(v)) for v in (grad, x)]
    (sums,) = filled((parts, size), grad.dtype, operands, recipe)
    text = _joined_text(element, parts, size, tile, few)
    given = (Result(), Operand(0), g.outputs, p.terms, padded, lines)
    step = Step(text, given, groups * g.outputs)
    count = math.prod(shape)
    recipe = Recipe(
        "sums of a weight gradient", (step,), lambda sums: [sums[0, :count]], (sums.shape,),
        nanoseconds=count * parts * 0.7,
    )  # fmt: skip
    (out,) = filled(shape, grad.dtype, [sums], recipe)
    return out
