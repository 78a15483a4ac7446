"""Futures: one value, set once, waited for, called back."""

from __future__ import annotations

import threading

import pytest

from flambeau.futures import Future, collect_all, wait_all


def test_a_value_is_set_once() -> None:
    future = Future()
    assert not future.done()
    with pytest.raises(RuntimeError, match="before the future has completed"):
        future.value()
    threading.Timer(0.02, future.set_result, (3,)).start()
    assert future.wait() == 3 and future.value() == 3 and future.done()
    with pytest.raises(RuntimeError, match="can only be marked completed once"):
        future.set_result(4)
    with pytest.raises(AssertionError, match="not an Exception"):
        Future().set_exception(3)


def test_then_follows_and_errors_pass() -> None:
    future = Future()
    double = future.then(lambda f: f.wait() * 2)
    bad = double.then(lambda f: f.wait() / 0)
    future.set_result(4)
    assert double.wait() == 8
    with pytest.raises(RuntimeError, match="running the callback: ZeroDivisionError"):
        bad.wait()
    assert future.then(lambda f: f.value()).wait() == 4


def test_an_error_in_a_done_callback_is_shown_and_goes_no_further(capsys) -> None:
    future = Future()
    future.add_done_callback(lambda f: 1 / 0)
    future.set_result(1)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_collect_all_and_wait_all() -> None:
    a, b = Future(), Future()
    both = collect_all([a, b])
    a.set_result(1)
    assert not both.done()
    b.set_result(2)
    assert [f.value() for f in both.wait()] == [1, 2] and wait_all([a, b]) == [1, 2]
    assert collect_all([]).wait() == []
    c, d = Future(), Future()
    first = collect_all([c, d])
    c.set_exception(ValueError("y"))
    assert first.done()
    d.set_result(1)
    with pytest.raises(ValueError, match="y"):
        wait_all([c, d])
