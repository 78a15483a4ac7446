"""Learners to compare the transformer with. Each sees the first i examples and question i.

`learner("knn(3)", task)` gives one by its name; `names_for(task)` those of the paper.
Source: arXiv 2208.01066, appendix A.3.
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from . import fits
from .prompts import Prompts
from .tasks import (
    DecisionTree,
    LinearClassification,
    LinearRegression,
    NoisyLinearRegression,
    QuadraticRegression,
    ReluNetwork,
    SparseLinearRegression,
    Task,
)

Predict = Callable[[Prompts], Tensor]
ROUNDING = torch.finfo(torch.float32).eps  # of the data, whatever the arithmetic's precision
NOISELESS = 1e-4  # the standard deviation that stands for none where densities are needed
PENALTIES = (1.0, 0.1, 0.01, 0.001, 0.0001)  # the paper's, for Lasso
SUPPORTS = 20_000  # more than 20 choose 3 = 1140; enumerating more takes too long


@dataclass(frozen=True)
class Learner:
    """A name, a title for figures, and predictions (count, n) in float64 for a batch of prompts.

    `fitted` learners are slow: they fit one model for every prompt and number of examples.
    """

    name: str
    title: str
    predict: Predict
    fitted: bool = False


def prefixes(prompts: Prompts) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
    """i, the first i examples and values, and question i (count, dims), from i = 1 on; float64."""
    xs, ys, queries = prompts.xs.double(), prompts.ys.double(), prompts.queries.double()
    for i in range(1, xs.shape[1]):
        yield i, xs[:, :i], ys[:, :i], queries[:, i]


def by_prefix(rule: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Predict:
    """Predictions by a rule for (xs, ys, question) -> (count,); 0 where there is no example."""

    def predict(prompts: Prompts) -> Tensor:
        answers = torch.zeros(prompts.ys.shape, dtype=torch.float64)
        for i, xs, ys, question in prefixes(prompts):
            answers[:, i] = rule(xs, ys, question)
        return answers

    return predict


def least_squares(xs: Tensor, ys: Tensor, question: Tensor) -> Tensor:
    """q.w with the w of least |w| among those that make |Xw - y| least: w = X^+ y.

    Directions whose singular value is below the rounding of the data count as absent.
    """
    cutoff = ROUNDING * max(xs.shape[1:])
    w = torch.linalg.pinv(xs, rtol=cutoff) @ ys.unsqueeze(2)
    return (w.squeeze(2) * question).sum(1)


def ridge(penalty: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """q.w with w = (X^T X + penalty I)^-1 X^T y."""

    def rule(xs: Tensor, ys: Tensor, question: Tensor) -> Tensor:
        transposed = xs.transpose(1, 2)
        gram = transposed @ xs + penalty * torch.eye(xs.shape[2], dtype=xs.dtype)
        w = torch.linalg.solve(gram, transposed @ ys.unsqueeze(2))
        return (w.squeeze(2) * question).sum(1)

    return rule


def nearest_neighbours(k: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The mean y of the k examples nearest to the question, of all where there are fewer."""

    def rule(xs: Tensor, ys: Tensor, question: Tensor) -> Tensor:
        distances = (xs - question.unsqueeze(1)).square().sum(2)
        nearest = distances.argsort(dim=1, stable=True)[:, :k]
        return ys.gather(1, nearest).mean(1)

    return rule


def averaging(xs: Tensor, ys: Tensor, question: Tensor) -> Tensor:
    """q.w with w = mean of y x: right on average where x has the covariance I."""
    w = (xs * ys.unsqueeze(2)).mean(1)
    return (w * question).sum(1)


def in_squares(rule: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Predict:
    """A linear rule applied to the squares of the coordinates."""
    return by_prefix(lambda xs, ys, question: rule(xs.square(), ys, question.square()))


def sparse_bayes(sparsity: int) -> Predict:
    """The posterior mean of a linear function of which `sparsity` unknown coordinates count.

    The posterior over supports S is proportional to N(y; 0, X_S X_S^T + s^2 I), and given S the
    mean is ridge's. Both are kept for every support as examples come, with C = (I + X_S^T X_S /
    s^2)^-1: predicted mean and variance at the next x give its density, and a rank-one step
    updates C and the mean (the recursive form of Bayesian linear regression).

    Raises:
        ValueError: there are too many supports to go through.
    """

    def predict(prompts: Prompts) -> Tensor:
        dims = prompts.xs.shape[2]
        size = min(sparsity, dims)
        if math.comb(dims, size) > SUPPORTS:
            raise ValueError(
                f"{math.comb(dims, size)} supports of {size} in {dims} dimensions are too many for"
                f" the Bayes-optimal predictor, which goes through all of at most {SUPPORTS}"
            )
        supports = torch.tensor(list(itertools.combinations(range(dims), size)))
        return torch.cat([one(prompts, b, supports) for b in range(len(prompts))])

    def one(prompts: Prompts, b: int, supports: Tensor) -> Tensor:
        xs = prompts.xs[b].double()[:, supports]  # (n, supports, size)
        queries = prompts.queries[b].double()[:, supports]
        ys = prompts.ys[b].double()
        count, size = supports.shape
        covariance = torch.eye(size, dtype=torch.float64).repeat(count, 1, 1)
        mean = torch.zeros(count, size, dtype=torch.float64)
        evidence = torch.zeros(count, dtype=torch.float64)
        answers = []
        for x, query, y in zip(xs, queries, ys):
            answers.append((evidence.softmax(0) * (mean * query).sum(1)).sum())
            projected = (covariance @ x.unsqueeze(2)).squeeze(2)
            variance = (projected * x).sum(1) + NOISELESS**2
            surprise = y - (mean * x).sum(1)
            evidence = evidence - 0.5 * (surprise.square() / variance + variance.log())
            gain = projected / variance.unsqueeze(1)
            mean = mean + gain * surprise.unsqueeze(1)
            covariance = covariance - gain.unsqueeze(2) * projected.unsqueeze(1)
        return torch.stack(answers).unsqueeze(0)

    return predict


def fitted(maker: str, *arguments: float | None) -> Predict:
    """Predictions by one of the models in `fits`."""

    def predict(prompts: Prompts) -> Tensor:
        arrays = (t.double().numpy() for t in (prompts.xs, prompts.ys, prompts.queries))
        return torch.from_numpy(fits.predict_all(maker, arguments, *arrays))

    return predict


def network(hidden: int = 100, steps: int = 100, rate: float = 5e-3) -> Predict:
    """relu networks of two layers, trained by Adam on the examples of each prompt.

    The networks of all prompts are trained at once: their weights are stacked, their losses
    added, and Adam treats every number for itself, so none knows of the others. Widths, steps and
    rate are the paper's; initial weights are those of nn.Linear.
    """

    def predict(prompts: Prompts) -> Tensor:
        answers = torch.zeros(prompts.ys.shape, dtype=torch.float64)
        dims = prompts.xs.shape[2]
        for i in range(1, prompts.xs.shape[1]):
            weights = stacked_weights(len(prompts), dims, hidden)
            train_stacked(weights, prompts.xs[:, :i], prompts.ys[:, :i], steps, rate)
            with torch.no_grad():
                answers[:, i] = stacked(weights, prompts.queries[:, i : i + 1]).squeeze(1)
        return answers

    return predict


def stacked_weights(count: int, dims: int, hidden: int) -> list[Tensor]:
    """W1, b1, W2, b2 of `count` networks that start alike, uniform in +- 1 / sqrt(inputs)."""
    generator = torch.Generator().manual_seed(0)
    weights = []
    for inputs, outputs in ((dims, hidden), (hidden, 1)):
        for shape in ((1, inputs, outputs), (1, 1, outputs)):
            bound = 1 / math.sqrt(inputs)
            uniform = (2 * torch.rand(shape, generator=generator) - 1) * bound
            weights.append(uniform.repeat(count, 1, 1).requires_grad_())
    return weights


def stacked(weights: list[Tensor], xs: Tensor) -> Tensor:
    """The networks at xs (count, n, dims), each at its own: (count, n)."""
    w1, b1, w2, b2 = weights
    return (F.relu(xs @ w1 + b1) @ w2 + b2).squeeze(2)


def train_stacked(weights: list[Tensor], xs: Tensor, ys: Tensor, steps: int, rate: float) -> None:
    """Adam on the squared error, averaged over a prompt's examples and added over prompts."""
    optimizer = torch.optim.Adam(weights, lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        (stacked(weights, xs) - ys).square().mean(1).sum().backward()
        optimizer.step()


def bayes_optimal(task: Task) -> Predict | None:
    """The posterior mean of y, the best there is, where it is known in closed form."""
    if isinstance(task, SparseLinearRegression):
        return sparse_bayes(task.sparsity)
    if isinstance(task, NoisyLinearRegression) and task.noise:
        return by_prefix(ridge((task.noise / task.scale) ** 2))
    if isinstance(task, QuadraticRegression):
        return in_squares(least_squares)
    if isinstance(task, LinearClassification):
        return None  # the posterior of w given signs has no closed form
    return by_prefix(least_squares) if isinstance(task, LinearRegression) else None


@dataclass(frozen=True)
class Family:
    """Learners of one name: what the number in brackets is, its title, and how one is made."""

    takes: str  # "" for none
    title: str
    make: Callable[..., Predict]
    fitted: bool = False


FAMILIES = {
    "least_squares": Family("", "least squares", lambda: by_prefix(least_squares)),
    "ridge": Family("penalty", "ridge ({})", lambda penalty: by_prefix(ridge(penalty))),
    "knn": Family("k", "{} nearest neighbours", lambda k: by_prefix(nearest_neighbours(int(k)))),
    "averaging": Family("", "averaging", lambda: by_prefix(averaging)),
    "lasso": Family("penalty", "Lasso ({})", lambda penalty: fitted("lasso", penalty), True),
    "tree": Family(
        "depth", "greedy tree of depth {}", lambda depth: fitted("tree", int(depth)), True
    ),
    "full_tree": Family("", "greedy tree", lambda: fitted("tree", None), True),
    "xgboost": Family("", "XGBoost", lambda: fitted("xgboost"), True),
    "network": Family("", "network by gradient descent", network, True),
}


def learner(name: str, task: Task) -> Learner:
    """The learner of a name such as "least_squares", "knn(3)" or "bayes".

    Raises:
        ValueError: there is none, its number is missing or wrong, or no Bayes-optimal predictor
            is known for the task.
    """
    if name == "bayes":
        predict = bayes_optimal(task)
        if predict is None:
            raise ValueError(f"no Bayes-optimal predictor is known for {task.name}")
        return Learner(name, "Bayes-optimal", predict)
    match = re.fullmatch(r"(\w+)(?:\(([^()]*)\))?", name)
    family = FAMILIES.get(match[1]) if match else None
    if family is None:
        known = [*FAMILIES, "bayes"]
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise ValueError(f"no learner is called {name!r}; {hint}")
    if not family.takes:
        if match[2] is not None:
            raise ValueError(f"the learner {match[1]} takes no number, so not {name!r}")
        return Learner(name, family.title, family.make(), family.fitted)
    try:
        number = float(match[2])
    except (TypeError, ValueError):
        number = math.nan
    whole = family.takes != "penalty"
    if not (number >= 0) or math.isinf(number) or (whole and (number < 1 or number % 1)):
        kind = "a whole number from 1 on" if whole else "a number from 0 on"
        raise ValueError(f"{name!r}: {match[1]} takes its {family.takes}, {kind}: {match[1]}(3)")
    shown = f"{number:g}"
    return Learner(name, family.title.format(shown), family.make(number), family.fitted)


def names_for(task: Task) -> list[str]:
    """The learners that the paper compares with for a task, and the Bayes-optimal one."""
    if isinstance(task, DecisionTree):
        return ["tree(4)", "xgboost", "network", "knn(3)", "least_squares", "averaging"]
    if isinstance(task, ReluNetwork):
        return ["least_squares", "network", "knn(3)", "averaging"]
    names = ["least_squares", "knn(3)", "averaging"]
    if isinstance(task, SparseLinearRegression):
        return ["bayes", *(f"lasso({penalty:g})" for penalty in PENALTIES), *names]
    if isinstance(task, NoisyLinearRegression) and task.noise:
        return ["bayes", *names]
    return ["bayes", *names] if isinstance(task, QuadraticRegression) else names
