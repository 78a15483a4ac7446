"""Where PyTorch keeps what it compiled: the names under which its pickles, and some programs,
look for functions. There is nothing compiled here."""

from __future__ import annotations

from typing import Any

from .._errors import LinAlgError as _LinAlgError
from .._missing import missing as _missing
from .._refusals import refused as _refused
from ..core.generator import Generator, default_generator
from ..core.modes import hook
from ..func._batch import Level
from ..tensor._device import CPU, device, here
from . import _nn
from ._dispatch import DispatchKey, DispatchKeySet

#: The class of the class of tensors.
_TensorMeta = type


def _are_functorch_transforms_active() -> bool:
    """Whether ``vmap`` or another transformation of ``torch.func`` is running."""
    return isinstance(hook.active, Level)


def _is_torch_function_mode_enabled() -> bool:
    """Whether a TorchFunctionMode is entered: none can be."""
    return False


def _get_tracing_state() -> None:
    """What ``torch.jit.trace`` is tracing: nothing, it runs plain Python."""
    return


def _log_api_usage_once(event: str) -> None:
    """Accepted: nothing is reported to anybody."""


def _jit_setting(enabled: bool) -> bool:
    """Accepted: a switch of TorchScript's, which is off and stays so; what it was."""
    return False


_jit_set_profiling_mode = _jit_set_profiling_executor = _jit_setting
_jit_override_can_fuse_on_cpu = _jit_override_can_fuse_on_gpu = _jit_setting
_jit_set_texpr_fuser_enabled = _jit_set_nvfuser_enabled = _jit_set_autocast_mode = _jit_setting


class DisableTorchFunctionSubclass:
    """Scope without ``__torch_function__``: functions do not ask for it in any case."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


DisableTorchFunction = _DisableFuncTorch = DisableTorchFunctionSubclass
_has_cuda = _has_xpu = _has_mps = False
_GLIBCXX_USE_CXX11_ABI = True


def _disabled_torch_function_impl(
    func: Any, types: tuple, args: tuple = (), kwargs: dict | None = None
) -> Any:
    """A ``__torch_function__`` that overrides nothing: ``func`` itself is called."""
    return func(*args, **(kwargs or {}))


def _get_accelerator(check: bool = False) -> device:
    """The machine's device: the CPU."""
    return CPU


def _get_default_device() -> str:
    """The device of tensors that name none."""
    return str(here(None))


def _len_torch_function_stack() -> int:
    """How many modes are entered: none can be."""
    return 0


Graph, Node, Value = _refused(
    "torch._C", "Graph Node Value", "TorchScript's graphs: flambeau runs plain Python"
).values()


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
