"""Fit recovery curves to what was observed: the one way from arrays to a boosted curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.history.rested_baseline import TYPICAL_REST
from nmr_ml.models.curve.boosted import fit_boosted_curve
from nmr_ml.models.curve.grid import CurveGrid, curve_grid, edge_weight
from nmr_ml.models.curve.likelihood import LAST_H, likelihood_tables
from nmr_ml.models.curve.measurement import Measurement, profile_family, profile_measurement
from nmr_ml.models.curve.population import (
    choose_powers,
    choose_shapes,
    fit_population,
    node_probabilities,
)
from nmr_ml.models.curve.recovery_time import node_recovery_hours
from nmr_ml.models.curve.target import CurveTarget
from nmr_ml.numeric.folds import athlete_folds

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.curve.boosted import Fit, TreeSettings
    from nmr_ml.models.curve.population import Population
    from nmr_ml.numeric.arrays import Floats, Ints, Objects, Singles


#: Half-width, in log(1 + T / h), of the band of curves that a known recovery time stands for: that
#: of a cell of the grid. From 0.15 to 0.4 the CRPS of held-out athletes moves by less than 1 %.
TIME_WIDTH = 0.2
#: Likelihood of a recovery time that no node near the prior has, relative to a perfect one.
LEAST_TIME_LIKELIHOOD = 1e-12


@dataclass(frozen=True, slots=True)
class CurveFit:
    """A boosted curve with all that it was chosen by.

    Parameters
    ----------
    grid : CurveGrid
        With the shapes that the observations speak for.
    measurement : Measurement
        How the tests are read; as they are where recovery times themselves were given.
    table : float32 array, shape (n_episodes, n_w, n_a, n_b)
        Likelihood of each episode over the nodes, divided by ``exp(top)``.
    top : float64 array, shape (n_episodes,)
    population : Population
        The model without features, over all episodes.
    fold : int64 array, shape (n_episodes,)
        All episodes of an athlete share one.
    boosted : Fit
        The model, and for each row of X what the fold without its athlete says.
    """

    grid: CurveGrid
    measurement: Measurement
    table: Singles
    top: Floats
    population: Population
    fold: Ints
    boosted: Fit

    def figures(self) -> dict[str, float]:
        """Return what tells whether the fit went well, by name."""
        grid, fit, population = self.grid, self.boosted, self.population
        shares = node_probabilities(grid.share, population.mean[:, 2], population.spread[:, 2])
        return {
            "rounds": float(fit.rounds),
            "boosters": float(len(fit.model.boosters)),
            "spread_log_amplitude": float(fit.model.spread[0]),
            "spread_log_tau": float(fit.model.spread[1]),
            "spread_slow_share": float(fit.model.spread[2]),
            "held_out_evidence_gain": fit.evidence - fit.null_evidence,
            "error_scale": self.measurement.error_scale,
            "residual_deficit_84_h": self.measurement.residual_deficit[TYPICAL_REST],
            "population_evidence": self.population.evidence,
            "curve_shapes": float(grid.slow.size),
            "curve_weight_at_edge": edge_weight(grid, shares[0]),
        }


def fit_curve(
    X: Floats, row_episode: Ints, followed: Followed, athlete: Objects, group: Objects,
    settings: TreeSettings, names: tuple[str, ...],
) -> CurveFit:  # fmt: skip
    """Fit the curves behind the tests of each episode.

    Parameters
    ----------
    X : float64 array, shape (n_rows, n_features)
    row_episode : int64 array, shape (n_rows,)
        Position of each row's episode in the arguments below. The rows of an episode share the
        weight of one.
    followed : Followed
        The tests of each episode over its whole follow-up.
    athlete : object array of str, shape (n_episodes,)
        Whom folds keep together.
    group : object array of str, shape (n_episodes,)
        Groups with a mean and a spread of their own while the errors of the tests are profiled.
    names : tuple of str
        Of the features.
    """
    seed = settings.seed
    grid, measurement = _family(followed, group, athlete, seed)
    table, top = likelihood_tables(measurement.read(followed), grid)
    return _boost(X, row_episode, table, top, grid, measurement, athlete, settings, names)


def fit_curve_to_times(
    X: Floats, hours: Floats, athlete: Objects, delta: float, settings: TreeSettings,
    names: tuple[str, ...],
) -> CurveFit:  # fmt: skip
    """Fit the curves behind recovery times that are known, as only simulators know them.

    Parameters
    ----------
    X : float64 array, shape (n, n_features)
    hours : float64 array, shape (n,), h
        When the deficit of each episode fell below `delta` for good; 0 where it was never above.
    athlete : object array of str, shape (n,)
    delta : float
        On the scale of the deficits.

    Notes
    -----
    Of many curves that reach δ at the same hour a recovery time prefers none, so the shape is
    the plain exponential and the deficits of the fit mean nothing.
    """
    full = curve_grid(delta)
    one = np.ones(1)
    grid = CurveGrid.mixed(full.log_amplitude, full.log_tau, slow=one, power=one, weights=one)
    table = time_tables(hours, grid, delta)
    return _boost(
        X, np.arange(hours.size), table, np.zeros(hours.size), grid, Measurement(), athlete,
        settings, names,
    )  # fmt: skip


def time_tables(hours: Floats, grid: CurveGrid, delta: float) -> Singles:
    """Return each recovery time's likelihood over the nodes, shape (n, n_w, n_a, n_b).

    A normal band of `TIME_WIDTH` around each node's recovery time on log(1 + T / h).
    """
    nodes = node_recovery_hours(grid.log_amplitude, grid.log_tau, grid.slow, grid.power, delta)
    at = np.log1p(np.minimum(hours, LAST_H))
    table = np.zeros((hours.size, grid.share.size, *nodes.shape[1:]), np.float32)
    for node_h, level, weight in zip(nodes, grid.level, grid.weights, strict=True):
        apart = (np.log1p(np.minimum(node_h, LAST_H)) - at[:, None, None]) / TIME_WIDTH
        table[:, level] += weight * np.exp(-0.5 * apart**2)
    return np.maximum(table, np.float32(LEAST_TIME_LIKELIHOOD))


def _family(
    followed: Followed, group: Objects, athlete: Objects, seed: int
) -> tuple[CurveGrid, Measurement]:
    """Return the curve shapes and the reading of the tests that the tests speak for.

    Each is fitted given the other, shapes last. While tests are read, one mixture of shapes stands
    for all episodes; then each episode has a slow share of its own.
    """
    full = curve_grid(float(np.median(followed.error)))
    grid = choose_shapes(followed.alone(), full, seed=seed)
    codes = np.unique(group.astype(str), return_inverse=True)[1].astype(np.int64)
    measurement = profile_measurement(followed, grid, codes, seed=seed)
    measurement = profile_family(measurement, followed, grid, codes, athlete)
    return choose_powers(measurement.read(followed), full, seed=seed), measurement


def _boost(
    X: Floats, row_episode: Ints, table: Singles, top: Floats, grid: CurveGrid,
    measurement: Measurement, athlete: Objects, settings: TreeSettings, names: tuple[str, ...],
) -> CurveFit:  # fmt: skip
    fold = athlete_folds(athlete, settings.folds, settings.seed)
    population = fit_population(table, top, grid, np.zeros(len(athlete), np.int64))
    weight = 1.0 / np.bincount(row_episode)[row_episode]
    boosted = fit_boosted_curve(
        X, CurveTarget(grid, table, row_episode, weight / weight.mean()), fold[row_episode],
        population.mean[0], population.spread[0], settings, names,
    )  # fmt: skip
    return CurveFit(grid, measurement, table, top, population, fold, boosted)
