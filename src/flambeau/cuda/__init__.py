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
from . import amp, memory, nvtx, random
from ._needs import MEMORY as _MEMORY
from ._needs import needing_modules as _needing_modules
from ._needs import needs as _needs
from .memory import *  # noqa: F403
from .random import *  # noqa: F403

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


class device:
    """Context manager that selects a GPU: with None or -1 it does nothing, else AssertionError."""

    def __init__(self, device: object) -> None:
        if device is not None and device != -1:
            _here(_device("cuda", device) if isinstance(device, int) else device)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


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


class graph:
    """Would record work as a CUDAGraph: cannot be made. RuntimeError."""

    def __init__(self, cuda_graph: CUDAGraph, *args: object, **kwargs: object) -> None:
        raise RuntimeError(f"torch.cuda.graph requires CUDA support\n  {_NONE}")


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


has_half = has_magma = False
globals().update(
    _needs(
        f"""{_MEMORY}
        can_device_access_peer clock_rate current_blas_handle current_solver_handle
        device_memory_used get_gencode_flags get_stream_from_external power_draw temperature
        utilization memory_usage check_error _sleep _compile_kernel _get_pynvml_handler graph
        graph_pool_handle make_graphed_callables ExternalStream GreenContext cudaStatus
        """,
        "torch.cuda",
    )
)
_needing_modules(
    {
        "torch.cuda.graphs": """
            CUDAGraph graph graph_pool_handle is_current_stream_capturing make_graphed_callables
        """,
        "torch.cuda.streams": "Event ExternalStream Stream",
        "torch.cuda.nccl": """
            all_gather all_reduce broadcast is_available init_rank reduce reduce_scatter unique_id
            version
        """,
        "torch.cuda.profiler": "cudart init profile start stop",
        "torch.cuda.gds": "GdsFile gds_deregister_buffer gds_register_buffer",
        "torch.cuda.tunable": "enable is_enabled tune_gemm_in_file tuning_enable",
        "torch.cuda.jiterator": "_create_jit_fn _create_multi_output_jit_fn",
        "torch.cuda.comm": "broadcast broadcast_coalesced gather reduce_add scatter",
        "torch.cuda._memory_viz": "memory profile_plot segment_plot segments trace_plot",
    }
)


def is_tf32_supported() -> bool:
    """Whether the GPU computes in TF32: there is no GPU."""
    return False


class CudaError(RuntimeError):
    """What PyTorch raises for an error code of CUDA's: nobody gives one here."""


class DeferredCudaCallError(Exception):
    """An error of a call that waited for CUDA's start: there is none."""


AcceleratorError = CudaError


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
