"""Learn to keep a pole upright by trial and error alone: REINFORCE on a cart-pole in NumPy.

A plain PyTorch program: `flambeau run train.py` and `python train.py` with PyTorch do the same.
A small network gives the chances of pushing left and right. After each episode, every push is made
more likely by how much better than usual things went after it. In float64, so that two libraries
push alike all the way: a single other push would make another story of it.

R. J. Williams: Simple statistical gradient-following algorithms for connectionist reinforcement
learning, Machine Learning 8, 1992.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from cartpole import LONGEST, CartPole
from torch import nn
from torch.distributions import Categorical

HIDDEN, LEARNING_RATE, DISCOUNT = 64, 0.01, 0.99
SOLVED = 195  # steps, as a mean of the last WINDOW episodes
WINDOW = 50


def returns(steps: int) -> torch.Tensor:
    """What followed each step, discounted, about 0 and of spread 1: each step is worth 1."""
    found = torch.zeros(steps)
    total = 0.0
    for i in range(steps - 1, -1, -1):
        total = 1.0 + DISCOUNT * total
        found[i] = total
    return (found - found.mean()) / (found.std() + 1e-8)


def play(policy: nn.Module, game: CartPole) -> torch.Tensor:
    """One episode: the log chance of each push that was made."""
    state, over, chances = game.reset(), False, []
    while not over:
        choice = Categorical(logits=policy(torch.from_numpy(state)))
        push = choice.sample()
        chances.append(choice.log_prob(push))
        state, over = game.step(push.item())
    return torch.stack(chances)


def draw(lengths: list[int], policy: nn.Module, path: Path) -> None:
    """How long each episode was, and which push the network prefers at which angle."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.5), layout="constrained")
    curve, table = figure.subplots(1, 2)
    curve.plot(lengths, ".", color="0.7", label="one episode")
    means = [np.mean(lengths[max(0, i - WINDOW + 1) : i + 1]) for i in range(len(lengths))]
    curve.plot(means, "k", label=f"mean of {WINDOW}")
    curve.axhline(SOLVED, color="0.4", linestyle=":")
    curve.set(title="How long the pole stayed up", xlabel="episode", ylabel="steps of 0.02 s")
    curve.legend(frameon=False)
    angle, turning = torch.meshgrid(
        torch.linspace(-0.2, 0.2, 61), torch.linspace(-2, 2, 61), indexing="xy"
    )
    zero = torch.zeros_like(angle)
    with torch.no_grad():
        chance = policy(torch.stack([zero, zero, angle, turning], -1)).softmax(-1)[..., 1]
    shown = table.imshow(
        chance.numpy(), cmap="RdBu_r", vmin=0, vmax=1, origin="lower", aspect="auto",
        extent=(np.degrees(-0.2), np.degrees(0.2), -2, 2),
    )  # fmt: skip
    figure.colorbar(shown, ax=table, label="chance of pushing right")
    table.set(title="What it does", xlabel="angle to the right (degrees)", ylabel="turning (rad/s)")
    figure.savefig(path, dpi=80)


def main(options: argparse.Namespace) -> None:
    """Play until the pole stays up, learning from every episode."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(options.seed)
    game = CartPole(options.seed)
    policy = nn.Sequential(nn.Linear(4, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 2))
    optimizer = torch.optim.Adam(policy.parameters(), lr=LEARNING_RATE)
    losses, lengths, start = [], [], time.perf_counter()
    for episode in range(1, options.episodes + 1):
        chances = play(policy, game)
        loss = -(chances * returns(len(chances))).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        lengths.append(len(chances))
        mean = np.mean(lengths[-WINDOW:])
        solved = len(lengths) >= WINDOW and mean >= SOLVED
        if episode % 20 == 0 or solved or episode == options.episodes:
            took = time.perf_counter() - start
            told = f"episode {episode:4}   loss {losses[-1]:9.4f}"
            print(
                f"{told}   mean of the last {WINDOW}: {mean:5.1f} steps   {took:5.1f} s", flush=True
            )
        if solved:
            print(f"\nsolved: {SOLVED} steps in the mean; {LONGEST} are the most")
            break
    if options.losses:
        options.losses.write_text("".join(f"{loss!r}\n" for loss in losses), encoding="ascii")
    if not options.no_picture:
        draw(lengths, policy, options.out)
        print(f"picture  {options.out}")


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Learn to keep a pole upright.")
    parser.add_argument("--episodes", type=int, default=400, help="at most; default: 400")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("cartpole.png"))
    parser.add_argument("--no-picture", action="store_true", help="do without matplotlib")
    parser.add_argument("--losses", type=Path, metavar="FILE", help="write each episode's loss")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
