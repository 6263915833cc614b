"""Curves of single episodes as a population sees them, and trees fitted to these by least squares.

The usual short cut: replace each episode's tests by the posterior mean of its curve and fit any
regression to that. The means are shrunk, so the scatter of their residuals understates how far
episodes lie apart; what is left is profiled with the likelihood of the tests instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import lightgbm as lgb
import numpy as np

from nmr_ml.models.curve.target import CurveTarget, refine_spread

if TYPE_CHECKING:
    from nmr_ml.models.curve.boosted import TreeSettings
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.numeric.arrays import Floats, Singles
    from training.scoring.forecasts import CurvePriors


def posterior_means(table: Singles, grid: CurveGrid, priors: CurvePriors) -> tuple[Floats, Floats]:
    """Return mean and variance of each episode's curve given the tests, each of shape (n, 3).

    Parameters
    ----------
    table
        From `nmr_ml.models.curve.likelihood.likelihood_tables`, one entry per episode.
    """
    _, centre, variance = _target(table, grid).moments(priors.means, priors.spreads)
    return centre, variance


def profile_spread(table: Singles, grid: CurveGrid, means: Floats, start: Floats) -> Floats:
    """Return the spread around `means` under which the tests are most likely, shape (3,)."""
    return refine_spread(_target(table, grid), means, start)[0]


def _target(table: Singles, grid: CurveGrid) -> CurveTarget:
    return CurveTarget(grid, table, np.arange(len(table)), np.ones(len(table)))


@dataclass(frozen=True, slots=True)
class SquaredErrorTrees:
    """Boosters for log amplitude, log tau and slow share, grown by squared error."""

    boosters: tuple[lgb.Booster, ...]

    def means(self, X: Floats) -> Floats:
        """Return the predicted means, shape (n, 3)."""
        return np.column_stack([np.asarray(b.predict(X), np.float64) for b in self.boosters])


def grow_on_means(
    X: Floats, centre: Floats, settings: TreeSettings, rounds: int
) -> SquaredErrorTrees:
    """Grow trees of the model's own settings and number on posterior means, shape (n, 3)."""
    own = {"num_class", "num_tree_per_iteration"}
    params = {k: v for k, v in settings.params().items() if k not in own}
    dataset = lgb.Dataset(X, params=params, free_raw_data=False)
    boosters = [
        lgb.train({**params, "objective": "regression"}, dataset.set_label(along), rounds)
        for along in centre.T
    ]
    return SquaredErrorTrees(tuple(boosters))
