"""Random numbers: new tensors of them, and methods that fill a tensor with them.

The recipes are in core/random_recipes.py; here are PyTorch's arguments. Without ``generator=`` all
draw from the default generator, which ``manual_seed`` starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from .. import _dtypes
from .._dtypes import dtype
from .._errors import type_name
from ..core import random_recipes as recipes
from ..core.generator import (
    Followers,
    Generator,
    current,
    default_generator,
    initial_seed,
    manual_seed,
    seed,
)
from ..core.modes import hook
from ..core.mutation import check_writable, write, write_out, written
from ..core.op import define
from ..core.value import Value, drawn, outline, wrap
from ._creation import DeviceLike, finished, size_of, template
from ._device import CPU, CUDA, META, Elsewhere, chosen, here, layout, place_of
from ._device import device as _device

Generator.device = CPU


def _kind_on(device: DeviceLike) -> type[Generator] | None:
    wanted = device if isinstance(device, _device) else _device(device)
    if wanted.type != "cuda" or not Elsewhere.has_cuda():
        return None
    return Elsewhere.on(here(wanted)).PhiloxGenerator


Generator.elsewhere = staticmethod(_kind_on)


def source(generator: Generator | None, place: _device = CPU) -> Generator:
    """What draws on ``place``: ``generator``, or the default one. RuntimeError for one that draws
    elsewhere."""
    if generator is None:
        own = current()
        return Elsewhere.on(place).generator() if place is CUDA else own
    if not isinstance(generator, Generator):
        raise TypeError(f"argument 'generator' must be torch.Generator, not {type_name(generator)}")
    if generator.device is not place and place is not META:
        raise RuntimeError(
            f"Expected a '{place.type}' device type for generator but found "
            f"'{generator.device.type}'\n  numbers are drawn where the tensor is: give "
            f"torch.Generator(device='{place.type}')"
        )
    return generator


# ---- the default generator -----------------------------------------------------------------


def get_rng_state() -> Value:
    """The default generator's state, a tensor of bytes."""
    return current().get_state()


def set_rng_state(new_state: Value) -> None:
    """Continue the default generator from ``new_state``."""
    current().set_state(new_state)


@contextmanager
def fork_rng(
    devices: object = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str = "cpu",
) -> Iterator[None]:
    """Context manager: the default generator's state is put back at the end; the GPU's, too, unless
    ``devices`` is empty."""
    if not enabled:
        yield
        return
    generator = current()
    state = generator.get_state()
    others = Followers.states() if devices is None or list(devices) else None
    try:
        yield
    finally:
        generator.set_state(state)
        if others is not None:
            Followers.back(others)


# ---- new tensors ---------------------------------------------------------------------------


def _float_type(d: dtype | None, out: Value | None = None) -> np.dtype:
    if out is not None:
        return out._array.dtype
    return (_dtypes.get_default_dtype() if d is None else _dtypes.as_dtype(d)).numpy


def _into(out: Value, array: np.ndarray, name: str) -> Value:
    return write_out(out, wrap(array), name)


def _sizes(name: str, size: tuple, named: dict) -> tuple[int, ...]:
    size = size or (named.pop("size", ()),)
    if named:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(named))}'")
    return size_of(name, size)


def _drawn(
    draw: Callable[[Generator], np.ndarray],
    shape: tuple[int, ...],
    d: np.dtype,
    device: DeviceLike,
    generator: Generator | None,
    out: Value | None = None,
) -> np.ndarray:
    """What ``draw(generator)`` returns on ``device``, or that of ``out``; on meta nothing is
    drawn."""
    if out is not None:
        device = place_of(out._array)
    place = CPU if device is None and chosen.device is None else here(device)
    if place is META:
        return Elsewhere.on(META).made(shape, d)
    return drawn(lambda: draw(source(generator, place)))


def rand(
    *size: int | Sequence[int],
    generator: Generator | None = None,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    **named: Sequence[int],
) -> Value:
    """Uniform numbers of [0, 1)."""
    shape = _sizes("rand", size, named)
    d = _float_type(dtype, out)
    draw = lambda g: g.recipes.uniform(g, shape, d)
    array = _drawn(draw, shape, d, device, generator, out)
    if out is not None:
        return _into(out, array, "rand")
    return finished(array, requires_grad, device, layout, pin_memory)


def randn(
    *size: int | Sequence[int],
    generator: Generator | None = None,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    **named: Sequence[int],
) -> Value:
    """Normal numbers of mean 0 and variance 1."""
    shape = _sizes("randn", size, named)
    d = _float_type(dtype, out)
    draw = lambda g: g.recipes.normal(g, shape, d)
    array = _drawn(draw, shape, d, device, generator, out)
    if out is not None:
        return _into(out, array, "randn")
    return finished(array, requires_grad, device, layout, pin_memory)


def randint(
    *args: object,
    generator: Generator | None = None,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    **named: object,
) -> Value:
    """``randint(low=0, high, size)``: uniform integers of [low, high)."""
    low, high, size = _bounds("randint", args, named, ("size",))
    shape = size_of("randint", (size,))
    numpy_type = np.dtype(np.int64) if dtype is None else _dtypes.as_dtype(dtype).numpy
    if out is not None:
        numpy_type = out._array.dtype
    _check_range(low, high)
    draw = lambda g: g.recipes.randint(g, shape, numpy_type, low, high)
    array = _drawn(draw, shape, numpy_type, device, generator, out)
    if out is not None:
        return _into(out, array, "randint")
    return finished(array, requires_grad, device, layout, pin_memory)


def _bounds(name: str, args: tuple, named: dict, rest: tuple[str, ...]) -> tuple:
    """low, high and what follows them, where low may be left out."""
    args = list(args)
    low, high = named.pop("low", None), named.pop("high", None)
    values = {k: named.pop(k) for k in rest if k in named}
    if named:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(named))}'")
    missing = [k for k in rest if k not in values]
    if len(args) < len(missing):
        raise TypeError(f"{name}() missing required argument: '{missing[0]}'")
    split = len(args) - len(missing)
    bounds, tail = args[:split], args[split:]
    values.update(zip(missing, tail, strict=True))
    if len(bounds) == 2:
        low, high = bounds
    elif len(bounds) == 1:
        if high is None:
            high = bounds[0]
        else:
            low = bounds[0]
    if high is None:
        raise TypeError(f"{name}() missing required argument: 'high'")
    low, high = (
        int(v.item()) if isinstance(v, Value) else int(v) for v in (0 if low is None else low, high)
    )
    return (low, high, *(values[k] for k in rest))


def _check_range(low: int, high: int) -> None:
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Value:
    """The integers 0 ... n - 1 in random order."""
    numpy_type = np.dtype(np.int64) if dtype is None else _dtypes.as_dtype(dtype).numpy
    if out is not None:
        numpy_type = out._array.dtype
    draw = lambda g: g.recipes.randperm(g, int(n), numpy_type)
    array = _drawn(draw, (int(n),), numpy_type, device, generator, out)
    if out is not None:
        return _into(out, array, "randperm")
    return finished(array, requires_grad, device, layout, pin_memory)


def _like_type(input: Value, d: dtype | None) -> np.dtype:
    return input._array.dtype if d is None else _dtypes.as_dtype(d).numpy


def _drawn_like(
    input: Value,
    draw: Callable[[Generator, tuple, np.ndarray], np.ndarray],
    d: np.dtype,
    generator: Generator | None,
    requires_grad: bool,
    device: DeviceLike,
    layout: layout | None,
) -> Value:
    """A tensor of what ``draw(generator, shape, memory)`` returns for ``memory``, which is like
    that of ``input``, and is filled in the order in which it lies."""
    place = place_of(input._array) if device is None else here(device)
    if place is META:
        return finished(template(input._array, d, place), requires_grad, place, layout)
    like = outline(input._array)

    def made() -> np.ndarray:
        memory, g = template(like, d, place), source(generator, place)
        return g.recipes.fill(memory, draw(g, like.shape, memory))

    return finished(drawn(made), requires_grad, place, layout)


def rand_like(
    input: Value,
    *,
    generator: Generator | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    memory_format: object = None,
) -> Value:
    """Uniform numbers of [0, 1) in the shape and dtype of ``input``."""
    d = _like_type(input, dtype)
    draw = lambda g, shape, memory: g.recipes.uniform(g, shape, d)
    return _drawn_like(input, draw, d, generator, requires_grad, device, layout)


def randn_like(
    input: Value,
    *,
    generator: Generator | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    memory_format: object = None,
) -> Value:
    """Normal numbers of mean 0 and variance 1 in the shape and dtype of ``input``."""
    d = _like_type(input, dtype)
    draw = lambda g, shape, memory: g.recipes.normal(
        g, shape, d, contiguous=memory.flags.c_contiguous
    )
    return _drawn_like(input, draw, d, generator, requires_grad, device, layout)


def randint_like(
    input: Value,
    *args: object,
    generator: Generator | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    memory_format: object = None,
    **named: object,
) -> Value:
    """``randint_like(input, low=0, high)``: integers of [low, high), in the shape of ``input``."""
    low, high = _bounds("randint_like", args, named, ())
    _check_range(low, high)
    d = _like_type(input, dtype)
    draw = lambda g, shape, memory: g.recipes.randint(g, shape, d, low, high)
    return _drawn_like(input, draw, d, generator, requires_grad, device, layout)


# ---- distributions with parameters ---------------------------------------------------------


def normal(
    mean: Value | float,
    std: Value | float = 1.0,
    size: Sequence[int] | None = None,
    *,
    generator: Generator | None = None,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Value:
    """Normal numbers: one for each element of ``mean`` and ``std``, or ``size`` of them."""
    if size is not None:
        shape = size_of("normal", (size,))
        d = _float_type(dtype, out)
        draw = lambda g: g.recipes.normal(g, shape, d, mean, std)
        array = _drawn(draw, shape, d, device, generator, out)
    else:
        if not isinstance(mean, Value) and not isinstance(std, Value):
            raise TypeError("normal(): of two numbers, 'size' is needed too")
        first = mean if isinstance(mean, Value) else std
        result = _normal_op(mean, std, source(generator, place_of(first._array)))
        return result if out is None else write_out(out, result, "normal")
    if out is not None:
        return _into(out, array, "normal")
    return finished(array, requires_grad, device, layout, pin_memory)


def no_gradient(g: Value, input_shape: tuple, input_dtype: np.dtype) -> Value:
    """Draws do not depend smoothly on their parameters: the gradient is zero, as PyTorch's."""
    return wrap(np.zeros(input_shape, input_dtype))


_normal_op = define(
    "normal",
    lambda mean, std, generator: recipes.normal_of(generator, mean, std),
    {
        "mean": lambda g, mean_shape, mean_dtype: no_gradient(g, mean_shape, mean_dtype),
        "std": lambda g, std_shape, std_dtype: no_gradient(g, std_shape, std_dtype),
    },
)
_bernoulli_op = define(
    "bernoulli",
    lambda input, generator: recipes.bernoulli(generator, input.shape, input.dtype, input),
    {"input": no_gradient},
)


_bernoulli_like = define(
    "bernoulli_", lambda p, generator, shape, kind: recipes.bernoulli(generator, shape, kind, p)
)


def bernoulli(
    input: Value,
    p: float | None = None,
    *,
    generator: Generator | None = None,
    out: Value | None = None,
) -> Value:
    """1 with the probability that each element of ``input`` says (or ``p`` everywhere), else 0."""
    if p is not None:
        like, chance = outline(input._array), float(p)
        draw = lambda g: g.recipes.bernoulli(g, like.shape, like.dtype, chance)
        array = _drawn(draw, like.shape, like.dtype, input.device, generator)
        result = finished(array, device=input.device)
    else:
        values, place = input._array, place_of(input._array)
        if place is CPU and values.size and not (values.min() >= 0 and values.max() <= 1):
            raise RuntimeError(
                "Expected p_in >= 0 && p_in <= 1 to be true, but got false: bernoulli takes "
                f"probabilities, got values from {values.min()} to {values.max()}"
            )
        result = _bernoulli_op(input, source(generator, place))
    return result if out is None else write_out(out, result, "bernoulli")


# ---- methods -------------------------------------------------------------------------------


def _fill(
    self: Value,
    name: str,
    generator: Generator | None,
    make: Callable[[Generator, tuple, np.dtype], np.ndarray],
) -> Value:
    array, place = self._array, place_of(self._array)
    if hook.active is not None:
        if place is CUDA and hook.active is array.level and hook.active.below is None:
            check_writable(self, name, self._edge is not None)
            g = source(generator, place)
            g.recipes.drawn_into(array, lambda: make(g, array.shape, array.dtype))
            return written(self, name)
        if place is META:
            check_writable(self, name, self._edge is not None)
            return written(self, name)
        a = outline(array)

        def draw() -> np.ndarray:
            memory = np.empty_like(a) if place is CPU else template(a, a.dtype, place)
            g = source(generator, place)
            return g.recipes.fill(memory, make(g, a.shape, a.dtype))

        return write(self, wrap(drawn(draw)), name)
    check_writable(self, name, self._edge is not None)
    recipes.fill(array, make(source(generator), array.shape, array.dtype))
    return written(self, name)


class RandomMethods:
    """Methods that fill a tensor with random numbers, or draw by its elements."""

    __slots__ = ()

    bernoulli = bernoulli

    def uniform_(
        self,
        from_: float = 0.0,
        to: float = 1.0,
        *,
        generator: Generator | None = None,
        **named: float,
    ) -> Value:
        """Uniform numbers of [from, to)."""
        low = named.pop("from", from_)
        if named:
            raise TypeError(f"uniform_() got an unexpected keyword argument '{next(iter(named))}'")
        return _fill(
            self, "uniform_", generator, lambda g, s, d: g.recipes.uniform(g, s, d, low, to)
        )

    def normal_(
        self, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
    ) -> Value:
        """Normal numbers."""
        dense = self._array.flags.c_contiguous
        return _fill(
            self, "normal_", generator, lambda g, s, d: g.recipes.normal(g, s, d, mean, std, dense)
        )

    def log_normal_(
        self, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None
    ) -> Value:
        """Numbers whose logarithm is normal with ``mean`` and ``std``."""
        return _fill(
            self, "log_normal_", generator, lambda g, s, d: g.recipes.log_normal(g, s, d, mean, std)
        )

    def exponential_(self, lambd: float = 1.0, *, generator: Generator | None = None) -> Value:
        """Exponential numbers of rate ``lambd``."""
        return _fill(
            self, "exponential_", generator, lambda g, s, d: g.recipes.exponential(g, s, d, lambd)
        )

    def geometric_(self, p: float, *, generator: Generator | None = None) -> Value:
        """Trials until the first success of probability ``p``."""
        return _fill(self, "geometric_", generator, lambda g, s, d: g.recipes.geometric(g, s, d, p))

    def cauchy_(
        self, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None
    ) -> Value:
        """Cauchy numbers."""
        return _fill(
            self, "cauchy_", generator, lambda g, s, d: g.recipes.cauchy(g, s, d, median, sigma)
        )

    def random_(
        self,
        from_: int | None = None,
        to: int | None = None,
        *,
        generator: Generator | None = None,
        **named: int,
    ) -> Value:
        """Integers: over the dtype's range, below ``to``, or from ``from`` to below ``to``."""
        low = named.pop("from", from_)
        if low is None and to is None:
            return _fill(self, "random_", generator, lambda g, s, d: g.recipes.random(g, s, d))
        if to is None and "from" not in named and from_ is not None:
            low, to = 0, low
        low = 0 if low is None else low
        if to is not None:
            _check_range(low, to)
        return _fill(
            self, "random_", generator, lambda g, s, d: g.recipes.randint(g, s, d, low, to)
        )

    def bernoulli_(self, p: float | Value = 0.5, *, generator: Generator | None = None) -> Value:
        """1 with probability ``p``, else 0."""
        if isinstance(p, Value) and hook.active is not None:
            g = source(generator, place_of(self._array))
            made = _bernoulli_like(p.detach(), g, self.shape, self._array.dtype)
            return write(self, made, "bernoulli_")
        chance = p._array if isinstance(p, Value) else p
        return _fill(
            self, "bernoulli_", generator, lambda g, s, d: g.recipes.bernoulli(g, s, d, chance)
        )


__all__ = [
    "Generator", "bernoulli", "default_generator", "fork_rng", "get_rng_state",
    "initial_seed", "manual_seed", "normal", "rand", "rand_like",
    "randint", "randint_like", "randn", "randn_like", "randperm", "seed", "set_rng_state",
]  # fmt: skip
