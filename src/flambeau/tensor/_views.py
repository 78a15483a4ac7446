"""Methods of tensors: views, and joining and repeating."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..core.mutation import check_writable, inplace
from ..core.value import Value
from ..ops import pieces, rearranging, views


def reshaped_in_place(function: Callable[..., Value]) -> Callable[..., Value]:
    """The method that makes this tensor what the view ``function(self, ...)`` is."""

    def method(self: Value, *args: object, **kwargs: object) -> Value:
        view = function(self, *args, **kwargs)
        check_writable(self, method.__name__, view._edge is not None)
        self._array = view._array
        self._edge = view._edge
        self.counter().bump(method.__name__)
        return self

    method.__name__ = method.__qualname__ = function.__name__ + "_"
    method.__doc__ = (
        f"In-place version of ``{function.__name__}``: the memory stays, its shape not."
    )
    return method


class ViewMethods:
    """Methods of tensors: views, and joining and repeating."""

    __slots__ = ()

    view = views.view
    view_as = views.view_as
    reshape_as = views.reshape_as
    flatten = views.flatten
    ravel = views.ravel
    unflatten = views.unflatten
    expand = views.expand
    expand_as = views.expand_as
    broadcast_to = views.broadcast_to
    transpose = views.transpose
    swapaxes = views.swapaxes
    swapdims = views.swapdims
    movedim = views.movedim
    moveaxis = views.moveaxis
    t = views.t
    adjoint = views.adjoint
    squeeze = views.squeeze
    unsqueeze = views.unsqueeze
    select = pieces.select
    narrow = pieces.narrow
    as_strided = views.as_strided
    as_strided_scatter = views.as_strided_scatter
    split = pieces.split
    split_with_sizes = pieces.split_with_sizes
    chunk = pieces.chunk
    unsafe_chunk = pieces.unsafe_chunk
    unsafe_split = pieces.unsafe_split
    unsafe_split_with_sizes = pieces.unsafe_split_with_sizes
    tensor_split = pieces.tensor_split
    hsplit = pieces.hsplit
    vsplit = pieces.vsplit
    dsplit = pieces.dsplit
    unbind = pieces.unbind
    diagonal = pieces.diagonal
    unfold = pieces.unfold
    view_as_real = views.view_as_real
    view_as_complex = views.view_as_complex

    repeat = rearranging.repeat
    repeat_interleave = rearranging.repeat_interleave
    fill_diagonal_ = rearranging.fill_diagonal_
    tril = rearranging.tril
    tril_ = inplace(rearranging.tril)
    triu = rearranging.triu
    triu_ = inplace(rearranging.triu)
    diag = rearranging.diag
    diag_embed = rearranging.diag_embed
    diagflat = rearranging.diagflat
    fliplr = rearranging.fliplr
    flipud = rearranging.flipud
    rot90 = rearranging.rot90
    roll = rearranging.roll

    def flip(self, *dims: int | Sequence[int]) -> Value:
        """``flip(0, 1)`` or ``flip((0, 1))``: a copy with those dimensions in reverse order."""
        return rearranging.flip(self, dims[0] if len(dims) == 1 else dims)

    def tile(self, *dims: int | Sequence[int]) -> Value:
        """``tile(2, 3)`` or ``tile((2, 3))``: ``repeat`` with missing counts of 1 in front."""
        return rearranging.tile(self, dims[0] if len(dims) == 1 else dims)

    def reshape(self, *shape: int | Sequence[int]) -> Value:
        """``reshape(2, 3)`` or ``reshape((2, 3))``: a view where there is one, else a copy."""
        if len(shape) == 1 and shape[0].__class__ is not int:
            shape = shape[0]
        return views.reshape(self, shape)

    def permute(self, *dims: int | Sequence[int]) -> Value:
        """``permute(1, 0)`` or ``permute((1, 0))``: the dimensions in that order."""
        return views.permute(self, dims[0] if len(dims) == 1 else dims)

    def narrow_copy(self, dim: int, start: int, length: int) -> Value:
        """``narrow`` in memory of its own."""
        return pieces.narrow(self, dim, start, length).clone()

    def is_same_size(self, other: Value) -> bool:
        """Whether both tensors have the same shape."""
        return self._array.shape == other._array.shape

    def is_nonzero(self) -> bool:
        """Whether the only element is not zero. RuntimeError unless there is exactly one."""
        return bool(self)

    @property
    def T(self) -> Value:
        """All dimensions in reverse order."""
        return views.reversed_dims(self)

    @property
    def mT(self) -> Value:
        """The last two dimensions exchanged."""
        return views.matrix_transpose(self)

    @property
    def H(self) -> Value:
        """The conjugate transpose of a matrix."""
        return views.hermitian(self)

    @property
    def mH(self) -> Value:
        """The conjugate transpose of the last two dimensions."""
        return views.conjugate_transpose(self)

    @property
    def real(self) -> Value:
        """The real part; of a real tensor, the tensor itself."""
        return views.real(self)

    @property
    def imag(self) -> Value:
        """The imaginary part of a complex tensor."""
        return views.imag(self)

    transpose_ = reshaped_in_place(views.transpose)
    swapaxes_ = reshaped_in_place(views.swapaxes)
    swapdims_ = reshaped_in_place(views.swapdims)
    t_ = reshaped_in_place(views.t)
    squeeze_ = reshaped_in_place(views.squeeze)
    unsqueeze_ = reshaped_in_place(views.unsqueeze)
    as_strided_ = reshaped_in_place(views.as_strided)
