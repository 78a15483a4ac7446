"""Transforms of random variables.

Source: https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.transforms
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

from .._dtypes import finfo
from .._shapes import broadcast
from ..ops.activations import softplus
from ..ops.factorisations import linalg_cholesky
from ..ops.joining import cat, stack
from ..ops.products import matmul
from ..ops.rearranging import diag_embed
from ..tensor._creation import eye, full_like
from ..tensor._device import Size
from ..tensor._tensor import Tensor
from . import constraints
from ._transform import (
    ComposeTransform,
    IndependentTransform,
    Transform,
    identity_transform,
)
from .constraints import Constraint
from .distribution import Distribution
from .utils import _sum_rightmost, lazy_property, tril_matrix_to_vec, vec_to_tril_matrix


def _same_type(self: Transform, other: object) -> bool:
    return isinstance(other, type(self))


class ExpTransform(Transform):
    """y = exp(x)."""

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = 1
    __eq__ = _same_type
    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """x."""
        return x


class PowerTransform(Transform):
    """y = x^exponent for x > 0."""

    domain = constraints.positive
    codomain = constraints.positive
    bijective = True

    def __init__(self, exponent: Tensor | float, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.exponent = exponent

    def with_cache(self, cache_size: int = 1) -> Transform:
        """This transform with another cache."""
        if self._cache_size == cache_size:
            return self
        return PowerTransform(self.exponent, cache_size=cache_size)

    @lazy_property
    def sign(self) -> int | Tensor:
        """That of the exponent."""
        return self.exponent.sign()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PowerTransform) and _all_equal(self.exponent, other.exponent)

    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return x.pow(self.exponent)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |exponent y / x|."""
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Sequence[int]) -> Size:
        return Size(broadcast(tuple(shape), tuple(getattr(self.exponent, "shape", ()))))

    inverse_shape = forward_shape


def _all_equal(one: Tensor | float, other: Tensor | float) -> bool:
    equal = one == other
    return bool(equal.all()) if isinstance(equal, Tensor) else equal


class SigmoidTransform(Transform):
    """y = 1 / (1 + exp(-x)), kept one tiny and one epsilon away from 0 and 1."""

    domain = constraints.real
    codomain = constraints.unit_interval
    bijective = True
    sign = 1
    __eq__ = _same_type
    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        kind = finfo(x.dtype)
        return x.sigmoid().clamp(min=kind.tiny, max=1.0 - kind.eps)

    def _inverse(self, y: Tensor) -> Tensor:
        kind = finfo(y.dtype)
        y = y.clamp(min=kind.tiny, max=1.0 - kind.eps)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """-log(1 + e^-x) - log(1 + e^x)."""
        return -softplus(-x) - softplus(x)


class SoftplusTransform(Transform):
    """y = log(1 + exp(x))."""

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = 1
    __eq__ = _same_type
    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """-log(1 + e^-x)."""
        return -softplus(-x)


class TanhTransform(Transform):
    """y = tanh(x)."""

    domain = constraints.real
    codomain = constraints.interval(-1.0, 1.0)
    bijective = True
    sign = 1
    __eq__ = _same_type
    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log(1 - tanh^2 x) = 2 (log 2 - x - log(1 + e^-2x)), which does not cancel."""
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class AbsTransform(Transform):
    """y = |x|; of the two inverses, the positive one."""

    domain = constraints.real
    codomain = constraints.positive
    __eq__ = _same_type
    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class AffineTransform(Transform):
    """y = loc + scale x, for events of ``event_dim`` dimensions."""

    bijective = True

    def __init__(
        self,
        loc: Tensor | float,
        scale: Tensor | float,
        event_dim: int = 0,
        cache_size: int = 0,
    ) -> None:
        super().__init__(cache_size=cache_size)
        self.loc = loc
        self.scale = scale
        self._event_dim = event_dim

    @property
    def event_dim(self) -> int:
        """Dimensions of an event."""
        return self._event_dim

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Constraint:
        """All numbers."""
        if self.event_dim == 0:
            return constraints.real
        return constraints.independent(constraints.real, self.event_dim)

    codomain = domain

    def with_cache(self, cache_size: int = 1) -> Transform:
        """This transform with another cache."""
        if self._cache_size == cache_size:
            return self
        return AffineTransform(self.loc, self.scale, self.event_dim, cache_size=cache_size)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, AffineTransform)
            and _all_equal(self.loc, other.loc)
            and _all_equal(self.scale, other.scale)
        )

    __hash__ = object.__hash__

    @property
    def sign(self) -> int | Tensor:
        """That of the scale."""
        if isinstance(self.scale, Number):
            return (self.scale > 0) - (self.scale < 0)
        return self.scale.sign()

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |scale|, summed over the event."""
        scale = self.scale
        if isinstance(scale, Number):
            each = full_like(x, math.log(abs(scale)))
        else:
            each = scale.abs().log()
        return _sum_rightmost(each.expand(broadcast(each.shape, x.shape)), self.event_dim)

    def forward_shape(self, shape: Sequence[int]) -> Size:
        for parameter in (self.loc, self.scale):
            shape = broadcast(tuple(shape), tuple(getattr(parameter, "shape", ())))
        return Size(shape)

    inverse_shape = forward_shape


class ReshapeTransform(Transform):
    """y = x with its last dimensions reshaped from ``in_shape`` to ``out_shape``."""

    bijective = True

    def __init__(
        self, in_shape: Sequence[int], out_shape: Sequence[int], cache_size: int = 0
    ) -> None:
        self.in_shape = Size(in_shape)
        self.out_shape = Size(out_shape)
        if self.in_shape.numel() != self.out_shape.numel():
            raise ValueError(
                "in_shape, out_shape have different numbers of elements\n"
                f"  {tuple(in_shape)} has {self.in_shape.numel()}, "
                f"{tuple(out_shape)} has {self.out_shape.numel()}"
            )
        super().__init__(cache_size=cache_size)

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Constraint:
        """Numbers of in_shape."""
        return constraints.independent(constraints.real, len(self.in_shape))

    @constraints.dependent_property(is_discrete=False)
    def codomain(self) -> Constraint:
        """Numbers of out_shape."""
        return constraints.independent(constraints.real, len(self.out_shape))

    def with_cache(self, cache_size: int = 1) -> Transform:
        """This transform with another cache."""
        if self._cache_size == cache_size:
            return self
        return ReshapeTransform(self.in_shape, self.out_shape, cache_size=cache_size)

    def _call(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[: x.dim() - len(self.in_shape)] + self.out_shape)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.reshape(y.shape[: y.dim() - len(self.out_shape)] + self.in_shape)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """0."""
        return x.new_zeros(x.shape[: x.dim() - len(self.in_shape)])

    def forward_shape(self, shape: Sequence[int]) -> Size:
        return _with_event(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        return _with_event(shape, self.out_shape, self.in_shape)


def _with_event(shape: Sequence[int], old: Size, new: Size) -> Size:
    """``shape`` with its end ``old`` exchanged for ``new``."""
    shape = Size(shape)
    if len(shape) < len(old):
        raise ValueError("Too few dimensions on input")
    cut = len(shape) - len(old)
    if shape[cut:] != old:
        raise ValueError(f"Shape mismatch: expected {tuple(shape[cut:])} but got {tuple(old)}")
    return shape[:cut] + new


class SoftmaxTransform(Transform):
    """y = softmax(x) over the last dimension; log y is one of the inverses."""

    domain = constraints.real_vector
    codomain = constraints.simplex
    __eq__ = _same_type
    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return x.softmax(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def forward_shape(self, shape: Sequence[int]) -> Size:
        return _at_least(shape, 1)

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        return _at_least(shape, 1)


def _at_least(shape: Sequence[int], dims: int) -> Sequence[int]:
    if len(shape) < dims:
        raise ValueError(
            f"Too few dimensions on input: shape {tuple(shape)}, at least {dims} needed"
        )
    return shape


class StickBreakingTransform(Transform):
    """[..., n] to a simplex [..., n + 1]: each number breaks its share off what is left.

    z_i = sigmoid(x_i - log(n - i)), y_i = z_i prod_(j<i) (1 - z_j), and y_n the rest.
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True
    __eq__ = _same_type
    __hash__ = object.__hash__

    @staticmethod
    def _offsets(x: Tensor) -> Tensor:
        n = x.shape[-1]
        return n - x.new_ones(n).cumsum(-1) + 1

    def _call(self, x: Tensor) -> Tensor:
        kind = finfo(x.dtype)
        z = (x - self._offsets(x).log()).sigmoid()
        z = z.clamp(min=kind.tiny, max=1.0 - kind.eps)
        left = (1 - z).cumprod(-1)
        ones = x.new_ones((*x.shape[:-1], 1))
        return cat([z, ones], -1) * cat([ones, left], -1)

    def _inverse(self, y: Tensor) -> Tensor:
        head = y[..., :-1]
        left = 1 - head.cumsum(-1)
        left = left.clamp(min=finfo(y.dtype).tiny)
        return head.log() - left.log() + self._offsets(head).log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """sum_i log y_i + log(1 - z_i)."""
        shifted = x - self._offsets(x).log()
        return (-shifted + _logsigmoid(shifted) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Sequence[int]) -> Size:
        shape = _at_least(shape, 1)
        return Size(shape[:-1]) + (shape[-1] + 1,)

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        shape = _at_least(shape, 1)
        return Size(shape[:-1]) + (shape[-1] - 1,)


def _logsigmoid(x: Tensor) -> Tensor:
    return -softplus(-x)


class LowerCholeskyTransform(Transform):
    """Matrices to lower triangular ones with a positive diagonal: exp on the diagonal."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky
    __eq__ = _same_type
    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + diag_embed(x.diagonal(dim1=-2, dim2=-1).exp())

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + diag_embed(y.diagonal(dim1=-2, dim2=-1).log())


class PositiveDefiniteTransform(Transform):
    """Matrices to positive definite ones: L L^T of what LowerCholeskyTransform makes."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite
    __eq__ = _same_type
    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        factor = LowerCholeskyTransform()(x)
        return matmul(factor, factor.mT)

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform().inv(linalg_cholesky(y))


class CorrCholeskyTransform(Transform):
    """[..., n (n - 1) / 2] to Cholesky factors [..., n, n] of correlation matrices.

    z = tanh(x) fills the strict lower triangle row by row; then, along each row, every number takes
    its share of the length that is left: w_ij = z_ij sqrt(prod_(k<j) (1 - z_ik^2)).
    Source: Lewandowski, Kurowicka and Joe, "Generating random correlation matrices" (2009).
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        z = x.tanh()
        eps = finfo(z.dtype).eps
        z = vec_to_tril_matrix(z.clamp(min=-1 + eps, max=1 - eps), diag=-1)
        left = (1 - z**2).sqrt().cumprod(-1)
        z = z + eye(z.shape[-1], dtype=z.dtype)
        return z * cat([left.new_ones((*left.shape[:-1], 1)), left[..., :-1]], -1)

    def _inverse(self, y: Tensor) -> Tensor:
        left = 1 - (y * y).cumsum(-1)
        left = cat([left.new_ones((*left.shape[:-1], 1)), left[..., :-1]], -1)
        y_vec = tril_matrix_to_vec(y, diag=-1)
        t = y_vec / tril_matrix_to_vec(left, diag=-1).sqrt()
        return (t.log1p() - t.neg().log1p()) / 2

    def log_abs_det_jacobian(
        self, x: Tensor, y: Tensor, intermediates: Tensor | None = None
    ) -> Tensor:
        """sum of log(1 - tanh^2 x), and of log of what was left, halved, in each row."""
        left = 1 - (y * y).cumsum(-1)
        rows = tril_matrix_to_vec(left, diag=-2)
        stick = 0.5 * rows.log().sum(-1)
        return stick - 2 * (x + softplus(-2 * x) - math.log(2.0)).sum(-1)

    def forward_shape(self, shape: Sequence[int]) -> Size:
        n = _at_least(shape, 1)[-1]
        side = round((0.25 + 2 * n) ** 0.5 + 0.5)
        if side * (side - 1) // 2 != n:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return Size(shape[:-1]) + (side, side)

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        side = _at_least(shape, 2)[-1]
        if shape[-2] != side:
            raise ValueError("Input is not square")
        return Size(shape[:-2]) + (side * (side - 1) // 2,)


class _PartsTransform(Transform):
    """What CatTransform and StackTransform share: a transform for each part along ``dim``."""

    transforms: list[Transform]
    dim: int

    def _split(self, z: Tensor) -> Sequence[Tensor]:
        raise NotImplementedError

    def _join(self, parts: list[Tensor]) -> Tensor:
        raise NotImplementedError

    def _each(self, method: Callable[..., Tensor], *values: Tensor) -> list[Tensor]:
        pieces = [self._split(value) for value in values]
        return [method(t, *p) for t, *p in zip(self.transforms, *pieces, strict=True)]

    def _call(self, x: Tensor) -> Tensor:
        return self._join(self._each(lambda t, x: t(x), x))

    def _inverse(self, y: Tensor) -> Tensor:
        return self._join(self._each(lambda t, y: t.inv(y), y))

    @property
    def bijective(self) -> bool:
        """Whether all are."""
        return all(t.bijective for t in self.transforms)


class CatTransform(_PartsTransform):
    """A transform ``tseq[i]`` for each piece of ``lengths[i]`` along dimension ``dim``."""

    def __init__(
        self,
        tseq: Sequence[Transform],
        dim: int = 0,
        lengths: Sequence[int] | None = None,
        cache_size: int = 0,
    ) -> None:
        _check_transforms(tseq)
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq] if cache_size else list(tseq)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise ValueError(f"{len(self.transforms)} transforms, but {len(self.lengths)} lengths")
        self.dim = dim

    @lazy_property
    def event_dim(self) -> int:
        """The largest of the transforms'."""
        return max(t.event_dim for t in self.transforms)

    @lazy_property
    def length(self) -> int:
        """The length of all pieces."""
        return sum(self.lengths)

    def with_cache(self, cache_size: int = 1) -> Transform:
        """This transform with another cache."""
        if self._cache_size == cache_size:
            return self
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _split(self, z: Tensor) -> Sequence[Tensor]:
        if not -z.dim() <= self.dim < z.dim() or z.shape[self.dim] != self.length:
            raise ValueError(
                f"CatTransform needs {self.length} along dimension {self.dim}, "
                f"but got shape {tuple(z.shape)}"
            )
        return z.split(self.lengths, self.dim)

    def _join(self, parts: list[Tensor]) -> Tensor:
        return cat(parts, self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The pieces', joined, or summed where ``dim`` is part of the event."""
        each = self._each(lambda t, x, y: t.log_abs_det_jacobian(x, y), x, y)
        each = [
            _sum_rightmost(d, self.event_dim - t.event_dim)
            for t, d in zip(self.transforms, each, strict=True)
        ]
        dim = self.dim if self.dim < 0 else self.dim - x.dim()
        dim += self.event_dim
        return cat(each, dim) if dim < 0 else sum(each)

    @constraints.dependent_property
    def domain(self) -> Constraint:
        """The pieces'."""
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Constraint:
        """The pieces'."""
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)


class StackTransform(_PartsTransform):
    """A transform ``tseq[i]`` for each index i of dimension ``dim``."""

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        _check_transforms(tseq)
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq] if cache_size else list(tseq)
        self.dim = dim

    def with_cache(self, cache_size: int = 1) -> Transform:
        """This transform with another cache."""
        if self._cache_size == cache_size:
            return self
        return StackTransform(self.transforms, self.dim, cache_size)

    def _split(self, z: Tensor) -> Sequence[Tensor]:
        if not -z.dim() <= self.dim < z.dim() or z.shape[self.dim] != len(self.transforms):
            raise ValueError(
                f"StackTransform needs {len(self.transforms)} along dimension {self.dim}, "
                f"but got shape {tuple(z.shape)}"
            )
        return z.unbind(self.dim)

    def _join(self, parts: list[Tensor]) -> Tensor:
        return stack(parts, self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The parts', stacked."""
        return self._join(self._each(lambda t, x, y: t.log_abs_det_jacobian(x, y), x, y))

    @constraints.dependent_property
    def domain(self) -> Constraint:
        """The parts'."""
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Constraint:
        """The parts'."""
        return constraints.stack([t.codomain for t in self.transforms], self.dim)


def _check_transforms(tseq: Sequence[Any]) -> None:
    wrong = [t for t in tseq if not isinstance(t, Transform)]
    if wrong:
        raise TypeError(f"expected transforms, but {wrong[0]!r} is none")


class CumulativeDistributionTransform(Transform):
    """y = the cdf of ``distribution`` at x: uniform, if x has that distribution."""

    bijective = True
    codomain = constraints.unit_interval
    sign = 1

    def __init__(self, distribution: Distribution, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Constraint:
        """The distribution's support."""
        return self.distribution.support

    def _call(self, x: Tensor) -> Tensor:
        return self.distribution.cdf(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The distribution's log_prob."""
        return self.distribution.log_prob(x)

    def with_cache(self, cache_size: int = 1) -> Transform:
        """This transform with another cache."""
        if self._cache_size == cache_size:
            return self
        return CumulativeDistributionTransform(self.distribution, cache_size=cache_size)


__all__ = [
    "AbsTransform", "AffineTransform", "CatTransform", "ComposeTransform", "CorrCholeskyTransform",
    "CumulativeDistributionTransform", "ExpTransform", "IndependentTransform",
    "LowerCholeskyTransform", "PositiveDefiniteTransform", "PowerTransform", "ReshapeTransform",
    "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform", "StackTransform",
    "StickBreakingTransform", "TanhTransform", "Transform", "identity_transform",
]  # fmt: skip
