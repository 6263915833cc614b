"""The population behind the curves: groups with normal log amplitude, log tau and slow share.

This is the model without features. It gives the boosted model its starting point, chooses the
weights of the curve shapes, and, with sessions grouped by modality, is the baseline to beat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.models.curve.grid import by_share, coarse, keep_shapes
from nmr_ml.models.curve.likelihood import likelihood_tables, remaining_shares, shape_evidence
from nmr_ml.models.curve.target import OUTPUTS, CurveTarget
from nmr_ml.numeric.accelerated_em import climb
from nmr_ml.numeric.convergence import tell

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.numeric.arrays import Floats, Ints, Singles


#: A group is pulled towards the pooled mean as if it held this many more episodes.
PSEUDO_EPISODES = 20.0
#: Below these spreads a normal falls between the nodes of the grid.
LEAST_POPULATION_SPREAD = np.array([0.15, 0.15, 0.1])
#: Cycles of a fit from afar; most are over sooner.
POPULATION_CYCLES = 12
#: The weights of the shapes are pulled towards those before any test as by so many episodes.
PRIOR_EPISODES = 20.0
TINY = 1e-300
#: Shapes with less than this share of the evidence are dropped from a mixture.
LEAST_SHAPE_WEIGHT = 0.04
#: Powers with less than this probability, given the slow share, are dropped; and the weight that
#: those of all shares have in it.
LEAST_POWER, PSEUDO_SHARE = 0.05, 0.02
#: Episodes that choose the shapes: against 1000 the CRPS of new athletes falls by 0.6
#: and 0.9 % (simulated, 300 athletes, seeds 102 and 101).
SHAPE_EPISODES = 3000
#: Passes from the population to the weights of the shapes and back, and by how little the last may
#: move a weight.
PASSES, STILL = 2, 0.01


@dataclass(frozen=True, slots=True)
class Population:
    """Means and spreads of log amplitude, log tau and slow share by group.

    Parameters
    ----------
    mean, spread : float64 arrays, shape (n_groups, 3)
        Columns: log amplitude (log % or points), log tau (log h), share.
    evidence : float
        Mean log marginal likelihood per episode.
    """

    mean: Floats
    spread: Floats
    evidence: float


def node_probabilities(nodes: Floats, mean: Floats, spread: Floats) -> Floats:
    """Return normal probabilities over the `nodes`, shape (n, n_nodes); rows sum to 1."""
    z = (nodes[None, :] - mean[:, None]) / spread[:, None]
    weight = np.exp(-0.5 * (z**2 - (z**2).min(axis=1, keepdims=True)))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def fit_population(
    table: Singles, top: Floats, grid: CurveGrid, group: Ints, *,
    cycles: int = POPULATION_CYCLES, start: Population | None = None,
) -> Population:  # fmt: skip
    """Fit group means and spreads by expectation maximisation, groups pulled to the pooled mean.

    Parameters
    ----------
    table, top
        From `nmr_ml.models.curve.likelihood.likelihood_tables`.
    group : int64 array, shape (n,)
        ``0 … n_groups - 1``.
    cycles : int
        At most so many of `nmr_ml.numeric.accelerated_em.climb`.
    start : Population or None
        Of the same groups, fitted to much the same tests.
    """
    n_groups = int(group.max()) + 1
    count = np.bincount(group, minlength=n_groups)[:, None] + PSEUDO_EPISODES
    target = CurveTarget(grid, table, np.arange(group.size), np.ones(group.size))

    def step(at: Floats) -> tuple[Floats, float]:
        mean, spread = _in_range(at, grid)
        found, centre, variance = target.moments(mean[group], spread[group])
        mean = (_summed(centre, group, n_groups) + PSEUDO_EPISODES * centre.mean(axis=0)) / count
        around = (centre - mean[group]) ** 2 + variance
        pooled = PSEUDO_EPISODES * around.mean(axis=0)
        square = (_summed(around, group, n_groups) + pooled) / count
        square = np.maximum(square, LEAST_POPULATION_SPREAD**2)
        return np.stack([mean, 0.5 * np.log(square)]), float(np.mean(top + found))

    at = climb(step, _starting(grid, n_groups, start), cycles=cycles, name="population")
    mean, spread = _in_range(at, grid)
    return Population(mean, spread, step(at)[1])


def _starting(grid: CurveGrid, n_groups: int, start: Population | None) -> Floats:
    """Return means and logs of spreads that a fit starts from, shape (2, n_groups, 3)."""
    if start is not None:
        return np.stack([start.mean, np.log(start.spread)])
    mean = [np.median(grid.log_amplitude), np.log(30.0), np.median(grid.share)]
    both = np.array([mean, np.log([1.0, 1.0, 0.25])])
    return np.tile(both[:, None, :], (1, n_groups, 1))


def _in_range(at: Floats, grid: CurveGrid) -> tuple[Floats, Floats]:
    """Return means on the grid, and spreads that are neither too small nor wider than it."""
    axes = (grid.log_amplitude, grid.log_tau, grid.share)
    low, high = (np.array([axis[end] for axis in axes]) for end in (0, -1))
    widest = np.maximum(high - low, LEAST_POPULATION_SPREAD)
    mean, log_spread = (
        np.clip(at[0], low, high),
        np.clip(at[1], np.log(LEAST_POPULATION_SPREAD), np.log(widest)),
    )
    return mean, np.exp(log_spread)


def _summed(values: Floats, group: Ints, n_groups: int) -> Floats:
    """Return the sum of `values` (n, 3) over each group."""
    return np.column_stack(
        [np.bincount(group, values[:, axis], n_groups) for axis in range(OUTPUTS)]
    )


def deficit_moments(
    population: Population, grid: CurveGrid, hours: Floats
) -> tuple[Floats, Floats]:
    """Return mean and variance of the deficit of each group at `hours`, shapes (n_groups, n_h)."""
    left = remaining_shares(hours, grid.log_tau, grid.slow, grid.power)
    amplitude, tau, share = (
        node_probabilities(nodes, population.mean[:, axis], population.spread[:, axis])
        for axis, nodes in enumerate((grid.log_amplitude, grid.log_tau, grid.share))
    )
    shape = share[:, grid.level] * grid.weights
    first, second = (
        (amplitude @ np.exp(power * grid.log_amplitude))[:, None]
        * np.einsum("gs,ghs->gh", shape, np.einsum("gb,hsb->ghs", tau, left**power))
        for power in (1, 2)
    )
    return first, second - first**2


def choose_shapes(followed: Followed, grid: CurveGrid, *, seed: int) -> CurveGrid:
    """Return the mixture of those shapes of `grid` that the tests speak for."""
    return keep_shapes(grid, shape_weights(followed, grid, seed=seed), at_least=LEAST_SHAPE_WEIGHT)


def choose_powers(followed: Followed, grid: CurveGrid, *, seed: int) -> CurveGrid:
    """Return the slow shares of `grid` as levels, each with the powers that the tests speak for."""
    weights = shape_weights(followed, grid, seed=seed)
    return by_share(grid, weights, pseudo=PSEUDO_SHARE, at_least=LEAST_POWER)


def shape_weights(followed: Followed, grid: CurveGrid, *, seed: int) -> Floats:
    """Return the weight of each shape of the mixture `grid` by its evidence, shape (n_s,).

    Weights, and the population's mean and spread, are fitted in turn by expectation maximisation
    on at most `SHAPE_EPISODES` episodes.
    """
    n = len(followed)
    rows = np.random.default_rng(seed).permutation(n)[:SHAPE_EPISODES]
    some = followed.take(np.sort(rows))
    weights = grid.weights
    nodes = coarse(grid)
    one_group = np.zeros(len(some), np.int64)
    moved = np.inf
    for _ in range(PASSES):
        table, top = likelihood_tables(some, replace(nodes, weights=weights))
        population = fit_population(table, top, nodes, one_group)
        prior_a, prior_b = (
            node_probabilities(along, np.repeat(mean, len(some)), np.repeat(spread, len(some)))
            for along, mean, spread in (
                (nodes.log_amplitude, population.mean[:, 0], population.spread[:, 0]),
                (nodes.log_tau, population.mean[:, 1], population.spread[:, 1]),
            )
        )
        evidence = shape_evidence(
            some.offsets, some.hours, some.deficit, some.error, some.shared_error,
            nodes.log_amplitude, nodes.log_tau, nodes.slow, nodes.power, prior_a, prior_b,
        )  # fmt: skip
        before, weights = weights, _reweighted(evidence, weights, grid.weights)
        moved = float(np.abs(weights - before).max())
    tell("shapes_and_population", PASSES, converged=moved < STILL, moved=moved)
    return weights


def _reweighted(evidence: Floats, weights: Floats, prior: Floats) -> Floats:
    """Return the likeliest weights of shapes by `evidence` (n, n_s) and `prior` (n_s,)."""
    highest = evidence.max(axis=1, keepdims=True)
    relative = np.exp(evidence - highest)

    def step(at: Floats) -> tuple[Floats, float]:
        now = np.maximum(at, 0.0) / np.maximum(at, 0.0).sum()
        share = relative * now
        total = share.sum(axis=1, keepdims=True)
        pulled = (share / total).sum(axis=0) + PRIOR_EPISODES * prior
        height = np.log(total).sum() + PRIOR_EPISODES * (prior @ np.log(np.maximum(now, TINY)))
        return pulled / pulled.sum(), float(height)

    found = np.maximum(climb(step, weights, cycles=POPULATION_CYCLES, name="curve_shapes"), 0.0)
    return np.asarray(found / found.sum())
