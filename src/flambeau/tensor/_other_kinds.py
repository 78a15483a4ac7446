"""What tensors answer where they are asked as tensors of other kinds (sparse, quantized, on other
devices), and methods that PyTorch keeps from older versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ..core.value import Value
from ..functions.asking import nonzero_static
from ._device import CUDA, Elsewhere, device, no_device
from ._storage import TypedStorage


def _sparse(name: str, kind: str = "sparse coordinate tensor") -> Callable[..., NoReturn]:
    def method(self: Value, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            f"{name} expected {kind} layout but got Strided\n  tensors are strided here: there is "
            "nothing but their elements to ask for"
        )

    method.__name__ = method.__qualname__ = name
    method.__doc__ = "Of sparse tensors, which there are not. RuntimeError."
    return method


def _refused(name: str, what: str, advice: str) -> Callable[..., NoReturn]:
    def method(self: Value, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(
            f"Could not run 'aten::{name}' with arguments from the 'CPU' backend.\n"
            f"  flambeau has no {what} tensors: {advice}"
        )

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Of {what} tensors, which there are not. NotImplementedError."
    return method


def _quantized(name: str) -> Callable[..., NoReturn]:
    return _refused(name, "quantized", "keep integers and a scale as two tensors")


def _to_sparse(name: str) -> Callable[..., NoReturn]:
    return _refused(name, "sparse", "keep the indices and values as two tensors")


def _elsewhere(kind: str) -> Callable[..., NoReturn]:
    def method(self: Value, *args: Any, **kwargs: Any) -> NoReturn:
        raise no_device(device(kind))

    method.__name__ = method.__qualname__ = kind
    method.__doc__ = f"Refused: there is no {kind} device. PyTorch's exception for it."
    return method


class OtherKinds:
    """Methods about other kinds of tensors, and old ones."""

    __slots__ = ()

    coalesce, indices, is_coalesced = map(_sparse, ("coalesce", "indices", "is_coalesced"))
    values = _sparse("values", "sparse tensor")
    crow_indices = _sparse("crow_indices", "sparse row compressed tensor")
    col_indices = _sparse("col_indices", "sparse row compressed tensor")
    ccol_indices = _sparse("ccol_indices", "sparse column compressed tensor")
    row_indices = _sparse("row_indices", "sparse column compressed tensor")
    sparse_mask, sparse_resize_ = map(_to_sparse, ("sparse_mask", "sparse_resize_"))
    sparse_resize_and_clear_ = _to_sparse("sparse_resize_and_clear_")
    resize_as_sparse_, smm, sspaddmm = map(_to_sparse, ("resize_as_sparse_", "smm", "sspaddmm"))
    to_sparse_csc, to_sparse_bsr = map(_to_sparse, ("to_sparse_csc", "to_sparse_bsr"))
    to_sparse_bsc = _to_sparse("to_sparse_bsc")
    to_padded_tensor = _refused("to_padded_tensor", "nested", "pad_sequence pads a list of tensors")
    to_mkldnn = _refused("to_mkldnn", "mkldnn", "layers take strided ones as they are")
    q_scale, q_zero_point, qscheme = map(_quantized, ("q_scale", "q_zero_point", "qscheme"))
    q_per_channel_axis, int_repr = map(_quantized, ("q_per_channel_axis", "int_repr"))
    q_per_channel_scales = _quantized("q_per_channel_scales")
    q_per_channel_zero_points = _quantized("q_per_channel_zero_points")
    xpu, ipu, mtia = map(_elsewhere, ("xpu", "ipu", "mtia"))
    nonzero_static = nonzero_static

    def sparse_dim(self) -> int:
        """How many dimensions are sparse: none."""
        return 0

    def dense_dim(self) -> int:
        """How many dimensions are dense: all."""
        return self._array.ndim

    def dequantize(self) -> Value:
        """This tensor as float32: it is not quantized."""
        return self.float()

    def dim_order(self, *, ambiguity_check: object = False) -> tuple[int, ...]:
        """The dimensions in the order in which they lie in memory, outermost first."""
        strides = self.stride()
        return tuple(sorted(range(len(strides)), key=lambda d: (-strides[d], d)))

    def is_distributed(self) -> bool:
        """Whether the elements are on several machines: no."""
        return False

    def record_stream(self, stream: object) -> None:
        """Keep the memory from other use until the work that ``stream`` has so far is done; on the
        CPU there is none that could outlast it."""
        if self.is_cuda:
            Elsewhere.on(CUDA).machine().hold(self._array.memory, stream._queue)

    def const_data_ptr(self) -> int:
        """``data_ptr()``, for reading only."""
        return self.data_ptr()

    def storage_type(self) -> type:
        """The class of this tensor's storage."""
        return TypedStorage

    def slice_inverse(
        self, src: Value, dim: int = 0, start: int | None = None, end: int | None = None,
        step: int = 1,
    ) -> Value:  # fmt: skip
        """The tensor that ``self`` is a slice of, as ``src`` has its shape and strides."""
        offset = self.storage_offset() - (start or 0) * src.stride(dim)
        return self.as_strided(src.shape, src.stride(), max(offset, 0))

    def module_load(self, other: Value, assign: bool = False) -> Value:
        """What ``load_state_dict`` puts in the place of this parameter or buffer."""
        return other.detach() if assign else self.detach().copy_(other)

    def resize(self, *sizes: int | Sequence[int]) -> Value:
        """This tensor in another shape of as many elements; ``reshape`` is the newer name."""
        return self.reshape(*sizes)

    def resize_as(self, tensor: Value) -> Value:
        """``resize(tensor.shape)``."""
        return self.reshape(tensor.shape)

    def reinforce(self, reward: object) -> NoReturn:
        """Removed from PyTorch. RuntimeError."""
        raise RuntimeError("reinforce() was removed.\nUse torch.distributions instead.")

    def chalf(self, memory_format: object = None) -> NoReturn:
        """Refused: no tensor has this dtype. TypeError."""
        raise TypeError(
            "flambeau has no tensors of dtype torch.complex32\n  .cfloat() gives torch.complex64"
        )
