"""Whether two results agree: numbers, tensors, and sequences and mappings of them.

Source: https://docs.pytorch.org/docs/stable/testing.html
"""

from __future__ import annotations

import cmath
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _dtypes
from .._dtypes import dtype
from ..core.value import Value
from ..ops.comparison import isclose
from ..tensor._creation import as_tensor
from ..tensor._tensor import Tensor

# dtype -> (rtol, atol)
_TOLERANCES = {
    _dtypes.float16: (1e-3, 1e-5),
    _dtypes.bfloat16: (1.6e-2, 1e-5),
    _dtypes.float32: (1.3e-6, 1e-5),
    _dtypes.float64: (1e-7, 1e-7),
    _dtypes.complex64: (1.3e-6, 1e-5),
    _dtypes.complex128: (1e-7, 1e-7),
}
_OF_NUMBERS = {float: _dtypes.float64, complex: _dtypes.complex128}
_NUMBERS = (int, float, complex, np.number)


class _Rules(NamedTuple):
    """How to compare."""

    rtol: float | None
    atol: float | None
    equal_nan: bool
    check_device: bool
    check_dtype: bool
    check_layout: bool
    check_stride: bool
    allow_subclasses: bool

    def tolerances(self, *dtypes: dtype) -> tuple[float, float]:
        """(rtol, atol): as given, or the largest of these dtypes' defaults."""
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        defaults = [_TOLERANCES.get(d, (0.0, 0.0)) for d in dtypes]
        return max(d[0] for d in defaults), max(d[1] for d in defaults)


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """AssertionError unless |actual - expected| <= atol + rtol |expected| for every number.

    Tensors and arrays, numbers, None and bools, and sequences and mappings of them, which must have
    the same lengths and keys. Tolerances default to what suits the dtype (float32: 1.3e-6 and 1e-5;
    float64: 1e-7 both; bfloat16: 1.6e-2 and 1e-5; integers: 0); give both or none. ``msg`` replaces
    the message, or makes another of it. ValueError for one tolerance alone; TypeError for what
    cannot be compared.
    """
    if (rtol is None) != (atol is None):
        raise ValueError(
            "Both 'rtol' and 'atol' must be either specified or omitted, "
            f"but got no {'rtol' if rtol is None else 'atol'}."
        )
    rules = _Rules(
        rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride,
        allow_subclasses,
    )  # fmt: skip
    problem = next(_problems(actual, expected, rules, ()), None)
    if problem is None:
        return
    text, place = problem
    if place:
        text += f"\n\nThe failure occurred for item {''.join(f'[{key!r}]' for key in place)}"
    if msg is not None:
        text = msg(text) if callable(msg) else msg
    raise AssertionError(text)


Problem = tuple[str, tuple]


def _problems(actual: Any, expected: Any, rules: _Rules, place: tuple) -> Iterator[Problem]:
    """What does not agree, and where, first the shape of nested values, then their numbers."""
    if _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            yield f"The length of the sequences mismatch: {len(actual)} != {len(expected)}", place
            return
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            yield from _problems(a, e, rules, (*place, i))
    elif isinstance(actual, Mapping) and isinstance(expected, Mapping):
        missing = [k for k in expected if k not in actual]
        more = [k for k in actual if k not in expected]
        if missing or more:
            text = "The keys of the mappings do not match:"
            if missing:
                text += f"\nMissing keys in the actual mapping: {_in_order(missing)}"
            if more:
                text += f"\nAdditional keys in the actual mapping: {_in_order(more)}"
            yield text, place
            return
        for key in _in_order(list(expected)):
            yield from _problems(actual[key], expected[key], rules, (*place, key))
    else:
        text = _difference(actual, expected, rules)
        if text:
            yield text, place


def _is_sequence(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _in_order(keys: list) -> list:
    try:
        return sorted(keys)
    except TypeError:
        return keys


def _difference(actual: Any, expected: Any, rules: _Rules) -> str | None:
    """What is different between two leaves, or None."""
    if actual is None or expected is None:
        if actual is expected:
            return None
        return f"None mismatch: {actual} is not {expected}"
    bools = [isinstance(v, (bool, np.bool_)) for v in (actual, expected)]
    if all(bools):
        return (
            None
            if bool(actual) is bool(expected)
            else f"Booleans mismatch: {actual} is not {expected}"
        )
    if isinstance(actual, _NUMBERS) and isinstance(expected, _NUMBERS):
        return _different_numbers(actual, expected, rules)
    related = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
    if related and (rules.allow_subclasses or type(actual) is type(expected)):
        a, e = (_tensor_like(v) for v in (actual, expected))
        if a is not None and e is not None:
            return _different_tensors(a, e, rules)
    raise TypeError(
        f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}."
    )


def _tensor_like(value: object) -> Tensor | None:
    if isinstance(value, Value):
        return value.detach()
    try:
        return as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return None


def _python_number(value: Any) -> int | float | complex:
    return value.item() if isinstance(value, np.number) else value


def _different_numbers(actual: Any, expected: Any, rules: _Rules) -> str | None:
    actual, expected = _python_number(actual), _python_number(expected)
    if rules.check_dtype and type(actual) is not type(expected):
        return f"The (d)types do not match: {type(actual)} != {type(expected)}."
    kinds = [_OF_NUMBERS.get(type(v), _dtypes.int64) for v in (actual, expected)]
    rtol, atol = rules.tolerances(*kinds)
    return _different_scalars(actual, expected, rtol, atol, rules.equal_nan)


def _different_scalars(
    actual: complex, expected: complex, rtol: float, atol: float, equal_nan: bool
) -> str | None:
    if actual == expected or (equal_nan and cmath.isnan(actual) and cmath.isnan(expected)):
        return None
    difference = abs(actual - expected)
    if math.isfinite(difference) and difference <= atol + rtol * abs(expected):
        return None
    relative = difference / abs(expected) if expected != 0 else math.inf
    exact = rtol == 0 and atol == 0
    return (
        f"Scalars are not {'equal' if exact else 'close'}!\n\n"
        f"Expected {expected} but got {actual}.\n"
        f"Absolute difference: {difference}{_allowed(atol, exact)}\n"
        f"Relative difference: {relative}{_allowed(rtol, exact)}"
    )


def _allowed(tolerance: float, exact: bool) -> str:
    return "" if exact else f" (up to {tolerance} allowed)"


def _different_tensors(actual: Tensor, expected: Tensor, rules: _Rules) -> str | None:
    attributes = {"shape": (actual.shape, expected.shape)}
    if rules.check_layout:
        attributes["layout"] = actual.layout, expected.layout
    if rules.check_device:
        attributes["device"] = actual.device, expected.device
    if rules.check_dtype:
        attributes["dtype"] = actual.dtype, expected.dtype
    if rules.check_stride:
        attributes["stride()"] = actual.stride(), expected.stride()
    for name, (one, other) in attributes.items():
        if one != other:
            return f"The values for attribute '{name}' do not match: {one} != {other}."
    rtol, atol = rules.tolerances(actual.dtype, expected.dtype)
    common = _dtypes.promote_types(actual.dtype, expected.dtype)
    actual, expected = actual.to(common), expected.to(common)
    close = isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=rules.equal_nan)
    if close.all():
        return None
    if actual.dim() == 0:
        return _different_scalars(actual.item(), expected.item(), rtol, atol, rules.equal_nan)
    if not (common.is_floating_point or common.is_complex):
        actual, expected = actual.to(_dtypes.int64), expected.to(_dtypes.int64)
    wrong = int((~close).sum())
    exact = rtol == 0 and atol == 0
    absolute = (actual - expected).abs().masked_fill(close, 0)
    relative = (absolute / expected.abs()).masked_fill(close, 0)
    lines = [
        f"Tensor-likes are not {'equal' if exact else 'close'}!\n",
        f"Mismatched elements: {wrong} / {close.numel()} ({wrong / close.numel():.1%})",
    ]
    for name, each, tolerance in (("absolute", absolute, atol), ("relative", relative, rtol)):
        flat = int(each.argmax())
        index = tuple(int(i) for i in np.unravel_index(flat, tuple(each.shape)))
        lines.append(
            f"Greatest {name} difference: {each[index].item()} at index {index}"
            + _allowed(tolerance, exact)
        )
    return "\n".join(lines)


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """``assert_close`` for whatever makes a tensor, of any dtypes; deprecated in PyTorch."""
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a "
        "future release. Please use `torch.testing.assert_close()` instead.",
        FutureWarning,
        stacklevel=2,
    )
    actual, expected = (v if isinstance(v, Value) else as_tensor(v) for v in (actual, expected))
    if rtol is None and atol is None:
        tolerances = [_TOLERANCES.get(v.dtype, (0.0, 0.0)) for v in (actual, expected)]
        rtol, atol = max(t[0] for t in tolerances), max(t[1] for t in tolerances)
    assert_close(
        actual,
        expected,
        rtol=rtol,
        atol=atol,
        equal_nan=equal_nan,
        check_dtype=False,
        msg=msg or None,
    )
