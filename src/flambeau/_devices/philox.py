"""The GPU's random generator: Philox4x32-10, with PyTorch's bookkeeping.

A block of four outputs of 32 bits is a function of a key, the seed, and a counter of 128 bits, so
that there is no state to be moved on: a kernel's thread ``t`` takes the blocks (t, offset / 4),
(t, offset / 4 + 1), ... and the generator remembers the offset alone.
Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; how PyTorch spends it:
https://docs.nvidia.com/cuda/curand/device-api-overview.html (curandStatePhilox4_32_10).
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from ..core import generator as _core
from ..core.generator import Generator
from ..core.modes import hook
from ..core.value import Value, wrap
from ..tensor._device import CUDA, here, place_of

_STATE = np.dtype([("seed", "<u8"), ("offset", "<i8")])  # as PyTorch stores it


class PhiloxGenerator(Generator):
    """A stream of random numbers on the GPU: a seed, and how far it has been drawn.

    ``Generator(device="cuda")``. Its offset counts outputs of one thread, by fours.
    """

    __slots__ = ("_offset",)

    device = CUDA
    recipes: ModuleType  # random_recipes, which enters itself here

    def __init__(self, device: object = "cuda") -> None:
        here(device)
        super().__init__()

    def _reset(self, seed: int) -> None:
        super()._reset(seed)
        self._offset = 0

    def spend(self, count: int) -> tuple[int, int]:
        """The seed, and an offset from which ``count`` outputs of every thread are the caller's."""
        with self._lock:
            offset = self._offset
            self._offset += -(-count // 4) * 4
            return self._seed, offset

    def words(self, count: int) -> np.ndarray:
        """RuntimeError: the outputs are made on the GPU."""
        raise RuntimeError("Expected a 'cpu' device type for generator but found 'cuda'")

    def get_offset(self) -> int:
        """How many outputs each thread has drawn since the seed."""
        return self._offset

    def set_offset(self, offset: int) -> None:
        """Continue from ``offset``, a multiple of 4."""
        if offset < 0 or offset % 4:
            raise RuntimeError(f"offset must be a multiple of 4, and not negative: {offset}")
        self._offset = int(offset)

    def get_state_array(self) -> np.ndarray:
        """Seed and offset in PyTorch's 16 bytes, uint8 [16]."""
        with self._lock:
            state = np.array([(self._seed, self._offset)], _STATE)
        return state.view(np.uint8)

    def _continue(self, state: np.ndarray) -> None:
        if not isinstance(state, np.ndarray) or state.dtype != np.uint8 or place_of(state) is CUDA:
            raise TypeError("RNG state must be a torch.ByteTensor")
        bytes_ = np.ascontiguousarray(state).tobytes()
        if len(bytes_) not in (8, 16):
            raise RuntimeError(f"RNG state is wrong size: {len(bytes_)} bytes, not 16")
        seed, offset = np.frombuffer(bytes_.ljust(16, b"\0"), _STATE)[0].tolist()
        if offset < 0 or offset % 4:
            raise RuntimeError(f"RNG state has an offset that is no multiple of 4: {offset}")
        with self._lock:
            self._seed, self._offset = seed, offset

    def snapshot(self) -> tuple:
        """The state, for ``restore``."""
        return (self._seed, self._offset)

    def restore(self, snapshot: tuple) -> None:
        """Continue from where ``snapshot`` was taken."""
        self._seed, self._offset = snapshot

    def get_state(self) -> Value:
        """Seed and offset as a tensor of 16 bytes on the CPU, as PyTorch has it."""
        return wrap(self.get_state_array())


class _Default:
    generator: PhiloxGenerator | None = None


def default() -> PhiloxGenerator:
    """What random functions draw from on the GPU unless they are given a generator.

    It begins at the last ``manual_seed``, or else at the operating system's randomness.
    """
    if _Default.generator is None:
        before, hook.active = hook.active, None  # a compiled program does not begin it anew
        try:
            made = PhiloxGenerator()
            last = _core.Followers.seed
            if last is None:
                made.seed()
            else:
                made.manual_seed(last)
        finally:
            hook.active = before
        _Default.generator = made
        _core.Followers.generators.append(made)
    return _Default.generator
