"""Scores of forecasts of tests: Brier first, then log score, coverage and PIT, and by group."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from training.scoring.bootstrap import Compared, compare
from training.scoring.scores import brier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.numeric.arrays import Bools, Floats, Objects
    from training.scoring.forecasts import Forecasts, ForetoldTests
    from training.scoring.scores import Brier


#: The predictive interval whose coverage is told: from the 10 % to the 90 % quantile.
INTERVAL = (0.1, 0.9)
PIT_EDGES = np.linspace(0.0, 1.0, 11)
CALIBRATION_EDGES = np.linspace(0.0, 1.0, 11)
#: A group of fewer athletes is named, but their scores would be those of single persons.
LEAST_SCORED_ATHLETES = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts of about the same probability.

    Parameters
    ----------
    predicted : float
        Mean probability that a test reads less than δ.
    observed : float
        Share of the tests that did.
    tests_n : int
    """

    predicted: float
    observed: float
    tests_n: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Scores of several methods on the same tests.

    Parameters
    ----------
    athletes_n, tests_n : int
        Of all tests of the follow-up; the Brier score has its own, at 24, 48 and 72 h.
    brier : Brier
    log_score : Compared
        Mean log predictive density of the readings; larger is better.
    coverage : Compared
        Share of readings inside the 80 % predictive interval.
    """

    athletes_n: int
    tests_n: int
    brier: Brier
    log_score: Compared
    coverage: Compared


@dataclass(frozen=True, slots=True)
class Group:
    """Scores of the episodes of one group; `figures` is None where it has too few athletes."""

    athletes_n: int
    tests_n: int
    figures: Figures | None


@dataclass(frozen=True, slots=True)
class Scores:
    """Everything that tests say of several methods.

    Parameters
    ----------
    figures : Figures
    pit : mapping of method to float64 array, shape (10,)
        Share of the readings by predicted probability of a smaller deficit; 0.1 each for a right
        model.
    pit_bias, pit_spread : Compared
        Two figures that are 0 for a right model: the mean of these probabilities less 0.5 (above 0,
        deficits are larger than foretold), and 4 times their mean distance from 0.5, less 1 (above
        0 the forecasts are too narrow, below 0 too wide).
    calibration : mapping of method to tuple of Bin
    groups : mapping of what is split by to mapping of name to Group
    """

    figures: Figures
    pit: Mapping[str, Floats]
    pit_bias: Compared
    pit_spread: Compared
    calibration: Mapping[str, tuple[Bin, ...]]
    groups: Mapping[str, Mapping[str, Group]]


def score_forecasts(
    readings: ForetoldTests, forecasts: Mapping[str, Forecasts], athlete: Objects,
    groups: Mapping[str, Objects], *, bootstrap: int, seed: int,
) -> Scores:  # fmt: skip
    """Score what methods said of the tests of `readings`, of which there is at least one.

    Parameters
    ----------
    forecasts : mapping of method to Forecasts
        The first method is the one the others are compared with.
    athlete : object array of str, shape (n_episodes,)
    groups : mapping of what is split by to object array of str, shape (n_episodes,)
    bootstrap : int
        Resamples of athletes.
    """
    whole = _figures(readings, forecasts, athlete, bootstrap, seed)
    who = athlete[readings.followed.owner]
    bias = {m: _middle(f) - 0.5 for m, f in forecasts.items()}
    spread = {m: 4.0 * _off_centre(f) - 1.0 for m, f in forecasts.items()}
    below = readings.followed.deficit < readings.delta
    return Scores(
        whole,
        {m: pit_shares(f).mean(axis=0) for m, f in forecasts.items()},
        compare(bias, who, bootstrap=bootstrap, seed=seed),
        compare(spread, who, bootstrap=bootstrap, seed=seed),
        {m: _calibration(f.below, below) for m, f in forecasts.items()},
        {
            split: {
                str(name): _group(readings, forecasts, athlete, names == name, bootstrap, seed)
                for name in sorted(set(names[readings.followed.owner].tolist()))
            }
            for split, names in groups.items()
        },
    )


def _figures(
    readings: ForetoldTests, forecasts: Mapping[str, Forecasts], athlete: Objects, bootstrap: int,
    seed: int,
) -> Figures:  # fmt: skip
    who = athlete[readings.followed.owner]
    density = {m: f.log_density for m, f in forecasts.items()}
    inside = {m: covered(f) for m, f in forecasts.items()}
    return Figures(
        len(set(who.tolist())),
        who.size,
        brier(
            readings.followed, readings.delta, {m: f.below for m, f in forecasts.items()}, athlete,
            bootstrap=bootstrap, seed=seed,
        ),
        compare(density, who, bootstrap=bootstrap, seed=seed),
        compare(inside, who, bootstrap=bootstrap, seed=seed),
    )  # fmt: skip


def _group(
    readings: ForetoldTests, forecasts: Mapping[str, Forecasts], athlete: Objects, member: Bools,
    bootstrap: int, seed: int,
) -> Group:  # fmt: skip
    tests = member[readings.followed.owner]
    who = set(athlete[readings.followed.owner][tests].tolist())
    if len(who) < LEAST_SCORED_ATHLETES:
        return Group(len(who), int(tests.sum()), None)
    episodes = np.flatnonzero(member)
    some = {m: f.take(tests) for m, f in forecasts.items()}
    figures = _figures(readings.take(episodes), some, athlete[episodes], bootstrap, seed)
    return Group(len(who), int(tests.sum()), figures)


def covered(forecasts: Forecasts) -> Floats:
    """Return how much of each reading lies in the 80 % predictive interval, shape (n_tests,).

    0 or 1; of a rounded reading, the share of the predicted probability of what is rounded to it.
    """
    return _within(forecasts, *INTERVAL)


def pit_shares(forecasts: Forecasts) -> Floats:
    """Return the part of each reading in each bin of the PIT histogram, shape (n_tests, 10).

    A rounded reading is spread evenly over what is rounded to it, so that a right model's histogram
    is flat without randomisation (Czado, Gneiting and Held 2009, 10.1111/j.1541-0420.2009.01191.x).
    """
    edges = PIT_EDGES.copy()
    edges[0], edges[-1] = -1.0, 2.0  # a probability of exactly 0 or 1 is in the outer bins
    return np.column_stack([_within(forecasts, low, high) for low, high in pairwise(edges)])


def _within(forecasts: Forecasts, low: float, high: float) -> Floats:
    first, last = forecasts.pit_low, forecasts.pit_high
    width = last - first
    point = (low <= first) & (first < high)
    part = np.clip(np.minimum(last, high) - np.maximum(first, low), 0.0, None)
    return np.where(width > 0, part / np.where(width > 0, width, 1.0), point)


def _middle(forecasts: Forecasts) -> Floats:
    return 0.5 * (forecasts.pit_low + forecasts.pit_high)


def _off_centre(forecasts: Forecasts) -> Floats:
    """Return the mean distance from 0.5 of what each reading is spread over, shape (n_tests,)."""
    low, high = forecasts.pit_low - 0.5, forecasts.pit_high - 0.5
    across = (low < 0) & (high > 0)
    both = (low**2 + high**2) / (2.0 * np.where(across, high - low, 1.0))
    return np.where(across, both, np.abs(0.5 * (low + high)))


def _calibration(below: Floats, happened: Bools) -> tuple[Bin, ...]:
    """Return the reliability of probabilities, empty bins left out."""
    position = np.clip(np.digitize(below, CALIBRATION_EDGES) - 1, 0, CALIBRATION_EDGES.size - 2)
    return tuple(
        Bin(float(below[of_bin].mean()), float(happened[of_bin].mean()), int(of_bin.sum()))
        for k in range(CALIBRATION_EDGES.size - 1)
        if (of_bin := position == k).any()
    )
