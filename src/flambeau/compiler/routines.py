"""Array functions that generated kernels do as a whole, by the name of their NumPy twin.

``core.threads.routine`` asks here (the root package puts ``entry()`` there when that first
happens). A routine takes what its twin takes and returns what it returns, or None for what it
does not cover: then the twin does it.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import _config, _optional
from . import (
    attention_kernels,
    conv_kernels,
    crew_products,
    eager_updates,
    machine_code,
    normal_kernels,
    pool_kernels,
    recurrent_kernels,
    rows_kernels,
)

ROUTINES: dict[str, Callable] = {
    "dot": crew_products.dot,
    "compiled_change": eager_updates.compiled_change,
    "convolve": conv_kernels.convolve,
    "convolve_input_gradient": conv_kernels.convolve_input_gradient,
    "convolve_weight_gradient": conv_kernels.convolve_weight_gradient,
    "attention": attention_kernels.attention,
    "attention_backward": attention_kernels.attention_backward,
    "recurrent": recurrent_kernels.recurrent,
    "recurrent_backward": recurrent_kernels.recurrent_backward,
    "max_pool": pool_kernels.max_pool,
    "pooled_scatter": pool_kernels.pooled_scatter,
    "normal_blocks": normal_kernels.normal_blocks,
    "sums": rows_kernels.sums,
    "row_moments": rows_kernels.row_moments,
    "batch_norm": rows_kernels.batch_norm,
    "batch_norm_backward": rows_kernels.batch_norm_backward,
    "norm_rows": rows_kernels.norm_rows,
    "norm_rows_backward": rows_kernels.norm_rows_backward,
}


def entry() -> Callable[[str], Callable | None]:
    """``routine``, or a function that finds none where llvmlite is not installed."""
    return routine if _optional.installed("llvmlite") else lambda name: None


def routine(name: str) -> Callable | None:
    """What does the work of the array function ``name``."""
    if not _config.compiled_kernels or not machine_code.has("fma"):
        return None  # without the instruction, LLVM would call a function for each product
    return ROUTINES.get(name)
