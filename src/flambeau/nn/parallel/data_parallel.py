"""DataParallel over one GPU, or none: the module itself; and the functions around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.value import Value
from ...tensor._device import Elsewhere, device, here
from ..modules.module import Module
from .scatter_gather import gather, scatter


class DataParallel(Module):
    """``module`` over the GPUs of this machine: there is one, to which inputs are moved, or none,
    and it is called as it is.

    Its parameters are named ``module.*``, as in PyTorch.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[Any] = [0] if Elsewhere.has_cuda() else []
        if self.device_ids:
            for place in device_ids or ():
                here(device("cuda", place) if isinstance(place, int) else place)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        if self.device_ids:
            if any(not p.is_cuda for p in self.module.parameters()):
                raise RuntimeError(
                    "module must have its parameters and buffers on device cuda:0 (device_ids[0]) "
                    "but found one of them on device: cpu\n  call .cuda() first"
                )
            inputs, kwargs = _there(inputs), _there(kwargs)
        return self.module(*inputs, **kwargs)


def _there(value: Any) -> Any:
    """``value`` with its tensors on the GPU."""
    if isinstance(value, Value):
        return value.cuda()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_there, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_there, value))
    if isinstance(value, dict):
        return type(value)((k, _there(v)) for k, v in value.items())
    return value


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """``module(*inputs, **module_kwargs)``, with the inputs on the GPU if there is one."""
    if not isinstance(inputs, tuple):
        inputs = (inputs,) if inputs is not None else ()
    return DataParallel(module, device_ids)(*inputs, **(module_kwargs or {}))


def replicate(network: Module, devices: Sequence[Any], detach: bool = False) -> list[Module]:
    """The network once for each device; on a CPU, they are one."""
    return [network for _ in devices]


def parallel_apply(
    modules: Sequence[Module],
    inputs: Sequence[Any],
    kwargs_tup: Sequence[dict[str, Any]] | None = None,
    devices: Sequence[Any] | None = None,
) -> list:
    """Each module on its input."""
    if len(modules) != len(inputs):
        raise AssertionError(
            f"The number of modules {len(modules)} is not equal to the number of inputs "
            f"{len(inputs)}"
        )
    more = kwargs_tup or [{}] * len(modules)
    return [
        module(*(given if isinstance(given, list | tuple) else (given,)), **keywords)
        for module, given, keywords in zip(modules, inputs, more, strict=True)
    ]


__all__ = ["DataParallel", "data_parallel", "gather", "parallel_apply", "replicate", "scatter"]
