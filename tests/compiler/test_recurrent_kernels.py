"""The generated steps of recurrent layers against NumPy's, and through the layers."""

import numpy as np
import pytest

import flambeau as torch
from flambeau import _config
from flambeau.ops import recurrent
from flambeau.ops.recurrent import STEPS

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
LAYERS = [
    (torch.nn.LSTM, {"num_layers": 2}),
    (torch.nn.LSTM, {"bidirectional": True, "bias": False}),
    (torch.nn.LSTM, {"proj_size": 3}),
    (torch.nn.GRU, {"num_layers": 2, "bidirectional": True}),
    (torch.nn.GRU, {"bias": False}),
    (torch.nn.RNN, {"bidirectional": True}),
    (torch.nn.RNN, {"nonlinearity": "relu"}),
]


@pytest.fixture
def compiled(monkeypatch):
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    monkeypatch.setattr(recurrent, "_KERNEL", 1)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", [(5,), (13,) * 3, (7, 4, 4, 1)], ids=str)
@pytest.mark.parametrize("hidden", [1, 7, 8, 33])
@pytest.mark.parametrize("kind", GATES)
def test_steps_against_numpy(compiled, kind, hidden, sizes, reverse):
    from flambeau.compiler import recurrent_kernels

    generator = np.random.default_rng(0)
    draw = lambda *shape: generator.standard_normal(shape)
    rows, wide, count = sum(sizes), GATES[kind] * hidden, 2 if kind == "lstm" else 1
    z, w = draw(rows, wide), draw(wide, hidden)
    biases = (draw(wide), draw(wide)) if hidden != 7 else (None, None)
    states = [draw(sizes[0], hidden) for _ in range(count)]
    given = (*biases, states, w)
    found = recurrent_kernels.recurrent(kind, z, *given, sizes, reverse)
    want = STEPS[kind].ahead(z.copy(), *given, None, sizes, reverse)
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    out, kept = want[0], want[1 + count :]
    for there in ((True, True, True), (True, False, True), (False, True, False)):
        grads = [draw(rows, hidden), *(draw(sizes[0], hidden) for _ in range(count))]
        grads = [g if is_there else None for g, is_there in zip(grads, there)]
        given = (grads, out, kept, states, w)
        found = recurrent_kernels.recurrent_backward(kind, z, *given, sizes, reverse)
        for a, b in zip(found, STEPS[kind].back(*given, None, sizes, reverse), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layer, settings", LAYERS, ids=str)
def test_layers_with_and_without_kernels(compiled, layer, settings, dtype):
    torch.manual_seed(0)
    layer = layer(5, 9, **settings).to(dtype)
    x = torch.randn(6, 4, 5, dtype=dtype, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [6, 4, 4, 1])
    results = []
    for on in (True, False):
        with _config.override(compiled_kernels=on):
            y, last = layer(x)
            z, _ = layer(packed)
            last = last if isinstance(last, tuple) else (last,)
            loss = y.sin().sum() + z.data.square().sum() + sum(s.square().sum() for s in last)
            gradients = torch.autograd.grad(loss, [x, *layer.parameters()])
            results.append((y, *last, z.data, *gradients))
    limit = 1e-4 if dtype is torch.float32 else 1e-10
    for a, e in zip(*results, strict=True):
        assert torch.allclose(a, e, rtol=limit, atol=limit)


@pytest.mark.parametrize("layer", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_nan_stays_in_its_sequence(compiled, layer):
    layer = layer(5, 9)
    x = torch.randn(6, 4, 5)
    x[2, 1, 0] = float("nan")
    y, _ = layer(x)
    assert y[2:, 1].isnan().all() and not y[:2].isnan().any()
    assert not y[:, [0, 2, 3]].isnan().any()


def test_nan_goes_through_relu(compiled):
    layer = torch.nn.RNN(5, 9, nonlinearity="relu")
    y, _ = layer(torch.full((3, 2, 5), float("nan")))
    assert y.isnan().all()


def test_gates_far_out(compiled):
    layer = torch.nn.LSTM(1, 8)
    for p in layer.parameters():
        p.data.fill_(1.0)
    for value in (1e4, -1e4, float("inf"), float("-inf")):
        y, (h, c) = layer(torch.full((2, 1, 1), value))
        want = 0.0 if value < 0 else 1.0
        assert torch.allclose(c, torch.full_like(c, 2.0 * want), atol=1e-6)
        assert torch.allclose(h, torch.full_like(h, np.tanh(2.0) * want), atol=1e-6)
