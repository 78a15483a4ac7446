"""``torch.jit``: flambeau has no TorchScript. What is scripted or traced runs as plain Python.

``script`` and ``trace`` return something that computes the same and say once that nothing was
compiled; marks such as ``ignore`` and ``export`` change nothing; saving and loading TorchScript
files is refused. ``torch.compile`` is what makes a function faster.
Source: https://docs.pytorch.org/docs/stable/jit.html
"""

from __future__ import annotations

import typing
import warnings
from builtins import isinstance as _isinstance
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from .._missing import missing as _missing
from ..nn.modules.module import Module

T = TypeVar("T")


class TracerWarning(Warning):
    """What PyTorch warns with where tracing loses something; never raised here."""

    @staticmethod
    def ignore_lib_warnings() -> None:
        """Nothing to ignore: tracing loses nothing here."""


class Error(RuntimeError):
    """What PyTorch raises where a scripted function fails."""


class _Told:
    already = False


def _tell(name: str) -> None:
    """Say once that nothing is compiled."""
    if not _Told.already:
        _Told.already = True
        warnings.warn(
            f"torch.jit.{name} runs the code as plain Python: flambeau has no TorchScript. The "
            "results are the same; torch.compile is what makes it faster.",
            stacklevel=3,
        )


def _refused(what: str) -> NotImplementedError:
    return NotImplementedError(
        f"{what} is not supported: flambeau has no TorchScript\n"
        "  save model.state_dict() with torch.save, and load it into the same model built in Python"
    )


class ScriptFunction:
    """What ``script`` or ``trace`` made of a function: it calls the function."""

    def __init__(self, function: Callable) -> None:
        self._function = function
        self.__wrapped__ = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = function.__doc__

    @property
    def name(self) -> str:
        """The function's name."""
        return self.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    @property
    def graph(self) -> object:
        """Refused: NotImplementedError."""
        raise _refused("the TorchScript graph of a function")

    @property
    def code(self) -> str:
        """Refused: NotImplementedError."""
        raise _refused("the TorchScript code of a function")

    def save(self, f: object, _extra_files: dict | None = None) -> None:
        """Refused: NotImplementedError."""
        raise _refused("saving a scripted function")


class ScriptModule(Module):
    """A module that ``script`` or ``trace`` made, or a class written for them: a plain module."""

    @property
    def graph(self) -> object:
        """Refused: NotImplementedError."""
        raise _refused("the TorchScript graph of a module")

    @property
    def code(self) -> str:
        """Refused: NotImplementedError."""
        raise _refused("the TorchScript code of a module")

    def save(self, f: object, _extra_files: dict | None = None) -> None:
        """Refused: NotImplementedError."""
        raise _refused("saving a scripted module")


class RecursiveScriptModule(ScriptModule):
    """What ``script`` returns for a module: the module itself, seen as an instance of this class,
    too. Parameters, buffers and submodules are the same objects."""

    @property
    def original_name(self) -> str:
        """The name of the module's own class."""
        return type(self).__name__

    def _get_name(self) -> str:
        return f"{self.original_name}[scripted]"


_scripted_classes: dict[type, type] = {}


def _scripted(module: Module) -> Module:
    """``module`` as an instance of its class and of RecursiveScriptModule; nothing is copied."""
    if _isinstance(module, ScriptModule):
        return module
    own = type(module)
    cls = _scripted_classes.get(own)
    if cls is None:
        names = {"__module__": own.__module__, "__doc__": own.__doc__}
        cls = _scripted_classes[own] = type(own.__name__, (RecursiveScriptModule, own), names)
    twin = cls.__new__(cls)
    twin.__dict__ = module.__dict__
    return twin


def script(
    obj: Any,
    optimize: bool | None = None,
    _frames_up: int = 0,
    _rcb: object = None,
    example_inputs: object = None,
) -> Any:
    """``obj`` (a function, module or class), to be run as plain Python; says so once."""
    if _isinstance(obj, Module):
        _tell("script")
        return _scripted(obj)
    if _isinstance(obj, (type, ScriptFunction)):
        return obj
    if not callable(obj):
        if _isinstance(obj, (list, dict)):
            return obj
        raise TypeError(f"torch.jit.script takes a function, module or class, not {type(obj)}")
    _tell("script")
    return ScriptFunction(obj)


def trace(
    func: Callable,
    example_inputs: Any = None,
    optimize: bool | None = None,
    check_trace: bool = True,
    check_inputs: object = None,
    check_tolerance: float = 1e-5,
    strict: bool = True,
    _force_outplace: bool = False,
    _module_class: type | None = None,
    _compilation_unit: object = None,
    example_kwarg_inputs: dict | None = None,
    _store_inputs: bool = True,
) -> Any:
    """``func`` (a function or module), called once with the examples, to be run as plain Python.

    Unlike PyTorch's, the result follows Python's ``if`` on later calls, too.
    """
    _tell("trace")
    if example_kwarg_inputs is not None:
        func(**example_kwarg_inputs)
    else:
        examples = example_inputs if _isinstance(example_inputs, tuple) else (example_inputs,)
        func(*examples)
    return _scripted(func) if _isinstance(func, Module) else ScriptFunction(func)


def trace_module(mod: Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Module:
    """``mod``, its methods called once with ``inputs[method]``, to be run as plain Python."""
    _tell("trace_module")
    for method, example in inputs.items():
        getattr(mod, method)(*(example if _isinstance(example, tuple) else (example,)))
    return _scripted(mod)


def script_if_tracing(fn: T) -> T:
    """``fn`` as it is."""
    return fn


def script_method(fn: T) -> T:
    """``fn`` as it is."""
    return fn


def export(fn: T) -> T:
    """``fn`` as it is."""
    return fn


def unused(fn: T) -> T:
    """``fn`` as it is."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """A function as it is: ``@ignore``, ``@ignore()`` and ``@ignore(drop=True)``."""
    if callable(drop):
        return drop
    return lambda fn: fn


def interface(obj: T) -> T:
    """A class as it is."""
    return obj


def _overload(fn: T) -> T:
    return fn


def _overload_method(fn: T) -> T:
    return fn


def annotate(the_type: Any, the_value: T) -> T:
    """``the_value``."""
    return the_value


class Attribute(typing.NamedTuple):
    """A value with the type TorchScript is to give it."""

    value: Any
    type: Any


def isinstance(obj: Any, target_type: Any) -> bool:  # shadows the builtin, as PyTorch's does
    """Whether ``obj`` is a ``target_type``, which may be ``list[int]``, ``Optional[...]`` and the
    like; the elements of containers are looked at."""
    types = target_type if _isinstance(target_type, tuple) else (target_type,)
    return any(_is(obj, t) for t in types)


def _is(obj: Any, kind: Any) -> bool:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return True
    if kind is None:
        return obj is None
    if origin is None:
        return _isinstance(obj, kind)
    if not _isinstance(origin, type) or origin.__name__ in ("Union", "UnionType"):
        return any(_is(obj, None if a is type(None) else a) for a in args)
    if not _isinstance(obj, origin):
        return False
    if origin is dict:
        return all(_is(k, args[0]) and _is(v, args[1]) for k, v in obj.items())
    if origin is tuple and args[-1:] != (Ellipsis,):
        return len(obj) == len(args) and all(map(_is, obj, args))
    return all(_is(o, args[0]) for o in obj)


def is_scripting() -> bool:
    """Whether TorchScript runs: never."""
    return False


def is_tracing() -> bool:
    """Whether a trace is being made that Python's ``if`` could spoil: never."""
    return False


def freeze(
    mod: T, preserved_attrs: Sequence[str] | None = None, optimize_numerics: bool = True
) -> T:
    """``mod`` as it is; it must be in evaluation mode, as in PyTorch."""
    if _isinstance(mod, Module) and mod.training:
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. Please call .eval() "
            "on your module before freezing."
        )
    return mod


def optimize_for_inference(mod: T, other_methods: Sequence[str] | None = None) -> T:
    """``mod`` as it is."""
    return mod


class _Done:
    """A result that is there: what ``fork`` returns."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def wait(self) -> Any:
        """The result."""
        return self._value

    value = wait


def fork(func: Callable, *args: Any, **kwargs: Any) -> _Done:
    """``func(*args, **kwargs)``, run at once; ``wait`` returns its result."""
    return _Done(func(*args, **kwargs))


def wait(future: Any) -> Any:
    """The result of ``fork``."""
    return future.wait()


def save(m: object, f: object, _extra_files: dict | None = None) -> None:
    """Refused: NotImplementedError."""
    raise _refused("torch.jit.save")


def load(
    f: object,
    map_location: object = None,
    _extra_files: dict | None = None,
    _restore_shapes: bool = False,
) -> ScriptModule:
    """Refused: NotImplementedError."""
    raise _refused("torch.jit.load")


def set_fusion_strategy(strategy: list) -> list:
    """Accepted: nothing is fused by TorchScript."""
    return []


def enable_onednn_fusion(enabled: bool) -> None:
    """Accepted: there is no such fusion."""


def onednn_fusion_enabled() -> bool:
    """Whether oneDNN fuses: no."""
    return False


def export_opnames(m: object) -> list[str]:
    """Refused: NotImplementedError."""
    raise _refused("torch.jit.export_opnames")


class strict_fusion:
    """Accepted context manager: nothing is fused by TorchScript."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


_script_if_tracing = script_if_tracing

__all__ = [
    "Attribute", "Error", "Final", "RecursiveScriptModule",
    "ScriptFunction", "ScriptModule", "TracerWarning", "annotate", "enable_onednn_fusion",
    "export", "export_opnames", "fork", "freeze", "ignore", "interface", "is_scripting",
    "is_tracing", "isinstance", "load", "onednn_fusion_enabled", "optimize_for_inference", "save",
    "script", "script_if_tracing", "script_method", "set_fusion_strategy", "strict_fusion", "trace",
    "trace_module", "unused", "wait",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
