"""The nodes that curves live on: amplitudes, time constants and shapes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats, Ints


#: Shares of the slow part that are tried, evenly spaced; the first is to be avoided.
SLOW_SHARES = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)


#: Exponents of the slow part that are tried; the first and last are to be avoided.
POWERS = (0.5, 0.7, 1.0, 1.4, 2.2, 3.0, 4.5)


#: The power, before any test: around 1.2, this spread of its log either way. Where tests are
#: few or noisy the weights stay near; started from equal ones, heavy tails kept theirs, and with
#: tests of 4 % the CRPS of new athletes was 2 % higher (seed 9012).
POWER_CENTRE, POWER_SPREAD = 1.2, 0.5


@dataclass(frozen=True, slots=True)
class CurveGrid:
    """Nodes of log amplitude, log time constant and slow share, and the shapes of each share.

    Parameters
    ----------
    log_amplitude : float64 array, shape (n_a,), log of per cent or points
    log_tau : float64 array, shape (n_b,), log of hours
    share : float64 array, shape (n_w,)
        Levels, evenly spaced, that an episode's share of the slow part is distributed over.
    slow, power : float64 arrays, shape (n_s,)
        Share `w` of the slow part and its exponent `p`, for each shape.
    level : int64 array, shape (n_s,)
        Position in `share` of the level that each shape belongs to.
    weights : float64 array, shape (n_s,)
        Probability of each shape given its level; sums to 1 over a level.
    """

    log_amplitude: Floats
    log_tau: Floats
    share: Floats
    slow: Floats
    power: Floats
    level: Ints
    weights: Floats

    @classmethod
    def mixed(
        cls, log_amplitude: Floats, log_tau: Floats, slow: Floats, power: Floats, weights: Floats
    ) -> CurveGrid:
        """Return a grid of one level: every episode has the same mixture of shapes."""
        share = np.array([float(weights @ slow)])
        level = np.zeros(slow.size, np.int64)
        return cls(log_amplitude, log_tau, share, slow, power, level, weights)


def curve_grid(typical_error: float, *, amplitudes: int = 30, taus: int = 30) -> CurveGrid:
    """Return the full grid, one mixture of all shapes, as likely as they are before any test.

    Amplitudes reach from a twentieth of the `typical_error` of one test, which no number of tests
    tells from none, to thirty of them; time constants from 2 h to 500 h.
    """
    slow, power = (axis.ravel() for axis in np.meshgrid(SLOW_SHARES, POWERS, indexing="ij"))
    weight = np.exp(-0.5 * (np.log(power / POWER_CENTRE) / POWER_SPREAD) ** 2)
    return CurveGrid.mixed(
        np.linspace(np.log(typical_error / 20), np.log(typical_error * 30), amplitudes),
        np.linspace(np.log(2.0), np.log(500.0), taus),
        slow,
        power,
        weight / weight.sum(),
    )


def coarse(grid: CurveGrid) -> CurveGrid:
    """Return `grid` with every other node: enough to choose by, in a quarter of the time."""
    return replace(
        grid, log_amplitude=grid.log_amplitude[::2].copy(), log_tau=grid.log_tau[::2].copy()
    )


def edge_weight(grid: CurveGrid, by_share: Floats) -> float:
    """Return the weight of the shapes at the edge of those tried: the family may be too narrow.

    A curve that is slow altogether is no edge: there is nothing beyond it.

    Parameters
    ----------
    by_share : float64 array, shape (n_w,)
        Probability of each level.
    """
    edge = (grid.slow <= SLOW_SHARES[0]) | np.isin(grid.power, (POWERS[0], POWERS[-1]))
    return float((by_share[grid.level] * grid.weights)[edge].sum())


def keep_shapes(grid: CurveGrid, weights: Floats, *, at_least: float) -> CurveGrid:
    """Return one mixture of the shapes whose weight is `at_least`, weights made to sum to 1."""
    kept = weights >= at_least
    return CurveGrid.mixed(
        grid.log_amplitude,
        grid.log_tau,
        grid.slow[kept],
        grid.power[kept],
        weights[kept] / weights[kept].sum(),
    )


def by_share(grid: CurveGrid, weights: Floats, *, pseudo: float, at_least: float) -> CurveGrid:
    """Return every slow share as a level, its powers weighted as in the mixture `weights`.

    Parameters
    ----------
    grid : CurveGrid
        From `curve_grid`: each share with each power.
    weights : float64 array, shape (n_s,)
        Of its shapes, summing to 1.
    pseudo : float
        Each share's powers are pulled towards those of all as if it had this much more weight.
    at_least : float
        Powers below this probability, given the share, are dropped.
    """
    shares, powers = np.array(SLOW_SHARES), np.array(POWERS)
    table = weights.reshape(shares.size, powers.size)
    given = table + pseudo * table.sum(axis=0)
    given /= given.sum(axis=1, keepdims=True)
    given[given < at_least] = 0.0
    given /= given.sum(axis=1, keepdims=True)
    level, power = np.nonzero(given)
    return CurveGrid(
        grid.log_amplitude, grid.log_tau, shares, shares[level], powers[power], level,
        given[level, power],
    )  # fmt: skip
