"""Functions of ``torch.cuda`` that are not there, and raise: without a GPU as PyTorch does that was
built without."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NoReturn

from .._missing import missing
from ..tensor._device import Elsewhere, device, no_device

MEMORY = """
    caching_allocator_alloc caching_allocator_delete caching_allocator_enable
    change_current_allocator get_per_process_memory_fraction list_gpu_processes use_mem_pool
    CUDAPluggableAllocator MemPool caching_allocator_disabled
"""


def needs(names: str, module: str, kind: str = "cuda") -> dict[str, Callable[..., NoReturn]]:
    """A function for each name of PyTorch's ``module`` that raises: there is no such device."""

    def one(name: str) -> Callable[..., NoReturn]:
        def function(*args: Any, **kwargs: Any) -> NoReturn:
            if kind == "cuda" and Elsewhere.has_cuda():
                raise NotImplementedError(
                    f"{module}.{name} is not there\n  flambeau's tensors on cuda live in CuPy's "
                    "memory pool, and its compiled programs in their own graphs"
                )
            raise no_device(device(kind))

        function.__name__ = function.__qualname__ = name
        function.__module__ = "flambeau" + module.removeprefix("torch")
        function.__doc__ = f"Refused: there is no {kind} device."
        return function

    return {name: one(name) for name in names.split()}


def needing_modules(table: Mapping[str, str]) -> None:
    """Enter modules of functions that raise: PyTorch's module -> its names."""
    for torch_name, names in table.items():
        own_name = "flambeau" + torch_name.removeprefix("torch")
        module = ModuleType(own_name, f"``{torch_name}``: functions that need a GPU.")
        vars(module).update(needs(names, torch_name))
        module.__getattr__ = lambda name, own=own_name, module=module: _absent(own, name, module)
        sys.modules[own_name] = module
        parent, _, leaf = own_name.rpartition(".")
        setattr(sys.modules[parent], leaf, module)


def _absent(own_name: str, name: str, module: ModuleType) -> NoReturn:
    raise missing(own_name, name, vars(module))
