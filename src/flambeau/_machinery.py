"""Modules of PyTorch's compiler, exporter and kernels that programs import by name.

Their names can be imported and asked about; calling one raises. What is asked for a setting or a
plain answer gives it.
"""

from __future__ import annotations

import contextlib
import sys
from types import ModuleType
from typing import Any, NoReturn

from ._missing import missing as _missing
from ._refusals import refusing_modules as _refusing_modules

_refusing_modules(
    {
        "torch._subclasses": "FakeTensor FakeTensorMode UnsupportedFakeTensorException",
        "torch._subclasses.fake_tensor": """
            DataDependentOutputException DynamicOutputShapeException FakeCopyMode FakeTensor
            FakeTensorConfig FakeTensorDeviceMismatchError FakeTensorMode
            UnsupportedFakeTensorException UnsupportedOperatorException
        """,
        "torch._subclasses.meta_utils": "disable_inference_mode_for_fake_prop MetaConverter",
        "torch._guards": "CompileContext CompileId Source TracingContext detect_fake_mode",
        "torch._functorch": "",
        "torch._functorch.aot_autograd": "aot_function aot_module set_model_name",
        "torch._export": "capture_pre_autograd_graph",
        "torch._export.utils": "register_dataclass_as_pytree_node",
        "torch._decomp": "core_aten_decompositions get_decompositions register_decomposition",
        "torch._dispatch": "",
        "torch._dispatch.python": "enable_python_dispatcher",
        "torch._library": "",
        "torch._library.custom_ops": "CustomOpDef custom_op",
        "torch._custom_op": "",
        "torch._custom_op.impl": "CustomOp custom_op",
        "torch._custom_ops": "custom_op get_ctx impl impl_abstract",
        "torch._numpy": "array ndarray",
        "torch._prims_common": "",
        "torch._lazy": "add_step_closure mark_step wait_device_ops",
        "torch._lazy.metrics": "counter_names counter_value reset",
        "torch._lazy.ts_backend": "init",
        "torch.package": "PackageExporter PackageImporter",
    },
    "operations are run at once; torch.compile records and compiles what is run, and "
    "device='meta' tells shapes without memory",
)


def is_fake(x: Any) -> bool:
    """Whether ``x`` is a fake tensor: there are none."""
    return False


def maybe_get_fake_mode(t: Any) -> None:
    """The mode of a fake tensor: None, there are none."""
    return


for _function in (is_fake, maybe_get_fake_mode):
    setattr(sys.modules["flambeau._subclasses.fake_tensor"], _function.__name__, _function)
sys.modules["flambeau._prims_common"].DeviceLikeType = object
sys.modules["flambeau._prims_common"].ShapeType = sys.modules[
    "flambeau._prims_common"
].StrideType = tuple


def _module(name: str, doc: str, **names: Any) -> ModuleType:
    """A module of flambeau's that has these names, entered where imports look."""
    module = ModuleType(f"flambeau.{name}", doc)
    vars(module).update(names)
    module.__path__ = []

    def __getattr__(attribute: str) -> NoReturn:
        raise _missing(module.__name__, attribute, vars(module))

    module.__getattr__ = __getattr__
    sys.modules[module.__name__] = module
    parent, _, leaf = module.__name__.rpartition(".")
    setattr(sys.modules[parent], leaf, module)
    return module


# ---- settings and plain answers ------------------------------------------------------------------


def set_logs(**kwargs: Any) -> None:
    """Accepted: what torch.compile did is told by ``torch.compile(f).explain()``."""


def trace_structured(*args: Any, **kwargs: Any) -> None:
    """Accepted: no structured log is written."""


class LazyString:
    """A text that is put together when it is first printed: ``func(*args, **kwargs)``."""

    def __init__(self, func: Any, *args: Any, **kwargs: Any) -> None:
        self.func, self.args, self.kwargs = func, args, kwargs

    def __str__(self) -> str:
        return self.func(*self.args, **self.kwargs)


_logging = _module(
    "_logging",
    "``torch._logging``: what PyTorch's compiler tells; settings are accepted.",
    set_logs=set_logs,
    trace_structured=trace_structured,
    LazyString=LazyString,
    get_structured_logging_overhead=lambda: None,
)


def _unavailable() -> bool:
    """False: it is not there."""
    return False


def _none_of_them() -> int:
    """0: there are none."""
    return 0


def _told_nobody(event: Any) -> None:
    """Accepted: nobody listens."""


mtia = _module(
    "mtia",
    "``torch.mtia``: Meta's accelerators, of which there are none.",
    is_available=_unavailable,
    device_count=_none_of_them,
    is_initialized=_unavailable,
)


class _WaitCounter:
    """Counts how long is waited: nobody reads it here."""

    def __init__(self, key: str) -> None:
        self.key = key

    def guard(self) -> contextlib.AbstractContextManager:
        """A scope that is not counted."""
        return contextlib.nullcontext()


monitor = _module(
    "monitor",
    "``torch.monitor``: events and figures for whoever watches; nobody does here.",
    _WaitCounter=_WaitCounter,
    log_event=_told_nobody,
)


class _Classes:
    """``torch.classes``: classes written in C++, of which none can be loaded."""

    loaded_libraries: frozenset = frozenset()

    def load_library(self, path: str) -> NoReturn:
        """Refused: NotImplementedError."""
        raise NotImplementedError(
            f"torch.classes.load_library({path!r}) is not supported by flambeau\n  it was compiled "
            "for PyTorch"
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError(
            f"Class {name} not registered: flambeau has no classes that are written in C++"
        )


classes = _Classes()


def _disable_dynamo(fn: Any = None, recursive: bool = True) -> Any:
    """Decorator: ``fn`` as it is."""
    return fn if fn is not None else lambda f: f


def __getattr__(name: str) -> object:
    module = sys.modules.get(f"flambeau.{name}")
    if module is not None and getattr(module, "__path__", None) == []:
        return module
    raise _missing(__name__, name, globals())
