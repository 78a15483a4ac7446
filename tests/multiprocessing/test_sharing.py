"""Tensors in shared memory: moved, sent, and read by other processes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

import flambeau as torch
import flambeau.multiprocessing as mp

pytestmark = pytest.mark.skipif(os.name != "posix", reason="memory is passed by descriptor")


def test_a_tensor_and_its_views_move_together() -> None:
    x = torch.arange(12.0).reshape(3, 4)
    row, turned = x[1], x.t()
    assert not x.is_shared()
    assert x.share_memory_() is x
    assert x.is_shared() and row.is_shared() and turned.is_shared()
    assert row.storage_offset() == 4 and turned.stride() == (1, 4)
    x[1, 0] = -1
    assert row[0] == -1 and turned[0, 1] == -1
    assert torch.empty(0).share_memory_().is_shared()
    assert torch.tensor(3).share_memory_().item() == 3
    assert torch.ones(2, dtype=torch.bfloat16).share_memory_().sum() == 2


def test_a_module_in_shared_memory_is_trained_by_children() -> None:
    layer = torch.nn.Linear(3, 2)
    assert layer.share_memory() is layer
    assert all(p.is_shared() and p.requires_grad for p in layer.parameters())

    def train() -> None:
        layer.weight.data.fill_(7)

    child = mp.get_context("fork").Process(target=train)
    child.start()
    child.join()
    assert child.exitcode == 0
    assert (layer.weight == 7).all()


def echo(inbox, outbox) -> None:
    while (item := inbox.get()) is not None:
        if isinstance(item, torch.Tensor):
            item.data.add_(1)
        outbox.put(item)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_queues_carry_tensors_without_a_copy(method: str) -> None:
    context = mp.get_context(method)
    inbox, outbox = context.Queue(), context.Queue()
    child = context.Process(target=echo, args=(inbox, outbox))
    child.start()
    x = torch.arange(6.0).reshape(2, 3)
    column = x.t()[1]
    inbox.put(x)
    back = outbox.get(timeout=60)
    assert (back == torch.arange(6.0).reshape(2, 3) + 1).all()
    assert (x == back).all(), "the child wrote into the same memory"
    inbox.put(column)
    assert outbox.get(timeout=60).stride() == (3,)
    assert (x[:, 1] == torch.tensor([3.0, 6.0])).all()
    parameter = torch.nn.Parameter(torch.ones(2))
    inbox.put(parameter)
    back = outbox.get(timeout=60)
    assert isinstance(back, torch.nn.Parameter) and back.requires_grad
    inbox.put(torch.empty(0, 3))
    assert outbox.get(timeout=60).shape == (0, 3)
    inbox.put(None)
    child.join(60)
    assert child.exitcode == 0
    inbox.close(), outbox.close()


def test_a_tensor_with_a_graph_is_refused() -> None:
    from multiprocessing.reduction import ForkingPickler

    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor"):
        ForkingPickler.dumps(torch.ones(2, requires_grad=True) * 2)


def test_many_small_tensors_need_few_descriptors() -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    if before is None:
        pytest.skip("this system does not list descriptors")
    tensors = [torch.ones(10).share_memory_() for _ in range(3000)]
    assert len(os.listdir("/proc/self/fd")) - before <= 2  # the block and its mapping
    assert sum(t.sum() for t in tensors) == 30000
    del tensors
    big = [torch.ones(300_000).share_memory_() for _ in range(5)]
    held = len(os.listdir("/proc/self/fd"))
    del big
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= held - 5


def work(i: int, good: bool) -> None:
    if i == 1 and not good:
        raise ValueError("the second is bad")


def leave(i: int) -> None:
    os._exit(3) if i == 0 else None


def test_spawn_passes_errors_on() -> None:
    assert mp.spawn(work, (True,), nprocs=2) is None
    with pytest.raises(mp.ProcessRaisedException, match="the second is bad") as raised:
        mp.start_processes(work, (False,), nprocs=2, start_method="fork")
    assert raised.value.error_index == 1
    with pytest.raises(mp.ProcessExitedException, match="exit code 3") as exited:
        mp.start_processes(leave, nprocs=1, start_method="fork")
    assert exited.value.exit_code == 3


def test_strategies() -> None:
    assert mp.get_sharing_strategy() in mp.get_all_sharing_strategies()
    mp.set_sharing_strategy("file_system")
    with pytest.raises(ValueError, match="unknown strategy"):
        mp.set_sharing_strategy("telepathy")


def test_under_the_torch_name_spawn_stays_a_function(tmp_path) -> None:
    script = tmp_path / "names.py"
    script.write_text(
        "import torch.multiprocessing as mp\n"
        "from torch.multiprocessing.spawn import ProcessContext\n"
        "print(callable(mp.spawn), ProcessContext is mp.ProcessContext)\n"
    )
    source = os.path.dirname(os.path.dirname(torch.__file__))
    done = subprocess.run(
        [sys.executable, "-m", "flambeau", "run", script], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": source}, check=False,
    )  # fmt: skip
    assert done.stdout == "True True\n", done.stderr
