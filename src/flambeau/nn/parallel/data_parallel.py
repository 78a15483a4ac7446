"""DataParallel where there is no GPU: the module itself; and the functions around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...core.value import Value
from ...ops.joining import cat, stack
from ...ops.pieces import chunk
from ...tensor._device import here
from ..modules.module import Module


class DataParallel(Module):
    """``module`` over the GPUs of this machine: here there are none, and it is called as it is.

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
        self.device_ids: list[Any] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """``module(*inputs, **module_kwargs)``: there are no GPUs to share it."""
    if not isinstance(inputs, tuple):
        inputs = (inputs,) if inputs is not None else ()
    return module(*inputs, **(module_kwargs or {}))


def _over(value: Any, leaf: Callable[[Value], list], count: int) -> list:
    """``value`` in ``count`` parts: tensors cut by ``leaf``, containers part by part."""
    if isinstance(value, Value):
        return leaf(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [type(value)(*parts) for parts in zip(*(_over(v, leaf, count) for v in value))]
    if isinstance(value, list | tuple) and value:
        return [type(value)(p) for p in zip(*(_over(v, leaf, count) for v in value))]
    if isinstance(value, dict) and value:
        parts = zip(*(_over(v, leaf, count) for v in value.values()))
        return [type(value)(zip(value, p)) for p in parts]
    return [value] * count


def scatter(inputs: Any, target_gpus: Sequence[Any], dim: int = 0) -> list:
    """Tensors cut along ``dim`` into one part for each device; other things given to each."""
    count = len(target_gpus)
    for place in target_gpus:
        here(f"cuda:{place}" if isinstance(place, int) else place)
    return _over(inputs, lambda t: list(chunk(t, count, dim)), count)


def gather(outputs: Sequence[Any], target_device: Any, dim: int = 0) -> Any:
    """The parts joined along ``dim``: the inverse of ``scatter``."""
    first = outputs[0]
    if isinstance(first, Value):
        return stack(list(outputs)) if first.dim() == 0 else cat(list(outputs), dim)
    if first is None:
        return None
    if isinstance(first, dict):
        return type(first)((k, gather([o[k] for o in outputs], target_device, dim)) for k in first)
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(gather(list(o), target_device, dim) for o in zip(*outputs)))
    return type(first)(gather(list(o), target_device, dim) for o in zip(*outputs))


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
