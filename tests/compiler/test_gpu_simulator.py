"""Kernels in their GPU form, thread by thread: values against float64, and the mistakes that a
GPU would only sometimes show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from gpu_cases import CASES, graph_of, randn, summed, turned

import flambeau as torch
from flambeau.compiler import scalar
from flambeau.compiler.compiled import Compiled
from flambeau.compiler.gpu_code import (
    Barrier,
    Compute,
    GpuKernel,
    If,
    Loop,
    Read,
    Shuffle,
    lowered,
)
from flambeau.compiler.gpu_simulator import (
    Divergence,
    Outside,
    Race,
    SimulatedProgram,
    Unwritten,
    run,
    simulate,
)
from flambeau.compiler.kernel import Kernel, Load, Pass, Store, verify
from flambeau.compiler.python_code import PythonProgram
from flambeau.compiler.scalar import BOOL, FLOAT32, INT32, INT64, constant


@pytest.mark.parametrize("name", CASES)
def test_kernels_give_what_float64_gives(name: str) -> None:
    function, reference, inputs = CASES[name]
    program = SimulatedProgram(graph_of(function, inputs))
    assert all(u.kernel is not None for u in program.plan.units)
    got = program([a.copy() for a in inputs])
    expected = reference(*(a.astype(np.float64) for a in inputs))
    expected = expected if isinstance(expected, list) else [expected]
    assert len(got) == len(expected)
    for a, b in zip(got, expected):
        assert a.dtype == np.float32
        assert a.shape == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["elementwise", "softmax", "gradients of layer norm"])
def test_kernels_give_what_the_cpus_loops_give_and_equal_runs_equal_bits(name: str) -> None:
    function, _, inputs = CASES[name]
    graph = graph_of(function, inputs)
    first, again = (SimulatedProgram(graph)([a.copy() for a in inputs]) for _ in range(2))
    for a, b, c in zip(first, again, PythonProgram(graph)([a.copy() for a in inputs])):
        assert a.tobytes() == b.tobytes()
        np.testing.assert_allclose(a, c, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # eager's, of inf - inf
def test_odd_values_go_through_reductions() -> None:
    x = randn(5, 70)
    x[0, 3], x[1, 69], x[2, 5], x[3] = np.nan, np.inf, -np.inf, -0.0
    graph = graph_of(lambda a: (a.amax(1), a.amin(1), a.sum(1), a.softmax(1)), [x])
    largest, smallest, total, soft = SimulatedProgram(graph)([x.copy()])
    np.testing.assert_array_equal(largest, x.max(1))
    np.testing.assert_array_equal(smallest, x.min(1))
    np.testing.assert_allclose(total, x.sum(1), rtol=1e-5, atol=1e-5)
    assert np.isnan(soft[:2]).all()
    assert soft[2, 5] == 0
    np.testing.assert_allclose(soft[3], 1 / 70, rtol=1e-6)


@pytest.mark.parametrize(
    "x",
    [np.arange(60, dtype=np.int64).reshape(5, 12) * 7, np.arange(60).reshape(5, 12) % 3 == 0],
    ids=["int64", "bool"],
)
def test_integers_and_bools_are_exact(x: np.ndarray) -> None:
    graph = graph_of(lambda a: (a.sum(0), a.sum(1), a.long() * 3 + 1), [x])
    got = SimulatedProgram(graph)([x.copy()])
    for a, b in zip(got, (x.sum(0), x.sum(1), x.astype(np.int64) * 3 + 1), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "make",
    [
        lambda ps: torch.optim.SGD(ps, 0.1, momentum=0.9, weight_decay=0.01),
        lambda ps: torch.optim.AdamW(ps, 0.01),
    ],
    ids=["momentum", "adamw"],
)
def test_optimizers_step_as_eagerly(make: Callable) -> None:
    for a, b in zip(_stepped(make, False), _stepped(make, True), strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-5, atol=1e-6)


def _stepped(make: Callable, on_gpu: bool) -> list[np.ndarray]:
    """Parameters after a few steps."""
    p, q = (torch.tensor(randn(*s)).requires_grad_() for s in ((7, 9), (40,)))
    optimizer = make([p, q])

    def step(a: torch.Tensor, b: torch.Tensor) -> None:
        optimizer.zero_grad()
        ((p * a).tanh().sum() + (q * b).square().sum()).backward()
        optimizer.step()

    f = Compiled(step, _Simulator()) if on_gpu else step
    for i in range(4):
        optimizer.param_groups[0]["lr"] *= 0.5
        f(torch.tensor(randn(7, 9, seed=i)), torch.tensor(randn(40, seed=i)))
    assert not on_gpu or f.variants, f.explain()
    return [p.detach().numpy(), q.detach().numpy()]


class _Simulator:
    """An executor of captured programs."""

    build = SimulatedProgram


@pytest.mark.parametrize("cols", [1, 7, 40, 1200, 9000])
def test_threads_wait_where_a_pass_reads_what_other_threads_wrote(cols: int) -> None:
    x, out = randn(3, cols), np.zeros(3 * cols, np.float32)
    run(turned(3, cols), [x.reshape(-1), out, np.zeros(0, np.float32)])
    np.testing.assert_array_equal(out.reshape(3, cols), 2 * x[:, ::-1])
    kernel = lowered(turned(3, cols))
    assert kernel.own == ({2: cols} if cols == 9000 else {})  # too long for shared memory
    assert len(_barriers(kernel)) == (0 if cols == 1 else 2)


@pytest.mark.parametrize("cols", [20, 40, 1100])
def test_threads_wait_where_a_result_is_written_in_place(cols: int) -> None:
    x, m, y = randn(5, cols), randn(5), np.zeros((5, cols), np.float32)
    factor = scalar.input(1, FLOAT32)
    kernel = Kernel(
        rows=(5,),
        cols=(cols,),
        buffers=[FLOAT32] * 4,
        loads=[Load(0, FLOAT32, (cols, 1), 0), Load(1, FLOAT32, (1, 0), 0)],
        passes=[
            Pass(
                stores=[
                    Store(2, (cols, 1), 0, scalar.input(0, FLOAT32) * factor),
                    Store(3, (1, 0), 0, factor * 2, row=True),
                ]
            )
        ],
        slots=[],
    )
    verify(kernel)
    given = [x.reshape(-1), m.copy(), y.reshape(-1)]
    with pytest.raises(Race, match=r"buffer [13] at 0 is .* by thread 0 .* no barrier"):
        simulate(lowered(kernel), [*given, given[1]])
    given[1][:] = m
    run(kernel, [*given, given[1]])
    np.testing.assert_array_equal(y, x * m[:, None])
    np.testing.assert_array_equal(given[1], 2 * m)
    assert not _barriers(lowered(kernel))
    assert len(_barriers(lowered(kernel, "abcb"))) == 1


def test_columns_that_share_a_place_are_added_one_after_the_other() -> None:
    x, out = randn(4, 3, 5), np.zeros(5, np.float32)
    kernel = Kernel(
        rows=(4,),
        cols=(3, 5),
        buffers=[FLOAT32, FLOAT32],
        loads=[Load(0, FLOAT32, (15, 5, 1), 0)],
        passes=[Pass(stores=[Store(1, (0, 0, 1), 0, scalar.input(0, FLOAT32), add=True)])],
        slots=[],
    )
    verify(kernel)
    assert lowered(kernel).group == 1
    run(kernel, [x.reshape(-1), out])
    np.testing.assert_allclose(out, x.sum((0, 1)), rtol=1e-6)


def test_no_rows_are_no_work() -> None:
    run(summed(0, 8), [np.zeros(0, np.float32), np.zeros(0, np.float32)])
    out = np.ones(3, np.float32)
    run(summed(3, 0), [np.zeros(0, np.float32), out])
    assert not out.any()  # the sum of nothing


# ---- mistakes ------------------------------------------------------------------------------


def _bodies(kernel: GpuKernel) -> list[list]:
    return [kernel.body, *(i.body for i in kernel.instructions() if isinstance(i, Loop | If))]


def _barriers(kernel: GpuKernel) -> list[tuple[list, int]]:
    """Where its barriers are: a body and a place in it."""
    return [
        (body, k)
        for body in _bodies(kernel)
        for k, one in enumerate(body)
        if isinstance(one, Barrier)
    ]


def _simulated(kernel: GpuKernel, rows: int, cols: int) -> None:
    """One block does all rows, so that rows may overtake each other."""
    kernel.blocks = 1
    arrays = [randn(rows * cols), np.zeros(rows * cols, np.float32), np.zeros(0, np.float32)]
    simulate(kernel, arrays[: len(kernel.buffers)])


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("make", "rows", "cols"),
    [(summed, 3, 1100), (turned, 3, 1100), (turned, 9, 40), (turned, 40, 7)],
)
def test_a_missing_barrier_is_a_race(make: Callable, rows: int, cols: int, which: int) -> None:
    _simulated(lowered(make(rows, cols)), rows, cols)
    kernel = lowered(make(rows, cols))
    assert len(_barriers(kernel)) == 2
    body, k = _barriers(kernel)[which]
    del body[k]
    with pytest.raises(
        Race,
        match=rf"kernel '{make.__name__}': shared array 0 at \d+ is .* by "
        r"thread \d+ of block 0 and .* by thread \d+ of block 0, with no barrier",
    ):
        _simulated(kernel, rows, cols)


@pytest.mark.parametrize("name", ["softmax of long rows", "gradients of layer norm of long rows"])
def test_every_barrier_of_a_compiled_kernel_is_needed(name: str) -> None:
    function, _, inputs = CASES[name]
    program = SimulatedProgram(graph_of(function, inputs))
    (unit,) = program.plan.units
    rows = unit.kernel.row_count

    def arrays(kernel: GpuKernel) -> list[np.ndarray]:
        sizes = [kernel.own.get(k, 0) or 4 * rows * 1100 for k in range(len(kernel.buffers))]
        return [np.ones(n, d) for n, d in zip(sizes, kernel.buffers)]

    def fresh() -> GpuKernel:
        kernel = lowered(unit.kernel)
        kernel.blocks = 1
        return kernel

    simulate(fresh(), arrays(fresh()))
    for which in range(len(_barriers(fresh()))):
        kernel = fresh()
        body, k = _barriers(kernel)[which]
        del body[k]
        with pytest.raises(Race):
            simulate(kernel, arrays(kernel))


def _few(kernel: GpuKernel) -> Compute:
    """Whether a thread is one of the first five of its block."""
    return Compute(scalar.Scalar("register", BOOL, (), 9999), kernel.body[0].to < 5)


def test_a_barrier_that_some_threads_do_not_come_to_is_found() -> None:
    kernel = lowered(summed(3, 1100))
    body, _ = _barriers(kernel)[0]
    few = _few(kernel)
    body[:0] = [few, If(few.to, [Barrier()])]
    said = r"threads 0-4 wait at block 1; threads 5-31 wait at shuffle \d+; threads 32-255 wait at "
    with pytest.raises(Divergence, match=f"kernel 'summed', block 0: {said}block .* nobody can"):
        simulate(kernel, [randn(3300), np.zeros(3, np.float32)])


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (
            0x0000FFFF,
            "thread 0 of block 0 takes a value .* from lane 16, which the mask 0x0000ffff",
        ),
        (0x7FFFFFFF, "thread 15 of block 0 takes a value .* from lane 31, which the mask"),
        (-2, "thread 0 of block 0 comes to shuffle 1 with the mask 0xfffffffe, .* its lane 0"),
    ],
)
def test_a_shuffle_with_a_wrong_mask_is_found(mask: int, said: str) -> None:
    kernel = lowered(summed(3, 100))
    for one in kernel.instructions():
        if isinstance(one, Shuffle):
            one.mask = constant(mask, INT32)
    with pytest.raises(Divergence, match=f"kernel 'summed': {said}"):
        simulate(kernel, [randn(300), np.zeros(3, np.float32)])


def test_a_shuffle_across_groups_is_found() -> None:
    kernel = lowered(summed(9, 6))  # groups of 8 lanes
    first = next(i for i in kernel.instructions() if isinstance(i, Shuffle))
    first.distance = 8
    with pytest.raises(Divergence, match="from lane 8, which the mask 0x000000ff leaves out"):
        simulate(kernel, [randn(54), np.zeros(9, np.float32)])


def test_a_shuffle_that_some_lanes_do_not_come_to_is_found() -> None:
    kernel = lowered(summed(4, 100))
    body = next(b for b in _bodies(kernel) if any(isinstance(i, Shuffle) for i in b))
    k = next(k for k, i in enumerate(body) if isinstance(i, Shuffle))
    few = _few(kernel)
    body[k:] = [few, If(few.to, body[k:])]
    said = "threads 0-4 wait at shuffle 1; threads 5-127 have ended"
    with pytest.raises(Divergence, match=f"kernel 'summed', block 0: {said}"):
        simulate(kernel, [randn(400), np.zeros(4, np.float32)])


def test_places_outside_of_an_array_are_found() -> None:
    with pytest.raises(Outside, match="place 6 of buffer 1, which has 6 elements"):
        simulate(lowered(summed(9, 4)), [randn(36), np.zeros(6, np.float32)])


@pytest.mark.parametrize(
    ("place", "error", "said"),
    [
        (79, Unwritten, "thread 0 of block 0 reads shared array 0 at 79 before anyone"),
        (
            80,
            Outside,
            "thread 0 of block 0 is at place 80 of shared array 0, which has 80 elements",
        ),
    ],
)
def test_shared_memory_is_read_where_it_was_written(
    place: int, error: type[Exception], said: str
) -> None:
    kernel = lowered(turned(2, 5))  # two of the 16 workers of the block have a row
    for one in kernel.instructions():
        if isinstance(one, Read) and one.shared:
            one.place = constant(place, INT64)
    with pytest.raises(error, match=said):
        simulate(kernel, [randn(10), np.zeros(10, np.float32), np.zeros(0, np.float32)])


def test_blocks_are_not_ordered() -> None:
    kernel = Kernel(  # all rows are stored at the same place
        rows=(300,),
        cols=(2,),
        buffers=[FLOAT32, FLOAT32],
        loads=[Load(0, FLOAT32, (2, 1), 0)],
        passes=[Pass(stores=[Store(1, (0, 1), 0, scalar.input(0, FLOAT32))])],
        slots=[],
    )
    with pytest.raises(Race, match="buffer 1 at 0 is written by thread 0 of block 0 and written"):
        run(kernel, [randn(600), np.zeros(2, np.float32)])
