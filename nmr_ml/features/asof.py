"""What all feature kernels share: the moments asked about, and how rows are found as of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from nmr_ml.history import local_seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.history import History
    from nmr_ml.queries import Queries

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

HOUR_S = 3600
DAY_S = 86_400
#: No feature of load, sleep or food looks further back, so that a request with this much history
#: gets the values that training had.
HORIZON_D = 112
HORIZON_S = HORIZON_D * DAY_S


class Moments(NamedTuple):
    """The queries as the kernels see them; all arrays have shape (n_queries,).

    `clock_day` and `as_of_day` are day numbers on the athletes' calendar. `repeats` marks a query
    that differs from the one before only in its component.
    """

    athlete: Ints
    session: Ints
    clock_s: Ints
    as_of_s: Ints
    clock_day: Ints
    as_of_day: Ints
    repeats: Bools


def moments(history: History, queries: Queries) -> Moments:
    """Return what the kernels need to know of `queries`."""
    columns = (queries.athlete, queries.session, queries.clock_start_s, queries.as_of_s)
    repeats = np.zeros(len(queries), np.bool_)
    repeats[1:] = True
    for column in columns:
        repeats[1:] &= column[1:] == column[:-1]
    moment_s = np.concatenate([queries.clock_start_s, queries.as_of_s])
    days = local_seconds(moment_s, history.timezone) // DAY_S
    athlete, session, clock_s, as_of_s = (np.ascontiguousarray(c, np.int64) for c in columns)
    clock_day, as_of_day = np.split(days, 2)
    return Moments(athlete, session, clock_s, as_of_s, clock_day, as_of_day, repeats)


def decay_table(kept_per_day: float, horizon_d: int = HORIZON_D) -> Floats:
    """Return the weights ``kept_per_day ** (h / 24)`` for ages of 0, 1, … whole hours.

    Weights of whole hours make a decay a look-up, and the same number wherever it is computed.
    """
    return np.ascontiguousarray(kept_per_day ** (np.arange(horizon_d * 24 + 1) / 24.0))


@njit(cache=True, nogil=True)
def copy_previous(out: Floats, q: int, first: int, count: int) -> None:
    """Give query `q` the `count` values from column `first` of the query before it."""
    for c in range(first, first + count):
        out[q, c] = out[q - 1, c]


@njit(cache=True, nogil=True)
def fill_missing(out: Floats, q: int, first: int, count: int) -> None:
    """Mark `count` values of query `q` from column `first` as missing."""
    for c in range(first, first + count):
        out[q, c] = np.nan


def stacked(columns: list[Floats]) -> Floats:
    """Return the columns as one C-contiguous array of shape (n_rows, n_columns)."""
    return np.ascontiguousarray(np.column_stack(columns), np.float64)


def grouped(offsets: Ints, group: Ints, groups_n: int) -> tuple[NDArray[np.intp], Ints]:
    """Order rows by athlete and `group`, keeping their order within, and find where each starts.

    Parameters
    ----------
    offsets : int64 array, shape (n_athletes + 1,)
        Of rows that are sorted by athlete.
    group : int64 array, shape (n_rows,)
        From 0 to ``groups_n - 1``; -1 drops the row.

    Returns
    -------
    order : intp array
    starts : int64 array, shape (n_athletes * groups_n + 1,)
        Rows of athlete ``a`` and group ``g`` are ``order[starts[k]:starts[k + 1]]`` with
        ``k = a * groups_n + g``.
    """
    athletes_n = offsets.size - 1
    key = np.repeat(np.arange(athletes_n), np.diff(offsets)) * groups_n + group
    kept = np.flatnonzero(group >= 0)
    order = kept[np.argsort(key[kept], kind="stable")]
    starts = np.searchsorted(key[order], np.arange(athletes_n * groups_n + 1))
    return order, starts.astype(np.int64)
