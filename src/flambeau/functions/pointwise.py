"""The functions ``torch.f_(x, ...)``, which write into their first operand, and a user's own
Python functions applied element by element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._errors import type_name
from .._shapes import broadcast
from ..core.modes import by_copy
from ..core.mutation import check_writable
from ..core.promotion import Number
from ..core.value import Value, wrap


def _function(method: str) -> Callable[..., Value]:
    def function(input: Value, *args: object, **kwargs: object) -> Value:
        if not isinstance(input, Value):
            raise TypeError(
                f"{method}(): argument 'input' (position 1) must be Tensor, not {type_name(input)}"
            )
        return getattr(input, method)(*args, **kwargs)

    function.__name__ = function.__qualname__ = method
    function.__doc__ = f"``input.{method}(...)``: writes into ``input`` and returns it."
    return function


abs_ = _function("abs_")
acos_ = _function("acos_")
acosh_ = _function("acosh_")
arccos_ = _function("arccos_")
arccosh_ = _function("arccosh_")
arcsin_ = _function("arcsin_")
arcsinh_ = _function("arcsinh_")
arctan_ = _function("arctan_")
arctanh_ = _function("arctanh_")
asin_ = _function("asin_")
asinh_ = _function("asinh_")
atan_ = _function("atan_")
atanh_ = _function("atanh_")
ceil_ = _function("ceil_")
clamp_ = _function("clamp_")
clamp_max_ = _function("clamp_max_")
clamp_min_ = _function("clamp_min_")
clip_ = _function("clip_")
conj_physical_ = _function("conj_physical_")
cos_ = _function("cos_")
cosh_ = _function("cosh_")
deg2rad_ = _function("deg2rad_")
erf_ = _function("erf_")
erfc_ = _function("erfc_")
exp2_ = _function("exp2_")
exp_ = _function("exp_")
expm1_ = _function("expm1_")
fill_ = _function("fill_")
fix_ = _function("fix_")
floor_ = _function("floor_")
frac_ = _function("frac_")
gcd_ = _function("gcd_")
i0_ = _function("i0_")
lcm_ = _function("lcm_")
ldexp_ = _function("ldexp_")
log10_ = _function("log10_")
log1p_ = _function("log1p_")
log2_ = _function("log2_")
log_ = _function("log_")
logit_ = _function("logit_")
nan_to_num_ = _function("nan_to_num_")
neg_ = _function("neg_")
negative_ = _function("negative_")
rad2deg_ = _function("rad2deg_")
reciprocal_ = _function("reciprocal_")
round_ = _function("round_")
rsqrt_ = _function("rsqrt_")
sigmoid_ = _function("sigmoid_")
sin_ = _function("sin_")
sinc_ = _function("sinc_")
sinh_ = _function("sinh_")
sqrt_ = _function("sqrt_")
square_ = _function("square_")
tan_ = _function("tan_")
tanh_ = _function("tanh_")
trunc_ = _function("trunc_")
xlogy_ = _function("xlogy_")
zero_ = _function("zero_")

# ---- a user's own functions ----------------------------------------------------------------


@by_copy
def _each(x: Value, others: tuple[Value, ...], function: Callable) -> Value:
    """``function`` of every element of ``x``, and those of ``others`` that belong to it."""
    result = x._array.copy()
    arrays = [np.broadcast_to(v._array, result.shape) for v in others]
    for index in np.ndindex(*result.shape):
        result[index] = function(result[index].item(), *(a[index].item() for a in arrays))
    return wrap(result)


def _map(self: Value, others: tuple[Value, ...], function: Callable, name: str) -> Value:
    if self._edge is not None or any(v._edge is not None for v in others):
        raise RuntimeError(
            f"Can't call {name}() on Variable that requires grad. "
            f"Use var.detach().{name}() instead."
        )
    if not callable(function):
        raise TypeError(f"'{type_name(function)}' object is not callable")
    check_writable(self, name, False)
    shape = self._array.shape
    broadcast(shape, *(v._array.shape for v in others))
    self._array[...] = _each(self, others, function)._array
    self.counter().bump(name)
    return self


def apply_(self: Value, callable: Callable[[Number], Number]) -> Value:
    """Replace every element by ``callable(element)``, a Python function; slow."""
    return _map(self, (), callable, "apply_")


def map_(self: Value, tensor: Value, callable: Callable[[Number, Number], Number]) -> Value:
    """Replace every element by ``callable(element, the one of tensor)``; slow."""
    return _map(self, (tensor,), callable, "map_")


def map2_(
    self: Value, x: Value, y: Value, callable: Callable[[Number, Number, Number], Number]
) -> Value:
    """Replace every element by ``callable(element, the one of x, the one of y)``; slow."""
    return _map(self, (x, y), callable, "map2_")


__all__ = [
    "abs_", "acos_", "acosh_", "arccos_", "arccosh_", "arcsin_", "arcsinh_", "arctan_",
    "arctanh_", "asin_", "asinh_", "atan_", "atanh_", "ceil_", "clamp_", "clamp_max_",
    "clamp_min_", "clip_", "conj_physical_", "cos_", "cosh_", "deg2rad_", "erf_", "erfc_",
    "exp2_", "exp_", "expm1_", "fill_", "fix_", "floor_", "frac_", "gcd_", "i0_",
    "lcm_", "ldexp_", "log10_", "log1p_", "log2_", "log_", "logit_",
    "nan_to_num_", "neg_", "negative_", "rad2deg_", "reciprocal_", "round_", "rsqrt_",
    "sigmoid_", "sin_", "sinc_", "sinh_", "sqrt_", "square_", "tan_", "tanh_", "trunc_",
    "xlogy_", "zero_",
]  # fmt: skip
