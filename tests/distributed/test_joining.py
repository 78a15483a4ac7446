"""Ranks with different numbers of batches, shared optimizers, averaged parameters: the numbers that
PyTorch gave (joining.json)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import flambeau as torch
import flambeau.distributed as dist
from flambeau.distributed.algorithms.join import Join, Joinable, JoinHook
from flambeau.distributed.optim import ZeroRedundancyOptimizer

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    common = {
        **os.environ,
        "PYTHONPATH": str(Path(torch.__file__).parents[1]),
        "OMP_NUM_THREADS": "1",
        "WORLD_SIZE": "2",
        "MEET": f"file://{tmp_path_factory.mktemp('join')}/meet",
    }
    started = [
        subprocess.Popen(
            [sys.executable, str(HERE / "joining.py")],
            env={**common, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    answers = []
    for process in started:
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
        answers.append(json.loads(out))
    return answers


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [x for k in sorted(value) for x in (k, *_flat(value[k]))]
    return [x for v in value for x in _flat(v)] if isinstance(value, list) else [value]


@pytest.mark.parametrize("rank", [0, 1])
def test_as_pytorch(ranks: list[dict[str, Any]], rank: int) -> None:
    wanted = json.loads((HERE / "joining.json").read_text())[rank]
    assert ranks[rank].keys() == wanted.keys()
    for name, value in wanted.items():
        got, told = _flat(ranks[rank][name]), _flat(value)
        assert len(got) == len(told), name
        for a, b in zip(got, told, strict=True):
            assert a == (pytest.approx(b, rel=1e-5) if isinstance(b, float) else b), name


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", f"file://{tmp_path}/meet", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_alone(alone: None) -> None:
    net = torch.nn.Linear(2, 2)
    shared = ZeroRedundancyOptimizer(net.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)
    plain = torch.nn.Linear(2, 2)
    plain.load_state_dict(net.state_dict())
    single = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    with Join([shared]):
        for model, optimizer in ((net, shared), (plain, single)) * 2:
            optimizer.zero_grad()
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    assert net.weight.tolist() == plain.weight.tolist()
    shared.consolidate_state_dict()
    saved = shared.state_dict()
    assert saved["state"][0]["momentum_buffer"].tolist() == (
        single.state[plain.weight]["momentum_buffer"].tolist()
    )
    again = ZeroRedundancyOptimizer(net.parameters(), torch.optim.SGD, lr=1.0, momentum=0.0)
    again.load_state_dict(saved)
    assert again.optim.param_groups[0]["lr"] == 0.1 and len(again.optim.state) == 2
    with pytest.raises(NotImplementedError, match="overlap_with_ddp"):
        ZeroRedundancyOptimizer(net.parameters(), torch.optim.SGD, overlap_with_ddp=True, lr=1.0)


def test_what_cannot_join() -> None:
    with pytest.raises(ValueError, match="at least one joinable"):
        Join([])
    with pytest.raises(TypeError, match="instance of Joinable, int is none"):
        Join([3])
    with pytest.raises(TypeError, match="abstract"):
        Joinable()
    hook = JoinHook()
    assert hook.main_hook() is None and hook.post_hook(True) is None
