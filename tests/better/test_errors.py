"""Errors that lead to the line to change. Their words are held in tests/errors."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import flambeau as torch

SOURCE = Path(torch.__file__).parents[1]
SECOND = "backward through the graph a second time"


def stderr_of(folder: Path, text: str, **environment: str) -> list[str]:
    """The last lines of a program that fails."""
    script = folder / "train.py"
    script.write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr.splitlines()


DEEP = """
    import flambeau as torch
    def loss(x):
        return torch.nn.functional.cross_entropy(x, torch.tensor([0, 9]))
    loss(torch.ones(2, 4))
"""


def test_a_traceback_ends_in_the_users_line(tmp_path: Path) -> None:
    lines = stderr_of(tmp_path, DEEP)
    error = next(i for i, line in enumerate(lines) if line.startswith("IndexError"))
    assert any("train.py" in line for line in lines[error - 3 : error])
    assert not any("flambeau/ops" in line for line in lines)
    assert "target[1] = 9, but input has 4 classes" in lines[-1]


def test_the_whole_traceback_can_be_had(tmp_path: Path) -> None:
    lines = stderr_of(tmp_path, DEEP, FLAMBEAU_TRACEBACK="full")
    assert any("cross_entropy.py" in line for line in lines)


def test_a_hook_of_the_programs_own_is_left_alone(tmp_path: Path) -> None:
    own = """
        import sys
        sys.excepthook = lambda kind, error, trace: print("mine", file=sys.stderr)
        import flambeau
        1 / 0
    """
    assert stderr_of(tmp_path, own) == ["mine"]


def second(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert SECOND in text
    return text.splitlines()[-1]


def test_the_tensor_that_ties_two_steps_is_named() -> None:
    w = torch.ones(3, requires_grad=True)
    hidden = torch.zeros(3)
    with pytest.raises(RuntimeError, match=SECOND) as error:
        for _ in range(2):
            hidden = torch.tanh(hidden * w)
            hidden.sum().backward()
    line = second(error)
    assert "'hidden' (test_errors.py:" in line and "hidden = torch.tanh(hidden * w)" in line
    assert "carries the graph of one step into the next: .detach() it" in line


class Recurrent(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(3, 4)
        self.state = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, self.state = self.lstm(x, self.state)
        return y.sum()


def test_a_state_kept_in_a_module_is_named() -> None:
    model = Recurrent()
    with pytest.raises(RuntimeError, match=SECOND) as error:
        for _ in range(2):
            model(torch.ones(5, 2, 3)).backward()
    assert "'model.state' (test_errors.py:" in second(error)
    assert "y, self.state = self.lstm(x, self.state)" in second(error)


def test_a_loss_that_goes_back_twice_is_named() -> None:
    loss = torch.ones(3, requires_grad=True).exp().sum()
    loss.backward()
    with pytest.raises(RuntimeError, match=SECOND) as error:
        loss.backward()
    assert "'loss' (test_errors.py:" in second(error)
    assert "has been through backward before" in second(error)


def test_without_a_variable_the_advice_is_general() -> None:
    kept = functools.partial(torch.sum, torch.ones(3, requires_grad=True).exp())
    kept().backward()
    with pytest.raises(RuntimeError, match=SECOND) as error:
        kept().backward()
    assert "if a loop carries a tensor" in second(error)


def test_a_saved_tensor_that_was_changed_is_named_with_the_line_that_made_it() -> None:
    x = torch.ones(3, requires_grad=True)
    scaled = {"a": x.exp()}
    scaled["a"].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as error:
        scaled["a"].sum().backward()
    line = str(error.value).splitlines()[-1]
    assert "exp saved 'scaled' (test_errors.py:" in line and '{"a": x.exp()}' in line
    assert "mul_ changed it" in line
