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

from nmr_ml.latent import CurveTarget, refine_spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.curve import CurveGrid
    from nmr_ml.latent import TreeSettings
    from training.forecasts import CurvePriors

    Floats = NDArray[np.float64]
    Table = NDArray[np.float32]


def posterior_means(table: Table, grid: CurveGrid, priors: CurvePriors) -> tuple[Floats, Floats]:
    """Return mean and variance of (log amplitude, log tau) given the tests, each shape (n, 2).

    Parameters
    ----------
    table
        From `nmr_ml.curve.likelihood_tables`, one entry per episode.
    """
    centre, variance = np.empty_like(priors.means), np.empty_like(priors.means)
    spreads, group = np.unique(priors.spreads, axis=0, return_inverse=True)
    for i, spread in enumerate(spreads):
        rows = np.flatnonzero(group == i)
        of_rows = _target(table, grid).take(rows)
        _, centre[rows], variance[rows] = of_rows.moments(priors.means[rows], spread)
    return centre, variance


def profile_spread(table: Table, grid: CurveGrid, means: Floats, start: Floats) -> Floats:
    """Return the spread around `means` under which the tests are most likely, shape (2,)."""
    return refine_spread(_target(table, grid), means, start)[0]


def _target(table: Table, grid: CurveGrid) -> CurveTarget:
    return CurveTarget(grid, table, np.arange(len(table)), np.ones(len(table)))


@dataclass(frozen=True, slots=True)
class SquaredErrorTrees:
    """Two boosters, for log amplitude and log tau, grown by squared error."""

    boosters: tuple[lgb.Booster, lgb.Booster]

    def means(self, X: Floats) -> Floats:
        """Return the predicted means, shape (n, 2)."""
        return np.column_stack([np.asarray(b.predict(X), np.float64) for b in self.boosters])


def grow_on_means(
    X: Floats, centre: Floats, settings: TreeSettings, rounds: int
) -> SquaredErrorTrees:
    """Grow trees of the model's own settings and number on posterior means, shape (n, 2)."""
    own = {"num_class", "num_tree_per_iteration"}
    params = {k: v for k, v in settings.params().items() if k not in own}
    dataset = lgb.Dataset(X, params=params, free_raw_data=False)
    amplitude, tau = (
        lgb.train({**params, "objective": "regression"}, dataset.set_label(centre[:, axis]), rounds)
        for axis in (0, 1)
    )
    return SquaredErrorTrees((amplitude, tau))
