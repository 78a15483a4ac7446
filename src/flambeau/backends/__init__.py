"""Which libraries compute: what ``torch.backends`` answers here.

Flags of libraries that flambeau does not use can be set and read, and change nothing.
Source: https://docs.pytorch.org/docs/stable/backends.html
"""

from __future__ import annotations

from . import cpu, cuda, cudnn, mkl, mkldnn, mps, nnpack, openmp, opt_einsum

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp"]
