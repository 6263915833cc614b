"""Which sessions count as loading, as far as was known at a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.history.local_time import NEVER_S
from nmr_ml.numeric.compiled import inner, kept
from nmr_ml.numeric.running_median import median, put, ranked, words
from nmr_ml.numeric.sorted_rows import running_latest

if TYPE_CHECKING:
    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Bools, Floats, Ints


#: A loading session carries at least this share of the athlete's median session load so far.
LOADING_SHARE = 0.5


@kept
def loading_flags(
    known_s: Ints, load_au: Floats, first: int, last: int, as_of_s: int, share: float
) -> Bools:
    """Return for the sessions ``first:last`` of one athlete whether they count as loading.

    Only sessions known at `as_of_s` are looked at; the others are not loading. The median is that
    of the known loads of the *earlier* sessions. A session of unknown load counts as loading, and
    so does one with no earlier load to compare with.

    Parameters
    ----------
    known_s : int64 array, s
    load_au : float64 array, arbitrary units (RPE x min); NaN is unknown
    share : float
        Share of the median that makes a session loading, `LOADING_SHARE` by default.
    """
    flags = np.zeros(last - first, dtype=np.bool_)
    seen = np.empty(last - first, dtype=np.float64)  # sorted loads of the earlier sessions
    n = 0
    for i in range(first, last):
        if known_s[i] > as_of_s:
            continue
        load = load_au[i]
        if np.isnan(load) or n == 0:
            flags[i - first] = True
        else:
            middle = 0.5 * (seen[(n - 1) // 2] + seen[n // 2])
            flags[i - first] = load >= share * middle
        if not np.isnan(load):
            place = n
            while place > 0 and seen[place - 1] > load:
                seen[place] = seen[place - 1]
                place -= 1
            seen[place] = load
            n += 1
    return flags


class Loading(NamedTuple):
    """The sessions as rest is judged by: all arrays but `offsets` have shape (n_sessions,).

    `flags` are those with every session known, `latest_s` is the running maximum of `known_s`, and
    `rank` and `ordered` rank the loads (`nmr_ml.numeric.running_median.Ranked`).
    """

    offsets: Ints
    started_s: Floats
    ended_s: Ints
    known_s: Ints
    latest_s: Ints
    load_au: Floats
    flags: Bools
    rank: Ints
    ordered: Floats


def loading_of(history: History) -> Loading:
    """Lay the sessions out for the kernels."""
    rows = history.sessions
    return _loading(
        rows.offsets, rows.columns["started_at"], rows.at_s, rows.known_s,
        rows.columns["session_load_au"],
    )  # fmt: skip


@kept
def _loading(
    offsets: Ints, started_s: Floats, ended_s: Ints, known_s: Ints, load_au: Floats
) -> Loading:
    flags = np.empty(ended_s.size, np.bool_)
    for a in range(offsets.size - 1):
        first, last = offsets[a], offsets[a + 1]
        flags[first:last] = loading_flags(known_s, load_au, first, last, NEVER_S, LOADING_SHARE)
    latest_s, loads = running_latest(offsets, known_s), ranked(offsets, load_au)
    return Loading(
        offsets, started_s, ended_s, known_s, latest_s, load_au, flags, loads.rank, loads.ordered
    )


@inner
def late_flags(s: Loading, first: int, pending: int, end: int, rows_n: int, as_of_s: int) -> Bools:
    """Return what `loading_flags` returns for ``pending:end`` of an athlete's `rows_n` sessions.

    Row `pending` is the first that was not known: flags depend on earlier sessions only, so those
    before it are as with every session known.
    """
    flags, bits, n = np.zeros(end - pending, np.bool_), np.zeros(words(rows_n), np.uint64), 0
    for i in range(first, end):
        if i >= pending:
            if s.known_s[i] > as_of_s:
                continue
            flags[i - pending] = s.rank[i] < 0 or n == 0
            if not flags[i - pending]:
                middle = median(bits, n, first, s.ordered)
                flags[i - pending] = s.load_au[i] >= LOADING_SHARE * middle
        if s.rank[i] >= 0:
            put(bits, s.rank[i])
            n += 1
    return flags
