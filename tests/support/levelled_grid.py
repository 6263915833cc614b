"""A small grid of several slow shares, and plain sums over its nodes to hold kernels against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import multivariate_normal

from nmr_ml.models.curve.grid import CurveGrid
from nmr_ml.models.curve.likelihood import FAST_HALF_LIFE_H

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmr_ml.numeric.arrays import Floats

#: Three levels with two powers each, in no order, so that a shape's level must be looked up.
LEVELLED = CurveGrid(
    np.linspace(np.log(0.5), np.log(40), 9),
    np.linspace(np.log(4), np.log(300), 8),
    share=np.array([0.4, 0.7, 1.0]),
    slow=np.array([0.7, 0.4, 1.0, 0.4, 1.0, 0.7]),
    power=np.array([1.0, 0.7, 1.4, 2.2, 0.7, 3.0]),
    level=np.array([1, 0, 2, 0, 2, 1]),
    weights=np.array([0.75, 0.2, 0.65, 0.8, 0.35, 0.25]),
)


def normal(nodes: Floats, mean: float, spread: float) -> Floats:
    """Return normal probabilities over `nodes`."""
    weight = np.exp(-0.5 * ((nodes - mean) / spread) ** 2)
    probability: Floats = weight / weight.sum()
    return probability


def shape_prior(grid: CurveGrid, mean: float, spread: float) -> Floats:
    """Return the probability of each shape where the slow share is normal over its levels."""
    of_level = normal(grid.share, mean, spread)
    return np.array([w * of_level[k] for w, k in zip(grid.weights, grid.level, strict=True)])


def node_prior(
    grid: CurveGrid, mean: Sequence[float] | Floats, spread: Sequence[float] | Floats
) -> Floats:
    """Return the probability of each node, shape (n_s, n_a, n_b)."""
    a = normal(grid.log_amplitude, mean[0], spread[0])
    b = normal(grid.log_tau, mean[1], spread[1])
    s = shape_prior(grid, mean[2], spread[2])
    return s[:, None, None] * a[None, :, None] * b[None, None, :]


def node_deficits(grid: CurveGrid, hour: float) -> Floats:
    """Return the deficit of each node after `hour` hours, shape (n_s, n_a, n_b)."""
    slow, power = grid.slow[:, None], grid.power[:, None]
    fast = (1 - slow) * 2.0 ** (-hour / FAST_HALF_LIFE_H)
    left = fast + slow * np.exp(-((hour / np.exp(grid.log_tau)) ** power))
    deficit: Floats = np.exp(grid.log_amplitude)[None, :, None] * left[:, None, :]
    return deficit


def node_loglik(
    grid: CurveGrid, tests: Sequence[tuple[float, float, float]], shared: float
) -> Floats:
    """Return the log density of `tests` (hours, deficit, error) at each node, (n_s, n_a, n_b)."""
    hours, deficit, error = np.array(tests).T
    apart = np.stack([d - node_deficits(grid, h) for h, d in zip(hours, deficit, strict=True)], -1)
    noise = multivariate_normal(np.zeros(len(tests)), np.diag(error**2) + shared**2)
    density: Floats = noise.logpdf(apart.reshape(-1, len(tests)))
    return density.reshape(apart.shape[:3])


def node_posterior(
    grid: CurveGrid, mean: Sequence[float] | Floats, spread: Sequence[float] | Floats,
    tests: Sequence[tuple[float, float, float]], shared: float,
) -> Floats:  # fmt: skip
    """Return the probability of each node once `tests` are seen, shape (n_s, n_a, n_b)."""
    joint = node_prior(grid, mean, spread)
    if tests:
        loglik = node_loglik(grid, tests, shared)
        joint = joint * np.exp(loglik - loglik.max())
    probability: Floats = joint / joint.sum()
    return probability
