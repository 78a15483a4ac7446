"""Names of PyTorch that programs import and flambeau refuses to run.

A program that imports ``torch.distributed.fsdp.FullyShardedDataParallel`` for an ``isinstance``
runs on: the name is a class without instances. Calling it raises NotImplementedError, which says
which name it was and what to do instead.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NoReturn

from ._missing import missing


def refuse(name: str, advice: str) -> NoReturn:
    """Raise the NotImplementedError for ``name``, a full name of PyTorch's."""
    raise NotImplementedError(f"{name} is not supported by flambeau\n  {advice}")


class _Refused(type):
    """Makes a class whose call, and whose class methods and constants, raise in words."""

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(cls.full_name, cls.advice)

    def __getattr__(cls, name: str) -> NoReturn:
        raise AttributeError(
            f"{cls.full_name} is not supported by flambeau, nor is its {name!r}\n  {cls.advice}",
            name=name,
        )


def refused(module: str, names: str, advice: str) -> dict[str, type]:
    """A class without instances for each of ``names`` of PyTorch's ``module``."""
    return {
        name: _Refused(
            name,
            (),
            {
                "__doc__": f"``{module}.{name}``: refused when called.",
                "__module__": "flambeau" + module.removeprefix("torch"),
                "full_name": f"{module}.{name}",
                "advice": advice,
            },
        )
        for name in names.split()
    }


def refusing_modules(table: Mapping[str, str], advice: str) -> None:
    """Enter modules that hold only refused names: PyTorch's module -> its names.

    They are put in ``sys.modules``, where an import of them looks, and into their parents, where
    the parent is one of flambeau's that is loaded.
    """
    for torch_name, names in table.items():
        own_name = "flambeau" + torch_name.removeprefix("torch")
        module = sys.modules.get(own_name)
        if module is None:
            module = ModuleType(own_name, f"``{torch_name}``: names that are refused when called.")
            module.__path__ = []  # what is below it is in sys.modules, too
            module.__getattr__ = _missing_in(module)
            sys.modules[own_name] = module
            parent, _, leaf = own_name.rpartition(".")
            setattr(sys.modules[parent], leaf, module)
        vars(module).update(refused(torch_name, names, advice))


def _missing_in(module: ModuleType) -> Any:
    def __getattr__(name: str) -> object:
        raise missing(module.__name__, name, vars(module))

    return __getattr__
