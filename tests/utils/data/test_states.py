"""States of random's and NumPy's generators: in memory, and by the documented methods."""

from __future__ import annotations

import random

import numpy as np
import pytest

from flambeau.utils.data._utils import states


def python_pair() -> tuple:
    generator = random.Random(5)
    return generator, [states.python_state(generator), states.PythonState(generator)]


def numpy_pair() -> tuple:
    generator = np.random.RandomState(5)
    return generator, [states.numpy_state(generator), states.NumpyState(generator)]


def draws(generator) -> list:
    if isinstance(generator, random.Random):
        return [generator.gauss(0, 1), generator.random(), generator.getrandbits(70)]
    return [generator.randn(), generator.rand(), generator.randint(1000)]


@pytest.mark.parametrize("pair", [python_pair, numpy_pair])
def test_a_state_is_saved_set_and_seeded(pair) -> None:
    generator, both = pair()
    for state in both:
        draws(generator)  # an odd number of normal ones: a spare one is kept
        saved = state.save()
        wanted = draws(generator) + draws(generator)
        state.seed(123456789012345)
        first = draws(generator)
        state.restore(saved)
        assert draws(generator) + draws(generator) == wanted
        state.seed(123456789012345)
        assert draws(generator) == first
        state.seed(1)
        assert draws(generator) != first


@pytest.mark.parametrize("pair", [python_pair, numpy_pair])
def test_every_draw_is_seen(pair) -> None:
    generator, (state, plain) = pair()
    assert plain.signature() is None, "by the documented methods it would take too long"
    if type(state) is type(plain):
        pytest.skip("this interpreter keeps its generators elsewhere")
    normal = generator.gauss if isinstance(generator, random.Random) else generator.normal
    for draw in (lambda: normal(0, 1), lambda: normal(0, 1), lambda: generator.random()):
        state.seed(7)
        if draw is not generator.random:
            normal(0, 1)
        before = state.signature()
        assert state.signature() == before
        draw()
        assert state.signature() != before


def test_a_generator_of_another_kind_is_handled_by_its_methods() -> None:
    generator = np.random.RandomState(np.random.PCG64(3))
    state = states.numpy_state(generator)
    assert type(state) is states.NumpyState
    saved = state.save()
    wanted = generator.rand(3).tolist()
    state.restore(saved)
    assert generator.rand(3).tolist() == wanted
    state.seed(5)
    wanted = generator.randn(3).tolist()
    state.seed(5)
    assert generator.randn(3).tolist() == wanted
