"""What all optimizers share: parameter groups, state by parameter, hooks, state_dict.

An optimizer of flambeau is its formula: it says which state a parameter needs (``_start``) and how
one step changes the arrays (``_formula``), and this module carries the formula over all
parameters, in pieces that stay in the cache, on all threads.
"""

from __future__ import annotations

import copy
import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np

from ..core import threads
from ..core.modes import enable_grad, no_grad
from ..core.tape import Handle, Leaf, add_hook
from ..core.value import Value, wrap

Params = Iterable["Value | dict[str, Any] | tuple[str, Value]"]


class _Required:
    """Stands for an option without a default."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()
_global_pre_hooks: dict = OrderedDict()
_global_post_hooks: dict = OrderedDict()


def register_optimizer_step_pre_hook(hook: Callable) -> Handle:
    """Call ``hook(optimizer, args, kwargs)`` before every step of every optimizer."""
    return add_hook(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable) -> Handle:
    """Call ``hook(optimizer, args, kwargs)`` after every step of every optimizer."""
    return add_hook(_global_post_hooks, hook)


class Optimizer:
    """Base class of optimizers, users' own included: those override ``step``.

    ``params``: tensors, (name, tensor) pairs, or dictionaries with the key "params" and options
    that differ from ``defaults``.
    Source: https://docs.pytorch.org/docs/stable/optim.html
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._optimizer_step_pre_hooks: dict = OrderedDict()
        self._optimizer_step_post_hooks: dict = OrderedDict()
        self._optimizer_state_dict_pre_hooks: dict = OrderedDict()
        self._optimizer_state_dict_post_hooks: dict = OrderedDict()
        self._optimizer_load_state_dict_pre_hooks: dict = OrderedDict()
        self._optimizer_load_state_dict_post_hooks: dict = OrderedDict()
        if isinstance(params, Value):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {params.type()}"
            )
        self.state: defaultdict[Value, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.step)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in ("step_pre", "step_post", "state_dict_pre", "state_dict_post",
                     "load_state_dict_pre", "load_state_dict_post"):  # fmt: skip
            self.__dict__.setdefault(f"_optimizer_{name}_hooks", OrderedDict())

    def __repr__(self) -> str:
        lines = [type(self).__name__ + " ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # ---- groups ----------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: {"params": tensors, option: value, ...}; other options are the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Value):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params = list(params)
        if params and isinstance(params[0], tuple):
            param_group["param_names"] = [name for name, _ in params]
            params = [p for _, p in params]
        for p in params:
            if not isinstance(p, Value):
                raise TypeError("optimizer can only optimize Tensors, but one of the params is "
                                + type(p).__name__)  # fmt: skip
            if not self.defaults.get("differentiable") and not (
                p._edge is None or type(p._edge) is Leaf or p._retains_grad
            ):
                raise ValueError("can't optimize a non-leaf Tensor")
        param_group["params"] = params
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    f"parameter group didn't specify a value of required optimization parameter "
                    f"{name}"
                )
            param_group.setdefault(name, default)
        if len({id(p) for p in params}) != len(params):
            raise ValueError(
                "some parameters appear more than once in one group; give each once, for example "
                "by list(dict.fromkeys(params))"
            )
        taken = {id(p) for group in self.param_groups for p in group["params"]}
        if any(id(p) in taken for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if p._grad is None:
                    continue
                if set_to_none:
                    p._grad = None
                else:
                    p._grad = p._grad.detach()
                    p._grad.zero_()

    # ---- the step --------------------------------------------------------------------------

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, np.ndarray | Value]:
        """The state of one parameter before its first step, as arrays like ``p``."""
        raise NotImplementedError(f"{type(self).__name__} defines neither step() nor a formula")

    def _formula(
        self, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        """``change(p, g, *state arrays)``, which writes one step into its arguments, elementwise,
        and the names of the state arrays it takes."""
        raise NotImplementedError(f"{type(self).__name__} defines neither step() nor a formula")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, once. Returns what ``closure`` returns."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p._grad is not None:
                        self._step_one(p, p._grad, group)
        return loss

    def _step_one(self, p: Value, grad: Value, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            for name, value in self._start(p._array, group).items():
                state[name] = value if isinstance(value, Value) else wrap(value)
        change, names = self._formula(group, state)
        arrays = [p._array, grad._array]
        for name in names:
            arrays.append(state[name]._array)
        apply_elementwise(change, arrays)
        p.counter().bump("step")

    # ---- state_dict ------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """{"state": {index: state}, "param_groups": groups with indices for tensors}."""
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        index: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            packed = {k: v for k, v in group.items() if k != "params"}
            for p in group["params"]:
                index.setdefault(id(p), len(index))
            packed["params"] = [index[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {(index[id(k)] if isinstance(k, Value) else k): v for k, v in self.state.items()}
        result = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, result)
            if changed is not None:
                result = changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state and options of ``state_dict``; parameters are matched by position."""
        state_dict = dict(state_dict)
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        saved = copy.deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        for ours, theirs in zip(self.param_groups, saved, strict=True):
            if len(ours["params"]) != len(theirs["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    f"optimizer's group: {len(theirs['params'])} parameters, here "
                    f"{len(ours['params'])}"
                )
        by_index: dict[Hashable, Value] = {}
        for ours, theirs in zip(self.param_groups, saved, strict=True):
            by_index.update(zip(theirs["params"], ours["params"], strict=True))
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            p = by_index.get(key)
            state[key if p is None else p] = copy.deepcopy(value) if p is None else _cast(p, value)
        for ours, theirs in zip(self.param_groups, saved, strict=True):
            theirs["params"] = ours["params"]
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    # ---- hooks -----------------------------------------------------------------------------

    def register_step_pre_hook(self, hook: Callable) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` before each step."""
        return add_hook(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return add_hook(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call ``hook(optimizer)`` before ``state_dict``."""
        return add_hook(self._optimizer_state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call ``hook(optimizer, state_dict)`` after ``state_dict``; it may return another."""
        return add_hook(self._optimizer_state_dict_post_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call ``hook(optimizer, state_dict)`` before loading; it may return another."""
        return add_hook(self._optimizer_load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> Handle:
        """Call ``hook(optimizer)`` after loading."""
        return add_hook(self._optimizer_load_state_dict_post_hooks, hook)


def _with_hooks(step: Callable) -> Callable:
    """``step`` between the hooks, if there are any."""
    if getattr(step, "hooked", False):
        return step

    @functools.wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        before = (*_global_pre_hooks.values(), *self._optimizer_step_pre_hooks.values())
        for hook in before:
            changed = hook(self, args, kwargs)
            if changed is not None:
                args, kwargs = changed
        result = step(self, *args, **kwargs)
        after = (*self._optimizer_step_post_hooks.values(), *_global_post_hooks.values())
        for hook in after:
            hook(self, args, kwargs)
        return result

    hooked.hooked = True
    return hooked


Optimizer.step = _with_hooks(Optimizer.step)


def _cast(p: Value, value: Any, key: str | None = None) -> Any:
    """Loaded state in the dtype of its parameter; step counts keep theirs."""
    if isinstance(value, Value):
        if key != "step" and p.is_floating_point() and value.is_floating_point():
            return value.to(p.dtype, copy=True)
        return value.clone()
    if isinstance(value, dict):
        return {k: _cast(p, v, key=k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(p, v) for v in value)
    return copy.deepcopy(value)


# ---- formulas over arrays ------------------------------------------------------------------

_BLOCK = 1 << 14


def apply_elementwise(change: Callable[..., None], arrays: list[np.ndarray]) -> None:
    """``change(*arrays)``, which writes into its arguments elementwise, on any layout and dtype.

    Large arrays go through it in pieces that stay in the cache, on all threads; complex numbers
    as pairs of real ones; 16-bit floats by way of float32.
    """
    first = arrays[0]
    if first.dtype.kind == "c":
        real = first.real.dtype
        arrays = [_pairs(a, real) for a in arrays]
        apply_elementwise(change, arrays)
        return
    if first.dtype.kind != "f" or first.dtype.itemsize < 4:
        wide = [a.astype(np.float32) for a in arrays]
        apply_elementwise(change, wide)
        for a, w in zip(arrays, wide, strict=True):
            np.copyto(a, w, casting="unsafe")
        return
    if first.size <= _BLOCK:
        change(*arrays)
        return
    if all(a.flags.c_contiguous for a in arrays):
        flat = [a.reshape(-1) for a in arrays]
    elif all(a.flags.f_contiguous for a in arrays):
        flat = [a.reshape(-1, order="F") for a in arrays]
    else:
        change(*arrays)
        return

    def part(start: int, stop: int) -> None:
        for i in range(start, stop, _BLOCK):
            j = min(i + _BLOCK, stop)
            change(*[a[i:j] for a in flat])

    threads.run_parts(part, first.size, _BLOCK)


def _pairs(a: np.ndarray, real: np.dtype) -> np.ndarray:
    if not a.flags.c_contiguous:
        raise NotImplementedError("optimizers need complex parameters to be contiguous")
    return a.reshape(-1).view(real)


def number(value: float | Value) -> float:
    """An option that may be given as a tensor, as a number."""
    return float(value.item()) if isinstance(value, Value) else value


def check_options(**limits: tuple[float, bool]) -> None:
    """ValueError for the first option whose check failed, in PyTorch's words."""
    for name, (value, good) in limits.items():
        if not good:
            raise ValueError(f"Invalid {name.replace('_', ' ')}: {value}")


def check_learning_rate(lr: float | Value) -> None:
    """ValueError for a negative learning rate."""
    if isinstance(lr, Value) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not number(lr) >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")


def not_differentiable(differentiable: bool, name: str) -> None:
    """NotImplementedError for ``differentiable=True``: a step is not recorded."""
    if differentiable:
        raise NotImplementedError(
            f"{name}(differentiable=True) is not supported: a step writes into the parameters and "
            "is not recorded"
        )


def step_count() -> Value:
    """A count of steps as PyTorch keeps it: a 0-dim float32 tensor."""
    return wrap(np.zeros((), np.float32))


def next_step(state: dict[str, Any]) -> float:
    """Count one step more; the new count."""
    count = state["step"]
    if not isinstance(count, Value):
        state["step"] = count + 1
        return float(count + 1)
    count._array += 1
    return float(count._array)


def zeros_for(p: np.ndarray) -> np.ndarray:
    """Zeros in the shape, dtype and memory order of ``p``."""
    return np.zeros_like(p)
