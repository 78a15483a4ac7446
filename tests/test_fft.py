"""Fourier transforms: values against numpy.fft, gradients to second order, sizes, norms, dtypes."""

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck

RNG = np.random.default_rng(5)
NORMS = pytest.mark.parametrize("norm", [None, "forward", "backward", "ortho"])
TAKES_REAL = {"rfft", "ihfft", "rfft2", "rfftn", "ihfft2", "ihfftn"}


def sample(name, *shape):
    """Numbers such as the transform ``name`` takes."""
    x = RNG.standard_normal(shape)
    return x if name in TAKES_REAL else x + 1j * RNG.standard_normal(shape)


def twin(name, x, s, axes, norm):
    """numpy.fft's transform; the Hermitian ones of several dimensions are not in it."""
    if hasattr(np.fft, name):
        return getattr(np.fft, name)(x, s, axes, norm)
    other = {None: "forward", "backward": "forward", "forward": "backward", "ortho": "ortho"}[norm]
    if name.startswith("ih"):
        return np.fft.rfftn(x, s, axes, other).conj()
    return np.fft.irfftn(x.conj(), s, axes, other)


@NORMS
@pytest.mark.parametrize("n", [None, 1, 3, 4, 9])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_one_dimension(name, n, norm):
    x = sample(name, 2, 5, 3)
    function = getattr(torch.fft, name)
    got = function(torch.tensor(x), n, 1, norm)
    np.testing.assert_allclose(got.numpy(), getattr(np.fft, name)(x, n, 1, norm), atol=1e-12)
    small = torch.tensor(x[0, :, :2], requires_grad=True)
    assert gradcheck(lambda t: function(t, n, 0, norm), (small,))
    assert gradgradcheck(lambda t: function(t, n, 0, norm), (small,))


@NORMS
@pytest.mark.parametrize("s", [None, (2, 6), (5, 3)])
@pytest.mark.parametrize("kind", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_several_dimensions(kind, s, norm):
    x = sample(kind + "n", 3, 4, 5)
    want = twin(kind + "n", x, s, (-2, -1), norm)
    for got in (
        getattr(torch.fft, kind + "2")(torch.tensor(x), s, norm=norm),
        getattr(torch.fft, kind + "n")(torch.tensor(x), s, (-2, -1), norm),
    ):
        np.testing.assert_allclose(got.numpy(), want, atol=1e-12)
    small = torch.tensor(x[0, :2, :3], requires_grad=True)
    assert gradcheck(lambda t: getattr(torch.fft, kind + "n")(t, s, norm=norm), (small,))


def test_a_transform_and_its_inverse():
    x = torch.tensor(RNG.standard_normal((3, 5, 4)))
    for forward, inverse in (("fft", "ifft"), ("rfft", "irfft"), ("ihfft", "hfft")):
        for end, sizes in (("", 4), ("2", (5, 4)), ("n", (3, 5, 4))):
            there = getattr(torch.fft, forward + end)(x)
            back = getattr(torch.fft, inverse + end)(there, sizes)
            assert torch.allclose(back if forward != "fft" else back.real, x)


def test_dtypes():
    for d, c in ((torch.float32, torch.complex64), (torch.float64, torch.complex128)):
        x = torch.arange(6).to(d)
        assert torch.fft.fft(x).dtype is c
        assert torch.fft.rfft(x).dtype is c
        assert torch.fft.irfft(torch.fft.rfft(x)).dtype is d
        assert torch.fft.irfft(torch.fft.rfft(x)).tolist() == pytest.approx(
            list(range(6)), abs=1e-6
        )
    assert torch.fft.fft(torch.arange(6)).dtype is torch.complex64
    assert torch.fft.rfft(torch.ones(4, dtype=torch.bool)).tolist() == [4, 0, 0]


def test_frequencies_and_shifts():
    for n in (1, 4, 5):
        assert torch.fft.fftfreq(n, 0.5).tolist() == pytest.approx(np.fft.fftfreq(n, 0.5).tolist())
        assert torch.fft.rfftfreq(n).tolist() == pytest.approx(np.fft.rfftfreq(n).tolist())
    x = np.arange(20).reshape(4, 5)
    for dim in (None, 0, (1,), (0, 1)):
        for name in ("fftshift", "ifftshift"):
            got = getattr(torch.fft, name)(torch.tensor(x), dim)
            assert got.tolist() == getattr(np.fft, name)(x, dim).tolist()
    assert torch.fft.fftfreq(3, dtype=torch.float64, requires_grad=True).requires_grad


def test_odd_inputs():
    nan = torch.fft.fft(torch.tensor([1.0, float("nan")]))
    assert nan.real.isnan().all()
    view = torch.arange(24.0).reshape(4, 6)[::2, ::3].t()
    assert np.allclose(torch.fft.fft(view, dim=0).numpy(), np.fft.fft(view.numpy(), axis=0))
    out = torch.empty(3, dtype=torch.complex64)
    assert torch.fft.fft(torch.ones(3), out=out) is out
    assert tuple(torch.fft.fft(torch.zeros(0, 3)).shape) == (0, 3)


@pytest.mark.parametrize(
    "call, error, phrase",
    [
        (lambda: torch.fft.fft(torch.ones(3), 0), RuntimeError, r"data points \(0\) specified"),
        (lambda: torch.fft.fft(torch.ones(0)), RuntimeError, r"data points \(0\) specified"),
        (lambda: torch.fft.fft(torch.ones(3), dim=2), IndexError, "Dimension out of range"),
        (lambda: torch.fft.fft(torch.tensor(1.0)), IndexError, "has no dimensions"),
        (lambda: torch.fft.fft(torch.ones(3), norm="x"), RuntimeError, "normalization mode"),
        (lambda: torch.fft.rfft(torch.ones(3) * 1j), RuntimeError, "expects a real input"),
        (
            lambda: torch.fft.fftn(torch.ones(3, 3), dim=(0, 0)),
            RuntimeError,
            "unique|multiple times",
        ),
        (lambda: torch.fft.fftn(torch.ones(3, 3), (2,), (0, 1)), RuntimeError, "same length"),
        (lambda: torch.fft.fftn(torch.ones(3), (2, 2)), RuntimeError, "only has 1 dimensions"),
        (lambda: torch.fft.fft(torch.ones(3).half()), RuntimeError, "Unsupported dtype Half"),
    ],
)
def test_errors(call, error, phrase):
    with pytest.raises(error, match=phrase):
        call()


# ---- short-time transforms -----------------------------------------------------------------


def test_short_time_transforms_see_each_window():
    x, w = RNG.standard_normal(20), np.hanning(8)
    got = torch.stft(torch.tensor(x), 8, 3, window=torch.tensor(w), return_complex=True)
    padded = np.pad(x, 4, "reflect")
    frames = np.stack([padded[i : i + 8] * w for i in range(0, len(padded) - 7, 3)], 1)
    np.testing.assert_allclose(got.numpy(), np.fft.rfft(frames, axis=0), atol=1e-12)


@pytest.mark.parametrize("onesided", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("length", [None, 23])
def test_short_time_transforms_come_back(onesided, normalized, length):
    x = torch.tensor(RNG.standard_normal((2, 23)), requires_grad=True)
    w = torch.tensor(np.hanning(8)[1:-1], requires_grad=True)

    def there(signal, window):
        return torch.stft(
            signal, 8, 2, 6, window, normalized=normalized, onesided=onesided, return_complex=True
        )

    def back(spectrum, window):
        return torch.istft(
            spectrum, 8, 2, 6, window, normalized=normalized, onesided=onesided, length=length
        )

    again = back(there(x, w), w)
    assert torch.allclose(again, x[:, : again.shape[1]])
    assert again.shape[1] == (23 if length else 22)
    assert gradcheck(there, (x[:1, :9].detach().requires_grad_(), w))


def test_errors_of_short_time_transforms():
    x = torch.ones(10)
    with pytest.raises(RuntimeError, match="requires the return_complex parameter"):
        torch.stft(x, 4)
    with pytest.raises(RuntimeError, match="expected hop_length > 0, but got hop_length=0"):
        x.stft(4, 0, return_complex=True)
    spectrum = torch.stft(x, 4, return_complex=True)
    with pytest.raises(RuntimeError, match="window overlap add min"):
        spectrum.istft(4, window=torch.zeros(4))
    with pytest.raises(RuntimeError, match="frequency dimension"):
        torch.istft(spectrum, 6)


# ---- windows -------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 2, 7])
def test_windows_are_those_of_numpy(length):
    twins = {"bartlett": np.bartlett, "blackman": np.blackman, "hamming": np.hamming}
    twins |= {"hann": np.hanning, "kaiser": lambda m: np.kaiser(m, 12.0)}
    for name, twin in twins.items():
        window = getattr(torch, name + "_window")
        got = window(length, periodic=False, dtype=torch.float64).numpy()
        np.testing.assert_allclose(got, twin(length), atol=1e-12)
        got = getattr(torch.signal.windows, name)(length, dtype=torch.float64).numpy()
        np.testing.assert_allclose(got, twin(length), atol=1e-12)
        if length > 1:
            got = window(length, dtype=torch.float64).numpy()
            np.testing.assert_allclose(got, twin(length + 1)[:-1], atol=1e-12)


def test_windows_by_formula():
    windows, n = torch.signal.windows, np.arange(5)
    twins = {
        windows.cosine: np.sin(np.pi * (n + 0.5) / 5),
        windows.gaussian: np.exp(-((n - 2) ** 2) / 2),
        windows.exponential: np.exp(-np.abs(n - 2)),
        windows.general_hamming: np.hamming(5),
    }
    for window, twin in twins.items():
        np.testing.assert_allclose(window(5).numpy(), twin, rtol=1e-6)
    assert windows.general_cosine(3, a=[0.5, 0.5]).tolist() == [0, 1, 0]
    assert windows.nuttall(5).argmax().item() == 2
    assert windows.hann(3, requires_grad=True).requires_grad
    with pytest.raises(ValueError, match="non-negative window length, got M=-1"):
        windows.hann(-1)
    with pytest.raises(ValueError, match="expects float32 or float64"):
        windows.hann(3, dtype=torch.int64)
    with pytest.raises(RuntimeError, match="non-negative window_length"):
        torch.hann_window(-1)
