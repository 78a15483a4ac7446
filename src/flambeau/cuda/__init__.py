"""``torch.cuda``: the GPU, where there is one (NVIDIA's driver, and CuPy), else that there is none.

There is one device, ``cuda:0``. Without it questions are answered, settings that would do nothing
do nothing, and what needs a GPU raises what PyTorch built without CUDA raises: mostly
AssertionError.
Source: https://docs.pytorch.org/docs/stable/cuda.html
"""

from __future__ import annotations

from .. import _dtypes
from .._errors import OutOfMemoryError
from .._missing import missing as _missing
from ..core.value import Value as _Value
from ..core.value import constant as _constant
from ..tensor._device import CUDA as _CUDA
from ..tensor._device import Elsewhere as _Elsewhere
from . import amp, memory, nvtx, random, streams
from ._machine import DeviceProperties as _DeviceProperties
from ._machine import machine as _machine
from ._machine import there as _there
from ._needs import MEMORY as _MEMORY
from ._needs import needing_modules as _needing_modules
from ._needs import needs as _needs
from .memory import *  # noqa: F403
from .random import *  # noqa: F403
from .streams import *  # noqa: F403

_CudaDeviceProperties = _DeviceProperties


def is_available() -> bool:
    """Whether there is a CUDA device."""
    return _there()


def device_count() -> int:
    """The number of CUDA devices: 1 or 0."""
    return int(_there())


def is_initialized() -> bool:
    """Whether CUDA has been initialised: by the first question whether it is there."""
    return _there()


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the GPU computes in bfloat16; ``including_emulation``: by float32."""
    return _there() and (including_emulation or get_device_capability()[0] >= 8)


def is_tf32_supported() -> bool:
    """Whether the GPU computes in TF32."""
    return _there() and get_device_capability()[0] >= 8


def init() -> None:
    """Initialise CUDA. AssertionError without a GPU."""
    _machine()


def current_device() -> int:
    """The number of the GPU in use: 0. AssertionError without a GPU."""
    _machine()
    return 0


def set_device(device: object) -> None:
    """Choose the GPU: there is one. AssertionError without a GPU."""
    _machine(device)


def get_device_properties(device: object = None) -> _DeviceProperties:
    """What the GPU is. AssertionError without a GPU."""
    return _DeviceProperties(_machine(device).properties())


def get_device_name(device: object = None) -> str:
    """What the GPU is called. AssertionError without a GPU."""
    return get_device_properties(device).name


def get_device_capability(device: object = None) -> tuple[int, int]:
    """Which instructions the GPU knows, by NVIDIA's numbers. AssertionError without a GPU."""
    said = get_device_properties(device)
    return said.major, said.minor


def synchronize(device: object = None) -> None:
    """Wait until all work on the GPU is done. AssertionError without a GPU."""
    _machine(device).synchronize_all()


class device:
    """Context manager that selects a GPU: with None or -1 it does nothing. AssertionError without
    a GPU."""

    def __init__(self, device: object) -> None:
        self.idx = -1
        if device is not None and device != -1:
            _machine(device)
            self.idx = 0

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


class device_of(device):
    """Context manager that selects the GPU that a tensor is on, if it is on one."""

    def __init__(self, obj: object) -> None:
        super().__init__(0 if isinstance(obj, _Value) and obj.is_cuda else None)


def is_current_stream_capturing() -> bool:
    """Whether a CUDA graph is being captured by the program: no."""
    return False


def _is_in_bad_fork() -> bool:
    return False


def get_arch_list() -> list[str]:
    """The GPU architectures that there is code for: the GPU's own, since code is made for it."""
    return ["sm_{}{}".format(*get_device_capability())] if _there() else []


def get_gencode_flags() -> str:
    """The compiler's flags for ``get_arch_list``."""
    numbers = [name.removeprefix("sm_") for name in get_arch_list()]
    return " ".join(f"-gencode compute=compute_{n},code=sm_{n}" for n in numbers)


def ipc_collect() -> None:
    """Free memory that other processes have released: there is none."""


def set_sync_debug_mode(debug_mode: int | str) -> None:
    """Accepted: what waits for the GPU is not told."""


def get_sync_debug_mode() -> int:
    """0: what waits for the GPU is not told."""
    return 0


def can_device_access_peer(device: object, peer_device: object) -> bool:
    """Whether one GPU reads the memory of another: there is one. AssertionError without a GPU."""
    _machine(device)
    _machine(peer_device)
    return False


def cudart() -> object:
    """Refused: NotImplementedError; AssertionError without a GPU."""
    _machine()
    raise NotImplementedError(
        "torch.cuda.cudart: CUDA's runtime is not given out\n  CuPy has it: cupy.cuda.runtime"
    )


def _no_graphs(name: str) -> Exception:
    if not _there():
        return RuntimeError(
            f"torch.cuda.{name} requires CUDA support\n  flambeau has no cuda device: tensors "
            "live on the CPU"
        )
    return NotImplementedError(
        f"torch.cuda.{name}: a program cannot capture a graph by itself\n  flambeau.compile(step) "
        "records a whole training step as one"
    )


class CUDAGraph:
    """Recorded work for a GPU: cannot be made. NotImplementedError; RuntimeError without a GPU."""

    def __init__(self, keep_graph: bool = False) -> None:
        raise _no_graphs("CUDAGraph")


class graph:
    """Would record work as a CUDAGraph: cannot be made. NotImplementedError; RuntimeError without
    a GPU."""

    def __init__(self, cuda_graph: CUDAGraph, *args: object, **kwargs: object) -> None:
        raise _no_graphs("graph")


class _LegacyType(type):
    """``isinstance(x, torch.cuda.FloatTensor)``: x is on the GPU, and of that dtype; calling it
    makes one, from sizes or data. TypeError without a GPU."""

    legacy_dtype: _dtypes.dtype

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _Value) and value.is_cuda and value.dtype is cls.legacy_dtype

    def __call__(cls, *args: object, **kwargs: object) -> object:
        if not _there():
            raise TypeError(
                f"type torch.cuda.{cls.__name__} not available. Torch not compiled with CUDA "
                "enabled.\n  flambeau has no cuda device: tensors live on the CPU"
            )
        return _constant(_Elsewhere.on(_CUDA).made((0,), cls.legacy_dtype.numpy)).new(*args)


def _legacy_type(name: str) -> type:
    wanted = name.removesuffix("Tensor")
    (found,) = [d for d in _dtypes.ALL if d.legacy_name == wanted]
    return _LegacyType(name, (), {"__doc__": "A type of tensors on a GPU.", "legacy_dtype": found,
                                  "legacy_device": _CUDA})  # fmt: skip


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


has_half = True
has_magma = False
globals().update(
    _needs(
        f"""{_MEMORY}
        clock_rate current_blas_handle current_solver_handle
        device_memory_used power_draw temperature
        utilization memory_usage check_error _sleep _compile_kernel _get_pynvml_handler
        graph_pool_handle make_graphed_callables GreenContext cudaStatus
        """,
        "torch.cuda",
    )
)
_needing_modules(
    {
        "torch.cuda.graphs": """
            CUDAGraph graph graph_pool_handle is_current_stream_capturing make_graphed_callables
        """,
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


class CudaError(RuntimeError):
    """What PyTorch raises for an error code of CUDA's: nobody gives one here."""


class DeferredCudaCallError(Exception):
    """An error of a call that waited for CUDA's start: there is none."""


AcceleratorError = CudaError


def __getattr__(name: str) -> object:
    if name == "default_generators":
        return (_Elsewhere.on(_CUDA).generator(),) if _there() else ()
    if name == "_initialized":
        return _there()
    raise _missing(__name__, name, globals())
