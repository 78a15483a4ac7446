"""Learn to make up names, letter by letter, with the network of Bengio et al. 2003.

A plain PyTorch program: `flambeau run train.py` and `python train.py` with PyTorch do the same.
The network sees the three letters before, gives each an embedding of 10 numbers, passes the 30
through 200 tanh units, and says how likely each letter is next. The baseline to beat is a table
of how often each letter follows each other one.

Y. Bengio, R. Ducharme, P. Vincent, C. Jauvin: A Neural Probabilistic Language Model, JMLR 3, 2003.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import picture
import reading
import torch
import torch.nn.functional as F

CONTEXT, EMBEDDING, HIDDEN = 3, 10, 200
LEARNING_RATE = 0.1  # at the first step; falls in a straight line to 0 at the last
SAMPLED = 10  # names
HELD_OUT = 10  # one name in this many is kept from the network to judge it
SCORED = (1, 3, *range(10, 101, 10))  # % of the steps after which both sets are scored
END = "."


class Network:
    """P(next letter | the 3 before) = softmax(W2 tanh(W1 [C[a], C[b], C[c]] + b1) + b2)."""

    def __init__(self, letters: int, generator: torch.Generator) -> None:
        inputs = CONTEXT * EMBEDDING
        self.C = torch.randn((letters, EMBEDDING), generator=generator)
        # 5/3 is the gain of tanh: it keeps the spread of the activations (He et al. 2015).
        self.W1 = torch.randn((inputs, HIDDEN), generator=generator) * (5 / 3) / inputs**0.5
        self.b1 = torch.randn(HIDDEN, generator=generator) * 0.01
        # Small, so that every letter is about equally likely at the start.
        self.W2 = torch.randn((HIDDEN, letters), generator=generator) * 0.01
        self.b2 = torch.zeros(letters)
        self.parameters = [self.C, self.W1, self.b1, self.W2, self.b2]
        for parameter in self.parameters:
            parameter.requires_grad = True

    def hidden(self, contexts: torch.Tensor) -> torch.Tensor:
        """Activations of the tanh units, (n, 200), for contexts of shape (n, 3)."""
        return torch.tanh(self.C[contexts].view(len(contexts), -1) @ self.W1 + self.b1)

    def __call__(self, contexts: torch.Tensor) -> torch.Tensor:
        """Logits, (n, letters)."""
        return self.hidden(contexts) @ self.W2 + self.b2

    def step(self, contexts: torch.Tensor, targets: torch.Tensor, rate: float) -> float:
        """One step of gradient descent on a batch; returns the batch's loss."""
        loss = F.cross_entropy(self(contexts), targets)
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()
        for parameter in self.parameters:
            parameter.data -= rate * parameter.grad
        return loss.item()

    @torch.no_grad()
    def sample(self, letters: list[str], generator: torch.Generator) -> list[str]:
        """Made-up names, cut at 20 letters."""
        names = []
        for _ in range(SAMPLED):
            context, name = [0] * CONTEXT, ""
            while len(name) < 20:
                chances = F.softmax(self(torch.tensor([context])), dim=1)
                letter = torch.multinomial(chances, 1, generator=generator).item()
                if letter == 0:
                    break
                context, name = [*context[1:], letter], name + letters[letter]
            names.append(name or "(none)")
        return names


class Examples:
    """Every place in the given names: its context, (n, 3), and the letter that comes there."""

    def __init__(self, names: list[str], letters: list[str]) -> None:
        index = {letter: i for i, letter in enumerate(letters)}
        contexts, targets = [], []
        for name in names:
            context = [0] * CONTEXT
            for letter in name + END:
                contexts.append(context)
                targets.append(index[letter])
                context = [*context[1:], index[letter]]
        self.contexts, self.targets = torch.tensor(contexts), torch.tensor(targets)

    @torch.no_grad()
    def loss(self, network: Network) -> float:
        """Mean cross entropy of the network's predictions."""
        return F.cross_entropy(network(self.contexts), self.targets).item()

    def bigram_loss(self, log_chances: torch.Tensor) -> float:
        """The same of a table (letters, letters) of log P(column | row)."""
        return F.nll_loss(log_chances[self.contexts[:, -1]], self.targets).item()

    def count_pairs(self, letters: int) -> torch.Tensor:
        """How often each letter (column) follows each other one (row)."""
        pairs = self.contexts[:, -1] * letters + self.targets
        return torch.bincount(pairs, minlength=letters**2).view(letters, letters)


class Bar:
    """A progress bar on one line of a terminal; silent where the errors go to a file."""

    def __init__(self, steps: int) -> None:
        self.steps, self.start, self.drawn = steps, time.perf_counter(), 0.0
        self.wanted = sys.stderr.isatty()

    def show(self, step: int, loss: float) -> None:
        """Draw the bar, ten times a second at most."""
        now = time.perf_counter()
        if self.wanted and now - self.drawn > 0.1:
            self.drawn, rate = now, step / (now - self.start)
            bar = "#" * (24 * step // self.steps)
            text = f"{rate:,.0f} steps/s  {(self.steps - step) / rate:.0f} s left"
            sys.stderr.write(
                f"\r[{bar:<24}] {step:,}/{self.steps:,}  loss {loss:.2f}  {text}\x1b[K"
            )
            sys.stderr.flush()

    def clear(self) -> None:
        """Empty the line, so that it can be printed on."""
        if self.wanted:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def report(what: str, train: float, held_out: float, note: str = "") -> None:
    """One line of the table of losses."""
    print(f"{what:<22} {train:8.4f} {held_out:10.4f}   {note}".rstrip(), flush=True)


def main(options: argparse.Namespace) -> int:
    """Count, train, sample and draw; returns the exit status."""
    source = str(options.data or "the US census of 1990")
    names = reading.read_names(options.data) if options.data else reading.census_names()
    letters = [END, *sorted(set("".join(names)))]
    generator = torch.Generator().manual_seed(options.seed)
    names = [names[i] for i in torch.randperm(len(names), generator=generator).tolist()]
    cut = len(names) // HELD_OUT
    train, held_out = Examples(names[cut:], letters), Examples(names[:cut], letters)
    print(f"{len(names):,} names from {source}, {cut:,} of them held out\n")

    print(f"{'loss':<22} {'train':>8} {'held out':>10}")
    counts = train.count_pairs(len(letters))
    chances = (counts + 1) / (counts + 1).sum(1, keepdim=True)  # + 1: no pair is impossible
    bigram = held_out.bigram_loss(chances.log())
    report("bigram counts", train.bigram_loss(chances.log()), bigram, "the baseline to beat")

    network = Network(len(letters), generator)
    scores = [(0, train.loss(network), held_out.loss(network))]
    size = sum(parameter.numel() for parameter in network.parameters)
    report("network at the start", *scores[0][1:], f"{size:,} parameters")
    sampler = torch.Generator().manual_seed(options.seed + 1)
    first_names = network.sample(letters, sampler)
    with torch.no_grad():
        before = network.hidden(train.contexts[:1000])

    losses: list[float] = []
    scored = {options.steps * percent // 100 for percent in SCORED}
    bar = Bar(options.steps)
    try:
        for step in range(options.steps):
            rows = torch.randint(0, len(train.targets), (options.batch,), generator=generator)
            rate = LEARNING_RATE * (1 - step / options.steps)
            losses.append(network.step(train.contexts[rows], train.targets[rows], rate))
            bar.show(step + 1, losses[-1])
            if step + 1 in scored:
                scores.append((step + 1, train.loss(network), held_out.loss(network)))
                bar.clear()
                report(f"  step {step + 1:,}", *scores[-1][1:])
    except KeyboardInterrupt:
        bar.clear()
    stopped = len(losses) < options.steps
    if stopped:
        print(f"stopped after {len(losses):,} of {options.steps:,} steps")
        if losses:
            scores.append((len(losses), train.loss(network), held_out.loss(network)))
            report(f"  step {len(losses):,}", *scores[-1][1:])
    gain = bigram - scores[-1][2]
    verdict = "better" if gain > 0 else "worse"
    print(f"on held-out names the network is {abs(gain):.4f} {verdict} than the bigram counts\n")

    print(f"at the start  {' '.join(first_names[:5])}")
    new_names = network.sample(letters, sampler)
    print(f"now           {' '.join(new_names)}")
    known = [name for name in new_names if name in set(names)]
    print(f"{'':<14}{len(new_names) - len(known)} of these {len(new_names)} are not in the data\n")

    if options.losses:
        options.losses.write_text("".join(f"{loss!r}\n" for loss in losses), encoding="ascii")
        print(f"losses   {options.losses}")
    if not options.no_picture:
        with torch.no_grad():
            after = network.hidden(train.contexts[:1000])
        picture.draw(
            picture.Run(losses, scores, bigram, letters, counts, before, after), options.out
        )
        print(f"picture  {options.out}")
    return 130 if stopped else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; whatever would fail after the training is refused before it."""
    parser = argparse.ArgumentParser(description="Learn to make up names, letter by letter.")
    parser.add_argument("--data", type=Path, metavar="FILE", help="your own names, one a line")
    parser.add_argument("--steps", type=_whole(1, 10**9), default=30_000, help="default: 30,000")
    parser.add_argument("--batch", type=_whole(1, 10**5), default=32, help="default: 32")
    parser.add_argument("--seed", type=_whole(0, 2**63 - 2), default=2**31 - 1)
    parser.add_argument(
        "--out", type=Path, default=Path("names_mlp.png"), help="default: names_mlp.png"
    )
    parser.add_argument("--no-picture", action="store_true", help="do without matplotlib")
    parser.add_argument(
        "--losses", type=Path, metavar="FILE", help="write the loss of each step, one a line"
    )
    options = parser.parse_args(arguments)
    if not options.no_picture:
        if options.out.suffix != ".png":
            parser.error(f"the picture is a PNG: --out {options.out}.png")
        if not picture.can_draw():
            parser.error("the picture needs matplotlib: pip install matplotlib (or --no-picture)")
    for path in (options.losses, None if options.no_picture else options.out):
        if path and (
            path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK)
        ):
            parser.error(f"cannot write {path}: is its folder there, and yours to write in?")
    return options


def _whole(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text} is not a whole number from {least} to {most}")
        return int(text)

    return number


if __name__ == "__main__":
    try:
        sys.exit(main(parse(sys.argv[1:])))
    except reading.BadNames as error:
        sys.exit(f"train.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
