"""What compiled programs do for large arrays: products of BLAS, sums in chunks, looked-up rows."""

import pytest

import flambeau as torch
from flambeau.compiler import products_code, segment_text

pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
pytestmark = pytest.mark.usefixtures("strict")


def randn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def program(function, *inputs):
    """A compiled function after its first run as machine code, and the program."""
    compiled = torch.compile(function)
    for _ in range(3):
        compiled(*inputs)
    return compiled, compiled.variants[0].program.run


@pytest.mark.parametrize("least", [4, 64])
@pytest.mark.parametrize(("m", "k", "n"), [(7, 11, 13), (13, 11, 7), (5, 5, 5)])
@pytest.mark.parametrize("turned", [False, True])
def test_large_products_are_those_of_blas(monkeypatch, least, m, k, n, turned):
    monkeypatch.setattr(products_code, "LARGE", least)
    a, b = randn(m, k), randn(n, k).T if turned else randn(k, n)
    compiled, run = program(lambda a, b: (a @ b).relu(), a, b)
    assert ("call void @flambeau_sgemm" in run.text) == (least == 4)
    assert run.asks_blas == (least == 4 and run.threads > 1)
    torch.testing.assert_close(compiled(a, b), (a @ b).relu())


def test_a_result_far_away_is_asked_for_while_its_sums_run():
    a, b = randn(520, 9), randn(9, 520)
    compiled, run = program(lambda a, b: a @ b, a, b)
    assert run.text.count("llvm.prefetch") > 2
    torch.testing.assert_close(compiled(a, b), a @ b)


@pytest.mark.parametrize("function", [torch.sum, torch.mean, lambda x: x.sum(0)])
def test_a_short_sum_has_a_part_for_each_chunk(function):
    x = randn(1030, 1024)
    compiled, run = program(function, x)
    (unit, *_) = run.plan.units
    chunks = segment_text.kernel_cut(unit, run.threads)[1]
    assert chunks == 1 if run.threads == 1 else chunks > run.threads
    first = compiled(x)
    torch.testing.assert_close(first, function(x.double()).float(), rtol=1e-5, atol=1e-3)
    assert all(torch.equal(compiled(x), first) for _ in range(50))


def test_a_long_sum_has_a_part_for_each_thread():
    x = randn(601, segment_text.SHORT + 1)
    compiled, run = program(lambda x: x.sum(0), x)
    assert segment_text.kernel_cut(run.plan.units[0], run.threads)[1] == run.threads
    torch.testing.assert_close(compiled(x), x.double().sum(0).float(), rtol=1e-5, atol=1e-3)


def test_rows_that_are_looked_up_do_not_stream(monkeypatch):
    monkeypatch.setattr(segment_text._system, "last_cache", lambda: 1)
    table, rows = randn(50, 64), torch.arange(49, -1, -3)
    compiled, run = program(lambda table, rows: table[rows], table, rows)
    assert "nontemporal" not in run.text
    assert torch.equal(compiled(table, rows), table[rows])
    doubled, run = program(lambda x: x * 2, table)
    assert "nontemporal" in run.text
    assert torch.equal(doubled(table), table * 2)


@pytest.mark.parametrize("dim", [0, 1])
def test_softmax_of_infinities_and_nan(dim):
    x = randn(6, 9)
    x[1, 2], x[3, 3], x[4, 0] = float("inf"), float("nan"), -float("inf")
    x[5], x[:, 8] = -float("inf"), -float("inf")
    for function in (torch.softmax, torch.log_softmax):
        compiled, _ = program(lambda x, f=function: f(x, dim), x)
        torch.testing.assert_close(compiled(x), function(x, dim), equal_nan=True)
