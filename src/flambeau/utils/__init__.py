"""What programs need around tensors and layers: loading data, and smaller helpers.

Each part is a package or module of its own, loaded when it is first asked for.
Source: https://docs.pytorch.org/docs/stable/utils.html
"""

from __future__ import annotations

import importlib as _importlib

from .._missing import missing as _missing
from ..core.tape import Leaf
from ..core.value import Value

_ON_DEMAND = (
    "_python_dispatch", "_pytree", "_triton", "benchmark", "checkpoint", "collect_env",
    "cpp_extension", "data", "dlpack", "flop_counter", "hooks", "model_zoo", "serialization",
    "tensorboard",
)  # fmt: skip


cmake_prefix_path = ""  #: there is nothing to build against


def swap_tensors(t1: Value, t2: Value) -> None:
    """Exchange all that two tensors are: their elements, class, place in the graph, attributes.

    RuntimeError for tensors that others are views of, or views themselves.
    """
    for t in (t1, t2):
        if t._base is not None or t._views:
            raise RuntimeError(
                "torch.utils.swap_tensors: a tensor that is a view, or that views look into, "
                "cannot be swapped"
            )
    leaves = [type(t._edge) is Leaf for t in (t1, t2)]
    t1._array, t2._array = t2._array, t1._array
    t1._edge, t2._edge = t2._edge, t1._edge
    own, other = dict(t1.__dict__), dict(t2.__dict__)
    t1.__class__, t2.__class__ = t2.__class__, t1.__class__
    for t, attributes in ((t1, other), (t2, own)):
        t.__dict__.clear()
        t.__dict__.update(attributes)
    for t, was_leaf in ((t1, leaves[1]), (t2, leaves[0])):
        if was_leaf:
            t._edge = Leaf(t)


def __getattr__(name: str) -> object:
    if name in _ON_DEMAND:
        return _importlib.import_module(f"{__name__}.{name}")
    raise _missing(__name__, name, (*globals(), *_ON_DEMAND))


def __dir__() -> list[str]:
    return sorted({n for n in globals() if not n.startswith("_")} | set(_ON_DEMAND))
