"""apps/in_context: training, its checkpoints, and what happens when it is stopped."""

from __future__ import annotations

import io
import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from in_context import (
    ROOT,
    changes,
    checkpoints,
    command,
    environment,
    model,
    run,
    runs,
    settings,
    tasks,
    training,
)

import flambeau as torch


def train(folder: Path, stop_at: int | None = None, **others: str) -> training.Outcome:
    return training.train(settings(**others), folder, io.StringIO(), stop_at)


def weights(folder: Path) -> str:
    return checkpoints.digest(checkpoints.read(folder / "state.pt")["model"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, training.Outcome]:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, train(folder)


def test_training_lowers_the_loss() -> None:
    torch.manual_seed(0)
    net = model.Transformer(1, 6, 16, 2, 2, std=0.2)
    one = settings(
        model__dims="1",
        training__curriculum__dims="{start: 1, end: 1}",
        training__learning_rate="0.01",
        training__batch="32",
    )
    prompter = training.Prompter(one)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
    step = training.make_step(one, net, optimizer)
    losses = []
    for _ in range(150):
        batch = prompter.draw(0)
        losses.append(float(step(batch.xs, batch.ys, batch.weights)))
    assert np.mean(losses[-20:]) < 0.7 * np.mean(losses[:20])


def test_a_run_that_was_stopped_ends_with_the_same_weights(
    tmp_path: Path, whole: tuple[Path, training.Outcome]
) -> None:
    folder, outcome = whole
    losses = []
    for stop_at in (3, 11, 20, None):
        losses += train(tmp_path / "run", stop_at).losses
    assert losses == outcome.losses
    assert len(losses) == 24
    assert weights(tmp_path / "run") == weights(folder)
    log = (tmp_path / "run" / "log.csv").read_text()
    assert log == (folder / "log.csv").read_text()
    assert [line.split(",")[0] for line in log.split()] == [
        "step",
        "4",
        "8",
        "12",
        "16",
        "20",
        "24",
    ]
    assert train(tmp_path / "run").losses == []


@pytest.mark.parametrize("limit", [{"training__pool": "3"}, {"training__examples": "5"}])
def test_few_functions_or_prompts_also_resume(tmp_path: Path, limit: dict[str, str]) -> None:
    first = train(tmp_path / "a", **limit)
    train(tmp_path / "b", 10, **limit)
    assert train(tmp_path / "b", **limit).losses == first.losses[10:]
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_every_generator_goes_on(tmp_path: Path) -> None:
    import random

    data = tasks.generator_of(3)
    states = checkpoints.generator_states(data)
    checkpoints.write(tmp_path / "states.pt", states)

    def draw() -> list[float]:
        return [
            torch.rand(1).item(),
            torch.rand(1, generator=data).item(),
            random.random(),
            np.random.random(),
            random.gauss(0, 1),
            np.random.standard_normal(),
        ]

    first = draw()
    draw()
    checkpoints.set_generator_states(checkpoints.read(tmp_path / "states.pt"), data)
    assert draw() == first


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    net = model.Transformer(3, 8, 16, 2, 2, std=0.2)
    padded, exact = settings(), settings(training__curriculum__lengths="3")
    found = []
    for one in (settings(training__curriculum__lengths="1"), exact, padded):
        batch = training.Prompter(one).draw(0)
        loss = (one.task.losses(net(batch.xs, batch.ys), batch.ys) * batch.weights).sum()
        found.append(loss.item())
    lengths = [
        len(training.Prompter(settings(training__curriculum__lengths=n)).draw(0).weights)
        for n in ("1", "3")
    ]
    assert lengths == [8, 4]
    np.testing.assert_allclose(found, found[0], rtol=1e-5)
    batch = training.Prompter(exact).draw(0)
    mean = (net(batch.xs, batch.ys) - batch.ys).square().mean().item()
    assert found[0] == pytest.approx(mean, rel=1e-5)


def test_prompts_follow_the_curriculum() -> None:
    prompter = training.Prompter(settings())
    for step, dims, points in ((0, 2, 4), (8, 3, 6), (16, 3, 8)):
        batch = prompter.draw(step)
        assert (batch.dims, batch.points) == (dims, points)
        assert (batch.xs[:, :, dims:] == 0).all()
        assert (batch.xs[:, :points, :dims] != 0).all()
        assert batch.weights.sum().item() == pytest.approx(1 / 8, rel=1e-6)


def test_the_rate_warms_up_and_falls() -> None:
    one = settings(training__final_rate="0.1", training__learning_rate="0.5").training
    rates = [training.learning_rate(one, step) for step in range(24)]
    assert rates[0] == pytest.approx(0.5 / 4)
    assert rates[3] == max(rates)
    assert rates == sorted(rates[:4]) + sorted(rates[4:], reverse=True)
    assert rates[12] == pytest.approx(0.5 * (0.1 + 0.9 / 2))
    paper = settings(training__warmup="0", training__final_rate="1.0").training
    assert {training.learning_rate(paper, step) for step in range(24)} == {paper.learning_rate}


def test_a_rehearsal_leaves_no_trace() -> None:
    one = settings()
    torch.manual_seed(0)
    net = runs.build_model(one)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    step = training.make_step(one, net, optimizer)
    batch = training.Prompter(one).draw(0)
    before = checkpoints.digest(net.state_dict())
    training.rehearse(step, batch, net, optimizer)
    assert checkpoints.digest(net.state_dict()) == before
    state = training.state_tensors(net, optimizer)[len(list(net.parameters())) :]
    assert len(state) == 3 * len(list(net.parameters()))
    assert all((tensor == 0).all() for tensor in state)
    step(batch.xs, batch.ys, batch.weights)
    after = checkpoints.digest(net.state_dict())
    assert after != before
    training.rehearse(step, batch, net, optimizer)
    assert checkpoints.digest(net.state_dict()) == after


def test_another_runs_folder_is_refused(
    tmp_path: Path, whole: tuple[Path, training.Outcome]
) -> None:
    folder, _ = whole
    with pytest.raises(checkpoints.BadRun, match="training.batch is 8 there, 9 here"):
        train(folder, training__batch="9")
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(checkpoints.BadRun, match="holds files, but no run"):
        train(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.tex"]


def test_a_broken_checkpoint_is_told(tmp_path: Path) -> None:
    train(tmp_path / "run", 6)
    state = tmp_path / "run" / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(checkpoints.BadRun, match="is not a checkpoint that can be read"):
        train(tmp_path / "run")
    with pytest.raises(checkpoints.BadRun, match="is not a run"):
        runs.load_run(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    checkpoints.write(path, {"step": 1})

    def fail(unfinished: Path) -> None:
        unfinished.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        checkpoints.write_whole(path, fail)
    assert checkpoints.read(path)["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"]


def test_weights_are_kept(tmp_path: Path) -> None:
    train(tmp_path / "run", training__keep_every="10")
    kept = sorted(path.name for path in (tmp_path / "run").glob("model_*.pt"))
    assert kept == ["model_10.pt", "model_20.pt"]
    assert runs.load_run(tmp_path / "run", 10).step == 10
    assert runs.load_run(tmp_path / "run").step == 24


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy tells of the overflow, too
def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"lower training.learning_rate"):
        train(tmp_path / "run", training__learning_rate="1e30", training__warmup="0")


def test_progress_is_told() -> None:
    stream = io.StringIO()
    progress = training.Progress(0, 50, stream)
    batch = training.Prompter(settings()).draw(0)
    for done in range(1, 51):
        progress.show(done, 0.25, batch)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("step 50/50  loss 0.2500 of zero's  2 dims, 4 points  ")
    assert lines[-1].endswith("0 s left")
    assert [training.duration(s) for s in (3, 62, 7322)] == ["3 s", "1 min 02 s", "2 h 02 min"]


# In processes of its own


def started(folder: Path, steps: int) -> subprocess.Popen:
    """A long run, once it has written a checkpoint."""
    state = folder / "state.pt"
    old = state.stat().st_mtime_ns if state.exists() else 0
    options = changes(training__steps=str(steps), training__curriculum__lengths="1")
    child = subprocess.Popen(
        command("train", "quick", "--no-figures", "--out", folder, *settings_options(options)),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if state.exists() and state.stat().st_mtime_ns != old:
            break
        time.sleep(0.02)
        assert child.poll() is None, child.communicate()[0]
    return child


def settings_options(options: list[str]) -> list[str]:
    return [part for option in options for part in ("--set", option)]


def test_killed_or_interrupted_and_resumed(tmp_path: Path) -> None:
    steps, options = 150, {"training__steps": "150", "training__curriculum__lengths": "1"}
    folder = tmp_path / "run"
    child = started(folder, steps)
    child.kill()
    child.communicate()
    reached = checkpoints.read(folder / "state.pt")["step"]
    assert 0 < reached < steps

    child = started(folder, steps)
    child.send_signal(signal.SIGINT)
    text = child.communicate(timeout=60)[0]
    if child.returncode == 130:
        assert "all is saved. Go on with the same command" in text
        start = "  flambeau run -m apps.in_context train quick --out"
        assert f"{start} {folder} --set model.dims=3" in text
        assert "Traceback" not in text
    else:  # it was over before the signal came
        assert child.returncode == 0, text
    train(folder, **options)
    train(tmp_path / "whole", **options)
    assert weights(folder) == weights(tmp_path / "whole")


LOSSES = """
import io, json, sys
from pathlib import Path
from apps.in_context import config, training
outcome = training.train(config.load("quick", sys.argv[2:]), Path(sys.argv[1]), io.StringIO(), 200)
print(json.dumps(outcome.losses))
"""


@pytest.mark.torch
def test_the_losses_are_pytorchs(tmp_path: Path) -> None:
    script = tmp_path / "losses.py"
    script.write_text(LOSSES)
    found = []
    options = ["training.batch=16", "training.curriculum.points.interval=60"]
    options.append("training.tensorboard=false")
    env = environment()
    env["PYTHONPATH"] += f":{ROOT}"
    for python in ([], ["-m", "flambeau", "run"]):
        done = subprocess.run(
            [sys.executable, *python, script, tmp_path / f"run{len(found)}", *options],
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    assert len(found[0]) == 200
    assert max(abs(a - b) for a, b in zip(*found, strict=True)) < 1e-3
    assert all(math.isfinite(loss) for loss in found[0])


def test_train_evaluates_and_draws(tmp_path: Path) -> None:
    kinds = "[standard, skewed, scale_x=2]"
    options = settings_options(changes(training__tensorboard="true", evaluation__prompts=kinds))
    text = run("train", "quick", "--out", tmp_path / "run", *options)
    assert "step 24/24" in text
    written = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    names = ("errors", "extrapolation", "scales", "training", "attention", "learned_function")
    assert written == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    assert list((tmp_path / "run" / "tensorboard").iterdir())
