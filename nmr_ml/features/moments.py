"""What all feature kernels share: the moments asked about, and how rows are found as of them.

A kernel writes its columns for the queries ``first:last`` of a chunk. Queries of one episode at
several moments, and those that differ only in their component, stand beside one another, so a
kernel copies from the row above what cannot differ: see `Moments.alike`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.history.local_time import DAY_S, clock_changes
from nmr_ml.numeric.compiled import inner
from nmr_ml.numeric.sorted_rows import upper_bound_near

if TYPE_CHECKING:
    from nmr_ml.history.queries import Queries
    from nmr_ml.numeric.arrays import Floats, Ints


#: No feature of load, sleep or food looks further back, so that a request with this much history
#: gets the values that training had.
FEATURES_BACK_D = 112
FEATURES_BACK_S = FEATURES_BACK_D * DAY_S

#: Values of `Moments.alike`: against the query above, another episode, the same episode later,
#: the same episode and moment.
OTHER, SAME_EPISODE, SAME_MOMENT = 0, 1, 2


class AskedArrays(NamedTuple):
    """Queries as arrays of shape (n_queries,); see `nmr_ml.history.queries.Queries`."""

    athlete: Ints
    component: Ints
    session: Ints
    test: Ints
    clock_s: Ints
    as_of_s: Ints


class Clock(NamedTuple):
    """The athletes' clock: its shift to UTC is ``shifts_s[i]`` until ``starts_s[i]``."""

    starts_s: Ints
    shifts_s: Ints


class Moments(NamedTuple):
    """The queries as the kernels see them; all arrays have shape (n_queries,).

    `clock_day` and `as_of_day` are day numbers on the athletes' calendar. `alike` compares a query
    with the one above; the same episode counts only where neither moment lies before the clock
    start and the later one is below.
    """

    athlete: Ints
    session: Ints
    clock_s: Ints
    as_of_s: Ints
    clock_day: Ints
    as_of_day: Ints
    alike: Ints


def asked(queries: Queries, rows: slice | Ints, athlete: int, session: int) -> AskedArrays:
    """Return a copy of the queries at `rows`, for a history that begins later.

    It begins with this `athlete` and this row of the sessions. A copy, since read-only arrays are
    another type to numba.
    """
    own = queries.session[rows]
    columns = (
        queries.athlete[rows] - athlete, queries.component[rows],
        np.where(own < 0, own, own - session), queries.test[rows], queries.clock_start_s[rows],
        queries.as_of_s[rows],
    )  # fmt: skip
    return AskedArrays(*(np.array(column, np.int64) for column in columns))


def clock_of(timezone: str) -> Clock:
    """Return the clock of `timezone`."""
    starts_s, shifts_s = clock_changes(timezone)
    return Clock(starts_s, shifts_s)


@inner
def moments(a: AskedArrays, clock: Clock) -> Moments:
    """Return what the kernels need to know of the queries."""
    n = a.athlete.size
    clock_day, as_of_day = np.empty(n, np.int64), np.empty(n, np.int64)
    alike = np.empty(n, np.int64)
    era, eras = 0, clock.starts_s.size
    for q in range(n):
        era = upper_bound_near(clock.starts_s, 0, eras, a.clock_s[q], era)
        clock_day[q] = (a.clock_s[q] + clock.shifts_s[era]) // DAY_S
        era = upper_bound_near(clock.starts_s, 0, eras, a.as_of_s[q], era)
        as_of_day[q] = (a.as_of_s[q] + clock.shifts_s[era]) // DAY_S
        alike[q] = likeness(a, q) if q > 0 else OTHER
    return Moments(a.athlete, a.session, a.clock_s, a.as_of_s, clock_day, as_of_day, alike)


@inner
def likeness(a: AskedArrays, q: int) -> int:
    """Return how query `q` compares with the one above."""
    if a.athlete[q] != a.athlete[q - 1] or a.session[q] != a.session[q - 1]:
        return OTHER
    if a.clock_s[q] != a.clock_s[q - 1]:
        return OTHER
    if a.as_of_s[q] == a.as_of_s[q - 1]:
        return SAME_MOMENT
    return SAME_EPISODE if a.clock_s[q] <= a.as_of_s[q - 1] < a.as_of_s[q] else OTHER


def decay_table(kept_per_day: float, horizon_d: int = FEATURES_BACK_D) -> Floats:
    """Return the weights ``kept_per_day ** (h / 24)`` for ages of 0, 1, … whole hours.

    Weights of whole hours make a decay a look-up, and the same number wherever it is computed.
    """
    return np.ascontiguousarray(kept_per_day ** (np.arange(horizon_d * 24 + 1) / 24.0))


#: Twelve sums. They are a tuple since that stays in registers; an array might overlap another, so
#: that each addition would wait for what was written before it.
Sums = tuple[
    float, float, float, float, float, float, float, float, float, float, float, float
]  # fmt: skip
ZEROS: Sums = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@inner
def unsigned(i: int) -> np.uint64:
    """Return `i`, which is not negative, as a type that says so.

    numba looks at each index for whether it counts from the end, which takes longer than a loop has
    to do.
    """
    return np.uint64(i)


@inner
def plus(s: Sums, x: Floats, i: np.uint64) -> Sums:
    """Return the sums with the twelve numbers of row `i` added."""
    return (
        s[0] + x[i, 0], s[1] + x[i, 1], s[2] + x[i, 2], s[3] + x[i, 3], s[4] + x[i, 4],
        s[5] + x[i, 5], s[6] + x[i, 6], s[7] + x[i, 7], s[8] + x[i, 8], s[9] + x[i, 9],
        s[10] + x[i, 10], s[11] + x[i, 11],
    )  # fmt: skip


@inner
def plus_squares(s: Sums, x: Floats, i: np.uint64) -> Sums:
    """Return the sums with the squares of the twelve numbers of row `i` added."""
    return (
        s[0] + x[i, 0] ** 2, s[1] + x[i, 1] ** 2, s[2] + x[i, 2] ** 2, s[3] + x[i, 3] ** 2,
        s[4] + x[i, 4] ** 2, s[5] + x[i, 5] ** 2, s[6] + x[i, 6] ** 2, s[7] + x[i, 7] ** 2,
        s[8] + x[i, 8] ** 2, s[9] + x[i, 9] ** 2, s[10] + x[i, 10] ** 2, s[11] + x[i, 11] ** 2,
    )  # fmt: skip


@inner
def copy_previous(out: Floats, q: int, first: int, count: int) -> None:
    """Give query `q` the `count` values from column `first` of the query before it."""
    for c in range(first, first + count):
        out[q, c] = out[q - 1, c]


@inner
def fill_missing(out: Floats, q: int, first: int, count: int) -> None:
    """Mark `count` values of query `q` from column `first` as missing."""
    for c in range(first, first + count):
        out[q, c] = np.nan


def stacked(columns: list[Floats]) -> Floats:
    """Return the columns as one C-contiguous array of shape (n_rows, n_columns)."""
    return np.ascontiguousarray(np.column_stack(columns), np.float64)


@inner
def settled(latest_known_s: Ints, first: int, end: int, as_of_s: int) -> bool:
    """Return whether all rows of an athlete before `end` were known at a moment.

    The athlete's rows begin at `first`; `latest_known_s` is what `running_latest` returns.
    """
    return bool(end <= first or latest_known_s[end - 1] <= as_of_s)
