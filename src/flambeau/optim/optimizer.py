"""What all optimizers share: parameter groups, state by parameter, hooks, state_dict.

An optimizer of flambeau is its formula: it says which state a parameter needs (``_start``) and how
one step changes the arrays (``_formula``), and this module carries the formula over all
parameters, on all threads. The same formula, run over tensors that record, is what
``differentiable=True`` asks for.
"""

from __future__ import annotations

import copy
import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeAlias

import numpy as np

from .._dtypes import float64, get_default_dtype
from ..core import formulas
from ..core.foreign import ForeignArray, near
from ..core.modes import enable_grad, set_grad_enabled, state
from ..core.modes import hook as _hook
from ..core.tape import Handle, Leaf, add_hook
from ..core.value import Value, wrap
from ._recorded import Recorded

ParamsT: TypeAlias = Iterable["Value | dict[str, Any] | tuple[str, Value]"]
Params = _params_t = ParamsT


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
        text = type(self).__name__ + " ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            text += "".join(
                f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"
            )
        return text + ")"

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
        named = [isinstance(p, tuple) for p in params]
        if any(named):
            if not all(named):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are "
                    "missing"
                )
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
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; each step would "
                "change them twice. Give each once: list(dict.fromkeys(params))",
                stacklevel=3,
            )
        taken = {id(p) for group in self.param_groups for p in group["params"]}
        if any(id(p) in taken for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        for group in self.param_groups[:1]:
            if ("param_names" in group) != ("param_names" in param_group):
                kind = "with" if "param_names" in param_group else "without"
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param "
                    f"group {kind} names to the optimizer"
                )
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if _hook.active is not None:
                    _hook.active.graded(p)
                if p._grad is None:
                    continue
                if set_to_none:
                    p._grad = None
                else:
                    p._grad = p._grad.detach()
                    p._grad.zero_()

    # ---- the step --------------------------------------------------------------------------

    _on_host = False  # whether the formula is NumPy's alone: a GPU's arrays are copied for it
    _whole = False  # whether the formula needs whole arrays; others run over any piece of them

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        """The state of one parameter before its first step, as arrays like ``p``."""
        raise NotImplementedError(f"{type(self).__name__} defines neither step() nor a formula")

    def _formula(
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        """``change(p, g, *state arrays)``, which writes one step into its arguments, elementwise
        (unless ``_whole``), and the names of the state arrays it takes. What is the same for all
        elements (bias corrections, for example) is computed here, as numbers."""
        raise NotImplementedError(f"{type(self).__name__} defines neither step() nor a formula")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, once. Returns what ``closure`` returns."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            _refuse_devices(group)
        with set_grad_enabled(bool(self.defaults.get("differentiable"))), formulas.together():
            for group in self.param_groups:
                for p in group["params"]:
                    if _hook.active is not None:
                        _hook.active.graded(p)
                    if p._grad is not None:
                        self._step_one(p, p._grad, group)
        return loss

    def _step_one(self, p: Value, grad: Value, group: dict[str, Any]) -> None:
        state = self.state.get(p)
        if not state:
            state = {
                name: wrap(value) if isinstance(value, np.ndarray) else value
                for name, value in self._start(p._array, group).items()
            }
            if state:
                self.state[p] = state
                if _hook.active is not None:
                    _hook.active.opaque("the optimizer makes its state in its first step", True)
        options = group if _hook.active is None else _hook.active.options(group)
        change, names = self._formula(p._array, options, state)
        if group.get("differentiable"):
            _record(change, p, grad, state, names)
            return
        arrays = [p._array, grad._array]
        for name in names:
            arrays.append(state[name]._array)
        onlooker, _hook.active = _hook.active, None  # a formula may call operations of its own
        try:
            if self._on_host and isinstance(arrays[0], ForeignArray):
                _changed_on_host(change, arrays)
            elif onlooker is None or not onlooker.change(change, arrays, self._whole):
                formulas.apply(change, arrays, self._whole)
        finally:
            _hook.active = onlooker
        p.counter().bump("step")
        if _hook.active is not None:
            operands = [p, grad, *[state[name] for name in names]]
            _hook.active.updated(self, p, group, state, change, operands)

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
    def hooked(*args: Any, **kwargs: Any) -> Any:
        self = args[0]
        if not hasattr(self, "_optimizer_step_pre_hooks"):
            return step(*args, **kwargs)  # wraps another optimizer, and never called __init__
        for hook in (*_global_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()):
            changed = hook(self, args, kwargs)
            if changed is None:
                continue
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise RuntimeError(
                    f"{step} must return None or a tuple of (new_args, new_kwargs), but got "
                    f"{changed}.\n  it is what the pre-hook {hook} returned"
                )
            args, kwargs = changed
        result = step(*args, **kwargs)
        for hook in (*self._optimizer_step_post_hooks.values(), *_global_post_hooks.values()):
            hook(self, args, kwargs)
        return result

    hooked.hooked = True
    return hooked


Optimizer.step = _with_hooks(Optimizer.step)


def _cast(p: Value, value: Any, key: str | None = None) -> Any:
    """Loaded state in the dtype of its parameter, and on its device; step counts keep their dtype,
    and are on the CPU."""
    if isinstance(value, Value):
        if key == "step":
            return value.to("cpu", copy=True)
        if p.is_floating_point() and value.is_floating_point():
            return value.to(p.device, p.dtype, copy=True)
        return value.to(p.device, copy=True)
    if isinstance(value, dict):
        return {k: _cast(p, v, key=k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(p, v) for v in value)
    return copy.deepcopy(value)


# ---- differentiable steps -------------------------------------------------------------------


def _record(
    change: Callable[..., None],
    p: Value,
    grad: Value,
    state: dict[str, Any],
    names: tuple[str, ...],
) -> None:
    """One step with ``differentiable=True``: the formula over tensors, on the tape."""
    if p.is_complex():
        raise NotImplementedError("differentiable=True is not supported for complex parameters")
    operands = [Recorded(t) for t in (p, grad, *[state[name] for name in names])]
    change(*operands)
    for name, operand in zip(names, operands[2:], strict=True):
        state[name] = operand.tensor
    p.copy_(operands[0].tensor)


# ---- options -------------------------------------------------------------------------------


def number(value: float | Value) -> float:
    """An option that may be given as a tensor, as a number."""
    return float(value._array.item()) if isinstance(value, Value) else value


def option(value: float | Value) -> Any:
    """An option as a formula takes it: a number, or what records if it is to get a gradient."""
    if isinstance(value, Value) and value._edge is not None and state.grad:
        return Recorded(value)
    return number(value)


def check_options(**limits: tuple[float, bool]) -> None:
    """ValueError for the first option whose check failed, in PyTorch's words."""
    for name, (value, good) in limits.items():
        if not good:
            what = name.removesuffix("_value")
            what = what.replace("_", " ") if what == name else f"{what} value"
            raise ValueError(f"Invalid {what}: {value}")


def check_learning_rate(lr: float | Value) -> None:
    """ValueError for a negative learning rate."""
    if isinstance(lr, Value) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not number(lr) >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")


def check_betas(betas: tuple[float | Value, float | Value]) -> None:
    """ValueError unless both are within [0, 1)."""
    for i in (0, 1):
        if not 0.0 <= number(betas[i]) < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")


def check_fused(fused: bool | None, foreach: bool | None, differentiable: bool) -> None:
    """RuntimeError for implementations that exclude each other; here, all are one."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def _refuse_devices(group: dict[str, Any]) -> None:
    """AssertionError, as PyTorch has it, for options that a step on a CPU cannot follow."""
    if (
        group.get("capturable")
        and not group.get("fused")
        and not all(p.is_cuda for p in group["params"])
    ):
        raise AssertionError(
            "If capturable=True, params and state_steps must be on supported devices: ['cuda', "
            "'xpu', 'hpu', 'privateuseone', 'xla'].\n  the parameters are on the CPU, where there "
            "are no CUDA graphs to capture: leave capturable=False"
        )
    if group.get("foreach") and group.get("differentiable") and "dampening" not in group:
        raise AssertionError("_foreach ops don't support autograd")


def _changed_on_host(change: Callable[..., None], arrays: list[np.ndarray]) -> None:
    """One step on copies in the CPU's memory, which are written back."""
    hosts = [near(a) for a in arrays]
    change(*hosts)
    for array, host in zip(arrays, hosts, strict=True):
        if array is not host:
            array[...] = host


def step_count() -> np.ndarray:
    """A count of steps as PyTorch keeps it: 0-dim, float32 unless the default is float64."""
    return scalar(0.0)


def scalar(value: float) -> np.ndarray:
    """A number of the state, 0-dim; float32 unless the default dtype is float64."""
    return np.array(value, np.float64 if get_default_dtype() is float64 else np.float32)


def next_step(state: dict[str, Any]) -> float:
    """Count one step more; the new count."""
    count = state["step"]
    if not isinstance(count, Value):
        state["step"] = count + 1
        return float(count + 1)
    count._array += 1
    return count._array.item()


def zeros_for(p: np.ndarray) -> np.ndarray:
    """Zeros in the shape, dtype and memory order of ``p``."""
    return np.zeros_like(p)
