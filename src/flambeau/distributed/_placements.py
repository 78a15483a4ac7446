"""How a sharded tensor lies over processes, as values: libraries describe their models by them."""

from __future__ import annotations

from dataclasses import dataclass


class Placement:
    """How a tensor lies along one dimension of a mesh of processes."""

    def is_shard(self, dim: int | None = None) -> bool:
        """Whether each process has a part of dimension ``dim`` (None: of any)."""
        return isinstance(self, Shard) and dim in (None, self.dim)

    def is_replicate(self) -> bool:
        """Whether each process has the whole."""
        return isinstance(self, Replicate)

    def is_partial(self, reduce_op: str | None = None) -> bool:
        """Whether each process has one term of a reduction (None: of any)."""
        return isinstance(self, Partial) and reduce_op in (None, self.reduce_op)


@dataclass(frozen=True)
class Shard(Placement):
    """Each process has its part of dimension ``dim``."""

    dim: int

    def __str__(self) -> str:
        return f"S({self.dim})"


@dataclass(frozen=True)
class _StridedShard(Placement):
    """Each process has every so many parts of dimension ``dim``."""

    dim: int
    split_factor: int

    def __str__(self) -> str:
        return f"_S({self.dim}, {self.split_factor})"


@dataclass(frozen=True)
class Replicate(Placement):
    """Each process has the whole."""

    def __str__(self) -> str:
        return "R"


@dataclass(frozen=True, repr=False)
class Partial(Placement):
    """Each process has one term of a reduction: "sum", "avg", "max" ..."""

    reduce_op: str = "sum"

    def __repr__(self) -> str:
        return f"Partial({self.reduce_op})"

    def __str__(self) -> str:
        return f"P({self.reduce_op})"


PLACEMENTS = {kind.__name__: kind for kind in (Partial, Placement, Replicate, Shard, _StridedShard)}
