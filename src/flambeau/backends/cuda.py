"""CUDA's libraries: not there. Their flags can be set and change nothing."""

from __future__ import annotations


class _Matmul:
    """Flags of matrix products on a GPU."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True


matmul = _Matmul()


def is_built() -> bool:
    """Whether the library was built with CUDA: no."""
    return False


def enable_flash_sdp(enabled: bool) -> None:
    """Which attention kernels a GPU may use: nothing to set."""


enable_mem_efficient_sdp = enable_math_sdp = enable_cudnn_sdp = enable_flash_sdp


def flash_sdp_enabled() -> bool:
    """Whether a GPU may use flash attention: there is no GPU."""
    return False
