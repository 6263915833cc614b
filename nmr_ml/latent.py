"""The latent-curve model: one LightGBM with two outputs, log amplitude and log time constant.

Its objective is the exact likelihood of the tests with the episode's own amplitude and time
constant integrated over the grid, so noisy tests pull on the curve as far as their error allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.curve import CurveGrid

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Table = NDArray[np.float32]

#: The exact Hessian is negative for a fifth of the rows; Newton steps need a floor.
LEAST_CURVATURE = 0.1
LEAST_SPREAD = 0.12


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """How the trees are grown; the defaults are those of the shipped ``configs/train.yaml``."""

    learning_rate: float = 0.06
    num_leaves: int = 8
    min_data_in_leaf: int = 40
    feature_fraction: float = 0.5
    bagging_fraction: float = 0.7
    lambda_l2: float = 5.0
    max_bin: int = 127
    max_rounds: int = 240
    seed: int = 0
    threads: int = 2

    def params(self) -> dict[str, Any]:
        """Return LightGBM's parameters, reproducible for a fixed seed and thread count."""
        return {
            "num_class": 2,
            "num_tree_per_iteration": 2,
            "metric": "None",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_data_in_leaf,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.lambda_l2,
            "max_bin": self.max_bin,
            "seed": self.seed,
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }


@njit(cache=True, nogil=True)
def posterior_moments(
    table: Table,
    episode: Ints,
    log_amplitude: Floats,
    log_tau: Floats,
    mean: Floats,
    spread: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return log evidence, and mean and variance of (log amplitude, log tau) given the tests.

    Parameters
    ----------
    table : float32 array, shape (n_episodes, n_a, n_b)
        Likelihood of each episode's tests, from `nmr_ml.curve.likelihood_tables`.
    episode : int64 array, shape (n,)
        Row of `table` for each prior.
    mean : float64 array, shape (n, 2)
    spread : float64 array, shape (2,)
        The normal prior of each row.

    Returns
    -------
    evidence : shape (n,), relative to the table's `top`
    mean, variance : shape (n, 2)
    """
    n, n_a, n_b = episode.size, log_amplitude.size, log_tau.size
    evidence = np.empty(n)
    centre = np.empty((n, 2))
    variance = np.empty((n, 2))
    for q in range(n):
        wa = np.exp(-0.5 * ((log_amplitude - mean[q, 0]) / spread[0]) ** 2)
        wb = np.exp(-0.5 * ((log_tau - mean[q, 1]) / spread[1]) ** 2)
        sum_a, sum_b = wa.sum(), wb.sum()
        total, a1, a2, b1, b2 = 0.0, 0.0, 0.0, 0.0, 0.0
        one = table[episode[q]]
        for i in range(n_a):
            if wa[i] < 1e-12 * sum_a:
                continue
            row, row1, row2 = 0.0, 0.0, 0.0
            for j in range(n_b):
                w = one[i, j] * wb[j]
                row += w
                row1 += w * log_tau[j]
                row2 += w * log_tau[j] * log_tau[j]
            row *= wa[i]
            total += row
            a1 += row * log_amplitude[i]
            a2 += row * log_amplitude[i] * log_amplitude[i]
            b1 += row1 * wa[i]
            b2 += row2 * wa[i]
        total = max(total, 1e-290)
        evidence[q] = np.log(total / (sum_a * sum_b))
        centre[q, 0] = a1 / total
        centre[q, 1] = b1 / total
        variance[q, 0] = max(a2 / total - centre[q, 0] ** 2, 0.0)
        variance[q, 1] = max(b2 / total - centre[q, 1] ** 2, 0.0)
    return evidence, centre, variance


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What the boosted curve is fitted to.

    Parameters
    ----------
    X : float64 array, shape (n, n_features)
    episode : int64 array, shape (n,)
        Row of `table`; an episode seen at several landmarks has several rows.
    table : float32 array, shape (n_episodes, n_a, n_b)
    weight : float64 array, shape (n,)
    """

    X: Floats
    episode: Ints
    table: Table
    weight: Floats

    def take(self, rows: NDArray[np.intp]) -> TrainingSet:
        """Return the training set of `rows`."""
        return TrainingSet(self.X[rows], self.episode[rows], self.table, self.weight[rows])


class _Objective:
    """LightGBM's callback: gradient and curvature of minus the log evidence in the two means."""

    def __init__(self, data: TrainingSet, grid: CurveGrid, offset: Floats, spread: Floats) -> None:
        self.data, self.grid, self.offset = data, grid, offset
        self.spread = spread

    def __call__(self, scores: Floats, _: lgb.Dataset) -> tuple[Floats, Floats]:
        mean = np.ascontiguousarray(scores.reshape(-1, 2, order="A")) + self.offset
        _evidence, centre, variance = posterior_moments(
            self.data.table, self.data.episode, self.grid.log_amplitude, self.grid.log_tau,
            mean, self.spread,
        )  # fmt: skip
        square = self.spread**2
        gradient = (mean - centre) / square
        curvature = np.maximum(1.0 - variance / square, LEAST_CURVATURE) / square
        weight = self.data.weight[:, None]
        return gradient * weight, curvature * weight


@dataclass(frozen=True, slots=True)
class BoostedCurve:
    """A fitted model: features to the normal prior of (log amplitude, log tau).

    Parameters
    ----------
    booster : lightgbm.Booster
    offset, spread : float64 arrays, shape (2,)
        Added to the booster's output (LightGBM does not store it), and the spread of an episode
        around it.
    """

    booster: lgb.Booster
    offset: Floats
    spread: Floats

    def means(self, X: Floats) -> Floats:
        """Return the prior means, shape (n, 2)."""
        raw = self.booster.predict(X, raw_score=True)
        return np.asarray(raw, np.float64).reshape(-1, 2) + self.offset

    def contributions(self, X: Floats) -> Floats:
        """Return each feature's exact tree contribution to the means, shape (n, n_features, 2)."""
        both = np.asarray(self.booster.predict(X, pred_contrib=True), np.float64)
        return np.ascontiguousarray(both.reshape(len(X), 2, -1)[:, :, :-1].transpose(0, 2, 1))


def grow(
    data: TrainingSet, grid: CurveGrid, offset: Floats, spread: Floats, settings: TreeSettings,
    *, rounds: int, names: tuple[str, ...],
) -> lgb.Booster:  # fmt: skip
    """Grow `rounds` pairs of trees for a fixed episode spread."""
    dataset = lgb.Dataset(data.X, np.zeros(len(data.X)), feature_name=list(names))
    objective = _Objective(data, grid, offset, spread)
    return lgb.train({**settings.params(), "objective": objective}, dataset, num_boost_round=rounds)


def refine_spread(
    data: TrainingSet, grid: CurveGrid, mean: Floats, spread: Floats, *, rounds: int = 30
) -> tuple[Floats, float]:
    """Return the spread that makes the tests of held-out athletes most likely, and that evidence.

    Expectation maximisation for fixed means; the evidence is the weighted mean per row.
    """
    for _ in range(rounds):
        _evidence, centre, variance = _moments(data, grid, mean, spread)
        around = np.average((centre - mean) ** 2 + variance, axis=0, weights=data.weight)
        spread = np.maximum(np.sqrt(around), LEAST_SPREAD)
    evidence, _centre, _variance = _moments(data, grid, mean, spread)
    return spread, float(np.average(evidence, weights=data.weight))


def _moments(
    data: TrainingSet, grid: CurveGrid, mean: Floats, spread: Floats
) -> tuple[Floats, Floats, Floats]:
    evidence, centre, variance = posterior_moments(
        data.table, data.episode, grid.log_amplitude, grid.log_tau, mean, spread
    )
    return evidence, centre, variance


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted curve with what its folds said.

    Parameters
    ----------
    model : BoostedCurve
        Refitted on every row.
    held_out_means : float64 array, shape (n, 2)
        Means of each row from the fold that did not see its athlete.
    rounds : int
    evidence : float
        Held-out mean log evidence at `rounds`; `null_evidence` is that without trees.
    """

    model: BoostedCurve
    held_out_means: Floats
    rounds: int
    evidence: float
    null_evidence: float


def fit_boosted_curve(
    data: TrainingSet, grid: CurveGrid, fold: Ints, offset: Floats, spread: Floats,
    settings: TreeSettings, names: tuple[str, ...],
) -> Fit:  # fmt: skip
    """Choose rounds and spread on athlete-grouped folds, then refit on every row.

    Parameters
    ----------
    fold : int64 array, shape (n,)
        Fold of each row; all rows of an athlete are in one fold.
    offset, spread : float64 arrays, shape (2,)
        Start: mean and spread of the population.
    """
    steps = np.unique(np.linspace(10, settings.max_rounds, 24).astype(int))
    means = np.empty((steps.size, len(data.X), 2))
    for k in np.unique(fold):
        train, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        booster = grow(
            data.take(train), grid, offset, spread, settings, rounds=int(steps[-1]), names=names
        )
        for i, mean in enumerate(_staged_means(booster, data.X[held], steps)):
            means[i, held] = mean + offset
    null = refine_spread(data, grid, np.tile(offset, (len(data.X), 1)), spread)
    stages = [refine_spread(data, grid, mean, spread, rounds=6) for mean in means]
    best = int(np.argmax([evidence for _spread, evidence in stages]))
    final, evidence = refine_spread(data, grid, means[best], stages[best][0])
    booster = grow(data, grid, offset, final, settings, rounds=int(steps[best]), names=names)
    model = BoostedCurve(booster, offset, final)
    return Fit(model, means[best], int(steps[best]), evidence, null[1])


def _staged_means(booster: lgb.Booster, X: Floats, steps: Ints) -> list[Floats]:
    total = np.zeros((len(X), 2))
    stages, done = [], 0
    for step in steps:
        part = booster.predict(
            X, raw_score=True, start_iteration=done, num_iteration=int(step) - done
        )
        total = total + np.asarray(part).reshape(-1, 2)
        stages.append(total)
        done = int(step)
    return stages
