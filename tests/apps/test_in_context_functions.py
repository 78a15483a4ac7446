"""apps/in_context: function classes, inputs and prompts, against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from in_context import inputs, prompts, tasks

import flambeau as torch

DIMS = 6
EVERY = [
    tasks.LinearRegression(),
    tasks.LinearRegression(scale=3.0),
    tasks.SparseLinearRegression(sparsity=2),
    tasks.NoisyLinearRegression(noise=2.0),
    tasks.NoisyLinearRegression(noise=2.0, renormalise=True),
    tasks.LinearClassification(),
    tasks.QuadraticRegression(),
    tasks.ReluNetwork(hidden=20),
    tasks.DecisionTree(depth=3, scale=2.0),
]
NORMAL = inputs.Gaussian()


def draw(name: str, task: tasks.Task = EVERY[0], count: int = 40, points: int = 9, **options):
    where = options.pop("where", NORMAL)
    return prompts.draw_prompts(name, task, where, (count, points, DIMS), 5, **options)


@pytest.mark.parametrize("task", EVERY, ids=repr)
def test_y_has_the_variance_that_errors_are_divided_by(task: tasks.Task) -> None:
    found = draw("standard", task, count=6000, points=2)
    assert found.ys.shape == (6000, 2)
    assert found.ys.square().mean().item() == pytest.approx(task.variance(DIMS), rel=0.1)


@pytest.mark.parametrize("task", EVERY, ids=repr)
def test_equal_seeds_give_equal_functions(task: tasks.Task) -> None:
    xs = NORMAL.sample(3, 5, DIMS, tasks.generator_of(0))
    ys = task.values(tasks.draw_seeded(task, DIMS, DIMS, [4, 9, 4]), xs[:1].expand(3, -1, -1))
    assert torch.equal(ys[0], ys[2])
    assert not torch.equal(ys[0], ys[1])


@pytest.mark.parametrize("task", EVERY, ids=repr)
def test_a_pool_gives_its_own_functions_each_once(task: tasks.Task) -> None:
    pool = tasks.make_pool(task, 5, DIMS, seed=0)
    drawn = tasks.draw_from(pool, 5, tasks.generator_of(1))
    for name, value in pool.items():
        rows = {tuple(row.flatten().tolist()) for row in value}
        assert {tuple(row.flatten().tolist()) for row in drawn[name]} == rows
    assert all(
        len(value) == 9 for value in tasks.draw_from(pool, 9, tasks.generator_of(1)).values()
    )


def test_linear_by_hand() -> None:
    xs = torch.tensor([[[1.0, 2.0], [3.0, -1.0]]])
    functions = {"w": torch.tensor([[2.0, -1.0]])}
    assert tasks.LinearRegression().values(functions, xs).tolist() == [[0.0, 7.0]]
    assert tasks.LinearRegression(scale=2.0).values(functions, xs).tolist() == [[0.0, 14.0]]
    assert tasks.LinearClassification().values(functions, xs).tolist() == [[0.0, 1.0]]
    squares = tasks.QuadraticRegression().values(functions, xs) * math.sqrt(3)
    np.testing.assert_allclose(squares.numpy(), [[-2.0, 17.0]], rtol=1e-6)


def test_relu_network_by_hand() -> None:
    functions = {
        "W": torch.tensor([[[1.0, -1.0], [0.0, 2.0]]]),
        "v": torch.tensor([[[3.0], [5.0]]]),
    }
    xs = torch.tensor([[[1.0, 1.0], [-1.0, -1.0]]])
    # W x is (1, 1) and (-1, -1); 3 relu + 5 relu is 8 and 0; sqrt(2 / 2) = 1.
    assert tasks.ReluNetwork(hidden=2).values(functions, xs).tolist() == [[8.0, 0.0]]


def test_decision_tree_by_hand() -> None:
    functions = {
        "coordinate": torch.tensor([[1, 0, 1]]),
        "leaf": torch.tensor([[10.0, 11.0, 12.0, 13.0]]),
    }
    xs = torch.tensor([[[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]]])
    # Node 0 asks for x1; if not, node 1 asks for x0; if so, node 2 asks for x1 again.
    assert tasks.DecisionTree(depth=2).values(functions, xs).tolist() == [[10.0, 11.0, 13.0, 10.0]]


def test_sparse_functions_use_few_active_coordinates() -> None:
    task = tasks.SparseLinearRegression(sparsity=3)
    w = task.draw(50, 10, 6, tasks.generator_of(0))["w"]
    assert ((w != 0).sum(1) == 3).all()
    assert (w[:, 6:] == 0).all()
    assert (w != 0).any(0)[:6].all()
    assert (task.draw(50, 10, 2, tasks.generator_of(0))["w"] != 0).sum(1).max().item() == 2


def test_noise_is_new_for_each_y() -> None:
    task = tasks.NoisyLinearRegression(noise=1.0)
    functions = task.draw(200, DIMS, DIMS, tasks.generator_of(0))
    xs = NORMAL.sample(200, 20, DIMS, tasks.generator_of(1))
    noise = task.observe(functions, xs, tasks.generator_of(2)) - task.values(functions, xs)
    assert noise.std().item() == pytest.approx(1, rel=0.05)
    assert abs(noise.mean().item()) < 0.05


def test_classification_is_learned_by_cross_entropy() -> None:
    task = tasks.LinearClassification()
    logits, ys = torch.tensor([2.0, -1.0, 0.0]), torch.tensor([1.0, 1.0, -1.0])
    told = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, (ys + 1) / 2, reduction="none"
    )
    np.testing.assert_allclose(task.losses(logits, ys).numpy(), told.numpy(), rtol=1e-6)
    assert task.losses(torch.zeros(1), torch.ones(1)).item() == pytest.approx(task.zero_loss(9))
    assert task.errors(logits, ys).tolist() == [0.0, 1.0, 0.5]


# Inputs


def test_shapes_of_the_inputs() -> None:
    for shape, rank in (
        ("isotropic", 6),
        ("half_subspace", 3),
        ("skewed", 6),
        ([1.0] + [0.0] * 5, 1),
    ):
        where = inputs.Gaussian(shape=shape, scale=2.0)
        transformation = where.transformation(DIMS, tasks.generator_of(0))
        xs = where.sample(4000, 2, DIMS, tasks.generator_of(1), transformation)
        assert xs.square().sum(2).mean().item() == pytest.approx(4 * DIMS, rel=0.1)
        assert np.linalg.matrix_rank(xs[:, 0].numpy(), tol=1e-2) == rank


def test_skewed_inputs_have_eigenvalues_that_fall_as_1_over_i() -> None:
    t = inputs.Gaussian(shape="skewed").transformation(DIMS, tasks.generator_of(3)).double()
    values = np.linalg.eigvalsh(t.numpy())[::-1]
    np.testing.assert_allclose(values / values[0], 1 / np.arange(1, DIMS + 1), rtol=1e-5)


def test_bias_and_truncation() -> None:
    where = inputs.Gaussian(bias=[1.0, 2.0, 3.0])
    xs = where.sample(3000, 2, 3, tasks.generator_of(0), active=2)
    np.testing.assert_allclose(xs.mean((0, 1)).numpy(), [1, 2, 0], atol=0.08)
    assert (xs[:, :, 2] == 0).all()


def test_an_example_has_the_x_of_its_own_seed() -> None:
    first = NORMAL.sample(2, 4, 3, inputs.seeded([1, 2]))
    second = NORMAL.sample(2, 4, 3, inputs.seeded([2, 1]))
    assert torch.equal(first[0], second[1])
    assert torch.equal(first[1], second[0])


# Prompts


@pytest.mark.parametrize("name", prompts.KINDS)
def test_prompts_are_those_of_the_seed(name: str) -> None:
    first, second = draw(name), draw(name)
    for part in ("xs", "ys", "queries", "targets"):
        assert torch.equal(getattr(first, part), getattr(second, part))
    assert first.xs.shape[1] == (DIMS if name == "orthogonal" else 9)
    assert first.standard == (first.queries is first.xs)
    few = first.some(slice(3))
    assert len(few) == 3
    assert few.standard == first.standard


@pytest.mark.parametrize("name", prompts.KINDS)
def test_the_zero_estimator_costs_1(name: str) -> None:
    found = draw(name, count=4000)
    error = found.targets.square().mean().item() / found.zero_error
    assert error == pytest.approx(1, rel=0.1)


def test_quadrants() -> None:
    found = draw("opposite_quadrants")
    assert (found.xs.sign() == found.xs[:, :1].sign()).all()
    assert torch.equal(found.queries, -found.xs)
    found = draw("random_quadrants")
    assert (found.xs.sign() == found.xs[:, :1].sign()).all()
    assert torch.equal(found.queries.abs(), found.xs.abs())
    assert 0.4 < (found.queries.sign() == found.xs.sign()).float().mean().item() < 0.6


def test_orthogonal_questions() -> None:
    found = draw("orthogonal")
    for i in range(DIMS):
        inner = (found.xs[:, :i] * found.queries[:, i : i + 1]).sum(2)
        assert inner.abs().max().item() < 1e-4 if i else True
    lengths = found.queries.norm(dim=2) / found.xs.norm(dim=2)
    np.testing.assert_allclose(lengths.numpy(), 1, rtol=1e-5)
    # They are not only orthogonal but the part of x_i that is: the angle to x_i is acute.
    assert ((found.queries * found.xs).sum(2) > 0).all()


def test_overlapping_questions_are_earlier_examples() -> None:
    found = draw("overlapping")
    chosen = set()
    for i in range(1, 9):
        same = (found.xs[:, :i] == found.queries[:, i : i + 1]).all(2)
        assert same.any(1).all()
        chosen |= set(same.float().argmax(1).tolist())
    assert chosen == set(range(8))
    assert torch.equal(found.queries[:, 0], found.xs[:, 0])


def test_scales_and_active_dimensions() -> None:
    for name, scale in prompts.SCALES.items():
        xs = draw(f"scale_x={name}", count=2000).xs
        assert xs.std().item() == pytest.approx(scale, rel=0.05)
        ys = draw(f"scale_y={name}", count=2000).ys
        assert ys.std().item() == pytest.approx(scale * math.sqrt(DIMS), rel=0.05)
    found = draw("standard", active=2)
    assert (found.xs[:, :, 2:] == 0).all()
    assert found.zero_error == 2


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean skewed"):
        draw("skewd")
