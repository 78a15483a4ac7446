"""``torch.cuda`` and its relatives where there is a GPU."""

from __future__ import annotations

import gc

import pytest

import flambeau as torch


def test_the_device_is_there() -> None:
    assert torch.cuda.is_available() and torch.cuda.device_count() == 1
    assert torch.cuda.is_initialized() and torch.cuda.current_device() == 0
    torch.cuda.init()
    torch.cuda.set_device(0)
    torch.cuda.set_device("cuda:0")
    with torch.cuda.device(0), torch.cuda.device_of(torch.ones(1, device="cuda")):
        assert torch.cuda.current_device() == 0
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        torch.cuda.set_device(1)
    with pytest.raises(ValueError, match="Expected a cuda device, but got: cpu"):
        torch.cuda.device("cpu")
    said = torch.cuda.get_device_properties("cuda")
    assert said.name == torch.cuda.get_device_name(0) and said.multi_processor_count >= 1
    assert torch.cuda.get_device_capability() == (said.major, said.minor)
    assert repr(said).startswith(f"_CudaDeviceProperties(name='{said.name}', major={said.major}")
    assert torch.cuda.is_bf16_supported() and torch.cuda.is_tf32_supported()
    assert torch.cuda.get_arch_list() == [f"sm_{said.major}{said.minor}"]
    assert torch.backends.cuda.is_built() and torch.backends.cuda.math_sdp_enabled()
    torch.cuda.synchronize()


def test_the_accelerator_is_it() -> None:
    acc = torch.accelerator
    assert acc.is_available() and acc.device_count() == 1
    assert acc.current_accelerator() == torch.device("cuda")
    assert acc.current_device_index() == 0 and acc.current_stream() == torch.cuda.current_stream()
    acc.synchronize()
    with acc.device_index(0):
        assert acc.memory_allocated() == torch.cuda.memory_allocated()


def test_memory_is_counted() -> None:
    gc.collect()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    x, y = torch.empty(10**6, device="cuda"), torch.empty(10**6, device="cuda")
    assert torch.cuda.memory_allocated() - before >= 8 * 10**6
    del y
    gc.collect()
    assert torch.cuda.memory_allocated() - before < 8 * 10**6
    assert torch.cuda.max_memory_allocated() - before >= 8 * 10**6
    assert torch.cuda.memory_reserved() >= torch.cuda.memory_allocated()
    assert torch.cuda.max_memory_reserved() >= torch.cuda.max_memory_allocated()
    stats = torch.cuda.memory_stats()
    assert stats["allocated_bytes.all.peak"] == torch.cuda.max_memory_allocated()
    nested = torch.cuda.memory_stats_as_nested_dict()
    assert nested["allocated_bytes"]["all"]["current"] == torch.cuda.memory_allocated()
    free, total = torch.cuda.mem_get_info()
    assert 0 < free < total
    assert "in use by tensors" in torch.cuda.memory_summary()
    torch.cuda.empty_cache()
    assert x.is_cuda


def test_no_memory_left_is_told_with_the_operation() -> None:
    with pytest.raises(torch.cuda.OutOfMemoryError, match="CUDA out of memory. Tried to allocate"):
        torch.empty(2**42, device="cuda")
    assert torch.OutOfMemoryError is torch.cuda.OutOfMemoryError
    try:
        torch.cuda.set_per_process_memory_fraction(0.5)
    finally:
        torch.cuda.set_per_process_memory_fraction(0.0)
    with pytest.raises(ValueError, match="Allowed range"):
        torch.cuda.set_per_process_memory_fraction(2.0)


def test_queues_and_marks() -> None:
    s = torch.cuda.Stream()
    x = torch.ones(3, device="cuda")
    s.wait_stream(torch.cuda.current_stream())
    before = torch.cuda.current_stream()
    with torch.cuda.stream(s):
        assert torch.cuda.current_stream() == s and s != before
        y = x + 1
    assert torch.cuda.current_stream() == before == torch.cuda.default_stream()
    torch.cuda.current_stream().wait_stream(s)
    assert y.tolist() == [2, 2, 2]
    torch.cuda.set_stream(s)
    assert torch.cuda.current_stream() == s
    torch.cuda.set_stream(before)
    s.synchronize()
    assert s.query() and s.device == torch.device("cuda", 0) and "torch.cuda.Stream" in repr(s)
    with torch.cuda.stream(None):
        pass
    other = torch.cuda.ExternalStream(s.cuda_stream)
    assert other == s and hash(other) == hash(s)
    a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    assert a.query()
    with pytest.raises(ValueError, match="must be recorded"):
        a.elapsed_time(b)
    a.record()
    x @ x
    b.record()
    b.synchronize()
    assert a.elapsed_time(b) >= 0 and b.query()
    s.wait_event(b)
    assert isinstance(s.record_event(), torch.cuda.Event)
    with pytest.raises(ValueError, match="enable_timing=True"):
        torch.cuda.Event().elapsed_time(b)


def test_ranges_for_the_profiler() -> None:
    assert torch.cuda.nvtx.range_push("a") == 0 and torch.cuda.nvtx.range_push("b") == 1
    assert torch.cuda.nvtx.range_pop() == 1 and torch.cuda.nvtx.range_pop() == 0
    with torch.cuda.nvtx.range("step {}", 3):
        torch.cuda.nvtx.mark("here")


def test_generators_by_the_namespace() -> None:
    torch.cuda.manual_seed_all(5)
    assert torch.cuda.initial_seed() == 5
    (g,) = torch.cuda.default_generators
    assert g.device.type == "cuda" and g.get_offset() == 0
    (state,) = torch.cuda.get_rng_state_all()
    a = torch.rand(3, device="cuda")
    torch.cuda.set_rng_state_all([state])
    assert torch.equal(torch.rand(3, device="cuda").cpu(), a.cpu())
    torch.cuda.seed()
    assert torch.cuda.initial_seed() != 5


def test_types_of_tensors() -> None:
    x = torch.ones(2, device="cuda")
    assert isinstance(x, torch.cuda.FloatTensor) and not isinstance(x, torch.FloatTensor)
    assert not isinstance(torch.ones(2), torch.cuda.FloatTensor)
    y = torch.cuda.LongTensor([1, 2])
    assert y.is_cuda and y.dtype is torch.int64 and torch.cuda.FloatTensor(2, 3).shape == (2, 3)
    assert x.type("torch.cuda.DoubleTensor").is_cuda
    assert torch.ones(2).type(torch.cuda.HalfTensor).type() == "torch.cuda.HalfTensor"


def test_what_is_not_there_says_so() -> None:
    for call in (torch.cuda.CUDAGraph, torch.cuda.cudart, torch.cuda.utilization,
                 torch.cuda.make_graphed_callables):  # fmt: skip
        with pytest.raises(NotImplementedError, match="torch.cuda"):
            call()


def test_autocast() -> None:
    x, w = torch.randn(4, 3, device="cuda"), torch.nn.Linear(3, 2).cuda()
    host = torch.ones(2, 2)
    with torch.autocast("cuda"):
        assert torch.is_autocast_enabled() and torch.is_autocast_enabled("cuda")
        y = w(x)
        assert y.dtype is torch.float16 and y.softmax(-1).dtype is torch.float32
        assert (host @ host).dtype is torch.float32
        with torch.autocast("cpu"):
            assert (host @ host).dtype is torch.bfloat16 and w(x).dtype is torch.float16
        with torch.autocast("cuda", enabled=False):
            assert w(x).dtype is torch.float32
    with torch.cuda.amp.autocast(dtype=torch.bfloat16):
        assert w(x).dtype is torch.bfloat16
        assert torch.get_autocast_gpu_dtype() is torch.bfloat16
    assert w(x).dtype is torch.float32 and not torch.is_autocast_enabled()
    with torch.autocast("cpu"):
        assert w(x).dtype is torch.float32


def test_a_step_with_a_scaler() -> None:
    torch.manual_seed(0)
    w = torch.nn.Linear(3, 2).cuda()
    sgd = torch.optim.SGD(w.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cuda", init_scale=4.0, growth_interval=1)
    before = w.weight.detach().clone()
    with torch.autocast("cuda"):
        loss = w(torch.ones(4, 3, device="cuda")).float().pow(2).sum()
    scaled = scaler.scale(loss)
    assert scaled.item() == 4 * loss.item()
    scaled.backward()
    scaler.unscale_(sgd)
    torch.nn.utils.clip_grad_norm_(w.parameters(), 1.0)
    scaler.step(sgd)
    scaler.update()
    assert scaler.get_scale() == 8 and not torch.equal(w.weight.cpu(), before.cpu())
    scaler.scale(w(torch.full((1, 3), float("inf"), device="cuda")).sum()).backward()
    scaler.step(sgd)
    scaler.update()
    assert scaler.get_scale() == 4 and w.weight.isfinite().all()


def test_reports_name_it() -> None:
    from flambeau import _doctor
    from flambeau.utils import collect_env

    assert torch.cuda.get_device_name() in _doctor.report()
    assert collect_env.get_env_info().is_cuda_available == "True"
