"""What is tabulated once for a δ, so that recovery times are read off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.models.curve.likelihood import (
    FAST_HALF_LIFE_H,
    LAST_H,
    remaining,
)

if TYPE_CHECKING:
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.numeric.arrays import Floats


#: Hours after the clock start at which the curve of an answer is given.
CURVE_H = (0.0, 6.0, 12.0, 24.0, 36.0, 48.0, 60.0, 72.0, 96.0, 120.0, 168.0, 240.0, 336.0)


#: Hours between which the distribution of the recovery time is a straight line.
KNOTS_H = np.concatenate([[0.0], np.geomspace(0.25, LAST_H, 63)])


@dataclass(frozen=True, slots=True)
class ReadOff:
    """What does not depend on the query, for one δ.

    Parameters
    ----------
    grid : CurveGrid
    delta : float
        On the component's scale.
    spared : float64 array, shape (n_a,)
        The part of each cell of log amplitude that lies below δ and so takes no time.
    places : float64 array, shape (n_s, n_a, n_knots)
        Of the rest of each cell and each shape, how many cells of log tau, counted from the first,
        have recovered by each of `KNOTS_H`.
    at_h : tuple of float, h after the clock start
    log_left : float64 array, shape (n_hours, n_s, n_b)
        Log of the share of the initial deficit that is left at each of `at_h`.
    """

    grid: CurveGrid
    delta: float
    spared: Floats
    places: Floats
    at_h: tuple[float, ...]
    log_left: Floats


def read_off(grid: CurveGrid, delta: float, at_h: tuple[float, ...] = ()) -> ReadOff:
    """Tabulate the thresholds of `delta`, and what is left at `at_h`, over the nodes of `grid`."""
    half = 0.5 * (grid.log_amplitude[1] - grid.log_amplitude[0])
    spared = np.clip((np.log(delta) - grid.log_amplitude) / (2 * half) + 0.5, 0.0, 1.0)
    rest = grid.log_amplitude + spared * half
    return ReadOff(grid, delta, spared, _places(grid, rest, delta), at_h, _log_left(grid, at_h))


def _places(grid: CurveGrid, log_amplitude: Floats, delta: float) -> Floats:
    """Solve ``A e(t) = δ`` for tau at every knot; see `ReadOff.places`."""
    amplitude, slow = np.exp(log_amplitude)[:, None], grid.slow[:, None, None]
    fast = (1.0 - slow) * 2.0 ** (-KNOTS_H / FAST_HALF_LIFE_H)
    share = (delta / amplitude - fast) / slow  # of the slow part that may be left
    with np.errstate(divide="ignore", invalid="ignore"):
        log_tau = np.log(KNOTS_H) - np.log(-np.log(share)) / grid.power[:, None, None]
    log_tau = np.where(share >= 1.0, np.inf, np.where(share <= 0.0, -np.inf, log_tau))
    step = grid.log_tau[1] - grid.log_tau[0]
    place = (log_tau - grid.log_tau[0]) / step + 0.5
    return np.ascontiguousarray(np.clip(place, 0.0, float(grid.log_tau.size)))


def _log_left(grid: CurveGrid, at_h: tuple[float, ...]) -> Floats:
    left = [
        [[remaining(hour, tau, w, p) for tau in np.exp(grid.log_tau)]
         for w, p in zip(grid.slow, grid.power, strict=True)]
        for hour in at_h
    ]  # fmt: skip
    shape = (len(at_h), grid.slow.size, grid.log_tau.size)
    with np.errstate(divide="ignore"):
        return np.log(np.array(left, np.float64).reshape(shape))
