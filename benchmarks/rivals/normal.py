"""Normal laws of log(T + 24 h): spreads that noisy tests speak for, and the quantiles in hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_ndtr, ndtr, ndtri

from benchmarks.rivals.cells import EDGES_H
from benchmarks.rivals.scores import LEVELS, MOST_H

if TYPE_CHECKING:
    from collections.abc import Callable

    from nmr_ml.numeric.arrays import Floats


LEAST, MOST = 0.02, 3.0
#: Hours added before a logarithm is taken by methods with a log-normal law. Without it an athlete
#: who by chance reads recovered after half an hour sets the spread: on seed 101 the CRPS of XGBoost
#: and lifelines is then three times as large, and held-out likelihood does not show it.
SHIFT_H = 24.0


def warp(hours: Floats) -> Floats:
    """Return log(T + `SHIFT_H`)."""
    return np.asarray(np.log(hours + SHIFT_H))


def quantiles(mean: Floats, spread: Floats | float) -> Floats:
    """Return the quantiles in hours at `LEVELS` of a normal law of the warped time.

    What lies below 0 h is put at 0 h.
    """
    z = mean[:, None] + np.broadcast_to(spread, mean.shape)[:, None] * ndtri(LEVELS)
    return np.asarray(np.clip(np.exp(np.minimum(z, 8.0)) - SHIFT_H, 0.0, MOST_H))


def spread_of_cells(mean: Floats, likelihood: Floats) -> float:
    """Return the spread under which the tests, told by cell of T, are most likely.

    `likelihood` (n, n_cells) is that of `benchmarks.rivals.cells.cell_weights`; `mean` must come
    from folds that left the athlete out, for in-sample means make the spread too small.
    """
    edges = np.concatenate([[-np.inf], warp(EDGES_H[1:-1]), [np.inf]])

    def loss(log_spread: float) -> float:
        z = (edges - mean[:, None]) / np.exp(log_spread)
        mass = np.diff(ndtr(z), axis=1)
        return -float(np.log(np.maximum((mass * likelihood).sum(axis=1), 1e-12)).mean())

    return _least(loss)[0]


def spread_of_intervals(mean: Floats, lower: Floats, upper: Floats) -> tuple[float, float]:
    """Return the spread under which the hard intervals are most likely, and minus that likelihood.

    `mean`, `lower` and `upper` are on one scale; ends may be infinite. The likelihood is the mean
    log probability of the intervals, so it compares between scales.
    """

    def loss(log_spread: float) -> float:
        below, above = ((end - mean) / np.exp(log_spread) for end in (lower, upper))
        flipped = (
            np.where(below + above > 0, -above, below),
            np.where(below + above > 0, -below, above),
        )
        high = log_ndtr(flipped[1])
        gap = np.minimum(log_ndtr(flipped[0]) - high, -1e-12)
        return -float((high + np.log1p(-np.exp(gap))).mean())

    return _least(loss)


def _least(loss: Callable[[float], float]) -> tuple[float, float]:
    found = minimize_scalar(loss, bounds=(np.log(LEAST), np.log(MOST)), method="bounded")
    return float(np.exp(found.x)), float(found.fun)
