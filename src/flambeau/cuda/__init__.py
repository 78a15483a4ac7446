"""What ``torch.cuda`` answers on a machine without a GPU: there is none.

Questions are answered, settings that would do nothing without a GPU do nothing, and what needs a
GPU raises what PyTorch built without CUDA raises: mostly AssertionError.
Source: https://docs.pytorch.org/docs/stable/cuda.html
"""

from __future__ import annotations

from .._errors import OutOfMemoryError
from .._missing import missing as _missing
from ..tensor._device import device as _device
from ..tensor._device import here as _here
from . import amp, nvtx

_NONE = "flambeau has no cuda device: tensors live on the CPU"


def is_available() -> bool:
    """Whether there is a CUDA device: no."""
    return False


def device_count() -> int:
    """The number of CUDA devices: 0."""
    return 0


def is_initialized() -> bool:
    """Whether CUDA has been initialised: no."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the GPU computes in bfloat16: there is no GPU."""
    return False


def init() -> None:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")


def current_device() -> int:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")
    return -1


def set_device(device: object) -> None:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")


def get_device_name(device: object = None) -> str:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")
    return ""


def get_device_properties(device: object = None) -> object:
    """Refused: there is no CUDA device. AssertionError."""
    return _here("cuda")


def get_device_capability(device: object = None) -> tuple[int, int]:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")
    return 0, 0


def synchronize(device: object = None) -> None:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")


def manual_seed(seed: int) -> None:
    """Seed the GPU's generator: nothing to seed."""


def manual_seed_all(seed: int) -> None:
    """Seed all GPUs' generators: nothing to seed."""


def empty_cache() -> None:
    """Give unused GPU memory back: there is none."""


def memory_allocated(device: object = None) -> int:
    """Bytes of GPU memory in use: 0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def reset_peak_memory_stats(device: object = None) -> None:
    """Forget the peak of GPU memory: there is none."""


class device:
    """Context manager that selects a GPU: with None or -1 it does nothing, else AssertionError."""

    def __init__(self, device: object) -> None:
        if device is not None and device != -1:
            _here(_device("cuda", device) if isinstance(device, int) else device)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


reset_max_memory_allocated = reset_max_memory_cached = reset_accumulated_memory_stats = (
    reset_peak_memory_stats
)
memory_cached = max_memory_cached = memory_allocated
_initialized = False
default_generators = ()


def is_current_stream_capturing() -> bool:
    """Whether a CUDA graph is being captured: no."""
    return False


def _is_in_bad_fork() -> bool:
    return False


def get_arch_list() -> list[str]:
    """The GPU architectures this library was built for: none."""
    return []


def memory_stats(device: object = None) -> dict:
    """Figures of the GPU's allocator: there are none."""
    return {}


def memory_summary(device: object = None, abbreviated: bool = False) -> str:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")
    return ""


def mem_get_info(device: object = None) -> tuple[int, int]:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")
    return 0, 0


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


def current_stream(device: object = None) -> object:
    """Refused: there is no CUDA device. AssertionError."""
    return _here("cuda")


def default_stream(device: object = None) -> object:
    """Refused: there is no CUDA device. AssertionError."""
    return _here("cuda")


def set_stream(stream: object) -> None:
    """Nothing for None; otherwise refused: AssertionError."""
    if stream is not None:
        _here("cuda")


def ipc_collect() -> None:
    """Free memory that other processes have released: there is none."""


def set_per_process_memory_fraction(fraction: float, device: object = None) -> None:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")


def set_sync_debug_mode(debug_mode: int | str) -> None:
    """Accepted: nothing is asynchronous."""


def get_sync_debug_mode() -> int:
    """0: nothing is asynchronous."""
    return 0


def cudart() -> object:
    """Refused: there is no CUDA device. AssertionError."""
    return _here("cuda")


class Stream:
    """A queue of work on a GPU: cannot be made. RuntimeError."""

    def __init__(self, device: object = None, priority: int = 0, **kwargs: object) -> None:
        raise RuntimeError(f"torch.cuda.Stream requires CUDA support\n  {_NONE}")


class Event:
    """A mark in a queue of work on a GPU: can be made, and used not. AssertionError."""

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        self.enable_timing = enable_timing

    def record(self, stream: object = None) -> None:
        """Refused: there is no CUDA device. AssertionError."""
        _here("cuda")

    wait = record

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def query(self) -> bool:
        """Whether the work before the mark is done: yes."""
        return True

    def elapsed_time(self, end_event: Event) -> float:
        """Refused: there is no CUDA device. AssertionError."""
        _here("cuda")
        return 0.0


class CUDAGraph:
    """Recorded work for a GPU: cannot be made. RuntimeError."""

    def __init__(self, keep_graph: bool = False) -> None:
        raise RuntimeError(f"torch.cuda.CUDAGraph requires CUDA support\n  {_NONE}")


class StreamContext:
    """Scope of a queue of work on a GPU: for None it does nothing; otherwise AssertionError."""

    def __init__(self, stream: object) -> None:
        if stream is not None:
            _here("cuda")

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


def stream(stream: object) -> StreamContext:
    """``StreamContext(stream)``."""
    return StreamContext(stream)


class device_of(device):
    """Context manager that selects a tensor's GPU: a tensor here is on none."""

    def __init__(self, obj: object) -> None:
        super().__init__(None)


class _LegacyType(type):
    """Makes ``isinstance(x, torch.cuda.FloatTensor)`` False, and making one an error."""

    def __instancecheck__(cls, value: object) -> bool:
        return False

    def __call__(cls, *args: object, **kwargs: object) -> object:
        raise TypeError(
            f"type torch.cuda.{cls.__name__} not available. Torch not compiled with CUDA enabled."
            f"\n  {_NONE}"
        )


def _legacy_type(name: str) -> type:
    return _LegacyType(name, (), {"__doc__": "The type of tensors on a GPU: there are none."})


ByteTensor = _legacy_type("ByteTensor")
CharTensor = _legacy_type("CharTensor")
ShortTensor = _legacy_type("ShortTensor")
IntTensor = _legacy_type("IntTensor")
LongTensor = _legacy_type("LongTensor")
HalfTensor = _legacy_type("HalfTensor")
BFloat16Tensor = _legacy_type("BFloat16Tensor")
FloatTensor = _legacy_type("FloatTensor")
DoubleTensor = _legacy_type("DoubleTensor")
BoolTensor = _legacy_type("BoolTensor")


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
