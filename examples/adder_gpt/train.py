"""Learn to add two-digit numbers with a transformer that sees nothing but digits.

A plain PyTorch program: `flambeau run train.py` and `python train.py` with PyTorch do the same.
85 + 50 = 135 is written as the digits 8 5 5 0 5 3 1, the sum backwards as one adds on paper; the
network learns to go on from the first four. The task is that of minGPT's adder; the network is a
GPT: blocks of causal attention and a feed-forward net, each after a layer norm and with a way past.

A. Radford et al.: Language Models are Unsupervised Multitask Learners, 2019.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

DIGITS, PLACES = (
    10,
    6,
)  # different tokens; tokens that the network sees: 4 of the numbers, 2 of the sum
WIDTH, HEADS, LAYERS = 48, 3, 3
BATCH, LEARNING_RATE, DECAY, WARM = 128, 2e-3, 0.1, 100
HELD_OUT = 500  # of the 10,000 sums


class Block(nn.Module):
    """Attention to what came before, then a feed-forward net, each added to what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attend = nn.Linear(WIDTH, 3 * WIDTH)
        self.project = nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, places, width) to the same."""
        batch, places, width = x.shape
        parts = self.attend(self.norm1(x)).view(batch, places, 3, HEADS, width // HEADS)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(y.transpose(1, 2).reshape(batch, places, width))
        return x + self.feed(self.norm2(x))


class GPT(nn.Module):
    """Logits of the next digit after each one."""

    def __init__(self) -> None:
        super().__init__()
        self.digit = nn.Embedding(DIGITS, WIDTH)
        self.place = nn.Parameter(torch.zeros(PLACES, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, DIGITS, bias=False)
        self.apply(self.start)

    @staticmethod
    def start(module: nn.Module) -> None:
        """Small weights at the start, as GPT-2 has them."""
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, places) digits to (batch, places, 10) logits."""
        return self.head(self.norm(self.blocks(self.digit(x) + self.place[: x.shape[1]])))


def problems() -> torch.Tensor:
    """All sums of two numbers from 0 to 99: (10000, 7) digits, the sum backwards."""
    a, b = torch.meshgrid(torch.arange(100), torch.arange(100), indexing="ij")
    a, b = a.flatten(), b.flatten()
    c = a + b
    return torch.stack([a // 10, a % 10, b // 10, b % 10, c % 10, c // 10 % 10, c // 100], 1)


def loss_of(model: GPT, rows: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the sum's three digits."""
    logits = model(rows[:, :-1])[:, 3:]
    return F.cross_entropy(logits.flatten(0, 1), rows[:, 4:].flatten())


@torch.no_grad()
def right(model: GPT, rows: torch.Tensor) -> torch.Tensor:
    """Which of the sums come out right, each digit taken as the likeliest."""
    x = rows[:, :4]
    for _ in range(3):
        x = torch.cat([x, model(x)[:, -1].argmax(-1, keepdim=True)], 1)
    return (x == rows).all(1)


def optimizer_for(model: GPT) -> torch.optim.Optimizer:
    """AdamW; matrices decay, biases, norms and embeddings do not."""
    matrices, others = [], []
    for name, p in model.named_parameters():
        decays = p.dim() == 2 and "digit" not in name and "place" not in name
        (matrices if decays else others).append(p)
    groups = [
        {"params": matrices, "weight_decay": DECAY},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95))


def main(options: argparse.Namespace) -> None:
    """Train, and see which sums come out right."""
    if options.double:
        torch.set_default_dtype(torch.float64)
    torch.manual_seed(options.seed)
    rows = problems()[torch.randperm(10_000)]
    train, held_out = rows[HELD_OUT:], rows[:HELD_OUT]
    model = GPT()
    optimizer = optimizer_for(model)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=WARM)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, options.steps - WARM))
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, fall], [WARM])
    weights = sum(p.numel() for p in model.parameters())
    print(f"{len(train):,} sums to learn from, {len(held_out)} held out; {weights:,} weights")

    losses, start = [], time.perf_counter()
    for step in range(1, options.steps + 1):
        loss = loss_of(model, train[torch.randint(0, len(train), (BATCH,))])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % max(1, options.steps // 10) == 0:
            took = time.perf_counter() - start
            good = right(model, held_out).sum().item()
            told = f"step {step:5,}   loss {losses[-1]:.4f}"
            print(f"{told}   {good} of {HELD_OUT} held-out sums right   {took:5.1f} s", flush=True)
    wrong = held_out[~right(model, held_out)][:5]
    for a, b, c, d, *_ in wrong.tolist():
        print(f"wrong: {10 * a + b} + {10 * c + d}")
    if options.losses:
        options.losses.write_text("".join(f"{loss!r}\n" for loss in losses), encoding="ascii")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Learn to add two-digit numbers.")
    parser.add_argument("--steps", type=int, default=1200, help="default: 1,200")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--double", action="store_true", help="in float64: to compare libraries")
    parser.add_argument("--losses", type=Path, metavar="FILE", help="write the loss of each step")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
