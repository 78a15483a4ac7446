"""The generated steps of an LSTM against NumPy's."""

import pytest

import flambeau as torch
from flambeau import _config
from flambeau.ops import recurrent


@pytest.fixture
def compiled(monkeypatch):
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    monkeypatch.setattr(recurrent, "_KERNEL", 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "settings",
    [
        {"num_layers": 2},
        {"bidirectional": True, "bias": False},
        {"proj_size": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("hidden", [1, 7, 8, 33])
def test_lstm_with_and_without_kernels(compiled, hidden, settings, dtype):
    if settings.get("proj_size", 0) >= hidden:
        settings = {}
    torch.manual_seed(0)
    layer = torch.nn.LSTM(5, hidden, **settings).to(dtype)
    x = torch.randn(6, 4, 5, dtype=dtype, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [6, 4, 4, 1])
    results = []
    for on in (True, False):
        with _config.override(compiled_kernels=on):
            y, (h, c) = layer(x)
            z, _ = layer(packed)
            loss = y.sin().sum() + h.square().sum() + c.cos().sum() + z.data.square().sum()
            results.append((y, h, c, z.data, *torch.autograd.grad(loss, [x, *layer.parameters()])))
    limit = 1e-4 if dtype is torch.float32 else 1e-10
    for a, e in zip(*results, strict=True):
        assert torch.allclose(a, e, rtol=limit, atol=limit)


def test_nan_stays_in_its_sequence(compiled):
    layer = torch.nn.LSTM(5, 9)
    x = torch.randn(6, 4, 5)
    x[2, 1, 0] = float("nan")
    y, _ = layer(x)
    assert y[2:, 1].isnan().all() and not y[:2].isnan().any()
    assert not y[:, [0, 2, 3]].isnan().any()
