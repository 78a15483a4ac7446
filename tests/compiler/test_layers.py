"""Convolution, pooling and recurrent layers inside compiled programs against eager: no call of
Python is left, and results and gradients are the same, for odd sizes, on one thread and on two."""

import numpy as np
import pytest

import flambeau as torch
import flambeau.nn.functional as F
from flambeau.compiler import conv_kernels
from flambeau.compiler.python_code import PythonProgram

pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")


pytestmark = pytest.mark.usefixtures("strict")


def drawn(*shape, dtype=torch.float32, seed=0, grad=True):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_(grad)


def close(got, want, case=""):
    assert len(got) == len(want)
    for a, b in zip(got, want):
        a, b = a.detach(), b.detach()
        assert a.dtype == b.dtype and a.shape == b.shape
        accuracy = 1e-11 if a.dtype == torch.float64 else 2e-5
        if a.dtype.is_floating_point:
            most = b.numpy()[np.isfinite(b.numpy())]
            scale = np.abs(most).max() if most.size else 1.0
            np.testing.assert_allclose(
                a.numpy(), b.numpy(), rtol=accuracy, atol=accuracy * scale, err_msg=str(case)
            )
        else:
            np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=str(case))


def compare(function, *inputs, called=()):
    """Compiled against eager; which operations are still called."""
    want = function(*inputs)
    compiled = torch.compile(function)
    for _ in range(3):
        got = compiled(*inputs)
    (variant,) = compiled.variants
    program = variant.program.run
    found = {s.call.work.op.name for s in program.segments if s.call is not None}
    assert found == set(called)
    close(got, want)
    return program


def convolution(conv, *settings, **options):
    def function(x, w, *bias):
        y = conv(x, w, *bias, *settings, **options)
        wanted = [t for t in (x, w, *bias) if t is not None]
        return y, *torch.autograd.grad(y.square().sum(), wanted)

    return function


CONVOLUTIONS = {
    # images, channels, outputs, sizes, kernel, then stride, padding, dilation, groups
    "odd sizes": ((2, 3, 5), (9, 11), (3, 3), 1, 1, 1, 1),
    "one channel": ((3, 1, 4), (8, 8), (3, 3), 1, 1, 1, 1),
    "stride": ((3, 4, 7), (12, 13), (3, 3), 2, 1, 1, 1),
    "stride of three": ((2, 4, 3), (11, 10), (5, 3), 3, 2, 1, 1),
    "dilation and groups": ((3, 4, 6), (12, 13), (3, 2), 2, 1, 2, 2),
    "one tap": ((2, 5, 6), (7, 9), (1, 1), 1, 0, 1, 1),
    "one tap and a stride": ((3, 4, 6), (12, 13), (1, 1), 2, 0, 1, 1),
    "depthwise": ((1, 8, 8), (6, 7), (3, 3), 1, 1, 1, 8),
    "more outputs than inputs": ((1, 6, 12), (9, 8), (3, 5), 1, 2, 1, 3),
    "a kernel as large as the image": ((2, 3, 4), (5, 6), (5, 6), 1, 0, 1, 1),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name, dtype):
    (n, c, o), sizes, kernel, *settings = CONVOLUTIONS[name]
    groups = settings[-1]
    x, w = drawn(n, c, *sizes, dtype=dtype), drawn(o, c // groups, *kernel, dtype=dtype, seed=1)
    bias = drawn(o, dtype=dtype) if groups == 1 else None
    compare(convolution(F.conv2d, *settings), x, w, bias)


def test_convolution_in_one_and_three_dimensions():
    compare(convolution(F.conv1d, 2, 1), drawn(3, 4, 17), drawn(5, 4, 3), drawn(5))
    compare(convolution(F.conv3d, 1, 1), drawn(2, 3, 5, 6, 7), drawn(4, 3, 3, 2, 3), None)


@pytest.mark.parametrize("stride, kernel, extra", [(1, 3, 0), (2, 3, 1), (3, 2, 0), (2, 1, 1)])
def test_transposed_convolution(stride, kernel, extra):
    x, w = drawn(2, 5, 6, 7), drawn(5, 4, kernel, kernel)
    compare(convolution(F.conv_transpose2d, stride, 0, extra), x, w, drawn(4))


def test_what_a_convolution_reads_may_lie_anywhere():
    x, w = drawn(2, 7, 6, 5), drawn(6, 5, 3, 3)

    def function(x, w):
        y = F.conv2d(x.transpose(1, 3).relu() * 2, w.transpose(2, 3), padding=1)[:, 1:]
        return y, *torch.autograd.grad(y.sum(), (x, w))

    compare(function, x, w)
    channels_last = drawn(2, 5, 6, 7, grad=False).to(memory_format=torch.channels_last)
    compare(lambda x, w: (F.conv2d(x, w),), channels_last, w)


def test_convolution_of_half_precision_is_called():
    x, w = drawn(2, 3, 8, 8, grad=False).half(), drawn(4, 3, 3, 3, grad=False).half()
    compare(lambda x, w: (F.conv2d(x, w),), x, w, called=["convolution"])


def test_convolution_of_nothing_is_called():
    x, w = torch.zeros(0, 3, 8, 8), drawn(4, 3, 3, 3, grad=False)
    compare(lambda x, w: (F.conv2d(x, w) + 1,), x, w, called=["convolution", "add"])


@pytest.fixture
def winograd(monkeypatch):
    """Even the smallest convolutions use fewer multiplications, where they can."""
    monkeypatch.setattr(conv_kernels, "WINOGRAD_CHANNELS", 1)
    monkeypatch.setattr(conv_kernels, "WINOGRAD_POSITIONS", 1)
    conv_kernels.winograd_plan.cache_clear()
    yield
    conv_kernels.winograd_plan.cache_clear()


@pytest.mark.parametrize(
    "images, channels, outputs, sizes, padding",
    [(2, 3, 5, (9, 11), 1), (1, 8, 9, (20, 23), 0), (3, 17, 4, (8, 5), 2), (5, 4, 4, (4, 4), 1)],
)
def test_fewer_multiplications(winograd, images, channels, outputs, sizes, padding):
    x, w = drawn(images, channels, *sizes), drawn(outputs, channels, 3, 3)
    compare(convolution(F.conv2d, 1, padding), x, w, drawn(outputs))


@pytest.mark.parametrize("odd", [float("inf"), float("nan")])
def test_fewer_multiplications_leave_what_is_not_finite_to_the_direct_sum(winograd, odd):
    x, w, bias = (
        drawn(2, 4, 20, 20, grad=False),
        drawn(6, 4, 3, 3, grad=False),
        drawn(6, grad=False),
    )
    plain = x.clone()
    x[0, 1, 3, 4] = odd

    def function(x):
        return (F.conv2d(x, w, bias, padding=1),)

    compare(function, x)
    compiled = torch.compile(function)
    for given in (plain, x, plain, x, plain):
        close(compiled(given), function(given))


# ---- pooling ---------------------------------------------------------------------------------

POOLS = {
    "halves": ((2, 3, 8, 8), 2, None, 0, 1, False),
    "no batch": ((3, 9, 11), 3, 2, 1, 1, False),
    "overlapping": ((2, 3, 9, 11), (3, 2), 1, 1, 2, False),
    "cut off": ((2, 3, 9, 11), 3, 2, 1, 1, True),
    "volumes": ((2, 3, 5, 6, 7), 2, 2, 1, 1, False),
}


@pytest.mark.parametrize("odd", [False, True], ids=["plain", "with nan"])
@pytest.mark.parametrize("name", POOLS)
def test_pooling_of_maxima(name, odd):
    shape, *settings = POOLS[name]
    x = drawn(*shape, grad=False)
    if odd:
        x.view(-1)[7] = float("nan")
    x.requires_grad_()
    pool = F.max_pool3d if len(shape) == 5 else F.max_pool2d

    def function(x):
        y, places = pool(x * 2, *settings, return_indices=True)
        return y, places, torch.autograd.grad((y * y).sum(), x)[0]

    compare(function, x)


def test_positions_from_outside_are_looked_at():
    x, grad = drawn(2, 3, 4, 4), torch.ones(2, 3, 2, 2)
    where = F.max_pool2d(x, 2, return_indices=True)[1]

    def function(grad, where):
        return (F.max_unpool2d(grad, where, 2),)

    compare(function, grad, where, called=["max_unpool2d"])


# ---- means over windows ----------------------------------------------------------------------

MEANS = {
    "halves": ((2, 3, 6, 8), lambda x: F.avg_pool2d(x, 2)),
    "overlapping": ((2, 3, 7, 9), lambda x: F.avg_pool2d(x, 3, 2, padding=1)),
    "inside": ((1, 2, 7, 6), lambda x: F.avg_pool2d(x, (3, 2), 1, (1, 0), False, False)),
    "cut off": ((2, 2, 8, 7), lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True)),
    "divisor": ((2, 2, 6, 6), lambda x: F.avg_pool2d(x, 3, divisor_override=5)),
    "line": ((2, 3, 11), lambda x: F.avg_pool1d(x, 4, 3)),
    "volume": ((2, 5, 4, 6), lambda x: F.avg_pool3d(x, 2, 1)),
    "all": ((3, 5, 7, 6), lambda x: F.adaptive_avg_pool2d(x, 1).relu()),
    "parts": ((2, 3, 7, 5), lambda x: F.adaptive_avg_pool2d(x, (3, 4))),
    "more than there are": ((2, 3, 3, 2), lambda x: F.adaptive_avg_pool2d(x, (5, 2))),
    "parts of a line": ((2, 3, 11), lambda x: F.adaptive_avg_pool1d(x, 4)),
    "parts of a volume": ((2, 4, 5, 6), lambda x: F.adaptive_avg_pool3d(x, (2, 1, 3))),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", MEANS)
def test_means_over_windows(case, dtype):
    shape, pool = MEANS[case]

    def function(x):
        y = pool(x)
        return y, *torch.autograd.grad((y * y).sum(), [x])

    compare(function, drawn(*shape, dtype=dtype))


# ---- recurrent layers ------------------------------------------------------------------------


KINDS = {
    "LSTM": torch.nn.LSTM,
    "GRU": torch.nn.GRU,
    "tanh": torch.nn.RNN,
    "relu": lambda *sizes, **settings: torch.nn.RNN(*sizes, nonlinearity="relu", **settings),
}


@pytest.mark.parametrize(
    "kind, dtype", [(k, torch.float32) for k in KINDS] + [("LSTM", torch.float64)]
)
@pytest.mark.parametrize(
    "steps, batch, inputs, hidden, layers, bias, both, state",
    [
        (5, 4, 8, 16, 1, True, False, False),
        (1, 3, 5, 7, 1, True, False, True),
        (6, 7, 9, 13, 2, True, False, True),
        (4, 5, 3, 20, 1, False, True, False),
        (3, 1, 4, 5, 1, True, True, True),
        (2, 14, 1, 33, 1, False, False, True),
    ],
)
def test_recurrent(steps, batch, inputs, hidden, layers, bias, both, state, kind, dtype):
    torch.manual_seed(steps)
    model = KINDS[kind](inputs, hidden, layers, bias=bias, bidirectional=both).to(dtype)
    x = drawn(steps, batch, inputs, dtype=dtype)
    shape = layers * (2 if both else 1), batch, hidden
    count = 2 if kind == "LSTM" else 1
    first = [drawn(*shape, dtype=dtype, seed=n) for n in range(1, 1 + count)] if state else []
    parameters = list(model.parameters())

    def function(x, *first):
        y, last = model(x, None if not first else tuple(first) if count == 2 else first[0])
        last = last if count == 2 else (last,)
        loss = (y[-1] * y[-1]).sum() + (last[0] * last[-1]).sum() if state else (y * y).sum()
        return y, *last, *torch.autograd.grad(loss, [x, *first, *parameters])

    compare(function, x, *first)


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences(kind, both):
    torch.manual_seed(3)
    model = KINDS[kind](5, 9, bidirectional=both)
    parameters = list(model.parameters())
    rnn = torch.nn.utils.rnn

    def function(x):
        packed = rnn.pack_padded_sequence(x, [6, 4, 4, 1])
        y, last = model(packed)
        padded, _ = rnn.pad_packed_sequence(y)
        last = last if kind == "LSTM" else (last,)
        loss = (padded * padded).sum() + sum((s * s).sum() for s in last)
        return padded, *last, *torch.autograd.grad(loss, [x, *parameters])

    compare(function, drawn(6, 4, 5))


def test_lstm_that_is_not_covered_is_called():
    x = drawn(4, 3, 5, grad=False)
    projected = torch.nn.LSTM(5, 6, proj_size=4)
    parameters = list(projected.parameters())

    def function(x):
        y = projected(x)[0]
        return y, *torch.autograd.grad(y.square().sum(), parameters)

    compare(function, x, called=["lstm", "lstm_backward"])


# ---- the same by NumPy -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["convolution", "transposed", "pooling", "lstm"])
def test_the_python_target_says_the_same(kind):
    model = torch.nn.LSTM(3, 5)
    parameters = list(model.parameters())

    def lstm(x):
        y = model(x)[0]
        return y, *torch.autograd.grad(y.square().sum(), parameters)

    function, inputs = {
        "convolution": (
            convolution(F.conv2d, 2, 1), (drawn(2, 3, 9, 8), drawn(4, 3, 3, 3), drawn(4)),
        ),
        "transposed": (
            convolution(F.conv_transpose2d, 2, 1), (drawn(2, 3, 5, 6), drawn(3, 4, 3, 3), drawn(4)),
        ),
        "pooling": (lambda x: F.max_pool2d(x, 2, return_indices=True), (drawn(2, 3, 6, 6),)),
        "lstm": (lstm, (drawn(4, 3, 3),)),
    }[kind]  # fmt: skip
    compiled = torch.compile(function)
    for _ in range(3):
        compiled(*inputs)
    program = compiled.variants[0].program.run
    arrays = [np.array(a) for a in program.last_inputs]
    again = PythonProgram(program.graph)([a.copy() for a in arrays])
    for a, b in zip(program([a.copy() for a in arrays]), again):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
