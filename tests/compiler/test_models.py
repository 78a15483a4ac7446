"""Training steps of models of many kinds, compiled: as eager, operation by operation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn
from flambeau.compiler import native
from flambeau.nn import functional as F

Made = tuple[nn.Module, Callable, Callable]
MODELS: dict[str, Callable[[], Made]] = {}


def model(make: Callable[[], Made]) -> Callable[[], Made]:
    MODELS[make.__name__] = make
    return make


def trained(
    net: nn.Module, loss_of: Callable, data: Callable, between: Callable = lambda: None
) -> Made:
    opt = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)

    def step(*batch: torch.Tensor) -> float:
        opt.zero_grad()
        loss = loss_of(net, *batch)
        loss.backward()
        between()
        opt.step()
        return loss.item()

    return net, step, data


def classes(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    out = net(x)
    return F.cross_entropy(out.view(-1, out.shape[-1]), y.view(-1))


def squares(net: nn.Module, *x: torch.Tensor) -> torch.Tensor:
    return net(*x).square().mean()


@model
def conv_net() -> Made:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Dropout(0.3), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5),
    )  # fmt: skip
    return trained(net, classes, lambda: (torch.randn(3, 1, 8, 8), torch.randint(0, 5, (3,))))


@model
def norms() -> Made:
    net = nn.Sequential(
        nn.Conv2d(4, 4, 1), nn.GroupNorm(2, 4),
        nn.InstanceNorm2d(4, affine=True, track_running_stats=True), nn.LocalResponseNorm(2),
        nn.AvgPool2d(2), nn.Upsample(scale_factor=2), nn.PReLU(), nn.ConvTranspose2d(4, 2, 2),
        nn.LayerNorm([2, 5, 5]), nn.Hardswish(), nn.Softplus(), nn.ELU(),
    )  # fmt: skip
    return trained(net, squares, lambda: (torch.randn(2, 4, 4, 4),))


@model
def recurrent() -> Made:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(11, 6)
            self.lstm = nn.LSTM(6, 7, num_layers=2, batch_first=True, dropout=0.2)
            self.gru = nn.GRU(7, 3, bidirectional=True)
            self.rnn = nn.RNN(6, 5)
            self.cell = nn.LSTMCell(5, 11)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.rnn(self.gru(self.lstm(self.table(x))[0])[0])[0]
            state = None
            for t in range(y.shape[0]):
                state = self.cell(y[t], state)
            return state[0]

    return trained(
        Net(), classes, lambda: (torch.randint(0, 11, (3, 5)), torch.randint(0, 11, (5,)))
    )


@model
def tied_transformer() -> Made:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.places = nn.Embedding(13, 8), nn.Embedding(6, 8)
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
            self.qkv = nn.Linear(8, 24)
            self.out = nn.Linear(8, 13, bias=False)
            self.out.weight = self.table.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            b, t = x.shape
            h = self.layer(self.table(x) + self.places(torch.arange(t)))
            q, k, v = (p.view(b, t, 2, 4).transpose(1, 2) for p in self.qkv(h).split(8, dim=2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=0.1)
            return self.out(h + y.transpose(1, 2).contiguous().view(b, t, 8))

    net = Net()
    return trained(
        net, classes, lambda: (torch.randint(0, 13, (2, 6)), torch.randint(0, 13, (2, 6))),
        lambda: torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5),
    )  # fmt: skip


@model
def masked_attention() -> Made:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.MultiheadAttention(8, 2, batch_first=True)
            self.register_buffer("mask", torch.tril(torch.ones(5, 5)))

        def forward(self, x: torch.Tensor, pad: torch.Tensor) -> torch.Tensor:
            scores = (x @ x.transpose(-2, -1)).masked_fill(self.mask == 0, float("-inf"))
            y = scores.softmax(-1) @ x
            return self.a(y, y, y, key_padding_mask=pad, need_weights=False)[0]

    pad = torch.tensor([[False] * 4 + [True]] * 2)
    return trained(Net(), squares, lambda: (torch.randn(2, 5, 8), pad))


@model
def accumulated() -> Made:
    net = nn.Linear(4, 3)
    opt = torch.optim.Adam(net.parameters(), 0.01)

    def step(xs: list[torch.Tensor]) -> float:
        for x in xs:
            (net(x).square().mean() / len(xs)).backward()
        opt.step()
        opt.zero_grad(set_to_none=False)
        return xs[0].sum().item()

    return net, step, lambda: ([torch.randn(5, 4) for _ in range(3)],)


@model
def by_hand() -> Made:
    net = nn.Linear(4, 3)

    def step(x: torch.Tensor) -> torch.Tensor:
        loss = net(x).square().mean()
        for p in net.parameters():
            p.grad = None
        loss.backward()
        with torch.no_grad():
            net.weight -= 0.1 * net.weight.grad
        net.bias.data += -0.1 * net.bias.grad
        return loss

    return net, step, lambda: (torch.randn(5, 4),)


@model
def views_in_place() -> Made:
    net = nn.Linear(4, 4)

    def step(x: torch.Tensor, buffer: torch.Tensor) -> tuple:
        y = net(x)
        z = y.clone()
        z[:, 1] = 0
        z[0].add_(1)
        z.t()[2].mul_(3)
        buffer[1:3].copy_(z[:2].detach())
        buffer.mul_(0.5)
        buffer[0, 0] = 7
        out = torch.zeros(4, 4)
        out[1] = z[1]
        loss = (z * out).sum()
        net.zero_grad()
        loss.backward()
        return loss, buffer[0], out

    return net, step, lambda: (torch.randn(4, 4), torch.ones(3, 4))


@model
def many_operations() -> Made:
    net = nn.Linear(6, 6)

    def step(x: torch.Tensor, i: torch.Tensor) -> float:
        y = net(x)
        a = y.softmax(-1).log() + F.gelu(y) + torch.where(y > 0, y, -y)
        b = torch.cat([a, y], 1).cumsum(1).sort(1)[0].topk(3, dim=1)[0]
        c = torch.zeros(5, 3).scatter_add(0, i[:, :3], b)
        d = torch.gather(a, 1, i) + F.one_hot(i[:, 0], 6).float() @ y
        e = torch.einsum("ij,jk->ik", a, y) + a.index_select(0, i[:, 0])
        e = e.index_add(0, i[:, 1], y) + a.masked_fill(a > 1, 0.0)
        k = a.clone()
        k[i[:, 0], i[:, 1]] = y[:, 0]
        u = y[i[:, 0]].repeat(2, 1).unfold(0, 2, 1).flip(0).roll(1, 0).sum()
        parts = [b, c, d, e, k, F.pad(a, (1, 1))[:, 2:5].std(1), y.triu().tril(1)]
        loss = sum(p.sum() for p in parts) + u + a.norm() + a.var() + y.max(1)[0].sum()
        net.zero_grad()
        loss.backward()
        return loss.item()

    return net, step, lambda: (torch.randn(6, 6), torch.randint(0, 5, (6, 6)))


@model
def losses() -> Made:
    net = nn.Linear(6, 4)

    def loss_of(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        o, t = net(x), F.one_hot(y, 4).float()
        return (
            F.cross_entropy(o, y, label_smoothing=0.1) + F.nll_loss(o.log_softmax(1), y)
            + F.mse_loss(o, t) + F.smooth_l1_loss(o, t) + F.huber_loss(o, t)
            + F.binary_cross_entropy_with_logits(o, t) + F.cross_entropy(o, t)
            + F.kl_div(o.log_softmax(1), t.softmax(1), reduction="batchmean")
            + F.multi_margin_loss(o, y) + F.cosine_embedding_loss(o, t, torch.ones(5))
        )  # fmt: skip

    return trained(net, loss_of, lambda: (torch.randn(5, 6), torch.randint(0, 4, (5,))))


@model
def noise() -> Made:
    net = nn.Linear(4, 4)

    def loss_of(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        y = net(x + torch.randn_like(x) * 0.1) + torch.rand(4) + torch.randint(0, 3, (4,))
        z = torch.empty(4, 4).normal_().uniform_()
        return (F.alpha_dropout(y[torch.randperm(4)], 0.2, False) * z).sum()

    return trained(net, loss_of, lambda: (torch.randn(4, 4),))


@model
def weight_norm() -> Made:
    net = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    return trained(net, squares, lambda: (torch.randn(4, 4),))


@model
def autocast() -> Made:
    def loss_of(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return net(x).float().square().mean()

    return trained(nn.Linear(8, 8), loss_of, lambda: (torch.randn(4, 8),))


def leaves(obj: object) -> list[np.ndarray]:
    if isinstance(obj, torch.Tensor):
        return [obj.detach().float().numpy().copy()]
    if isinstance(obj, (list, tuple)):
        return [a for o in obj for a in leaves(o)]
    return [np.array(obj)]


def run(make: Callable[[], Made], backend: str | None) -> tuple[list[np.ndarray], Callable]:
    """All that four steps leave behind, the generator's next number included."""
    torch.manual_seed(0)
    net, step, data = make()
    way = "python" if backend == "python" else "inductor"
    f = step if backend is None else torch.compile(step, backend=way)
    left = []
    for i in range(4):
        torch.manual_seed(100 + i)
        batch = data()
        left += [*leaves(f(*batch)), *leaves(batch)]
    left += leaves(list(net.state_dict().values()))
    left += leaves([p.grad for p in net.parameters() if p.grad is not None])
    return [*left, *leaves(torch.rand(3))], f


@pytest.fixture(params=["python", "inductor"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Node by node in NumPy, and as machine code whose mistakes are errors."""
    if request.param != "python":
        pytest.importorskip("llvmlite", reason="llvmlite is missing: pip install -e '.[compile]'")
        monkeypatch.setattr(native, "strict", True)
    return request.param


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_as_it_does_eagerly(name: str, backend: str) -> None:
    eager, _ = run(MODELS[name], None)
    compiled, f = run(MODELS[name], backend)
    assert len(eager) == len(compiled)
    for a, b in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    assert f.variants and not f.eager, f.explain()


@pytest.mark.parametrize(
    "name",
    "Adadelta Adagrad Adamax ASGD NAdam RAdam RMSprop Rprop Adafactor".split(),
)
def test_every_optimizer_steps_as_it_does_eagerly(name: str, backend: str) -> None:
    def make() -> Made:
        net = nn.Linear(4, 3)
        opt = getattr(torch.optim, name)(net.parameters())

        def step(x: torch.Tensor) -> torch.Tensor:
            opt.zero_grad()
            loss = squares(net, x)
            loss.backward()
            opt.step()
            return loss

        return net, step, lambda: (torch.randn(5, 4),)

    eager, _ = run(make, None)
    compiled, f = run(make, backend)
    for a, b in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    assert f.variants and not f.eager, f.explain()
