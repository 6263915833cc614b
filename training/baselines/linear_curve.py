"""A curve whose log amplitude, log tau and slow share are linear in features, with ridge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.models.curve.target import LEAST_SPREAD
from nmr_ml.numeric.convergence import tell
from nmr_ml.numeric.folds import athlete_folds
from training.baselines.empirical_bayes import posterior_means
from training.scoring.forecasts import CurvePriors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.numeric.arrays import Floats, Objects, Singles


#: A feature counts as at most this many standard deviations from its median.
FURTHEST_SD = 4.0
#: Rounds of expectation maximisation; the means move by less than `STILL` in the last ones.
LINEAR_ROUNDS, STILL = 25, 0.01
#: Athlete folds that choose the penalty.
FOLDS = 3


@dataclass(frozen=True, slots=True)
class LinearCurve:
    """Linear means with one spread.

    Parameters
    ----------
    centre, scale : float64 arrays, shape (n_features,)
        Median and standard deviation; a missing value counts as the median.
    weight : float64 array, shape (n_features, 3)
        Per standard deviation, for log amplitude, log tau and slow share.
    intercept, spread : float64 arrays, shape (3,)
    """

    centre: Floats
    scale: Floats
    weight: Floats
    intercept: Floats
    spread: Floats

    def priors(self, features: Floats) -> CurvePriors:
        """Return the distribution of curves by row of `features`, shape (n, n_features)."""
        means = _standardised(features, self.centre, self.scale) @ self.weight + self.intercept
        return CurvePriors.of(means, self.spread)

    def as_json(self) -> dict[str, Any]:
        """Return plain lists."""
        return {name: getattr(self, name).tolist() for name in LinearCurve.__slots__}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> LinearCurve:
        """Read what `as_json` returned."""
        return cls(*(np.array(content[name], np.float64) for name in cls.__slots__))


def fit_linear(
    features: Floats, table: Singles, grid: CurveGrid, start: CurvePriors, athlete: Objects,
    penalties: Sequence[float],
) -> LinearCurve:  # fmt: skip
    """Fit by expectation maximisation: ridge on posterior means, then means given that line.

    The spread is what the tests leave (marginal likelihood), with the degrees of freedom that the
    weights have used up taken off.

    Parameters
    ----------
    start : CurvePriors
        What the first posterior means are taken under.
    penalties : sequence of float
        In episodes' worth of a standardised feature; the best on athletes left out is taken.
    """
    seen = ~np.isnan(features).all(axis=0)
    centre, scale = np.zeros(seen.size), np.ones(seen.size)
    centre[seen] = np.nanmedian(features[:, seen], axis=0)
    scale[seen] = np.nanstd(features[:, seen], axis=0)
    scale[scale < 1e-12] = 1.0  # a constant feature is 0 once centred
    Z = _standardised(features, centre, scale)
    middle = Z.mean(axis=0)
    target, variance = posterior_means(table, grid, start)
    penalty = _best_penalty(Z, target, athlete, penalties)
    ridge = _Ridge.of(Z - middle)
    freedom = max(len(Z) - ridge.used(penalty) - 1.0, 1.0)
    moved, means = np.inf, np.full(target.shape, np.inf)
    for _ in range(LINEAR_ROUNDS):
        level = target.mean(axis=0)
        weight = ridge.weight(target - level, penalty)
        before, means = means, level + ridge.Z @ weight
        moved = float(np.abs(means - before).max())
        around = np.sum((target - means) ** 2, axis=0) / freedom + variance.mean(axis=0)
        spread = np.maximum(np.sqrt(around), LEAST_SPREAD)
        target, variance = posterior_means(table, grid, CurvePriors.of(means, spread))
    tell("linear_baseline", LINEAR_ROUNDS, converged=moved < STILL, moved=moved)
    return LinearCurve(centre, scale, weight, level - middle @ weight, spread)


def _standardised(features: Floats, centre: Floats, scale: Floats) -> Floats:
    z = np.clip((features - centre) / scale, -FURTHEST_SD, FURTHEST_SD)
    return np.asarray(np.nan_to_num(z))


@dataclass(frozen=True, slots=True)
class _Ridge:
    """Centred features, decomposed once for every penalty."""

    Z: Floats
    values: Floats
    vectors: Floats

    @classmethod
    def of(cls, Z: Floats) -> _Ridge:
        values, vectors = np.linalg.eigh(Z.T @ Z)
        return cls(Z, np.maximum(values, 0.0), vectors)

    def weight(self, target: Floats, penalty: float) -> Floats:
        """Return the weights for a centred target, shape (n_features, 3)."""
        along = self.vectors.T @ (self.Z.T @ target)
        return np.asarray(self.vectors @ (along / (self.values + penalty)[:, None]))

    def used(self, penalty: float) -> float:
        """Return the degrees of freedom that the weights take."""
        return float(np.sum(self.values / (self.values + penalty)))


def _best_penalty(Z: Floats, target: Floats, athlete: Objects, penalties: Sequence[float]) -> float:
    """Return the penalty of least squared error on athletes left out."""
    if len(penalties) == 1:
        return penalties[0]
    fold = athlete_folds(athlete, FOLDS, seed=0)
    loss = np.zeros(len(penalties))
    unit = np.maximum(target.var(axis=0), 1e-12)  # on a grid of one level no share differs
    for k in np.unique(fold):
        train, held = fold != k, fold == k
        if not train.any():  # one athlete cannot be left out
            continue
        middle, level = Z[train].mean(axis=0), target[train].mean(axis=0)
        ridge = _Ridge.of(Z[train] - middle)
        for i, penalty in enumerate(penalties):
            weight = ridge.weight(target[train] - level, penalty)
            error = target[held] - level - (Z[held] - middle) @ weight
            loss[i] += np.sum(error**2 / unit)
    return penalties[int(np.argmin(loss))]
