"""Register tiles: the inner loops of products, and the copies around them.

A tile is ``rows`` x ``vectors * lanes`` sums that stay in registers while one index of a product
runs: each turn loads ``vectors`` vectors, and ``rows`` numbers that multiply them. Its size comes
from the number and width of the processor's registers, so that as many sums as possible wait for
nothing but the multipliers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import machine_code
from .builder import BYTES, Code, Number, Value, vector_of


@dataclass(frozen=True)
class Tile:
    """``rows`` x ``vectors`` of ``lanes`` elements of a type, "float" or "double"."""

    element: str
    lanes: int
    rows: int
    vectors: int

    @property
    def columns(self) -> int:
        """Elements of one row."""
        return self.vectors * self.lanes

    @property
    def vector(self) -> str:
        """The type of one register."""
        return vector_of(self.element, self.lanes)

    def zeros(self, code: Code) -> list[Value]:
        """The sums, all zero."""
        return [code.constant(self.vector, 0.0)] * (self.rows * self.vectors)

    def loaded(self, code: Code, pointer: Value, stride: Value | Number) -> list[Value]:
        """The sums from memory, rows ``stride`` elements apart."""
        return [
            code.load(self.vector, row, v * self.lanes)
            for row in self._rows(code, pointer, stride)
            for v in range(self.vectors)
        ]

    def stored(
        self, code: Code, sums: Sequence[Value], pointer: Value, stride: Value | Number
    ) -> None:
        """The sums into memory, rows ``stride`` elements apart."""
        for m, row in enumerate(self._rows(code, pointer, stride)):
            for v in range(self.vectors):
                code.store(sums[m * self.vectors + v], row, v * self.lanes)

    def _rows(self, code: Code, pointer: Value, stride: Value | Number) -> list[Value]:
        places = [pointer]
        for _ in range(self.rows - 1):
            places.append(code.at(places[-1], self.element, stride))
        return places

    def turn(
        self, code: Code, sums: Sequence[Value], vectors: Value, numbers: Sequence[Value]
    ) -> list[Value]:
        """The sums after one more term: what lies at ``vectors``, times each of the numbers at
        the addresses ``numbers``."""
        loaded = [code.load(self.vector, vectors, v * self.lanes) for v in range(self.vectors)]
        following = []
        for m in range(self.rows):
            factor = code.splat(code.load(self.element, numbers[m]), self.lanes)
            for v in range(self.vectors):
                following.append(code.fma(loaded[v], factor, sums[m * self.vectors + v]))
        return following


def registers() -> tuple[int, int]:
    """(bytes, count) of the processor's vector registers."""
    if machine_code.is_arm():
        return 16, 32
    if machine_code.has("avx512f"):
        return 64, 32
    return 32, 16


def tile(element: str, rows: int, vectors: int) -> Tile:
    """A tile of about the shape ``rows`` x ``vectors`` (12 of 16 registers), with twice the rows
    where the processor has twice the registers."""
    width, count = registers()
    if count == 32 and rows > 1:
        rows *= 2
    elif count == 32:
        vectors *= 2
    return Tile(element, width // BYTES[element], rows, vectors)


def copy(
    code: Code,
    element: str,
    lanes: int,
    to: Value,
    source: Value,
    count: Value,
) -> None:
    """``count`` elements from ``source`` to ``to``, both without gaps."""
    whole = count & -lanes

    def step(wide: int) -> Callable[[Value], None]:
        kind = vector_of(element, wide)
        return lambda i: code.store(code.load(kind, source, i), to, i)

    code.loop(0, whole, step(lanes), step=lanes)
    code.loop(whole, count, step(1))


def zero_fill(code: Code, element: str, to: Value, start: Value, stop: Value) -> None:
    """Zeros at the elements from ``start`` below ``stop``, a few of them.

    As integers, one by one: a vector of zeros would keep one of the registers of the tiles.
    """
    zero = code.constant({4: "i32", 8: "i64"}[BYTES[element]], 0)
    code.loop(start, stop, lambda i: code.store(zero, to, i))
