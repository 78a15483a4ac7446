"""``torch.backends.cpu``: what the processor can do."""

from __future__ import annotations

import numpy as np


def get_cpu_capability() -> str:
    """The widest vectors of the processor, as PyTorch names them: "AVX512", "AVX2" or "DEFAULT"."""
    features = np._core._multiarray_umath.__cpu_features__
    if features.get("AVX512_SKX"):
        return "AVX512"
    return "AVX2" if features.get("AVX2") else "DEFAULT"
