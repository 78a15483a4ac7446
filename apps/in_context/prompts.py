"""Prompts for evaluation: examples like those of training, and kinds that training never showed.

A prompt has n examples (xs, ys) and, for every i, a question that is asked after the first i of
them. In a standard prompt question i is example i itself. Source: arXiv 2208.01066, section 4.
"""

from __future__ import annotations

import difflib
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .inputs import Gaussian
from .tasks import Task, generator_of

SCALES = {"1/3": 1 / 3, "1/2": 0.5, "2": 2.0, "3": 3.0}
Arrange = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Prompts:
    """Tensors on the CPU: xs and queries (count, n, dims), ys and targets (count, n).

    `zero_error` is what the zero estimator's error is expected to be: figures divide by it.
    """

    xs: Tensor
    ys: Tensor
    queries: Tensor
    targets: Tensor
    zero_error: float

    @property
    def standard(self) -> bool:
        """Whether the questions are the examples themselves."""
        return self.queries is self.xs

    def some(self, which: slice) -> Prompts:
        """A part of the prompts."""
        xs = self.xs[which]
        queries = xs if self.standard else self.queries[which]
        return Prompts(xs, self.ys[which], queries, self.targets[which], self.zero_error)

    def __len__(self) -> int:
        return len(self.xs)


@dataclass(frozen=True)
class Kind:
    """A kind of prompt: how examples and questions are placed, and what differs from training.

    `inputs` replaces settings of the inputs, `y_scale` multiplies every y, `noise` is the
    standard deviation of label noise, after which ys are scaled back to their variance.
    """

    title: str
    arrange: Arrange | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    x_scale: float = 1.0
    y_scale: float = 1.0
    noise: float = 0.0


def opposite_quadrants(xs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """All examples of a prompt in one quadrant, all questions in the opposite one."""
    xs = one_quadrant(xs, generator)
    return xs, -xs


def random_quadrants(xs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """All examples of a prompt in one quadrant, questions anywhere."""
    return one_quadrant(xs, generator), xs


def one_quadrant(xs: Tensor, generator: torch.Generator) -> Tensor:
    """xs with the signs of a quadrant that is drawn for each prompt."""
    signs = torch.randint(0, 2, (len(xs), 1, xs.shape[2]), generator=generator) * 2 - 1
    return xs.abs() * signs


def orthogonal(xs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each question orthogonal to the examples before it, as long as x_i.

    It is x_i without its part in their span, which is what the QR decomposition of the examples
    gives. A prompt ends where they span the whole space: nothing is orthogonal to all of it.
    """
    xs = xs[:, : xs.shape[2]]
    q, r = torch.linalg.qr(xs.double().transpose(1, 2))
    signs = torch.diagonal(r, dim1=1, dim2=2).sign().unsqueeze(1)
    directions = (q * signs).transpose(1, 2).float()
    return xs, directions * xs.norm(dim=2, keepdim=True)


def overlapping(xs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each question is one of the examples before it; the first is x_0."""
    count, points, dims = xs.shape
    earlier = (torch.rand(count, points, generator=generator) * torch.arange(points)).long()
    return xs, xs.gather(1, earlier.unsqueeze(2).expand(-1, -1, dims))


KINDS = {
    "standard": Kind("as in training"),
    "opposite_quadrants": Kind("opposite quadrants", opposite_quadrants),
    "random_quadrants": Kind("random quadrants", random_quadrants),
    "orthogonal": Kind("orthogonal questions", orthogonal),
    "overlapping": Kind("questions seen before", overlapping),
    "half_subspace": Kind("x in half the dimensions", inputs={"shape": "half_subspace"}),
    "skewed": Kind("skewed covariance", inputs={"shape": "skewed"}),
    **{f"scale_x={name}": Kind(f"x times {name}", x_scale=s) for name, s in SCALES.items()},
    **{f"scale_y={name}": Kind(f"y times {name}", y_scale=s) for name, s in SCALES.items()},
    "label_noise": Kind("label noise of std 1", noise=1.0),
}


def kind_named(name: str) -> Kind:
    """The kind of a name.

    Raises:
        ValueError: there is none.
    """
    if name in KINDS:
        return KINDS[name]
    close = difflib.get_close_matches(name, KINDS, 1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(KINDS)}"
    raise ValueError(f"no kind of prompt is called {name!r}; {hint}")


def draw_prompts(
    name: str,
    task: Task,
    inputs: Gaussian,
    size: tuple[int, int, int],
    seed: int,
    active: int | None = None,
) -> Prompts:
    """Prompts of a kind, the same for the same seed.

    Args:
        size: (count, points, dims).
        active: coordinates of x that are not zero; all where None.

    Raises:
        ValueError: no kind has that name.
    """
    kind = kind_named(name)
    return arrange_prompts(kind, task, inputs, size, seed + zlib.crc32(name.encode()), active)


def arrange_prompts(
    kind: Kind,
    task: Task,
    inputs: Gaussian,
    size: tuple[int, int, int],
    seed: int,
    active: int | None = None,
) -> Prompts:
    """`draw_prompts` for a kind that need not have a name."""
    count, points, dims = size
    generator = generator_of(seed)
    x_scale = inputs.scale * kind.x_scale
    inputs = inputs.model_copy(update={**kind.inputs, "scale": x_scale})
    transformation = inputs.transformation(dims, generator)
    used = dims if active is None else active
    functions = task.draw(count, dims, used, generator)
    xs = inputs.sample(count, points, dims, generator, transformation, active)
    queries = xs
    if kind.arrange is not None:
        xs, queries = kind.arrange(xs, generator)

    def observe(x: Tensor) -> Tensor:
        ys = kind.y_scale * task.observe(functions, x, generator)
        if kind.noise:
            variance = task.variance(used)
            factor = math.sqrt(variance / (variance + kind.noise**2))
            ys = factor * (ys + kind.noise * torch.randn(ys.shape, generator=generator))
        return ys

    ys = observe(xs)
    targets = ys if queries is xs else observe(queries)
    y_scale = kind.y_scale * x_scale**task.degree
    return Prompts(xs, ys, queries, targets, task.zero_error(used) * y_scale**2)
