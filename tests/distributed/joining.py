"""What two processes do together where ranks have different numbers of batches, or share the state
of an optimizer; for test_joining.py.

``RANK=0 WORLD_SIZE=2 MEET=file:///path python joining.py LIBRARY`` prints one rank's answers as
JSON; joining.json holds PyTorch's (``LIBRARY`` torch).
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

NAME = sys.argv[1] if len(sys.argv) > 1 else "flambeau"
torch = importlib.import_module(NAME)
dist = importlib.import_module(f"{NAME}.distributed")
optim = importlib.import_module(f"{NAME}.distributed.optim")
Join = importlib.import_module(f"{NAME}.distributed.algorithms.join").Join
averagers = importlib.import_module(f"{NAME}.distributed.algorithms.model_averaging.averagers")
Parallel = torch.nn.parallel.DistributedDataParallel
RANK = int(os.environ["RANK"])


def net(normalised: bool = False) -> Any:
    torch.manual_seed(4)
    middle = [torch.nn.BatchNorm1d(4)] if normalised else []
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4), *middle, torch.nn.Tanh(), torch.nn.Linear(4, 1)
    )


def batch(k: int) -> Any:
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(100 * RANK + k))


def steps(model: Any, optimizer: Any, count: int) -> None:
    for k in range(count):
        optimizer.zero_grad()
        model(batch(k)).pow(2).mean().backward()
        optimizer.step()


def sums(model: Any) -> list[float]:
    return [p.sum().item() for p in model.state_dict().values()]


def answers() -> dict[str, Any]:
    told: dict[str, Any] = {}
    if RANK == 0:
        dist.send_object_list([{"a": 1}, "two"], dst=1)
    else:
        told["objects"] = [None, None]
        dist.recv_object_list(told["objects"], src=0)
    for by_initial_size in (True, False):
        for normalised in (False, True):
            model = Parallel(net(normalised))
            with model.join(divide_by_initial_world_size=by_initial_size):
                steps(model, torch.optim.SGD(model.parameters(), 0.1), 2 + 2 * RANK)
            told[f"join {by_initial_size} {normalised}"] = sums(model.module)
    model = Parallel(net())
    try:
        with model.join(throw_on_early_termination=True):
            steps(model, torch.optim.SGD(model.parameters(), 0.0), 2 + RANK)
    except RuntimeError as error:
        told["thrown"] = str(error).split("\n")[0]

    model = Parallel(net())
    shared = optim.ZeroRedundancyOptimizer(model.parameters(), torch.optim.Adam, lr=0.05)
    schedule = torch.optim.lr_scheduler.StepLR(shared, 2, 0.5)
    for _ in range(3):
        steps(model, shared, 1)
        schedule.step()
    told["shares"] = sums(model.module)
    shared.consolidate_state_dict(0)
    if RANK == 0:
        state = shared.state_dict()
        told["state"] = [
            {str(i): s["exp_avg"].sum().item() for i, s in state["state"].items()},
            state["param_groups"][0]["lr"],
            state["param_groups"][0]["params"],
        ]
        whole = torch.optim.Adam(net().parameters(), lr=1.0)
        whole.load_state_dict(state)
        told["loaded"] = [whole.param_groups[0]["lr"], len(whole.state)]
    else:
        try:
            shared.state_dict()
        except RuntimeError as error:
            told["not here"] = str(error)

    model = Parallel(net())
    shared = optim.ZeroRedundancyOptimizer(model.parameters(), torch.optim.SGD, lr=0.05)
    with Join([model, shared]):
        steps(model, shared, 1 + 2 * RANK)
    told["both join"] = sums(model.module)

    model = net()
    averager = averagers.PeriodicModelAverager(period=2, warmup_steps=1)
    local = optim.PostLocalSGDOptimizer(torch.optim.SGD(model.parameters(), 0.1), averager)
    steps(model, local, 4)
    told["local"] = [*sums(model), local.state_dict()["step"]]
    return told


if __name__ == "__main__":
    dist.init_process_group(
        "gloo", init_method=os.environ["MEET"], rank=RANK, world_size=int(os.environ["WORLD_SIZE"])
    )
    found = answers()
    dist.barrier()
    dist.destroy_process_group()
    print(json.dumps(found))
