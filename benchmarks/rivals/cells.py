"""What tests say of the recovery time alone: cells of hours, with the curves behind averaged out.

Methods that know recovery times and no curves need this twice: to be fitted to noisy tests without
taking one reading for the truth, and to be asked what a test will read. The curves behind a cell
are those of the population of its modality, the same for every method.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.models.curve.grid import curve_grid
from nmr_ml.models.curve.likelihood import likelihood_tables, remaining, shape_loglik
from nmr_ml.models.curve.measurement import profile_measurement
from nmr_ml.models.curve.population import choose_shapes, fit_population, node_probabilities
from nmr_ml.models.curve.recovery_time import node_recovery_hours
from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.models.curve.measurement import Measurement
    from nmr_ml.models.curve.population import Population
    from nmr_ml.numeric.arrays import Floats, Ints, Objects


#: Recovered within the first hour or never impaired, 31 cells up to 400 h, and beyond.
EDGES_H = np.concatenate([[0.0], np.geomspace(1.0, 400.0, 32), [np.inf]])
ANY = "*"


@dataclass(frozen=True, slots=True)
class PopulationCells:
    """The curves of each modality, and the cell that the recovery time of each curve lies in.

    Parameters
    ----------
    groups : tuple of str
        Modalities; the last one, `ANY`, stands for those not seen.
    population : Population
    grid : CurveGrid
    cell : int64 array, shape (n_s, n_a, n_b)
    measurement : Measurement
        How the tests are to be read, as the tests themselves say.
    delta : float
    """

    groups: tuple[str, ...]
    population: Population
    grid: CurveGrid
    cell: Ints
    measurement: Measurement
    delta: float

    def group_of(self, modality: Objects) -> Ints:
        """Return the position of each modality in `groups`."""
        known = {name: i for i, name in enumerate(self.groups)}
        return np.array([known.get(m, len(known) - 1) for m in modality], np.int64)

    def priors(self) -> tuple[Floats, Floats]:
        """Return node probabilities of log amplitude and log tau by group."""
        mean, spread = self.population.mean, self.population.spread
        return (
            node_probabilities(self.grid.log_amplitude, mean[:, 0], spread[:, 0]),
            node_probabilities(self.grid.log_tau, mean[:, 1], spread[:, 1]),
        )


def population_cells(
    followed: Followed, modality: Objects, delta: float, *, seed: int
) -> PopulationCells:
    """Fit the population of curves by modality to labelled episodes."""
    full = curve_grid(float(np.median(followed.error)))
    names, group = np.unique(modality.astype(str), return_inverse=True)
    measurement = profile_measurement(
        followed, choose_shapes(followed, full, seed=seed), group.astype(np.int64), seed=seed
    )
    followed = measurement.read(followed)
    grid = choose_shapes(followed, full, seed=seed)
    table, top = likelihood_tables(followed, grid)
    by_name = fit_population(table, top, grid, group.astype(np.int64))
    pooled = fit_population(table, top, grid, np.zeros(group.size, np.int64))
    population = type(by_name)(
        np.concatenate([by_name.mean, pooled.mean]),
        np.concatenate([by_name.spread, pooled.spread]),
        by_name.evidence,
    )
    hours = node_recovery_hours(grid.log_amplitude, grid.log_tau, grid.slow, grid.power, delta)
    cell = np.searchsorted(EDGES_H[1:-1], hours, side="right").astype(np.int64)
    return PopulationCells((*names.tolist(), ANY), population, grid, cell, measurement, delta)


@kept
def _weigh(
    group: Ints, offsets: Ints, hours: Floats, deficit: Floats, error: Floats, shared: Floats,
    log_amplitude: Floats, log_tau: Floats, slow: Floats, power: Floats, weights: Floats,
    prior_a: Floats, prior_b: Floats, cell: Ints, cells: int,
) -> tuple[Floats, Floats]:  # fmt: skip
    n, n_a, n_b = group.size, log_amplitude.size, log_tau.size
    joint, prior = np.zeros((n, cells)), np.zeros((n, cells))
    one = np.empty((slow.size, n_a, n_b))
    for q in range(n):
        tests = slice(offsets[q], offsets[q + 1])
        for s in range(slow.size):
            shape_loglik(
                hours[tests], deficit[tests], error[tests], shared[q],
                log_amplitude, log_tau, slow[s], power[s], one[s],
            )  # fmt: skip
        peak = one.max()
        for s in range(slow.size):
            for i in range(n_a):
                for j in range(n_b):
                    p = weights[s] * prior_a[group[q], i] * prior_b[group[q], j]
                    prior[q, cell[s, i, j]] += p
                    joint[q, cell[s, i, j]] += p * np.exp(one[s, i, j] - peak)
    return joint, prior


def cell_weights(
    cells: PopulationCells, followed: Followed, modality: Objects
) -> tuple[Floats, Floats]:
    """Return the posterior over the cells, and the likelihood of the tests in each cell.

    Both have shape (n, n_cells); the posterior is that of the population of the modality, the
    likelihood is relative to its largest value.
    """
    grid, followed = cells.grid, cells.measurement.read(followed)
    joint, prior = _weigh(
        cells.group_of(modality), followed.offsets, followed.hours, followed.deficit,
        followed.error, np.nan_to_num(followed.shared_error), grid.log_amplitude, grid.log_tau,
        grid.slow, grid.power, grid.weights, *cells.priors(), cells.cell, EDGES_H.size - 1,
    )  # fmt: skip
    likelihood = np.divide(joint, prior, out=np.zeros_like(joint), where=prior > 1e-12)
    return (
        joint / joint.sum(axis=1, keepdims=True),
        likelihood / likelihood.max(axis=1, keepdims=True),
    )


@kept
def _below(
    group: Ints, offsets: Ints, hours: Floats, error: Floats, shared: Floats, limits: Floats,
    log_amplitude: Floats, log_tau: Floats, slow: Floats, power: Floats, weights: Floats,
    prior_a: Floats, prior_b: Floats, cell: Ints, cells: int,
) -> Floats:  # fmt: skip
    out = np.zeros((hours.size, cells))
    mass = np.empty(cells)
    for q in range(group.size):
        for k in range(offsets[q], offsets[q + 1]):
            noise = np.sqrt(2.0 * (error[k] ** 2 + shared[q] ** 2))
            mass[:] = 0.0
            for s in range(slow.size):
                for j in range(log_tau.size):
                    left = remaining(hours[k], np.exp(log_tau[j]), slow[s], power[s])
                    for i in range(log_amplitude.size):
                        p = weights[s] * prior_a[group[q], i] * prior_b[group[q], j]
                        if p < 1e-9:
                            continue
                        z = (limits[q] - np.exp(log_amplitude[i]) * left) / noise
                        mass[cell[s, i, j]] += p
                        out[k, cell[s, i, j]] += p * 0.5 * (1.0 + math.erf(z))
            for c in range(cells):
                # Where the population has no curve, the test is taken to have no error.
                out[k, c] = out[k, c] / mass[c] if mass[c] > 0 else np.nan
    return out


def below_by_cell(cells: PopulationCells, followed: Followed, modality: Objects) -> Floats:
    """Return P(the test reads below δ | the recovery time lies in the cell), (n_tests, n_cells)."""
    grid, followed = cells.grid, cells.measurement.read(followed)
    limits = cells.delta + cells.measurement.residual(followed.baselines)
    below = _below(
        cells.group_of(modality), followed.offsets, followed.hours, followed.error,
        np.nan_to_num(followed.shared_error), limits, grid.log_amplitude, grid.log_tau,
        grid.slow, grid.power, grid.weights, *cells.priors(), cells.cell, EDGES_H.size - 1,
    )  # fmt: skip
    sharp = (EDGES_H[:-1] < followed.hours[:, None]).astype(np.float64)
    return np.asarray(np.where(np.isnan(below), sharp, below))
