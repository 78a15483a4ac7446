"""Optimizers' steps on large tensors: by kernels, as by NumPy."""

import numpy as np
import pytest

import flambeau as torch
from flambeau import _config
from flambeau.compiler import eager_updates
from flambeau.core import formulas

pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")

SIZE = formulas._SMALL + 77
OPTIMIZERS = {
    "SGD": [{"lr": 0.1}, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}],
    "Adam": [{}, {"amsgrad": True, "weight_decay": 0.1, "maximize": True}],
    "AdamW": [{}, {"betas": (0.5, 0.9), "eps": 1e-3}],
    "NAdam": [{}], "RAdam": [{}], "Adamax": [{}], "Adadelta": [{}], "Adagrad": [{}],
    "RMSprop": [{}, {"centered": True, "momentum": 0.5}], "Rprop": [{}], "ASGD": [{}],
    "Adafactor": [{}],
}  # fmt: skip
CASES = [(name, options) for name, many in OPTIMIZERS.items() for options in many]


def stepped(name, options, dtype, transposed=False):
    """Parameters after some steps, in which the learning rate takes other turns."""
    rng = np.random.default_rng(3)

    def drawn(shape):
        values = torch.tensor(rng.standard_normal(shape)).to(dtype)
        values.view(-1)[:4] = torch.tensor([0.0, -0.0, 1e-30, -3.0])
        return values.t() if transposed else values

    shapes = [(7, SIZE // 7 + 1), (3, 5)]
    parameters = [torch.nn.Parameter(drawn(shape)) for shape in shapes]
    optimizer = getattr(torch.optim, name)(parameters, **options)
    for lr in (None, 1e-2, 1.0, 0.0, 1e-2, 1e-2):
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] if lr is None else lr
        for p, shape in zip(parameters, shapes):
            p.grad = drawn(shape)
        optimizer.step()
    return [p.detach() for p in parameters]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_steps_are_numpys(name, options, dtype):
    got = stepped(name, options, dtype)
    with _config.override(compiled_kernels=False):
        expected = stepped(name, options, dtype)
    close = {torch.float32: 2e-6, torch.float64: 1e-14, torch.bfloat16: 1e-2}[dtype]
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=close, atol=close, equal_nan=True)


def test_a_kernel_serves_all_learning_rates_and_transposed_tensors(monkeypatch):
    monkeypatch.setattr(eager_updates, "_kernels", {})
    got = stepped("Adam", {}, torch.float32, transposed=True)
    assert 1 <= len([k for k in eager_updates._kernels.values() if k]) <= 3  # signs, and 1
    with _config.override(compiled_kernels=False):
        expected = stepped("Adam", {}, torch.float32, transposed=True)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-6, atol=2e-6)


def change_with(held):
    def change(p):
        p *= 2
        p += held if isinstance(held, float) else 1.0

    return change


@pytest.mark.parametrize("held", [float("nan"), float("inf"), [1.0], np.ones(3)])
def test_what_a_kernel_cannot_hold_is_numpys(held):
    assert eager_updates.compiled_change(change_with(held), np.dtype(np.float32), 1) is None


def test_formulas_that_decide_by_elements_are_numpys():
    def change(p):
        if p.max() > 0:
            p -= 1

    assert eager_updates.compiled_change(change, np.dtype(np.float32), 1) is None
    assert eager_updates.compiled_change(np.negative, np.dtype(np.float32), 1) is None
    assert eager_updates.compiled_change(change_with(2.0), np.dtype(np.int32), 1) is None


def test_numbers_come_with_each_run():
    for held in (2.0, 3.0, 0.25):
        array = np.arange(5, dtype=np.float32)
        eager_updates.compiled_change(change_with(held), array.dtype, 1)(array)
        assert array.tolist() == [held, 2 + held, 4 + held, 6 + held, 8 + held]
