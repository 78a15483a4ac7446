"""Short-time Fourier transforms: the spectrum of a signal in overlapping windows, and back.

Source: https://docs.pytorch.org/docs/stable/generated/torch.stft.html
"""

from __future__ import annotations

import numpy as np

from .. import _dtypes
from ..core.modes import hook
from ..core.value import Value, constant, reading
from ..ops._arguments import check_tensor
from ..ops.fourier import c2c_op, c2r_op, r2c_op
from ..ops.padding import pad


def _described(name: str, input: Value, **arguments: object) -> str:
    """The call as PyTorch's messages begin."""
    shown = [f"{input.type()}{list(input._array.shape)}"]
    for key, value in arguments.items():
        if isinstance(value, Value):
            value = f"{value.type()}{{{list(value._array.shape)}}}"
        shown.append(f"{key}={int(value) if isinstance(value, bool) else value}")
    return f"{name}({', '.join(shown)})"


def _window(window: Value | None, like: Value, n_fft: int, win_length: int) -> Value | None:
    """The window in the middle of ``n_fft`` points; None where all of it is 1."""
    if window is None:
        if win_length == n_fft:
            return None
        window = like.new_ones(win_length, dtype=like.dtype.to_real())
    if win_length < n_fft:
        left = (n_fft - win_length) // 2
        window = pad(window, (left, n_fft - win_length - left))
    return window


def stft(
    input: Value,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Value | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Value:
    """The spectrum of ``n_fft`` points every ``hop_length``: (batch, length) -> (batch, n, frames).

    ``center`` pads the signal so that frame t is about point ``t hop_length``; ``normalized``
    divides by sqrt(n_fft); ``onesided`` (for real input) leaves out the redundant half.
    """
    if hook.active is not None:
        input, window = hook.active.operands("stft", (input, window))
    check_tensor("stft", input)
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    if window is not None and window._array.dtype.kind not in "fcV":
        raise RuntimeError(f"stft: window must be floating or complex, got {window.dtype!r}")
    complex_input = input.is_complex() or (window is not None and window.is_complex())
    if return_complex is None:
        if not complex_input:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will "
                "further require that return_complex=True in a future PyTorch release."
            )
        return_complex = True
    if align_to_window is not None and center:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    x = input
    if center and input._array.ndim in (1, 2):
        half = n_fft // 2
        lead = 3 - x._array.ndim
        shape = x._array.shape
        x = pad(x.reshape((1,) * lead + shape), (half, half), pad_mode)
        x = x.reshape((*shape[:-1], x._array.shape[-1]))
    described = _described(
        "stft", x, n_fft=n_fft, hop_length=hop, win_length=length, window=window,
        normalized=normalized, onesided=onesided, return_complex=return_complex,
    )  # fmt: skip
    if x.dtype.category < _dtypes.FLOATING:
        raise RuntimeError(f"{described} : expected a tensor of floating point or complex values")
    if x._array.ndim not in (1, 2):
        raise RuntimeError(f"{described} : expected a 1D or 2D tensor")
    points = x._array.shape[-1]
    if not 0 < n_fft <= points:
        raise RuntimeError(f"{described} : expected 0 < n_fft <= {points}, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(f"{described} : expected hop_length > 0, but got hop_length={hop}")
    if not 0 < length <= n_fft:
        raise RuntimeError(
            f"{described} : expected 0 < win_length <= n_fft, but got win_length={length}"
        )
    if window is not None and window._array.shape != (length,):
        raise RuntimeError(
            f"{described} : expected a 1D window tensor of size equal to win_length={length}, but "
            f"got window with size {list(window._array.shape)}"
        )
    if onesided is None:
        onesided = not complex_input
    if onesided and complex_input:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if align_to_window:  # the first frame starts where the window does, not its padding
        left = (n_fft - length) // 2
        x = pad(x, (left, n_fft - length - left))
    frames = x.unfold(-1, n_fft, hop)
    w = _window(window, x, n_fft, length)
    if w is not None:
        frames = frames * w
    last = (frames._array.ndim - 1,)
    norm = "ortho" if normalized else "backward"
    if complex_input:
        r = c2c_op(frames, last, norm, True)
    elif onesided:
        r = r2c_op(frames, last, norm, True)
    else:
        r = c2c_op(frames.to(frames.dtype.to_complex()), last, norm, True)
    r = r.transpose(-1, -2)
    return r if return_complex else r.view_as_real()


def istft(
    input: Value,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Value | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Value:
    """The signal whose ``stft`` is nearest to ``input``, (batch, n, frames) -> (batch, length).

    Overlapping frames are added up and divided by the sum of the squared windows, which must be
    zero nowhere (RuntimeError).
    Source: Griffin and Lim, Signal estimation from modified short-time Fourier transform (1984).
    """
    check_tensor("istft", input)
    hop = n_fft // 4 if hop_length is None else hop_length
    size = n_fft if win_length is None else win_length
    described = _described(
        "istft", input, n_fft=n_fft, hop_length=hop, win_length=size, window=window,
        center=center, normalized=normalized, onesided=onesided, length=length,
        return_complex=return_complex,
    )  # fmt: skip
    if not input.is_complex():
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            "return_complex=True."
        )
    if not input._array.size:
        raise RuntimeError(f"{described} : input tensor cannot be empty.")
    if input._array.ndim not in (2, 3):
        raise RuntimeError(
            f"{described} : expected a tensor with 2 or 3 dimensions, but got {input._array.ndim}"
        )
    bins, count = input._array.shape[-2:]
    if onesided is None:
        onesided = bins != n_fft
    wanted = n_fft // 2 + 1 if onesided else n_fft
    if bins != wanted:
        raise RuntimeError(
            f"{described} : expected the frequency dimension (3rd to the last) of the input tensor "
            f"to match {'n_fft / 2 + 1' if onesided else 'n_fft'} when onesided={onesided}, but "
            f"got {bins}"
        )
    if not 0 < hop <= size:
        raise RuntimeError(f"{described} : expected 0 < hop_length <= win_length")
    if not 0 < size <= n_fft:
        raise RuntimeError(f"{described} : expected 0 < win_length <= n_fft")
    if window is not None:
        if window._array.shape != (size,):
            raise RuntimeError(
                f"{described} : Invalid window shape. window has to be 1D and length of "
                f"`win_length`\n  its shape is {window._array.shape}"
            )
        if window.is_complex() and not return_complex:
            raise RuntimeError("Complex windows are incompatible with return_complex=False")
    if return_complex and onesided:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    w = _window(window, input, n_fft, size)
    if w is None:
        w = input.new_ones(n_fft, dtype=input.dtype.to_real())
    x = input if input._array.ndim == 3 else input.unsqueeze(0)
    x = x.transpose(1, 2)
    norm = "ortho" if normalized else "backward"
    if return_complex:
        frames = c2c_op(x, (2,), norm, False)
    else:
        half = x if onesided else x.narrow(-1, 0, n_fft // 2 + 1)
        frames = c2r_op(half, (2,), norm, False, n_fft)
    full = n_fft + hop * (count - 1)
    places = constant((np.arange(count)[:, None] * hop + np.arange(n_fft)).reshape(-1))
    batch = x._array.shape[0]
    added = (frames * w).reshape(batch, count * n_fft)
    signal = added.new_zeros((batch, full)).index_add(1, places, added)
    squares = (w * w).expand(count, n_fft)
    envelope = squares.new_zeros(full).index_add(0, places, squares.reshape(count * n_fft))
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else full - n_fft // 2 if center else full
    kept = max(min(end, full) - start, 0)
    signal, envelope = signal.narrow(1, start, kept), envelope.narrow(0, start, kept)
    if kept:
        reading(envelope, "istft")
    if kept and envelope.detach().abs()._array.min() <= 1e-11:
        raise RuntimeError(
            f"{described} window overlap add min: 1\n"
            "  somewhere the squares of the overlapping windows add up to 0, so that the signal "
            "cannot be recovered; use a smaller hop_length or another window"
        )
    signal = signal / envelope
    if end > start + kept:
        signal = pad(signal, (0, end - start - kept))
    return signal if input._array.ndim == 3 else signal.squeeze(0)


__all__ = ["istft", "stft"]
