"""``torch.cuda.random``: the generators of GPUs, of which there are none."""

from __future__ import annotations

from .._missing import missing as _missing
from ..tensor._device import here as _here


def manual_seed(seed: int) -> None:
    """Seed the GPU's generator: nothing to seed."""


def manual_seed_all(seed: int) -> None:
    """Seed all GPUs' generators: nothing to seed."""


def get_rng_state(device: object = "cuda") -> object:
    """Refused: there is no CUDA device. AssertionError."""
    return _here("cuda")


def set_rng_state(new_state: object, device: object = "cuda") -> None:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")


def get_rng_state_all() -> list:
    """The states of all GPUs' generators: none."""
    return []


def set_rng_state_all(new_states: object) -> None:
    """Set the states of all GPUs' generators: there are none."""


def initial_seed() -> int:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")
    return 0


def seed_all() -> None:
    """Seed all GPUs' generators: nothing to seed."""


seed = seed_all

__all__ = [
    "manual_seed", "manual_seed_all", "get_rng_state", "set_rng_state", "get_rng_state_all",
    "set_rng_state_all", "initial_seed", "seed", "seed_all",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
