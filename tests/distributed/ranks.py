"""What several processes do together, for test_many_processes.py: one function for each part.

``python ranks.py PART ...`` runs as one rank, found from the environment, and prints its answers
as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import flambeau as torch
import flambeau.distributed as dist
import flambeau.distributed.nn as with_gradients
from flambeau.nn.parallel import DistributedDataParallel
from flambeau.utils.data import DataLoader, DistributedSampler, TensorDataset

RANK, SIZE = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def error_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def collectives() -> Any:
    answers = {}

    def own() -> torch.Tensor:
        return torch.tensor([1.0, 2.0]) + 10 * RANK

    for op in (dist.ReduceOp.SUM, dist.ReduceOp.AVG, dist.ReduceOp.MAX, dist.ReduceOp.PRODUCT):
        x = own()
        dist.all_reduce(x, op)
        answers[op.name] = x.tolist()
    for dtype in ("bfloat16", "int64", "bool", "complex64"):
        x = torch.tensor([[1, 0]]).to(getattr(torch, dtype))
        dist.all_reduce(x)
        answers[dtype] = str(x.tolist())
    x = own()
    dist.reduce(x, 1)
    answers["reduce"] = x.tolist()
    x = own()
    dist.broadcast(x, SIZE - 1)
    answers["broadcast"] = x.tolist()
    listed = [torch.zeros(2) for _ in range(SIZE)]
    dist.all_gather(listed, own())
    answers["all_gather"] = [t.tolist() for t in listed]
    whole = torch.zeros(SIZE, 2)
    dist.all_gather_into_tensor(whole, own())
    answers["all_gather_into_tensor"] = whole.tolist()
    dist.gather(own(), listed if RANK == 0 else None)
    answers["gather"] = [t.tolist() for t in listed] if RANK == 0 else None
    x = torch.zeros(2)
    dist.scatter(x, [own() + i for i in range(SIZE)] if RANK == 1 else None, src=1)
    answers["scatter"] = x.tolist()
    dist.reduce_scatter(x, [own() + i for i in range(SIZE)])
    answers["reduce_scatter"] = x.tolist()
    dist.reduce_scatter_tensor(x, torch.arange(2.0 * SIZE))
    answers["reduce_scatter_tensor"] = x.tolist()
    dist.all_to_all(listed, [own() + i for i in range(SIZE)])
    answers["all_to_all"] = [t.tolist() for t in listed]
    sent = torch.arange(3.0) + 10 * RANK  # one row to rank 0, two to rank 1
    got = torch.zeros(SIZE * (RANK + 1) if RANK < 2 else 0)
    sizes = [RANK + 1 if RANK < 2 else 0] * SIZE
    dist.all_to_all_single(got, sent, sizes, [1, 2] + [0] * (SIZE - 2))
    answers["all_to_all_single"] = got.tolist()
    empty = torch.zeros(0, 3)
    dist.all_reduce(empty)
    dist.barrier()
    return answers


def objects() -> Any:
    gathered, scattered, sent = [None] * SIZE, [None], [RANK, {"from": RANK}]
    dist.all_gather_object(gathered, {"rank": RANK, "more": "x" * RANK})
    dist.broadcast_object_list(sent, src=1)
    dist.scatter_object_list(scattered, [f"for {i}" for i in range(SIZE)] if RANK == 0 else None)
    there = [None] * SIZE
    dist.gather_object(RANK, there if RANK == 0 else None)
    return [gathered, sent, scattered, there]


def messages() -> Any:
    """Round the ring, all at once, and from any."""
    after, before = (RANK + 1) % SIZE, (RANK - 1) % SIZE
    got = torch.zeros(2)
    works = [dist.irecv(got, before), dist.isend(torch.full((2,), float(RANK)), after)]
    for work in works:
        work.wait()
    also = torch.zeros(1, dtype=torch.int64)
    for work in dist.batch_isend_irecv(
        [
            dist.P2POp(dist.isend, torch.tensor([RANK]), after, tag=3),
            dist.P2POp(dist.irecv, also, before, tag=3),
        ]
    ):
        work.wait()
    senders = []
    if RANK == 0:
        for _ in range(SIZE - 1):
            senders.append(dist.recv(got.new_zeros(1)))
    else:
        dist.send(torch.ones(1), 0)
    wrong = "no error"
    if RANK == 0:
        dist.send(torch.ones(3), 1)
    if RANK == 1:
        wrong = error_of(lambda: dist.recv(torch.ones(2), 0))
    return [got.tolist(), also.tolist(), sorted(senders), wrong]


def groups() -> Any:
    pair, rest = dist.new_group([0, 1]), dist.new_group([SIZE - 1])
    answers = [dist.get_rank(pair), dist.get_world_size(rest), dist.get_process_group_ranks(pair)]
    x = torch.ones(1) * (RANK + 1)
    dist.all_reduce(x, group=pair)
    dist.all_reduce(x, group=rest)
    works = [dist.all_reduce(x, async_op=True), dist.all_reduce(x.clone(), async_op=True)]
    works[1].wait()
    works[0].wait()
    return [*answers, x.tolist(), works[0].is_completed()]


def gradients() -> Any:
    x = torch.tensor([1.0, 2.0]) + RANK
    answers = []
    for function in (
        lambda x: with_gradients.all_reduce(x),
        lambda x: with_gradients.reduce(x, 0),
        lambda x: with_gradients.broadcast(x, 1),
        lambda x: sum((i + 1) * part for i, part in enumerate(with_gradients.all_gather(x))),
        lambda x: sum((i + 1) * part for i, part in enumerate(with_gradients.gather(x, 0))),
        lambda x: with_gradients.scatter([x * (i + 1) for i in range(SIZE)], 0),
    ):
        leaf = x.clone().requires_grad_()
        result = function(leaf)
        (result.sum() * (RANK + 1)).backward()
        answers.append([result.tolist(), leaf.grad.tolist()])
    return answers


def training() -> Any:
    """The same numbers as one process over the whole batches, which SIZE divides."""
    torch.manual_seed(0)
    x = torch.randn(24, 4).double()
    y = x.sum(1, keepdim=True).sin()
    torch.manual_seed(RANK)  # different weights, until DistributedDataParallel has made them one
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    model = DistributedDataParallel(model.double())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    first = [p.tolist() for p in model.parameters()]
    data = TensorDataset(x, y)
    sampler = DistributedSampler(data, shuffle=False)
    loader = DataLoader(data, batch_size=12 // SIZE, sampler=sampler)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    compiled = torch.compile(step)
    for run in (step, step, compiled, compiled, compiled):
        for xs, ys in loader:
            run(xs, ys)
    folder = os.environ.get("FOLDER")
    if folder and RANK == 0:
        torch.save(model.module.state_dict(), os.path.join(folder, f"of_{SIZE}.pt"))
    return [first, [p.tolist() for p in model.parameters()]]


def unused() -> Any:
    """A parameter that one rank alone uses, one that nobody does, accumulation, buffers."""
    model = DistributedDataParallel(torch.nn.ModuleList([torch.nn.Linear(1, 1) for _ in range(3)]))
    for part in model.module:
        torch.nn.init.ones_(part.weight)
    part = model.module[0 if RANK == 0 else 1]
    with model.no_sync():
        part(torch.ones(1, 1)).sum().backward()
    part(torch.ones(1, 1)).sum().backward()
    grads = [None if p.weight.grad is None else p.weight.grad.item() for p in model.module]
    norm = DistributedDataParallel(torch.nn.BatchNorm1d(2))
    norm(torch.full((3, 2), float(RANK))).sum().backward()
    norm(torch.ones(3, 2)).sum().backward()
    return [grads, norm.module.running_mean.tolist()]


def mismatch() -> Any:
    answers = [error_of(lambda: dist.all_reduce(torch.ones(3 + RANK)))]
    answers.append(error_of(lambda: dist.barrier() if RANK else dist.all_reduce(torch.ones(2))))
    answers.append(
        error_of(
            lambda: dist.all_reduce(torch.ones(2, dtype=(torch.float64 if RANK else torch.float32)))
        )
    )
    answers.append(error_of(lambda: dist.broadcast(torch.ones(1 + RANK), 0)))
    x = torch.ones(1)
    dist.all_reduce(x)  # and it goes on
    return [*answers, x.tolist()]


def death() -> Any:
    import time

    dist.barrier()
    if RANK == SIZE - 1:
        os.kill(os.getpid(), 9)
    start = time.monotonic()
    told = error_of(lambda: dist.all_reduce(torch.ones(1)))
    again = error_of(lambda: dist.barrier())
    return [told, again, time.monotonic() - start]


def uneven() -> Any:
    """One rank has fewer batches, and leaves."""
    for _ in range(2 + RANK):
        try:
            dist.all_reduce(torch.ones(1))
        except dist.DistBackendError as error:
            return str(error)
    return "done"


def late() -> Any:
    if RANK == 1:
        told = error_of(lambda: dist.monitored_barrier(timeout=timedelta(seconds=0.2)))
        dist.send(torch.ones(1), 0)
        return told
    dist.recv(torch.ones(1), 1)
    return error_of(lambda: dist.barrier()) if RANK == 0 else None


if __name__ == "__main__":
    dist.init_process_group(
        "gloo", os.environ.get("MEET"), timeout=timedelta(seconds=30), rank=RANK, world_size=SIZE
    )
    answers = [globals()[part]() for part in sys.argv[1:]]
    dist.destroy_process_group()
    print(json.dumps(answers))
