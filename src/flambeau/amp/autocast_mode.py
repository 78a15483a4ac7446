"""``autocast``: inside, products run in bfloat16 (or float16), and what needs precision in float32.

Which operations change is PyTorch's choice, for a CPU and for a GPU; each kind of device is
switched by itself. Autocasting is an interpreter (``core.modes``): it is handed every operation
while one is entered, converts the operands, and costs nothing otherwise. Tensors of float64,
integers and complex numbers are left as they are.
Of PyTorch's float32 list, ``linalg`` and ``fft`` are not converted: they refuse bfloat16, in words.
Source: https://docs.pytorch.org/docs/stable/amp.html
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from .._dtypes import bfloat16, dtype, float16, float32
from ..core.modes import Interpreter
from ..core.tape import Leaf
from ..core.value import Value
from ..tensor._device import Elsewhere, place_of

F = TypeVar("F", bound=Callable)

# Records (core.op) and functions, by name. First what runs in the lower precision.
LOWER = frozenset(
    """
    mm mm_nt mm_tn bmm bmm_nt bmm_tn matmul linear addmm baddbmm addbmm
    convolution convolution_transposed conv_tbc scaled_dot_product_attention
    scaled_dot_product_flash_attention_for_cpu _prelu_kernel prelu
    """.split()
)
# What runs in float32, though operands may have arrived in less.
FULL = frozenset(
    """
    prod trace quantile nanquantile stft cdist avg_pool3d adaptive_avg_pool3d
    grid_sampler_2d grid_sampler_3d
    reflection_pad1d reflection_pad2d reflection_pad3d
    replication_pad1d replication_pad2d replication_pad3d
    mse_loss l1_loss smooth_l1_loss huber_loss nll_loss cross_entropy_loss ctc_loss kl_div
    binary_cross_entropy binary_cross_entropy_with_logits poisson_nll_loss soft_margin_loss
    cosine_embedding_loss hinge_embedding_loss margin_ranking_loss triplet_margin_loss
    multi_margin_loss multilabel_margin_loss
    """.split()
)
# A GPU's, beside these: sums, and what a float16 would overflow in.
FULL_ON_CUDA = FULL | frozenset(
    """
    acos asin cosh cosine_similarity cumprod cumsum dist erfinv exp expm1 group_norm layer_norm log
    log10 log1p log2 log_softmax logsumexp norm vector_norm pdist pow reciprocal renorm rsqrt sinh
    softmax softplus sum tan multilabel_soft_margin_loss rms_norm
    """.split()
)
_FULL = {"cpu": FULL, "cuda": FULL_ON_CUDA}
_CASTABLE = frozenset(d.numpy for d in (float16, bfloat16, float32))
_HALVES = (bfloat16, float16)


class _State(threading.local):
    """What is in force in this thread."""

    cached = True
    nesting = 0
    interpreter: _Casts | None = None  # there from the first ``enabled`` to the outermost exit

    def __init__(self) -> None:
        self.on: frozenset[str] = frozenset()  # kinds of devices whose operands are converted
        self.dtypes = {"cpu": bfloat16, "cuda": float16}  # to what; replaced, never changed
        # Parameters converted since the outermost autocast began, by identity.
        self.cache: dict[int, tuple[Value, Value]] = {}


_state = _State()


class _Casts(Interpreter):
    """Converts the operands of operations while autocasting is on in this thread."""

    def run(self, op: Any, plain: Callable[..., Any], args: tuple) -> Any:
        """See Interpreter."""
        return self.onward(op, plain, _operands(op.name, args) if _state.on else args)

    def operands(self, name: str, values: tuple) -> tuple:
        """See Interpreter."""
        if _state.on and threading.get_ident() == self.thread:
            return _operands(name, values)
        return super().operands(name, values)

    def compilable(self) -> tuple[Hashable, Callable[[], Any]] | None:
        """See Interpreter: a program is captured with the conversions in it."""
        if threading.get_ident() != self.thread:
            return None
        settings = (_state.on, tuple(_state.dtypes.items()), _state.cached)
        return settings, functools.partial(_anew, _state.on, _state.dtypes, _state.cached)


def _operands(name: str, values: tuple) -> tuple:
    """The operands of an operation, or function, as autocasting has them."""
    lower = name in LOWER
    if not lower and name not in FULL_ON_CUDA:
        return values
    kind = _kind(values)
    if kind not in _state.on or not (lower or name in _FULL[kind]):
        return values
    d = _state.dtypes[kind] if lower else float32
    return tuple([_cast(v, d) for v in values])


def _kind(values: tuple) -> str:
    """The kind of device that the tensors among ``values`` are on."""
    for v in values:
        if isinstance(v, Value):
            return place_of(v._array).type
        if type(v) in (tuple, list) and v and isinstance(v[0], Value):
            return place_of(v[0]._array).type
    return "cpu"


def _cast(value: Any, d: dtype) -> Any:
    """``value`` as dtype ``d`` if it is a tensor that autocasting may convert."""
    if isinstance(value, tuple):
        return tuple([_cast(v, d) for v in value])
    if not isinstance(value, Value):
        return value
    own = value._array.dtype
    if own not in _CASTABLE or own == d.numpy:
        return value
    # A parameter is converted once, however often it is used.
    if not _state.cached or type(value._edge) is not Leaf or own != np.float32:
        return value.to(d)
    found = _state.cache.get(id(value))
    if found is None or found[1]._array.dtype != d.numpy:
        found = _state.cache[id(value)] = (value, value.to(d))
    return found[1]


def _apply(on: frozenset[str], dtypes: dict[str, dtype], cached: bool) -> None:
    """Put these settings in force, with an interpreter where one is needed."""
    _state.on, _state.dtypes, _state.cached = on, dtypes, cached
    if on and _state.interpreter is None:
        _state.interpreter = _Casts()
        _state.interpreter.__enter__()


def _leave_if_outermost() -> None:
    if _state.nesting == 0:
        _state.cache.clear()
        if not _state.on and _state.interpreter is not None:
            _state.interpreter.__exit__()
            _state.interpreter = None


@contextmanager
def _anew(on: frozenset[str], dtypes: dict[str, dtype], cached: bool) -> Iterator[None]:
    """Inside, these settings, with an interpreter and a cache of their own."""
    before = (_state.interpreter, _state.cache, _state.on, _state.dtypes, _state.cached)
    _state.interpreter, _state.cache = None, {}
    _state.nesting += 1
    try:
        _apply(on, dtypes, cached)
        yield
    finally:
        if _state.interpreter is not None:
            _state.interpreter.__exit__()
        _state.nesting -= 1
        _state.interpreter, _state.cache = before[:2]
        _state.on, _state.dtypes, _state.cached = before[2:]


def _with(kind: str, enabled: bool, d: dtype) -> tuple[frozenset[str], dict[str, dtype]]:
    """The settings in force, but these for one kind of device."""
    on = _state.on | {kind} if enabled else _state.on - {kind}
    return on, {**_state.dtypes, kind: d}


def _has(kind: str) -> bool:
    """Whether there are devices of this kind."""
    return kind == "cpu" or (kind == "cuda" and Elsewhere.has_cuda())


class autocast:
    """Context manager and decorator: inside, products and convolutions run in ``dtype``, losses
    and what else needs it in float32; the rest runs in the dtype of its operands.

    ``device_type``: "cpu", or "cuda": operations on such tensors are meant; for a kind of device
    that is not there autocasting is off, with a warning. ``dtype``: bfloat16 or float16, by default
    bfloat16 on a CPU and float16 on a GPU. ``cache_enabled``: convert a
    parameter once for all its uses inside.
    Source: https://docs.pytorch.org/docs/stable/amp.html#torch.autocast
    """

    def __init__(
        self,
        device_type: str,
        dtype: dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(
                f"Expected `device_type` of type `str`, got: `{type(device_type)}`\n"
                "  give the kind of the device: autocast(x.device.type)"
            )
        _check_kind(device_type)
        self.device = device_type
        self.fast_dtype = dtype if dtype is not None else get_autocast_dtype(device_type)
        if cache_enabled is None:
            cache_enabled = is_autocast_cache_enabled()
        self._cache_enabled = bool(cache_enabled)
        if not _has(device_type) and enabled:
            name = device_type.upper() if device_type in ("cuda", "xpu", "mps") else device_type
            warnings.warn(
                f"User provided device_type of '{device_type}', but {name} is not available. "
                "Disabling",
                stacklevel=2,
            )
            enabled = False
        if enabled and self.fast_dtype not in _HALVES:
            name = device_type.upper()
            warnings.warn(
                f"In {name} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{name} Autocast only supports dtype of torch.bfloat16, torch.float16 currently; "
                f"got {self.fast_dtype!r}.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = bool(enabled)
        self._before: list[tuple] = []

    def __enter__(self) -> autocast:
        self._before.append((_state.on, _state.dtypes, _state.cached))
        _state.nesting += 1
        if _has(self.device):
            _apply(*_with(self.device, self._enabled, self.fast_dtype), self._cache_enabled)
        else:
            _apply(_state.on, _state.dtypes, self._cache_enabled)
        return self

    def __exit__(self, *error: object) -> None:
        _apply(*self._before.pop())
        _state.nesting -= 1
        _leave_if_outermost()

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def decorated(*args: object, **kwargs: object) -> object:
            with self:
                return function(*args, **kwargs)

        return decorated


# ---- what is in force --------------------------------------------------------------------------

_KINDS = ("cpu", "cuda", "xpu", "mps", "hpu", "ipu", "xla", "mtia", "maia", "privateuseone", "meta")


def _check_kind(device_type: str | None) -> None:
    if device_type is not None and device_type.split(":")[0] not in _KINDS:
        raise RuntimeError(
            f"Expected one of {', '.join(_KINDS)} device type at start of device string: "
            f"{device_type}"
        )


def is_autocast_available(device_type: str) -> bool:
    """Whether autocasting can be entered for this kind of device."""
    _check_kind(device_type)
    return device_type in ("cpu", "cuda", "xpu", "mps", "hpu", "ipu", "xla", "mtia", "maia")


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether autocasting is on in this thread; without ``device_type``: on a GPU."""
    _check_kind(device_type)
    return (device_type or "cuda") in _state.on


def is_autocast_cpu_enabled() -> bool:
    """``is_autocast_enabled("cpu")``."""
    return "cpu" in _state.on


def set_autocast_enabled(device_type: str | bool, enabled: bool | None = None) -> None:
    """Switch autocasting on or off for a kind of device (without one: for GPUs); to no effect where
    there is none."""
    kind, enabled = ("cuda", device_type) if enabled is None else (device_type, enabled)
    if not _has(kind):
        return
    _apply(*_with(kind, bool(enabled), _state.dtypes[kind]), _state.cached)
    _leave_if_outermost()


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """``set_autocast_enabled("cpu", enabled)``."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_dtype(device_type: str) -> dtype:
    """The lower precision on a kind of device: bfloat16 on a CPU, where nothing else was set."""
    _check_kind(device_type)
    found = _state.dtypes.get(device_type)
    if found is None:
        return float16 if device_type == "mps" else bfloat16
    return found


def set_autocast_dtype(device_type: str, dtype: dtype) -> None:
    """Set the lower precision for a kind of device; it counts where there is one."""
    _check_kind(device_type)
    if _has(device_type):
        _state.dtypes = {**_state.dtypes, device_type: dtype}


def get_autocast_cpu_dtype() -> dtype:
    """``get_autocast_dtype("cpu")``."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: dtype) -> None:
    """``set_autocast_dtype("cpu", dtype)``."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> dtype:
    """``get_autocast_dtype("cuda")``."""
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: dtype) -> None:
    """``set_autocast_dtype("cuda", dtype)``."""
    set_autocast_dtype("cuda", dtype)


def is_autocast_cache_enabled() -> bool:
    """Whether a converted parameter is kept for its next use."""
    return _state.cached


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Keep converted parameters for their next use, or do not."""
    _state.cached = bool(enabled)


def clear_autocast_cache() -> None:
    """Forget converted parameters."""
    _state.cache.clear()


def autocast_increment_nesting() -> int:
    """Note that an autocast is entered by other means; returns how many there are."""
    _state.nesting += 1
    return _state.nesting


def autocast_decrement_nesting() -> int:
    """Note that it is left; returns how many there still are."""
    _state.nesting -= 1
    _leave_if_outermost()
    return _state.nesting


# ---- autograd.Function ---------------------------------------------------------------------------


def _converted(value: Any, d: dtype) -> Any:
    """``value`` with every castable tensor in it as dtype ``d``."""
    if isinstance(value, Value):
        return value.to(d) if value._array.dtype in _CASTABLE else value
    if isinstance(value, dict):
        return {_converted(k, d): _converted(v, d) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_converted(v, d) for v in value])
    return value


def custom_fwd(
    fwd: F | None = None, *, device_type: str, cast_inputs: dtype | None = None
) -> F | Callable[[F], F]:
    """Decorator for the ``forward`` of an ``autograd.Function``.

    ``cast_inputs``: while autocasting is on, floating operands are converted to this dtype and
    ``forward`` runs with autocasting off. ``backward``, decorated with ``custom_bwd``, runs as
    ``forward`` did.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args: object, **kwargs: object) -> object:
        args[0]._dtype = get_autocast_dtype(device_type)
        on = is_autocast_enabled(device_type)
        if cast_inputs is None:
            args[0]._fwd_used_autocast = on
            return fwd(*args, **kwargs)
        args[0]._fwd_used_autocast = False
        if not on:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(*_converted(args, cast_inputs), **_converted(kwargs, cast_inputs))

    return decorated


def custom_bwd(bwd: F | None = None, *, device_type: str) -> F | Callable[[F], F]:
    """Decorator for the ``backward`` of a Function whose ``forward`` has ``custom_fwd``."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args: object, **kwargs: object) -> object:
        ctx = args[0]
        with autocast(device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(*args, **kwargs)

    return decorated


__all__ = [
    "autocast_decrement_nesting", "autocast_increment_nesting", "clear_autocast_cache",
    "custom_bwd", "custom_fwd", "get_autocast_cpu_dtype", "get_autocast_dtype",
    "get_autocast_gpu_dtype", "is_autocast_available", "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled", "is_autocast_enabled", "set_autocast_cache_enabled",
    "set_autocast_cpu_dtype", "set_autocast_cpu_enabled", "set_autocast_dtype",
    "set_autocast_enabled", "set_autocast_gpu_dtype",
]  # fmt: skip
