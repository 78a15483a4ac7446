"""What became of a captured program, in words: what was fused, what was not and why, and how it
looks at each stage."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from . import gpu_code, ptx_code, python_code
from .arrays import Added, Native, Product
from .fusion import Cluster, memory_dtype
from .graph import Node
from .schedule import Unit


def named(unit: Unit) -> str:
    """What a unit does, in one line."""
    work = unit.work
    if isinstance(work, Product):
        batch = "x".join(map(str, work.batch))
        return f"product {work.m}x{work.k} @ {work.k}x{work.n}" + (
            f" for each of {batch}" if batch else ""
        )
    if isinstance(work, Added):
        return f"rows added at places of {tuple(work.shape)}"
    if isinstance(work, Native):
        return work.recipe.name
    if isinstance(work, Node):
        return f"call {work.op.name if hasattr(work, 'op') else type(work).__name__}"
    kernel = unit.kernel
    what = kernel.name or "copy"
    walks = len(kernel.passes)
    return f"kernel over {kernel.row_count} rows of {kernel.col_count}, {walks} pass" + (
        f"{'es' if walks != 1 else ''}: {what}"
    )


def speed(units: Sequence[Unit], seconds: float) -> str:
    """How fast units were that took ``seconds``: GFLOP/s where there are products, GB/s else."""
    operations = touched = 0.0
    for unit in units:
        work = unit.work
        if isinstance(work, Product):
            operations += 2 * math.prod(work.batch) * work.m * work.n * work.k
        elif isinstance(work, Native):
            operations += work.recipe.operations
        touched += sum(a.size * a.dtype.itemsize for a in unit.buffers)
    if operations:
        return f"{operations / seconds / 1e9:7.1f} GFLOP/s"
    return f"{touched / seconds / 1e9:7.1f} GB/s" if touched else ""


def words(program: Any) -> str:
    """What a program (``native.Program``) consists of, in plain English."""
    plan, lowered = program.plan, program.lowered
    kinds = Counter(
        "kernels"
        if isinstance(u.work, Cluster)
        else "calls of NumPy meanings"
        if isinstance(u.work, Node)
        else "products"
        if isinstance(u.work, Product)
        else "layers' own functions"
        if isinstance(u.work, Native)
        else "sums at places"
        for u in plan.units
    )
    counts = ", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "nothing to do"
    fused = sum(len(u.work.members) for u in plan.units if isinstance(u.work, Cluster))
    lines = [
        *program.unread,
        f"{len(program.captured.nodes)} operations became {counts}; the kernels hold {fused} "
        "formulas",
        program.size(),
    ]
    lines += [
        f"not compiled, but called: {name} ({reason})" for name, reason in lowered.reasons.items()
    ]
    chains = {id(u.chain): u.chain for u in plan.units if u.chain is not None}
    if chains:
        inner = sum(len(chain.inner) for chain in chains.values())
        lines.append(
            f"those with a bar go through their rows together, a block of rows at a time: "
            f"{len(chains)} chain{'s' if len(chains) != 1 else ''}, {inner} arrays only inside"
        )
    numbers = {key: place for place, key in enumerate(chains)}
    for k, unit in enumerate(plan.units):
        bar = " " if unit.chain is None else "|:"[numbers[id(unit.chain)] % 2]
        lines.append(f"  {k:3} {bar}{named(unit)}")
    return "\n".join(lines)


def loops(program: Any) -> str:
    """Every kernel as a Python function, those that are alike once."""
    return "\n\n".join(python_code.listed(program))


def assembly(program: Any) -> str:
    """What the processor runs, or the GPU."""
    return program.assembly()


def ptx(program: Any, architecture: str = "sm_90") -> str:
    """Every kernel as PTX for a GPU ("sm_80" or "sm_90"), with those that join its sums.

    ``gpu_code.Refused`` where a kernel has what LLVM's NVPTX target cannot compile.
    """
    kernels = []
    for unit in program.plan.units:
        if unit.kernel is not None:
            memory = [program.plan.places.get(id(b), b) for b in unit.buffers]
            own = gpu_code.lowered(unit.kernel, memory)
            dtypes = {k: memory_dtype(unit.buffers[k].dtype) for k in own.added}
            kernels += [own, *(gpu_code.joiner(own, k, dtype) for k, dtype in dtypes.items())]
    return ptx_code.ptx(kernels, architecture)
