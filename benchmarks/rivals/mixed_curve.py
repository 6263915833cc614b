"""A mixed-effects curve of the deficits (statsmodels): fixed effects of load, random by athlete."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import qr
from statsmodels.regression.mixed_linear_model import MixedLM

from benchmarks.rivals.method import Answer, Columns, Training, middles, strongest
from benchmarks.rivals.normal import warp
from benchmarks.rivals.scores import quantiles_of_draws
from nmr_ml.numeric.arrays import owners

if TYPE_CHECKING:
    from benchmarks.rivals.problem import Side
    from nmr_ml.numeric.arrays import Floats, Ints


FEATURES = 15
#: Time constants in h of the fixed basis; the random effects of an athlete use the two slow ones.
TAUS_H = (4.0, 24.0, 72.0)
GRID_H = np.concatenate([np.arange(0.0, 48.0, 1.0), np.arange(48.0, 500.0, 4.0)])
DRAWS = 200
#: What is left of a column of length one, without the others, to count as their combination.
DEPENDENT = 1e-6


def fit(training: Training) -> Answer:
    """Fit deficits at test hours to features x exp(-t / tau), with random effects by athlete."""
    followed = training.side.data.followed
    owner = owners(followed.offsets)
    middle, _ = middles(*training.intervals())
    chosen = strongest(training.X, warp(middle), training.seed, FEATURES)
    columns = Columns.of(training.X, chosen)
    episodes = _with_one(columns.dense(training.X))
    basis = _basis(followed.hours)
    fixed = (episodes[owner][:, :, None] * basis[:, None, :]).reshape(owner.size, -1)
    kept = _independent(fixed)
    _, athlete = np.unique(training.side.data.athlete.astype(str), return_inverse=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MixedLM(
            followed.deficit, fixed[:, kept], groups=athlete[owner], exog_re=basis[:, 1:]
        )
        found = model.fit(reml=True, method="lbfgs", maxiter=100)
    weights: Floats = np.zeros(fixed.shape[1])
    weights[kept] = found.fe_params
    weights = weights.reshape(episodes.shape[1], len(TAUS_H))
    # What scatters more than the tests do is taken for episodes that differ in size.
    excess = max(float(found.scale) - float(np.mean(followed.error**2)), 0.0)
    covariance = np.asarray(found.cov_re)
    covariance = covariance + np.eye(2) * excess / max(float((basis[:, 1:] ** 2).mean()), 1e-9) / 2
    draws = np.random.default_rng(training.seed).multivariate_normal([0, 0], covariance, DRAWS)
    off_grid = draws @ _basis(GRID_H)[:, 1:].T

    def answer(side: Side) -> Floats:
        curves = _with_one(columns.dense(side.X)) @ weights @ _basis(GRID_H).T
        hours = np.array([_last_impaired(curve + off_grid, training.delta) for curve in curves])
        return quantiles_of_draws(hours)

    return answer


def _basis(hours: Floats) -> Floats:
    return np.asarray(np.exp(-hours[:, None] / np.array(TAUS_H)))


def _independent(columns: Floats) -> Ints:
    """Return which columns are no combination of others: some features tell the same."""
    scaled = columns / np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny)
    _, r, order = qr(scaled, mode="economic", pivoting=True)
    return np.sort(order[np.abs(np.diag(r)) > DEPENDENT])


def _with_one(dense: Floats) -> Floats:
    return np.column_stack([np.ones(len(dense)), dense])


def _last_impaired(curves: Floats, delta: float) -> Floats:
    """Return the end of the last stretch of `GRID_H` at or above δ for each curve; 0 without."""
    impaired = curves >= delta
    last = GRID_H.size - 1 - np.argmax(impaired[:, ::-1], axis=1)
    after = GRID_H[np.minimum(last + 1, GRID_H.size - 1)]
    return np.asarray(np.where(impaired.any(axis=1), 0.5 * (GRID_H[last] + after), 0.0))
