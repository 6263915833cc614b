"""How good the predictions are: noise-smoothed Brier score of tests, and times against truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.numeric.arrays import owners
from training.scoring.bootstrap import Estimate, estimate, per_athlete, resample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.numeric.arrays import Bools, Floats, Objects


#: Tests within 12 h of these hours after the clock start are scored as of that hour.
WINDOWS_H = (24.0, 48.0, 72.0)
HALF_WINDOW_H = 12.0
#: What an unbounded quantile counts as in errors: well over a year.
LONGEST_H = 1e4


@dataclass(frozen=True, slots=True)
class Brier:
    """Noise-smoothed Brier scores of several methods on the same tests; smaller is better.

    Parameters
    ----------
    athletes_n, tests_n : int
        Athletes and tests that were scored.
    by_window : mapping of hour to mapping of method to score
        Windows without a test are absent.
    score : mapping of method to score
        Mean over the windows.
    difference : mapping of method to Estimate
        Score of the first method minus that of the other; below 0 the first is better.
    """

    athletes_n: int
    tests_n: int
    by_window: Mapping[float, Mapping[str, float]]
    score: Mapping[str, float]
    difference: Mapping[str, Estimate]


def brier(
    followed: Followed, delta: float, below: Mapping[str, Floats], athlete: Objects,
    *, bootstrap: int, seed: int,
) -> Brier:  # fmt: skip
    """Score probabilities that a test reads less than `delta`, at 24, 48 and 72 h.

    The probability has the error of the test in it, so a right model is not punished for noise
    (it is what makes this score rank models as the true recovery times do).

    Parameters
    ----------
    followed : Followed
    below : mapping of method to float64 array, shape (n_tests,)
        The first method is the one the others are compared with.
    athlete : object array, shape (n_episodes,)
    bootstrap : int
        Resamples of athletes.
    """
    owner = owners(followed.offsets)
    names, who = np.unique(athlete.astype(str)[owner], return_inverse=True)
    outcome = (followed.deficit < delta).astype(np.float64)
    inside = np.abs(followed.hours[:, None] - np.array(WINDOWS_H)) <= HALF_WINDOW_H
    counts = per_athlete(who, inside.astype(np.float64), names.size)
    used = counts.sum(axis=0) > 0
    losses = {
        method: per_athlete(who, inside * ((p - outcome) ** 2)[:, None], names.size)
        for method, p in below.items()
    }
    if not used.any():
        return Brier(0, 0, {}, {}, {})
    whole = np.ones((1, names.size))
    resampled = resample(counts.sum(axis=1) > 0, bootstrap, seed)
    means = {m: _means(whole, loss, counts, used) for m, loss in losses.items()}
    draws = {m: _means(resampled, loss, counts, used).mean(axis=1) for m, loss in losses.items()}
    first = next(iter(below))
    return Brier(
        athletes_n=int(np.sum(counts.sum(axis=1) > 0)),
        tests_n=int(inside.any(axis=1).sum()),
        by_window={
            hour: {m: float(means[m][0, i]) for m in below}
            for i, hour in enumerate(np.array(WINDOWS_H)[used].tolist())
        },
        score={m: float(means[m].mean()) for m in below},
        difference={
            m: estimate(float(means[first].mean() - means[m].mean()), draws[first] - draws[m])
            for m in below
            if m != first
        },
    )


def _means(weights: Floats, losses: Floats, counts: Floats, used: Bools) -> Floats:
    """Return the weighted mean loss in each used window, shape (draws, n_used)."""
    total = weights @ counts[:, used]
    # A draw without any test in a window says nothing about it.
    with np.errstate(invalid="ignore"):
        means = (weights @ losses[:, used]) / total
    return np.asarray(np.where(total > 0, means, np.nan))


def time_scores(quantiles: Floats, levels: Floats, truth_h: Floats) -> dict[str, float]:
    """Score predicted recovery times against simulated true ones.

    Parameters
    ----------
    quantiles : float64 array, shape (n, n_levels), h
        At `levels`, equally spaced and symmetric, with 0.1, 0.5 and 0.9 among them.
    truth_h : float64 array, shape (n,), h

    Returns
    -------
    dict with ``mae_h`` and ``bias_h`` of the median, ``crps_h`` (twice the mean pinball loss over
    the levels), ``coverage_80`` and ``c_index`` (share of pairs in the right order).
    """
    finite = np.minimum(quantiles, LONGEST_H)
    at = {level: finite[:, int(np.argmin(np.abs(levels - level)))] for level in (0.1, 0.5, 0.9)}
    return {
        "mae_h": float(np.mean(np.abs(truth_h - at[0.5]))),
        "bias_h": float(np.mean(at[0.5] - truth_h)),
        "crps_h": float(crps(quantiles, levels, truth_h).mean()),
        "coverage_80": float(np.mean((at[0.1] <= truth_h) & (truth_h <= at[0.9]))),
        "c_index": concordance(at[0.5], truth_h),
    }


def crps(quantiles: Floats, levels: Floats, truth_h: Floats) -> Floats:
    """Return twice the mean pinball loss over the levels, of each time, shape (n,), h."""
    error = truth_h[:, None] - np.minimum(quantiles, LONGEST_H)
    return np.asarray(2 * np.maximum(levels * error, (levels - 1) * error).mean(axis=1))


def concordance(predicted: Floats, truth: Floats, *, most: int = 4000, seed: int = 0) -> float:
    """Return the share of pairs with different truth that are predicted in their order.

    Ties of the prediction count half. Above `most` rows a random subset is taken.
    """
    rows = np.random.default_rng(seed).permutation(truth.size)[:most]
    p, t = predicted[rows], truth[rows]
    longer = t[:, None] > t[None, :]
    right = (p[:, None] > p[None, :]) + 0.5 * (p[:, None] == p[None, :])
    return float(right[longer].mean()) if longer.any() else float("nan")
