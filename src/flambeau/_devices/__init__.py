"""Tensors in the memory of a GPU.

A tensor on ``cuda`` has an ordinary NumPy array's shape, strides and address (``arrays.py``), so
views, storage and autograd are those of every tensor; only the address is the GPU's, and nobody
reads there but the interpreter (``interpreter.py``), which is handed every operation while such
tensors live. It runs the operation's own meaning on CuPy's arrays, by a rule of its own
(``rules.py``) where there is a better way, and on the CPU, with a warning, where there is none.
What a device is to the rest is one protocol (``backend.py``): memory, an array module, copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.modes import state
from ..core.op import define
from ..core.value import Value
from . import image_rules as _image_rules
from . import index_rules as _index_rules
from . import layer_rules as _layer_rules
from . import random_recipes, random_rules
from . import recurrent_rules as _recurrent_rules
from . import rules as _rules
from .arrays import DeviceArray, adopted, hollow, seen, sent
from .backend import available
from .backend import backend as machine
from .interpreter import OnDevice
from .philox import PhiloxGenerator
from .philox import default as generator

given = sent
PhiloxGenerator.recipes = random_recipes


def made(
    shape: Sequence[int],
    dtype: np.dtype,
    strides: Sequence[int] | None = None,
    like: np.ndarray | None = None,
    value: Any = None,
) -> DeviceArray:
    """Memory for an array of ``shape``; ``strides`` in bytes, or in the order in which ``like``
    lies; filled with ``value`` if there is one."""
    if strides is None and like is not None and like.ndim == len(shape) and 0 not in like.strides:
        strides = [0] * like.ndim
        step = dtype.itemsize
        for d in sorted(range(like.ndim), key=lambda d: (like.strides[d], -d)):
            strides[d] = step
            step *= max(shape[d], 1)
    array = hollow(shape, dtype, strides)
    if value is not None:
        array.fill(value)
    return array


def over(data: Any) -> DeviceArray:
    """An array over the memory of another library's array on the device."""
    return adopted(machine().foreign(data))


def taken(array: DeviceArray) -> np.ndarray:
    """A copy of ``array`` in the CPU's memory."""
    return array.host()


to_device = define("to_device", sent, {"array": lambda g: to_host(g)}, grad_name="ToCopyBackward0")
to_host = define("to_host", taken, {"array": lambda g: to_device(g)}, grad_name="ToCopyBackward0")


def moved(x: Value) -> Value:
    """``x`` from the CPU to the device, or back; gradients come the other way."""
    there = isinstance(x._array, DeviceArray)
    return to_host(x) if there else to_device(x)


_RULES = (
    _image_rules,
    _index_rules,
    _layer_rules,
    _recurrent_rules,
)  # loaded, so that they are entered

__all__ = [
    "OnDevice",
    "PhiloxGenerator",
    "available",
    "generator",
    "given",
    "machine",
    "made",
    "moved",
    "over",
    "seen",
    "taken",
]
