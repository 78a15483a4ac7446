"""Learn what handwritten digits look like, in two numbers each, with a variational autoencoder.

A plain PyTorch program: `flambeau run train.py` and `python train.py` with PyTorch do the same.
An encoder gives each picture a normal distribution over the plane, a decoder draws a picture from
a point of it; the loss is what both cost in nats: the reconstruction and the distance of the
distribution from the standard one.

D. P. Kingma, M. Welling: Auto-Encoding Variational Bayes, ICLR 2014.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SIZE, HIDDEN, LATENT = 16, 256, 2
BATCH, LEARNING_RATE = 100, 2e-3
WARM = 400  # steps until the distance counts in full
HELD_OUT = 297


class VAE(nn.Module):
    """Encoder to mean and log variance, decoder to logits of the pixels."""

    def __init__(self) -> None:
        super().__init__()
        pixels = SIZE * SIZE
        self.encoder = nn.Sequential(
            nn.Linear(pixels, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()
        )
        self.mean = nn.Linear(HIDDEN, LATENT)
        self.log_variance = nn.Linear(HIDDEN, LATENT)
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, pixels),
        )  # fmt: skip

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance, (n, 2) each, of pictures (n, 256)."""
        h = self.encoder(x)
        return self.mean(h), self.log_variance(h)

    def loss(self, x: torch.Tensor, noise: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
        """The negative evidence lower bound in nats per picture; ``noise`` is standard normal.

        ``weight`` of the distance: small at first, or a number that says little is never used.
        """
        mean, log_variance = self.encode(x)
        z = mean + noise * (0.5 * log_variance).exp()
        drawn = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        distance = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
        return (drawn + weight * distance) / len(x)


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """scikit-learn's 1,797 digits, 8 x 8, made 16 x 16: (n, 256) from 0 to 1, and their labels."""
    digits = load_digits()
    small = torch.tensor(digits.images, dtype=torch.get_default_dtype())[:, None] / 16
    large = F.interpolate(small, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    return large.flatten(1), torch.tensor(digits.target)


def draw(model: VAE, x: torch.Tensor, labels: torch.Tensor, losses: list, path: Path) -> None:
    """The losses, the plane of codes, and what is drawn from a grid of points of it."""
    from matplotlib.figure import Figure

    with torch.no_grad():
        codes, _ = model.encode(x)
        line = torch.linspace(-2.2, 2.2, 15)
        points = torch.stack(torch.meshgrid(line, line.flip(0), indexing="xy"), -1).view(-1, 2)
        drawn = model.decoder(points).sigmoid().view(15, 15, SIZE, SIZE)
    figure = Figure(figsize=(16, 5.5), layout="constrained")
    curve, plane, grid = figure.subplots(1, 3, width_ratios=(1.1, 1.2, 1.2))
    train, held_out = zip(*losses)
    curve.plot(range(1, len(train) + 1), train, "0.6", label="training")
    curve.plot(range(1, len(train) + 1), held_out, "k", label="held out")
    curve.set(title="Loss", xlabel="epoch", ylabel="nats per picture")
    curve.legend(frameon=False)
    dots = plane.scatter(*codes.numpy().T, c=labels.numpy(), cmap="tab10", s=6, vmin=-0.5, vmax=9.5)
    figure.colorbar(dots, ax=plane, ticks=range(10))
    plane.set(title="Where each digit lies", xlabel="first number", ylabel="second number")
    whole = drawn.permute(0, 2, 1, 3).reshape(15 * SIZE, 15 * SIZE)
    grid.imshow(whole.numpy(), cmap="gray_r", extent=(-2.2, 2.2, -2.2, 2.2))
    grid.set(title="What is drawn from each point", xlabel="first number")
    figure.savefig(path, dpi=80)


def main(options: argparse.Namespace) -> None:
    """Train for some epochs, and draw."""
    if options.double:
        torch.set_default_dtype(torch.float64)
    torch.manual_seed(options.seed)
    x, labels = pictures()
    train, held_out = x[:-HELD_OUT], x[-HELD_OUT:]
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    loader = DataLoader(TensorDataset(train), batch_size=BATCH, shuffle=True)
    print(f"{len(train):,} digits of {SIZE} x {SIZE} pixels, {len(held_out)} held out")

    losses, steps, start = [], [], time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        for (batch,) in loader:
            weight = min(1.0, (len(steps) + 1) / WARM)
            loss = model.loss(batch, torch.randn(len(batch), LATENT), weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps.append(loss.item())
        with torch.no_grad():
            judged = model.loss(held_out, torch.zeros(len(held_out), LATENT)).item()
        losses.append((sum(steps[-len(loader) :]) / len(loader), judged))
        if epoch % max(1, options.epochs // 10) == 0:
            took = time.perf_counter() - start
            told = f"epoch {epoch:4}   loss {losses[-1][0]:.4f}   held out {judged:.4f}"
            print(f"{told}   {took:5.1f} s", flush=True)
    if options.losses:
        options.losses.write_text("".join(f"{loss!r}\n" for loss in steps), encoding="ascii")
    if not options.no_picture:
        draw(model, x, labels, losses, options.out)
        print(f"picture  {options.out}")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Learn what digits look like.")
    parser.add_argument("--epochs", type=int, default=60, help="default: 60")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("digits_vae.png"))
    parser.add_argument("--no-picture", action="store_true", help="do without matplotlib")
    parser.add_argument("--double", action="store_true", help="in float64: to compare libraries")
    parser.add_argument("--losses", type=Path, metavar="FILE", help="write the loss of each step")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
