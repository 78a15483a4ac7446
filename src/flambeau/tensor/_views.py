"""Methods of tensors: views, and joining and repeating."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.value import Value
from ..ops import joining, views


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
    select = views.select
    narrow = views.narrow
    as_strided = views.as_strided
    as_strided_scatter = views.as_strided_scatter
    split = views.split
    split_with_sizes = views.split_with_sizes
    chunk = views.chunk
    unsafe_chunk = views.unsafe_chunk
    unsafe_split = views.unsafe_split
    unsafe_split_with_sizes = views.unsafe_split_with_sizes
    tensor_split = views.tensor_split
    hsplit = views.hsplit
    vsplit = views.vsplit
    dsplit = views.dsplit
    unbind = views.unbind
    diagonal = views.diagonal
    unfold = views.unfold
    view_as_real = views.view_as_real
    view_as_complex = views.view_as_complex

    def reshape(self, *shape: int | Sequence[int]) -> Value:
        """``reshape(2, 3)`` or ``reshape((2, 3))``: a view where there is one, else a copy."""
        if len(shape) == 1 and shape[0].__class__ is not int:
            shape = shape[0]
        return views.reshape(self, shape)

    def permute(self, *dims: int | Sequence[int]) -> Value:
        """``permute(1, 0)`` or ``permute((1, 0))``: the dimensions in that order."""
        return views.permute(self, dims[0] if len(dims) == 1 else dims)

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
        return views.adjoint(self)

    @property
    def real(self) -> Value:
        """The real part; of a real tensor, the tensor itself."""
        return views.real(self)

    @property
    def imag(self) -> Value:
        """The imaginary part of a complex tensor."""
        return views.imag(self)
