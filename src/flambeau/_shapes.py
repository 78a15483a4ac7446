"""Shapes as plain tuples of integers: pure functions, no arrays."""

from __future__ import annotations

from collections.abc import Sequence

Shape = tuple[int, ...]


def wrap_dim(dim: int, ndim: int, *, scalar_ok: bool = True) -> int:
    """``dim`` counted from the front. IndexError outside ``[-ndim, ndim - 1]``.

    A 0-dim tensor takes 0 and -1, as if it had one dimension.
    """
    limit = ndim if ndim or not scalar_ok else 1
    if -limit <= dim < limit:
        return dim + limit if dim < 0 else dim
    if not limit:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    raise IndexError(
        "Dimension out of range (expected to be in range of "
        f"[{-limit}, {limit - 1}], but got {dim})"
    )


def wrap_dims(dims: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """``dims`` counted from the front, each once; None means all. RuntimeError for repeats."""
    if dims is None:
        return tuple(range(ndim))
    if isinstance(dims, int):
        dims = (dims,)
    wrapped = tuple(wrap_dim(int(d), ndim) for d in dims)
    if len(set(wrapped)) != len(wrapped):
        twice = next(d for d in wrapped if wrapped.count(d) > 1)
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    return wrapped if ndim else ()


def broadcast(*shapes: Shape) -> Shape:
    """The shape that all ``shapes`` stretch to. RuntimeError where sizes differ and none is 1."""
    longest = max((len(s) for s in shapes), default=0)
    result = [1] * longest
    for shape in shapes:
        offset = longest - len(shape)
        for i, n in enumerate(shape):
            if n == 1 or n == result[offset + i]:
                continue
            if result[offset + i] != 1:
                raise broadcast_error(shapes, offset + i, result[offset + i], n)
            result[offset + i] = n
    return tuple(result)


def broadcast_error(shapes: Sequence[Shape], dim: int, a: int, b: int) -> RuntimeError:
    """What PyTorch says of shapes that do not stretch to one another, with the rule and a hint."""
    text = (
        f"The size of tensor a ({a}) must match the size of tensor b ({b}) "
        f"at non-singleton dimension {dim}\n"
        f"  shapes {' and '.join(str(tuple(s)) for s in shapes)}: "
        "aligned at the right, sizes must be equal or 1"
    )
    if len(shapes) == 2:
        left, right = shapes
        for name, s, other in (("first", left, right), ("second", right, left)):
            if len(s) == 1 and len(other) > 1 and s[0] in other[:-1]:
                text += f"; did you mean {name}.unsqueeze(-1)?"
                break
    return RuntimeError(text)


def numel(shape: Sequence[int]) -> int:
    """The number of elements of a shape: the product of its sizes."""
    n = 1
    for size in shape:
        n *= size
    return n


def contiguous_strides(shape: Shape) -> Shape:
    """Strides in elements of a row-major tensor; a size of 0 counts as 1, as in PyTorch."""
    strides = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def infer_view(shape: Sequence[int], count: int) -> Shape:
    """``shape`` with its -1 filled in so that it holds ``count`` elements. RuntimeError if none."""
    known, hole = 1, None
    for i, n in enumerate(shape):
        if n == -1:
            if hole is not None:
                raise RuntimeError("only one dimension can be inferred")
            hole = i
        elif n < 0:
            raise RuntimeError(f"invalid shape dimension {n} at index {i} of shape {list(shape)}")
        else:
            known *= n
    if hole is None:
        if known != count:
            raise RuntimeError(
                f"shape '{list(shape)}' is invalid for input of size {count}\n"
                f"  {' * '.join(map(str, shape)) or '1'} = {known} elements, but there are {count}"
            )
        return tuple(shape)
    if known == 0 and count == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the "
            "unspecified dimension size -1 can be any value and is ambiguous"
        )
    if known == 0 or count % known:
        raise RuntimeError(
            f"shape '{list(shape)}' is invalid for input of size {count}\n"
            f"  the given sizes multiply to {known}, which does not divide {count}"
        )
    return tuple(count // known if n == -1 else n for n in shape)
