"""Checkpointing: what a function saves for backward is dropped, and computed again in backward.

``use_reentrant=False`` packs every saved tensor as nothing but its number; the first one that is
asked for runs the function again. ``use_reentrant=True`` is an ``autograd.Function`` that runs the
function again inside its own backward.
Source: https://docs.pytorch.org/docs/stable/checkpoint.html
"""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, NoReturn

from ..amp.autocast_mode import (
    autocast,
    get_autocast_dtype,
    is_autocast_cache_enabled,
    is_autocast_enabled,
)
from ..autograd._grad import backward as _backward
from ..autograd._saved import saved_tensors_hooks
from ..autograd.function import Function
from ..core.generator import Followers
from ..core.modes import enable_grad, no_grad, state
from ..core.value import Value
from ..nn.modules.container import Sequential
from ..tensor._random import fork_rng, get_rng_state, set_rng_state


class CheckpointError(RuntimeError):
    """The function did not save the same tensors when it was run again."""


def noop_context_fn() -> tuple[Any, Any]:
    """The default ``context_fn``: two contexts that do nothing."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def set_checkpoint_early_stop(enable: bool) -> contextlib.AbstractContextManager:
    """Scope in which a function that is run again stops once it has saved what is needed (the
    default), or runs to its end."""
    return _Setting("early_stop", enable)


def set_checkpoint_debug_enabled(enabled: bool | None) -> contextlib.AbstractContextManager:
    """Accepted: an error always names the tensors that differ."""
    return _Setting("debug", enabled)


class _Flags:
    early_stop = True
    debug: bool | None = None


class _Setting:
    """Sets one of the flags within its scope."""

    def __init__(self, name: str, value: bool | None) -> None:
        self.name, self.value = name, value

    def __enter__(self) -> None:
        self.before = getattr(_Flags, self.name)
        setattr(_Flags, self.name, self.value)

    def __exit__(self, *error: object) -> None:
        setattr(_Flags, self.name, self.before)


class _Surroundings:
    """The states of the random generators and of autocast, to be the same again."""

    def __init__(self, preserve_rng_state: bool) -> None:
        self.random = get_rng_state() if preserve_rng_state else None
        self.devices = Followers.states() if preserve_rng_state else None
        self.autocast = [
            {
                "device_type": kind,
                "enabled": is_autocast_enabled(kind),
                "dtype": get_autocast_dtype(kind),
                "cache_enabled": is_autocast_cache_enabled(),
            }
            for kind in ("cpu", "cuda")
        ]

    @contextlib.contextmanager
    def restored(self) -> Any:
        """Scope in which all are as they were; generators go on as if nothing had been."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(fork_rng(enabled=self.random is not None))
            for settings in self.autocast:
                stack.enter_context(autocast(**settings))
            if self.random is not None:
                set_rng_state(self.random)
                Followers.back(self.devices)
            yield


# ---- without reentry -----------------------------------------------------------------------------


class _Stop(Exception):
    """Ends a function that is run again: everything needed is there."""


class _Place:
    """Stands for one saved tensor; ``number`` is its place in the order of saving."""

    __slots__ = ("__weakref__", "number", "what")

    def __init__(self, number: int, what: dict[str, Any] | None) -> None:
        self.number, self.what = number, what


class _Frame:
    """One call of a checkpointed function."""

    def __init__(self, again: Callable[[], None], checks: bool, early_stop: bool) -> None:
        self.again = again
        self.checks = checks
        self.early_stop = early_stop
        self.places: list[weakref.ref[_Place]] = []
        self.found: dict[int, Value] = {}

    def pack(self, tensor: Value) -> _Place:
        """The hook of the first run."""
        place = _Place(len(self.places), _metadata(tensor) if self.checks else None)
        self.places.append(weakref.ref(place))
        return place

    def unpack(self, place: _Place) -> Value:
        """The tensor of ``place``: each is handed out once, then the function runs again."""
        if place.number not in self.found:
            self._run_again()
        return self.found.pop(place.number)

    def _run_again(self) -> None:
        self.found.clear()
        total, count = len(self.places), 0
        differing: list[tuple[int, dict, dict]] = []

        def keep(tensor: Value) -> Value:
            nonlocal count
            number, count = count, count + 1
            if number < total:
                place = self.places[number]()
                if place is not None:
                    kept = tensor.detach()
                    if place.what is not None and _metadata(kept) != place.what:
                        differing.append((number, place.what, _metadata(kept)))
                    self.found[number] = kept
                if count == total and self.early_stop:
                    raise _Stop
            return tensor

        with contextlib.suppress(_Stop), saved_tensors_hooks(keep, lambda t: t), enable_grad():
            self.again()
        if count < total or (count > total and not self.early_stop):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the "
                "original forward and recomputation.\n"
                f"Number of tensors saved during forward: {total}\n"
                f"Number of tensors saved during recomputation: {count}.\n"
                "  the function must do the same both times: it may not depend on state that "
                "changes between forward and backward"
            )
        if differing:
            listed = "".join(
                f"tensor at position {n}:\nsaved metadata: {was}\nrecomputed metadata: {now}\n"
                for n, was, now in differing
            )
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have "
                f"different metadata than during the forward pass.\n{listed}"
                "  the function must do the same both times; "
                'determinism_check="none" leaves the check out'
            )


def _metadata(tensor: Value) -> dict[str, Any]:
    return {"shape": tensor.shape, "dtype": tensor.dtype, "device": tensor.device}


def _without_reentry(
    function: Callable,
    preserve_rng_state: bool,
    context_fn: Callable[[], tuple[Any, Any]],
    checks: bool,
    early_stop: bool,
    args: tuple,
    kwargs: dict,
) -> Any:
    first, second = context_fn()
    around = _Surroundings(preserve_rng_state)

    def again() -> None:
        with around.restored(), second:
            function(*args, **kwargs)

    frame = _Frame(again, checks, early_stop)
    with saved_tensors_hooks(frame.pack, frame.unpack), first:
        return function(*args, **kwargs)


# ---- with reentry --------------------------------------------------------------------------------


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """``inputs`` with every tensor detached, requiring grad as it did."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            f"Only tuple of tensors is supported. Got Unsupported input type: "
            f"{type(inputs).__name__}"
        )
    return tuple(
        [v.detach().requires_grad_(v.requires_grad) if isinstance(v, Value) else v for v in inputs]
    )


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn if no tensor among ``inputs`` requires grad."""
    if not any(isinstance(i, Value) and i.requires_grad for i in inputs):
        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=4
        )


class CheckpointFunction(Function):
    """``apply(function, preserve_rng_state, *args)``: forward unrecorded, and again in backward."""

    @staticmethod
    def forward(ctx: Any, run_function: Callable, preserve_rng_state: bool, *args: Any) -> Any:
        """Run the function without recording it."""
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.around = _Surroundings(preserve_rng_state)
        ctx.others = [None if isinstance(a, Value) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Value)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        with no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Run the function again, recorded, and walk back through it."""
        if state.targeted:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or "
                "passing an `inputs` parameter to .backward(). To resolve this error, you can "
                "either set use_reentrant=False, or call .backward() without passing the `inputs` "
                "argument."
            )
        inputs = list(ctx.others)
        for i, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
            inputs[i] = tensor
        with ctx.around.restored():
            detached = detach_variable(tuple(inputs))
            with enable_grad():
                outputs = ctx.run_function(*detached)
        outputs = (outputs,) if isinstance(outputs, Value) else outputs
        pairs = [
            (o, g)
            for o, g in zip(outputs, grads, strict=True)
            if isinstance(o, Value) and o.requires_grad
        ]
        if not pairs:
            raise RuntimeError(
                "none of output has requires_grad=True, this checkpoint() is not necessary"
            )
        _backward([o for o, _ in pairs], [g for _, g in pairs])
        return (None, None, *[d.grad if isinstance(d, Value) else None for d in detached])


# ---- the functions users call --------------------------------------------------------------------


def _told_default(name: str) -> bool:
    warnings.warn(
        f"torch.utils.checkpoint{name}: the use_reentrant parameter should be passed explicitly. "
        "use_reentrant=False is recommended, but if you need to preserve the current default "
        "behavior, you can pass use_reentrant=True. Refer to docs for more details on the "
        "differences between the two variants.",
        stacklevel=3,
    )
    return True


def checkpoint(
    function: Callable,
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, whose intermediate results are computed again in backward
    instead of being kept.

    ``preserve_rng_state`` (True): dropout and the like draw the same numbers again.
    ``context_fn``: gives one context for each of the two runs. ``determinism_check``: "default"
    compares shapes and dtypes of what the two runs save, "none" does not. ``early_stop``: the
    second run ends as soon as it has saved what is needed. ``use_reentrant=True``: the older way,
    which takes tensors only as direct arguments and cannot serve ``autograd.grad``.
    """
    if use_reentrant is None:
        use_reentrant = _told_default("")
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs and use_reentrant:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if determinism_check not in ("default", "none"):
        raise ValueError(
            f"determinism_check should be one of ['default', 'none'], but got {determinism_check}"
        )
    if use_reentrant:
        if context_fn is not noop_context_fn or debug:
            raise ValueError(
                "Passing `context_fn` or `debug` is only supported when use_reentrant=False."
            )
        return CheckpointFunction.apply(function, preserve, *args)
    if not state.grad:
        first, _ = context_fn()
        with first:
            return function(*args, **kwargs)
    checks = determinism_check == "default"
    early_stop = early_stop and _Flags.early_stop
    return _without_reentry(function, preserve, context_fn, checks, early_stop, args, kwargs)


def checkpoint_sequential(
    functions: Sequential | Iterable[Callable],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    **kwargs: Any,
) -> Any:
    """``functions`` applied in turn to ``input``, in ``segments`` parts of which all but the last
    are checkpointed."""
    if use_reentrant is None:
        use_reentrant = _told_default(".checkpoint_sequential")
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps = list(functions.children()) if isinstance(functions, Sequential) else list(functions)

    def part(start: int, end: int) -> Callable:
        def run(value: Any) -> Any:
            for step in steps[start:end]:
                value = step(value)
            return value

        return run

    size = len(steps) // segments
    start = 0
    for _ in range(segments - 1):
        run = part(start, start + size)
        input = checkpoint(run, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
        start += size
    return part(start, len(steps))(input)


class CheckpointPolicy(Enum):
    """What a selective checkpoint says of an operation's result."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4


def create_selective_checkpoint_contexts(
    policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False
) -> NoReturn:
    """Refused: a checkpoint keeps nothing of what its function computes. NotImplementedError."""
    raise NotImplementedError(
        "torch.utils.checkpoint.create_selective_checkpoint_contexts is not supported by flambeau\n"
        "  checkpoint smaller functions, and leave out those whose results are to be kept"
    )


class DefaultDeviceType:
    """The kind of device whose generators are kept, besides the CPU's: there is none."""

    _kind = "cuda"

    @staticmethod
    def set_device_type(device: str = "cuda") -> None:
        """Remember it."""
        DefaultDeviceType._kind = device

    @staticmethod
    def get_device_type() -> str:
        """What was remembered: "cuda"."""
        return DefaultDeviceType._kind


def get_device_states(*args: Any) -> tuple[list[int], list[Value]]:
    """The devices that the tensors among ``args`` are on, and their generators' states: none."""
    return [], []


def set_device_states(
    devices: Sequence[int], states: Sequence[Value], *, device_type: str | None = None
) -> None:
    """Put the generators of devices back to their states: there are none."""


__all__ = [
    "CheckpointPolicy", "DefaultDeviceType", "create_selective_checkpoint_contexts",
    "get_device_states", "set_device_states",
    "CheckpointError", "CheckpointFunction", "check_backward_validity", "checkpoint",
    "checkpoint_sequential", "detach_variable", "noop_context_fn", "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
]  # fmt: skip
