"""torch.distributed between processes: collectives, training, and what goes wrong.

The parts are in ranks.py, each run by processes of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import flambeau as torch

HERE = Path(__file__).parent
SOURCE = Path(torch.__file__).parents[1]


def ranks(parts: str, size: int, tmp_path: Path, **environment: str) -> list[Any]:
    """The answer of each rank to one part, or its answers to several; None if it was killed."""
    common = {
        **os.environ,
        "PYTHONPATH": str(SOURCE),
        "OMP_NUM_THREADS": "1",
        "WORLD_SIZE": str(size),
        "MEET": f"file://{tmp_path}/meet_{len(parts)}_{size}",
        **environment,
    }
    started = [
        subprocess.Popen(
            [sys.executable, str(HERE / "ranks.py"), *parts.split()],
            env={**common, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    answers = []
    for process in started:
        out, err = process.communicate(timeout=60)
        assert process.returncode in (0, -9), err
        answers.append(json.loads(out) if process.returncode == 0 else None)
    several = " " in parts
    return [a if several or a is None else a[0] for a in answers]


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    parts = "collectives messages groups"
    return list(zip(*ranks(parts, 3, tmp_path_factory.mktemp("three")), strict=True))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    parts = "objects gradients unused mismatch"
    return list(zip(*ranks(parts, 2, tmp_path_factory.mktemp("two")), strict=True))


def test_collectives(three: list) -> None:
    first, second, third = three[0]
    assert first["SUM"] == second["SUM"] == [33.0, 36.0]
    assert first["AVG"] == [11.0, 12.0] and first["MAX"] == [21.0, 22.0]
    assert third["PRODUCT"] == [1 * 11 * 21.0, 2 * 12 * 22.0]
    assert first["bfloat16"] == "[[3.0, 0.0]]" and first["int64"] == "[[3, 0]]"
    assert first["bool"] == "[[True, False]]" and first["complex64"] == "[[(3+0j), 0j]]"
    assert (first["reduce"], second["reduce"]) == ([1.0, 2.0], [33.0, 36.0])
    everything = [[1.0, 2.0], [11.0, 12.0], [21.0, 22.0]]
    for answers in (first, second, third):
        assert answers["broadcast"] == [21.0, 22.0]
        assert answers["all_gather"] == answers["all_gather_into_tensor"] == everything
    assert first["gather"] == everything and second["gather"] is None
    assert [a["scatter"] for a in (first, second, third)] == [[11 + i, 12 + i] for i in range(3)]
    assert second["reduce_scatter"] == [36.0, 39.0]
    assert third["reduce_scatter_tensor"] == [12.0, 15.0]
    assert second["all_to_all"] == [[2.0, 3.0], [12.0, 13.0], [22.0, 23.0]]
    assert first["all_to_all_single"] == [0.0, 10.0, 20.0]
    assert second["all_to_all_single"] == [1.0, 2.0, 11.0, 12.0, 21.0, 22.0]
    assert third["all_to_all_single"] == []


def test_objects_messages_and_groups(two: list, three: list) -> None:
    for rank, (gathered, sent, scattered, there) in enumerate(two[0]):
        assert gathered == [{"rank": 0, "more": ""}, {"rank": 1, "more": "x"}]
        assert (sent, scattered) == ([1, {"from": 1}], [f"for {rank}"])
        assert there == ([0, 1] if rank == 0 else [None, None])
    for rank, (got, also, senders, wrong) in enumerate(three[1]):
        before = (rank - 1) % 3
        assert (got, also, senders) == ([before] * 2, [before], [1, 2] if rank == 0 else [])
        if rank == 1:
            assert "rank 0 sent [['float32', [3]]], but rank 1 has room for" in wrong
    assert list(three[2]) == [
        [0, -1, [0, 1], [9.0], True], [1, -1, [0, 1], [9.0], True], [-1, 1, [], [9.0], True],
    ]  # fmt: skip


def test_gradients_go_through_collectives(two: list) -> None:
    first, second = two[1]
    assert first == [
        [[3.0, 5.0], [3.0, 3.0]],
        [[3.0, 5.0], [1.0, 1.0]],
        [[2.0, 3.0], [0.0, 0.0]],
        [[5.0, 8.0], [3.0, 3.0]],
        [[5.0, 8.0], [1.0, 1.0]],
        [[1.0, 2.0], [5.0, 5.0]],
    ]
    assert second == [
        [[3.0, 5.0], [3.0, 3.0]],
        [[2.0, 3.0], [1.0, 1.0]],
        [[2.0, 3.0], [3.0, 3.0]],
        [[5.0, 8.0], [6.0, 6.0]],
        [[0.0, 0.0], [2.0, 2.0]],
        [[2.0, 4.0], [0.0, 0.0]],
    ]


def test_several_ranks_learn_what_one_learns_and_load_each_others_files(tmp_path: Path) -> None:
    environment = {"FOLDER": str(tmp_path)}
    (one,) = ranks("training", 1, tmp_path, **environment)
    two = ranks("training", 2, tmp_path, **environment)
    for first, last in two:
        assert first == one[0]  # rank 0's weights
        for got, wanted in zip(last, one[1], strict=True):
            assert torch.allclose(
                torch.tensor(got, dtype=torch.float64),
                torch.tensor(wanted, dtype=torch.float64),
                rtol=1e-12,
            )
    of_one, of_two = (torch.load(tmp_path / f"of_{n}.pt") for n in (1, 2))
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    for saved in (of_one, of_two):
        model.double().load_state_dict(saved)
    assert list(of_one) == list(of_two)


def test_parameters_that_not_all_ranks_use(two: list) -> None:
    for grads, mean in two[2]:
        assert grads == [1.0, 1.0, None]  # two backward passes, averaged over two ranks
        assert mean == pytest.approx([0.1, 0.1])  # of rank 0, before the second pass


def test_ranks_that_do_not_agree_are_all_told_both_sides(two: list) -> None:
    answers = two[3]
    assert answers[0] == answers[1]
    shapes, calls, dtypes, room, after = answers[0]
    assert " of the default group: the ranks bring different tensors" in shapes
    assert "rank 0: all_reduce(SUM) of float32 (3,) at ranks.py:" in shapes
    assert "rank 1: all_reduce(SUM) of float32 (4,) at ranks.py:" in shapes
    assert "rank 0: all_reduce(SUM) of float32 (2,)" in calls and "rank 1: barrier()" in calls
    assert "of float32 (2,)" in dtypes and "of float64 (2,)" in dtypes
    assert "rank 1 cannot take what it would be given" in room
    assert after == [2.0]


def test_a_rank_that_dies_is_named_at_once(tmp_path: Path) -> None:
    *alive, dead = ranks("death", 3, tmp_path)
    assert dead is None
    for told, again, seconds in alive:
        assert "rank 2 (process " in told and "has gone" in told
        assert "its last call was barrier() at ranks.py:" in told
        assert "waits in all_reduce(SUM) of float32 (1,) at ranks.py:" in told
        assert "rank 2 (process " in again
        assert seconds < 2


def test_uneven_inputs_and_a_rank_that_is_late_end_in_words(tmp_path: Path) -> None:
    first, second = ranks("uneven", 2, tmp_path)
    assert first == "done" and "rank 0 (process " in second and "has left" in second
    waiting, impatient = ranks("late", 2, tmp_path)
    assert "timed out waiting for rank 0" in impatient
    assert "rank 1 waits in barrier() at ranks.py:" in impatient
    assert "rank 1 (process " in waiting and "has left with destroy_process_group()" in waiting


def torchrun(folder: Path, program: str, *options: str) -> subprocess.CompletedProcess:
    script = folder / "program.py"
    script.write_text(program)
    command = [sys.executable, "-m", "flambeau", "run", "-m", "torch.distributed.run", *options]
    return subprocess.run(
        [*command, str(script), "an argument"],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_launcher(tmp_path: Path) -> None:
    done = torchrun(
        tmp_path,
        "import sys, torch, torch.distributed as dist\n"
        "dist.init_process_group('gloo')\n"
        "x = torch.ones(1)\n"
        "dist.all_reduce(x)\n"
        "sys.stdout.write(f'rank {dist.get_rank()} {x.item()} {sys.argv[1:]}\\n')\n",
        "--nproc-per-node=2",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [f"rank {i} 2.0 ['an argument']" for i in (0, 1)]


def test_the_launcher_ends_all_when_one_fails(tmp_path: Path) -> None:
    start = time.monotonic()
    done = torchrun(
        tmp_path,
        "import os, time\nif os.environ['RANK'] == '1':\n    raise SystemExit(3)\ntime.sleep(60)\n",
        "--nproc-per-node=2",
    )
    assert done.returncode == 1 and time.monotonic() - start < 30
    assert "rank 1 failed with exit status 3; the others were ended" in done.stderr
