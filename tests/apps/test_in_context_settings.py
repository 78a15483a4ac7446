"""apps/in_context: settings, their inheritance, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from in_context import APP, config

OWN = sorted(path.stem for path in (APP / "configs").glob("*.yaml"))


@pytest.mark.parametrize("name", OWN)
def test_its_own_settings_are_valid(name: str) -> None:
    settings = config.load(name)
    assert settings.training.batch == 64


def test_the_papers_settings() -> None:
    settings = config.load("linear_regression")
    model, training = settings.model, settings.training
    assert (model.dims, model.width, model.layers, model.heads) == (20, 256, 12, 8)
    assert (training.steps, training.learning_rate) == (500_000, 1e-4)
    dims, points = training.curriculum.dims, training.curriculum.points
    assert [dims.at(step) for step in (0, 1999, 2000, 29_999, 30_000, 10**6)] == [
        5,
        5,
        6,
        19,
        20,
        20,
    ]
    assert [points.at(step) for step in (0, 2000, 30_000, 10**6)] == [11, 13, 41, 41]
    tree = config.load("decision_tree")
    assert tree.task.depth == 4
    assert tree.training.curriculum.points.at(10**6) == 101
    assert config.load("sparse_linear_regression").task.sparsity == 3
    assert config.load("relu_network").task.hidden == 100


@pytest.mark.parametrize(
    ("name", "sizes"), [("tiny", (64, 3, 2)), ("small", (128, 6, 4)), ("standard", (256, 12, 8))]
)
def test_the_papers_models(tmp_path: Path, name: str, sizes: tuple[int, int, int]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"inherit: [linear_regression.yaml, models/{name}.yaml]\n")
    model = config.load(path).model
    assert (model.width, model.layers, model.heads) == sizes
    assert model.dims == 20


def test_later_files_win_and_the_own_wins_over_all(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("training: {steps: 1, batch: 1}\n")
    (tmp_path / "b.yaml").write_text("training: {batch: 2, seed: 2}\n")
    path = tmp_path / "c.yaml"
    path.write_text("inherit: [base.yaml, a, b.yaml]\ntraining: {seed: 3, learning_rate: 1e-3}\n")
    training = config.load(path, ["training.log_every=5"]).training
    assert (training.steps, training.batch, training.seed, training.log_every) == (1, 2, 3, 5)
    assert training.learning_rate == 1e-3
    assert training.curriculum.dims.end == 20


def test_another_task_leaves_the_old_ones_settings_behind(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("inherit: sparse_linear_regression\ntask: {name: decision_tree, depth: 2}\n")
    assert config.load(path).task.model_dump() == {"name": "decision_tree", "depth": 2, "scale": 1}
    changed = config.load("sparse_linear_regression", ["task.sparsity=2"])
    assert changed.task.sparsity == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.stepps=3", "training.stepps: there is no such setting; did you mean steps?"),
        ("trainings.steps=3", "trainings: there is no such setting; did you mean training?"),
        ("task.sparsty=3", "sparsty: there is no such setting; there are scale, name"),
        ("training.curriculum.dims.stop=3", "stop: there is no such setting; did you mean step?"),
        ("training.steps=many", "training.steps: input should be a valid integer, not 'many'"),
        ("training.steps=1.5", "training.steps: input should be a valid integer, not 1.5"),
        ("training.steps=0", "training.steps: input should be greater than or equal to 1, not 0"),
        ("training.batch='64'", "training.batch: input should be a valid integer, not '64'"),
        ("model.heads=3", "model: width 64 is not a multiple of heads 3"),
        ("model=3", "model: input should be a valid dictionary"),
        ("task.name=linear", "task: input tag 'linear' found"),
        ("training.curriculum.points.end=200", "points.end is 200, but model.points is 11"),
        ("training.curriculum.dims.start=6", "start 6 is greater than end 5"),
        ("evaluation.points=12", "evaluation.points is 12, but model.points is 11"),
        ("inputs.shape=[1.0, 2.0]", "inputs.shape lists 2 eigenvalues for x of 5 dimensions"),
        ("inputs.bias=[1.0]", "inputs.bias needs 5 numbers"),
        ("training.pool=3", None),
        ("training", "--set takes section.key=value"),
        ("training.steps=[", "the value is not YAML"),
    ],
)
def test_refuses_what_cannot_be(change: str, message: str | None) -> None:
    if message is None:
        assert config.load("quick", [change]).training.pool == 3
        return
    with pytest.raises(config.BadSettings) as caught:
        config.load("quick", [change])
    assert message in str(caught.value)


def test_several_mistakes_are_told_at_once() -> None:
    with pytest.raises(config.BadSettings) as caught:
        config.load("quick", ["training.stepps=3", "model.dims=0"])
    assert len(str(caught.value).splitlines()) == 2


def test_a_pool_and_seeds_exclude_each_other() -> None:
    with pytest.raises(config.BadSettings, match="not both"):
        config.load("quick", ["training.pool=3", "training.examples=3"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a list", "settings are `section: values`"),
        (b"a: [", "not YAML"),
        (b"\xff\xfe", "not YAML"),
        (b"inherit: {a: b}", "inherit is a file's name or a list"),
        (b"inherit: mine.yaml", "settings inherit from themselves: mine.yaml -> mine.yaml"),
        (b"inherit: qick", "did you mean quick?"),
        (b"", "training: is needed"),
    ],
)
def test_refuses_bad_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(config.BadSettings) as caught:
        config.load(path)
    assert message in str(caught.value)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    settings = config.load("decision_tree", ["inputs.shape=skewed", "training.pool=7"])
    config.dump(settings, tmp_path / "config.yaml")
    assert config.load(tmp_path / "config.yaml") == settings


def test_lengths_are_few_and_long_enough() -> None:
    for lengths in (1, 2, 3, 7):
        change = f"training.curriculum.lengths={lengths}"
        curriculum = config.load("linear_regression", [change]).training.curriculum
        padded = {points: curriculum.padded(points) for points in range(11, 42, 2)}
        assert len(set(padded.values())) == lengths
        assert all(length >= points for points, length in padded.items())
        assert padded[41] == 41
