"""XGBoost's accelerated failure time model of T + 24 h on hard intervals (``survival:aft``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost as xgb

from benchmarks.rivals.normal import SHIFT_H, quantiles, spread_of_intervals

if TYPE_CHECKING:
    from benchmarks.rivals.method import Answer, Training
    from benchmarks.rivals.problem import Side
    from nmr_ml.numeric.arrays import Floats


#: Fixed scales that are tried; the law's own spread is refitted afterwards.
SCALES = (0.25, 0.5, 1.0)
ROUNDS = (40, 80, 120, 180, 260)


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the folds choose; of two, the one with the smaller `loss` is better."""

    loss: float
    scale: float
    rounds: int
    spread: float


def fit(training: Training) -> Answer:
    """Choose scale and rounds by held-out interval likelihood, and the spread by it."""
    lower, upper = (end + SHIFT_H for end in training.intervals())
    choices = [choice for scale in SCALES for choice in _held_out(training, lower, upper, scale)]
    best = min(choices, key=lambda choice: choice.loss)
    booster = xgb.train(
        _params(best.scale, training.seed),
        _matrix(training.X, lower, upper),
        num_boost_round=best.rounds,
    )

    def answer(side: Side) -> Floats:
        mean = np.log(booster.predict(xgb.DMatrix(side.X)))
        return quantiles(mean, best.spread)

    return answer


def _held_out(training: Training, lower: Floats, upper: Floats, scale: float) -> list[_Choice]:
    means = np.empty((len(ROUNDS), lower.size))
    for k in np.unique(training.fold):
        train, held = training.fold != k, training.fold == k
        booster = xgb.train(
            _params(scale, training.seed),
            _matrix(training.X[train], lower[train], upper[train]),
            num_boost_round=ROUNDS[-1],
        )
        asked = xgb.DMatrix(training.X[held])
        for i, rounds in enumerate(ROUNDS):
            means[i, held] = np.log(booster.predict(asked, iteration_range=(0, rounds)))
    found = [spread_of_intervals(mean, np.log(lower), np.log(upper)) for mean in means]
    return [
        _Choice(loss, scale, rounds, spread)
        for rounds, (spread, loss) in zip(ROUNDS, found, strict=True)
    ]


def _matrix(X: Floats, lower: Floats, upper: Floats) -> xgb.DMatrix:
    return xgb.DMatrix(X, label_lower_bound=lower, label_upper_bound=upper)


def _params(scale: float, seed: int) -> dict[str, Any]:
    return {
        "objective": "survival:aft", "aft_loss_distribution": "normal",
        "aft_loss_distribution_scale": scale, "tree_method": "hist", "max_bin": 127,
        "learning_rate": 0.08, "max_depth": 3, "subsample": 0.7, "colsample_bynode": 0.5,
        "min_child_weight": 5.0, "lambda": 5.0, "nthread": 1, "seed": seed, "verbosity": 0,
    }  # fmt: skip
