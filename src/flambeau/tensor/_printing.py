"""The text of a tensor, character for character as PyTorch prints it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import _dtypes
from ..core.value import Value, reading
from ._device import CPU, META, Elsewhere, place_of


class _Options:
    """What ``set_printoptions`` sets."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors are printed: digits after the point, elements from which only edges are shown,
    elements at an edge, characters in a line, scientific notation (None: as the values need).

    ``profile``: "default", "short" or "full".
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"profile must be one of {', '.join(_PROFILES)}, got {profile!r}")
        for name, value in _PROFILES[profile].items():
            setattr(_Options, name, value)
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems,
             "linewidth": linewidth}  # fmt: skip
    for name, value in given.items():
        if value is not None:
            setattr(_Options, name, value)
    _Options.sci_mode = sci_mode


def get_printoptions() -> dict[str, object]:
    """The options that ``set_printoptions`` sets."""
    names = ("precision", "threshold", "edgeitems", "linewidth", "sci_mode")
    return {name: getattr(_Options, name) for name in names}


class printoptions:
    """Context manager: print options for the length of a ``with`` block."""

    def __init__(self, **options: object) -> None:
        self.options = options

    def __enter__(self) -> None:
        self.before = get_printoptions()
        set_printoptions(**{"sci_mode": self.before["sci_mode"], **self.options})

    def __exit__(self, *error: object) -> None:
        set_printoptions(**self.before)


class _Formatter:
    """One width and one notation for all elements, chosen by the finite nonzero ones."""

    def __init__(self, array: np.ndarray) -> None:
        self.floating = array.dtype.kind == "f"
        self.whole = True
        self.scientific = False
        self.width = 1
        if not self.floating:
            if array.size:
                self.width = max(len(str(v)) for v in array.reshape(-1).tolist())
            return
        values = array[np.isfinite(array) & (array != 0)].astype(np.float64)
        if not values.size:
            return
        sizes = np.abs(values)
        low, high = float(sizes.min()), float(sizes.max())
        self.whole = bool((values == np.ceil(values)).all())
        self.scientific = high / low > 1000.0 or high > 1.0e8 or (not self.whole and low < 1.0e-4)
        digits = _Options.precision
        if self.scientific:
            texts = (f"{v:.{digits}e}" for v in values.tolist())
        elif self.whole:
            texts = (f"{v:.0f}." for v in values.tolist())
        else:
            texts = (f"{v:.{digits}f}" for v in values.tolist())
        self.width = max(1, *(len(t) for t in texts)) if values.size > 1 else len(next(iter(texts)))
        if _Options.sci_mode is not None:
            self.scientific = _Options.sci_mode

    def __call__(self, value: float) -> str:
        """The text of one element, filled up with spaces on its left."""
        if not self.floating:
            text = str(value)
        elif self.scientific:
            text = f"{value:{self.width}.{_Options.precision}e}"
        elif self.whole:
            text = f"{value:.0f}"
            if math.isfinite(value):
                text += "."
        else:
            text = f"{value:.{_Options.precision}f}"
        return text.rjust(self.width)


def _element_formatter(array: np.ndarray) -> tuple[Callable[[object], str], int]:
    """A function from an element to its text, and the text's width."""
    if array.dtype.kind != "c":
        formatter = _Formatter(array)
        return formatter, formatter.width
    real, imag = _Formatter(array.real), _Formatter(array.imag)

    def both(value: complex) -> str:
        second = imag(value.imag).lstrip() + "j"
        sign = "" if second.startswith("-") else "+"
        return real(value.real) + sign + second

    return both, real.width + imag.width + 1


def _edges(array: np.ndarray) -> np.ndarray:
    """The elements that are shown when only edges are."""
    k = _Options.edgeitems
    for axis, n in enumerate(array.shape):
        if n > 2 * k:
            array = np.concatenate(
                (array.take(range(k), axis), array.take(range(n - k, n), axis)), axis
            )
    return array


def _vector(array: np.ndarray, indent: int, brief: bool, text: Callable, width: int) -> str:
    k = _Options.edgeitems
    per_line = max(1, (_Options.linewidth - indent) // (width + 2))
    if brief and not k:
        items = ["..."]
    elif brief and array.shape[0] > 2 * k:
        items = [text(v) for v in array[:k].tolist()]
        items += [" ..."]
        items += [text(v) for v in array[-k:].tolist()]
    else:
        items = [text(v) for v in array.tolist()]
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(array: np.ndarray, indent: int, brief: bool, text: Callable, width: int) -> str:
    if array.ndim == 0:
        return text(array.item())
    if array.ndim == 1:
        return _vector(array, indent, brief, text, width)
    k = _Options.edgeitems
    if brief and array.shape[0] > 2 * k:
        rows = [_nested(array[i], indent + 1, brief, text, width) for i in range(k)]
        rows += ["..."]
        n = array.shape[0]
        rows += [_nested(array[i], indent + 1, brief, text, width) for i in range(n - k, n)]
    else:
        rows = [_nested(row, indent + 1, brief, text, width) for row in array]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(rows) + "]"


def _contents(array: np.ndarray, indent: int) -> str:
    if not array.size:
        return "[]"
    if array.dtype.kind not in "biufc" or array.dtype == np.float16:
        array = array.astype(np.float32)
    brief = array.size > _Options.threshold
    text, width = _element_formatter(_edges(array) if brief else array)
    return _nested(array, indent, brief, text, width)


def _is_default(d: _dtypes.dtype) -> bool:
    default = _dtypes.get_default_dtype()
    return d in (default, default.to_complex(), _dtypes.int64, _dtypes.bool_)


def text_of(tensor: Value) -> str:
    """``tensor(...)`` with what is not the default: size, dtype, requires_grad or grad_fn."""
    described = getattr(tensor._array, "described", None)
    prefix = "tensor("
    indent = len(prefix)
    array, d = tensor._array, tensor.dtype
    notes = []
    if place_of(array) is META:
        notes += ["device='meta'", f"size={tuple(array.shape)}"]
        if d is not _dtypes.get_default_dtype():
            notes.append(f"dtype={d!r}")
    elif place_of(array) is not CPU:
        notes.append(f"device='{place_of(array)}'")
        array = Elsewhere.on(place_of(array)).taken(array)
        if array.size and not _is_default(d):
            notes.append(f"dtype={d!r}")
    elif described is not None:  # not the elements themselves: a batched tensor
        return described()
    elif not array.size:
        if array.ndim != 1:
            notes.append(f"size={tuple(array.shape)}")
        if d is not _dtypes.get_default_dtype():
            notes.append(f"dtype={d!r}")
    elif not _is_default(d):
        notes.append(f"dtype={d!r}")
    node = tensor.grad_fn
    if node is not None:
        notes.append(f"grad_fn=<{node.label}>")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    if described is None:
        reading(tensor, "printing")
    text = prefix + ("..." if described is not None else _contents(array, indent))
    parts = [text]
    line = len(text) - text.rfind("\n") + 1
    for note in notes:
        if line + len(note) + 2 > _Options.linewidth:
            parts.append(",\n" + " " * indent + note)
            line = indent + len(note)
        else:
            parts.append(", " + note)
            line += len(note) + 2
    return "".join(parts) + ")"


__all__ = ["get_printoptions", "printoptions", "set_printoptions"]
