"""The examples' and the app's training steps, compiled: the losses and weights of eager ones."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from torch_alias import torch_means_flambeau

import flambeau as torch
from flambeau import nn
from flambeau.nn import functional as F

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
STEPS = 6
Made = tuple[Callable[[int], Any], Any]  # what is called with 0, 1, 2 ...; what it changes


def load(name: str) -> ModuleType:
    """The program of an example, with ``torch`` meaning flambeau."""
    folder = str(EXAMPLES / name)
    spec = importlib.util.spec_from_file_location(f"{name}_program", f"{folder}/train.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, folder)
    try:
        with torch_means_flambeau():
            spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


def names_mlp(wrap: Callable) -> Made:
    program = load("names_mlp")
    examples = program.Examples(["anna", "bert", "carl", "dora"], [".", *"abcdelnort"])
    network = program.Network(11, torch.Generator().manual_seed(0))
    step = wrap(network.step)
    return (
        lambda i: step(examples.contexts[i : i + 8], examples.targets[i : i + 8], 0.1 / (1 + i)),
        network.parameters,
    )


def text_lstm(wrap: Callable) -> Made:
    program = load("text_lstm")
    data = torch.randint(0, 20, (800,))
    model = program.Writer(20)
    optimizer = torch.optim.Adam(model.parameters(), lr=program.LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    reach = torch.arange(12)

    def step(train: torch.Tensor) -> torch.Tensor:
        places = torch.randint(0, len(train) - 12, (4, 1)) + reach
        loss = program.loss_of(model, train[places], train[places + 1])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), program.CLIP)
        optimizer.step()
        schedule.step()
        return loss

    whole = wrap(step)
    return lambda i: (whole(data), optimizer.param_groups[0]["lr"]), model


def digits_vae(wrap: Callable) -> Made:
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")
    program = load("digits_vae")
    pictures = program.pictures()[0][:200]
    model = program.VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=program.LEARNING_RATE)

    def step(batch: torch.Tensor, weight: float) -> float:
        loss = model.loss(batch, torch.randn(len(batch), program.LATENT), weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    whole = wrap(step)
    return lambda i: whole(pictures[20 * i : 20 * i + 20], min(1.0, (i + 1) / 5)), model


def digits_resnet(wrap: Callable) -> Made:
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's")
    program = load("digits_resnet")
    x, y = program.digits()
    model = program.network()
    optimizer = torch.optim.SGD(
        model.parameters(), 0.01, momentum=program.MOMENTUM, weight_decay=5e-4, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=2 * STEPS)

    def step(batch: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = F.cross_entropy(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss

    whole = wrap(step)

    def call(i: int) -> torch.Tensor:
        part = slice(10 * i, 10 * i + 10)
        return whole(program.shifted(x[part]), y[part])

    return call, model


def cartpole(wrap: Callable) -> Made:
    program = load("cartpole")
    policy = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.01)
    game = program.CartPole(1)
    network = wrap(policy)

    def call(i: int) -> torch.Tensor:
        chances = program.play(network, game)
        loss = -(chances * program.returns(len(chances))).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return call, policy


def adder_gpt(wrap: Callable) -> Made:
    program = load("adder_gpt")
    rows = program.problems()[torch.randperm(10_000)[:100]]
    model = program.GPT()
    optimizer = program.optimizer_for(model)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=3)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, fall], [3])
    right = wrap(program.right)

    def step(train: torch.Tensor) -> torch.Tensor:
        loss = program.loss_of(model, train[torch.randint(0, len(train), (16,))])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        return loss

    whole = wrap(step)
    return lambda i: (whole(rows), right(model, rows[:10]).sum()), model


def in_context(wrap: Callable) -> Made:
    app = pytest.importorskip("in_context", reason="needs the extra in-context")
    settings = app.settings(training__compile="false")
    model = app.runs.build_model(settings)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    prompter = app.training.Prompter(settings)
    step = wrap(app.training.make_step(settings, model, optimizer))

    def call(i: int) -> torch.Tensor:
        batch = prompter.draw(0)
        optimizer.param_groups[0]["lr"] = app.training.learning_rate(settings.training, i)
        return step(batch.xs, batch.ys, batch.weights)

    return call, model


PROGRAMS = [names_mlp, text_lstm, digits_vae, digits_resnet, cartpole, adder_gpt, in_context]


def numbers(values: Any) -> Iterator[np.ndarray]:
    """All numbers in ``values``, copied."""
    if isinstance(values, nn.Module):
        values = list(values.state_dict().values())
    for v in values if isinstance(values, (list, tuple)) else [values]:
        if isinstance(v, (list, tuple)):
            yield from numbers(v)
        else:
            yield np.array(v.detach().numpy() if isinstance(v, torch.Tensor) else v)


@pytest.mark.parametrize("make", PROGRAMS)
def test_a_compiled_step_is_the_eager_one(make: Callable[[Callable], Made]) -> None:
    compiled: list[Any] = []

    def wrap(f: Callable) -> Callable:
        compiled.append(torch.compile(f))
        return compiled[-1]

    found = []
    for way in (lambda f: f, wrap):
        torch.manual_seed(3)
        call, state = make(way)
        found.append([n for i in range(STEPS) for n in numbers(call(i))] + list(numbers(state)))
    for eager, own in zip(*found, strict=True):
        np.testing.assert_allclose(own, eager, rtol=2e-3, atol=2e-4)
    for f in compiled:
        told = f.explain()
        assert "a program of" in told and "runs eagerly" not in told, told
