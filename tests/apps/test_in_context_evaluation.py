"""apps/in_context: errors with bands, what is kept of them, figures, play, and the commands."""

from __future__ import annotations

import io
import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from in_context import (
    APP,
    changes,
    cli,
    config,
    evaluation,
    figures,
    learners,
    play,
    prompts,
    run,
    runs,
    settings,
    tasks,
    training,
)

import flambeau as torch
from flambeau import compat

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    folder = tmp_path_factory.mktemp("runs") / "trained"
    training.train(settings(), folder, io.StringIO())
    return runs.load_run(folder)


def untrained(folder: Path) -> runs.Run:
    one = settings()
    torch.manual_seed(0)
    return runs.Run(folder, one, runs.build_model(one).eval(), 0)


class FollowsLeastSquares(torch.nn.Module):
    """Stands in for a transformer that has learned perfectly."""

    def __init__(self) -> None:
        super().__init__()
        self.points = 8
        self.nothing = torch.nn.Parameter(torch.zeros(1))

    def forward(self, xs: torch.Tensor, ys: torch.Tensor, queries: torch.Tensor | None = None):
        """Least squares' predictions."""
        questions = xs if queries is None else queries
        found = prompts.Prompts(xs, ys, questions, ys, 1.0)
        return learners.by_prefix(learners.least_squares)(found).float()


def follower(**others: str) -> runs.Run:
    return runs.Run(Path("nowhere"), settings(**others), FollowsLeastSquares(), 0)


def test_bands_are_bootstrap_percentiles() -> None:
    random = np.random.default_rng(0)
    errors = random.exponential(size=(500, 3)) * [1, 2, 0]
    found = evaluation.curve("any", errors, trials=4000, band=0.9, seed=1)
    np.testing.assert_allclose(found.mean, errors.mean(0))
    resampled = [errors[random.integers(0, 500, 500)].mean(0) for _ in range(4000)]
    low, high = np.quantile(resampled, [0.05, 0.95], axis=0)
    np.testing.assert_allclose(found.low, low, atol=0.01)
    np.testing.assert_allclose(found.high, high, atol=0.01)
    assert (found.low[2], found.high[2]) == (0, 0)
    assert found == evaluation.curve("any", errors, trials=4000, band=0.9, seed=1)


def test_errors_are_the_mean_over_prompts_of_the_squared_distance(tmp_path: Path) -> None:
    one = untrained(tmp_path)
    found = evaluation.evaluate(one.settings, one, ["skewed"], ["knn(2)"], lambda line: None)
    expected = prompts.draw_prompts("skewed", one.settings.task, one.settings.inputs, (24, 8, 3), 1)
    with torch.no_grad():
        predicted = one.model(expected.xs, expected.ys)
    errors = (predicted - expected.targets).square().mean(0) / 3
    np.testing.assert_allclose(found["skewed"]["transformer"].mean, errors.numpy(), rtol=1e-4)
    assert list(found["skewed"]) == ["transformer", "knn(2)"]


def test_a_follower_has_least_squares_curve_on_every_kind_of_prompt(tmp_path: Path) -> None:
    one = runs.Run(tmp_path, settings(), FollowsLeastSquares(), 0)
    found = evaluation.evaluate(one.settings, one, None, ["least_squares"], lambda line: None)
    assert list(found) == list(prompts.KINDS)
    for curves in found.values():
        exact, ours = curves["least_squares"].mean, curves["transformer"].mean
        np.testing.assert_allclose(ours, exact, rtol=1e-3, atol=1e-4)


def test_results_are_kept_until_something_changes(trained: runs.Run) -> None:
    kinds, names = ["standard", "scale_x=1/3"], ["least_squares", "averaging"]

    def computed(one: runs.Run, **evaluated: object) -> list[str]:
        lines: list[str] = []
        section = one.settings.evaluation.model_copy(update=evaluated)
        changed = one.settings.model_copy(update={"evaluation": section})
        run = runs.Run(one.folder, changed, one.model, one.step)
        results = evaluation.evaluate(changed, run, kinds, names, lines.append)
        assert [list(curves) for curves in results.values()] == [["transformer", *names]] * 2
        return [line.split()[1] for line in lines]

    first = computed(trained)
    assert len(first) == 6
    assert computed(trained) == []
    again = runs.load_run(trained.folder)
    assert computed(again) == []
    with torch.no_grad():
        again.model._read_out.bias += 1
    assert computed(again) == ["transformer"] * 2
    assert len(computed(trained, seed=2)) == 6
    assert len(computed(trained, trials=20)) == 6
    assert computed(trained, trials=20, batch=7) == []
    kept = sorted((trained.folder / "evaluation").iterdir())
    assert len(kept) == 6  # new results took the places of the old
    kept[0].write_text('{"key": "cut')
    kept[1].write_text(json.dumps({"key": "other", "curve": {}}))
    assert len(computed(trained, trials=20)) == 2


def test_slow_learners_may_have_fewer_prompts() -> None:
    one = settings(evaluation__fitted_count="5", evaluation__points="4")
    found = evaluation.evaluate(
        one, None, ["standard"], ["tree(2)", "averaging"], lambda line: None
    )
    size = (24, 4, 3)
    drawn = prompts.draw_prompts("standard", one.task, one.inputs, size, 1)
    mean = drawn.targets[:5, 0].square().mean().item() / 3
    assert found["standard"]["tree(2)"].mean[0] == pytest.approx(mean)
    mean = drawn.targets[:, 0].square().mean().item() / 3
    assert found["standard"]["averaging"].mean[0] == pytest.approx(mean)


def test_classes_are_judged_by_their_signs() -> None:
    one = settings(task__name="linear_classification", evaluation__count="400")
    found = evaluation.evaluate(one, None, ["standard"], ["averaging"], lambda line: None)
    mean = found["standard"]["averaging"].mean
    assert mean[0] == 0.5
    assert 0.1 < mean[7] < mean[2] < 0.45
    with pytest.raises(ValueError, match="scale_y=2 means nothing for linear_classification"):
        evaluation.evaluate(one, None, ["scale_y=2"], ["averaging"])


# Figures


def test_curves_can_be_told_apart_without_colour() -> None:
    looks = [(str(style["linestyle"]), style["marker"]) for style in figures.STYLES.values()]
    assert len({line for line, _ in looks}) == len(looks)
    assert len({marker for _, marker in looks}) == len(looks)
    assert set(learners.FAMILIES) | {"bayes", "transformer"} == set(figures.STYLES)


def test_every_figure_is_written(trained: runs.Run, tmp_path: Path) -> None:
    kinds = ["standard", "skewed", "scale_x=2"]
    results = evaluation.evaluate(trained.settings, trained, kinds, report=lambda line: None)
    log = runs.read_log(trained.folder)
    written = figures.draw_all(trained.settings, results, tmp_path / "all", trained, log)
    assert len(written) == 12
    for path in written:
        start = b"\x89PNG" if path.suffix == ".png" else b"<?xml"
        assert path.read_bytes().startswith(start)
    again = figures.save(figures.errors(trained.settings, results), tmp_path / "errors")
    for path in again:
        assert path.read_bytes() == (tmp_path / "all" / path.name).read_bytes()


def test_what_the_error_figure_shows() -> None:
    one = follower()
    curves = evaluation.evaluate(one.settings, None, ["standard"], report=lambda line: None)
    (axes,) = figures.errors(one.settings, curves).axes
    shown = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    learners = ["least squares", "3 nearest neighbours", "averaging"]
    assert list(shown) == [*learners, "always saying 0"]
    assert list(shown["averaging"]) == curves["standard"]["averaging"].mean
    assert axes.get_xlabel() == "in-context examples"


def test_the_learned_function_of_a_follower_is_the_straight_line_of_least_squares() -> None:
    ts = torch.linspace(-3, 3, 7)
    predicted, exact, shown = figures.along_line(follower(), 4, ts)
    np.testing.assert_allclose(predicted, exact, rtol=1e-3, atol=1e-4)
    slopes = np.diff(exact.numpy())
    np.testing.assert_allclose(slopes, slopes[0], rtol=1e-3)
    assert abs(slopes[0]) > 1e-3
    assert shown.shape == (4,)


# Play


@pytest.mark.parametrize("what", play.VARIED)
def test_a_follower_never_leaves_least_squares(what: str) -> None:
    found = play.vary(follower(), what, count=8)
    assert max(found.distance.high) < 1e-3
    assert found.left == {"down": None, "up": None}
    assert "follows least squares from" in found.describe()
    assert found.home in found.values


def test_an_untrained_model_does_not_follow_even_at_home(tmp_path: Path) -> None:
    found = play.vary(untrained(tmp_path), "noise", count=16)
    assert found.lost
    assert found.describe() == "noise: trained at 0; does not follow least squares even there"


def test_where_it_left() -> None:
    values, low = [0.1, 0.5, 1, 2, 3], [0.5, 0.2, 0.0, 0.05, 0.3]
    left = play.where_left(values, 1, low, 0.1)
    assert left == {"down": 0.5, "up": 3, "home": None}
    assert play.where_left(values, 1, low, 0.4) == {"down": 0.1, "up": None, "home": None}
    found = play.Played("scale", values, 1, *[None] * 3, {"down": 0.5, "up": 3}, False)
    told = "scale: trained at 1; stops following least squares below it at 0.5 and above it at 3"
    assert found.describe() == told


@pytest.mark.parametrize("other", play.OTHERS)
def test_a_blend_goes_from_one_function_to_the_other(other: str) -> None:
    linear = tasks.LinearRegression(scale=2.0)

    def at(weight: float) -> tuple[play.Blend, dict, torch.Tensor]:
        task = play.Blend(linear=linear, other=play.OTHERS[other], weight=weight)
        functions = task.draw(3000, 4, 4, tasks.generator_of(0))
        xs = torch.randn(3000, 2, 4, generator=tasks.generator_of(1))
        return functions, xs, task.values(functions, xs)

    functions, xs, ys = at(0.0)
    w = {"w": functions["f w"]}
    np.testing.assert_allclose(ys, linear.values(w, xs), rtol=1e-5, atol=1e-5)
    functions, xs, ys = at(1.0)
    own = {name[2:]: value for name, value in functions.items() if name[0] == "g"}
    np.testing.assert_allclose(ys, 2 * play.OTHERS[other].values(own, xs), rtol=1e-4, atol=1e-4)
    for weight in (0.0, 0.5, 1.0):
        assert at(weight)[2].square().mean().item() == pytest.approx(16, rel=0.1)


@pytest.mark.parametrize(
    ("what", "values", "message"),
    [
        ("dimension", [4], "dimension takes whole numbers from 1 to 3, not 4"),
        ("dimension", [1.5], "whole numbers"),
        ("examples", [8], "examples takes whole numbers from 0 to 7, not 8"),
        ("noise", [-1], "noise takes numbers from 0 on, not -1"),
        ("noise", [float("nan")], "not nan"),
        ("scale", [0], "not 0"),
        ("nonlinearity", [1.1], "from 0 to 1, not 1.1"),
    ],
)
def test_values_that_cannot_be(what: str, values: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        play.vary(follower(), what, values, count=4)


def test_play_is_for_linear_functions() -> None:
    with pytest.raises(ValueError, match="this run learned decision_tree"):
        play.vary(follower(task__name="decision_tree"), "noise", count=4)


# The commands


def main(capsys: pytest.CaptureFixture, *arguments: str | Path) -> tuple[int, str]:
    status = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def test_eval_prints_a_table(trained: runs.Run, capsys: pytest.CaptureFixture) -> None:
    status, text = main(
        capsys, "eval", trained.folder, "--prompts", "standard", "--learners", "knn(2)"
    )
    assert status == 0
    lines = text.strip().splitlines()
    assert lines[0] == "standard: error over the zero estimator's"
    assert lines[1].split() == ["examples", *map(str, range(8))]
    assert [line[:12].strip() for line in lines[2:]] == ["transformer", "2 nearest ne"]
    status, text = main(capsys, "eval", "quick", "--prompts", "standard")
    assert (status, "transformer" in text) == (0, False)


def test_plot_of_settings_draws_the_learners_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = [part for change in changes() for part in ("--set", change)]
    status, text = main(
        capsys, "plot", "quick", "--prompts", "standard", "--out", tmp_path, *options
    )
    assert status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["errors.png", "errors.svg"]
    assert f"{tmp_path / 'errors.png'} (and .svg)" in text


def test_compare_and_play_draw(
    trained: runs.Run, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = trained.folder
    status, text = main(capsys, "compare", folder, folder, "--out", tmp_path / "both")
    assert status == 0
    assert text.count("trained") >= 2
    assert (tmp_path / "both.png").stat().st_size > 1000
    status, text = main(
        capsys, "play", folder, "--vary", "noise", "scale", "--count", "8", "--out", tmp_path / "p"
    )
    assert status == 0
    assert text.startswith("noise: trained at 0; ")
    assert (tmp_path / "p.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "quik"], "did you mean quick?"),
        (["train", "quick", "--set", "training.stepps=1"], "did you mean steps?"),
        (["eval", "quick", "--learners", "knn"], "knn takes its k"),
        (["eval", "quick", "--prompts", "skewd"], "did you mean skewed?"),
        (["eval", "tests"], "tests is not a run"),
        (["play", "tests", "--values", "1"], "--values are of one thing"),
        (["play", "tests", "--vary", "noise", "--values", "a"], "--values takes numbers"),
        (["play", "tests", "--count", "1"], "--count must be at least 2"),
        (["compare", "nowhere"], "nowhere is not a run"),
    ],
)
def test_mistakes_end_with_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(APP.parents[1])
    status, text = main(capsys, *arguments)
    assert status == 2
    assert text.startswith("error: ")
    assert message in text


def test_only_evaluation_can_be_changed_in_a_run(
    trained: runs.Run, capsys: pytest.CaptureFixture
) -> None:
    status, text = main(capsys, "eval", trained.folder, "--set", "training.steps=1")
    assert (status, "only evaluation" in text) == (2, True)
    status, _ = main(
        capsys, "eval", trained.folder, "--set", "evaluation.count=5", "--prompts", "standard"
    )
    assert status == 0


def test_the_command_says_what_it_can() -> None:
    text = run("--help")
    assert "{train,eval,plot,compare,play}" in text


# The notebook


def test_the_notebook_runs() -> None:
    notebook = json.loads((APP / "notebook.ipynb").read_text(encoding="utf-8"))
    space: dict[str, object] = {}
    compat.install()
    try:
        for cell in notebook["cells"]:
            assert not cell.get("outputs")
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), space)
                if "parameters" in cell["metadata"].get("tags", []):
                    space.update(steps=12, count=20)
    finally:
        compat.uninstall()
    assert len(space["losses"]) == 12
    assert list(space["curves"]) == ["transformer", "least_squares", "knn(3)", "averaging"]
    assert max(space["curves"]["least_squares"].mean[6:]) < 1e-3
    assert [one.what for one in space["played"]] == ["noise", "scale", "nonlinearity"]


def test_the_readme_names_what_there_is() -> None:
    text = (APP / "README.md").read_text(encoding="utf-8")
    for name in ("standard", "opposite_quadrants", "orthogonal", "label_noise", "half_subspace"):
        assert f"`{name}`" in text
    for path in APP.glob("*.py"):
        assert f"`{path.name}`" in text or path.name.startswith("__") or f"({path.name})" in text
    assert all(
        f"`{path.stem}`" in text
        for path in (APP / "configs").glob("*.yaml")
        if path.stem in ("quick", "linear_regression", "decision_tree", "relu_network")
    )
    assert config.CONFIGS.is_dir()
