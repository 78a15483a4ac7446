"""compile: seconds that PyTorch takes, a compiler that it needs, and answers in plain English.

That compiled is not slower than eager is held by ``python -m benchmarks --compiled``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import flambeau as torch

pytest.importorskip("llvmlite", reason="machine code is made by llvmlite")

SOURCE = Path(torch.__file__).parents[1]

PROGRAM = """
import subprocess, sys, time
import flambeau as torch

def no_process(*args, **kwargs):
    raise OSError("no other program may be started")
subprocess.Popen.__init__ = no_process

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
x, y = torch.randn(32, 16), torch.randint(0, 4, (32,))

def step():
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    return loss

other = torch.compile(lambda a: a.sum())  # loads the compiler
other(x), other(x)
compiled = torch.compile(step)
start = time.process_time()
losses = [compiled().item() for _ in range(3)]
seconds = time.process_time() - start
assert compiled.variants and not compiled.eager
print(seconds, *losses)
"""


def seconds_and_losses(cache: str) -> tuple[float, list[float]]:
    """Processor seconds of capturing, compiling and running three steps of a small network."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "FLAMBEAU_CACHE": cache, "PATH": ""}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    seconds, *losses = map(float, done.stdout.split())
    return seconds, losses


def test_a_small_step_compiles_at_once_and_without_a_compiler(tmp_path: Path) -> None:
    cold, first = seconds_and_losses(str(tmp_path))
    warm, second = seconds_and_losses(str(tmp_path))
    print(f"cold {cold:.2f} s, from the disk {1e3 * warm:.0f} ms")
    assert cold < 1.0  # PyTorch: 20 s
    assert warm < 0.2  # 50 ms on a machine that does nothing else
    assert first == second and first[2] < first[0]


def test_explain_is_plain_english() -> None:
    compiled = torch.compile(lambda x: torch.tanh(x + 1).sum())
    for _ in range(2):
        compiled(torch.ones(4))
    told = str(compiled.explain())
    assert "kernel" in told
    assert "Traceback" not in told and "0x" not in told


def test_what_python_must_see_ends_the_region_and_is_never_wrong() -> None:
    def f(x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.sum().item() > 0 else x - 1

    compiled = torch.compile(f)
    for value in (1.0, -1.0, 3.0, -2.0):
        x = torch.full((3,), value)
        assert torch.equal(compiled(x), f(x))
    assert "item()" in compiled.explain() and "test_compile.py" in compiled.explain()
