"""Random numbers by the elements of a tensor: multinomial, Poisson, binomial, gamma.

The recipes are in core/random_samplers.py; here are PyTorch's arguments.
"""

from __future__ import annotations

import numpy as np

from ..core import random_samplers as samplers
from ..core.generator import Generator
from ..core.mutation import write_out
from ..core.op import define
from ..core.value import Value
from ..ops import _implicit
from ._device import place_of
from ._random import no_gradient
from ._random import source as _source


def source(generator: Generator | None, beside: Value) -> Generator:
    """What draws on the device of ``beside``."""
    return _source(generator, place_of(beside._array))


_poisson_op = define(
    "poisson", lambda input, generator: samplers.poisson(generator, input), {"input": no_gradient}
)


def poisson(input: Value, generator: Generator | None = None) -> Value:
    """A Poisson number of the rate that each element of ``input`` says."""
    return _poisson_op(input, source(generator, input))


_multinomial_op = define(
    "multinomial",
    lambda self, num_samples, replacement, generator: samplers.multinomial(
        generator, self, num_samples, replacement
    ),
)
_binomial_op = define(
    "binomial",
    lambda count, prob, generator: samplers.binomial(generator, *np.broadcast_arrays(count, prob)),
)


def multinomial(
    input: Value,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Value | None = None,
) -> Value:
    """``num_samples`` indices (int64) for each row of ``input``, whose values are weights."""
    found = _multinomial_op(input.detach(), num_samples, replacement, source(generator, input))
    return found if out is None else write_out(out, found, "multinomial")


def binomial(count: Value, prob: Value, generator: Generator | None = None) -> Value:
    """Successes in ``count`` trials of probability ``prob``."""
    return _binomial_op(count.detach(), prob.detach(), source(generator, count))


_standard_gamma_grad = define(
    "_standard_gamma_grad", lambda self, output: _implicit.gamma(output, self)
)
_standard_gamma_op = define(
    "_standard_gamma",
    lambda self, generator: samplers.standard_gamma(generator, self),
    {"self": lambda g, self, y: g * _standard_gamma_grad(self, y)},
    grad_name="StandardGammaBackward0",
)


def _standard_gamma(self: Value, generator: Generator | None = None) -> Value:
    """Gamma numbers of scale 1 for each shape parameter.

    The gradient is that of the number whose cdf keeps its value; it has none itself.
    """
    return _standard_gamma_op(self, source(generator, self))


_dirichlet_grad = define(
    "_dirichlet_grad",
    lambda x, alpha, total: _implicit.beta(x, alpha, total - alpha) / (1 - x),
)


def _sample_dirichlet(self: Value, generator: Generator | None = None) -> Value:
    """Points of the simplex for concentrations along the last dimension; not differentiable."""
    if self._edge is not None:
        raise NotImplementedError("the derivative for '_sample_dirichlet' is not implemented")
    return _dirichlet_op(self.detach(), source(generator, self))


def _dirichlet_vjp(g: Value, concentration: Value, y: Value) -> Value:
    # x_i alone is a beta number. When it moves, the others share what is left as before:
    # dx_j = -x_j / (1 - x_i) dx_i, so dL/da_i = dx_i/da_i / (1 - x_i) (g_i - sum_j g_j x_j).
    total = concentration.sum(-1, True).expand_as(concentration)
    return _dirichlet_grad(y, concentration, total) * (g - (y * g).sum(-1, True))


_dirichlet_op = define(
    "_dirichlet",
    lambda concentration, generator: samplers.dirichlet(generator, concentration),
    {"concentration": _dirichlet_vjp},
)


def dirichlet(concentration: Value, generator: Generator | None = None) -> Value:
    """Points of the simplex with gradients by the concentrations."""
    return _dirichlet_op(concentration, source(generator, concentration))


__all__ = ["binomial", "multinomial", "poisson"]
