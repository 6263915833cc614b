"""NGBoost's log-normal law of T + 24 h, censored on the right where no test reads below δ."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from ngboost import NGBSurvival
from ngboost.distns import LogNormal
from sklearn.tree import DecisionTreeRegressor

from benchmarks.rivals.method import Answer, Columns, Training, middles, strongest
from benchmarks.rivals.normal import SHIFT_H, quantiles

if TYPE_CHECKING:
    from benchmarks.rivals.problem import Side
    from nmr_ml.numeric.arrays import Floats


FEATURES = 60
EPISODES = 6000


def fit(training: Training) -> Answer:
    """Fit location and spread, both boosted; a fifth of the athletes stops the boosting."""
    middle, ended = middles(*training.intervals())
    middle = middle + SHIFT_H
    columns = Columns.of(training.X, strongest(training.X, np.log(middle), training.seed, FEATURES))
    rows = training.subset(EPISODES)
    train, held = rows[training.fold[rows] != 0], rows[training.fold[rows] == 0]
    model = NGBSurvival(
        Dist=LogNormal, n_estimators=300, learning_rate=0.05, minibatch_frac=0.7, verbose=False,
        Base=DecisionTreeRegressor(max_depth=3, min_samples_leaf=40), col_sample=0.5,
        random_state=training.seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(
            columns.dense(training.X[train]), middle[train], ended[train].astype(np.int64),
            X_val=columns.dense(training.X[held]), T_val=middle[held],
            E_val=ended[held].astype(np.int64), early_stopping_rounds=25,
        )  # fmt: skip

    def answer(side: Side) -> Floats:
        law = model.pred_dist(columns.dense(side.X), max_iter=model.best_val_loss_itr).params
        return quantiles(np.log(law["scale"]), law["s"])

    return answer
