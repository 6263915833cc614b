"""LightGBM on one number for each episode: a midpoint of the tests, or an empirical-Bayes mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.rivals.cells import EDGES_H
from benchmarks.rivals.method import Answer, Training, fit_l2, middles
from benchmarks.rivals.normal import quantiles, spread_of_cells, warp

if TYPE_CHECKING:
    from benchmarks.rivals.problem import Side
    from nmr_ml.numeric.arrays import Floats


#: The warped time that a cell stands for: its middle; 500 h beyond the last edge.
CENTRES = np.append(0.5 * (warp(EDGES_H[:-2]) + warp(EDGES_H[1:-1])), warp(np.array(500.0)))


def fit_midpoints(training: Training) -> Answer:
    """Fit the middle of the hard interval, episodes that never read below δ left out."""
    middle, ended = middles(*training.intervals())
    y, X, fold = warp(middle[ended]), training.X[ended], training.fold[ended]
    booster, held_out = fit_l2(X, y, fold, training.seed)
    spread = float(np.std(held_out - y))
    return lambda side: quantiles(np.asarray(booster.predict(side.X)), spread)


def fit_empirical_bayes(training: Training) -> Answer:
    """Fit the posterior mean of the warped time under the curves of the modality.

    The spread is the one that makes the tests most likely: that of the residuals is too small,
    because the means are shrunk.
    """
    _, posterior, likelihood = training.cells()
    booster, held_out = fit_l2(training.X, posterior @ CENTRES, training.fold, training.seed)
    spread = spread_of_cells(held_out, likelihood)

    def answer(side: Side) -> Floats:
        return quantiles(np.asarray(booster.predict(side.X)), spread)

    return answer
