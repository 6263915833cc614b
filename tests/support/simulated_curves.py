"""Episodes whose tests are drawn from known curves, so that fits have right answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.features.contract import feature_contract
from nmr_ml.models.curve.grid import CurveGrid
from nmr_ml.models.curve.likelihood import FAST_HALF_LIFE_H
from nmr_ml.models.curve.measurement import Measurement
from tests.support.small_cohorts import followed_of
from training.baselines.curves import Starts
from training.scoring.forecasts import CurvePriors, ForetoldTests

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from nmr_ml.labels.followed_tests import Followed

#: One exponential, with nodes close enough for spreads from 0.15 on.
GRID = CurveGrid.mixed(
    np.linspace(np.log(0.2), np.log(120), 40), np.linspace(np.log(2), np.log(600), 30),
    np.array([1.0]), np.array([1.0]), np.array([1.0]),
)  # fmt: skip
#: The same with slow shares from 0.4 to 1.
SHARES = CurveGrid(
    GRID.log_amplitude, GRID.log_tau, share=np.linspace(0.4, 1.0, 4), slow=np.linspace(0.4, 1.0, 4),
    power=np.ones(4), level=np.arange(4), weights=np.ones(4),
)  # fmt: skip
DELTA = 2.6
HOURS = (12.0, 36.0, 60.0)


def drawn_tests(
    means: np.ndarray, spreads: np.ndarray, rng: np.random.Generator, *, error: float = 0.5,
    step: float = 0.0, hours: tuple[float, ...] = HOURS,
) -> Followed:  # fmt: skip
    """Draw a curve for each episode and its tests, deficits rounded to `step` where it is not 0.

    Means and spreads of shape (n, 2) are of curves that are slow altogether; those of shape (n, 3)
    say what the slow share is, and the nearest of `SHARES` is taken.
    """
    a, b, *share = (means + spreads * rng.standard_normal(means.shape)).T
    slow = np.ones(len(means))
    if share:
        slow = SHARES.share[np.abs(share[0][:, None] - SHARES.share).argmin(axis=1)]
    episodes, at_h = [], np.array(hours)
    for amplitude, tau, w in zip(np.exp(a), np.exp(b), slow, strict=True):
        left = (1 - w) * 2.0 ** (-at_h / FAST_HALF_LIFE_H) + w * np.exp(-at_h / tau)
        read = amplitude * left + error * rng.standard_normal(len(hours))
        if step:
            read = step * np.round(read / step)
        episodes.append([(h, float(d), error) for h, d in zip(hours, read, strict=True)])
    return followed_of(episodes, 1e-3)


def readings_of(followed: Followed, step: float = 0.0, delta: float = DELTA) -> ForetoldTests:
    """Return the tests as they stand, to be foretold."""
    return ForetoldTests(followed, GRID, Measurement(), delta, step)


def starts_of(modality: np.ndarray, **columns: np.ndarray) -> Starts:
    """Return episodes with these features, the others missing."""
    contract = feature_contract()
    X = np.full((modality.size, len(contract.names)), np.nan)
    for name, values in columns.items():
        X[:, contract.names.index(name)] = values
    return Starts(X, modality, contract)


def one_prior(n: int, mean: tuple[float, ...], spread: tuple[float, ...]) -> CurvePriors:
    """Return the same prior for `n` episodes."""
    return CurvePriors.of(np.tile(mean, (n, 1)), np.array(spread))


def athletes(n: int, each: int) -> np.ndarray:
    """Return the names of `n` athletes with `each` episodes, one athlete after the other."""
    return np.repeat(np.array([f"a{i:03d}" for i in range(n)], dtype=object), each)


def with_deficits(followed: Followed, deficit: ArrayLike) -> Followed:
    """Return the same tests with other readings."""
    return replace(followed, deficit=np.asarray(deficit, np.float64))
