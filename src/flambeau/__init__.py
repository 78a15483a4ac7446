"""flambeau: a deep-learning framework with PyTorch's API, in Python on NumPy."""

from ._dtypes import *  # noqa: F403  (replaced by explicit names below)
from .tensor._creation import *  # noqa: F403
from .tensor._device import Size, device
from .tensor._tensor import Tensor
