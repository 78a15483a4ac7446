"""Learn to read handwritten digits with a small residual network.

A plain PyTorch program: `flambeau run train.py` and `python train.py` with PyTorch do the same.
Three stages of two convolutions each, with batch normalisation and a way past them; pictures are
shifted by a pixel at random while it trains.

K. He, X. Zhang, S. Ren, J. Sun: Deep Residual Learning for Image Recognition, CVPR 2016.
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

SIZE, WIDTHS = 16, (16, 32, 64)
BATCH, LEARNING_RATE, MOMENTUM, DECAY = 100, 0.1, 0.9, 5e-4
HELD_OUT = 397


class Block(nn.Module):
    """x + two convolutions of x; where the size changes, the way past is a convolution too."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.past = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.past = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.past(x))


def network() -> nn.Sequential:
    """One convolution, a block per width, the mean of each channel, ten logits."""
    first = nn.Conv2d(1, WIDTHS[0], 3, padding=1, bias=False)
    blocks = [
        Block(WIDTHS[max(i - 1, 0)], width, 1 if i == 0 else 2) for i, width in enumerate(WIDTHS)
    ]
    return nn.Sequential(
        first, nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], 10),
    )  # fmt: skip


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """scikit-learn's digits, 8 x 8, made 16 x 16: (n, 1, 16, 16) about 0, and their labels."""
    found = load_digits()
    small = torch.tensor(found.images, dtype=torch.get_default_dtype())[:, None] / 16
    large = F.interpolate(small, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    return (large - large.mean()) / large.std(), torch.tensor(found.target)


def shifted(x: torch.Tensor) -> torch.Tensor:
    """The batch moved by up to a pixel each way, all of it alike."""
    dy, dx = torch.randint(0, 3, (2,)).tolist()
    return F.pad(x, (1, 1, 1, 1), mode="replicate")[:, :, dy : dy + SIZE, dx : dx + SIZE]


@torch.no_grad()
def judge(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, torch.Tensor]:
    """The loss, and the chances of each digit."""
    model.eval()
    logits = model(x)
    model.train()
    return F.cross_entropy(logits, y).item(), logits.softmax(1)


def draw(losses: list, x: torch.Tensor, y: torch.Tensor, chances: torch.Tensor, path: Path) -> None:
    """The losses, the table of what was taken for what, and the digits it was least sure of."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5), layout="constrained")
    left, middle, right = figure.subfigures(1, 3)
    curve = left.subplots()
    curve.semilogy(losses, "0.6")
    curve.set(title="Loss of each batch", xlabel="step", ylabel="cross entropy")
    said = chances.argmax(1)
    table = torch.bincount(y * 10 + said, minlength=100).view(10, 10)
    grid = middle.subplots()
    grid.imshow(table.numpy(), cmap="Greys", vmax=float(table.max()) * 1.3)
    for i in range(10):
        for j in range(10):
            if table[i, j]:
                grid.text(j, i, int(table[i, j]), ha="center", va="center")
    grid.set(title="Held out: what each was taken for", xlabel="answer", ylabel="digit")
    grid.set(xticks=range(10), yticks=range(10))
    order = chances[torch.arange(len(y)), y].argsort()
    right.suptitle("The digits it was least sure of")
    for axes, i in zip(right.subplots(3, 4).flat, order.tolist()):
        axes.imshow(x[i, 0].numpy(), cmap="gray_r")
        wrong = said[i] != y[i]
        told = f"{y[i].item()}: {100 * chances[i, y[i]].item():.0f} %"
        told += f", said {said[i].item()}" if wrong else ""
        axes.set_title(told, fontsize=9, color="red" if wrong else "black")
        axes.axis("off")
    figure.savefig(path, dpi=80)


def main(options: argparse.Namespace) -> None:
    """Train for some epochs, judge, and draw."""
    if options.double:
        torch.set_default_dtype(torch.float64)
    torch.manual_seed(options.seed)
    x, y = digits()
    train = TensorDataset(x[:-HELD_OUT], y[:-HELD_OUT])
    held_x, held_y = x[-HELD_OUT:], y[-HELD_OUT:]
    model = network()
    loader = DataLoader(train, batch_size=BATCH, shuffle=True)
    optimizer = torch.optim.SGD(
        model.parameters(), LEARNING_RATE, momentum=MOMENTUM, weight_decay=DECAY, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=options.epochs * len(loader)
    )
    weights = sum(p.numel() for p in model.parameters())
    print(f"{len(train):,} digits to learn from, {HELD_OUT} held out; {weights:,} weights")

    losses, start = [], time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        for batch, labels in loader:
            loss = F.cross_entropy(model(shifted(batch)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        judged, chances = judge(model, held_x, held_y)
        right = (chances.argmax(1) == held_y).sum().item()
        took = time.perf_counter() - start
        told = f"epoch {epoch:3}   loss {sum(losses[-len(loader) :]) / len(loader):.4f}"
        print(
            f"{told}   held out {judged:.4f}, {right} of {HELD_OUT} right   {took:5.1f} s",
            flush=True,
        )
    if options.losses:
        options.losses.write_text("".join(f"{loss!r}\n" for loss in losses), encoding="ascii")
    if not options.no_picture:
        draw(losses, held_x, held_y, chances, options.out)
        print(f"picture  {options.out}")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Learn to read digits.")
    parser.add_argument("--epochs", type=int, default=12, help="default: 12")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("digits_resnet.png"))
    parser.add_argument("--no-picture", action="store_true", help="do without matplotlib")
    parser.add_argument("--double", action="store_true", help="in float64: to compare libraries")
    parser.add_argument("--losses", type=Path, metavar="FILE", help="write the loss of each step")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
