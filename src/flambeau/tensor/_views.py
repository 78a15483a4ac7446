"""Methods of tensors: views, and joining and repeating."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.value import Value
from ..ops import geometry, pieces, views


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
    as_strided = geometry.as_strided
    as_strided_scatter = geometry.as_strided_scatter
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
    view_as_real = geometry.view_as_real
    view_as_complex = geometry.view_as_complex

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
        return geometry.real(self)

    @property
    def imag(self) -> Value:
        """The imaginary part of a complex tensor."""
        return geometry.imag(self)
