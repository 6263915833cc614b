"""The population behind the curves: groups with normal log amplitude and log time constant.

This is the model without features. It gives the boosted model its starting point, chooses the
weights of the curve shapes, and, with sessions grouped by modality, is the baseline to beat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.curve import coarse, keep_shapes, likelihood_tables, shape_evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.curve import CurveGrid
    from nmr_ml.labels import Followed

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

#: A group is pulled towards the pooled mean as if it held this many more episodes.
PSEUDO_EPISODES = 20.0
#: Below this spread a normal falls between the nodes of the grid.
LEAST_SPREAD = 0.15
#: Shapes with less than this share of the evidence are dropped.
LEAST_SHAPE = 0.04
#: Episodes that choose the shapes: against 1000 the CRPS of new athletes falls by 0.6
#: and 0.9 % (simulated, 300 athletes, seeds 102 and 101).
SHAPE_EPISODES = 3000


@dataclass(frozen=True, slots=True)
class Population:
    """Means and spreads of log amplitude and log tau by group.

    Parameters
    ----------
    mean, spread : float64 arrays, shape (n_groups, 2)
        Columns: log amplitude (log % or points), log tau (log h).
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
    table: NDArray[np.float32], top: Floats, grid: CurveGrid, group: Ints, *, rounds: int = 40
) -> Population:
    """Fit group means and spreads by expectation maximisation, groups pulled to the pooled mean.

    Parameters
    ----------
    table, top
        From `nmr_ml.curve.likelihood_tables`.
    group : int64 array, shape (n,)
        ``0 … n_groups - 1``.
    """
    n_groups = int(group.max()) + 1
    mean = np.tile([np.median(grid.log_amplitude), np.log(30.0)], (n_groups, 1))
    spread = np.ones((n_groups, 2))
    evidence = -np.inf
    for _ in range(rounds):
        a, b, total = _posterior_margins(table, grid, mean[group], spread[group])
        evidence = float(np.mean(top + np.log(total)))
        for axis, nodes, margin in ((0, grid.log_amplitude, a), (1, grid.log_tau, b)):
            first, second = margin @ nodes, margin @ nodes**2
            pooled = first.mean()
            count = np.bincount(group, minlength=n_groups)
            mean[:, axis] = (np.bincount(group, first, n_groups) + PSEUDO_EPISODES * pooled) / (
                count + PSEUDO_EPISODES
            )
            centred = second - 2 * first * mean[group, axis] + mean[group, axis] ** 2
            variance = (
                np.bincount(group, centred, n_groups) + PSEUDO_EPISODES * centred.mean()
            ) / (count + PSEUDO_EPISODES)
            spread[:, axis] = np.maximum(np.sqrt(variance), LEAST_SPREAD)
    return Population(mean, spread, evidence)


def _posterior_margins(
    table: NDArray[np.float32], grid: CurveGrid, mean: Floats, spread: Floats
) -> tuple[Floats, Floats, Floats]:
    a = node_probabilities(grid.log_amplitude, mean[:, 0], spread[:, 0])
    b = node_probabilities(grid.log_tau, mean[:, 1], spread[:, 1])
    over_b = np.einsum("qij,qj->qi", table, b) * a
    over_a = np.einsum("qij,qi->qj", table, a) * b
    total = np.maximum(over_b.sum(axis=1), 1e-300)
    return over_b / total[:, None], over_a / total[:, None], total


def choose_shapes(
    followed: Followed, grid: CurveGrid, *, seed: int, rounds: int = 100
) -> CurveGrid:
    """Return `grid` with the shapes that the tests speak for, weighted by their evidence.

    Weights, and the population's mean and spread, are fitted in turn by expectation maximisation
    on at most `SHAPE_EPISODES` episodes.
    """
    n = len(followed)
    rows = np.random.default_rng(seed).permutation(n)[:SHAPE_EPISODES]
    some = followed.take(np.sort(rows))
    weights = grid.weights
    nodes = coarse(grid)
    one_group = np.zeros(len(some), np.int64)
    for _ in range(2):
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
        weights = _shape_weights(evidence, weights, rounds)
    return keep_shapes(grid, weights, at_least=LEAST_SHAPE)


def _shape_weights(evidence: Floats, weights: Floats, rounds: int) -> Floats:
    relative = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    for _ in range(rounds):
        share = relative * weights
        weights = (share / share.sum(axis=1, keepdims=True)).mean(axis=0)
    return weights
