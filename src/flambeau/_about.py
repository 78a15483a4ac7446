"""What ``torch`` says about itself and the machine under it, and switches that programs set: names
of the root that few ask for."""

from __future__ import annotations

import os
import warnings
from types import ModuleType

import numpy as np

from . import _settings, cpu, cuda, mps, xpu
from ._dtypes import dtype, get_default_dtype
from ._missing import missing
from .autograd._anomaly import _switch
from .core.value import Value
from .tensor._creation import finished
from .tensor._device import device, here
from .tensor._storage import UntypedStorage

has_lapack = True  #: NumPy brings LAPACK
has_openmp = has_mkl = has_spectral = True  #: threads, fast products and FFTs, by other means


class _Always:
    """The warnings' filter before ``set_warn_always(True)``, while it is on."""

    before: list | None = None


def set_warn_always(b: bool, /) -> None:
    """Say every warning at every place each time it occurs, or go back to what was before."""
    if b and _Always.before is None:
        _Always.before = warnings.filters[:]
        warnings.simplefilter("always", UserWarning)
    elif not b and _Always.before is not None:
        warnings.filters[:] = _Always.before
        _Always.before = None


def is_warn_always_enabled() -> bool:
    """Whether ``set_warn_always`` is on."""
    return _Always.before is not None


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """0 or "default": off, 1 or "warn": warn, 2 or "error": refuse what is not deterministic."""
    if not isinstance(debug_mode, int | str):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    names = ("default", "warn", "error")
    if isinstance(debug_mode, str):
        if debug_mode not in names:
            raise RuntimeError(
                "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got "
                f"{debug_mode}"
            )
        debug_mode = names.index(debug_mode)
    if debug_mode not in range(3):
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}"
        )
    _settings.use_deterministic_algorithms(debug_mode > 0, warn_only=debug_mode == 1)


def get_deterministic_debug_mode() -> int:
    """What ``set_deterministic_debug_mode`` set: 0, 1 or 2."""
    if not _settings.are_deterministic_algorithms_enabled():
        return 0
    return 1 if _settings.is_deterministic_algorithms_warn_only_enabled() else 2


def set_anomaly_enabled(enabled: bool, check_nan: bool = True) -> None:
    """``torch.autograd.set_detect_anomaly`` as a plain function."""
    _switch(enabled, check_nan)


def init_num_threads() -> None:
    """Accepted: threads start when they are first needed."""


def is_vulkan_available() -> bool:
    """Whether there is a Vulkan device: no."""
    return False


def compiled_with_cxx11_abi() -> bool:
    """True: what extensions would be told, if any could be built."""
    return True


def get_file_path(*path_components: str) -> str:
    """The path of a file below the package's folder."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), *path_components)


def get_device_module(device: device | str | None = None) -> ModuleType:
    """``torch.cpu`` or the module of another kind of device; without one, the CPU's."""
    kind = "cpu" if device is None else str(device).partition(":")[0]
    known = {"cpu": cpu, "cuda": cuda, "mps": mps, "xpu": xpu}
    if kind not in known:
        raise RuntimeError(
            f"Invalid device module: torch has no module named '{kind}'\n"
            f"  there are {', '.join(known)}"
        )
    return known[kind]


def from_file(
    filename: str | os.PathLike,
    shared: bool | None = False,
    size: int = 0,
    *,
    dtype: dtype | None = None,
    layout: object = None,
    device: device | str | None = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Value:
    """``size`` elements of a file, mapped; writes reach the file only if it is ``shared``."""
    d = (dtype or get_default_dtype()).numpy
    storage = UntypedStorage.from_file(filename, bool(shared), size * d.itemsize)
    here(device)
    return finished(np.asarray(storage._owner).view(d), requires_grad, device)


def to_dlpack(tensor: Value) -> object:
    """A DLPack capsule over the memory of ``tensor``."""
    return tensor.__dlpack__()


def __getattr__(name: str) -> object:
    raise missing(__name__, name, globals())
