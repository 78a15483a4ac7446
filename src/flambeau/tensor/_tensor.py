"""The Tensor class: what a tensor tells about itself, and where its methods come from."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import numpy as np

from .. import _dtypes
from ..core.tape import Leaf
from ..core.value import Value, new, use
from . import _creation
from ._autograd import AutogradMethods
from ._conversion import ConversionMethods, DtypeMethods
from ._device import CPU, CUDA, META, Size, device, layout, place_of, strided
from ._elementwise import ElementwiseMethods
from ._methods import IndexingMethods, ProductMethods, ReductionMethods
from ._printing import text_of
from ._random import RandomMethods
from ._storage import StorageMethods
from ._views import ViewMethods

# The methods of _further.py, which is loaded when one of them is first asked for.
NAMES = """
    erf erf_ erfc erfc_ erfinv erfinv_ lgamma lgamma_ digamma digamma_ sinc sinc_ i0 i0_
    igamma igamma_ igammac igammac_ mvlgamma mvlgamma_ xlogy xlogy_ polygamma polygamma_
    apply_ map_ map2_
    relu relu_ hardshrink prelu angle conj conj_physical conj_physical_ var std norm dist
    renorm renorm_ median nanmedian mode kthvalue quantile nanquantile diff sort argsort
    msort topk unique unique_consecutive bincount histc histogram cov corrcoef cumsum
    cumsum_ cumprod cumprod_ cummax cummin logcumsumexp log_softmax softmax addbmm addbmm_
    addmm addmm_ addmv addmv_ addr addr_ baddbmm baddbmm_ cross ger inner kron outer
    cholesky cholesky_inverse cholesky_solve det geqrf inverse istft logdet lu lu_solve matrix_exp
    matrix_power orgqr ormqr pinverse qr slogdet stft svd triangular_solve scatter scatter_
    scatter_add scatter_add_ scatter_reduce scatter_reduce_ index_add index_add_ index_copy
    index_copy_ index_fill index_fill_ index_reduce index_reduce_ put put_ masked_scatter
    masked_scatter_ select_scatter slice_scatter diagonal_scatter multinomial
    share_memory_ is_shared
    coalesce indices is_coalesced values crow_indices col_indices ccol_indices row_indices
    sparse_mask sparse_resize_ sparse_resize_and_clear_ resize_as_sparse_ smm sspaddmm
    to_sparse_csc to_sparse_bsr to_sparse_bsc to_padded_tensor to_mkldnn q_scale q_zero_point
    qscheme q_per_channel_axis int_repr q_per_channel_scales q_per_channel_zero_points xpu ipu
    mtia nonzero_static sparse_dim dense_dim dequantize dim_order is_distributed record_stream
    const_data_ptr storage_type slice_inverse module_load resize resize_as reinforce chalf
"""


class _Later:
    """The place of a method of _further.py until the first access, which loads them all."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, tensor: Tensor | None, cls: type[Tensor]) -> object:
        methods = importlib.import_module("._further", __package__).FurtherMethods
        found = {n: v for c in reversed(methods.__mro__) for n, v in vars(c).items()}
        for name in NAMES.split():
            setattr(Tensor, name, found[name])
        return getattr(cls if tensor is None else tensor, self.name)


if TYPE_CHECKING:
    from ._further import FurtherMethods
else:
    _places = {name: _Later(name) for name in NAMES.split()}
    FurtherMethods = type("FurtherMethods", (), {"__slots__": (), **_places})


class Tensor(
    ElementwiseMethods,
    ReductionMethods,
    ViewMethods,
    IndexingMethods,
    ProductMethods,
    RandomMethods,
    AutogradMethods,
    ConversionMethods,
    StorageMethods,
    DtypeMethods,
    FurtherMethods,
    Value,
):
    """An n-dimensional array of one dtype that remembers how it was computed.

    ``Tensor(2, 3)`` and ``Tensor([1.0, 2.0])`` are PyTorch's legacy constructors of the default
    dtype; ``tensor(data)`` is the one to use.
    Source: https://docs.pytorch.org/docs/stable/tensors.html
    """

    __slots__ = ()

    def __new__(cls, *args: object, device: object = None) -> Tensor:
        made = legacy(_dtypes.get_default_dtype(), args)
        return made if cls is Tensor else made.as_subclass(cls)

    # ---- what it is ------------------------------------------------------------------------

    @property
    def dtype(self) -> _dtypes.dtype:
        """The type of the elements."""
        return _dtypes.from_numpy(self._array.dtype)

    @property
    def shape(self) -> Size:
        """The size of every dimension."""
        return Size(self._array.shape)

    def size(self, dim: int | None = None) -> Size | int:
        """The shape, or the size of dimension ``dim``."""
        if dim is None:
            return Size(self._array.shape)
        shape = self._array.shape
        n = len(shape)
        if not -n <= dim < n:
            raise IndexError(
                "Dimension out of range (expected to be in range of "
                f"[{-n}, {n - 1}], but got {dim})"
                if n
                else f"Dimension specified as {dim} but tensor has no dimensions"
            )
        return shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    ndimension = dim

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self._array.size

    nelement = numel

    @property
    def device(self) -> device:
        """Where the elements are."""
        return place_of(self._array)

    @property
    def layout(self) -> layout:
        """How the elements are stored."""
        return strided

    def get_device(self) -> int:
        """The number of the device: -1 for the CPU."""
        return 0 if self.is_cuda else -1

    @property
    def is_cpu(self) -> bool:
        """Whether the elements are in the CPU's memory."""
        return place_of(self._array) is CPU

    @property
    def is_meta(self) -> bool:
        """Whether there are no elements: shape and dtype only."""
        return place_of(self._array) is META

    @property
    def is_cuda(self) -> bool:
        """Whether the elements are in a GPU's memory."""
        return place_of(self._array) is CUDA

    is_mps = is_xpu = is_sparse = is_quantized = is_nested = False
    is_sparse_csr = is_mkldnn = is_vulkan = is_xla = is_ipu = is_maia = is_mtia = False
    names = None
    name = None

    def is_floating_point(self) -> bool:
        """Whether the dtype is floating: float64, float32, float16, bfloat16 or a float8."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether the dtype is complex."""
        return self._array.dtype.kind == "c"

    def is_signed(self) -> bool:
        """Whether the dtype has negative values."""
        return self.dtype.is_signed

    def is_conj(self) -> bool:
        """Whether conjugation is still to be done: never, it is done at once."""
        return False

    def is_neg(self) -> bool:
        """Whether negation is still to be done: never, it is done at once."""
        return False

    def resolve_conj(self) -> Tensor:
        """This tensor: conjugation is always done at once."""
        return self

    def resolve_neg(self) -> Tensor:
        """This tensor: negation is always done at once."""
        return self

    def as_subclass(self, cls: type[Tensor]) -> Tensor:
        """This tensor's memory and place in the graph as an instance of ``cls``."""
        out = new(cls)
        out._array = self._array
        out._edge = self._edge
        out._shares = self
        return out

    @staticmethod
    def _make_subclass(cls: type[Tensor], data: Tensor, require_grad: bool = False) -> Tensor:
        out = new(cls)
        out._array = data._array
        out._edge = Leaf(out) if require_grad else None
        return out

    def __iter__(self) -> object:
        if not self._array.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        return text_of(self)

    def __format__(self, spec: str) -> str:
        if not self._array.ndim and (spec or type(self) is Tensor) and not self.is_meta:
            return self.item().__format__(spec)
        return object.__format__(self, spec) if spec else str(self)

    def __dir__(self) -> list[str]:
        return sorted(n for n in object.__dir__(self) if n not in ("_array", "_edge"))


use(Tensor)


def legacy(d: _dtypes.dtype, args: tuple) -> Tensor:
    """What ``Tensor(*args)`` makes: sizes give unfilled memory, data a copy as dtype ``d``."""
    if not args:
        return _creation.empty(0, dtype=d, device=CPU)
    if all(isinstance(a, int) and not isinstance(a, bool) for a in args):
        return _creation.empty(args, dtype=d, device=CPU)
    if len(args) > 1:
        raise TypeError(
            f"new(): expected sizes as integers or one sequence of data, got {len(args)} arguments"
        )
    (data,) = args
    if isinstance(data, Size):
        return _creation.empty(data, dtype=d, device=CPU)
    if isinstance(data, Value):
        if data.dtype is not d:
            raise TypeError(
                f"expected {d!r} (got {data.dtype!r}); use .to() or torch.tensor(..., dtype=)"
            )
        return data.detach()
    if isinstance(data, np.ndarray) and _dtypes.from_numpy(data.dtype) is d:
        return _creation.from_numpy(data)
    if isinstance(data, (bool, float, complex)):
        raise TypeError(f"new(): data must be a sequence (got {type(data).__name__})")
    return _creation.tensor(data, dtype=d, device=CPU)


class _LegacyType(type):
    """Makes ``isinstance(x, FloatTensor)`` ask for the dtype."""

    def __instancecheck__(cls, value: object) -> bool:
        return (
            isinstance(value, Tensor)
            and value.dtype is cls.legacy_dtype
            and place_of(value._array) is not CUDA
        )

    def __call__(cls, *args: object, device: object = None) -> Tensor:
        return legacy(cls.legacy_dtype, args)


def _legacy_type(d: _dtypes.dtype) -> _LegacyType:
    doc = f"Legacy constructor of {d.name} tensors: of sizes, or of data."
    name = d.legacy_name + "Tensor"
    return _LegacyType(name, (), {"legacy_dtype": d, "__doc__": doc})


DoubleTensor = _legacy_type(_dtypes.float64)
FloatTensor = _legacy_type(_dtypes.float32)
HalfTensor = _legacy_type(_dtypes.float16)
BFloat16Tensor = _legacy_type(_dtypes.bfloat16)
ByteTensor = _legacy_type(_dtypes.uint8)
CharTensor = _legacy_type(_dtypes.int8)
ShortTensor = _legacy_type(_dtypes.int16)
IntTensor = _legacy_type(_dtypes.int32)
LongTensor = _legacy_type(_dtypes.int64)
BoolTensor = _legacy_type(_dtypes.bool_)
