"""Where the x of a prompt come from: x = (z T) + bias with z ~ N(0, I), cut to some dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from .tasks import generator_of


class Gaussian(BaseModel):
    """Settings of the inputs.

    `shape` is the covariance before scaling: "isotropic" (T = I), "half_subspace" (all x in a
    random subspace of half the dimensions) or "skewed" (T has eigenvalues 1, 1/2, 1/3 ... along
    random directions), or the list of T's eigenvalues; each is scaled so that E|x|^2 = dims.
    `scale` multiplies x; `bias`, one number or one for each dimension, is added last.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    shape: (
        Literal["isotropic", "half_subspace", "skewed"]
        | Annotated[list[float], Field(min_length=1)]
    ) = "isotropic"
    scale: float = Field(1.0, gt=0)
    bias: float | list[float] = 0.0

    def eigenvalues(self, dims: int) -> Tensor:
        """T's eigenvalues before E|x|^2 is made `dims`.

        Raises:
            ValueError: a list of another length than `dims`, or of zeros only.
        """
        if self.shape == "half_subspace":
            return (torch.arange(dims) < max(1, dims // 2)).float()
        if self.shape == "skewed":
            return 1 / torch.arange(1, dims + 1).float()
        if self.shape == "isotropic":
            return torch.ones(dims)
        if len(self.shape) != dims or not any(self.shape):
            raise ValueError(
                f"inputs.shape lists {len(self.shape)} eigenvalues for x of {dims} dimensions;"
                " it needs one for each, and not all of them zero"
            )
        return torch.tensor(self.shape)

    def transformation(self, dims: int, generator: torch.Generator) -> Tensor | None:
        """T of shape (dims, dims), its directions drawn from the generator; None for T = I."""
        eigenvalues = self.eigenvalues(dims)
        if self.shape == "isotropic":
            return None if self.scale == 1.0 else self.scale * torch.eye(dims)
        directions, _ = torch.linalg.qr(torch.randn(dims, dims, generator=generator))
        factor = self.scale * math.sqrt(dims / float(eigenvalues.square().sum()))
        return factor * (directions * eigenvalues) @ directions.T

    def sample(
        self,
        batch: int,
        points: int,
        dims: int,
        generator: torch.Generator | Sequence[torch.Generator],
        transformation: Tensor | None = None,
        active: int | None = None,
    ) -> Tensor:
        """xs of shape (batch, points, dims); coordinates from `active` on are zero.

        One generator serves the whole batch; a sequence gives each example its own.
        """
        if isinstance(generator, torch.Generator):
            xs = torch.randn(batch, points, dims, generator=generator)
        else:
            xs = torch.stack([torch.randn(points, dims, generator=one) for one in generator])
        if transformation is not None:
            xs = xs @ transformation
        if self.bias != 0.0:
            xs = xs + torch.tensor(self.bias)
        if active is not None and active < dims:
            xs[:, :, active:] = 0
        return xs


def seeded(seeds: Sequence[int]) -> list[torch.Generator]:
    """A generator for each example."""
    return [generator_of(seed) for seed in seeds]
