"""What programs need around tensors and layers: loading data, and smaller helpers.

Each part is a package or module of its own, loaded when it is first asked for.
Source: https://docs.pytorch.org/docs/stable/utils.html
"""

from __future__ import annotations

import importlib as _importlib

from .._missing import missing as _missing

_ON_DEMAND = (
    "_pytree", "benchmark", "checkpoint", "collect_env", "cpp_extension", "data", "dlpack",
    "flop_counter", "hooks", "model_zoo", "serialization", "tensorboard",
)  # fmt: skip


def __getattr__(name: str) -> object:
    if name in _ON_DEMAND:
        return _importlib.import_module(f"{__name__}.{name}")
    raise _missing(__name__, name, (*globals(), *_ON_DEMAND))


def __dir__() -> list[str]:
    return sorted({n for n in globals() if not n.startswith("_")} | set(_ON_DEMAND))
