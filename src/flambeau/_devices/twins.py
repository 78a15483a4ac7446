"""The array code of operations, over the arrays of a device.

What an operation means is written in NumPy's functions, which a device's array module has, too.
``twin(function)`` is the same code, with everything of ``ops`` that it calls, in which the name
``np`` stands for the device's module: memory that it makes is the device's. What cuts arrays into
blocks for a CPU's cache, or asks for compiled routines, is replaced by what does neither, and
tables of coefficients are numbers.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import threads
from ..ops import (
    _activation_arrays,
    _scalar_elementary,
    _scalar_erf,
    _scalar_gamma,
    _windows,
)
from ..ops._scalar_elementary import KERNELS
from .backend import backend

_PACKAGE = __package__.rpartition(".")[0] + ".ops."


class _Arrays:
    """The device's array module; what it has not, such as ``errstate``, is NumPy's."""

    def __getattr__(self, name: str) -> Any:
        if name in _UFUNCS:
            return _UFUNCS[name]
        found = getattr(backend().xp, name, None)
        return getattr(np, name) if found is None else found

    @staticmethod
    def matmul(a: Any, b: Any, out: Any = None) -> Any:
        """Products of matrices; the device's module takes ``out`` by name."""
        return backend().xp.matmul(a, b, out=out)

    @staticmethod
    def all(a: Any) -> Any:
        """Whether all of ``a``, an array of the device or a number, is true."""
        return a.all() if backend().is_own(a) else np.all(a)

    @staticmethod
    def any(a: Any) -> Any:
        """Whether some of ``a``, an array of the device or a number, is true."""
        return a.any() if backend().is_own(a) else np.any(a)


#: Ufuncs whose reductions a device's module has as functions: these, and their running ones.
_REDUCED = {
    "add": ("sum", "cumsum"),
    "multiply": ("prod", "cumprod"),
    "maximum": ("max", None),
    "minimum": ("min", None),
}


class _Ufunc:
    """A ufunc of the device's module, with the reductions of NumPy's."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(backend().xp, self.name)(*args, **kwargs)

    def at(self, out: Any, places: Any, values: Any) -> None:
        """See NumPy."""
        getattr(backend().xp, self.name).at(out, places, values)

    def reduce(
        self,
        a: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
    ) -> Any:
        """See NumPy."""
        xp, function = backend().xp, _REDUCED[self.name][0]
        options = {} if dtype is None else {"dtype": dtype}
        if initial is not None and function in ("max", "min") and not a.size:
            lead = [1] * a.ndim if axis is None else [n or 1 for n in a.shape]
            a = xp.full(lead, initial, a.dtype)
        r = getattr(xp, function)(a, axis=axis, out=out, keepdims=keepdims, **options)
        return r if initial is None else self(r, xp.asarray(initial, r.dtype), out=out)

    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """See NumPy."""
        running = _REDUCED[self.name][1]
        if running is None:
            raise AttributeError(f"{self.name}.accumulate")
        return getattr(backend().xp, running)(a, axis=axis, dtype=dtype, out=out)


class _Threads:
    """In the place of ``core.threads``: no compiled routines, no threads."""

    LARGE = FEW = math.inf

    @staticmethod
    def routine(name: str) -> None:
        """None: there is no such routine."""

    @staticmethod
    def dot(a: Any, b: Any) -> Any:
        """The product of two matrices."""
        return backend().xp.matmul(a, b)


def _choose(condition: Any, yes: Callable, no: Callable, *arguments: Any) -> Any:
    """``choose`` without looking at the condition: both formulas for all elements."""
    return backend().xp.where(condition, yes(*arguments), no(*arguments))


_UFUNCS = {name: _Ufunc(name) for name in _REDUCED}


def _special(name: str) -> Callable:
    """The device's own function ``name``, where ours would take many steps."""

    def apply(x: Any) -> Any:
        return getattr(backend().special, name)(x)

    apply.__wrapped__ = apply
    return apply


def _whole(work: Callable, count: int, *sizes: int) -> None:
    """``run_parts`` and ``share``: everything at once."""
    work(0, count)


def _all(work: Callable[[slice], None], count: int, bytes_each: int) -> None:
    """``in_parts``: everything in one part."""
    if count:
        work(slice(0, count))


#: Records that run by the twin of their own meaning.
TWINS = frozenset(
    """
    _ctc_loss _ctc_loss_backward _pack_padded_sequence _pad_packed_sequence _prelu_kernel
    _unsafe_view addcdiv addcmul affine_grid_generator affine_grid_generator_backward
    alpha_dropout_noise as_strided_backward bag_items bag_layout
    binary_cross_entropy_backward binary_cross_entropy_with_logits_backward cat
    cholesky_solve clamp clamp_backward clamp_tensor cumprod cumsum elu elu_backward fft_c2c
    fft_c2r fft_r2c fill flip frexp glu gru gru_backward hardshrink hardshrink_backward
    hardtanh hardtanh_backward isclose isin kthvalue leaky_relu leaky_relu_backward lerp
    linalg_cholesky_ex linalg_cross linalg_det linalg_eigh linalg_eigvalsh linalg_inv_ex
    linalg_lstsq linalg_matrix_exp linalg_qr linalg_slogdet linalg_solve_ex
    linalg_solve_triangular linalg_svd linalg_svdvals logcumsumexp logit lstm lstm_backward
    masked_scatter masked_select max_pool_gather max_unpool2d max_unpool3d median median_all
    mvlgamma nan_to_num nanmedian nanmedian_all nansum nextafter pad_circular pad_sequence
    polar polygamma prod prod_all put reflection_pad1d reflection_pad2d reflection_pad3d
    repeat replication_pad1d replication_pad2d replication_pad3d rnn rnn_backward roll rot90
    round_decimals searchsorted select_scatter slice_scatter softplus softplus_backward
    softshrink softshrink_backward split_ties stack take threshold threshold_backward trace
    unfold_backward zero
    """.split()
)

#: How the names of records begin whose functions raise for a matrix that has no result.
LINEAR = ("cholesky", "linalg_")

#: What stands for functions that cut arrays into parts, and for modules.
_twins: dict[Callable, Callable] = {
    _scalar_elementary.choose: _choose,
    _activation_arrays.choose: lambda condition, yes, no: backend().xp.where(condition, yes, no),
    _activation_arrays.above_zero: lambda x, out=None: backend().xp.maximum(x, 0, out=out),
    _activation_arrays.below_zero: lambda x, out=None: backend().xp.minimum(x, 0, out=out),
    _windows.in_parts: _all,
    _windows.share: _whole,
    threads.run_parts: _whole,
    _scalar_erf.erf: _special("erf"),
    _scalar_erf.erfc: _special("erfc"),
    _scalar_erf.erfinv: _special("erfinv"),
    _scalar_gamma.lgamma: _special("gammaln"),
}
_modules: dict[types.ModuleType, Any] = {np: _Arrays(), threads: _Threads()}


class _Scope(dict):
    """The globals of a module's twins, each made when it is first asked for."""

    def __init__(self, names: dict) -> None:
        super().__init__(__builtins__=names["__builtins__"], __name__=names["__name__"])
        self.names = names

    def __missing__(self, key: str) -> Any:
        value = self[key] = _twin_of(self.names[key])
        return value


_scopes: dict[str, _Scope] = {}  # by the name of the module


def instead(function: Callable) -> Callable[[Callable], Callable]:
    """Decorator: what stands for ``function`` in twins."""

    def enter(ours: Callable) -> Callable:
        _twins[function] = ours
        return ours

    return enter


def twin(function: Callable) -> Callable:
    """``function`` over the device's arrays."""
    found = _twins.get(function)
    if found is None:
        found = _twins[function] = _twin_of(function)
    return found


def _twin_of(value: Any) -> Any:
    """What stands for the global, or the variable of a closure, ``value``."""
    kind = type(value)
    if kind is types.FunctionType:
        return _twins[value] if value in _twins else _again(value)
    if kind is functools.partial:
        return functools.partial(_twin_of(value.func), *map(_twin_of, value.args), **value.keywords)
    if kind is types.ModuleType:
        ours = value.__name__.startswith(_PACKAGE)
        return _Names(value) if ours else _modules.get(value, value)
    if isinstance(value, np.ndarray) and not value.ndim:
        return value[()]
    if kind is np.ufunc:
        return _UFUNCS.get(value.__name__, value)
    if kind in (list, tuple):
        return kind(map(_twin_of, value))
    if kind is dict:
        return {key: _twin_of(v) for key, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*map(_twin_of, value))
    return value


class _Names:
    """A module of ``ops``, whose functions are twins."""

    def __init__(self, module: types.ModuleType) -> None:
        self._scope = _scope(module.__dict__)

    def __getattr__(self, name: str) -> Any:
        return self._scope[name]


def _scope(names: dict) -> _Scope:
    name = names["__name__"]
    if name not in _scopes:
        _scopes[name] = _Scope(names)
    return _scopes[name]


def _again(function: types.FunctionType) -> Callable:
    names = function.__globals__
    if not names["__name__"].startswith(_PACKAGE):  # a decorator's, or none of ours
        inner = getattr(function, "__wrapped__", None)
        ours = type(inner) is types.FunctionType and inner.__module__.startswith(_PACKAGE)
        return twin(inner) if ours else function
    kernel, double = KERNELS.get(function, (None, False))
    if kernel is not None:
        made = _twins[function] = _elementwise(twin(kernel), double)
        return made
    cells = tuple([types.CellType() for _ in function.__closure__ or ()])
    made = _twins[function] = types.FunctionType(
        function.__code__, _scope(names), function.__name__, function.__defaults__, cells
    )
    made.__kwdefaults__ = function.__kwdefaults__
    for cell, given in zip(cells, function.__closure__ or ()):
        cell.cell_contents = _twin_of(given.cell_contents)
    return made


def _elementwise(kernel: Callable, double: bool) -> Callable:
    """``ops._scalar_elementary.elementwise`` for arrays of the device."""

    def apply(*arguments: Any, **parameters: Any) -> Any:
        xp = backend().xp
        types = [a.dtype for a in arguments if hasattr(a, "dtype") and a.dtype.kind == "f"]
        dtype = functools.reduce(np.promote_types, types or [np.dtype(np.float64)])
        compute = np.float64 if double or dtype == np.float64 else np.float32
        arrays = [xp.asarray(a, compute) for a in arguments]
        if len(arrays) > 1:
            arrays = xp.broadcast_arrays(*arrays)
        if not arrays[0].size:
            return xp.empty(arrays[0].shape, dtype)
        return kernel(*arrays, **parameters).astype(dtype, copy=False)

    apply.__wrapped__ = kernel
    return apply
