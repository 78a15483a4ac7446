"""What all schedules of the learning rate share."""

from __future__ import annotations

import functools
import warnings
import weakref
from typing import Any

from ..core.modes import hook
from ..core.value import Value
from .optimizer import Optimizer

_HELP = "See more details at https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated: call "
    "`scheduler.step()`. Where a scheduler has a closed form, that is used for the given epoch."
)


def copied(value: Any) -> Any:
    """``value``, which nobody else can change."""
    return value.clone() if isinstance(value, Value) else value


def rates(optimizer: Optimizer, key: str = "lr") -> list[Any]:
    """One option of every group."""
    return [copied(group[key]) for group in optimizer.param_groups]


def put(group: dict[str, Any], key: str, value: Any) -> None:
    """Set an option; one that is a tensor is filled, so that whoever holds it sees it."""
    if isinstance(group[key], Value):
        group[key].fill_(float(value))
    else:
        group[key] = value


def one_each(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """``value`` for every group: a list of as many, or one for all."""
    count = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has "
            f"{len(value)} values, param_groups has {count}."
        )
    return list(value)


def check_optimizer(optimizer: object) -> None:
    """TypeError unless ``optimizer`` is one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def _watch_steps(optimizer: Optimizer) -> None:
    """Let ``optimizer`` remember that its step was called: a scheduler is stepped after it."""
    if hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        return
    weak = weakref.ref(optimizer)
    function = getattr(optimizer.step, "__func__", None)
    if function is None:  # overridden already: nothing is known of it
        return

    @functools.wraps(function)
    def step(*args: Any, **kwargs: Any) -> Any:
        optimizer = weak()
        optimizer._opt_called = True
        return function(optimizer, *args, **kwargs)

    step._wrapped_by_lr_sched = True
    optimizer.step = step


def _seen(step: Any) -> Any:
    """``step``, of which whoever is handed the operations hears as of one event."""

    @functools.wraps(step)
    def stepped(self: LRScheduler, *args: Any, **kwargs: Any) -> None:
        if hook.active is None:
            return step(self, *args, **kwargs)
        if any(isinstance(group["lr"], Value) for group in self.optimizer.param_groups):
            hook.active.opaque("a scheduler fills a learning rate that is a tensor")
            return step(self, *args, **kwargs)
        count = len(args)

        def again(*given: Any) -> None:
            step(self, *given[:count], **dict(zip(kwargs, given[count:], strict=True)))

        return hook.active.stepped(self.optimizer, again, (*args, *kwargs.values()))

    return stepped


class LRScheduler:
    """Base class of schedulers: ``get_lr`` says what the learning rates are to be.

    ``last_epoch``: -1 starts anew; another number resumes, the groups having ``initial_lr``.
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _seen(cls.step)

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming "
                    f"scheduler with last_epoch >= 0. Load the optimizer's state_dict first, which "
                    "has it, or begin with last_epoch=-1."
                )
        self.optimizer = optimizer
        self.base_lrs = rates(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        _watch_steps(optimizer)
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """All that the scheduler knows, without its optimizer."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list[Any]:
        """The learning rates that the last step set, one for each group."""
        return self._last_lr

    def get_lr(self) -> list[Any]:
        """The learning rates for ``last_epoch``, from those of the one before. To be overridden."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr()")

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch, or to ``epoch``. To be called after ``optimizer.step()``."""
        if self._step_count == 1:
            self._check_order()
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    step = _seen(step)

    def _check_order(self) -> None:
        if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
            warnings.warn(
                "Seems like `optimizer.step()` has been overridden after learning rate scheduler "
                "initialization. Please, make sure to call `optimizer.step()` before "
                f"`lr_scheduler.step()`. {_HELP}",
                UserWarning,
                stacklevel=3,
            )
        elif not getattr(self.optimizer, "_opt_called", False):
            if hook.active is not None:
                what = f"{type(self).__name__}.step() was called before optimizer.step()"
                hook.active.doubted("scheduler order", what)
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. You should call "
                f"them in the opposite order: else the schedule's first value is skipped. {_HELP}",
                UserWarning,
                stacklevel=3,
            )

    def _update_lr(self, epoch: int | None = None) -> None:
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                values = self.get_lr()
            else:
                self.last_epoch = epoch
                values = getattr(self, "_get_closed_form_lr", self.get_lr)()
        finally:
            self._get_lr_called_within_step = False
        for group, value in zip(self.optimizer.param_groups, values):
            put(group, "lr", value)
        self._last_lr = rates(self.optimizer)

    # ---- for get_lr ------------------------------------------------------------------------

    def _scaled(self, factor: float = 1.0) -> list[Any]:
        """The learning rates of now, times ``factor``."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def _from_base(self, factor: float) -> list[Any]:
        return [base * factor for base in self.base_lrs]

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use "
                "`get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )
