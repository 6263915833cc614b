"""What the true recovery times would allow: boosters on the same matrix, without any test noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lightgbm as lgb
import numpy as np

from benchmarks.rivals.method import trees
from benchmarks.rivals.scores import LEVELS
from nmr_ml.labels.followed_tests import no_tests
from nmr_ml.models.curve.boosted import TreeSettings, fit_boosted_curve
from nmr_ml.models.curve.grid import curve_grid
from nmr_ml.models.curve.population import choose_shapes, fit_population
from nmr_ml.models.curve.posterior import recovery_quantiles
from nmr_ml.models.curve.read_off import read_off
from nmr_ml.models.curve.recovery_time import node_recovery_hours
from nmr_ml.models.curve.target import CurveTarget

if TYPE_CHECKING:
    from benchmarks.rivals.method import Answer, Training
    from benchmarks.rivals.problem import Side
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.numeric.arrays import Floats, Ints, Singles


#: Levels that a booster is fitted at; between them quantiles are interpolated.
FITTED_LEVELS = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98)
STEPS = (40, 80, 120, 160, 200, 260, 320, 400)
#: Half-width in log(1 + T / h) of the band of curves that a true time stands for.
KERNEL = 0.08


def fit_averaged(training: Training) -> Answer:
    """Average the quantiles of the same booster and of quantile boosters.

    The best by CRPS on seed 101 of all that was tried there: the same booster 14.54, quantile
    boosters 14.58, location and spread of T, sqrt(T) and log(1 + T) 14.61, 14.67 and 14.99, the
    average 14.38.
    """
    same, pinball = fit_same_booster(training), fit_quantiles(training)
    return lambda side: np.asarray((same(side) + pinball(side)) / 2.0)


def fit_quantiles(training: Training) -> Answer:
    """Fit a pinball booster for each level, the number of trees from athlete folds."""
    X, hours = training.X, training.side.truth_h
    boosters = [_pinball(X, hours, training.fold, level, training.seed) for level in FITTED_LEVELS]

    def answer(side: Side) -> Floats:
        X = side.X
        found = np.sort(np.column_stack([b.predict(X) for b in boosters]), axis=1)
        return np.array([np.interp(LEVELS, FITTED_LEVELS, np.maximum(q, 0.0)) for q in found])

    return answer


def _pinball(X: Floats, y: Floats, fold: Ints, level: float, seed: int) -> lgb.Booster:
    params = trees(seed, objective="quantile", alpha=level)
    loss = np.zeros(len(STEPS))
    for k in np.unique(fold)[:3]:  # three of the folds tell the number of trees well enough
        train, held = fold != k, fold == k
        booster = lgb.train(params, lgb.Dataset(X[train], y[train]), STEPS[-1])
        for i, step in enumerate(STEPS):
            error = y[held] - np.asarray(booster.predict(X[held], num_iteration=step))
            loss[i] += np.maximum(level * error, (level - 1) * error).sum()
    return lgb.train(params, lgb.Dataset(X, y), STEPS[int(np.argmin(loss))])


def fit_same_booster(training: Training) -> Answer:
    """Fit the latent-curve booster to the true times: likely is a curve that recovers then."""
    followed = training.side.data.followed
    grid = choose_shapes(followed, curve_grid(float(np.median(followed.error))), seed=training.seed)
    table = _tables(training.side.truth_h, grid, training.delta)
    n = len(training.side)
    everyone = fit_population(table, np.zeros(n), grid, np.zeros(n, np.int64))
    target = CurveTarget(grid, table, np.arange(n), np.ones(n))
    names = tuple(f"x{i}" for i in range(training.X.shape[1]))
    fit = fit_boosted_curve(
        training.X, target, training.fold, everyone.mean[0], everyone.spread[0],
        TreeSettings(seed=training.seed, threads=1), names,
    )  # fmt: skip
    read = read_off(grid, training.delta)

    def answer(side: Side) -> Floats:
        means = fit.model.means(side.X)
        none = np.zeros((len(means), 0))
        return recovery_quantiles(
            read, means, fit.model.spread, no_tests(len(means)), LEVELS, none
        )[0]

    return answer


def _tables(truth_h: Floats, grid: CurveGrid, delta: float) -> Singles:
    """Return the likelihood of each true time at every node, shape (n, 1, n_a, n_b)."""
    hours = node_recovery_hours(grid.log_amplitude, grid.log_tau, grid.slow, grid.power, delta)
    nodes = np.log1p(np.minimum(hours, 1e6))
    table = np.zeros((truth_h.size, grid.log_amplitude.size, grid.log_tau.size), np.float32)
    for shape, weight in zip(nodes, grid.weights, strict=True):
        z = (shape[None] - np.log1p(truth_h)[:, None, None]) / KERNEL
        table += weight * np.exp(-0.5 * np.minimum(z**2, 200.0), dtype=np.float32)
    return np.maximum(table, 1e-12)[:, None]
