"""Learn to write like Python's own documentation, one character at a time, with an LSTM.

A plain PyTorch program: `flambeau run train.py` and `python train.py` with PyTorch do the same.
The text is the language reference that every Python brings along (`pydoc_data.topics`), or a file
of yours. The baseline to beat is how often each character follows each other one.

S. Hochreiter, J. Schmidhuber: Long Short-Term Memory, Neural Computation 9(8), 1997.
"""

from __future__ import annotations

import argparse
import math
import pydoc_data.topics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

EMBEDDING, HIDDEN, LAYERS = 32, 128, 2
BATCH, SPAN = 32, 48  # pieces of text in a step, and their characters
LEARNING_RATE, CLIP = 4e-3, 1.0
HELD_OUT = 20_000  # characters at the end that the model never learns from
CHARACTERS = 400_000


class Writer(nn.Module):
    """Logits of the next character after each one: embedding, LSTM, linear layer."""

    def __init__(self, letters: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(letters, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN, LAYERS, batch_first=True)
        self.head = nn.Linear(HIDDEN, letters)

    def forward(self, x: torch.Tensor, state: tuple | None = None) -> tuple[torch.Tensor, tuple]:
        """``x``: (batch, span) numbers of characters. Returns logits and the LSTM's state."""
        y, state = self.lstm(self.embed(x), state)
        return self.head(y), state


def read(path: Path | None) -> str:
    """The text: ``path``'s, or Python's reference in the order of its topics."""
    if path is not None:
        return path.read_text(encoding="utf-8")[:CHARACTERS]
    topics = pydoc_data.topics.topics
    text = "\n".join(topics[name] for name in sorted(topics))
    return "".join(c for c in text if c == "\n" or " " <= c <= "~")[:CHARACTERS]


def loss_of(model: Writer, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cross entropy in nats per character."""
    logits, _ = model(x)
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


def bigram_loss(train: torch.Tensor, held_out: torch.Tensor, letters: int) -> float:
    """The held-out loss of a table of pairs, each counted once more than it occurs."""
    pairs = torch.bincount(train[:-1] * letters + train[1:], minlength=letters**2) + 1
    chances = pairs.view(letters, letters).float()
    chances /= chances.sum(1, keepdim=True)
    return -chances[held_out[:-1], held_out[1:]].log().mean().item()


@torch.no_grad()
def judge(model: Writer, data: torch.Tensor) -> float:
    """The loss on all of ``data``, cut into pieces as in the training."""
    count = (len(data) - 1) // SPAN
    x = data[: count * SPAN].view(count, SPAN)
    y = data[1 : count * SPAN + 1].view(count, SPAN)
    return loss_of(model, x, y).item()


@torch.no_grad()
def write(model: Writer, start: torch.Tensor, length: int, generator: torch.Generator) -> list[int]:
    """``length`` characters after ``start``, each drawn by its chance."""
    logits, state = model(start[None])
    found = []
    for _ in range(length):
        chances = F.softmax(logits[:, -1] / 0.7, dim=-1)
        nxt = torch.multinomial(chances, 1, generator=generator)
        found.append(nxt.item())
        logits, state = model(nxt, state)
    return found


def main(options: argparse.Namespace) -> None:
    """Train, judge, and write a little."""
    text = read(options.data)
    letters = sorted(set(text))
    number = {letter: i for i, letter in enumerate(letters)}
    data = torch.tensor([number[c] for c in text])
    held = min(HELD_OUT, len(data) // 10)
    train, held_out = data[:-held], data[-held:]
    print(f"{len(text):,} characters, {len(letters)} different; the last {held:,} are held out")

    torch.manual_seed(options.seed)
    model = Writer(len(letters))
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    weights = sum(p.numel() for p in model.parameters())
    baseline = bigram_loss(train, held_out, len(letters))
    print(f"{weights:,} weights; bigram counts: {baseline:.4f} nats per character\n")

    losses, start = [], time.perf_counter()
    reach = torch.arange(SPAN)
    for step in range(1, options.steps + 1):
        places = torch.randint(0, len(train) - SPAN, (BATCH, 1)) + reach
        loss = loss_of(model, train[places], train[places + 1])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % max(1, options.steps // 10) == 0:
            took = time.perf_counter() - start
            print(f"step {step:5,}   loss {losses[-1]:.4f}   {took:5.1f} s", flush=True)
    final = judge(model, held_out)
    print(f"\nheld out: {final:.4f} nats, {final / math.log(2):.2f} bits per character")
    verdict = "better" if final < baseline else "worse"
    print(f"that is {abs(baseline - final):.4f} {verdict} than bigram counts\n")
    generator = torch.Generator().manual_seed(options.seed)
    prompt = text[: text.find(" ", 40)] if len(text) > 60 else text[:5]
    sample = write(model, torch.tensor([number[c] for c in prompt]), 300, generator)
    print(prompt + "|" + "".join(letters[i] for i in sample))
    if options.losses:
        options.losses.write_text("".join(f"{loss!r}\n" for loss in losses), encoding="ascii")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Learn to write, one character at a time.")
    parser.add_argument("--data", type=Path, metavar="FILE", help="a text of your own, UTF-8")
    parser.add_argument("--steps", type=int, default=600, help="default: 600")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--losses", type=Path, metavar="FILE", help="write the loss of each step")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
