"""CUDA's libraries, as far as they are in use: products by cuBLAS, attention by its formula. Flags
that choose among others can be set and change nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..tensor._device import Elsewhere as _Elsewhere


class _Matmul:
    """Flags of matrix products on a GPU."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True


matmul = _Matmul()


def is_built() -> bool:
    """Whether the library can use CUDA here."""
    return _Elsewhere.has_cuda()


def enable_flash_sdp(enabled: bool) -> None:
    """Which attention kernels a GPU may use: nothing to set."""


enable_mem_efficient_sdp = enable_math_sdp = enable_cudnn_sdp = enable_flash_sdp
allow_fp16_bf16_reduction_math_sdp = enable_flash_sdp


def flash_sdp_enabled() -> bool:
    """Whether a GPU may use flash attention: there is none."""
    return False


def math_sdp_enabled() -> bool:
    """Whether a GPU computes attention by its formula: yes, where there is one."""
    return _Elsewhere.has_cuda()


mem_efficient_sdp_enabled = cudnn_sdp_enabled = flash_sdp_enabled
fp16_bf16_reduction_math_sdp_allowed = is_flash_attention_available = flash_sdp_enabled
is_ck_sdpa_available = flash_sdp_enabled


def can_use_flash_attention(params: object, debug: bool = False) -> bool:
    """Whether a GPU could use flash attention for these operands: there is no GPU."""
    return False


can_use_efficient_attention = can_use_cudnn_attention = can_use_flash_attention


@contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[dict]:
    """Scope of choices among a GPU's attention kernels: nothing to choose."""
    yield {}


def preferred_linalg_library(backend: str | None = None) -> str:
    """The library for linear algebra on a GPU: what was asked for, "default"."""
    return backend or "default"


preferred_blas_library = preferred_rocm_fa_library = preferred_linalg_library


class _PlanCache:
    """The cache of a GPU's FFT plans: it is empty and stays so."""

    size = 0
    max_size = 0

    def clear(self) -> None:
        """Nothing to forget."""

    def __getitem__(self, device: object) -> _PlanCache:
        return self


cufft_plan_cache = _PlanCache()
