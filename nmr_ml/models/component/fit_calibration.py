"""Learns how much wider the spreads must be, from athletes left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.models.component.calibration import EVERYONE, Calibration, Correction, Status
from nmr_ml.models.curve.likelihood import normal_weights
from nmr_ml.numeric.compiled import kept
from nmr_ml.numeric.parabola import peak

if TYPE_CHECKING:
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.numeric.arrays import Floats, Objects, Singles


#: Log scales of the spread that are tried.
LOG_SCALES = np.linspace(-0.45, 0.45, 13)


#: Spread of the log of the pooled scale around 0, and of those of groups around that.
PRIOR_POOLED, PRIOR_GROUP = 0.15, 0.08


#: Groups of fewer athletes are not calibrated by themselves.
LEAST_ATHLETES = 20


@kept
def _log_evidence(
    table: Singles, log_amplitude: Floats, log_tau: Floats, share: Floats,
    means: Floats, spreads: Floats, scales: Floats,
) -> Floats:  # fmt: skip
    """Return log p(tests) for every scale, shape (n, n_scales)."""
    n, n_w, n_a, n_b = table.shape
    mixed, over_a = np.empty((n_a, n_b)), np.empty(n_b)
    evidence = np.empty((n, scales.size))
    for q in range(n):
        ww = normal_weights(share, means[q, 2], spreads[q, 2])
        mixed[:] = 0.0
        for w in range(n_w):
            mixed += ww[w] * table[q, w]
        for c in range(scales.size):
            wa = normal_weights(log_amplitude, means[q, 0], scales[c] * spreads[q, 0])
            wb = normal_weights(log_tau, means[q, 1], scales[c] * spreads[q, 1])
            over_a[:] = 0.0
            for i in range(n_a):
                if wa[i] > 1e-9:
                    for j in range(n_b):
                        over_a[j] += wa[i] * mixed[i, j]
            evidence[q, c] = np.log(max((wb * over_a).sum(), 1e-290))
    return evidence


def fit_calibration(
    table: Singles, grid: CurveGrid, means: Floats, spreads: Floats, groups: Objects,
    athlete: Objects, unknown: tuple[Floats, Floats, Objects] | None = None,
) -> Calibration:  # fmt: skip
    """Fit the scale of all episodes together, then that of each group around it.

    Parameters
    ----------
    table : float32 array, shape (n, n_w, n_a, n_b)
        Likelihood of each episode's tests, from `nmr_ml.models.curve.likelihood.likelihood_tables`.
    means, spreads : float64 arrays, shape (n, 3)
        Priors from folds without the athlete.
    groups : object array of str, shape (n,)
        From `group_names`.
    athlete : object array of str, shape (n,)
    unknown : means, spreads and groups, or None
        The same where no earlier episode of the athlete is known. They are fitted to as well:
        athletes without a past whom the folds hold are few.
    """

    def evidence(means: Floats, spreads: Floats) -> Floats:
        return _log_evidence(
            table, grid.log_amplitude, grid.log_tau, grid.share, means, spreads, np.exp(LOG_SCALES)
        )

    heights, named = evidence(means, spreads), groups
    pooled, k = _best(heights, athlete, 0.0, PRIOR_POOLED)
    found = {EVERYONE: _correction(pooled, k)}
    if unknown is not None:
        heights = np.concatenate([heights, evidence(*unknown[:2])])
        named, athlete = np.concatenate([groups, unknown[2]]), np.tile(athlete, 2)
    for name in sorted(set(named.tolist())):
        rows = named == name
        own, k = _best(heights[rows], athlete[rows], pooled, PRIOR_GROUP)
        found[name] = _correction(own if k >= LEAST_ATHLETES else pooled, k)
    return Calibration(found)


def _best(evidence: Floats, athlete: Objects, centre: float, prior: float) -> tuple[float, int]:
    """Return the most likely log scale, and the number of athletes."""
    names, who = np.unique(athlete.astype(str), return_inverse=True)
    weight = 1.0 / np.bincount(who)[who]
    weight *= evidence.shape[0] / weight.sum()
    height = weight @ evidence - 0.5 * ((LOG_SCALES - centre) / prior) ** 2
    return peak(LOG_SCALES, height, int(np.argmax(height))), int(names.size)


def _correction(log_scale: float, athletes_n: int) -> Correction:
    status: Status = "calibrated" if athletes_n >= LEAST_ATHLETES else "model_based"
    return Correction(float(np.exp(max(log_scale, 0.0))), athletes_n, status)
