"""Silent mistakes: each rule of flambeau.check finds its mistake, and nothing where there is none.

PyTorch says nothing in any of these cases but the scheduler's and mse_loss's. (16045, 47175, 76383,
17568)
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.nn import functional as F

ROOT = Path(__file__).parents[2]


class Net(nn.Module):
    """Two layers, dropout and batch norm between."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.drop(self.norm(self.first(x)).relu()))


X, Y = torch.randn(16, 4), torch.randint(0, 3, (16,))


def findings(program: Callable[[], None], *watched: object) -> list[tuple[str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.check(*watched) as checked:
            program()
    return checked.findings


def train(
    steps: int = 6,
    zero: bool = True,
    evaluate: bool = True,
    keep: Callable[[torch.Tensor], object] = torch.Tensor.item,
    scheduler_first: bool = False,
    loss: Callable[..., torch.Tensor] = F.cross_entropy,
) -> None:
    """An ordinary program, with a mistake where it is asked for one."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    total = 0.0
    for _ in range(steps):
        if zero:
            optimizer.zero_grad()
        value = loss(model(X), Y)
        value.backward()
        if scheduler_first:
            scheduler.step()
        optimizer.step()
        if not scheduler_first:
            scheduler.step()
        total += keep(value)
    if evaluate:
        model.eval()
    with torch.no_grad():
        model(X)


def test_an_ordinary_program_has_no_findings() -> None:
    assert findings(train) == []


@pytest.mark.parametrize("set_to_none", [True, False])
def test_gradients_that_are_zeroed_in_other_ways(set_to_none: bool) -> None:
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())

    def program() -> None:
        for step in range(4):
            for _ in range(2):  # accumulation over two batches is no mistake
                F.cross_entropy(model(X), Y).backward()
            optimizer.step()
            if step % 2:
                model.zero_grad(set_to_none)
            else:
                for p in model.parameters():
                    p.grad.zero_()

    assert findings(program, model, optimizer) == []


def test_two_optimizers_as_in_a_gan() -> None:
    one, other = nn.Linear(4, 4), nn.Linear(4, 1)
    of_one = torch.optim.Adam(one.parameters())
    of_other = torch.optim.Adam(other.parameters())

    def program() -> None:
        for _ in range(6):
            of_other.zero_grad()
            other(one(X).detach()).mean().backward()
            of_other.step()
            of_one.zero_grad()
            other(one(X)).mean().backward()  # adds to the gradients of the other, too
            of_one.step()

    assert findings(program) == []


def test_gradients_that_are_never_zeroed() -> None:
    ((rule, text),) = findings(lambda: train(zero=False))
    assert rule == "gradients not zeroed"
    assert "SGD.step() uses gradients to which those of the step before were added" in text


def test_training_mode_without_gradients() -> None:
    found = findings(lambda: train(evaluate=False))
    assert [rule for rule, _ in found] == ["training mode"] * 2
    assert "batch norm runs in training mode" in found[0][1] and "in Net.norm" in found[0][1]
    assert "dropout runs in training mode" in found[1][1] and "model.eval()" in found[1][1]


def test_operands_of_a_loss_that_broadcast() -> None:
    p, t = nn.Linear(4, 1)(X), torch.randn(16)
    ((rule, text),) = findings(lambda: F.mse_loss(p, t))
    assert rule == "loss shapes" and "(16, 1) and (16,)" in text
    ((rule, text),) = findings(lambda: ((p - t) ** 2).mean().backward())
    assert rule == "loss shapes" and "has shape (16, 16)" in text

    def right() -> None:
        F.mse_loss(p.squeeze(1), t)
        ((p.squeeze(1) - t) ** 2).mean()
        (p - p.squeeze(1)[None, :]).abs()  # all pairs, on purpose
        p - p.mean(0)  # (16, 1) and (1,)
        X - X.mean(1, keepdim=True)

    assert findings(right) == []


@pytest.mark.parametrize(
    "loss",
    [
        lambda out, y: F.cross_entropy(out.softmax(1), y),
        lambda out, y: F.cross_entropy(out.sigmoid(), y),
        lambda out, y: F.nll_loss(out.softmax(1), y),
        lambda out, y: F.binary_cross_entropy_with_logits(out.sigmoid(), torch.ones(16, 3)),
    ],
)
def test_probabilities_where_scores_are_taken(loss: Callable[..., torch.Tensor]) -> None:
    ((rule, text),) = findings(lambda: train(loss=loss))
    assert rule == "softmax twice" and "but gets the result of s" in text


def test_losses_of_what_they_take() -> None:
    for loss in (
        lambda out, y: F.nll_loss(out.log_softmax(1), y),
        lambda out, y: F.binary_cross_entropy(out.sigmoid(), torch.ones(16, 3)),
        lambda out, y: F.binary_cross_entropy_with_logits(out, torch.ones(16, 3)),
    ):
        assert findings(lambda loss=loss: train(loss=loss)) == []


def test_a_scheduler_before_the_optimizer() -> None:
    ((rule, text),) = findings(lambda: train(scheduler_first=True))
    assert rule == "scheduler order" and text.startswith("StepLR.step() was called before")


def test_parameters_that_no_optimizer_has() -> None:
    model = Net()
    half = torch.optim.SGD(model.first.parameters(), 0.1)
    ((rule, text),) = findings(lambda: None, model, half)
    assert rule == "no optimizer"
    assert "norm.weight, norm.bias, last.weight, last.bias of Net will not be trained" in text
    for part in (model.norm, model.last):
        part.requires_grad_(False)
    assert findings(lambda: None, model, half) == []  # frozen on purpose
    target = Net()  # an average of the model: no parameter of it has an optimizer
    assert findings(lambda: target(X), model, half) == []


def test_parameters_that_never_get_a_gradient() -> None:
    model = nn.ModuleDict({"used": nn.Linear(4, 3), "unused": nn.Linear(2, 2)})
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def program(both: bool) -> None:
        for step in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(model["used"](X), Y)
            if both and step == 1:  # once is enough
                loss = loss + model["unused"](torch.ones(2)).sum()
            loss.backward()
            optimizer.step()

    ((rule, text),) = findings(lambda: program(False), model, optimizer)
    assert rule == "no gradient"
    assert text.startswith("unused.weight, unused.bias never got a gradient in 3 steps")
    assert findings(lambda: program(True), model, optimizer) == []


def test_a_sum_of_losses_that_keeps_every_graph() -> None:
    ((rule, text),) = findings(lambda: train(keep=lambda loss: loss))
    assert rule == "growing graph"
    assert "'total' still holds the graphs of earlier steps" in text
    assert "test_silent_mistakes.py" in text and "total += keep(value)" in text
    assert findings(lambda: train(keep=torch.Tensor.detach)) == []


def test_a_list_of_losses_that_keeps_every_graph() -> None:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def program() -> None:
        history = []
        for _ in range(7):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(X), Y)
            history.append(loss)
            loss.backward()
            optimizer.step()

    ((rule, text),) = findings(program)
    assert rule == "growing graph" and "'history' (" in text and "tensors)" in text


def test_findings_are_warnings_at_the_users_line() -> None:
    p, t = nn.Linear(4, 1)(X), torch.randn(16)
    with (
        pytest.warns(torch.CheckWarning, match="loss shapes: a difference") as caught,
        torch.check(),
    ):
        (p - t).sum()
        (p - t).sum()  # another line: said again
    assert [w.filename for w in caught] == [__file__] * 2
    assert caught[1].lineno == caught[0].lineno + 1


def test_what_is_not_a_model_is_refused() -> None:
    with pytest.raises(TypeError, match="models and optimizers, not int"):
        torch.check(3)


def run(code: str, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "FLAMBEAU_CHECK": "1"}
    command = command or (sys.executable, "-c", code)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stderr


def test_the_environment_puts_a_whole_program_under_check() -> None:
    said = run(
        "import flambeau as torch\n"
        "p = torch.nn.Linear(4, 1)(torch.ones(8, 4))\n"
        "((p - torch.ones(8)) ** 2).mean().backward()\n"
    )
    assert said.count("CheckWarning: loss shapes: a difference") == 1


def test_no_alarm_on_the_example(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    parts = ("an", "be", "lo", "mi", "ra", "ko", "the", "li")
    names.write_text("\n".join(a + b + c for a in parts for b in parts for c in "aeo"))
    script = ROOT / "examples" / "names_mlp" / "train.py"
    said = run(
        "", sys.executable, "-m", "flambeau", "run", str(script), "--data", str(names),
        "--steps", "30", "--no-picture",
    )  # fmt: skip
    assert "CheckWarning" not in said
