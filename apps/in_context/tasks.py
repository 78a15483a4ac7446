"""Function classes: what is to be learned from the examples of a prompt.

A class is its settings (`name` and the numbers it needs, checked by pydantic), how to draw
functions from it, and how a drawn function maps x to y. A batch of drawn functions is a dict of
tensors whose first axis is the batch. Every class is scaled so that a y has about the variance of
a linear function's, as in the paper. Source: arXiv 2208.01066, sections 3 and 4, appendix A.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

Functions = dict[str, Tensor]
POOL_SEED = 7919  # keeps a pool's generator away from the run's own stream


class Task(BaseModel):
    """What all function classes share. `scale` multiplies every y."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    scale: float = Field(1.0, gt=0)

    @property
    def degree(self) -> int:
        """How y grows with the scale of x: as its first power."""
        return 1

    def draw(self, batch: int, dims: int, active: int, generator: torch.Generator) -> Functions:
        """`batch` functions of `dims` numbers, of which the curriculum uses the first `active`."""
        raise NotImplementedError

    def values(self, functions: Functions, xs: Tensor) -> Tensor:
        """The functions at xs (batch, n, dims): (batch, n), without noise."""
        raise NotImplementedError

    def observe(self, functions: Functions, xs: Tensor, generator: torch.Generator) -> Tensor:
        """What a prompt shows: the values, and the noise where the class has some."""
        return self.values(functions, xs)

    def variance(self, dims: int) -> float:
        """E[y^2] for standard normal x of which `dims` numbers are not zero: zero's error."""
        return self.scale**2 * dims

    @staticmethod
    def losses(predictions: Tensor, ys: Tensor) -> Tensor:
        """What training minimises, for each prediction."""
        return (predictions - ys).square()

    def zero_loss(self, dims: int) -> float:
        """The mean of `losses` for a learner that always says 0."""
        return self.variance(dims)

    @staticmethod
    def errors(predictions: Tensor, ys: Tensor) -> Tensor:
        """What evaluation reports, for each prediction, before normalisation."""
        return (predictions - ys).square()

    def zero_error(self, dims: int) -> float:
        """The number that errors are divided by in figures: 1 is what knowing nothing costs."""
        return self.variance(dims)


class LinearRegression(Task):
    """y = w.x with w ~ N(0, I)."""

    name: Literal["linear_regression"] = "linear_regression"

    def draw(self, batch: int, dims: int, active: int, generator: torch.Generator) -> Functions:
        """w of shape (batch, dims)."""
        return {"w": torch.randn(batch, dims, generator=generator)}

    def values(self, functions: Functions, xs: Tensor) -> Tensor:
        """scale * w.x."""
        return self.scale * (xs @ functions["w"].unsqueeze(2)).squeeze(2)


class SparseLinearRegression(LinearRegression):
    """y = w.x where all but `sparsity` of w's coordinates are zero."""

    name: Literal["sparse_linear_regression"] = "sparse_linear_regression"
    sparsity: int = Field(3, ge=1)

    def draw(self, batch: int, dims: int, active: int, generator: torch.Generator) -> Functions:
        """w of shape (batch, dims), its support drawn from the active coordinates."""
        w = super().draw(batch, dims, active, generator)["w"]
        order = torch.rand(batch, active, generator=generator).argsort(dim=1)
        mask = torch.zeros(batch, dims).scatter_(1, order[:, : self.sparsity], 1.0)
        return {"w": w * mask}

    def variance(self, dims: int) -> float:
        """scale^2 * sparsity."""
        return self.scale**2 * min(self.sparsity, dims)


class NoisyLinearRegression(LinearRegression):
    """y = w.x + noise * N(0, 1), scaled back to the variance of w.x where `renormalise` is set."""

    name: Literal["noisy_linear_regression"] = "noisy_linear_regression"
    noise: float = Field(1.0, ge=0)
    renormalise: bool = False

    def factor(self, dims: int) -> float:
        """What every y is multiplied by in the end."""
        clean = super().variance(dims)
        return math.sqrt(clean / (clean + self.noise**2)) if self.renormalise else 1.0

    def observe(self, functions: Functions, xs: Tensor, generator: torch.Generator) -> Tensor:
        """Values with noise of their own for each y."""
        clean = self.values(functions, xs)
        noise = self.noise * torch.randn(clean.shape, generator=generator)
        return self.factor(xs.shape[2]) * (clean + noise)

    def variance(self, dims: int) -> float:
        """scale^2 * dims + noise^2, or without the noise's part where it is scaled back."""
        clean = super().variance(dims)
        return clean if self.renormalise else clean + self.noise**2


class LinearClassification(LinearRegression):
    """y = sign(w.x); learned by cross-entropy, judged by how often the sign is wrong."""

    name: Literal["linear_classification"] = "linear_classification"

    @property
    def degree(self) -> int:
        """0: a sign stays."""
        return 0

    def values(self, functions: Functions, xs: Tensor) -> Tensor:
        """-1 or 1."""
        return super().values(functions, xs).sign()

    def variance(self, dims: int) -> float:
        """1, whatever the dimension."""
        return 1.0

    @staticmethod
    def losses(predictions: Tensor, ys: Tensor) -> Tensor:
        """-log sigmoid(y * prediction): binary cross-entropy of a logit."""
        return F.softplus(-ys * predictions)

    def zero_loss(self, dims: int) -> float:
        """log 2."""
        return math.log(2)

    @staticmethod
    def errors(predictions: Tensor, ys: Tensor) -> Tensor:
        """1 where the sign is wrong, 0 where it is right; a prediction of 0 is wrong by half."""
        return (1 - ys * predictions.sign()) / 2

    def zero_error(self, dims: int) -> float:
        """1: what is reported is the share of wrong signs itself."""
        return 1.0


class QuadraticRegression(LinearRegression):
    """y = w.x^2 / sqrt(3), the square taken of every coordinate; E[x^4] = 3."""

    name: Literal["quadratic_regression"] = "quadratic_regression"

    @property
    def degree(self) -> int:
        """2."""
        return 2

    def values(self, functions: Functions, xs: Tensor) -> Tensor:
        """scale * w.x^2 / sqrt(3)."""
        return super().values(functions, xs.square()) / math.sqrt(3)


class ReluNetwork(Task):
    """y = sqrt(2 / hidden) * v.relu(W x), a network of two layers with normal weights."""

    name: Literal["relu_network"] = "relu_network"
    hidden: int = Field(100, ge=1)

    def draw(self, batch: int, dims: int, active: int, generator: torch.Generator) -> Functions:
        """W of shape (batch, dims, hidden) and v of shape (batch, hidden, 1)."""
        return {
            "W": torch.randn(batch, dims, self.hidden, generator=generator),
            "v": torch.randn(batch, self.hidden, 1, generator=generator),
        }

    def values(self, functions: Functions, xs: Tensor) -> Tensor:
        """scale * sqrt(2 / hidden) * v.relu(W x)."""
        ys = ((xs @ functions["W"]).relu() @ functions["v"]).squeeze(2)
        return self.scale * math.sqrt(2 / self.hidden) * ys


class DecisionTree(Task):
    """A full binary tree: each node asks whether one coordinate is positive; leaves are N(0, 1).

    Nodes stand in an array: the children of node i are 2i + 1 (no) and 2i + 2 (yes).
    """

    name: Literal["decision_tree"] = "decision_tree"
    depth: int = Field(4, ge=1, le=16)

    def draw(self, batch: int, dims: int, active: int, generator: torch.Generator) -> Functions:
        """The coordinate of each inner node and the value of each leaf."""
        inner = 2**self.depth - 1
        return {
            "coordinate": torch.randint(0, dims, (batch, inner), generator=generator),
            "leaf": torch.randn(batch, inner + 1, generator=generator),
        }

    @property
    def degree(self) -> int:
        """0: only signs count."""
        return 0

    def values(self, functions: Functions, xs: Tensor) -> Tensor:
        """The leaf that each x falls into, times scale."""
        node = torch.zeros(xs.shape[:2], dtype=torch.long)
        for _ in range(self.depth):
            coordinate = functions["coordinate"].gather(1, node)
            positive = xs.gather(2, coordinate.unsqueeze(2)).squeeze(2) > 0
            node = 2 * node + 1 + positive
        return self.scale * functions["leaf"].gather(1, node - (2**self.depth - 1))

    def variance(self, dims: int) -> float:
        """scale^2: a leaf's own variance."""
        return self.scale**2


AnyTask = Annotated[
    LinearRegression
    | SparseLinearRegression
    | NoisyLinearRegression
    | LinearClassification
    | QuadraticRegression
    | ReluNetwork
    | DecisionTree,
    Field(discriminator="name"),
]


def generator_of(seed: int) -> torch.Generator:
    """A generator on the CPU: the same numbers on every device."""
    return torch.Generator().manual_seed(seed)


def draw_seeded(task: Task, dims: int, active: int, seeds: Sequence[int]) -> Functions:
    """One function for each seed: equal seeds give equal functions."""
    drawn = [task.draw(1, dims, active, generator_of(seed)) for seed in seeds]
    return {name: torch.cat([one[name] for one in drawn]) for name in drawn[0]}


def make_pool(task: Task, size: int, dims: int, seed: int) -> Functions:
    """The `size` functions that a run with a fixed pool learns from."""
    return task.draw(size, dims, dims, generator_of(seed + POOL_SEED))


def draw_from(pool: Functions, batch: int, generator: torch.Generator) -> Functions:
    """`batch` functions of a pool: all different where the pool is large enough."""
    size = len(next(iter(pool.values())))
    if batch <= size:
        chosen = torch.randperm(size, generator=generator)[:batch]
    else:
        chosen = torch.randint(0, size, (batch,), generator=generator)
    return {name: value[chosen] for name, value in pool.items()}
