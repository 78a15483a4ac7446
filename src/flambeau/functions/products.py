"""Products made of others: tensordot, kron, chains of matrices, bilinear maps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from .. import _dtypes
from .._shapes import broadcast, numel, wrap_dim, wrap_dims
from ..core.mutation import accepts_out
from ..core.value import Value
from ..ops import products
from ..ops._arguments import check_tensor
from ..ops.joining import cat

# ---- two tensors ---------------------------------------------------------------------------


@accepts_out
def outer(input: Value, vec2: Value) -> Value:
    """The products of every element of one vector with every element of another: (n,), (m,) ->
    (n, m)."""
    for v, label in ((input, "self"), (vec2, "vec2")):
        check_tensor("outer", v, label)
        if v._array.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {label}, but got {v._array.ndim}-D")
    return input.unsqueeze(1) * vec2


@accepts_out
def ger(input: Value, vec2: Value) -> Value:
    """Alias of ``outer``."""
    return outer(input, vec2)


@accepts_out
def inner(input: Value, other: Value) -> Value:
    """Sums of products over the last dimension of both: (..., k) x (*, k) -> (..., *).

    A tensor without dimensions multiplies the other one.
    """
    check_tensor("inner", input)
    check_tensor("inner", other, "other")
    a, b = input._array.shape, other._array.shape
    if not a or not b:
        return input * other
    if a[-1] != b[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(a)} and {list(b)}"
        )
    if len(a) == 1 and len(b) == 1:
        return products.dot(input, other)
    return tensordot(input, other, [[-1], [-1]])


@accepts_out
def tensordot(a: Value, b: Value, dims: int | Sequence[Sequence[int]] | Value = 2) -> Value:
    """The sum of products over ``dims``: that many last dimensions of ``a`` with first ones of
    ``b``, or two lists of dimensions that go together.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.tensordot.html
    """
    check_tensor("tensordot", a, "a")
    check_tensor("tensordot", b, "b")
    if isinstance(dims, Value):
        dims = dims.tolist()
    m, n = a._array.ndim, b._array.ndim
    if isinstance(dims, int) or not isinstance(dims[0], (list, tuple)):
        count = dims if isinstance(dims, int) else dims[0]
        if isinstance(dims, int) or len(dims) == 1:
            if count < 0:
                raise RuntimeError(f"tensordot expects dims >= 0, but got dims={count}")
            if count > min(m, n):
                raise RuntimeError(
                    f"tensordot expects dims < ndim_a or ndim_b, but got dims={count}"
                )
            dims = (range(m - count, m), range(count))
        else:
            dims = ([dims[0]], [dims[1]])
    left, right = list(dims[0]), list(dims[1])
    if len(left) != len(right):
        raise RuntimeError("both dimension lists should have same length")
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"both inputs should have same dtype\n  a is {a.dtype!r}, b is {b.dtype!r}"
        )
    left, right = list(wrap_dims(left, m)), list(wrap_dims(right, n))
    for i, j in zip(left, right):
        p, q = a._array.shape[i], b._array.shape[j]
        if p == q:
            continue
        if q == 1:
            a = a.sum(i, True, dtype=a.dtype)
        elif p == 1:
            b = b.sum(j, True, dtype=b.dtype)
        else:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {p} in dim {i} and "
                f"second has size {q} in dim {j}"
            )
    s, t = a._array.shape, b._array.shape
    rest_a = [i for i in range(m) if i not in left]
    rest_b = [j for j in range(n) if j not in right]
    rows, columns = [s[i] for i in rest_a], [t[j] for j in rest_b]
    inside = numel([s[i] for i in left])
    x = a.permute(rest_a + left).reshape(numel(rows), inside)
    y = b.permute(right + rest_b).reshape(inside, numel(columns))
    return products.mm(x, y).reshape(rows + columns)


@accepts_out
def kron(input: Value, other: Value) -> Value:
    """The Kronecker product: every element of ``input`` times the whole of ``other``."""
    check_tensor("kron", input)
    check_tensor("kron", other, "other")
    a, b = input._array.shape, other._array.shape
    n = max(len(a), len(b))
    a, b = (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b
    x = input.reshape([k for size in a for k in (size, 1)])
    y = other.reshape([k for size in b for k in (1, size)])
    return (x * y).reshape([p * q for p, q in zip(a, b)])


# ---- cross products ------------------------------------------------------------------------


@accepts_out
def linalg_cross(input: Value, other: Value, *, dim: int = -1) -> Value:
    """The cross product of vectors of 3 elements along ``dim``; the other dimensions broadcast."""
    check_tensor("linalg.cross", input)
    check_tensor("linalg.cross", other, "other")
    a, b = input._array.shape, other._array.shape
    if len(a) != len(b):
        raise RuntimeError(
            "linalg.cross: inputs must have the same number of dimensions.\n"
            f"  got shapes {a} and {b}"
        )
    dim = wrap_dim(dim, len(a))
    if not a or a[dim] != 3 or b[dim] != 3:
        sizes = (a[dim], b[dim]) if a else (1, 1)
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {sizes[0]} and "
            f"{sizes[1]}"
        )
    shape = broadcast(a, b)
    if input.dtype is not other.dtype:
        d = _dtypes.promote_types(input.dtype, other.dtype)
        input, other = input.to(d), other.to(d)
    if input.dtype is _dtypes.bool_:
        raise NotImplementedError("\"cross\" not implemented for 'Bool'")
    x = input if a == shape else input.expand(shape)
    y = other if b == shape else other.expand(shape)
    return products.cross_op(x, y, dim)


@accepts_out
def cross(input: Value, other: Value, dim: int | None = None) -> Value:
    """The cross product along ``dim``; None means the first dimension of size 3 (deprecated)."""
    if dim is None:
        check_tensor("cross", input)
        dim = next((i for i, n in enumerate(input._array.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError(
                f"no dimension of size 3 in input\n  its shape is {input._array.shape}"
            )
        warnings.warn(
            "Using torch.cross without specifying the dim arg is deprecated; give dim, or use "
            "torch.linalg.cross, whose default is the last dimension",
            UserWarning,
            stacklevel=3,
        )
    return linalg_cross(input, other, dim=dim)


# ---- chains of matrices --------------------------------------------------------------------


def _best_splits(sizes: list[int]) -> list[list[int]]:
    """Where to split each range of a chain so that it takes the fewest multiplications.

    Matrix i is (sizes[i], sizes[i + 1]). Source: Cormen et al., Introduction to Algorithms,
    section 15.2, matrix-chain multiplication.
    """
    n = len(sizes) - 1
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length - 1
            cost[i][j], split[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )
    return split


@accepts_out
def multi_dot(tensors: Sequence[Value]) -> Value:
    """The product of a chain of matrices in the order that takes the fewest multiplications.

    The first may be a row vector and the last a column vector.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.linalg.multi_dot.html
    """
    tensors = list(tensors)
    n = len(tensors)
    if n < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {n}")
    for i, t in enumerate(tensors):
        check_tensor("multi_dot", t, f"tensors[{i}]")
        ends = {0: "first", n - 1: "last"}
        if t._array.ndim != 2 and not (i in ends and t._array.ndim == 1):
            which = f"the {ends[i]} tensor" if i in ends else f"tensor {i}"
            need = "1D or 2D" if i in ends else "2D"
            raise RuntimeError(f"multi_dot(): {which} must be {need} but got {t._array.ndim}D")
        if t.dtype is not tensors[0].dtype:
            raise RuntimeError(
                "multi_dot(): all tensors must have be the same dtype but tensor 0 is "
                f"{tensors[0].dtype.name} and tensor {i} {t.dtype.name}"
            )
    row, column = tensors[0]._array.ndim == 1, tensors[-1]._array.ndim == 1
    if row:
        tensors[0] = tensors[0].unsqueeze(0)
    if column:
        tensors[-1] = tensors[-1].unsqueeze(1)
    for i in range(n - 1):
        a, b = tensors[i]._array.shape, tensors[i + 1]._array.shape
        if a[1] != b[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(a)} and {list(b)} "
                "cannot be multiplied"
            )
    sizes = [t._array.shape[0] for t in tensors] + [tensors[-1]._array.shape[1]]
    split = _best_splits(sizes)

    def product(i: int, j: int) -> Value:
        if i == j:
            return tensors[i]
        k = split[i][j]
        return products.mm(product(i, k), product(k + 1, j))

    r = product(0, n - 1)
    if row:
        r = r.squeeze(0)
    return r.squeeze(-1) if column else r


def chain_matmul(*matrices: Value, out: Value | None = None) -> Value:
    """The product of a chain of matrices (deprecated: ``linalg.multi_dot``)."""
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = tuple(matrices[0])
    for m in matrices:
        check_tensor("chain_matmul", m, "matrices")
        if m._array.ndim != 2:
            raise RuntimeError(
                f"chain_matmul(): Tensor dimension is {m._array.ndim}, expected 2 instead"
            )
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    if len(matrices) == 1:
        return matrices[0]
    return multi_dot(matrices, out=out)


# ---- more ----------------------------------------------------------------------------------


@accepts_out
def vecdot(x: Value, y: Value, *, dim: int = -1) -> Value:
    """The sum of ``conj(x) * y`` over ``dim``; the other dimensions broadcast."""
    check_tensor("linalg.vecdot", x, "x")
    check_tensor("linalg.vecdot", y, "y")
    if x.dtype.category < _dtypes.FLOATING or y.dtype.category < _dtypes.FLOATING:
        if _dtypes.BOOL in (x.dtype.category, y.dtype.category):
            raise NotImplementedError("\"vecdot\" not implemented for 'Bool'")
    if x.dtype is not y.dtype:
        raise RuntimeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, but got {x.dtype!r} and "
            f"{y.dtype!r}"
        )
    return (products.conj(x) * y).sum(dim)


@accepts_out
def vander(x: Value, N: int | None = None, increasing: bool = False) -> Value:
    """The powers of a vector's elements as columns: ``x^(N-1) ... x^1 x^0``, or the other way."""
    check_tensor("vander", x, "x")
    if x._array.ndim != 1:
        raise RuntimeError(f"x must be a one-dimensional tensor.\n  its shape is {x._array.shape}")
    n = x._array.shape[0] if N is None else N
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    d = x.dtype
    if d.category < _dtypes.FLOATING:
        x = x.to(_dtypes.int64)
    powers = _powers(x, n)
    return powers if increasing else powers.flip(1)


@accepts_out
def linalg_vander(x: Value, *, N: int | None = None) -> Value:
    """The powers ``1 x x^2 ... x^(N-1)`` of the last dimension's elements, in a new last one."""
    check_tensor("linalg.vander", x, "x")
    if x.dtype is _dtypes.bool_:
        raise RuntimeError("linalg.vander: powers of bool tensors are not defined")
    if N is None:
        N = x._array.shape[-1] if x._array.ndim else 1
    if N <= 1:
        raise RuntimeError(f"N must be greater than 1, but got {N}")
    if x.dtype.category < _dtypes.FLOATING:
        x = x.to(_dtypes.int64)
    return _powers(x if x._array.ndim else x.unsqueeze(0), N)


def _powers(x: Value, n: int) -> Value:
    """``x^0 ... x^(n-1)`` in a new last dimension."""
    column = x.unsqueeze(-1)
    shape = x._array.shape
    if n == 0:
        return x.new_zeros((*shape, 0))
    ones = x.new_ones((*shape, 1))
    if n == 1:
        return ones
    return cat((ones, column.expand(*shape, n - 1).cumprod(-1)), -1)


def bilinear(input1: Value, input2: Value, weight: Value, bias: Value | None = None) -> Value:
    """``x1^T A_k x2 + b_k`` for every k: (..., n), (..., m), weight (o, n, m) -> (..., o)."""
    for v, label in ((input1, "input1"), (input2, "input2"), (weight, "weight")):
        check_tensor("bilinear", v, label)
    a, b, w = input1._array.shape, input2._array.shape, weight._array.shape
    if len(a) != len(b) or a[:-1] != b[:-1]:
        raise RuntimeError(
            f"bilinear(): input dimensions do not match: got {list(a)} and {list(b)}"
        )
    if len(w) != 3 or a[-1] != w[1] or b[-1] != w[2]:
        which = 1 if len(w) != 3 or a[-1] != w[1] else 2
        raise RuntimeError(
            f"bilinear(): input{which} size does not match weight size: got "
            f"{(a, b)[which - 1][-1]} but expected {w[which] if len(w) > which else w}"
        )
    if bias is not None and bias._array.shape != (w[0],):
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {list(bias._array.shape)} but "
            f"expected {w[0]}"
        )
    rows = numel(a[:-1])
    x, y = input1.reshape(rows, a[-1]), input2.reshape(rows, b[-1])
    # (rows, n) x (n, o m) -> (rows, o, m), then the rows' products with y.
    left = products.mm(x, weight.permute(1, 0, 2).reshape(w[1], w[0] * w[2]))
    r = products.bmm(left.reshape(rows, w[0], w[2]), y.unsqueeze(2)).reshape(*a[:-1], w[0])
    return r if bias is None else r + bias


__all__ = [
    "bilinear", "chain_matmul", "cross", "ger", "inner", "kron", "outer", "tensordot", "vander",
]  # fmt: skip
