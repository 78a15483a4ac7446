"""Tensors, modules, files and optimizers between the CPU and a GPU."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn
from flambeau.utils.checkpoint import checkpoint
from flambeau.utils.data import DataLoader, TensorDataset


def _same(a: object, b: object) -> None:
    assert torch.equal(torch.as_tensor(a).cpu(), torch.as_tensor(b).cpu()), (a, b)


def test_modules_move() -> None:
    m = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    w = m[0].weight.detach().clone()
    assert m.cuda() is m and all(t.is_cuda for t in (*m.parameters(), *m.buffers()))
    _same(m[0].weight, w)
    assert not m.cpu()[0].weight.is_cuda
    m.to("cuda", torch.float64, non_blocking=True)
    assert m[0].weight.is_cuda and m[0].weight.dtype is torch.float64
    assert nn.Linear(2, 2, device="meta").to_empty(device="cuda").weight.is_cuda
    host = nn.Linear(3, 4)
    host.load_state_dict(m[0].float().state_dict())
    _same(host.weight, m[0].weight)
    assert not host.weight.is_cuda and copy.deepcopy(m)[0].weight.is_cuda


def test_copies_and_pickles_stay_on_the_device() -> None:
    x = torch.randn(3, 4, device="cuda", requires_grad=True)
    for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x)), copy.copy(x)):
        assert y.is_cuda and y.requires_grad
        _same(y.detach(), x.detach())
    assert type(pickle.loads(pickle.dumps(nn.Parameter(x.detach())))) is nn.Parameter
    y = torch.zeros(3, 4)
    y.copy_(x.detach().bfloat16())
    _same(y, x.detach().bfloat16().float())


@pytest.mark.parametrize("zipped", [True, False])
def test_files(zipped: bool) -> None:
    x = torch.randn(3, 4, device="cuda")
    file = io.BytesIO()
    things = {"x": x, "view": x[1], "turned": x.T, "narrow": x.bfloat16(), "here": torch.ones(2),
              "empty": x[:0]}  # fmt: skip
    torch.save(things, file, _use_new_zipfile_serialization=zipped)

    def load(**options: object) -> dict:
        return torch.load(io.BytesIO(file.getvalue()), **options)

    found = load()
    assert found["x"].is_cuda and not found["here"].is_cuda and found["empty"].shape == (0, 4)
    for name, tensor in things.items():
        _same(found[name], tensor)
    assert found["x"].untyped_storage().data_ptr() == found["view"].untyped_storage().data_ptr()
    assert load(map_location="cuda")["here"].is_cuda
    for where in (
        "cpu",
        torch.device("cpu"),
        {"cuda:0": "cpu"},
        lambda storage, place: storage.cpu(),
    ):
        found = load(map_location=where)
        assert not found["x"].is_cuda
        _same(found["view"], x[1])
    if zipped:
        assert b"cuda:0" in file.getvalue()


def test_safetensors(tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    x = torch.arange(6.0, device="cuda")
    torch.serialization.save_safetensors({"x": x}, tmp_path / "f")
    _same(torch.serialization.load_safetensors(tmp_path / "f")["x"], x)


def test_storages() -> None:
    x = torch.arange(6.0, device="cuda")
    s = x.untyped_storage()
    assert s.is_cuda and s.nbytes() == 24 and s.get_device() == 0 and s.cpu().device.type == "cpu"
    view = torch.tensor([], device="cuda").set_(s, 0, (3,), (2,))
    _same(view, [0.0, 2, 4])
    view[0] = 9
    _same(x[0], 9.0)
    kept = s.cpu()
    s.fill_(0)
    _same(x, torch.zeros(6))
    s.copy_(kept)
    _same(x[0], 9.0)
    assert s.resize_(40).nbytes() == 40 and x.is_shared() and x.share_memory_() is x
    assert x.storage().cpu().dtype is torch.float32


def test_initial_values() -> None:
    torch.manual_seed(0)
    init = nn.init
    for fill in (init.trunc_normal_, init.orthogonal_, init.kaiming_uniform_, init.xavier_normal_,
                 init.eye_, lambda w: init.sparse_(w, 0.5)):  # fmt: skip
        w = nn.Parameter(torch.empty(40, 50, device="cuda"))
        assert fill(w) is w and w.is_cuda and w.isfinite().all()
    w = torch.empty(40, 50, device="cuda")
    assert init.trunc_normal_(w, 0, 1, -1, 1).abs().max() <= 1
    assert init.trunc_normal_(w, 0, 1, 2, 3).min() >= 2
    init.orthogonal_(w)
    torch.testing.assert_close((w @ w.T).cpu(), torch.eye(40), atol=1e-5, rtol=0)
    init.sparse_(w, 0.5)
    assert ((w == 0).sum(0) == 20).all()
    assert init.dirac_(torch.empty(4, 4, 3, device="cuda")).sum().item() == 4


NAMES = """SGD Adam AdamW Adagrad Adadelta RMSprop NAdam RAdam Adamax ASGD Rprop LBFGS Adafactor
    Muon""".split()


@pytest.mark.parametrize("name", NAMES)
def test_optimizers(name: str) -> None:
    kind, results = getattr(torch.optim, name), []
    for place in ("cpu", "cuda"):
        w = nn.Parameter(torch.linspace(-1, 1, 6).reshape(2, 3).to(place))
        optimizer = kind([w], lr=0.1)

        def loss(w: torch.Tensor = w, optimizer: object = optimizer) -> torch.Tensor:
            optimizer.zero_grad()
            value = (w.sin() * torch.arange(6.0, device=w.device).reshape(2, 3)).sum()
            value.backward()
            return value

        for _ in range(3):
            optimizer.step(loss) if name == "LBFGS" else (loss(), optimizer.step())
        results.append(w.detach().cpu())
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-6)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    other = kind([nn.Parameter(w.detach().clone())], lr=0.1)
    other.load_state_dict(torch.load(io.BytesIO(file.getvalue()), map_location="cpu"))
    for state in other.state.values():
        for key, value in state.items():
            if isinstance(value, torch.Tensor) and value.dim():
                assert value.is_cuda, key


def test_capturable_is_for_a_gpu() -> None:
    w = nn.Parameter(torch.ones(3, device="cuda"))
    adam = torch.optim.Adam([w], lr=0.1, capturable=True)
    w.sum().backward()
    adam.step()
    assert (w < 1).all()
    host = nn.Parameter(torch.ones(3))
    host.grad = torch.ones(3)
    with pytest.raises(AssertionError, match="capturable=True"):
        torch.optim.Adam([host], capturable=True).step()


def test_pinned_memory() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    p = x.pin_memory()
    assert p.is_pinned() and p[0].is_pinned() and not x.is_pinned() and p.pin_memory() is p
    assert p.untyped_storage().is_pinned() and x.T.pin_memory().stride() == (1, 3)
    _same(p.cuda(non_blocking=True), x)
    assert (
        torch.zeros(3, pin_memory=True).is_pinned()
        and torch.tensor([1], pin_memory=True).is_pinned()
    )
    assert (
        torch.empty_like(x, pin_memory=True).is_pinned()
        and torch.randn(3, pin_memory=True).is_pinned()
    )
    with pytest.raises(RuntimeError, match="cannot pin 'cuda' memory"):
        x.cuda().pin_memory()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_pins_its_batches(workers: int) -> None:
    data = TensorDataset(torch.arange(12.0).reshape(6, 2), torch.arange(6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = list(DataLoader(data, batch_size=4, pin_memory=True, num_workers=workers))
    assert len(batches) == 2 and all(t.is_pinned() for batch in batches for t in batch)
    (found,) = DataLoader([{"a": 1.0, "b": [torch.ones(2)], "s": "x"}], pin_memory=True)
    assert found["a"].is_pinned() and found["b"][0].is_pinned() and found["s"] == ["x"]


def test_other_libraries() -> None:
    x = torch.arange(6.0, device="cuda")
    assert x.__dlpack_device__() == (2, 0)
    told = x.__cuda_array_interface__
    assert told["shape"] == (6,) and told["typestr"] == "<f4" and told["strides"] is None
    assert told["data"] == (x.data_ptr(), False) and told["version"] == 2
    assert torch.from_dlpack(x).data_ptr() == x.data_ptr()
    with pytest.raises(AttributeError, match="Can't get __cuda_array_interface__ on non-CUDA"):
        _ = torch.ones(2).__cuda_array_interface__
    with pytest.raises(RuntimeError, match="requires grad"):
        _ = x.requires_grad_().__cuda_array_interface__
    from flambeau._devices.backend import backend

    array = backend().xp.arange(4.0)
    for made in (
        torch.as_tensor(array, device="cuda"),
        torch.from_dlpack(array),
        torch.tensor(array),
    ):
        assert made.is_cuda and made.tolist() == [0, 1, 2, 3]
    assert not torch.as_tensor(array, device="cpu").is_cuda
    x.record_stream(torch.cuda.current_stream())
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        np.asarray(torch.ones(2, device="cuda"))


def test_default_devices() -> None:
    with torch.device("cuda"):
        assert (
            torch.zeros(2).is_cuda and torch.randn(2).is_cuda and nn.LSTM(2, 3).weight_ih_l0.is_cuda
        )
    torch.set_default_device("cuda")
    try:
        assert torch.tensor([1.0]).is_cuda and torch.randperm(4).is_cuda
    finally:
        torch.set_default_device(None)
    assert not torch.zeros(2).is_cuda


def test_gradients_stay_where_their_tensors_are() -> None:
    x = torch.ones(3, device="cuda", requires_grad=True)
    with pytest.raises(
        RuntimeError, match="attempting to assign a gradient with device type 'cpu'"
    ):
        x.grad = torch.ones(3)
    with torch.autograd.detect_anomaly():
        (x * 2).sum().backward()
    _same(x.grad, torch.full((3,), 2.0))
    point = torch.rand(2, device="cuda", dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: x.sin(), point)
    torch.nn.utils.clip_grad_norm_([x], 1.0)
    assert abs(x.grad.norm().item() - 1) < 1e-5


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_draws_the_same_numbers(reentrant: bool) -> None:
    x = torch.ones(50, device="cuda", requires_grad=True)
    y = checkpoint(lambda x: nn.functional.dropout(x, 0.5), x, use_reentrant=reentrant)
    torch.rand(3, device="cuda")
    y.sum().backward()
    _same(x.grad, y.detach())


def test_data_parallel_over_one() -> None:
    m = nn.DataParallel(nn.Linear(3, 2).cuda())
    assert m(torch.ones(4, 3)).is_cuda and m.device_ids == [0]
    m(torch.ones(4, 3, device="cuda")).sum().backward()
    assert m.module.weight.grad.is_cuda
    with pytest.raises(RuntimeError, match="module must have its parameters and buffers on device"):
        nn.DataParallel(nn.Linear(3, 2))(torch.ones(1, 3))
