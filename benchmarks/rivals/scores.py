"""One way to score every method: quantiles of the recovery time against the simulated truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.scoring.scores import concordance

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats, Objects


#: Every method answers with the quantiles at these levels.
LEVELS = np.round(np.arange(0.01, 0.995, 0.01), 2)
#: The simulator looks no further, so no method is charged for hours beyond.
MOST_H = 1000.0
LOWER, MEDIAN, UPPER = (int(np.argmin(np.abs(LEVELS - level))) for level in (0.1, 0.5, 0.9))
BOOTSTRAP = 2000


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of mean CRPS in hours with its athlete-clustered 95 % interval."""

    value: float
    lower: float
    upper: float


def crps(quantiles: Floats, truth_h: Floats) -> Floats:
    """Return the CRPS of each episode in hours: twice the mean pinball loss over `LEVELS`."""
    error = truth_h[:, None] - np.minimum(quantiles, MOST_H)
    pinball = np.maximum(LEVELS * error, (LEVELS - 1.0) * error)
    return np.asarray(2.0 * pinball.mean(axis=1))


def scores(quantiles: Floats, truth_h: Floats) -> dict[str, float]:
    """Return CRPS, MAE and bias of the median, and coverage and mean width of the 80 % interval."""
    capped = np.minimum(quantiles, MOST_H)
    low, middle, high = capped[:, LOWER], capped[:, MEDIAN], capped[:, UPPER]
    return {
        "crps_h": float(crps(quantiles, truth_h).mean()),
        "mae_h": float(np.abs(middle - truth_h).mean()),
        "bias_h": float((middle - truth_h).mean()),
        "coverage_80": float(((low <= truth_h) & (truth_h <= high)).mean()),
        "width_80_h": float((high - low).mean()),
        "c_index": concordance(middle, truth_h),
    }


def difference(first: Floats, second: Floats, athlete: Objects, *, seed: int = 0) -> Difference:
    """Compare two losses of the same episodes; athletes are drawn with all of their episodes."""
    names, who = np.unique(athlete.astype(str), return_inverse=True)
    gap = np.bincount(who, first - second, names.size)
    count = np.bincount(who, minlength=names.size)
    draw = np.random.default_rng(seed).multinomial(
        names.size, np.full(names.size, 1.0 / names.size), BOOTSTRAP
    )
    lower, upper = np.quantile((draw @ gap) / (draw @ count), [0.025, 0.975])
    return Difference(float(gap.sum() / count.sum()), float(lower), float(upper))


def quantiles_of_draws(draws: Floats, weights: Floats | None = None) -> Floats:
    """Return the quantiles at `LEVELS` of (weighted) draws, shape (n, n_draws) to (n, n_levels)."""
    if weights is None:
        return np.asarray(np.quantile(draws, LEVELS, axis=1).T)
    order = np.argsort(draws, axis=1)
    ordered = np.take_along_axis(draws, order, axis=1)
    mass = np.take_along_axis(weights, order, axis=1)
    middle = np.cumsum(mass, axis=1) - 0.5 * mass
    middle /= mass.sum(axis=1, keepdims=True)
    return np.array([np.interp(LEVELS, m, x) for m, x in zip(middle, ordered, strict=True)])


def probability_until(quantiles: Floats, hours: Floats) -> Floats:
    """Return P(T <= hour), shape (n, n_hours), read off the quantiles of each episode.

    Below the lowest quantile it is 0 and above the highest 1, but a lowest quantile of 0 h is mass
    at zero.
    """
    padded = np.concatenate([[0.0], LEVELS, [1.0]])
    out = np.empty((len(quantiles), hours.size))
    for i, q in enumerate(np.minimum(quantiles, MOST_H)):
        ends = np.concatenate([[min(q[0], 0.0)], q, [max(q[-1] * 1.2, q[-1] + 1.0)]])
        at = np.searchsorted(ends, hours, side="right")
        low = np.clip(at - 1, 0, padded.size - 1)
        high = np.clip(at, 0, padded.size - 1)
        gap = ends[high] - ends[low]
        share = np.divide(hours - ends[low], gap, out=np.zeros(hours.size), where=gap > 0)
        out[i] = padded[low] + np.clip(share, 0, 1) * (padded[high] - padded[low])
    return out
