"""What schedulers do, as functions of the library ``t``; golden.json holds PyTorch's answers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

STEPS = 14


def _optimizer(t: Any, name: str = "SGD", groups: int = 2) -> Any:
    rates = [{"params": [t.nn.Parameter(t.ones(1))], "lr": 0.1 * (i + 1)} for i in range(groups)]
    options = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
    return getattr(t.optim, name)(rates, lr=0.1, **options)


class _Factor:
    """A factor that can be saved."""

    def __init__(self, base: float) -> None:
        self.base = base

    def __call__(self, epoch: int) -> float:
        return self.base**epoch


def _sequence(t: Any, o: Any) -> Any:
    s = t.optim.lr_scheduler
    parts = [s.LinearLR(o, 0.1, total_iters=3), s.CosineAnnealingLR(o, 5), s.ExponentialLR(o, 0.5)]
    return s.SequentialLR(o, parts, milestones=[3, 8])


def _nested(t: Any, o: Any) -> Any:
    s = t.optim.lr_scheduler
    inner = s.SequentialLR(o, [s.ConstantLR(o, 0.1), s.StepLR(o, 2)], milestones=[4])
    return s.SequentialLR(o, [inner, s.ExponentialLR(o, 0.7)], milestones=[9])


SCHEDULES: dict[str, Callable[[Any, Any], Any]] = {
    "LambdaLR": lambda t, o: t.optim.lr_scheduler.LambdaLR(o, lambda e: 0.9**e),
    "LambdaLR_each": lambda t, o: t.optim.lr_scheduler.LambdaLR(o, [_Factor(0.5), lambda e: e + 1]),
    "MultiplicativeLR": lambda t, o: t.optim.lr_scheduler.MultiplicativeLR(o, lambda e: 1 - e / 20),
    "StepLR": lambda t, o: t.optim.lr_scheduler.StepLR(o, 3, gamma=0.5),
    "MultiStepLR": lambda t, o: t.optim.lr_scheduler.MultiStepLR(o, [2, 7, 7, 11]),
    "ConstantLR": lambda t, o: t.optim.lr_scheduler.ConstantLR(o, 0.25, total_iters=4),
    "LinearLR": lambda t, o: t.optim.lr_scheduler.LinearLR(o, 0.2, 0.7, total_iters=6),
    "LinearLR_default": lambda t, o: t.optim.lr_scheduler.LinearLR(o),
    "ExponentialLR": lambda t, o: t.optim.lr_scheduler.ExponentialLR(o, 0.8),
    "PolynomialLR": lambda t, o: t.optim.lr_scheduler.PolynomialLR(o, 7, power=2.0),
    "CosineAnnealingLR": lambda t, o: t.optim.lr_scheduler.CosineAnnealingLR(o, 5, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda t, o: t.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        o, 3, T_mult=2, eta_min=0.01
    ),
    "CosineAnnealingWarmRestarts_even": (
        lambda t, o: t.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 4)
    ),
    "CyclicLR": lambda t, o: t.optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, 3),
    "CyclicLR_2": lambda t, o: t.optim.lr_scheduler.CyclicLR(
        o, [0.01, 0.02], [0.1, 0.3], 2, 4, mode="triangular2", base_momentum=0.5
    ),
    "CyclicLR_exp": lambda t, o: t.optim.lr_scheduler.CyclicLR(
        o, 0.01, 0.1, 2, mode="exp_range", gamma=0.9, cycle_momentum=False
    ),
    "CyclicLR_own": lambda t, o: t.optim.lr_scheduler.CyclicLR(
        o, 0.01, 0.1, 2, scale_fn=lambda x: 1 / x, scale_mode="cycle"
    ),
    "OneCycleLR": lambda t, o: t.optim.lr_scheduler.OneCycleLR(o, 0.5, total_steps=STEPS),
    "OneCycleLR_three": lambda t, o: t.optim.lr_scheduler.OneCycleLR(
        o, [0.5, 1.0], epochs=7, steps_per_epoch=2, three_phase=True, anneal_strategy="linear"
    ),
    "SequentialLR": _sequence,
    "SequentialLR_nested": _nested,
    "ChainedScheduler": lambda t, o: t.optim.lr_scheduler.ChainedScheduler(
        [t.optim.lr_scheduler.ConstantLR(o, 0.1, 4), t.optim.lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "SWALR": lambda t, o: t.optim.swa_utils.SWALR(o, 0.05, anneal_epochs=4),
    "SWALR_line": lambda t, o: t.optim.swa_utils.SWALR(
        o, [0.5, 0.6], anneal_epochs=3, anneal_strategy="linear"
    ),
    "SWALR_at_once": lambda t, o: t.optim.swa_utils.SWALR(o, 0.05, anneal_epochs=0),
}
#: Those that take an epoch.
BY_EPOCH = "StepLR MultiStepLR ConstantLR LinearLR ExponentialLR PolynomialLR CosineAnnealingLR"
RESUMED = f"LambdaLR MultiplicativeLR {BY_EPOCH} CosineAnnealingWarmRestarts CyclicLR OneCycleLR"


def _options(optimizer: Any) -> list[Any]:
    names = ("lr", "initial_lr", "momentum", "betas", "max_lr", "min_lr", "swa_lr")
    return [{n: group[n] for n in names if n in group} for group in optimizer.param_groups]


def _walk(optimizer: Any, scheduler: Any, steps: int) -> list[Any]:
    path = []
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        path.append([[group["lr"] for group in optimizer.param_groups], scheduler.get_last_lr()])
    return path


def _state(scheduler: Any) -> dict[str, Any]:
    state = scheduler.state_dict()
    return {k: dict(v) if hasattr(v, "elements") else v for k, v in sorted(state.items())}


def _path_of(name: str) -> Callable[[Any], Any]:
    def scenario(t: Any) -> Any:
        optimizer = _optimizer(t)
        scheduler = SCHEDULES[name](t, optimizer)
        first = [_options(optimizer), _state(scheduler)]
        path = _walk(optimizer, scheduler, STEPS - 1)
        return [first, path, _options(optimizer), _state(scheduler)]

    return scenario


def _resumed(name: str) -> Callable[[Any], Any]:
    """A saved schedule goes on in another scheduler, over another optimizer."""

    def scenario(t: Any) -> Any:
        optimizer = _optimizer(t)
        scheduler = SCHEDULES[name](t, optimizer)
        _walk(optimizer, scheduler, 5)
        saved = copy.deepcopy([optimizer.state_dict(), scheduler.state_dict()])
        other = _optimizer(t)
        second = SCHEDULES[name](t, other)
        other.load_state_dict(saved[0])
        second.load_state_dict(saved[1])
        return [_walk(other, second, 6), _walk(optimizer, scheduler, 6)]

    return scenario


def _with_adam(name: str) -> Callable[[Any], Any]:
    def scenario(t: Any) -> Any:
        optimizer = _optimizer(t, "AdamW")
        scheduler = SCHEDULES[name](t, optimizer)
        return [_walk(optimizer, scheduler, 4), _options(optimizer)]

    return scenario


def _by_epoch(name: str) -> Callable[[Any], Any]:
    def scenario(t: Any) -> Any:
        optimizer = _optimizer(t)
        scheduler = SCHEDULES[name](t, optimizer)
        path = []
        for epoch in (3, 4, 0, 9, 2):
            optimizer.step()
            scheduler.step(epoch)
            path.append(scheduler.get_last_lr())
        return [path, _walk(optimizer, scheduler, 2)]

    return scenario


def _from_last_epoch(name: str) -> Callable[[Any], Any]:
    """A new scheduler that is told where the old one was."""

    def scenario(t: Any) -> Any:
        optimizer = _optimizer(t)
        scheduler = SCHEDULES[name](t, optimizer)
        _walk(optimizer, scheduler, 4)
        s = t.optim.lr_scheduler
        options = {
            "LambdaLR": {"lr_lambda": lambda e: 0.9**e},
            "MultiplicativeLR": {"lr_lambda": lambda e: 0.5},
            "StepLR": {"step_size": 3},
            "MultiStepLR": {"milestones": [5, 6]},
            "ExponentialLR": {"gamma": 0.5},
            "CosineAnnealingLR": {"T_max": 6},
            "CosineAnnealingWarmRestarts": {"T_0": 3},
            "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3},
            "OneCycleLR": {"max_lr": 0.5, "total_steps": STEPS},
        }.get(name, {})
        again = getattr(s, name)(optimizer, last_epoch=4, **options)
        return [again.get_last_lr(), _walk(optimizer, again, 4)]

    return scenario


for _name in SCHEDULES:
    globals()[f"path_of_{_name}"] = _path_of(_name)
    globals()[f"resumed_{_name}"] = _resumed(_name)
for _name in ("CyclicLR", "OneCycleLR", "SequentialLR"):
    globals()[f"with_adam_{_name}"] = _with_adam(_name)
for _name in BY_EPOCH.split():
    globals()[f"by_epoch_{_name}"] = _by_epoch(_name)
for _name in RESUMED.split():
    globals()[f"from_last_epoch_{_name}"] = _from_last_epoch(_name)


def warm_restarts_by_fractions_of_epochs(t: Any) -> Any:
    answers = []
    for factor in (1, 2, 3):
        optimizer = _optimizer(t)
        scheduler = t.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 4, T_mult=factor)
        for epoch in (0.5, 1.25, 3.75, 4.0, 5.5, 12.0, 17.25, 52.0):
            scheduler.step(epoch)
            answers.append([scheduler.get_last_lr(), scheduler.T_cur, scheduler.T_i])
        answers.append(_state(scheduler))
    return answers


def plateaus(t: Any) -> Any:
    metrics = [
        5,
        4,
        4.1,
        4.05,
        4,
        3.9996,
        3.5,
        3.6,
        float("nan"),
        3.7,
        3.8,
        float("inf"),
        3.4,
        9,
        9,
    ]
    answers = []
    for options in (
        {"patience": 1},
        {"mode": "max", "patience": 0, "factor": 0.5},
        {"patience": 1, "cooldown": 2, "threshold": 0.05, "threshold_mode": "abs"},
        {"patience": 0, "min_lr": [0.05, 0.001]},
        {"patience": 0, "min_lr": 0.02, "eps": 0.09},
    ):
        optimizer = _optimizer(t)
        scheduler = t.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        for i, metric in enumerate(metrics):
            scheduler.step(t.tensor(metric) if i % 2 else metric)
            answers.append([*scheduler.get_last_lr(), scheduler.num_bad_epochs])
        answers.append(scheduler.in_cooldown)
        state = scheduler.state_dict()
        answers.append({k: str(v) for k, v in sorted(state.items())})
        other = t.optim.lr_scheduler.ReduceLROnPlateau(_optimizer(t))
        other.load_state_dict(copy.deepcopy(state))
        other.step(1.0)
        answers.append([other.best, other.mode, other.last_epoch])
    return answers


def a_plateau_with_a_new_group(t: Any) -> Any:
    answers = []
    for least in (0.01, [0.01, 0.01]):
        optimizer = _optimizer(t)
        scheduler = t.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=least)
        optimizer.add_param_group({"params": [t.nn.Parameter(t.ones(1))]})
        try:
            for _ in range(3):
                scheduler.step(1.0)
            answers.append(scheduler.get_last_lr())
        except RuntimeError as error:
            answers.append(str(error)[:70])
    return answers


def a_tensor_as_learning_rate_is_filled(t: Any) -> Any:
    lr = t.tensor(0.1)
    optimizer = t.optim.SGD([t.nn.Parameter(t.ones(1))], lr=lr)
    scheduler = t.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    optimizer.step()
    scheduler.step()
    same = optimizer.param_groups[0]["lr"] is lr
    return [lr.item(), same, scheduler.get_last_lr()[0].item(), scheduler.base_lrs[0].item()]


def two_schedulers_of_one_optimizer(t: Any) -> Any:
    optimizer = _optimizer(t)
    s = t.optim.lr_scheduler
    a, b = s.ExponentialLR(optimizer, 0.9), s.MultiStepLR(optimizer, [2, 3], 0.5)
    path = []
    for _ in range(4):
        optimizer.step()
        a.step()
        b.step()
        path.append([a.get_last_lr(), b.get_last_lr()])
    return path


def _warned(act: Callable[[], Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    return [f"{w.category.__name__}: {str(w.message)[:60]}" for w in caught]


def warnings_about_the_order(t: Any) -> Any:
    s = t.optim.lr_scheduler
    answers = []
    scheduler = s.StepLR(_optimizer(t), 2)
    answers.append(_warned(scheduler.step))
    answers.append(_warned(scheduler.step))
    optimizer = _optimizer(t)
    scheduler = s.StepLR(optimizer, 2)
    optimizer.step()
    answers.append(_warned(scheduler.step))
    answers.append(_warned(scheduler.get_lr))
    answers.append([w[:50] for w in _warned(lambda: scheduler.step(3))])
    optimizer = _optimizer(t)
    scheduler = s.StepLR(optimizer, 2)
    optimizer.step = lambda: None
    answers.append(_warned(scheduler.step))
    return answers


def refused(t: Any) -> Any:
    s, swa = t.optim.lr_scheduler, t.optim.swa_utils

    def one() -> Any:
        return _optimizer(t, groups=1)

    def two() -> Any:
        return _optimizer(t, groups=2)

    def within(make: Callable[[Any], Any]) -> Callable[[], Any]:
        return lambda: make(one())

    cases = [
        lambda: s.StepLR(3, 2),
        lambda: s.StepLR(one(), 2, last_epoch=3),
        lambda: s.StepLR(one(), 0).step(),
        lambda: s.LambdaLR(two(), [lambda e: 1]),
        lambda: s.MultiplicativeLR(two(), [lambda e: 1]),
        lambda: s.ConstantLR(one(), factor=1.5),
        lambda: s.ConstantLR(one(), factor=-1),
        lambda: s.LinearLR(one(), start_factor=0),
        lambda: s.LinearLR(one(), end_factor=1.5),
        lambda: s.SequentialLR(one(), [], []),
        lambda: s.SequentialLR(one(), [s.StepLR(one(), 1)], []),
        within(lambda o: s.SequentialLR(o, [s.StepLR(o, 1)], [2])),
        within(lambda o: s.SequentialLR(o, [s.StepLR(o, 1), s.ReduceLROnPlateau(o)], [2])),
        within(lambda o: s.SequentialLR(o, [s.StepLR(o, 1), 3], [2])),
        lambda: s.ChainedScheduler([]),
        within(lambda o: s.ChainedScheduler([s.StepLR(o, 1), s.ReduceLROnPlateau(o)])),
        lambda: s.ChainedScheduler([s.StepLR(one(), 1), s.StepLR(one(), 1)]),
        lambda: s.CyclicLR(one(), 0.1, 0.2, mode="x"),
        lambda: s.CyclicLR(two(), [0.1], 0.2),
        lambda: s.CyclicLR(_optimizer(t, "Adagrad"), 0.1, 0.2),
        lambda: s.OneCycleLR(one(), 0.1),
        lambda: s.OneCycleLR(one(), 0.1, total_steps=0),
        lambda: s.OneCycleLR(one(), 0.1, total_steps=1.5),
        lambda: s.OneCycleLR(one(), 0.1, epochs=0, steps_per_epoch=1),
        lambda: s.OneCycleLR(one(), 0.1, epochs=1, steps_per_epoch=0),
        lambda: s.OneCycleLR(one(), 0.1, total_steps=5, pct_start=2),
        lambda: s.OneCycleLR(one(), 0.1, total_steps=5, anneal_strategy="x"),
        lambda: s.OneCycleLR(_optimizer(t, "Adagrad"), 0.1, total_steps=5),
        within(lambda o: _walk(o, s.OneCycleLR(o, 0.1, total_steps=5), 7)),
        lambda: s.CosineAnnealingWarmRestarts(one(), 0),
        lambda: s.CosineAnnealingWarmRestarts(one(), 2, 0),
        lambda: s.CosineAnnealingWarmRestarts(one(), 2, 1, "low"),
        lambda: s.CosineAnnealingWarmRestarts(one(), 2).step(-1),
        lambda: s.ReduceLROnPlateau(one(), factor=1),
        lambda: s.ReduceLROnPlateau(3),
        lambda: s.ReduceLROnPlateau(two(), min_lr=[1]),
        lambda: s.ReduceLROnPlateau(one(), mode="x"),
        lambda: s.ReduceLROnPlateau(one(), threshold_mode="x"),
        lambda: swa.SWALR(one(), 0.1, anneal_strategy="x"),
        lambda: swa.SWALR(one(), 0.1, anneal_epochs=-1),
        lambda: swa.SWALR(two(), [0.1]),
        lambda: swa.get_ema_avg_fn(1.5),
        lambda: swa.AveragedModel(
            t.nn.Linear(1, 1), avg_fn=swa.get_swa_avg_fn(), multi_avg_fn=swa.get_swa_multi_avg_fn()
        ),
    ]
    answers = []
    for case in cases:
        try:
            case()
            answers.append("accepted")
        except Exception as error:
            answers.append(
                f"{type(error).__name__}: {str(error).strip(chr(34)).splitlines()[0][:70]}"
            )
    return answers


def averages_of_models(t: Any) -> Any:
    swa = t.optim.swa_utils
    answers = []
    for options in (
        {},
        {"avg_fn": swa.get_swa_avg_fn()},
        {"avg_fn": swa.get_ema_avg_fn(0.75)},
        {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.75), "use_buffers": True},
        {"avg_fn": lambda old, new, count: old + (count + 1) * new},
    ):
        t.manual_seed(0)
        model = t.nn.Sequential(t.nn.Linear(2, 3), t.nn.BatchNorm1d(3)).double()
        averaged = swa.AveragedModel(model, **options)
        for i in range(3):
            model(t.arange(8.0).double().view(4, 2) * (i + 1))
            with t.no_grad():
                for p in model.parameters():
                    p.mul_(1.5).add_(i)
            averaged.update_parameters(model)
        answers.append({k: v.tolist() for k, v in averaged.state_dict().items()})
        answers.append(averaged.eval()(t.ones(1, 2).double()).tolist())
    return answers


def batch_norms_anew(t: Any) -> Any:
    t.manual_seed(0)
    model = t.nn.Sequential(t.nn.Linear(2, 3), t.nn.BatchNorm1d(3, momentum=0.3)).eval()
    data = [t.arange(8.0).view(4, 2) * i for i in range(3)]
    t.optim.swa_utils.update_bn([(x, 1) for x in data], model)
    answers = [model.training, model[1].momentum, model[1].running_mean.tolist()]
    answers += [model[1].running_var.tolist(), model[1].num_batches_tracked.item()]
    t.optim.swa_utils.update_bn(data, t.nn.Linear(2, 3))
    return answers
