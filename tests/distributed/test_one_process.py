"""torch.distributed in one process: a group of one works, more than one is refused in words."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import timedelta

import pytest

import flambeau as torch
import flambeau.distributed as dist
import flambeau.distributed.nn as collectives_with_gradients
from flambeau.nn.parallel import DistributedDataParallel
from flambeau.utils.data import DistributedSampler


@pytest.fixture
def group() -> Iterator[dist.ProcessGroup]:
    dist.init_process_group("gloo", rank=0, world_size=1, init_method="tcp://127.0.0.1:29500")
    yield dist.group.WORLD
    if dist.is_initialized():
        dist.destroy_process_group()


def test_without_a_group_a_program_is_told_so() -> None:
    assert dist.is_available() and not dist.is_initialized()
    assert not dist.is_nccl_available() and not dist.is_mpi_available()
    assert dist.group.WORLD is None
    for ask in (dist.get_rank, dist.get_world_size, dist.get_backend, dist.barrier, dist.new_group):
        with pytest.raises(ValueError, match="Default process group has not been initialized"):
            ask()
    with pytest.raises(ValueError, match="has not been initialized"):
        DistributedSampler([1, 2, 3])
    with pytest.raises(ValueError, match="has not been initialized"):
        DistributedDataParallel(torch.nn.Linear(2, 1))


def test_the_group_of_one_answers(group: dist.ProcessGroup) -> None:
    assert dist.is_initialized() and dist.GroupMember.WORLD is group
    assert (dist.get_rank(), dist.get_world_size(), dist.get_backend()) == (0, 1, "gloo")
    assert (group.rank(), group.size()) == (0, 1)
    assert dist.get_process_group_ranks() == [0] and dist.get_global_rank(group, 0) == 0
    with pytest.raises(ValueError, match="twice"):
        dist.init_process_group("gloo", rank=0, world_size=1)
    assert dist.new_group([]) == dist.GroupMember.NON_GROUP_MEMBER
    assert dist.get_rank(dist.GroupMember.NON_GROUP_MEMBER) == -1
    own = dist.new_group([0])
    dist.destroy_process_group(own)
    assert dist.is_initialized()
    for ranks, phrase in (([1], "within the world_size"), ([0, 1], "less or equal")):
        with pytest.raises(ValueError, match=phrase):
            dist.new_group(ranks)


def test_the_environment_says_who_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "1")
    with pytest.raises(ValueError, match="environment variable RANK expected, but not set"):
        dist.init_process_group()
    monkeypatch.setenv("RANK", "0")
    dist.init_process_group()
    dist.destroy_process_group()
    with pytest.raises(AssertionError, match="Process group cannot be None"):
        dist.destroy_process_group()
    dist.init_process_group(init_method="tcp://localhost:1?rank=0&world_size=1")
    dist.destroy_process_group()


def test_what_cannot_begin_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(ValueError, match="environment variable MASTER_ADDR expected, but not set"):
        dist.init_process_group("gloo")
    with pytest.raises(dist.DistNetworkError, match="rank 0 cannot be reached"):
        dist.init_process_group(
            "gloo", "tcp://127.0.0.1:9?rank=1&world_size=2", timedelta(seconds=0.1)
        )
    with pytest.raises(ValueError, match=r"rank must be within \[0, 0\]"):
        dist.init_process_group("gloo", rank=1, world_size=1)
    for backend, error in (
        ("nccl", RuntimeError), ("mpi", RuntimeError), ("smoke", AssertionError)
    ):  # fmt: skip
        with pytest.raises(error, match=f"(?i){backend}"):
            dist.init_process_group(backend, rank=0, world_size=1)
    assert not dist.is_initialized()


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)], ids=str)
def test_collectives_of_one_rank(group: dist.ProcessGroup, shape: tuple) -> None:
    x = torch.randn(shape)
    was = x.clone()
    for op in dist.ReduceOp:
        assert dist.all_reduce(x, op) is None
    dist.broadcast(x, 0)
    dist.reduce(x, dst=0)
    assert torch.equal(x, was)
    for call in (
        lambda out: dist.all_gather([out], x),
        lambda out: dist.all_gather_into_tensor(out, x),
        lambda out: dist.gather(x, [out]),
        lambda out: dist.scatter(out, [x], src=0),
        lambda out: dist.reduce_scatter(out, [x]),
        lambda out: dist.reduce_scatter_tensor(out, x),
        lambda out: dist.all_to_all([out], [x]),
        lambda out: dist.all_to_all_single(out, x),
    ):
        out = torch.full(shape, 7.0)
        call(out)
        assert torch.equal(out, was)
    work = dist.all_reduce(x, async_op=True)
    assert work.wait() and work.is_completed() and work.get_future().wait()[0] is x


def test_objects(group: dist.ProcessGroup) -> None:
    got, gathered, scattered = [None], [None], [None]
    dist.all_gather_object(got, {"loss": 1.5})
    dist.gather_object("a", gathered)
    dist.scatter_object_list(scattered, ["b"])
    sent = [1, "c"]
    dist.broadcast_object_list(sent, src=0)
    assert (got, gathered, scattered, sent) == ([{"loss": 1.5}], ["a"], ["b"], [1, "c"])


def test_wrong_arguments_are_wrong_here_as_well(group: dist.ProcessGroup) -> None:
    x = torch.ones(3)
    for call, error, phrase in (
        (lambda: dist.all_reduce([1]), TypeError, "Expected parameter `tensor`"),
        (lambda: dist.all_reduce(x, "sum"), TypeError, "ReduceOp"),
        (lambda: dist.broadcast(x, 1), RuntimeError, "invalid root rank: 1"),
        (lambda: dist.broadcast(x), ValueError, "Must specify"),
        (lambda: dist.all_gather([], x), RuntimeError, "expected length 1, got 0"),
        (lambda: dist.all_gather([torch.ones(2)], x), RuntimeError, "invalid tensor size"),
        (lambda: dist.all_gather([torch.ones(3).int()], x), ValueError, "different dtypes"),
        (lambda: dist.gather(x), ValueError, "must be specified on destination rank"),
        (lambda: dist.scatter(x), ValueError, "must be specified on source rank"),
        (lambda: dist.send(x, 0), ValueError, "should not be the same as the rank"),
        (lambda: dist.recv(x, 2), ValueError, "one rank"),
        (lambda: dist.all_to_all_single(x, x, [1, 2]), RuntimeError, "Split sizes"),
    ):
        with pytest.raises(error, match=phrase):
            call()


def test_a_wrapped_module_learns_as_the_module_does(group: dist.ProcessGroup) -> None:
    torch.manual_seed(0)
    plain = torch.nn.Linear(3, 2)
    wrapped = DistributedDataParallel(torch.nn.Linear(3, 2), find_unused_parameters=True)
    wrapped.module.load_state_dict(plain.state_dict())
    assert list(wrapped.state_dict()) == ["module.weight", "module.bias"]
    x = torch.randn(5, 3)
    with wrapped.no_sync():
        assert not wrapped.require_backward_grad_sync
        wrapped(x).sum().backward()
    with wrapped.join():
        wrapped(x).sum().backward()
    plain(x).sum().backward()
    assert torch.equal(wrapped.module.weight.grad, 2 * plain.weight.grad)
    with pytest.raises(RuntimeError, match="not needed when a module doesn't have any parameters"):
        DistributedDataParallel(torch.nn.ReLU())
    with pytest.raises(ValueError, match="device_ids"):
        DistributedDataParallel(plain, device_ids=[0])
    with pytest.raises(NotImplementedError, match="register_comm_hook"):
        wrapped.register_comm_hook(None, print)


def test_the_sampler_asks_the_group(group: dist.ProcessGroup) -> None:
    sampler = DistributedSampler(range(5), shuffle=False)
    assert (sampler.num_replicas, sampler.rank, list(sampler)) == (1, 0, [0, 1, 2, 3, 4])


def test_collectives_with_gradients(group: dist.ProcessGroup) -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    c = collectives_with_gradients
    (c.all_reduce(x) * c.all_gather(x)[0]).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    "name",
    [
        "fsdp.FullyShardedDataParallel", "fsdp.wrap.transformer_auto_wrap_policy",
        "tensor.parallel.parallelize_module", "rpc.init_rpc", "device_mesh.init_device_mesh",
        "checkpoint.state_dict.get_model_state_dict",
    ],
)  # fmt: skip
def test_what_shards_can_be_imported_and_asked_about(name: str) -> None:
    module, _, leaf = f"flambeau.distributed.{name}".rpartition(".")
    found = getattr(importlib.import_module(module), leaf)
    assert not isinstance(torch.nn.Linear(1, 1), found)
    with pytest.raises(NotImplementedError, match=f"torch.distributed.{name} is not supported"):
        found()
    assert not hasattr(importlib.import_module(module), "no_such")
