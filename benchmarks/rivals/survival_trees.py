"""scikit-survival's gradient boosting and random survival forest, censored on the right only."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sksurv.ensemble import GradientBoostingSurvivalAnalysis, RandomSurvivalForest
from sksurv.util import Surv

from benchmarks.rivals.method import Answer, Columns, Training, middles
from benchmarks.rivals.scores import LEVELS

if TYPE_CHECKING:
    from benchmarks.rivals.problem import Side
    from nmr_ml.numeric.arrays import Floats


#: Episodes that are fitted: more take hours. Times are rounded to hours, which keeps them few.
BOOSTING_MOST, FOREST_MOST = 4000, 4000


def fit_boosting(training: Training) -> Answer:
    """Fit gradient boosting of the Cox likelihood."""
    model = GradientBoostingSurvivalAnalysis(
        n_estimators=150, learning_rate=0.1, max_depth=3, subsample=0.7, max_features=0.3,
        random_state=training.seed,
    )  # fmt: skip
    return _fit(model, training, BOOSTING_MOST)


def fit_forest(training: Training) -> Answer:
    """Fit a random survival forest."""
    model = RandomSurvivalForest(
        n_estimators=100, min_samples_leaf=20, max_features=0.2, n_jobs=1, low_memory=False,
        random_state=training.seed,
    )  # fmt: skip
    return _fit(model, training, FOREST_MOST)


def _fit(model: Any, training: Training, most: int) -> Answer:  # noqa: ANN401  either estimator
    middle, ended = middles(*training.intervals())
    rows = training.subset(most)
    columns = Columns.of(training.X, np.arange(training.X.shape[1]))
    outcome = Surv.from_arrays(ended[rows], np.maximum(np.round(middle[rows]), 1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(columns.dense(training.X[rows]), outcome)
    hours = model.unique_times_

    def answer(side: Side) -> Floats:
        dense = columns.dense(side.X)
        parts = [
            _quantiles(hours, model.predict_survival_function(part, return_array=True))
            for part in np.array_split(dense, max(len(dense) // 1000, 1))
        ]
        return np.concatenate(parts)

    return answer


def _quantiles(hours: Floats, survival: Floats) -> Floats:
    """Return the first hour at which survival has fallen to 1 - level, the last one without one."""
    rows = [np.searchsorted(-s, -(1.0 - LEVELS)) for s in survival]
    return np.asarray(hours[np.minimum(np.array(rows), hours.size - 1)])
