"""``torch.cuda.random``: the generator of the GPU. Without one there is nothing to seed.

Source: https://docs.pytorch.org/docs/stable/cuda.html#random-number-generator
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._missing import missing as _missing
from ..core.generator import Followers as _Followers
from ..core.value import Value as _Value
from ..tensor._device import CUDA as _CUDA
from ..tensor._device import Elsewhere as _Elsewhere
from ..tensor._device import device as _device
from ..tensor._device import here as _here


def _generator(device: object = "cuda") -> Any:
    """The default generator of the GPU. AssertionError where there is none."""
    place = _here(_device("cuda", device) if isinstance(device, int) else device)
    return _Elsewhere.on(place).generator()


def manual_seed(seed: int) -> None:
    """Start the GPU's generator from ``seed``; one that is made later starts there, too."""
    _Followers.start(int(seed))


manual_seed_all = manual_seed


def get_rng_state(device: object = "cuda") -> _Value:
    """The state of the GPU's generator, 16 bytes on the CPU. AssertionError without a GPU."""
    return _generator(device).get_state()


def set_rng_state(new_state: _Value, device: object = "cuda") -> None:
    """Continue the GPU's generator from ``new_state``. AssertionError without a GPU."""
    _generator(device).set_state(new_state)


def get_rng_state_all() -> list[_Value]:
    """The state of each GPU's generator: of one, or of none."""
    return [get_rng_state()] if _Elsewhere.has_cuda() else []


def set_rng_state_all(new_states: Iterable[_Value]) -> None:
    """Continue each GPU's generator from its state."""
    for index, state in enumerate(new_states):
        set_rng_state(state, index)


def initial_seed() -> int:
    """The seed that the GPU's generator was last started from. AssertionError without a GPU."""
    return _generator().initial_seed()


def seed() -> None:
    """Start the GPU's generator from the operating system's randomness."""
    if _Elsewhere.has_cuda():
        _Elsewhere.on(_CUDA).generator().seed()


seed_all = seed

__all__ = [
    "manual_seed", "manual_seed_all", "get_rng_state", "set_rng_state", "get_rng_state_all",
    "set_rng_state_all", "initial_seed", "seed", "seed_all",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
