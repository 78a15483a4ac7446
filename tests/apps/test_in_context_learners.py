"""apps/in_context: each learner against its definition, and the paper's figures of them alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from in_context import evaluation, fits, inputs, learners, prompts, tasks

import flambeau as torch

LINEAR = tasks.LinearRegression()


def draw(
    name: str = "standard",
    task: tasks.Task = LINEAR,
    count: int = 6,
    points: int = 7,
    dims: int = 4,
    seed: int = 3,
) -> prompts.Prompts:
    return prompts.draw_prompts(name, task, inputs.Gaussian(), (count, points, dims), seed)


def one_by_one(found: prompts.Prompts, rule: Callable[..., float]) -> np.ndarray:
    """A rule for (X, y, question) of NumPy arrays, prompt by prompt; 0 where X is empty."""
    xs, ys, questions = (t.double().numpy() for t in (found.xs, found.ys, found.queries))
    answers = np.zeros(ys.shape)
    for b, i in np.ndindex(ys.shape):
        if i:
            answers[b, i] = rule(xs[b, :i], ys[b, :i], questions[b, i])
    return answers


def predict(name: str, found: prompts.Prompts, task: tasks.Task = LINEAR) -> np.ndarray:
    return learners.learner(name, task).predict(found).numpy()


def curve_of(name: str, found: prompts.Prompts, task: tasks.Task) -> evaluation.Curve:
    errors = (predict(name, found, task) - found.targets.double().numpy()) ** 2 / found.zero_error
    return evaluation.curve(name, errors, trials=300, band=0.9, seed=0)


@pytest.mark.parametrize("name", ["standard", "half_subspace", "random_quadrants", "label_noise"])
def test_least_squares(name: str) -> None:
    found = draw(name)
    expected = one_by_one(found, lambda x, y, q: q @ np.linalg.lstsq(x, y, rcond=1e-6)[0])
    np.testing.assert_allclose(predict("least_squares", found), expected, atol=1e-5)


def test_ridge() -> None:
    def rule(x: np.ndarray, y: np.ndarray, q: np.ndarray) -> float:
        return q @ np.linalg.inv(x.T @ x + 0.3 * np.eye(4)) @ x.T @ y

    found = draw("label_noise")
    np.testing.assert_allclose(predict("ridge(0.3)", found), one_by_one(found, rule), atol=1e-9)


def test_nearest_neighbours() -> None:
    def rule(x: np.ndarray, y: np.ndarray, q: np.ndarray) -> float:
        return y[np.argsort(np.linalg.norm(x - q, axis=1))[:3]].mean()

    found = draw("random_quadrants")
    np.testing.assert_allclose(predict("knn(3)", found), one_by_one(found, rule), atol=1e-12)
    by_hand = prompts.Prompts(
        xs=torch.tensor([[[0.0], [1.0], [10.0], [0.6]]]),
        ys=torch.tensor([[3.0, 5.0, 100.0, 0.0]]),
        queries=torch.tensor([[[0.6], [0.6], [0.6], [0.6]]]),
        targets=torch.zeros(1, 4),
        zero_error=1.0,
    )
    assert predict("knn(1)", by_hand).tolist() == [[0, 3, 5, 5]]
    assert predict("knn(2)", by_hand).tolist() == [[0, 3, 4, 4]]


def test_averaging() -> None:
    found = draw()
    expected = one_by_one(found, lambda x, y, q: q @ (x * y[:, None]).mean(0))
    np.testing.assert_allclose(predict("averaging", found), expected, atol=1e-12)


def test_lasso_in_one_dimension_is_a_soft_threshold() -> None:
    found = draw(dims=1)

    def rule(x: np.ndarray, y: np.ndarray, q: np.ndarray) -> float:
        inner, square = x[:, 0] @ y / len(y), x[:, 0] @ x[:, 0] / len(y)
        return q[0] * np.sign(inner) * max(abs(inner) - 0.2, 0) / square

    np.testing.assert_allclose(predict("lasso(0.2)", found), one_by_one(found, rule), atol=1e-4)


def test_a_tree_of_depth_1_splits_where_the_squared_error_falls_most() -> None:
    def rule(x: np.ndarray, y: np.ndarray, q: np.ndarray) -> float:
        best = (y.var() * len(y) - 1e-12, y.mean())
        for j in range(x.shape[1]):
            values = np.sort(x[:, j])
            for cut in (values[1:] + values[:-1]) / 2:
                left = x[:, j] <= cut
                cost = y[left].var() * left.sum() + y[~left].var() * (~left).sum()
                if cost < best[0]:
                    best = (cost, y[left if q[j] <= cut else ~left].mean())
        return best[1]

    # In one dimension: in several, the same examples can be set apart along more than one axis.
    found = draw(count=12, points=10, dims=1)
    np.testing.assert_allclose(predict("tree(1)", found), one_by_one(found, rule), atol=1e-5)
    # A full tree has learned its examples by heart.
    seen = draw("overlapping")
    full = predict("full_tree", seen)[:, 1:]
    np.testing.assert_allclose(full, seen.targets[:, 1:].numpy(), atol=1e-5)


def test_xgboost_is_xgboost() -> None:
    from xgboost import XGBRegressor

    found = draw(count=2, points=4)
    expected = one_by_one(
        found, lambda x, y, q: XGBRegressor(n_jobs=1).fit(x, y).predict(q[None])[0]
    )
    np.testing.assert_allclose(predict("xgboost", found), expected, atol=1e-6)


def test_fits_are_the_same_in_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = draw(count=5)
    alone = predict("tree(2)", found)
    monkeypatch.setattr(fits, "SERIAL", 0)
    np.testing.assert_array_equal(predict("tree(2)", found), alone)


def test_parallel_networks_are_networks_trained_alone() -> None:
    found = draw(count=3, points=4)
    together = learners.network(hidden=5, steps=7, rate=0.05)(found).numpy()
    for b, i in itertools.product(range(3), range(1, 4)):
        w1, b1, w2, b2 = (w[0] for w in learners.stacked_weights(1, 4, 5))
        net = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 1))
        with torch.no_grad():
            for place, weight, bias in ((0, w1, b1), (2, w2, b2)):
                net[place].weight.copy_(weight.T)
                net[place].bias.copy_(bias[0])
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
        for _ in range(7):
            optimizer.zero_grad()
            (net(found.xs[b, :i]).squeeze(1) - found.ys[b, :i]).square().mean().backward()
            optimizer.step()
        assert together[b, i] == pytest.approx(net(found.xs[b, i]).item(), abs=1e-4)


def test_bayes_for_sparse_functions_sums_over_supports() -> None:
    task = tasks.SparseLinearRegression(sparsity=2)
    found = draw(task=task, count=3, points=6)
    noise = learners.NOISELESS**2

    def rule(x: np.ndarray, y: np.ndarray, q: np.ndarray) -> float:
        weights, answers = [], []
        for support in itertools.combinations(range(4), 2):
            part = x[:, support]
            covariance = part @ part.T + noise * np.eye(len(y))
            solved = np.linalg.solve(covariance, y)
            weights.append(-0.5 * (y @ solved + np.linalg.slogdet(covariance)[1]))
            answers.append(q[list(support)] @ part.T @ solved)
        weights = np.exp(np.array(weights) - max(weights))
        return weights @ answers / weights.sum()

    got = predict("bayes", found, task)
    np.testing.assert_allclose(got, one_by_one(found, rule), atol=1e-4)


def test_bayes_elsewhere() -> None:
    noisy = tasks.NoisyLinearRegression(noise=2.0, scale=4.0)
    found = draw(task=noisy)
    np.testing.assert_array_equal(predict("bayes", found, noisy), predict("ridge(0.25)", found))
    np.testing.assert_array_equal(predict("bayes", found), predict("least_squares", found))
    squares = tasks.QuadraticRegression()
    found = draw(task=squares)
    late = predict("bayes", found, squares)[:, 4:]
    np.testing.assert_allclose(late, found.targets.numpy()[:, 4:], atol=1e-3)
    for task in (tasks.DecisionTree(), tasks.ReluNetwork(), tasks.LinearClassification()):
        with pytest.raises(
            ValueError, match=f"no Bayes-optimal predictor is known for {task.name}"
        ):
            learners.learner("bayes", task)
    with pytest.raises(ValueError, match="supports of 8 in 30 dimensions are too many"):
        many = tasks.SparseLinearRegression(sparsity=8)
        predict("bayes", draw(task=many, dims=30), many)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("least_square", "no learner is called 'least_square'; did you mean least_squares?"),
        ("", "no learner is called ''"),
        ("knn", "'knn': knn takes its k, a whole number from 1 on"),
        ("knn(0)", "a whole number from 1 on"),
        ("knn(2.5)", "a whole number from 1 on"),
        ("ridge(-1)", "ridge takes its penalty, a number from 0 on"),
        ("ridge(nan)", "a number from 0 on"),
        ("lasso(inf)", "a number from 0 on"),
        ("averaging(3)", "the learner averaging takes no number"),
    ],
)
def test_names_that_are_no_learners(name: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        learners.learner(name, LINEAR)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", list(tasks.AnyTask.__args__[0].__args__), ids=lambda c: c.__name__)
def test_the_papers_learners_exist_for_every_task(name: type[tasks.Task]) -> None:
    task = name()
    names = learners.names_for(task)
    assert len(set(names)) == len(names)
    assert all(learners.learner(one, task).name == one for one in names)
    assert set(evaluation.shown_for(task, names)) <= set(names)


# The paper's figures, of the learners alone


def test_least_squares_reaches_zero_at_20_examples_in_20_dimensions() -> None:
    found = draw(count=300, points=23, dims=20)
    curve = curve_of("least_squares", found, LINEAR)
    # With i < d examples it knows w in the span of them: 1 - i / d of the variance is left.
    expected = [max(0.0, 1 - i / 20) for i in range(23)]
    np.testing.assert_allclose(curve.mean, expected, atol=0.2)
    assert np.mean(np.abs(np.subtract(curve.mean, expected))) < 0.06
    assert curve.low[19] > 1e-3
    # A square matrix of 20 examples is now and then all but singular; one more, and none is.
    assert curve.high[20] < 0.01
    assert max(curve.high[21:]) < 1e-6
    averaging = curve_of("averaging", found, LINEAR)
    neighbours = curve_of("knn(3)", found, LINEAR)
    assert all(low > 0.3 for low in averaging.low[10:])
    assert all(low > 0.3 for low in neighbours.low[10:])


def test_least_squares_knows_nothing_of_orthogonal_and_all_of_overlapping_questions() -> None:
    orthogonal = draw("orthogonal", count=400, points=20, dims=20)
    answers = predict("least_squares", orthogonal)
    assert np.abs(answers[:, :19]).max() < 1e-3
    curve = curve_of("least_squares", orthogonal, LINEAR)
    assert all(abs(mean - 1) < 0.3 for mean in curve.mean)
    overlapping = curve_of("least_squares", draw("overlapping", count=100), LINEAR)
    assert max(overlapping.high[1:]) < 1e-8


def test_lasso_beats_least_squares_on_sparse_functions_below_20_examples() -> None:
    task = tasks.SparseLinearRegression(sparsity=3)
    found = draw(task=task, count=60, points=20, dims=20)
    exact = curve_of("least_squares", found, task)
    arrays = (t.double().numpy() for t in (found.xs, found.ys, found.queries))
    some = [8, 10, 12, 14, 16, 18]
    answers = fits.predict_all("lasso", (0.01,), *arrays, at=some)
    errors = (answers - found.targets.double().numpy()) ** 2 / found.zero_error
    lasso = evaluation.curve("lasso", errors, trials=300, band=0.9, seed=0)
    assert all(lasso.high[i] < exact.low[i] for i in some[1:])
    best = curve_of("bayes", found.some(slice(10)), task)
    assert max(best.high[9:]) < 0.05


def test_xgboost_beats_the_greedy_tree_and_both_fall_short_at_100_examples() -> None:
    task = tasks.DecisionTree(depth=4)
    found = draw(task=task, count=80, points=101, dims=20)
    arrays = [t.double().numpy() for t in (found.xs, found.ys, found.queries)]
    targets = found.targets.double().numpy()[:, 100]
    errors = {}
    for maker, arguments in (("tree", (4,)), ("xgboost", ())):
        answers = fits.predict_all(maker, arguments, *arrays, at=[100])[:, 100]
        errors[maker] = (answers - targets) ** 2
    both = np.stack([errors["tree"], errors["xgboost"]], axis=1)
    curve = evaluation.curve("both", both, trials=300, band=0.9, seed=0)
    assert min(curve.low) > 0.3  # of the variance: neither has found the tree
    gain = (errors["tree"] - errors["xgboost"])[:, None]
    assert evaluation.curve("gain", gain, trials=300, band=0.9, seed=0).low[0] > 0
