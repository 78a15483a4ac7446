"""Tensors on the device ``meta``: shape, dtype and strides, and no elements.

A meta tensor is one example of a batch that has none (see ``_batch``): operations run, by the same
rules that ``vmap`` has, on arrays of shape ``(0, *shape)``, which cost no arithmetic and hold no
memory, and what they return tells shape and dtype. Where a rule wants an operand that all examples
share, it is given one element seen as the whole shape. What has no rule, or depends on elements,
raises NotImplementedError.

The interpreter is in the hook from the first meta tensor to the end of the last one; other tensors
are none of its business.
Source: https://docs.pytorch.org/docs/stable/meta.html
"""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from .. import _shapes
from ..core.modes import hook, state
from ..core.op import Op
from ..core.value import Value, wrap
from ..ops.memory import channels_last_order, clone_op, memory_format, preserve_format
from ..tensor._device import META, different_devices
from ._batch import BatchArray, _of_one_dtype
from ._meta_rules import of, own
from ._rules import Batch, rules

ndarray = np.ndarray


# ---- arrays without elements ---------------------------------------------------------------------

_SPAN = 1 << 45  # addresses set aside: no memory, they only keep meta tensors apart


def _reserve() -> mmap.mmap | None:
    """Addresses that read as zeros; None on systems that will not give so many for nothing."""
    try:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
        return mmap.mmap(-1, _SPAN, flags=flags, prot=mmap.PROT_READ)
    except (AttributeError, OSError):
        return None


class _Addresses:
    """Where the next meta tensor lies."""

    reserved: mmap.mmap | None = None
    asked = False
    next = 0

    @classmethod
    def take(cls, size: int) -> tuple[mmap.mmap | None, int]:
        """Room for ``size`` bytes, and where it begins."""
        if not cls.asked:
            cls.reserved, cls.asked = _reserve(), True
        if cls.next + size > _SPAN:  # begin again: two meta tensors at one address do no harm
            cls.next = 0
        place = cls.next
        cls.next += (size + 63) // 64 * 64
        return (cls.reserved if size <= _SPAN else None), place


class MetaArray(BatchArray):
    """The array of a meta tensor: it may be looked at in other ways, never read."""

    dim = 0
    place = META

    def __array_finalize__(self, source: object) -> None:
        self.alive = _alive()  # keeps the interpreter in the hook

    @property
    def inner(self) -> Value:
        """The same shape for each of no examples."""
        return wrap(np.empty((0, *self.shape), self.dtype))

    @property
    def level(self) -> Meta:
        """The interpreter of meta tensors."""
        return _meta

    def unruled(self, name: str) -> Exception:
        """See BatchArray."""
        return not_for_meta(name)

    def _reads(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError("Tensor.item() cannot be called on meta tensors")

    item = __bool__ = __float__ = __int__ = __complex__ = __index__ = _reads

    def tolist(self) -> NoReturn:
        """Refused: NotImplementedError."""
        raise no_data()

    def view(self, *args: Any, **kwargs: Any) -> ndarray:
        """As of other arrays: nothing is read."""
        return ndarray.view(self, *args, **kwargs)

    def copy(self, order: str = "C") -> MetaArray:
        """Another meta array of this shape."""
        return hollow(self.shape, self.dtype, None if order == "C" else self)

    def detached(self) -> MetaArray:
        """This array: elements that are not there are on no tape."""
        return self

    def fill(self, value: object) -> None:
        """Nothing is there to be filled."""

    def __setitem__(self, key: object, value: object) -> None:
        pass

    # What checks of values ask: no element is against them.

    def any(self, *args: Any, **kwargs: Any) -> bool:
        """False: no element is true."""
        return False

    def all(self, *args: Any, **kwargs: Any) -> bool:
        """True: no element is false."""
        return True

    def min(self, *args: Any, **kwargs: Any) -> int:
        """0, which is in every range."""
        return 0

    max = min


def hollow(shape: Sequence[int], dtype: np.dtype, like: ndarray | None = None) -> MetaArray:
    """A meta array of ``shape``, its dimensions in memory in the order of those of ``like``."""
    strides = [s * dtype.itemsize for s in _shapes.contiguous_strides(tuple(shape))]
    if like is not None and like.ndim == len(strides) and 0 not in like.strides:
        step = dtype.itemsize
        for d in sorted(range(like.ndim), key=lambda d: (like.strides[d], -d)):
            strides[d] = step
            step *= max(shape[d], 1)
    return spread_out(shape, dtype, strides)


def spread_out(shape: Sequence[int], dtype: np.dtype, strides: Sequence[int]) -> MetaArray:
    """A meta array with these strides, in bytes."""
    span = sum((n - 1) * s for n, s in zip(shape, strides)) + dtype.itemsize
    memory, place = _Addresses.take(span)
    if memory is None:
        outline = np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides)
        return ndarray.view(outline, MetaArray)
    return ndarray.__new__(MetaArray, tuple(shape), dtype, memory, place, strides)


def no_data() -> NotImplementedError:
    """What PyTorch says where elements of a meta tensor are asked for."""
    return NotImplementedError(
        "Cannot copy out of meta tensor; no data!\n"
        "  a tensor on device='meta' has a shape and a dtype only; give it memory with "
        "torch.empty_like(x, device='cpu'), a module with module.to_empty(device='cpu'), or load "
        "a state_dict with load_state_dict(..., assign=True)"
    )


def not_for_meta(name: str) -> NotImplementedError:
    """What an operation raises whose result needs the elements, or that has no rule here."""
    return NotImplementedError(
        f"{name}: attempted to run this operator with Meta tensors, but there is no rule that "
        "tells the shape of its result without the elements\n  run it on a tensor with memory, "
        "such as torch.empty_like(x, device='cpu')"
    )


# ---- the interpreter in the hook -----------------------------------------------------------------


class _Alive:
    """Each meta array holds the one that there is."""

    __slots__ = ("__weakref__",)


_holder: Callable[[], _Alive | None] = lambda: None


def _alive() -> _Alive:
    global _holder
    token = _holder()
    if token is None:
        token = _Alive()
        _holder = weakref.ref(token, _meta.leave)
    if hook.active is not _meta:
        _meta.enter()
    return token


#: What looks at a tensor's memory without reading it, or only for values that are wrong.
_LOOKS = frozenset(
    ["data_ptr()", "untyped_storage()", "storage()", "deepcopy()", "resize_()", "set_()"]
    + ["a check", "linalg.lstsq"]
)
#: Operations whose first operand alone is batched, by their rules.
_FIRST = frozenset(
    """convolution convolution_transposed native_layer_norm native_group_norm embedding
    cross_entropy_loss nll_loss""".split()
)
#: Operations that only look at their operand in other ways, as NumPy does without reading it.
_PIECES = frozenset(["split", "split_with_sizes", "unsafe_split", "unbind"])
#: Operations to which the library itself gives indices and masks.
_TAKES_CONSTANTS = frozenset(
    """index index_backward index_put index_select masked_fill masked_fill_tensor gather scatter
    searchsorted isin scaled_dot_product_flash_attention_for_cpu""".split()
)


class Meta(Batch):
    """Tells shapes and dtypes of operations on meta tensors."""

    def __init__(self) -> None:
        super().__init__(0, "same")
        self.below = None
        self.thread = -1

    def enter(self) -> None:
        """Take the last place in the hook, below all interpreters."""
        if hook.active is None:
            hook.active = self
            return
        last = hook.active
        while last is not self and last.below is not None:
            last = last.below
        if last is not self:
            last.below = self

    def leave(self, token: object) -> None:
        """There are no meta tensors any more."""
        if hook.active is self:
            hook.active = None
        above = hook.active
        while above is not None:
            if above.below is self:
                above.below = None
            above = above.below

    def dispatch(self, op: Op, plain: Callable, args: tuple) -> Any:
        """See Interpreter; in any thread."""
        return self.run(op, plain, args) if any(map(self.holds, args)) else plain(*args)

    def run(self, op: Op, plain: Callable[..., Any], args: tuple) -> Any:
        """See Interpreter."""
        if op.name in _PIECES:
            outs = plain(*args)
            for out in outs:
                self.viewed(args[0], out, op, args)
            return outs
        if op.name not in _TAKES_CONSTANTS:
            _check_places(args)
        if op.kind == "binary":
            args = _of_one_dtype(args)
        hook.active = None
        try:
            results = self._shapes(op, plain, args)
        finally:
            hook.active = self
        single = type(results) is not tuple
        like = _pattern(op, args)
        outs = []
        for r in (results,) if single else results:
            shape, dtype = r._array.shape[1:], r._array.dtype
            laid = like if like is not None and like.shape == shape else None
            outs.append(wrap(hollow(shape, dtype, laid)))
        outs = tuple(outs)
        if op.name in ("clone", "to_copy") and args[-1] is not None:
            outs[0]._array = _laid_out(outs[0]._array, args[-1])
        if state.grad and op.vjp is not None:
            outs = self._recorded(op, args, outs, single)
        return outs[0] if single else outs

    def _shapes(self, op: Op, plain: Callable, args: tuple) -> Any:
        """The results for no examples."""
        if op.name in own:
            return own[op.name](*args)
        if op.name in ("clone", "to_copy"):
            args = (*args[:-1], None)
        rule = self.rules.get(op.name) or self.rules.get(op.kind)
        results = NotImplemented
        if rule is not None and op.name not in _FIRST:
            try:
                results = rule(self, op, plain, args)
            except RuntimeError:
                if op.kind == "product":  # let the operation say what does not fit
                    plain(*[self.inside(self._shared(a))[0] for a in args])
                raise
        if rule is not None and results is NotImplemented:
            results = rule(self, op, plain, (args[0], *map(self._shared, args[1:])))
        if results is NotImplemented and not any(map(_dimensions, args)):
            return _with_batch(plain(*map(self._zero, args)))  # one element: it may be computed
        if results is NotImplemented:
            raise not_for_meta(op.name)
        return results

    def _zero(self, value: Any) -> Any:
        """``value`` as a tensor of zeros."""
        if type(value) in (tuple, list):
            return type(value)(map(self._zero, value))
        if not self.own(value):
            return value
        return wrap(np.zeros(value._array.shape, value._array.dtype))

    def _shared(self, value: Any) -> Any:
        """``value`` as a tensor that all examples share: one element, seen as all."""
        if type(value) in (tuple, list):
            return type(value)(map(self._shared, value))
        if not self.own(value):
            return value
        array = value._array
        inner = np.broadcast_to(np.zeros((), array.dtype), array.shape)
        return _batched_alone(wrap(inner), self)

    # ---- events ------------------------------------------------------------------------------

    def viewed(self, source: Value, view: Value, op: Op, args: tuple) -> None:
        """See Interpreter."""
        if self.own(source) and not self.own(view):
            view._array = ndarray.view(view._array, MetaArray)

    def write(self, target: Value, source: Value) -> bool:
        """See Interpreter: a write into no elements needs but shapes that fit."""
        if self.own(target):
            np.broadcast_shapes(target._array.shape, source._array.shape)
            if _shapes.broadcast(target._array.shape, source._array.shape) != target._array.shape:
                raise ValueError("the target cannot grow")
            return True
        if self.own(source):
            raise no_data()
        return False

    def read(self, tensor: Value, what: str) -> None:
        """See Interpreter."""
        if not self.own(tensor):
            return
        if what in _LOOKS:
            return
        if what in ("item()", "bool()", "an index"):
            tensor._array.item()
        if what == "numpy()":
            raise TypeError(
                "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the "
                "tensor to host memory first."
            )
        if what == "tolist()":
            raise no_data()
        raise not_for_meta(what)

    # Nothing else concerns this interpreter, or reads elements.

    def draws(self) -> None:
        """See Interpreter."""

    def function(self, cls: Any, args: tuple, kwargs: dict) -> Any:
        """See Interpreter: a Function runs as it stands."""
        return NotImplemented

    def wrote(self, target: Value, source: Value, name: str) -> None:
        """See Interpreter."""

    def compilable(self) -> None:
        """See Interpreter: no compiled program knows tensors without memory."""
        return


def _laid_out(array: MetaArray, format: memory_format) -> ndarray:
    order = channels_last_order(array.ndim, format)
    if order is None:
        return array if format is preserve_format else hollow(array.shape, array.dtype)
    dense = hollow([array.shape[d] for d in order], array.dtype)
    return dense.transpose(np.argsort(order))


def _batched_alone(inner: Value, level: Meta) -> Value:
    array = ndarray.view(inner._array, BatchArray)
    array.inner, array.dim, array.level = inner, None, level
    return wrap(array)


def _pattern(op: Op, args: tuple) -> ndarray | None:
    """The operand whose order of dimensions the result of an elementwise operation takes."""
    if rules.get(op.name, rules.get(op.kind)) is not rules["unary"] and op.name != "clone":
        return None
    tensors = [a._array for a in args if isinstance(a, Value)]
    return next((a for a in tensors if not a.flags.c_contiguous), None)


def _dimensions(value: Any) -> int:
    """How many dimensions the tensor, or those in the tuple, ``value`` has; 0 for others."""
    if type(value) in (tuple, list):
        return max(map(_dimensions, value), default=0)
    return value._array.ndim if isinstance(value, Value) else 0


def _with_batch(results: Any) -> Any:
    """What an operation computed, as if for each of no examples."""
    if type(results) is tuple:
        return tuple(map(_with_batch, results))
    return of(results._array.shape, results._array.dtype)


def _check_places(args: tuple) -> None:
    """RuntimeError where a tensor with elements, other than a number's, meets one without."""
    for a in args:
        if type(a) in (tuple, list):
            _check_places(a)
        elif isinstance(a, Value) and not isinstance(a._array, BatchArray) and a._array.ndim:
            raise different_devices("cpu", "meta")


_meta = Meta()


def made(
    shape: Sequence[int],
    dtype: np.dtype,
    strides: Sequence[int] | None = None,
    like: ndarray | None = None,
    value: Any = None,
) -> MetaArray:
    """A new array; ``strides`` in bytes, or in the order in which ``like`` lies."""
    shape = tuple(shape)
    return hollow(shape, dtype, like) if strides is None else spread_out(shape, dtype, strides)


def given(array: ndarray) -> MetaArray:
    """``array`` without its elements."""
    return made(array.shape, array.dtype, array.strides)


def taken(array: ndarray) -> NoReturn:
    """Refused: NotImplementedError."""
    raise no_data()


def moved(x: Value) -> Value:
    """``x`` without its elements; the way back is refused."""
    if isinstance(x._array, MetaArray):
        raise no_data()
    return clone_op(wrap(given(x._array)), None)
