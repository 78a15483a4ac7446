"""What programs do with ``device="meta"`` and with devices as contexts."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any


def _about(v: Any) -> Any:
    """What is known of a tensor without elements."""
    if isinstance(v, (tuple, list)):
        return [_about(x) for x in v]
    if v is None:
        return None
    return [list(v.shape), list(v.stride()), str(v.dtype), str(v.device), v.requires_grad]


def _tried(f: Callable, *args: Any) -> Any:
    try:
        return f(*args)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"


def factories(t: ModuleType) -> list:
    m = {"device": "meta"}
    like = t.ones(2, 3, dtype=t.float64).t()
    made = [
        t.empty(2, 3, **m), t.zeros(2, 0, **m), t.ones((), **m), t.full((2,), 1, **m),
        t.tensor([1, 2], **m), t.tensor(1.0, **m), t.arange(5, **m), t.linspace(0, 1, 3, **m),
        t.eye(2, 3, **m), t.rand(3, **m), t.randn(3, **m), t.randint(0, 3, (2,), **m),
        t.randperm(3, **m), t.normal(0.0, 1.0, (2,), **m), t.as_tensor([1.0], **m),
        t.asarray([1], **m), t.empty_strided((2, 3), (1, 2), **m), t.hann_window(3, **m),
        t.tril_indices(3, 3, **m), t.scalar_tensor(2.0, **m), t.zeros_like(like, **m),
        t.randn_like(like, **m), t.ones(2, 3, requires_grad=True, **m), like.to("meta"),
        t.empty(2, 3, 4, 5, memory_format=t.channels_last, **m), t.ones(2).to("meta", t.float16),
        t.ones(2).to(t.empty(0, **m)), like.new_zeros(3, **m), t.empty(2, **m).new_ones(4),
        t.empty(2, **m).new_tensor([1.0]), t.empty_like(t.empty(2, **m)),
        t.zeros_like(t.empty(2, **m), device="cpu"),
    ]  # fmt: skip
    return [_about(v) for v in made]


def random_factories_draw_nothing(t: ModuleType) -> list:
    t.manual_seed(0)
    t.rand(3, device="meta")
    t.empty(3, device="meta").normal_()
    t.nn.Linear(3, 4, device="meta")
    return [t.rand(2)]


def chosen_device(t: ModuleType) -> list:
    told = []
    with t.device("meta"):
        told += [
            str(v.device)
            for v in (
                t.empty(2), t.tensor([1.0]), t.as_tensor([1.0]), t.arange(2), t.eye(2), t.rand(2),
                t.asarray([1]), t.ones(2, device="cpu"), t.linspace(0, 1, 3), t.Tensor(2),
                t.frombuffer(bytearray(8), dtype=t.float32), t.zeros_like(t.ones(2, device="cpu")),
                t.nn.Linear(2, 3).weight, t.nn.BatchNorm1d(2).running_mean, t.full((2,), 1.0),
                t.randperm(3), t.tril_indices(2, 2), t.scalar_tensor(1.0), t.zeros(2), t.randn(3),
            )
        ]  # fmt: skip
        told.append(str(t.get_default_device()))
        with t.device("cpu"):
            told.append(str(t.ones(1).device))
        told.append(str(t.ones(1).device))
    told.append(str(t.ones(1).device))
    t.set_default_device("meta")
    try:
        told += [str(t.ones(1).device), str(t.get_default_device())]
        with t.device("cpu"):
            told.append(str(t.ones(1).device))
    finally:
        t.set_default_device(None)
    told += [str(t.ones(1).device), str(t.get_default_device())]
    return told


def texts(t: ModuleType) -> list:
    x = t.empty(2, 3, device="meta")
    w = t.empty(2, 3, device="meta", requires_grad=True)
    shown = [x, x.double(), w, w * 2, t.empty((), device="meta"), t.nn.Parameter(x), x.max(1)]
    return [repr(v) for v in shown] + [f"{x.sum()}", x.type(), x.double().type()]


def what_it_is(t: ModuleType) -> list:
    x = t.empty(2, 3, device="meta")
    view = x.t()[1:]
    storage = x.untyped_storage()
    return [
        x.is_meta, x.is_cpu, x.is_cuda, x.get_device(), x.data_ptr(), storage.nbytes(),
        str(storage.device), x.storage_offset(), view.storage_offset(), list(view.stride()),
        view._base is x, x.numel(), x.element_size(), x.is_contiguous(), view.is_contiguous(),
        repr(storage), x.is_floating_point(), len(x), t.ones(1).is_meta, t.ones(1).is_cpu,
    ]  # fmt: skip


def refusals(t: ModuleType) -> list:
    x = t.empty(2, 3, device="meta")
    one = x.sum()
    return [
        _tried(f)
        for f in (
            one.item, x.item, x.tolist, x.numpy, x.cpu, lambda: x.to("cpu"), lambda: bool(one),
            lambda: float(one), lambda: int(one), lambda: t.ones(2, 3).copy_(x), x.__array__,
            lambda: f"{one:.3f}", lambda: t.nn.Linear(2, 3, device="meta").to("cpu"),
            lambda: x.set_(t.ones(3).untyped_storage()), lambda: x.copy_(t.ones(4)),
        )
    ]  # fmt: skip


def data_dependent(t: ModuleType) -> list:
    x = t.empty(2, 3, device="meta")
    calls = (
        x.nonzero, lambda: x[x > 0], lambda: t.masked_select(x, x > 0), x.unique,
        lambda: t.equal(x, x), lambda: t.where(x > 0),
    )  # fmt: skip
    return [str(_tried(f)).split(":")[0] for f in calls]


def operations(t: ModuleType) -> list:
    x, v = t.empty(4, 3, device="meta"), t.empty(3, device="meta")
    i = t.empty(5, device="meta", dtype=t.int64)
    image = t.empty(2, 3, 8, 9, device="meta")
    f = t.nn.functional
    results = [
        x + v, x.t() + 1, (x.t() * x.t()), x > v, x + i[:3], i / 2, x.exp(), x.to(t.float64) + x,
        x.sum(), x.sum(1), x.mean(0, keepdim=True), x.argmax(1), x.max(), i.sum(), x.var(1),
        x.logsumexp(-1), x.any(), x.cumsum(0), x @ x.t(), x @ v, t.bmm(x[None], x.t()[None]),
        t.einsum("ij,kj->ik", x, x), x.softmax(1), x.log_softmax(0), f.layer_norm(x, (3,)),
        f.batch_norm(image, v, v, training=True), f.group_norm(image, 3), f.gelu(x), x.relu(),
        f.linear(x, t.empty(7, 3, device="meta")), f.dropout(x), f.pad(x, (1, 2)),
        f.pad(image, (1, 1, 2, 2), mode="reflect"), f.max_pool2d(image, 2), f.avg_pool2d(image, 3),
        f.conv1d(t.empty(2, 3, 8, device="meta"), t.empty(5, 3, 2, device="meta"), stride=2),
        f.conv2d(image, t.empty(6, 1, 3, 3, device="meta"), padding=1, groups=3),
        f.conv_transpose2d(image, t.empty(3, 4, 2, 2, device="meta"), stride=2),
        f.embedding(i, t.empty(10, 6, device="meta")), f.interpolate(image, scale_factor=2),
        f.scaled_dot_product_attention(*[t.empty(2, 4, 6, 8, device="meta")] * 3),
        f.cross_entropy(x, t.empty(4, device="meta", dtype=t.int64)), f.mse_loss(x, x),
        f.adaptive_avg_pool2d(image, 1), f.one_hot(i, 7), x.view(-1), x.reshape(2, 6), x[:, 1],
        x[1:, ::2], x[None], x.expand(2, 4, 3), x.unsqueeze(1), x.unfold(0, 2, 1), x.diagonal(),
        x.split(2), x.chunk(3, 1), x.unbind(1), t.cat([x, x], 1), t.stack([x, x]), x.flip(0),
        x.repeat(2, 1), x.roll(1, 0), x[[0, 2]], x[i], x.gather(1, i[:3][None].expand(4, 3)),
        x.index_select(0, i), x.scatter(0, i[:3][None], 1.0), x.masked_fill(x > 0, 0.0),
        t.where(x > 0, x, 0.0), x.topk(2), x.sort(0), x.clone(), x.t().contiguous(), x.half(),
        x.complex64() if hasattr(x, "complex64") else x.to(t.complex64), t.tril(x),
        t.linalg.inv(t.empty(3, 3, device="meta")).contiguous(), t.linalg.svdvals(x),
        t.linalg.norm(x), t.fft.rfft(x), t.bernoulli(x), t.multinomial(x, 2), x.add_(1), x.zero_(),
        x.copy_(t.ones(3)), x.uniform_(), x.clamp(0, 1), t.empty(0, 3, device="meta").sum(0),
    ]  # fmt: skip
    return [_about(r) for r in results]


def mixing(t: ModuleType) -> list:
    x = t.empty(3, device="meta")
    errors = [
        str(_tried(f)).split(":")[0]
        for f in (lambda: x + t.ones(3), lambda: t.ones(3) * x, lambda: t.cat([x, t.ones(3)]))
    ]
    return [*errors, _about(x + t.tensor(1.0)), _about(x[t.tensor([0, 2])])]


def gradients(t: ModuleType) -> list:
    with t.device("meta"):
        net = t.nn.Sequential(
            t.nn.Conv2d(3, 4, 3), t.nn.BatchNorm2d(4), t.nn.ReLU(), t.nn.Flatten(),
            t.nn.Linear(64, 5), t.nn.LayerNorm(5),
        )  # fmt: skip
        out = net(t.randn(2, 3, 6, 6))
    out.sum().backward()
    return [
        _about(out.detach()),
        [[list(p.grad.shape), str(p.grad.device)] for p in net.parameters()],
    ]


def recurrent_and_transformer(t: ModuleType) -> list:
    with t.device("meta"):
        x = t.randn(5, 2, 4)
        layers = [t.nn.LSTM(4, 3, 2, bidirectional=True), t.nn.GRU(4, 3), t.nn.RNN(4, 3)]
        results = [layer(x) for layer in layers]
        results.append(t.nn.TransformerEncoderLayer(4, 2, 8)(x))
        results.append(t.nn.MultiheadAttention(4, 2)(x, x, x))
    return [_about(_detached(r)) for r in results]


def _detached(r: Any) -> Any:
    return [_detached(v) for v in r] if isinstance(r, (tuple, list)) else r.detach()


def modules(t: ModuleType) -> list:
    net = t.nn.Linear(2, 3)
    net.to("meta")
    told = [_about(net.weight), _about(net.half().bias)]
    net.to_empty(device="cpu")
    told += [_about(net.weight), _about(t.nn.Linear(2, 3).to("meta", t.float64).bias)]
    fresh = t.nn.Linear(2, 3, device="meta")
    state = t.nn.Linear(2, 3).state_dict()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        told.append(str(fresh.load_state_dict(state)))
    told += [str(w.message) for w in seen] + [_about(fresh.weight)]
    told.append(str(fresh.load_state_dict(state, assign=True)))
    told += [_about(fresh.weight), fresh.weight.data_ptr() == state["weight"].data_ptr()]
    hollow = t.nn.Linear(2, 3, device="meta").state_dict()
    try:
        t.nn.Linear(2, 3).load_state_dict(hollow)
    except RuntimeError as error:
        told.append(str(error))
    return told


def initialisation(t: ModuleType) -> list:
    w = t.empty(4, 4, device="meta")
    init = t.nn.init
    filled = [
        init.xavier_uniform_(w), init.kaiming_normal_(w), init.trunc_normal_(w), init.zeros_(w),
        init.constant_(w, 2.0), init.orthogonal_(w), init.eye_(w), init.normal_(w), init.ones_(w),
        init.sparse_(w, 0.5), init.dirac_(t.empty(2, 2, 3, device="meta")),
    ]  # fmt: skip
    return [_about(v) for v in filled]


def copies(t: ModuleType) -> list:
    x = t.empty(2, 3, device="meta").t()
    net = t.nn.Linear(2, 3, device="meta")
    return [
        _about(copy.deepcopy(x)), _about(pickle.loads(pickle.dumps(x))), _about(copy.copy(x)),
        _about(copy.deepcopy(net).weight), _about(pickle.loads(pickle.dumps(net)).weight),
    ]  # fmt: skip


def files(t: ModuleType) -> list:
    file = io.BytesIO()
    shared = t.ones(2, 3)
    t.save({"a": shared, "view": shared[1:], "m": t.empty(2, 4, device="meta")}, file)
    told = []
    for place in ("meta", None, "cpu"):
        file.seek(0)
        found = t.load(file, map_location=place)
        told.append({k: _about(v) for k, v in found.items()})
        told.append(found["a"].untyped_storage().nbytes())
    return told
