"""Small fits by scikit-learn and XGBoost: one model for every prompt and number of examples.

Thousands of them take milliseconds each, so joblib spreads the prompts over processes. This module
knows nothing of tensors, so that those processes start quickly.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso
from sklearn.tree import DecisionTreeRegressor

Array = np.ndarray
Estimator = Any  # has fit(x, y) and predict(x), as scikit-learn's have
SERIAL = 1500  # fits of about a millisecond that are over before a second process has started
CHUNKS = 8  # pieces of work for each process, so that none waits long for the last


def lasso(penalty: float) -> Estimator:
    """min |y - Xw|^2 / (2n) + penalty |w|_1, by coordinate descent; no intercept."""
    return Lasso(alpha=penalty, fit_intercept=False, max_iter=5000)


def tree(depth: int | None) -> Estimator:
    """A regression tree, each split the one that lowers the squared error most."""
    return DecisionTreeRegressor(max_depth=depth, random_state=0)


def xgboost() -> Estimator:
    """Gradient-boosted trees with XGBoost's defaults, as in the paper."""
    try:
        from xgboost import XGBRegressor
    except ImportError:
        raise ImportError(
            "the learner xgboost needs the package xgboost: pip install 'flambeau[in-context]',"
            " or name other learners (--learners)"
        ) from None
    return XGBRegressor(n_jobs=1, verbosity=0, random_state=0)


MAKERS: dict[str, Callable[..., Estimator]] = {"lasso": lasso, "tree": tree, "xgboost": xgboost}


def predict_all(
    maker: str,
    arguments: tuple[Any, ...],
    xs: Array,
    ys: Array,
    qs: Array,
    at: Sequence[int] | None = None,
) -> Array:
    """What fits to the first i examples say of question i: (count, n), 0 for i = 0.

    Args:
        maker: a key of `MAKERS`, called with `arguments` for each new model.
        xs, ys, qs: examples (count, n, dims), their values (count, n) and questions like xs.
        at: the numbers of examples i to fit; all where None. Predictions elsewhere are 0.
    """
    count, points = ys.shape
    places = [i for i in (range(points) if at is None else at) if i]
    work = partial(predict_some, maker, arguments, places)
    weight = 20 if maker == "xgboost" else 1
    if count * len(places) * weight <= SERIAL:
        return work(xs, ys, qs)
    processes = effective_n_jobs(-1)
    parts = np.array_split(np.arange(count), min(count, CHUNKS * processes))
    tasks = (delayed(work)(xs[part], ys[part], qs[part]) for part in parts)
    done = Parallel(n_jobs=processes)(tasks)
    return np.concatenate(done)


def predict_some(
    maker: str,
    arguments: tuple[Any, ...],
    places: Sequence[int],
    xs: Array,
    ys: Array,
    qs: Array,
) -> Array:
    """One piece of `predict_all`, in one process."""
    predictions = np.zeros(ys.shape)
    with warnings.catch_warnings():
        # A path that has not converged after 5000 rounds is close enough for a baseline.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for b in range(len(ys)):
            for i in places:
                model = MAKERS[maker](*arguments).fit(xs[b, :i], ys[b, :i])
                predictions[b, i] = model.predict(qs[b, i : i + 1])[0]
    return predictions
