"""What assert_close says, and what make_tensor makes. ``t`` is the library."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np


def _said(t: ModuleType, actual: Any, expected: Any, **options: Any) -> Any:
    try:
        return t.testing.assert_close(actual, expected, **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def comparisons(t: ModuleType) -> list:
    """Whole messages."""
    f, nan, inf = t.tensor, float("nan"), float("inf")
    pairs = [
        (f([1.0, 2, 3]), f([1.0, 2.5, 3])), (f(1.0), f(2.0)), (1.0, 2.0), (1, 2),
        (f([1, 2]), f([1, 3])), (f([1, 2]), f([1.0, 2])), (f([1, 2.0]), f([1.0, 2, 3])),
        ([f(1.0), f(2.0)], [f(1.0), f(3.0)]), ({"a": f(1.0)}, {"a": f(2.0)}),
        ({"a": f(1.0)}, {"b": f(2.0)}), ([1.0], [1.0, 2.0]), (f(nan), f(nan)), (nan, nan),
        (None, None), (None, 3), (True, False), (1, 1.0),
        (f([[1.0, 2], [3, 4]]), f([[1.0, 2], [3.1, 5]])),
        (f([True, False]), f([True, True])), (f([1 + 1j]), f([1 + 2j])), (f([inf]), f([1.0])),
        (f([0.0]), f([1.0])), (f([1.0]), f([0.0])), (1.0, 0.0), (f([1.0, 2]), f([1.0, nan])),
        (1 + 1j, 1 + 2j), (f([1.0], requires_grad=True), f([1.0])),
        ({"a": [f(1.0), {"b": f(2.0)}]}, {"a": [f(1.0), {"b": f(5.0)}]}), ([1.0], (1.0,)),
        (f([]), f([])), (t.zeros(3, dtype=t.bfloat16), t.ones(3, dtype=t.bfloat16)),
        (f([1, 2], dtype=t.uint8), f([2, 1], dtype=t.uint8)), (np.float64(1), 1.0),
        (np.array([1.0]), np.array([2.0])), (f([1.0 + 1e-6]), f([1.0])), (f([inf]), f([inf])),
        (t.zeros(2), t.zeros(2, dtype=t.float64)), ("a", "b"),
    ]  # fmt: skip
    options = [
        ((f([1.0, 2, 3]), f([1.0, 2.5, 3])), {"rtol": 0, "atol": 0}),
        ((f([nan]), f([nan])), {"equal_nan": True}), ((nan, nan), {"equal_nan": True}),
        ((f([1.0]), f([2.0])), {"rtol": 1e-3}), ((f([1.0]), f([2.0])), {"atol": 1e-3}),
        ((f([1.0]), f([2.0])), {"msg": "hey"}),
        ((f([1.0]), f([2.0])), {"msg": lambda m: "pre " + m}),
        ((t.zeros(2), t.zeros(2, dtype=t.float64)), {"check_dtype": False}),
        ((t.zeros(2, 3).t(), t.zeros(3, 2)), {"check_stride": True}),
        ((1.0, 2.0), {"rtol": 0.1, "atol": 0.2}), ((1, 2), {"rtol": 0.1, "atol": 0.1}),
        ((1, 1.0), {"check_dtype": False}), ((f([1.0]), f([1.25])), {"rtol": 0.2, "atol": 0.0}),
    ]  # fmt: skip
    said = [_said(t, *pair) for pair in pairs]
    said += [_said(t, *pair, **chosen) for pair, chosen in options]
    return [str(s).replace("flambeau.tensor._tensor", "torch") for s in said]


def made(t: ModuleType) -> list:
    """Random tensors, seed by seed, and what is refused."""
    calls = [
        {"shape": (2, 3), "low": 0, "high": 5},
        {"shape": (2, 3)},
        {"shape": 3, "dtype": t.int64},
        {"shape": (2, 3), "noncontiguous": True},
        {"shape": (2, 3), "requires_grad": True},
        {"shape": 3, "dtype": t.bool},
        {"shape": 3, "dtype": t.uint8},
        {"shape": 3, "dtype": t.int8},
        {"shape": 3, "dtype": t.complex64},
        {"shape": 3, "dtype": t.float64},
        {"shape": 3, "dtype": t.bfloat16},
        {"shape": (3, 4), "dtype": t.int64, "low": -3, "high": 100},
        {"shape": (0,)},
        {"shape": (), "dtype": t.float64},
        {"shape": 2, "low": 5, "high": 1},
        {"shape": 2, "dtype": t.int64, "requires_grad": True},
        {"shape": 2, "dtype": t.bool, "low": 0, "high": 5},
        {"shape": 2, "low": float("nan")},
        {"shape": 2, "dtype": t.uint8, "low": -5, "high": 300},
        {"shape": 3, "dtype": t.int64, "low": 0, "high": 2, "exclude_zero": True},
        {"shape": 3, "low": 2, "high": 2},
        {"shape": 2, "noncontiguous": True, "memory_format": t.channels_last},
        {"shape": 2, "dtype": t.int64, "low": 3, "high": 3},
        {"shape": 4, "low": -float("inf"), "high": 0.0},
    ]
    answers = []
    for call in calls:
        t.manual_seed(0)
        call = {"dtype": t.float32, "device": "cpu", **call}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                x = t.testing.make_tensor(call.pop("shape"), **call)
            whole = t.view_as_real(x) if x.is_complex() else x
            answers.append([whole, str(x.dtype), x.requires_grad, list(x.stride())])
        except Exception as error:
            answers.append(f"{type(error).__name__}: {error}")
    return answers
