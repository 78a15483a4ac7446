"""The interpreter that runs operations on tensors in a device's memory.

It is in the hook from the first such tensor to the end of the last one; operations on other tensors
are none of its business. Autograd is the library's: an operation is recorded as on the CPU, and its
gradient, written in operations, comes here again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from .. import _dtypes
from .._errors import OutOfMemoryError
from ..compiler.graph import Graph
from ..core.modes import hook, no_grad, state
from ..core.op import Op, accepted
from ..core.promotion import compute_type, is_narrow, result_type
from ..core.value import Value, address, as_array, dense, owner_of, wrap
from ..func._batch import Level, _of_one_dtype
from ..tensor._device import CPU, CUDA
from . import updates
from .arrays import DeviceArray, _Level, adopted, hollow, seen, sent
from .backend import backend
from .operands import converted, finished, operand, widened
from .programs import DeviceProgram
from .rules import Looking, formulas, rules
from .twins import LINEAR, TWINS, twin

ndarray = np.ndarray
_told: set[str] = set()

#: What looks at a tensor's memory without reading it, or reads it by the array's own methods.
_LOOKS = frozenset(
    """data_ptr() untyped_storage() storage() deepcopy() resize_() set_() item() bool() tolist()
    printing pickle save equal allclose nonzero() argwhere() masked_select() istft
    linalg.lstsq""".split()
    + ["a check", "an index", "one_hot() without num_classes", "the gradient of det"]
)
#: Operations that only look at their operand in other ways, as NumPy does without reading it.
_PIECES = frozenset(["split", "split_with_sizes", "unsafe_split", "unbind"])


#: Operations whose indices and masks may lie on the CPU.
_TAKES_CONSTANTS = frozenset(
    """index index_backward index_put index_select index_add index_copy index_fill masked_fill
    masked_fill_tensor gather scatter scatter_add embedding repeat_interleave""".split()
)


#: Operations of 16-bit floats whose results but the first stay float32, for the gradient.
_WIDE_STATISTICS = frozenset(
    """native_layer_norm native_group_norm native_batch_norm cross_entropy_loss
    scaled_dot_product_flash_attention_for_cpu""".split()
)


class OnDevice(Level):
    """Runs operations on the device; also the rules of what Python reads and writes there."""

    beneath = True

    def __init__(self) -> None:
        super().__init__(0, "same")
        self.below = None
        self.thread = -1

    # ---- in the hook ---------------------------------------------------------------------------

    def enter(self) -> None:
        """Take the last place in the hook but that of other interpreters of this kind."""
        above, at = None, hook.active
        while at is not None and at is not self and at.thread != -1:
            above, at = at, at.below
        if at is self:
            return
        self.below = at
        if above is None:
            hook.active = self
        else:
            above.below = self

    def leave(self, token: object) -> None:
        """There are no such tensors any more."""
        if hook.active is self:
            hook.active = self.below
        above = hook.active
        while above is not None:
            if above.below is self:
                above.below = self.below
            above = above.below
        self.below = None

    def dispatch(self, op: Op, plain: Callable, args: tuple) -> Any:
        """See Interpreter; in any thread."""
        if any(map(self.holds, args)):
            return self.run(op, plain, args)
        return plain(*args) if self.below is None else self.below.dispatch(op, plain, args)

    def own(self, value: Any) -> bool:
        """Whether ``value`` is a tensor on the device."""
        return isinstance(value, Value) and value._array.__class__ is DeviceArray

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is a tensor on the device, or a tuple with one."""
        if isinstance(value, Value):
            return value._array.__class__ is DeviceArray
        return type(value) in (tuple, list) and any(map(self.holds, value))

    # ---- operations ----------------------------------------------------------------------------

    def run(self, op: Op, plain: Callable[..., Any], args: tuple) -> Any:
        """See Interpreter."""
        if op.name == "to_host":
            return plain(*args)
        if op.name in _PIECES:
            outs = plain(*args)
            for out in outs:
                self.viewed(args[0], out, op, args)
            return outs
        if op.kind == "binary":
            args = _of_one_dtype(args)
        before, hook.active = hook.active, None
        try:
            results = self._computed(op, plain, args)
        except OutOfMemoryError as error:
            shapes = ", ".join([str(tuple(v._array.shape)) for v in _flat(args)])
            raise OutOfMemoryError(f"{error}\n  in {op.name}, of {shapes}") from None
        finally:
            hook.active = before
        single = type(results) is not tuple
        outs = tuple([wrap(self._own(r)) for r in ((results,) if single else results)])
        if state.grad and op.vjp is not None:
            outs = self._recorded(op, args, outs, single)
        return outs[0] if single else outs

    def _own(self, result: Any) -> DeviceArray:
        if isinstance(result, DeviceArray):
            return result
        if backend().is_own(result):
            return adopted(result)
        return sent(np.asarray(result))

    def _computed(self, op: Op, plain: Callable, args: tuple) -> Any:
        """The results, as arrays of the device."""
        rule = rules.get(op.name)
        if rule is not None:
            results = rule(op, args)
            if results is not NotImplemented:
                return results
        results = NotImplemented
        try:
            if op.kind == "unary":
                results = _unary(op, args[0])
            elif op.kind == "binary":
                results = _binary(op, *args)
            elif op.name in formulas:
                results = _general(op, args)
            elif op.name in TWINS:
                with backend().raising() if op.name.startswith(LINEAR) else nullcontext():
                    results = _general(op, args)
        except (TypeError, AttributeError, NotImplementedError):
            # Not for these dtypes or layouts, or not at all, says the device's array module.
            if not Looking.allowed:
                raise
        return self._on_host(op, plain, args) if results is NotImplemented else results

    def _on_host(self, op: Op, plain: Callable, args: tuple) -> Any:
        """The operation on the CPU, on copies."""
        if op.name not in _told:
            _told.add(op.name)
            warnings.warn(
                f"{op.name} has no implementation on cuda: it runs on the CPU, and its operands "
                "are copied there and back",
                stacklevel=4,
            )
        hosts = {}
        with no_grad():
            results = plain(*[_mapped(a, lambda v: _hosted(v, hosts)) for a in args])
        if type(results) is tuple:
            return tuple([sent(r._array) for r in results])
        return sent(results._array)

    # ---- events --------------------------------------------------------------------------------

    def viewed(self, source: Value, view: Value, op: Op, args: tuple) -> None:
        """See Interpreter."""
        if not self.own(source):
            if self.below is not None:
                self.below.viewed(source, view, op, args)
            return
        array = ndarray.view(view._array, DeviceArray)
        array.memory, array.alive = source._array.memory, source._array.alive
        view._array = array

    def write(self, target: Value, source: Value) -> bool:
        """See Interpreter: a write into, or from, the device's memory."""
        to, of = target._array, source._array
        if isinstance(to, DeviceArray):
            if np.broadcast_shapes(to.shape, of.shape) != to.shape:
                raise ValueError("the target cannot grow")
            _assign(to, seen(of if isinstance(of, DeviceArray) else sent(of)), of.dtype)
            return True
        if isinstance(of, DeviceArray):
            np.copyto(to, of.host(), casting="unsafe")
            return True
        return self.below is not None and self.below.write(target, source)

    def read(self, tensor: Value, what: str) -> Any:
        """See Interpreter."""
        if not self.own(tensor):
            return None if self.below is None else self.below.read(tensor, what)
        if what == "numpy()":
            raise TypeError(
                "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the "
                "tensor to host memory first."
            )
        if what not in _LOOKS:
            raise NotImplementedError(
                f"{what} reads the elements of a tensor, and cannot where they are on cuda\n"
                "  move it first, with .cpu()"
            )
        return None

    def draws(self) -> None:
        """See Interpreter."""
        if self.below is not None:
            self.below.draws()

    def function(self, cls: Any, args: tuple, kwargs: dict) -> Any:
        """See Interpreter: a Function runs as it stands."""
        return NotImplemented if self.below is None else self.below.function(cls, args, kwargs)

    def wrote(self, target: Value, source: Value, name: str) -> None:
        """See Interpreter."""
        if self.below is not None and not self.own(target):
            self.below.wrote(target, source, name)

    def copied(self, function: Callable, args: tuple, kwargs: dict) -> Any:
        """See Interpreter."""
        if not any(self.holds(a) for a in (*args, *kwargs.values())):
            return super().copied(function, args, kwargs)
        args = [_mapped(a, self._here) for a in args]
        kwargs = {name: _mapped(a, self._here) for name, a in kwargs.items()}
        with CPU:
            return _mapped(function(*args, **kwargs), self._there)

    def _here(self, value: Value) -> Value:
        return value.cpu() if self.own(value) else value

    def _there(self, value: Value) -> Value:
        return value if self.own(value) else value.to(CUDA)

    def expects(self, valid: Value) -> bool:
        """See Interpreter: a condition is looked at."""
        return False

    def change(self, change: Callable, arrays: list[ndarray], whole: bool) -> bool:
        """See Interpreter."""
        if not isinstance(arrays[0], DeviceArray):
            return self.below is not None and self.below.change(change, arrays, whole)
        if is_narrow(arrays[0].dtype):
            wide = [widened(a) for a in arrays]
            change(*wide)
            for a, w in zip(arrays, wide, strict=True):
                _assign(a, w, w.dtype)
            return True
        if whole or not updates.carried_out(change, arrays):
            change(*[seen(a) if isinstance(a, DeviceArray) else a for a in arrays])
        return True

    # ---- compiled programs ---------------------------------------------------------------------

    @staticmethod
    def build(graph: Graph) -> DeviceProgram:
        """The program of a captured graph whose tensors are on the device."""
        return DeviceProgram(graph)

    @staticmethod
    def empty(shape: Sequence[int], dtype: np.dtype, strides: Sequence[int]) -> DeviceArray:
        """Memory for an array of a program; strides in bytes."""
        return hollow(shape, dtype, strides)

    @staticmethod
    def piece(
        base: DeviceArray,
        dtype: np.dtype,
        shape: Sequence[int],
        strides: Sequence[int],
        offset: int,
    ) -> DeviceArray:
        """The piece of ``base``'s memory at ``offset`` bytes from its first element."""
        if not base.size or 0 in shape:
            return hollow(shape, dtype)
        owner = dense(owner_of(base))
        start = address(base) - address(owner) + offset
        view = ndarray.__new__(DeviceArray, tuple(shape), dtype, owner, start, strides)
        view.memory, view.alive = base.memory, base.alive
        return view


def _assign(to: DeviceArray, elements: Any, dtype: np.dtype) -> None:
    """Write ``elements``, of ``dtype``, into the memory of ``to``, broadcast and converted."""
    target = seen(to)
    if dtype == to.dtype:
        target[...] = elements
    else:
        target[...] = converted(elements, dtype, to.dtype)


# ---- operands ------------------------------------------------------------------------------------


def _mapped(value: Any, function: Callable[[Value], Any]) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)([_mapped(v, function) for v in value])
    return function(value) if isinstance(value, Value) else value


def _hosted(value: Value, hosts: dict) -> Value:
    """``value`` in the CPU's memory; a tensor that occurs twice is copied once."""
    if not isinstance(value._array, DeviceArray):
        return value
    if id(value) not in hosts:
        hosts[id(value)] = wrap(value._array.host())
    return hosts[id(value)]


def _meaning(op: Op) -> Callable:
    """What ``op`` computes, on the device's arrays."""
    found = formulas.get(op.name)
    return twin(op.forward) if found is None else found


def _unary(op: Op, x: Value) -> Any:
    if op.check is not None:
        op.check(x)
    d = accepted(op, _dtypes.from_numpy(x._array.dtype))
    a = operand(x).astype(compute_type(d), copy=False)
    r = _meaning(op)(a)
    if op.result == "bool":
        return r.astype(np.bool_, copy=False)
    if d.is_complex and r.dtype.kind == "f":  # a magnitude, an angle
        d = d.to_real()
    return finished(r, d.numpy)


def _binary(op: Op, a: Any, b: Any) -> Any:
    d = result_type(a, b)
    if op.check is not None:
        op.check(a, b)
    d = accepted(op, d)
    ct = compute_type(d)
    arrays = []
    for v in (a, b):
        if isinstance(v, Value):
            x = operand(v)
            arrays.append(x.astype(ct, copy=False) if backend().is_own(x) else ct.type(x))
        else:
            arrays.append(as_array(v, d)[()] if ct == d.numpy else np.asarray(v, ct)[()])
    r = _meaning(op)(*arrays)
    return finished(r, np.dtype(np.bool_) if op.result == "bool" else d.numpy)


def _general(op: Op, args: tuple) -> Any:
    """The operation's formula or own meaning, on the device's arrays; 16-bit floats in float32."""
    narrow = next((t for t in map(_dtype_of, _flat(args)) if t is not None and is_narrow(t)), None)
    if narrow is not None and op.name == "nextafter":  # the next of 16 bits, not of 32
        return NotImplemented
    arrays = [operand(a, op.name in _TAKES_CONSTANTS) for a in args]
    r = _meaning(op)(*arrays)
    if narrow is None or r is NotImplemented:
        return r
    if type(r) is tuple:
        kept = r[1:] if op.name in _WIDE_STATISTICS else ()
        rounded = [
            finished(o, narrow) if o.dtype == np.float32 else o for o in r[: -len(kept) or None]
        ]
        return (*rounded, *kept)
    return finished(r, narrow) if r.dtype == np.float32 else r


def _flat(args: tuple) -> list:
    return [v for a in args for v in (a if type(a) in (tuple, list) else (a,))]


def _dtype_of(value: Any) -> np.dtype | None:
    """The dtype of a tensor, or what a result is to have."""
    if isinstance(value, Value):
        return value._array.dtype
    return value if isinstance(value, np.dtype) else None


_Level.interpreter = OnDevice()
