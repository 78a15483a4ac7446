"""L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..core.foreign import ForeignArray, near
from ..core.modes import enable_grad, no_grad
from ..core.value import Value, wrap
from .optimizer import Optimizer, Params, check_learning_rate

_CURVED = 1e-10  # the least y s for which a pair enters the history
_MEMORY = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")


class LBFGS(Optimizer):
    """Limited-memory BFGS: the last differences of gradients stand for the curvature.

    ``step(closure)`` makes up to ``max_iter`` iterations; the closure clears the gradients,
    computes the loss, runs backward and returns the loss. It ends early when the largest gradient
    is at most ``tolerance_grad`` or parameters and loss change less than ``tolerance_change``.
    ``line_search_fn``: None takes steps of ``lr``, "strong_wolfe" searches along the direction.
    One parameter group only.

    A pair of the history is a difference of gradients, so in float32 it carries their rounding
    errors many times enlarged: change one initial weight of a small network by one ulp, and after
    80 iterations the paths are 4e-3 apart, in PyTorch as here. Float64 walks PyTorch's path to
    1e-13, and so does float32 to 1e-6 where the closure's gradients have the same bits.
    Source: Nocedal and Wright, Numerical Optimization, algorithms 7.4, 3.5 and 3.6;
    https://docs.pytorch.org/docs/stable/generated/torch.optim.LBFGS.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_learning_rate(lr)
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._params = self.param_groups[0]["params"]

    # ---- all parameters as one vector ------------------------------------------------------

    def _vector(self, arrays: list[np.ndarray]) -> np.ndarray:
        """One vector of real numbers, in at least float32."""
        arrays = [near(a) for a in arrays]
        flat = [_real(a).reshape(-1) for a in arrays]
        return np.concatenate([a if a.itemsize > 2 else a.astype(np.float32) for a in flat])

    def _gradient(self) -> np.ndarray:
        return self._vector(
            [np.zeros_like(p._array) if p.grad is None else p.grad._array for p in self._params]
        )

    def _place(self, vector: np.ndarray) -> None:
        """Put the elements of ``vector`` into the parameters."""
        start = 0
        for p in self._params:
            target = p._array
            count = target.size * (2 if target.dtype.kind == "c" else 1)
            piece = vector[start : start + count]
            if target.dtype.kind == "c":
                piece = piece.view(target.dtype)
            piece = piece.reshape(target.shape)
            if isinstance(target, ForeignArray):
                target[...] = piece.astype(target.dtype)
            else:
                np.copyto(target, piece, casting="unsafe")
            p.counter().bump("step")
            start += count

    # ---- the step --------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any]) -> Any:
        """Up to ``max_iter`` iterations. Returns the first loss."""
        with no_grad():
            return self._iterate(closure)

    def _iterate(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        lr, change = group["lr"], group["tolerance_change"]
        if isinstance(lr, Value):
            lr = lr.cpu()._array.reshape(())[()]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        def evaluate() -> tuple[Any, np.ndarray]:
            with enable_grad():
                loss = closure()
            return loss, self._gradient()

        first, gradient = evaluate()
        loss = float(first)
        evaluations = 1
        state["func_evals"] += 1
        if _largest(gradient) <= group["tolerance_grad"]:
            return first
        known = _unwrapped({name: state.get(name) for name in _MEMORY})
        d, t = known["d"], known["t"]
        for n in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d = -gradient
                known.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
                t = min(1.0, 1.0 / np.abs(gradient).sum()) * lr
            else:
                d = self._direction(gradient, d, t, known, group["history_size"])
                t = lr
            known["prev_flat_grad"], known["prev_loss"] = gradient, loss
            slope = gradient.dot(d)
            if slope > -change:
                break
            spent = 0
            start = self._vector([p._array for p in self._params])
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")

                def at(step: float, start: np.ndarray = start, d: np.ndarray = d) -> _Point:
                    self._place(start + d * step)
                    value, g = evaluate()
                    return _Point(step, float(value), g, g.dot(d))

                here = _Point(0, loss, gradient, slope)
                most = group["max_eval"] - evaluations
                found, spent = strong_wolfe(at, here, t, float(_largest(d)), most=most)
                t, loss, gradient = found.t, found.f, found.g
                self._place(start + d * t)
            else:
                self._place(start + d * t)
                if n != group["max_iter"]:
                    value, gradient = evaluate()
                    loss = float(value)
                    spent = 1
            evaluations += spent
            state["func_evals"] += spent
            if (
                evaluations >= group["max_eval"]
                or _largest(gradient) <= group["tolerance_grad"]
                or _largest(d * t) <= change
                or abs(loss - known["prev_loss"]) < change
            ):
                break
        known["d"], known["t"] = d, t
        state.update(_wrapped(known))
        return first

    def _direction(
        self, gradient: np.ndarray, d: np.ndarray, t: float, known: dict[str, Any], size: int
    ) -> np.ndarray:
        """Minus the gradient times the inverse Hessian that the history stands for."""
        dirs, steps, ro = known["old_dirs"], known["old_stps"], known["ro"]
        y, s = gradient - known["prev_flat_grad"], d * t
        ys = y.dot(s)
        if ys > _CURVED:
            if len(dirs) == size:
                for kept in (dirs, steps, ro):
                    del kept[0]
            dirs.append(y)
            steps.append(s)
            ro.append(1.0 / ys)
            known["H_diag"] = ys / y.dot(y)
        alphas = [None] * size
        q = -gradient
        for i in reversed(range(len(dirs))):
            alphas[i] = steps[i].dot(q) * ro[i]
            q -= alphas[i] * dirs[i]
        known["al"] = alphas
        q *= known["H_diag"]
        for i in range(len(dirs)):
            q += (alphas[i] - dirs[i].dot(q) * ro[i]) * steps[i]
        return q


def _real(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a).view(a.real.dtype) if a.dtype.kind == "c" else a


def _largest(a: np.ndarray) -> np.floating:
    return np.abs(a).max()


def _wrapped(value: Any) -> Any:
    """Arrays and NumPy's numbers as tensors, through lists and dictionaries."""
    if isinstance(value, dict):
        return {k: _wrapped(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_wrapped(v) for v in value]
    return wrap(np.asarray(value)) if isinstance(value, np.ndarray | np.floating) else value


def _unwrapped(value: Any) -> Any:
    """The way back; lists are copied."""
    if isinstance(value, dict):
        return {k: _unwrapped(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_unwrapped(v) for v in value]
    if not isinstance(value, Value):
        return value
    array = value.cpu()._array  # the arithmetic is NumPy's, on all parameters as one vector
    return array if value.dim() else array[()]


# ---- line search ---------------------------------------------------------------------------


class _Point(NamedTuple):
    """A step length with the loss there, the gradient, and the slope along the direction."""

    t: float
    f: float
    g: np.ndarray
    slope: Any


def strong_wolfe(
    at: Callable[[float], _Point],
    start: _Point,
    t: float,
    scale: float,
    decrease: float = 1e-4,
    curvature: float = 0.9,
    tolerance: float = 1e-9,
    most: int = 25,
) -> tuple[_Point, int]:
    """A point that satisfies the strong Wolfe conditions, and how many were evaluated.

    f(t) <= f(0) + ``decrease`` t f'(0) and |f'(t)| <= ``curvature`` |f'(0)|. First a bracket is
    grown from the step ``t``, then it is narrowed (algorithms 3.5 and 3.6). ``scale``: the
    largest element of the direction, by which ``tolerance`` is measured.
    """

    def too_high(point: _Point) -> bool:
        return point.f > start.f + decrease * point.t * start.slope

    def flat(point: _Point) -> bool:
        return abs(point.slope) <= -curvature * start.slope

    before, new = start, at(t)
    evaluations, rounds = 1, 0
    bracket = None
    while rounds < most:
        if too_high(new) or (rounds > 1 and new.f >= before.f):
            bracket = [before, new]
            break
        if flat(new):
            return new, evaluations
        if new.slope >= 0:
            bracket = [before, new]
            break
        bounds = (new.t + 0.01 * (new.t - before.t), new.t * 10)
        before, new = new, at(_cubic_minimum(before, new, bounds))
        evaluations += 1
        rounds += 1
    if bracket is None:
        bracket = [start, new]

    def order() -> tuple[int, int]:
        return (0, 1) if bracket[0].f <= bracket[1].f else (1, 0)

    low, high = order()
    stuck = False
    while rounds < most:
        left, right = sorted(p.t for p in bracket)
        if (right - left) * scale < tolerance:
            break
        t = _cubic_minimum(*bracket)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:  # close to an end: the next time, keep away from it
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new = at(t)
        evaluations += 1
        rounds += 1
        if too_high(new) or new.f >= bracket[low].f:
            bracket[high] = new
            low, high = order()
            continue
        done = flat(new)
        if not done and new.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = new
        if done:
            break
    return bracket[low], evaluations


def _cubic_minimum(a: _Point, b: _Point, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic through both points, with their slopes, is least; kept within ``bounds``,
    which are the points themselves unless they are given. Equation 3.59."""
    low, high = bounds or sorted((a.t, b.t))
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = square**0.5
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(t, low), high)


__all__ = ["LBFGS"]
