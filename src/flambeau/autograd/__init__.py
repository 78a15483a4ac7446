"""Automatic differentiation: gradients of tensors, by recording operations and walking back.

Source: https://docs.pytorch.org/docs/stable/autograd.html
"""

from __future__ import annotations

import importlib as _importlib
import sys as _sys

from .._missing import missing as _missing
from ..core.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from ..core.value import Value
from ..tensor._tensor import Tensor
from . import forward_ad, function, functional, graph
from ._anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from ._grad import backward, grad
from .function import Function
from .gradcheck import GradcheckError, gradcheck, gradgradcheck


class _VariableType(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, Tensor)


class Variable(metaclass=_VariableType):
    """The name tensors with gradients had before PyTorch 0.4: ``Variable(t)`` is ``t``."""

    def __new__(cls, data: Value, requires_grad: bool = False) -> Value:
        return data.detach().requires_grad_(True) if requires_grad else data


__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]


def __getattr__(name: str) -> object:
    if name in ("grad_mode", "anomaly_mode", "variable"):  # where PyTorch has some of these
        return _sys.modules[__name__]
    # The profiler looks on from a layer further down, and comes when it is asked for.
    if name == "profiler":
        return _importlib.import_module("flambeau.profiler.legacy")
    raise _missing(__name__, name, globals())
