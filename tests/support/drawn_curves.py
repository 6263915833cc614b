"""Grids of curves and drawn episodes on them, for tests of what is fitted to curves."""

from __future__ import annotations

import numpy as np

from nmr_ml.models.curve.grid import CurveGrid
from nmr_ml.models.curve.likelihood import likelihood_tables, remaining
from nmr_ml.models.curve.target import CurveTarget
from tests.support.small_cohorts import followed_of

#: Four slow shares with two powers each.
GRID = CurveGrid(
    np.linspace(np.log(0.3), np.log(60), 24), np.linspace(np.log(3), np.log(400), 22),
    share=np.array([0.4, 0.6, 0.8, 1.0]), slow=np.repeat([0.4, 0.6, 0.8, 1.0], 2),
    power=np.tile([1.0, 1.4], 4), level=np.repeat(np.arange(4), 2),
    weights=np.tile([0.7, 0.3], 4),
)  # fmt: skip
MIXED = CurveGrid.mixed(
    GRID.log_amplitude, GRID.log_tau, np.array([1.0, 0.6]), np.array([1.0, 1.4]),
    np.array([0.7, 0.3]),
)  # fmt: skip
AXES = (GRID.log_amplitude, GRID.log_tau, GRID.share)


def table_of(seed: int = 0, n: int = 6, grid: CurveGrid = GRID) -> np.ndarray:
    rng = np.random.default_rng(seed)
    episodes = [
        [(h, float(rng.normal(5, 5)), 2.6) for h in rng.uniform(0, 120, rng.integers(1, 4))]
        for _ in range(n)
    ]
    return likelihood_tables(followed_of(episodes), grid)[0]


#: Mean and spread of the log amplitude, log tau and slow share of `drawn` episodes.
MEAN, SPREAD = np.array([np.log(8.0), np.log(40.0), 0.7]), np.array([0.35, 0.45, 0.2])


def drawn(
    n: int, *, effect: float = 0.5, kinds: tuple[int, int] | None = None, error: float = 1.5,
    hours: tuple[float, ...] = (12.0, 36.0, 60.0), seed: int = 0,
) -> tuple[np.ndarray, CurveTarget, np.ndarray, np.ndarray]:  # fmt: skip
    """Return simulated episodes whose amplitude depends on the first of two features.

    With `kinds`, the second one says which of two levels the slow share of an episode is.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    mean = MEAN + effect * X[:, [0]] * np.array([1.0, 0.0, 0.0])
    log_a, log_tau, share = (mean + SPREAD * rng.normal(size=(n, 3))).T
    level = np.abs(share[:, None] - GRID.share).argmin(axis=1)
    if kinds is not None:
        X[:, 1] = rng.integers(0, 2, n)
        level = np.take(kinds, X[:, 1].astype(int))
    shape = 2 * level + rng.choice(2, n, p=GRID.weights[:2])
    episodes = [
        [
            (h, np.exp(log_a[i]) * remaining(h, np.exp(log_tau[i]), GRID.slow[s], GRID.power[s])
             + error * rng.normal(), error)
            for h in hours
        ]
        for i, s in enumerate(shape)
    ]  # fmt: skip
    table, _ = likelihood_tables(followed_of(episodes, 1e-6), GRID)
    return X, CurveTarget(GRID, table, np.arange(n), np.ones(n)), mean, SPREAD
