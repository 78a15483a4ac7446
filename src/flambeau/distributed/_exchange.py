"""What collectives mean: from what each rank of a group brings, what each takes away.

Plain functions of arrays, with neither sockets nor tensors. Whoever brings the ranks' requests
together (``_hub.py``; for a group of one, the caller itself) asks ``outcome``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from .._dtypes import from_numpy

Signature = list[list]  # [dtype's name, shape] of each array


class DistError(RuntimeError):
    """Something went wrong between the processes of a group."""


class DistBackendError(DistError):
    """A collective failed: ranks called different things, or one of them has gone."""


class DistNetworkError(DistError):
    """The processes cannot reach each other."""


@dataclass
class Request:
    """One rank's part in a collective.

    ``wants``: dtypes and shapes of what it can take away, None for anything; ``root``: the rank in
    the group that gives or takes; ``line``: the user's line that called it.
    """

    call: str
    arrays: list[np.ndarray]
    op: str | None = None
    root: int | None = None
    wants: Signature | None = None
    line: str = ""
    own: Signature = field(init=False)

    def __post_init__(self) -> None:
        self.own = signature(self.arrays)

    def told(self) -> str:
        """The call in words, for messages."""
        parts = [self.op] if self.op else []
        if self.root is not None:
            parts.append(f"root {self.root}")
        carried = self.own or self.wants or []
        text = f"{self.call}({', '.join(parts)})"
        if carried:
            text += " of " + ", ".join(f"{name} {tuple(shape)}" for name, shape in carried[:4])
            text += f" and {len(carried) - 4} more" if len(carried) > 4 else ""
        return f"{text} at {self.line}" if self.line else text


def signature(arrays: Sequence[np.ndarray]) -> Signature:
    """The dtypes and shapes of ``arrays``."""
    return [[from_numpy(a.dtype).name, list(a.shape)] for a in arrays]


_REDUCTIONS: dict[str, Callable] = {
    "SUM": np.add,
    "AVG": np.add,
    "PRODUCT": np.multiply,
    "MIN": np.minimum,
    "MAX": np.maximum,
    "BAND": np.bitwise_and,
    "BOR": np.bitwise_or,
    "BXOR": np.bitwise_xor,
}


def _reduced(op: str, parts: Sequence[np.ndarray]) -> np.ndarray:
    """The ranks' arrays as one, in the order of ranks: always the same bits."""
    if len(parts) == 1:
        return parts[0]
    function = _REDUCTIONS.get(op)
    if function is None:
        raise DistBackendError(f"Cannot use ReduceOp.{op} here: it is NCCL's alone")
    if function in (np.bitwise_and, np.bitwise_or, np.bitwise_xor) and parts[0].dtype.kind in "fcV":
        raise DistBackendError(f"Cannot use ReduceOp.{op} with {from_numpy(parts[0].dtype)}")
    total = reduce(function, parts).astype(parts[0].dtype, copy=False)
    if op == "AVG":
        whole = parts[0].dtype.kind in "iu"
        total = total // len(parts) if whole else (total / len(parts)).astype(total.dtype)
    return total


def outcome(requests: Sequence[Request]) -> list[list[np.ndarray]]:
    """What each rank takes away, in order; DistBackendError where the ranks do not agree."""
    first = requests[0]
    if any((r.call, r.op, r.root) != (first.call, first.op, first.root) for r in requests):
        raise DistBackendError(_differ("the ranks call different collectives", requests))
    ranks = range(len(requests))
    if first.root is not None and first.root not in ranks:
        raise DistBackendError(f"{first.call}: invalid root rank: {first.root}")
    columns = list(zip(*(r.arrays for r in requests)))  # the i-th arrays of all ranks
    alike = all(r.own == first.own for r in requests)
    if first.call in ("all_reduce", "reduce", "reduce_scatter") and not alike:
        raise DistBackendError(_differ("the ranks bring different tensors", requests))
    if first.call in ("reduce_scatter", "all_to_all"):
        counts = {len(r.arrays) for r in requests}
        if counts != {len(requests)}:
            raise DistBackendError(_differ("each rank brings one tensor for each rank", requests))
    if first.call == "scatter" and len(requests[first.root].arrays) != len(requests):
        raise DistBackendError(_differ("the root brings one tensor for each rank", requests))

    nothing: list[np.ndarray] = []
    if first.call == "barrier":
        given = [nothing for _ in ranks]
    elif first.call == "all_reduce":
        total = [_reduced(first.op, column) for column in columns]
        given = [total for _ in ranks]
    elif first.call == "reduce":
        total = [_reduced(first.op, column) for column in columns]
        given = [total if i == first.root else nothing for i in ranks]
    elif first.call == "broadcast":
        given = [nothing if i == first.root else requests[first.root].arrays for i in ranks]
    elif first.call in ("all_gather", "gather"):
        everything = [a for r in requests for a in r.arrays]
        given = [everything if first.root in (None, i) else nothing for i in ranks]
    elif first.call == "scatter":
        given = [[requests[first.root].arrays[i]] for i in ranks]
    elif first.call == "reduce_scatter":
        given = [[_reduced(first.op, columns[i])] for i in ranks]
    elif first.call == "all_to_all":
        given = [list(columns[i]) for i in ranks]
    else:
        raise DistBackendError(f"there is no collective {first.call!r}")
    for i, (request, result) in enumerate(zip(requests, given, strict=True)):
        if request.wants is not None and signature(result) != request.wants:
            why = f"rank {i} cannot take what it would be given: it has room for {request.wants}"
            raise DistBackendError(_differ(f"{why}, not {signature(result)}", requests))
    return given


def _differ(why: str, requests: Sequence[Request]) -> str:
    return "\n".join([why, *(f"  rank {i}: {r.told()}" for i, r in enumerate(requests))])
