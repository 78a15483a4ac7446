"""Recurrent layers, their cells and packed sequences."""

from __future__ import annotations

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn.utils import rnn


def by_hand(layer, x):
    """One layer of an LSTM in one direction, step by step, by its formula."""
    h = c = torch.zeros(x.shape[1], layer.hidden_size, dtype=x.dtype)
    outs = []
    for step in x:
        z = step @ layer.weight_ih_l0.T + layer.bias_ih_l0
        z = z + h @ layer.weight_hh_l0.T + layer.bias_hh_l0
        i, f, g, o = z.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outs.append(h)
    return torch.stack(outs), h, c


def test_an_lstm_is_its_formula_and_so_is_its_gradient():
    layer = nn.LSTM(3, 5).double()
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    y, (h, c) = layer(x)
    want = by_hand(layer, x)
    assert torch.allclose(y, want[0])
    assert torch.allclose(h[0], want[1])
    assert torch.allclose(c[0], want[2])
    operands = [x, *layer.parameters()]
    weight = torch.randn_like(y)
    ours = torch.autograd.grad((y * weight).sum() + c.sum(), operands)
    theirs = torch.autograd.grad((want[0] * weight).sum() + want[2].sum(), operands)
    for a, b in zip(ours, theirs):
        assert torch.allclose(a, b)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.RNN(2, 3),
        lambda: nn.GRU(2, 3, bidirectional=True),
        lambda: nn.LSTM(2, 3, 2, bias=False),
        lambda: nn.LSTM(2, 3, proj_size=2),
    ],
)
def test_gradients_to_second_order(make):
    layer = make().double()
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    operands = (x, *layer.parameters())
    assert gradcheck(lambda x, *weights: layer(x)[0], operands)
    assert gradgradcheck(lambda x, *weights: layer(x)[0], (x, layer.weight_hh_l0))


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_packed_sequences_are_as_if_each_were_alone(kind):
    layer = kind(2, 3, bidirectional=True)
    alone = [torch.randn(n, 2) for n in (2, 4, 1)]
    packed = rnn.pack_sequence(alone, enforce_sorted=False)
    out, last = layer(packed)
    outs = rnn.unpack_sequence(out)
    h = last[0] if kind is nn.LSTM else last
    for i, x in enumerate(alone):
        y, own = layer(x)
        assert torch.allclose(outs[i], y, atol=1e-6)
        own = own[0] if kind is nn.LSTM else own
        assert torch.allclose(h[:, i], own, atol=1e-6)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_cell_is_one_step(kind):
    layer = kind(3, 4)
    cell = {nn.RNN: nn.RNNCell, nn.GRU: nn.GRUCell, nn.LSTM: nn.LSTMCell}[kind](3, 4)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x = torch.randn(3, 2, 3)
    state = None
    for step in x:
        state = cell(step, state)
    y, last = layer(x)
    h = state[0] if kind is nn.LSTM else state
    assert torch.allclose(y[-1], h, atol=1e-6)


def test_batch_first_and_no_batch():
    layer, same = nn.GRU(3, 4, batch_first=True), nn.GRU(3, 4)
    same.load_state_dict(layer.state_dict())
    x = torch.randn(2, 5, 3)
    y, h = layer(x)
    assert y.shape == (2, 5, 4)
    assert torch.allclose(y.transpose(0, 1), same(x.transpose(0, 1))[0], atol=1e-6)
    assert torch.allclose(layer(x[0])[0], y[0], atol=1e-6)
    assert layer(x[0])[1].shape == (1, 4)


def test_states_carry_on():
    layer = nn.LSTM(2, 3, 2)
    x = torch.randn(6, 4, 2)
    whole, last = layer(x)
    first, state = layer(x[:2])
    second, end = layer(x[2:], state)
    assert torch.allclose(torch.cat([first, second]), whole, atol=1e-6)
    assert torch.allclose(end[1], last[1], atol=1e-6)


def test_dropout_lies_between_layers_and_only_in_training():
    layer = nn.LSTM(2, 3, 2, dropout=1.0)
    x = torch.randn(2, 1, 2)
    silent = nn.LSTM(3, 3)
    names = [n for n in layer.state_dict() if n.endswith("_l1")]
    silent.load_state_dict({n.replace("_l1", "_l0"): layer.state_dict()[n] for n in names})
    assert torch.allclose(layer(x)[0], silent(torch.zeros(2, 1, 3))[0], atol=1e-6)
    assert not torch.allclose(layer.eval()(x)[0], silent(torch.zeros(2, 1, 3))[0])


def test_padding_and_packing_and_back():
    seqs = [torch.arange(1, n + 1) for n in (3, 1)]
    padded = rnn.pad_sequence(seqs, padding_value=9)
    assert padded.tolist() == [[1, 1], [2, 9], [3, 9]]
    assert rnn.pad_sequence(seqs, True, padding_side="left").tolist() == [[1, 2, 3], [0, 0, 1]]
    packed = rnn.pack_padded_sequence(padded, [3, 1])
    assert packed.data.tolist() == [1, 1, 2, 3]
    assert packed.batch_sizes.tolist() == [2, 1, 1]
    back, lengths = rnn.pad_packed_sequence(packed, padding_value=9, total_length=4)
    assert back.tolist() == [*padded.tolist(), [9, 9]]
    assert lengths.tolist() == [3, 1]
    assert packed.to(torch.float64).data.dtype == torch.float64


def test_gradients_of_padding_and_packing():
    x = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: rnn.pack_padded_sequence(x, [4, 2, 1]).data, (x,))
    assert gradcheck(lambda x: rnn.pad_sequence([x[:2, 0], x[:, 1]]), (x,))


def test_large_inputs_do_not_overflow():
    y, _ = nn.LSTM(1, 2)(torch.full((2, 1, 1), 1e30))
    assert y.isfinite().all()


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: nn.LSTM(3, 4)(torch.ones(2, 3, 5)), RuntimeError,
         "input.size(-1) must be equal to input_size. Expected 3, got 5"),
        (lambda: nn.GRU(3, 4)(torch.ones(3)), ValueError, "GRU: Expected input to be 2D or 3D"),
        (lambda: nn.GRU(3, 4)(torch.ones(2, 3, 3), torch.ones(2, 3, 4)), RuntimeError,
         "Expected hidden size (1, 3, 4), got [2, 3, 4]"),
        (lambda: nn.LSTM(3, 4, dropout=2), ValueError, "dropout should be a number in range"),
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "smaller than hidden_size"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "Unknown nonlinearity 'sin'"),
        (lambda: nn.LSTM(3, 0), ValueError, "hidden_size must be greater than zero"),
        (lambda: nn.LSTM(3, 4)(torch.ones(2, 3).double()), ValueError, "does not match weight"),
        (lambda: nn.GRUCell(3, 4)(torch.ones(2, 2)), RuntimeError, "inconsistent input_size"),
        (lambda: rnn.pack_padded_sequence(torch.ones(4, 2), [1, 4]), RuntimeError,
         "must be sorted in decreasing order"),
        (lambda: rnn.pack_padded_sequence(torch.ones(4, 2), [4, 0]), RuntimeError,
         "has to be greater than 0"),
    ],
)  # fmt: skip
def test_mistakes(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
