"""``GradScaler``: losses are multiplied before backward, gradients divided before the step, so
that float16 gradients neither vanish nor overflow unseen.

Source: https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling
"""

from __future__ import annotations

import enum
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from .._dtypes import float16
from ..core.value import Value, constant
from ..tensor._device import Elsewhere


class OptState(enum.Enum):
    """How far one optimizer has come in this iteration."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


class GradScaler:
    """Multiplies losses by a scale that grows while gradients are finite, and shrinks when not.

    ``scale(loss).backward(); step(optimizer); update()``. A step whose gradients hold inf or nan
    is skipped. The scale starts at ``init_scale``, is multiplied by ``growth_factor`` after
    ``growth_interval`` good steps in a row, and by ``backoff_factor`` after a bad one.
    ``enabled=False``: everything passes through unchanged.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        self._enabled = enabled
        there = device == "cpu" or (device == "cuda" and Elsewhere.has_cuda())
        if not there and enabled:
            warnings.warn(
                f"torch.{device}.amp.GradScaler is enabled, but {device.upper()} is not available."
                "  Disabling.",
                stacklevel=2,
            )
            self._enabled = False
        if not self._enabled:
            return
        if growth_factor <= 1.0:
            raise ValueError(f"The growth factor must be > 1.0, got {growth_factor}")
        if backoff_factor >= 1.0:
            raise ValueError(f"The backoff factor must be < 1.0, got {backoff_factor}")
        self._init_scale = init_scale
        self._scale: Value | None = None  # made by the first scale()
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = 0
        self._optimizers: dict[int, dict[str, Any]] = {}

    def _state_of(self, optimizer: object) -> dict[str, Any]:
        return self._optimizers.setdefault(
            id(optimizer), {"stage": OptState.READY, "found_inf": None}
        )

    def _current(self) -> Value:
        if self._scale is None:
            self._scale = constant(np.full((), self._init_scale, np.float32))
        return self._scale

    def scale(self, outputs: Value | Iterable) -> Value | Iterable:
        """``outputs`` (a tensor, or an iterable of them) multiplied by the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Value):
            return outputs * self._current().to(outputs.device, outputs.dtype)
        if isinstance(outputs, Iterable):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of the optimizer's parameters by the scale, in place, before
        clipping them; RuntimeError a second time between two updates."""
        if not self._enabled:
            return
        self._check("unscale_")
        state = self._state_of(optimizer)
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        inverse = self._current().double().reciprocal().float()
        found_inf = None
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.dtype is float16:
                    raise ValueError(
                        "Attempting to unscale FP16 gradients.\n"
                        "  the parameters themselves are float16; keep them in float32 and let "
                        "autocast convert them"
                    )
                p.grad.mul_(inverse.to(p.grad.device))
                bad = (p.grad.detach() * 0).sum() != 0  # nan, where an element was not finite
                found_inf = bad if found_inf is None else found_inf | bad.to(found_inf.device)
        state["found_inf"] = None if found_inf is None else bool(found_inf)
        state["stage"] = OptState.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> float | None:
        """``optimizer.step(*args, **kwargs)``, unless a gradient holds inf or nan."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._check("step")
        state = self._state_of(optimizer)
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        if state["found_inf"] is None:
            raise AssertionError("No inf checks were recorded for this optimizer.\n"
                               "  no parameter has a gradient: was backward() called?")  # fmt: skip
        result = None if state["found_inf"] else optimizer.step(*args, **kwargs)
        state["stage"] = OptState.STEPPED
        return result

    def update(self, new_scale: float | Value | None = None) -> None:
        """Once after all steps of an iteration: let the scale grow or shrink, or set it."""
        if not self._enabled:
            return
        self._check("update")
        if new_scale is not None:
            if isinstance(new_scale, Value):
                if new_scale.numel() != 1 or new_scale.requires_grad:
                    raise ValueError(
                        "new_scale should be a float or a 1-element torch.FloatTensor with "
                        "requires_grad=False."
                    )
                new_scale = new_scale.item()
            self._current().fill_(new_scale)
        else:
            found = [s["found_inf"] for s in self._optimizers.values()]
            found = [f for f in found if f is not None]
            if not found:
                raise AssertionError(
                    "No inf checks were recorded prior to update.\n"
                    "  call step(optimizer) or unscale_(optimizer) first"
                )
            scale = self._current()
            if any(found):
                scale.mul_(self._backoff_factor)
                self._growth_tracker = 0
            else:
                self._growth_tracker += 1
                if self._growth_tracker == self._growth_interval:
                    grown = (scale.double() * self._growth_factor).float()
                    if bool(grown.isfinite()):
                        scale.copy_(grown)
                    self._growth_tracker = 0
        self._optimizers.clear()

    def _check(self, name: str) -> None:
        if self._scale is None:
            raise AssertionError(
                f"Attempted {name} but _scale is None.  This may indicate your script did not use "
                "scaler.scale(loss or outputs) earlier in the iteration."
            )

    # ---- settings ----------------------------------------------------------------------------

    def get_scale(self) -> float:
        """The scale; 1.0 if disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        """By what the scale grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Let the scale grow by another factor."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """By what the scale shrinks."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Let the scale shrink by another factor."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many good steps the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Let the scale grow after another count of good steps."""
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Whether losses are scaled at all."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The settings and the scale, as numbers; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what ``state_dict`` gave. RuntimeError for the state of a disabled scaler."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        if self._scale is not None:
            self._scale.fill_(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]


__all__ = ["GradScaler", "OptState"]
