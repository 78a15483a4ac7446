"""Views: another shape of the same memory. Results share storage with their operand.

Gradients of views are views of the gradient; none keeps an array.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import _shapes
from .._dtypes import dtype
from .._shapes import infer_view, wrap_dim, wrap_dims
from ..core.layout import broadcast
from ..core.op import define
from ..core.value import Value
from ..core.views import view as view_record
from ..core.views import view_of
from ._arguments import check_tensor, dimension, integers
from .geometry import view_dtype
from .memory import clone_op, contiguous_format

ndarray = np.ndarray

# ---- view and reshape ----------------------------------------------------------------------

_view = view_record("view", ndarray.reshape, lambda g, shape, *a: g.reshape(shape))
_alias = view_record("alias", lambda a: a[...], lambda g, shape: g)
_VIEW = _view.op


def _reshaped(x: ndarray, shape: tuple[int, ...]) -> ndarray:
    return x.reshape(shape)


_unsafe_view = define("_unsafe_view", _reshaped, {"x": lambda g, x_shape: g.reshape(x_shape)})


def view(self: Value, *shape: int | Sequence[int] | dtype, **named: object) -> Value:
    """The same elements in another shape (one size may be -1), or as another dtype.

    RuntimeError where that cannot be done without a copy; ``reshape`` copies then.
    """
    if not shape and named:
        shape = (named.pop("dtype", None) or named.pop("size"),)
    if len(shape) == 1 and shape[0].__class__ is not int:
        if isinstance(shape[0], dtype):
            return view_dtype(self, shape[0])
        shape = integers("view", shape)
    a = self._array
    if a.flags.c_contiguous:
        try:
            if min(shape) >= -1:
                return view_of(self, a.reshape(shape), _VIEW, ())
        except (ValueError, TypeError):
            pass
        sizes = integers("view", shape)
        return view_of(self, a.reshape(infer_view(sizes, a.size)), _VIEW, ())
    sizes = infer_view(integers("view", shape), a.size)
    try:
        return view_of(self, a.reshape(sizes, copy=False), _VIEW, ())
    except ValueError:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead.\n"
            f"  size {list(a.shape)} with strides {list(self.stride())} has no view of size "
            f"{list(sizes)}"
        ) from None


def reshape(input: Value, shape: Sequence[int]) -> Value:
    """``input`` in another shape (one size may be -1): a view where there is one, else a copy."""
    check_tensor("reshape", input)
    a = input._array
    try:
        if shape and min(shape) >= -1:
            return view_of(input, a.reshape(shape, copy=False), _VIEW, ())
    except (ValueError, TypeError):
        pass
    sizes = infer_view(integers("reshape", (shape,)), a.size)
    try:
        return view_of(input, a.reshape(sizes, copy=False), _VIEW, ())
    except ValueError:
        return _unsafe_view(clone_op(input, contiguous_format), sizes)


def view_as(self: Value, other: Value) -> Value:
    """A view of the shape of ``other``."""
    return view(self, other._array.shape)


def reshape_as(self: Value, other: Value) -> Value:
    """``reshape`` to the shape of ``other``."""
    return reshape(self, other._array.shape)


def flatten(input: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    """Dimensions ``start_dim`` to ``end_dim``, both included, made one."""
    check_tensor("flatten", input)
    shape = input._array.shape
    start = dimension("flatten", start_dim, len(shape))
    end = dimension("flatten", end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return reshape(input, (1,))
    if start == end:
        return input
    joined = _shapes.numel(shape[start : end + 1])
    return reshape(input, (*shape[:start], joined, *shape[end + 1 :]))


def ravel(input: Value) -> Value:
    """All dimensions made one; a copy only where a view cannot be had."""
    check_tensor("ravel", input)
    if input._array.ndim == 1 and input._array.flags.c_contiguous:
        return input
    return reshape(input, (-1,) if input._array.size else (0,))


def unflatten(input: Value, dim: int | str, sizes: Sequence[int]) -> Value:
    """Dimension ``dim`` split into ``sizes`` (one may be -1)."""
    check_tensor("unflatten", input)
    shape = input._array.shape
    d = dimension("unflatten", dim, len(shape))
    sizes = integers("unflatten", (sizes,))
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    known = _shapes.numel([n for n in sizes if n != -1])
    holes = sum(n == -1 for n in sizes)
    n = shape[d] if shape else 1
    if holes > 1:
        raise RuntimeError("only one dimension can be inferred")
    if (holes and (known == 0 or n % known)) or (not holes and known != n):
        text = "one possibly -1 " if holes else ""
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {d} "
            f"({n}) in the input tensor\n  {text}sizes multiply to {known}"
        )
    return reshape(input, (*shape[:d], *infer_view(sizes, n), *shape[d + 1 :]))


# ---- order of dimensions -------------------------------------------------------------------


def _inverse(dims: tuple[int, ...]) -> list[int]:
    back = [0] * len(dims)
    for i, d in enumerate(dims):
        back[d] = i
    return back


_permute = view_record("permute", ndarray.transpose, lambda g, shape, d: g.permute(_inverse(d)))
_transpose = view_record("transpose", ndarray.swapaxes, lambda g, shape, i, j: g.transpose(i, j))
_t = view_record("t", lambda a: a.T, lambda g, shape: g.t())


def permute(input: Value, dims: Sequence[int]) -> Value:
    """The dimensions in the order ``dims``: result dimension i is dimension ``dims[i]``."""
    check_tensor("permute", input)
    dims = integers("permute", (dims,))
    n = input._array.ndim
    if len(dims) != n:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {n} is not equal to "
            f"len(dims) = {len(dims)}"
        )
    wrapped = tuple([wrap_dim(d, n) for d in dims])
    if len(set(wrapped)) != n:
        raise RuntimeError(
            f"permute(): duplicate dims are not allowed.\n  dims {list(dims)} must name each of "
            f"the {n} dimensions once"
        )
    return _permute(input, wrapped)


def transpose(input: Value, dim0: int, dim1: int) -> Value:
    """Dimensions ``dim0`` and ``dim1`` exchanged."""
    check_tensor("transpose", input)
    n = input._array.ndim
    i, j = dimension("transpose", dim0, n), dimension("transpose", dim1, n)
    if not n:
        return _alias(input)
    return _transpose(input, i, j)


def t(input: Value) -> Value:
    """The transpose of a matrix; tensors of fewer dimensions as they are."""
    check_tensor("t", input)
    n = input._array.ndim
    if n > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {n}D\n"
            "  use transpose(dim0, dim1), permute(...) or mT"
        )
    return _t(input) if n == 2 else _alias(input)


def movedim(input: Value, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """Dimensions ``source`` put at positions ``destination``; the others keep their order."""
    check_tensor("movedim", input)
    n = input._array.ndim
    src = (source,) if isinstance(source, int) else tuple(source)
    dst = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(src) != len(dst):
        raise RuntimeError(
            "movedim: Invalid source or destination dims: source "
            f"({list(src)} dims) should contain the same number of dims as destination "
            f"({list(dst)} dims)"
        )
    src = [wrap_dim(d, n) for d in src]
    dst = [wrap_dim(d, n) for d in dst]
    for name, dims in (("source", src), ("destination", dst)):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({dims})")
    if not n:
        return _alias(input)
    order = [d for d in range(n) if d not in src]
    for d, s in sorted(zip(dst, src)):
        order.insert(d, s)
    return _permute(input, tuple(order))


def swapaxes(input: Value, axis0: int, axis1: int) -> Value:
    """``transpose`` by NumPy's name."""
    return transpose(input, axis0, axis1)


def swapdims(input: Value, dim0: int, dim1: int) -> Value:
    """The same as ``transpose``."""
    return transpose(input, dim0, dim1)


def moveaxis(input: Value, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """``movedim`` by NumPy's name."""
    return movedim(input, source, destination)


def adjoint(input: Value) -> Value:
    """The conjugate transpose of the last two dimensions."""
    return conjugate_transpose(input, "adjoint()")


def conjugate_transpose(input: Value, name: str = "mH") -> Value:
    """``mH``: ``adjoint``. RuntimeError, which names ``name``, below two dimensions."""
    n = input._array.ndim
    if n < 2:
        raise RuntimeError(
            f"tensor.{name} is only supported on matrices or batches of matrices. Got {n}-D tensor."
        )
    turned = transpose(input, -2, -1)
    return turned.conj() if input._array.dtype.kind == "c" else turned


def matrix_transpose(input: Value) -> Value:
    """``mT``: the last two dimensions exchanged. RuntimeError below two dimensions."""
    n = input._array.ndim
    if n < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {n}-D tensor."
        )
    return _transpose(input, n - 2, n - 1)


def reversed_dims(input: Value) -> Value:
    """``T``: all dimensions in reverse order."""
    return _permute(input, tuple(range(input._array.ndim))[::-1])


def hermitian(input: Value) -> Value:
    """``H``: the conjugate transpose of a matrix. RuntimeError unless there are 2 dimensions."""
    n = input._array.ndim
    if n not in (0, 2):
        raise RuntimeError(
            "tensor.H is only supported on matrices (2-D tensors). "
            f"Got {n}-D tensor.\n  For batches of matrices use tensor.mH"
        )
    if n == 0:
        return _alias(input)
    return adjoint(input)


# ---- size-1 dimensions ---------------------------------------------------------------------

_unsqueeze = view_record("unsqueeze", ndarray.reshape, lambda g, shape, s: g.reshape(shape))
_squeeze = view_record("squeeze", ndarray.squeeze, lambda g, shape: g.reshape(shape))
_squeeze_dims = view_record("squeeze", ndarray.squeeze, lambda g, shape, dims: g.reshape(shape))
_squeeze_dims.op.grad_name = "SqueezeBackward1"
_squeeze_several = view_record("squeeze", ndarray.squeeze, lambda g, shape, dims: g.reshape(shape))
_squeeze_several.op.grad_name = "SqueezeBackward2"


def unsqueeze(input: Value, dim: int) -> Value:
    """A dimension of size 1 inserted before dimension ``dim``."""
    check_tensor("unsqueeze", input)
    shape = input._array.shape
    d = dimension("unsqueeze", dim, len(shape) + 1)
    return _unsqueeze(input, (*shape[:d], 1, *shape[d:]))


def squeeze(input: Value, dim: int | Sequence[int] | None = None) -> Value:
    """Without the dimensions of size 1: all of them, or those among ``dim``."""
    check_tensor("squeeze", input)
    shape = input._array.shape
    if dim is None:
        return _squeeze(input)
    if isinstance(dim, (tuple, list)):
        dims = wrap_dims(dim, len(shape))
        return _squeeze_several(input, tuple([d for d in dims if shape[d] == 1]))
    d = dimension("squeeze", dim, len(shape))
    return _squeeze_dims(input, (d,) if shape and shape[d] == 1 else ())


# ---- stretching ----------------------------------------------------------------------------

_expand = view_record("expand", broadcast, lambda g, shape, s: g.sum_to_size(shape))


def expand(self: Value, *size: int | Sequence[int], implicit: bool = False) -> Value:
    """Dimensions of size 1 stretched to ``size`` without a copy; -1 keeps a size.

    New dimensions may be added in front. RuntimeError where a size is neither 1 nor as wanted.
    """
    sizes = integers("expand", size)
    shape = self._array.shape
    lead = len(sizes) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"expand(torch.{self.dtype.legacy_name}Tensor{{{list(shape)}}}, size={list(sizes)}): "
            f"the number of sizes provided ({len(sizes)}) must be greater or equal to the number "
            f"of dimensions in the tensor ({len(shape)})"
        )
    target = list(sizes)
    for i, n in enumerate(sizes):
        if i < lead:
            if n < 0:
                raise RuntimeError(
                    f"The expanded size of the tensor ({n}) isn't allowed in a leading, "
                    f"non-existing dimension {i}"
                )
            continue
        own = shape[i - lead]
        if n == -1:
            target[i] = own
        elif n != own and (own != 1 or n < 0):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({own}) at "
                f"non-singleton dimension {i}.  Target sizes: {list(sizes)}.  "
                f"Tensor sizes: {list(shape)}"
            )
    return _expand(self, tuple(target))


def expand_as(self: Value, other: Value) -> Value:
    """``self`` stretched to the shape of ``other``."""
    return expand(self, other._array.shape)


def broadcast_to(input: Value, size: Sequence[int]) -> Value:
    """``input`` stretched to ``size``; the same as ``expand``."""
    return expand(input, size)


__all__ = [
    "adjoint", "broadcast_to", "flatten", "moveaxis", "movedim", "permute", "ravel", "reshape",
    "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten", "unsqueeze",
]  # fmt: skip
