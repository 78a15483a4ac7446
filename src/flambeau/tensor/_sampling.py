"""Random numbers by the elements of a tensor: multinomial, Poisson, binomial, gamma.

The recipes are in core/random_samplers.py; here are PyTorch's arguments.
"""

from __future__ import annotations

import numpy as np

from ..core import random_samplers as samplers
from ..core.generator import Generator
from ..core.mutation import write_out
from ..core.op import define
from ..core.value import Value, wrap
from ._random import no_gradient, source

_poisson_op = define(
    "poisson", lambda input, generator: samplers.poisson(generator, input), {"input": no_gradient}
)


def poisson(input: Value, generator: Generator | None = None) -> Value:
    """A Poisson number of the rate that each element of ``input`` says."""
    return _poisson_op(input, source(generator))


def multinomial(
    input: Value,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Value | None = None,
) -> Value:
    """``num_samples`` indices (int64) for each row of ``input``, whose values are weights."""
    array = samplers.multinomial(source(generator), input._array, num_samples, replacement)
    return wrap(array) if out is None else write_out(out, wrap(array), "multinomial")


def binomial(count: Value, prob: Value, generator: Generator | None = None) -> Value:
    """Successes in ``count`` trials of probability ``prob``."""
    a, b = np.broadcast_arrays(count._array, prob._array)
    return wrap(samplers.binomial(source(generator), a, b))


def _standard_gamma(self: Value, generator: Generator | None = None) -> Value:
    """Gamma numbers of scale 1 for each shape parameter; not differentiable."""
    if self._edge is not None:
        raise NotImplementedError("the derivative for '_standard_gamma' is not implemented")
    return wrap(samplers.standard_gamma(source(generator), self._array))


__all__ = ["binomial", "multinomial", "poisson"]
