"""What tests need: comparing results, and making random tensors. PyTorch's ``torch.testing``.

Source: https://docs.pytorch.org/docs/stable/testing.html
"""

from __future__ import annotations

from ._close import assert_allclose, assert_close
from ._make_tensor import make_tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]
