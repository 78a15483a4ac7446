"""What optimizers do, as functions of the library ``t``; golden.json holds PyTorch's answers.

Parameters are float64, so that the answers do not depend on the order of roundings.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

STEPS = 5

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        {},
        {"lr": 0.1, "weight_decay": 0.3, "maximize": True},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        {"foreach": True},
        {"fused": True, "momentum": 0.5},
    ],
    "Adam": [
        {},
        {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1},
        {"lr": 0.1, "amsgrad": True, "maximize": True},
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "AdamW": [{}, {"lr": 0.1, "weight_decay": 0.2, "amsgrad": True}, {"fused": True}],
    "Adamax": [{}, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1, "maximize": True}],
    "NAdam": [
        {},
        {"lr": 0.1, "momentum_decay": 0.1, "weight_decay": 0.1},
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
    ],
    "RAdam": [
        {},
        {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.1},
        {"lr": 0.1, "betas": (0.5, 0.99), "decoupled_weight_decay": True, "weight_decay": 0.1},
        {"lr": 0.1, "maximize": True},
    ],
    "Adagrad": [
        {},
        {"lr": 0.1, "lr_decay": 0.5, "weight_decay": 0.1, "initial_accumulator_value": 0.2},
        {"maximize": True, "eps": 0.1},
    ],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.6, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}],
    "Adafactor": [
        {},
        {"lr": 0.1, "beta2_decay": -0.5, "weight_decay": 0.1, "maximize": True},
        {"lr": 0.1, "d": 1.5, "eps": (1e-3, 0.1)},
    ],
    "ASGD": [
        {},
        {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 2, "weight_decay": 0.1},
        {"t0": 0, "maximize": True},
    ],
    "RMSprop": [
        {},
        {"lr": 0.1, "alpha": 0.5, "eps": 1e-3, "weight_decay": 0.1, "maximize": True},
        {"momentum": 0.9},
        {"centered": True, "momentum": 0.5, "weight_decay": 0.1},
    ],
    "Rprop": [{}, {"lr": 0.3, "etas": (0.3, 1.9), "step_sizes": (0.1, 0.4)}, {"maximize": True}],
    "LBFGS": [
        {"lr": 0.01},
        {"lr": 0.1, "max_iter": 3, "history_size": 2},
        {"line_search_fn": "strong_wolfe", "tolerance_grad": 1e-3},
        {"line_search_fn": "strong_wolfe", "max_iter": 5, "history_size": 3, "lr": 3.0},
    ],
}
COMPLEX = "SGD Adam AdamW Adamax NAdam RAdam Adagrad Adadelta ASGD RMSprop Rprop LBFGS".split()
DIFFERENTIABLE = "SGD Adam AdamW NAdam RAdam Adagrad Adadelta ASGD RMSprop".split()


def _parameters(t: Any, dtype: Any = None) -> list[Any]:
    dtype = t.float64 if dtype is None else dtype
    matrix = t.tensor([[0.5, -1.5, 2.0], [1.0, 0.0, -0.25]]).to(dtype)
    vector = t.tensor([3.0, -0.5, 0.125, 0.0]).to(dtype)
    if dtype.is_complex:
        matrix, vector = matrix + 0.5j * matrix.flip(0), vector - 1j
    return [t.nn.Parameter(x) for x in (matrix, vector, t.ones(2, dtype=dtype))]


def _loss(t: Any, params: list[Any]) -> Any:
    """A valley that bends; the last parameter has no part in it."""
    a, b, _ = params
    if a.is_complex():
        return ((a * a - 0.5).abs() ** 2).sum() + (b[:3] - a.sum(0)).abs().pow(2).sum()
    return ((a * a - 0.5) ** 2).sum() + (b[:3] - a.sum(0)).pow(2).sum() + 0.3 * (b * b).sum()


def _walk(t: Any, optimizer: Any, params: list[Any], steps: int = STEPS) -> list[Any]:
    path = []

    def closure() -> Any:
        optimizer.zero_grad()
        loss = _loss(t, params)
        loss.backward()
        return loss

    for _ in range(steps):
        loss = optimizer.step(closure)
        path.append(loss.item())
    return [path, [_numbers(t, p) for p in params]]


def _numbers(t: Any, p: Any) -> Any:
    p = p.detach()
    return t.view_as_real(p).tolist() if p.is_complex() else p.tolist()


def _state(t: Any, optimizer: Any) -> dict[str, Any]:
    def plain(v: Any) -> Any:
        if isinstance(v, t.Tensor):
            return [str(v.dtype).split(".")[-1], list(v.shape), _numbers(t, v)]
        return [plain(x) for x in v if x is not None] if isinstance(v, list) else v

    state = optimizer.state_dict()["state"]
    return {f"{i} {k}": plain(v) for i, s in state.items() for k, v in sorted(s.items())}


def _path_of(name: str, options: dict[str, Any]) -> Callable[[Any], Any]:
    def scenario(t: Any) -> Any:
        params = _parameters(t)
        optimizer = getattr(t.optim, name)(params, **options)
        return [*_walk(t, optimizer, params), _state(t, optimizer), repr(optimizer)]

    return scenario


def _complex_path_of(name: str) -> Callable[[Any], Any]:
    def scenario(t: Any) -> Any:
        params = _parameters(t, t.complex128)
        optimizer = getattr(t.optim, name)(params)
        return [*_walk(t, optimizer, params), sorted(_state(t, optimizer))]

    return scenario


def _gradient_through(name: str) -> Callable[[Any], Any]:
    """Two differentiable steps: the gradient of a loss at their end at their beginning."""

    def scenario(t: Any) -> Any:
        start = t.tensor([0.5, -1.5, 2.0, 1e-3], dtype=t.float64, requires_grad=True)
        p = start * 1.0
        optimizer = getattr(t.optim, name)([p], lr=0.1, differentiable=True)
        for scale in (1.0, 2.0):
            p.grad = (start * start * scale).sin() + 2
            optimizer.step()
        (p * p).sum().backward()
        return [_rounded(p), _rounded(start.grad)]

    return scenario


def _rounded(p: Any) -> list[float]:
    """PyTorch computes the bias corrections of differentiable steps in float32."""
    return [round(x, 4) for x in p.tolist()]


for _name, _options in SETTINGS.items():
    for _i, _option in enumerate(_options):
        globals()[f"path_of_{_name}_{_i}"] = _path_of(_name, _option)
for _name in COMPLEX:
    globals()[f"complex_path_of_{_name}"] = _complex_path_of(_name)
for _name in DIFFERENTIABLE:
    globals()[f"gradient_through_{_name}"] = _gradient_through(_name)


def muon_in_its_own_precision(t: Any) -> Any:
    t.manual_seed(0)
    answers = []
    for shape in ((3, 5), (6, 2), (4, 4)):
        for options in ({}, {"nesterov": False, "adjust_lr_fn": "match_rms_adamw", "lr": 0.1}):
            p = t.nn.Parameter(t.randn(shape))
            optimizer = t.optim.Muon([p], **options)
            for _ in range(3):
                p.grad = p.detach().sin() + 0.1
                optimizer.step()
            answers.append([[round(x, 3) for x in row] for row in p.tolist()])
            answers.append(sorted(optimizer.state_dict()["state"][0]))
    return answers


def options_of_all(t: Any) -> Any:
    answers = []
    names = "Adafactor Adagrad Adam AdamW Adamax ASGD LBFGS Muon NAdam RAdam RMSprop Rprop SGD"
    for name in [*names.split(), "Adadelta", "SparseAdam"]:
        optimizer = getattr(t.optim, name)([t.nn.Parameter(t.ones(2, 2))])
        answers.append([name, optimizer.state_dict()["param_groups"], repr(optimizer)])
    return answers


def _refused(t: Any, name: str, **options: Any) -> str:
    p = t.nn.Parameter(t.ones(2, 2))
    p.grad = t.ones(2, 2)
    try:
        optimizer = getattr(t.optim, name)([p], **options)
    except Exception as error:
        return f"{type(error).__name__} at construction: {str(error).splitlines()[0]}"
    try:
        optimizer.step()
    except Exception as error:
        return f"{type(error).__name__} in step: {str(error).splitlines()[0]}"
    return "accepted"


def refused_options(t: Any) -> Any:
    lr = t.tensor(0.01)
    cases = [
        ("SGD", {"lr": -1.0}),
        ("SGD", {"lr": t.tensor([0.1, 0.2])}),
        ("SGD", {"momentum": -1}),
        ("SGD", {"weight_decay": -1}),
        ("SGD", {"nesterov": True}),
        ("SGD", {"fused": True, "foreach": True}),
        ("SGD", {"fused": True, "differentiable": True}),
        ("Adam", {"lr": lr}),
        ("Adam", {"lr": lr, "foreach": True}),
        ("Adam", {"betas": (1.0, 0.9)}),
        ("Adam", {"betas": (0.9, lr)}),
        ("Adam", {"betas": (lr, lr), "foreach": True}),
        ("Adam", {"eps": -1}),
        ("Adam", {"capturable": True}),
        ("Adam", {"capturable": True, "fused": True}),
        ("AdamW", {"weight_decay": -1}),
        ("AdamW", {"fused": True, "foreach": True}),
        ("Adamax", {"betas": (0.9, 1.0)}),
        ("NAdam", {"momentum_decay": -0.2}),
        ("RAdam", {"weight_decay": -1}),
        ("Adagrad", {"lr_decay": -0.5}),
        ("Adagrad", {"initial_accumulator_value": -0.5}),
        ("Adadelta", {"rho": 1.1}),
        ("Adafactor", {"lr": -1.0}),
        ("Adafactor", {"eps": (-1e-30, 1e-3)}),
        ("Adafactor", {"eps": (1e-30, -1e-3)}),
        ("Adafactor", {"d": 0.0}),
        ("Adafactor", {"beta2_decay": 0.8}),
        ("Adafactor", {"weight_decay": -1.0}),
        ("ASGD", {"weight_decay": -0.5}),
        ("RMSprop", {"momentum": -1.0}),
        ("RMSprop", {"alpha": -1.0}),
        ("Rprop", {"etas": (1.0, 0.5)}),
        ("Muon", {"momentum": -1.0}),
        ("Muon", {"lr": -1.0}),
        ("Muon", {"weight_decay": -1.0}),
        ("SparseAdam", {"betas": (1.0, 0.0)}),
        ("SparseAdam", {"lr": -0.1}),
        ("SparseAdam", {}),
    ]
    return [[name, str(options), _refused(t, name, **options)] for name, options in cases]


def refused_parameters(t: Any) -> Any:
    p, q = t.nn.Parameter(t.ones(2)), t.nn.Parameter(t.ones(2))

    def answer(make: Callable[[], Any]) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                make()
            except Exception as error:
                return f"{type(error).__name__}: {str(error).split(';')[0][:60]}"
        return "accepted"

    sgd = t.optim.SGD
    return [
        answer(lambda: sgd([])),
        answer(lambda: sgd(p)),
        answer(lambda: sgd([1.0])),
        answer(lambda: sgd([p * 2])),
        answer(lambda: sgd([p, p])),
        answer(lambda: sgd([{"params": {p, q}}])),
        answer(lambda: sgd([{"params": [p]}, {"params": [p, q]}])),
        answer(lambda: sgd([("p", p), q])),
        answer(lambda: sgd([("p", p)]).add_param_group({"params": [q]})),
        answer(lambda: sgd([p]).add_param_group([q])),
        answer(lambda: t.optim.LBFGS([{"params": [p]}, {"params": [q]}])),
        answer(lambda: t.optim.Muon([p])),
        answer(lambda: sgd([("p", p), ("q", q)]).state_dict()["param_groups"][0]["param_names"]),
    ]


def groups_with_their_own_options(t: Any) -> Any:
    a, b, c = params = _parameters(t)
    optimizer = t.optim.Adam([{"params": [a], "lr": 0.3}, {"params": b}], lr=0.1, betas=(0.5, 0.9))
    first = _walk(t, optimizer, params, 2)
    optimizer.add_param_group({"params": [c], "weight_decay": 0.5})
    return [first, _walk(t, optimizer, params, 1), optimizer.state_dict()["param_groups"]]


def a_state_dict_goes_on_where_it_was(t: Any) -> Any:
    answers = []
    for name in SETTINGS:
        params = _parameters(t)
        optimizer = getattr(t.optim, name)(params, lr=0.01)
        _walk(t, optimizer, params, 2)
        saved = copy.deepcopy(optimizer.state_dict())
        others = [t.nn.Parameter(p.detach().clone()) for p in params]
        other = getattr(t.optim, name)(others)
        other.load_state_dict(saved)
        answers.append([name, _walk(t, other, others, 2), _walk(t, optimizer, params, 2)])
        answers.append(saved["param_groups"] == other.state_dict()["param_groups"])
    return answers


def a_state_dict_that_does_not_fit(t: Any) -> Any:
    def load(have: list[int], given: list[int]) -> str:
        def make(sizes: list[int]) -> Any:
            groups = [{"params": [t.nn.Parameter(t.ones(2)) for _ in range(n)]} for n in sizes]
            return t.optim.Adam(groups)

        try:
            make(have).load_state_dict(make(given).state_dict())
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:85]}"
        return "accepted"

    return [load([1], [1, 1]), load([2], [1]), load([1, 2], [1, 2])]


def loaded_state_takes_the_dtype_of_its_parameter(t: Any) -> Any:
    p = t.nn.Parameter(t.ones(2))
    optimizer = t.optim.Adam([p])
    p.grad = t.ones(2)
    optimizer.step()
    q = t.nn.Parameter(t.ones(2, dtype=t.float64))
    other = t.optim.Adam([q])
    other.load_state_dict(optimizer.state_dict())
    return {k: str(v.dtype).split(".")[-1] for k, v in other.state[q].items()}


def hooks_run_around_a_step(t: Any) -> Any:
    p = t.nn.Parameter(t.ones(2))
    optimizer = t.optim.SGD([p], lr=0.1)
    seen: list[Any] = []
    handles = [
        optimizer.register_step_pre_hook(lambda o, a, k: seen.append(["pre", len(a), sorted(k)])),
        optimizer.register_step_post_hook(lambda o, a, k: seen.append(["post", p[0].item()])),
        optimizer.register_state_dict_pre_hook(lambda o: seen.append("before saving")),
        optimizer.register_state_dict_post_hook(lambda o, s: {**s, "more": 1}),
        optimizer.register_load_state_dict_pre_hook(lambda o, s: seen.append("before loading")),
        optimizer.register_load_state_dict_post_hook(lambda o: seen.append("after loading")),
    ]
    p.grad = t.ones(2)
    optimizer.step()
    optimizer.step(closure=lambda: 3)
    saved = optimizer.state_dict()
    optimizer.load_state_dict(saved)
    for handle in handles:
        handle.remove()
    optimizer.step()
    return [seen, sorted(saved), p.tolist()]


def gradients_that_are_not_there(t: Any) -> Any:
    p = t.nn.Parameter(t.ones(2))
    optimizer = t.optim.Adam([p])
    optimizer.step()
    p.grad = t.tensor([float("nan"), float("inf")])
    optimizer.step()
    shown = [p.tolist(), optimizer.state[p]["exp_avg"].tolist()]
    optimizer.zero_grad(set_to_none=False)
    zeros = p.grad.tolist()
    optimizer.zero_grad()
    return [shown, zeros, p.grad is None]


def shapes_without_elements(t: Any) -> Any:
    answers = []
    for name in SETTINGS:
        if name in ("LBFGS", "Adafactor"):
            continue
        p, q = t.nn.Parameter(t.ones(0, dtype=t.float64)), t.nn.Parameter(t.ones(()).double())
        optimizer = getattr(t.optim, name)([p, q])
        p.grad, q.grad = t.ones(0).double(), t.ones(()).double()
        optimizer.step()
        answers.append([name, p.tolist(), q.tolist()])
    return answers


def a_tensor_as_learning_rate_may_change(t: Any) -> Any:
    lr = t.tensor(0.1)
    params = _parameters(t)
    optimizer = t.optim.SGD(params, lr=lr)
    first = _walk(t, optimizer, params, 1)
    lr.fill_(0.01)
    return [first, _walk(t, optimizer, params, 1)]


def a_gradient_for_the_learning_rate(t: Any) -> Any:
    answers = []
    for name in ("SGD", "Adam"):
        lr = t.tensor(0.1, dtype=t.float64, requires_grad=True)
        start = t.tensor([0.5, -1.5], dtype=t.float64)
        p = start.clone().requires_grad_() * 1.0
        optimizer = getattr(t.optim, name)([p], lr=lr, differentiable=True)
        p.grad = start.cos()
        optimizer.step()
        (p * p).sum().backward()
        answers.append([_rounded(p), round(lr.grad.item(), 3)])
    return answers


def an_optimizer_of_the_users_own(t: Any) -> Any:
    class Halving(t.optim.Optimizer):
        def __init__(self, params: Any, factor: Any = None) -> None:
            super().__init__(params, {"factor": 0.5 if factor is None else factor})

        def step(self, closure: Any = None) -> None:
            with t.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        if p.grad is not None:
                            state = self.state[p]
                            state["count"] = state.get("count", 0) + 1
                            p.mul_(group["factor"])

    p = t.nn.Parameter(t.ones(2))
    optimizer = Halving([p])
    optimizer.step()
    p.grad = t.ones(2)
    optimizer.step()
    return [p.tolist(), optimizer.state_dict(), repr(optimizer)]


def other_tensors_for_a_while(t: Any) -> Any:
    swap = t.optim.swap_in_optimizer_params_and_state
    p, q = t.nn.Parameter(t.ones(2).double()), t.nn.Parameter(t.zeros(2).double())
    optimizer = t.optim.Adam([p])

    def step_within(parameters: Any, state: Any) -> str:
        try:
            with swap(optimizer, parameters, state):
                q.grad = t.ones(2).double()
                optimizer.step()
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:60]}"
        return "accepted"

    answers = [step_within({"q": q}, {})]
    p.grad = t.ones(2).double()
    optimizer.step()
    answers.append(step_within({"q": q}, {}))
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"][0]["lr"] = 0.5
    answers += [step_within({"q": q}, state), q.tolist(), p.tolist()]
    answers += [optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["params"][0] is p]
    return [*answers, state["state"][0]["exp_avg"].tolist(), _state(t, optimizer)]


def _lbfgs_on_a_bent_valley(t: Any, steps: int, dtype: str, **options: Any) -> Any:
    """Rosenbrock's function, loss and gradient worked out in Python's numbers, so that both
    libraries see the same bits: the points that the closure was asked at, and the state."""
    dtype = getattr(t, dtype)
    p = t.nn.Parameter(t.tensor([-1.2, 1.0, 0.5], dtype=dtype))
    optimizer = t.optim.LBFGS([p], **options)
    asked = []

    def closure() -> Any:
        x, y, z = p.tolist()
        asked.append([round(x, 4), round(y, 4), round(z, 4)])
        u = y - x * x
        p.grad = t.tensor([-40 * x * u - 2 * (1 - x), 20 * u, 2 * z], dtype=dtype)
        return t.tensor(10 * u * u + (1 - x) ** 2 + z * z, dtype=dtype)

    for _ in range(steps):
        optimizer.step(closure)
    state = optimizer.state[p]
    kinds = [type(state[k]).__name__ for k in ("d", "t", "H_diag", "prev_loss")]
    return [asked, state["n_iter"], state["func_evals"], len(state["ro"]), kinds]


def about_lbfgs_in_float32_given_the_same_gradients(t: Any) -> Any:
    return [
        _lbfgs_on_a_bent_valley(t, 2, "float32", lr=0.1),
        _lbfgs_on_a_bent_valley(t, 2, "float32", lr=t.tensor(0.05)),
        _lbfgs_on_a_bent_valley(t, 1, "float32", lr=t.tensor([0.05]), max_iter=1),
        _lbfgs_on_a_bent_valley(t, 2, "float32", max_iter=6, line_search_fn="strong_wolfe"),
    ]


def lbfgs_searches_no_longer_than_its_evaluations_last(t: Any) -> Any:
    return [
        _lbfgs_on_a_bent_valley(t, 2, "float64", lr=lr, max_eval=n, line_search_fn="strong_wolfe")
        for n in (1, 2, 4, 9)
        for lr in (1e-4, 1.0, 50.0)
    ]
