"""The base of all distributions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from .._errors import type_name
from ..core.modes import no_grad
from ..tensor._device import Size
from ..tensor._tensor import Tensor
from . import constraints
from .constraints import Constraint
from .utils import all_true, lazy_property


class Distribution:
    """A random variable, or a batch of independent ones.

    A sample has the shape sample_shape + batch_shape + event_shape: how many were asked for, how
    many variables there are, and what one of them is (a number: (), a vector: (n,)).

    A family states ``arg_constraints`` (what its parameters may be) and ``support`` (where it
    lives). ``_parameters`` names the attributes that ``expand`` takes over, where that is all.
    ``has_rsample``: samples have gradients by the parameters (reparameterisation).
    ``has_enumerate_support``: all values can be listed.
    ``validate_args``: whether parameters and values are checked; None: as the class says.
    Source: https://docs.pytorch.org/docs/stable/distributions.html
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__
    _parameters: tuple[str, ...] = ()

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions made from now on check what they are given, unless they say."""
        if value not in [True, False]:
            raise ValueError(f"set_default_validate_args: {value!r} is neither True nor False")
        Distribution._validate_args = value

    def __init__(
        self,
        batch_shape: Sequence[int] = Size(),
        event_shape: Sequence[int] = Size(),
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self) -> None:
        try:
            rules = self.arg_constraints
        except NotImplementedError:
            rules = {}
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set "
                "`arg_constraints = {}` or initialize the distribution with "
                "`validate_args=False` to turn off validation.",
                stacklevel=4,
            )
        for name, rule in rules.items():
            lazy = isinstance(getattr(type(self), name, None), lazy_property)
            if constraints.is_dependent(rule) or (lazy and name not in vars(self)):
                continue
            value = getattr(self, name)
            valid = rule.check(value)
            if not all_true(valid):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{rule!r}, but found invalid values:\n{value}" + _first_invalid(valid)
                )

    @property
    def batch_shape(self) -> Size:
        """The shape of the batch of variables."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one value."""
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        """What each parameter may be."""
        raise NotImplementedError

    @property
    def support(self) -> Constraint:
        """Where the values live."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        """The expectation."""
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """The value of greatest density or probability."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The variance."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    def expand(self, batch_shape: Sequence[int], _instance: Distribution | None = None) -> Any:
        """The same distribution with its batch expanded to ``batch_shape``; views, no copies."""
        if not self._parameters:
            raise NotImplementedError
        batch_shape = Size(batch_shape)
        new = self._with_batch(batch_shape, _instance)
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _with_batch(self, batch_shape: Size, _instance: Distribution | None = None) -> Any:
        """A new instance of the family that named ``_parameters``, with these expanded."""
        family = next(c for c in type(self).__mro__ if "_parameters" in vars(c))
        new = self._get_checked_instance(family, _instance)
        for name in self._parameters:
            if name in vars(self):
                setattr(new, name, self._expanded(vars(self)[name], batch_shape))
        return new

    def _expanded(self, parameter: Any, batch_shape: Size) -> Any:
        """A tensor of batch and event dimensions, or a distribution, with the batch expanded."""
        if isinstance(parameter, Distribution):
            return parameter.expand(batch_shape)
        if isinstance(parameter, Tensor):
            return parameter.expand(batch_shape + parameter.shape[len(self._batch_shape) :])
        return parameter

    def _get_checked_instance(self, cls: type, _instance: Distribution | None = None) -> Any:
        """An instance without parameters, for ``expand`` of the family ``cls``."""
        if _instance is None and type(self).__init__ != cls.__init__:
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ "
                "method must also define a custom .expand() method."
            )
        return type(self).__new__(type(self)) if _instance is None else _instance

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Random values without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Random values with gradients by the parameters, where ``has_rsample``."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Tensor:
        """``sample((n,))``; deprecated in PyTorch."""
        warnings.warn(
            "sample_n will be deprecated. Use .sample((n,)) instead", UserWarning, stacklevel=2
        )
        return self.sample(Size((n,)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density or probability at ``value``."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of at most ``value``."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """The number that the variable does not exceed with probability ``value``."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values, along a new first dimension; ``expand``: for the whole batch."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The expectation of -log_prob, in nats."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """exp of the entropy."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape: Sequence[int] = Size()) -> Size:
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def _check(self, value: Tensor) -> None:
        """``_validate_sample`` if values are to be checked."""
        if self._validate_args:
            self._validate_sample(value)

    def _validate_sample(self, value: Tensor) -> None:
        """ValueError unless ``value`` has a fitting shape and is in the support."""
        if not isinstance(value, Tensor):
            raise ValueError(
                "The value argument to log_prob must be a Tensor\n"
                f"  it is a {type_name(value)}; torch.as_tensor makes one of a number"
            )
        start = value.dim() - len(self._event_shape)
        if start < 0 or value.shape[start:] != self._event_shape:
            raise ValueError(
                "The right-most size of value must match event_shape: "
                f"{value.shape} vs {self._event_shape}."
            )
        expected = self._batch_shape + self._event_shape
        for i, j in zip(reversed(value.shape), reversed(expected), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    "Value is not broadcastable with batch_shape+event_shape: "
                    f"{value.shape} vs {expected}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `support` to enable sample validation. Please "
                "initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        valid = support.check(value)
        if not all_true(valid):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) "
                f"to be within the support ({support!r}) of the distribution {self!r}, but found "
                f"invalid values:\n{value}" + _first_invalid(valid)
            )

    def __repr__(self) -> str:
        values = {k: vars(self)[k] for k in self.arg_constraints if k in vars(self)}
        shown = (f"{k}: {v if v.numel() == 1 else v.size()}" for k, v in values.items())
        return f"{type(self).__name__}({', '.join(shown)})"


def _first_invalid(valid: Tensor) -> str:
    """Where in a batch the first value is that is not in its set, and how many are not."""
    if valid.dim() == 0:
        return ""
    places = (~valid).nonzero()
    return f"\n  {len(places)} of {valid.numel()}, the first at {places[0].tolist()}"
