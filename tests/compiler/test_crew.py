"""The crew: every part of a job is done exactly once, by however many threads are awake."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import flambeau
from flambeau.compiler import crew as crew_module
from flambeau.compiler import crew_products, machine_code
from flambeau.compiler.builder import I64, PTR, Code
from flambeau.compiler.rows_kernels import address
from flambeau.core import threads

pytest.importorskip("llvmlite", reason="the crew runs machine code")


@pytest.fixture
def two_threads():
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    yield
    threads.set_num_threads(before)


@pytest.fixture(scope="module")
def count_each() -> machine_code.Task:
    """``task(out, by, start, stop)`` adds ``by`` to each element of the range."""
    code = Code("kernel", {"out": PTR, "by": I64, "start": I64, "stop": I64})

    def body(i) -> None:
        code.store(code.load(I64, code["out"], i) + code["by"], code["out"], i)

    code.loop(code["start"], code["stop"], body)
    pointer, integer = ctypes.c_void_p, ctypes.c_int64
    return machine_code.load(code.text(), [pointer, integer, integer, integer])


MEETING = """
define void @kernel(ptr %arrived, i64 %count, i64 %start, i64 %stop) {
entry:
  %0 = atomicrmw add ptr %arrived, i64 1 seq_cst
  br label %wait
wait:
  %now = load atomic i64, ptr %arrived seq_cst, align 8
  %all = icmp sge i64 %now, %count
  br i1 %all, label %done, label %wait
done:
  ret void
}
"""


@pytest.mark.parametrize("length", [0, 1, 2, 7, 8, 9, 1000, 4097])
@pytest.mark.parametrize("step", [1, 16])
def test_each_place_is_reached_once(two_threads, count_each, length: int, step: int) -> None:
    counts = np.zeros(length + 1, np.int64)
    for _ in range(20):
        crew_module.crew().spread(count_each, (address(counts), 3), length, step)
    assert (counts[:length] == 60).all() and counts[length] == 0


def test_jobs_follow_each_other_whether_workers_sleep_or_not(two_threads, count_each) -> None:
    counts = np.zeros(999, np.int64)
    for k in range(60):
        crew_module.crew().spread(count_each, (address(counts), 1), 999)
        if k % 20 == 0:
            time.sleep(0.02)  # longer than the workers' patience
    assert (counts == 60).all()


def test_all_of_a_group_run_at_the_same_time(two_threads) -> None:
    kinds = [ctypes.c_void_p] + [ctypes.c_int64] * 3
    meet = machine_code.load(MEETING, kinds)
    crew = crew_module.crew()
    for k in range(50):
        arrived = np.zeros(1, np.int64)
        assert crew.together(meet, (address(arrived), 2), 2)  # alone, it would wait for ever
        assert arrived[0] == 2
        if k % 10 == 0:
            time.sleep(0.02)
        if k % 10 == 5:
            threads.run_parts(lambda i, j: None, 10)  # Python's tasks come in between


def test_a_group_is_not_to_be_had_from_one_thread(count_each) -> None:
    before = threads.get_num_threads()
    threads.set_num_threads(1)
    try:
        assert not crew_module.crew().together(count_each, (0, 1), 2)
    finally:
        threads.set_num_threads(before)


def test_several_callers_do_not_disturb_each_other(two_threads, count_each) -> None:
    arrays = [np.zeros(5000, np.int64) for _ in range(4)]

    def caller(counts: np.ndarray) -> None:
        for _ in range(200):
            crew_module.crew().spread(count_each, (address(counts), 1), 5000)

    callers = [threading.Thread(target=caller, args=(a,)) for a in arrays]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    assert all((a == 200).all() for a in arrays)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_its_own_workers(two_threads, count_each) -> None:
    counts = np.zeros(5000, np.int64)
    crew_module.crew().spread(count_each, (address(counts), 1), 5000)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            crew_module.crew().spread(count_each, (address(counts), 1), 5000)
            code = 0 if (counts == 2).all() else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def test_a_process_ends_while_its_workers_watch() -> None:
    program = (
        "import flambeau as torch; torch.set_num_threads(2); x = torch.ones(1 << 20); x.tanh();"
        "from flambeau.core import threads; assert threads.crew is not None; x.tanh()"
    )
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "m, k, n", [(130, 70, 90), (90, 70, 130), (2, 500, 700), (700, 500, 2), (64, 3, 64)]
)
def test_products_in_every_layout(two_threads, dtype: type, m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(0)
    for turned_a in (False, True):
        for turned_b in (False, True):
            a = rng.standard_normal((k, m) if turned_a else (m, k)).astype(dtype)
            b = rng.standard_normal((n, k) if turned_b else (k, n)).astype(dtype)
            a, b = (a.T if turned_a else a), (b.T if turned_b else b)
            np.testing.assert_allclose(
                crew_products.dot(a, b), a @ b, rtol=1e-4, atol=1e-4 if dtype == np.float32 else 0
            )


def test_products_of_parts_of_larger_matrices(two_threads) -> None:
    wide = np.random.default_rng(0).standard_normal((200, 300))
    a, b = wide[10:150, 20:120], wide[:100, 30:130]
    np.testing.assert_allclose(crew_products.dot(a, b), a.copy() @ b.copy(), rtol=1e-9)
    assert crew_products.dot(a[:, ::2], b[::2]) is None  # gaps between columns: NumPy copies
    assert crew_products.dot(a, b.astype(np.float32)) is None
    assert crew_products.dot(a, b[1:]) is None  # NumPy has the words for it


def test_a_large_product_keeps_blas_threads_as_they_were(two_threads) -> None:
    crew_module.crew()
    blas = flambeau._system.blas()
    before = blas.get_num_threads() if blas else 1
    a = flambeau.randn(300, 300)
    np.testing.assert_allclose((a @ a).numpy(), a.numpy() @ a.numpy(), rtol=1e-3, atol=1e-3)
    assert before == (blas.get_num_threads() if blas else 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("m", "n"), [(67, 33), (33, 67), (5, 1000), (1000, 5)])
def test_products_with_a_bias_are_numpys(m, n, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, 41)).astype(dtype), rng.standard_normal((n, 41)).astype(dtype)
    bias = rng.standard_normal(n).astype(dtype)
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    got = crew_products.dot(a, b.T, bias)
    if got is not None:  # there are threads, and a BLAS
        np.testing.assert_allclose(got, a @ b.T + bias, **close)
        np.testing.assert_allclose(crew_products.dot(a, b.T), a @ b.T, **close)
    for odd in (bias[:1], np.repeat(bias, 2)[::2], bias.astype(np.float16), bias[None]):
        assert crew_products.dot(a, b.T, odd) is None
        np.testing.assert_allclose(threads.dot(a, b.T, odd), a @ b.T + odd, **close)
