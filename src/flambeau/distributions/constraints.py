"""Sets of values: what a parameter may be, and where a distribution lives.

``constraint.check(value)`` says, for each event, whether it is in the set. An event is what the
last ``event_dim`` dimensions hold: one number, a vector of a simplex, a matrix.
Source: https://docs.pytorch.org/docs/stable/distributions.html#module-torch.distributions.constraints
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..functions.linear_algebra import linalg_norm
from ..ops.factorisations import linalg_cholesky_ex
from ..ops.joining import cat as join
from ..ops.joining import stack as pile
from ..ops.spectra import eigvalsh
from ..tensor._tensor import Tensor
from .utils import all_true


class Constraint:
    """A set of values. ``is_discrete``: of whole numbers; ``event_dim``: dimensions of one."""

    is_discrete = False
    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """Whether each event of ``value`` is in the set: bool, of the shape less ``event_dim``."""
        raise NotImplementedError

    def __repr__(self) -> str:
        bounds = ", ".join(f"{name}={value}" for name, value in self._bounds().items())
        return f"{type(self).__name__.removeprefix('_')}({bounds})"

    def _bounds(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k in ("lower_bound", "upper_bound")}


class _Dependent(Constraint):
    """A set that other parameters decide: it is known on instances alone."""

    def __init__(self, *, is_discrete: bool | None = None, event_dim: int | None = None) -> None:
        self._is_discrete = is_discrete
        self._event_dim = event_dim

    @property
    def is_discrete(self) -> bool:
        """Whether of whole numbers; NotImplementedError where only an instance knows."""
        return self._static("is_discrete")

    @property
    def event_dim(self) -> int:
        """Dimensions of an event; NotImplementedError where only an instance knows."""
        return self._static("event_dim")

    def _static(self, name: str) -> Any:
        value = getattr(self, f"_{name}")
        if value is None:
            raise NotImplementedError(f".{name} cannot be determined statically")
        return value

    def check(self, value: Tensor) -> Tensor:
        """ValueError: ask an instance's own constraint."""
        raise ValueError("Cannot determine validity of dependent constraint")

    def __call__(
        self, *, is_discrete: bool | None = None, event_dim: int | None = None
    ) -> _Dependent:
        """This with more known: ``dependent(is_discrete=True, event_dim=0)``."""
        return _Dependent(
            is_discrete=self._is_discrete if is_discrete is None else is_discrete,
            event_dim=self._event_dim if event_dim is None else event_dim,
        )

    def __repr__(self) -> str:
        return "Dependent()"


class _DependentProperty(property, _Dependent):
    """A property whose value is a constraint; on the class it stands for a dependent one."""

    def __init__(
        self,
        function: Callable | None = None,
        *,
        is_discrete: bool | None = None,
        event_dim: int | None = None,
    ) -> None:
        property.__init__(self, function)
        _Dependent.__init__(self, is_discrete=is_discrete, event_dim=event_dim)

    def __call__(self, function: Callable) -> _DependentProperty:
        """``@dependent_property(event_dim=1)`` on a method."""
        return _DependentProperty(
            function, is_discrete=self._is_discrete, event_dim=self._event_dim
        )

    def __repr__(self) -> str:
        return "DependentProperty()"


def is_dependent(constraint: Constraint) -> bool:
    """Whether the set depends on other parameters."""
    return isinstance(constraint, _Dependent)


class _Real(Constraint):
    """Every number but nan."""

    def check(self, value: Tensor) -> Tensor:
        return value == value


class _Boolean(Constraint):
    """0 and 1."""

    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return (value == 0) | (value == 1)


class _Interval(Constraint):
    """lower_bound <= x <= upper_bound."""

    def __init__(self, lower_bound: float | Tensor, upper_bound: float | Tensor) -> None:
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return (self.lower_bound <= value) & (value <= self.upper_bound)


class _HalfOpenInterval(_Interval):
    """lower_bound <= x < upper_bound."""

    def check(self, value: Tensor) -> Tensor:
        return (self.lower_bound <= value) & (value < self.upper_bound)


class _IntegerInterval(_Interval):
    """The whole numbers of lower_bound ... upper_bound."""

    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return (value % 1 == 0) & super().check(value)


class _GreaterThanEq(Constraint):
    """x >= lower_bound."""

    def __init__(self, lower_bound: float | Tensor) -> None:
        self.lower_bound = lower_bound

    def check(self, value: Tensor) -> Tensor:
        return self.lower_bound <= value


class _GreaterThan(_GreaterThanEq):
    """x > lower_bound."""

    def check(self, value: Tensor) -> Tensor:
        return self.lower_bound < value


class _IntegerGreaterThan(_GreaterThanEq):
    """The whole numbers from lower_bound on."""

    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return (value % 1 == 0) & super().check(value)


class _LessThan(Constraint):
    """x < upper_bound."""

    def __init__(self, upper_bound: float | Tensor) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return value < self.upper_bound


class _OneHot(Constraint):
    """Vectors of zeros and one 1."""

    is_discrete = True
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        binary = ((value == 0) | (value == 1)).all(-1)
        return binary & (value.sum(-1) == 1)


class _Simplex(Constraint):
    """Vectors of numbers >= 0 whose sum is 1, to 1e-6."""

    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class _Multinomial(Constraint):
    """Vectors of numbers >= 0 whose sum is at most ``upper_bound``."""

    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound: int) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0).all(-1) & (value.sum(-1) <= self.upper_bound)

    def __repr__(self) -> str:
        return "Multinomial()"


class _LowerTriangular(Constraint):
    """Matrices with zeros above the diagonal."""

    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        return (value.tril() == value).flatten(-2).all(-1)


class _LowerCholesky(_LowerTriangular):
    """Lower triangular matrices with a positive diagonal."""

    def check(self, value: Tensor) -> Tensor:
        return super().check(value) & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class _CorrCholesky(_LowerCholesky):
    """Cholesky factors of correlation matrices: of lower ones, those with rows of length 1."""

    def check(self, value: Tensor) -> Tensor:
        eps = 10 * value.shape[-1] * _eps(value)
        unit_rows = ((linalg_norm(value.detach(), dim=-1) - 1).abs() <= eps).all(-1)
        return super().check(value) & unit_rows


def _eps(value: Tensor) -> float:
    return 2.0**-52 if value.dtype.itemsize == 8 else 2.0**-23


class _Square(Constraint):
    """Square matrices."""

    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        return value.new_full(
            value.shape[:-2], value.shape[-2] == value.shape[-1], dtype=(value == value).dtype
        )


class _Symmetric(_Square):
    """Symmetric matrices, to 1e-6."""

    def check(self, value: Tensor) -> Tensor:
        square = super().check(value)
        if not all_true(square):
            return square
        return value.isclose(value.mT, atol=1e-6).all(-2).all(-1)


class _PositiveSemidefinite(_Symmetric):
    """Symmetric matrices with no negative eigenvalue."""

    def check(self, value: Tensor) -> Tensor:
        symmetric = super().check(value)
        if not all_true(symmetric):
            return symmetric
        return (eigvalsh(value) >= 0).all(-1)


class _PositiveDefinite(_Symmetric):
    """Symmetric matrices whose Cholesky factor exists."""

    def check(self, value: Tensor) -> Tensor:
        symmetric = super().check(value)
        if not all_true(symmetric):
            return symmetric
        return linalg_cholesky_ex(value).info == 0


class _IndependentConstraint(Constraint):
    """``base_constraint`` with its last ``reinterpreted_batch_ndims`` batch dimensions as part
    of the event: all of them must hold."""

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    @property
    def is_discrete(self) -> bool:
        """As the base's."""
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:
        """The base's, and those taken from the batch."""
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Tensor:
        found = self.base_constraint.check(value)
        if found.dim() < self.reinterpreted_batch_ndims:
            expected = self.base_constraint.event_dim + self.reinterpreted_batch_ndims
            raise ValueError(f"Expected value.dim() >= {expected} but got {value.dim()}")
        kept = found.dim() - self.reinterpreted_batch_ndims
        return found.reshape((*found.shape[:kept], -1)).all(-1)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__[1:]}({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"
        )


class MixtureSameFamilyConstraint(Constraint):
    """``base_constraint``, of values of a mixture: they have no dimension for the components."""

    def __init__(self, base_constraint: Constraint) -> None:
        self.base_constraint = base_constraint

    @property
    def is_discrete(self) -> bool:
        """As the base's."""
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:
        """As the base's."""
        return self.base_constraint.event_dim

    def check(self, value: Tensor) -> Tensor:
        """Whether every component of the mixture could have given each event."""
        event_dim = self.event_dim
        if value.dim() < event_dim:
            raise ValueError(f"Expected value.dim() >= {event_dim} but got {value.dim()}")
        found = self.base_constraint.check(value.unsqueeze(-1 - event_dim))
        kept = value.dim() - event_dim
        return found.reshape((*found.shape[:kept], -1)).all(-1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_constraint!r})"


class _Parts(Constraint):
    """A constraint for each part of the values along dimension ``dim``."""

    def __init__(self, parts: Sequence[Constraint], dim: int = 0) -> None:
        wrong = [c for c in parts if not isinstance(c, Constraint)]
        if wrong:
            raise TypeError(f"expected constraints, but {wrong[0]!r} is none")
        self.cseq = list(parts)
        self.dim = dim

    @property
    def is_discrete(self) -> bool:
        """Whether any part's is."""
        return any(c.is_discrete for c in self.cseq)

    @property
    def event_dim(self) -> int:
        """The largest of the parts'."""
        return max(c.event_dim for c in self.cseq)

    def __repr__(self) -> str:
        return f"{type(self).__name__[1:]}()"


class _Cat(_Parts):
    """Constraints for pieces of ``lengths`` along dimension ``dim``."""

    def __init__(
        self, cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None
    ) -> None:
        super().__init__(cseq, dim)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise ValueError(f"{len(self.cseq)} constraints, but {len(self.lengths)} lengths")

    def check(self, value: Tensor) -> Tensor:
        pieces = value.split(self.lengths, self.dim)
        found = [c.check(piece) for c, piece in zip(self.cseq, pieces, strict=True)]
        return join(found, self.dim)


class _Stack(_Parts):
    """A constraint for each index along dimension ``dim``."""

    def check(self, value: Tensor) -> Tensor:
        slices = value.unbind(self.dim)
        found = [c.check(s) for c, s in zip(self.cseq, slices, strict=True)]
        return pile(found, self.dim)


dependent = _Dependent()
dependent.__doc__ = "A set that an instance alone knows."
dependent_property = _DependentProperty
independent = _IndependentConstraint
boolean = _Boolean()
one_hot = _OneHot()
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
integer_interval = _IntegerInterval
real = _Real()
real_vector = independent(real, 1)
positive = _GreaterThan(0.0)
nonnegative = _GreaterThanEq(0.0)
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
multinomial = _Multinomial
unit_interval = _Interval(0.0, 1.0)
interval = _Interval
half_open_interval = _HalfOpenInterval
simplex = _Simplex()
lower_triangular = _LowerTriangular()
lower_cholesky = _LowerCholesky()
corr_cholesky = _CorrCholesky()
square = _Square()
symmetric = _Symmetric()
positive_semidefinite = _PositiveSemidefinite()
positive_definite = _PositiveDefinite()
cat = _Cat
stack = _Stack

__all__ = [
    "Constraint", "MixtureSameFamilyConstraint", "boolean", "cat", "corr_cholesky", "dependent",
    "dependent_property", "greater_than", "greater_than_eq", "half_open_interval", "independent",
    "integer_interval", "interval", "is_dependent", "less_than", "lower_cholesky",
    "lower_triangular", "multinomial", "nonnegative", "nonnegative_integer", "one_hot", "positive",
    "positive_definite", "positive_integer", "positive_semidefinite", "real", "real_vector",
    "simplex", "square", "stack", "symmetric", "unit_interval",
]  # fmt: skip
