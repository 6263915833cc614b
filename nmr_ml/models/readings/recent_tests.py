"""What an athlete's last tests showed, and how usual that was, as far as was known at a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.history.local_time import DAY_S, local_day
from nmr_ml.numeric.compiled import inner, kept
from nmr_ml.numeric.sorted_rows import grouped, upper_bound

if TYPE_CHECKING:
    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Floats, Ints


#: Half-life of the weights that make a value usual: the best single forecaster of the real
#: questionnaires (README of the real data).
HALF_LIFE_S = 7 * DAY_S
#: Older tests than eight half-lives weigh less than 0.4 % of the last one.
RECENT_S = 8 * HALF_LIFE_S


class Recent(NamedTuple):
    """The last tests of one kind; all arrays have shape (n,), NaN where there is none.

    Parameters
    ----------
    last, before : float64 arrays, unit of the test
        The last value known, and the one before it.
    usual, usual_before : float64 arrays, unit of the test
        Mean of the values up to each of the two, weighted ``2^(-age / 7 d)``.
    scatter : float64 array, unit of the test
        Mean distance of the values from `usual`, weighted likewise.
    weight : float64 array
        Sum of these weights: about how many tests `usual` rests on.
    age_d, age_before_d : float64 arrays, d
        Whole local days from each of the two to the moment.
    """

    last: Floats
    before: Floats
    usual: Floats
    usual_before: Floats
    scatter: Floats
    weight: Floats
    age_d: Floats
    age_before_d: Floats


def recent_tests(history: History, athlete: Ints, test: Ints, as_of_s: Ints) -> Recent:
    """Return the last tests `test` of each athlete that were taken and known by `as_of_s`.

    Parameters
    ----------
    athlete, test : int64 arrays, shape (n,)
        Index into ``history.athlete_ids`` and code in ``history.test_names``; a code of -1 has
        no tests.
    as_of_s : int64 array, shape (n,), s since 1970 UTC
    """
    rows, codes = history.tests, max(len(history.test_names), 1)
    code = np.nan_to_num(rows.columns["test"], nan=-1.0).astype(np.int64)
    order, starts = grouped(rows.offsets, code, codes)
    day = np.ascontiguousarray(rows.columns["local_day"][order])
    return Recent(
        *_recent(
            starts, codes, rows.at_s[order], rows.known_s[order], rows.columns["value"][order],
            day, athlete, test, as_of_s, local_day(as_of_s, history.timezone).astype(np.float64),
        )
    )  # fmt: skip


@inner
def _usual(
    at_s: Ints, known_s: Ints, value: Floats, first: int, end: int, as_of_s: int
) -> tuple[int, float, float]:
    """Return the last row of ``first:end`` known at `as_of_s` (-1: none), mean and weight to it."""
    last, total, weights = -1, 0.0, 0.0
    for i in range(end - 1, first - 1, -1):
        if known_s[i] > as_of_s:
            continue
        last = i if last < 0 else last
        if at_s[last] - at_s[i] >= RECENT_S:
            break
        weight = 0.5 ** ((at_s[last] - at_s[i]) / HALF_LIFE_S)
        total, weights = total + weight * value[i], weights + weight
    return last, total / weights, weights


@inner
def _distance(
    at_s: Ints, known_s: Ints, value: Floats, first: int, last: int, as_of_s: int, usual: float
) -> float:
    """Return the sum of the weighted distances of the values up to row `last` from `usual`."""
    total = 0.0
    for i in range(last, first - 1, -1):
        if at_s[last] - at_s[i] >= RECENT_S:
            break
        if known_s[i] <= as_of_s:
            weight = 0.5 ** ((at_s[last] - at_s[i]) / HALF_LIFE_S)
            total += weight * abs(value[i] - usual)
    return total


@kept
def _recent(
    starts: Ints, codes: int, at_s: Ints, known_s: Ints, value: Floats, day: Floats,
    athlete: Ints, test: Ints, as_of_s: Ints, as_of_day: Floats,
) -> Floats:  # fmt: skip
    found = np.full((8, athlete.size), np.nan)
    for q in range(athlete.size):
        if test[q] < 0:
            continue
        group, as_of = athlete[q] * codes + test[q], as_of_s[q]
        first = starts[group]
        end = upper_bound(at_s, first, starts[group + 1], as_of)
        last, usual, weight = _usual(at_s, known_s, value, first, end, as_of)
        if last < 0:
            continue
        found[0, q], found[2, q], found[5, q] = value[last], usual, weight
        found[4, q] = _distance(at_s, known_s, value, first, last, as_of, usual) / weight
        found[6, q] = as_of_day[q] - day[last]
        before, usual, _ = _usual(at_s, known_s, value, first, last, as_of)
        if before >= 0:
            found[1, q], found[3, q] = value[before], usual
            found[7, q] = as_of_day[q] - day[before]
    return found
