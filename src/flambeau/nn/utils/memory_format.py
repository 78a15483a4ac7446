"""The memory layout of convolutions' weights."""

from __future__ import annotations

from ...core.modes import no_grad
from ...ops.memory import memory_format as _Format
from ..modules.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d
from ..modules.module import Module


@no_grad()
def _convert(module: Module, kinds: tuple[type[Module], ...], memory_format: _Format) -> Module:
    for layer in module.modules():
        if isinstance(layer, kinds):
            layer.weight.data = (
                layer.weight.detach().clone().contiguous(memory_format=memory_format)
            )
    return module


def convert_conv2d_weight_memory_format(module: Module, memory_format: _Format) -> Module:
    """Give the weights of all two-dimensional convolutions of ``module`` a memory format."""
    return _convert(module, (Conv2d, ConvTranspose2d), memory_format)


def convert_conv3d_weight_memory_format(module: Module, memory_format: _Format) -> Module:
    """Give the weights of all three-dimensional convolutions of ``module`` a memory format."""
    return _convert(module, (Conv3d, ConvTranspose3d), memory_format)


__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]
