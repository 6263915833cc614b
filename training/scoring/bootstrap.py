"""How sure a mean over tests is: resampling athletes, whose tests are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.numeric.arrays import Bools, Floats, Ints, Objects


#: Two-sided level of the bootstrap intervals.
LEVEL = 0.95
#: What our own model is called beside the methods it has to beat.
MODEL = "model"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its athlete-clustered bootstrap interval, of 95 % unless said otherwise."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Compared:
    """A mean over tests (or episodes) of several methods.

    Parameters
    ----------
    score : mapping of method to Estimate
    difference : mapping of method to Estimate
        Mean of the first method minus that of the other.
    """

    score: Mapping[str, Estimate]
    difference: Mapping[str, Estimate]


def compare(
    parts: Mapping[str, Floats], athlete: Objects, *, bootstrap: int, seed: int,
    level: float = LEVEL,
) -> Compared:  # fmt: skip
    """Compare the means that methods reach on the same tests (or episodes).

    Parameters
    ----------
    parts : mapping of method to float64 array, shape (n,)
        One number of each test; the first method is the one the others are compared with.
    athlete : object array of str, shape (n,), n > 0
    bootstrap : int
        Resamples of athletes.
    level : float
        Two-sided level of the intervals.
    """
    names, who = np.unique(athlete.astype(str), return_inverse=True)
    counts = np.bincount(who, minlength=names.size).astype(np.float64)
    weights = np.vstack([np.ones((1, names.size)), resample(counts > 0, bootstrap, seed)])
    total = weights @ counts
    means = {m: weights @ np.bincount(who, part, names.size) / total for m, part in parts.items()}
    first = next(iter(means.values()))
    return Compared(
        {m: estimate(float(mean[0]), mean[1:], level) for m, mean in means.items()},
        {
            m: estimate(float((first - f)[0]), (first - f)[1:], level)
            for m, f in [*means.items()][1:]
        },
    )


def per_athlete(who: Ints, values: Floats, athletes_n: int) -> Floats:
    """Return the sum of `values`, shape (n, k), over each athlete, shape (athletes_n, k)."""
    sums = np.zeros((athletes_n, values.shape[1]))
    np.add.at(sums, who, values)
    return sums


def resample(scored: Bools, draws: int, seed: int) -> Floats:
    """Return how often each athlete is drawn, shape (draws, n_athletes); only `scored` ones are."""
    n = int(scored.sum())
    weights = np.zeros((draws, scored.size))
    if n:
        weights[:, scored] = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), draws)
    return weights


def estimate(value: float, draws: Floats, level: float = LEVEL) -> Estimate:
    """Return `value` with the interval of the `draws` that are known; NaN ends without any."""
    tail = (1 - level) / 2
    known = draws[np.isfinite(draws)]
    if not known.size:
        return Estimate(value, float("nan"), float("nan"))
    lower, upper = np.quantile(known, [tail, 1 - tail])
    return Estimate(value, float(lower), float(upper))
