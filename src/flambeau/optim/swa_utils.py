"""Averages of a model's parameters along its training: stochastic weight averaging, and
exponential moving averages.

Source: https://docs.pytorch.org/docs/stable/optim.html#weight-averaging-swa-and-ema,
https://arxiv.org/abs/1803.05407
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .._dtypes import int64
from .._missing import missing
from ..core.modes import no_grad
from ..core.value import Value
from ..nn.modules.batchnorm import _BatchNorm
from ..nn.modules.module import Module
from ..tensor._creation import tensor
from ..tensor._tensor import Tensor
from ._lr_base import LRScheduler, check_optimizer, one_each
from .optimizer import Optimizer

Average = Callable[[Value, Value, Any], Value]
Averages = Callable[[Sequence[Value], Sequence[Value], Any], None]


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """f(average, new, count) = decay * average + (1 - decay) * new."""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Value, current_param: Value, num_averaged: Any) -> Value:
        """The exponential moving average with one value more."""
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> Average:
    """f(average, new, count) = average + (new - average) / (count + 1): the mean of all."""

    @no_grad()
    def swa_update(averaged_param: Value, current_param: Value, num_averaged: Any) -> Value:
        """The mean with one value more."""
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def _in_place(average: Average) -> Averages:
    """``average`` for lists, written into the first one."""

    @no_grad()
    def update(averaged: Sequence[Value], current: Sequence[Value], num_averaged: Any) -> None:
        """Write the averages with one value more into ``averaged``."""
        for old, new in zip(averaged, current, strict=True):
            old.copy_(average(old, new, num_averaged))

    return update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """``get_ema_avg_fn`` for lists of tensors, in place."""
    return _in_place(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Averages:
    """``get_swa_avg_fn`` for lists of tensors, in place."""
    return _in_place(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of ``model`` whose parameters are averages of those given to update_parameters.

    ``avg_fn(average, new, count)`` returns one average, ``multi_avg_fn(averages, news, count)``
    writes them all; the default is the mean. ``use_buffers``: buffers are averaged, too, else
    copied. ``n_averaged`` counts the updates.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.swa_utils.AveragedModel.html
    """

    n_averaged: Value

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Averages | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=int64, device=device))
        self.avg_fn, self.multi_avg_fn = avg_fn, multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model computes."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the parameters of ``model`` into the averages; the first ones are the averages."""

        def averaged(of: Module) -> list[Tensor]:
            members = itertools.chain(of.parameters(), of.buffers() if self.use_buffers else ())
            return [p.detach() for p in members]

        ours, theirs = averaged(self.module), averaged(model)
        if self.n_averaged == 0:
            for old, new in zip(ours, theirs):
                old.copy_(new)
        elif self.avg_fn is not None:
            for old, new in zip(ours, theirs):
                old.copy_(self.avg_fn(old, new, self.n_averaged))
        else:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            update(ours, theirs, self.n_averaged)
        if not self.use_buffers:
            for old, new in zip(self.module.buffers(), model.buffers()):
                old.detach().copy_(new.detach())
        self.n_averaged += 1


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of batch norms anew, as means over all of ``loader``.

    Batches may be tensors, or lists or tuples whose first element is the model's input.
    """
    layers = {m: m.momentum for m in model.modules() if isinstance(m, _BatchNorm)}
    if not layers:
        return
    was_training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a mean over all batches
    for batch in loader:
        if isinstance(batch, list | tuple):
            batch = batch[0]
        if device is not None:
            batch = batch.to(device)
        model(batch)
    for layer, momentum in layers.items():
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """lr goes from where it is to ``swa_lr`` within ``anneal_epochs`` steps, and stays there.

    ``anneal_strategy``: "cos" or "linear".
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        values = one_each("swa_lr", optimizer, swa_lr)
        for group, value in zip(optimizer.param_groups, values):
            group["swa_lr"] = value
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How much of swa_lr is in the learning rate after ``step`` steps."""
        share = max(0, min(1, step / max(1, self.anneal_epochs)))
        return share if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * share)) / 2

    def get_lr(self) -> list[Any]:
        """The learning rate that lr came from, and swa_lr, mixed anew."""
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        values = []
        for group in self.optimizer.param_groups:
            end = group["swa_lr"]
            start = end if before == 1 else (group["lr"] - before * end) / (1 - before)
            values.append(now * end + (1 - now) * start)
        return values


def __getattr__(name: str) -> object:
    raise missing(__name__, name, globals())


__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]
