"""Which sessions count as loading, as far as was known at a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.history.local_time import NEVER_S
from nmr_ml.numeric.arrays import owners
from nmr_ml.numeric.compiled import inner, kept
from nmr_ml.numeric.running_median import median, put, ranked, words
from nmr_ml.numeric.sorted_rows import running_latest

if TYPE_CHECKING:
    from nmr_ml.history.history import History, Rows
    from nmr_ml.numeric.arrays import Bits, Bools, Floats, Ints


#: A loading session carries at least this share of the athlete's median session load so far.
LOADING_SHARE = 0.5


class Loading(NamedTuple):
    """The sessions as rest is judged by: all arrays but `offsets` have shape (n_sessions,).

    `flags` are those with every session known, and `upcoming` is the first flagged row from each
    on, the athlete's end where there is none. `latest_s` is the running maximum of `known_s`.
    `rank` and `ordered` rank the loads (`nmr_ml.numeric.running_median.Ranked`), and `by_known` has
    each athlete's rows in the order in which they became known.
    """

    offsets: Ints
    started_s: Floats
    ended_s: Ints
    known_s: Ints
    latest_s: Ints
    load_au: Floats
    flags: Bools
    upcoming: Ints
    rank: Ints
    ordered: Floats
    by_known: Ints


def loading_of(history: History) -> Loading:
    """Return the sessions of `history` as the kernels read them; laid out at the first call."""
    laid_out: Loading = history.laid_out.get("sessions", lambda: _laid_out(history.sessions))
    return laid_out


def _laid_out(rows: Rows) -> Loading:
    owner = owners(rows.offsets)
    return _loading(
        rows.offsets, rows.columns["started_at"], rows.at_s, rows.known_s,
        rows.columns["session_load_au"], np.lexsort((rows.known_s, owner)),
    )  # fmt: skip


@kept
def _loading(
    offsets: Ints, started_s: Floats, ended_s: Ints, known_s: Ints, load_au: Floats, by_known: Ints
) -> Loading:
    loads, n = ranked(offsets, load_au), ended_s.size
    s = Loading(
        offsets, started_s, ended_s, known_s, running_latest(offsets, known_s), load_au,
        np.empty(n, np.bool_), np.empty(n, np.int64), loads.rank, loads.ordered, by_known,
    )  # fmt: skip
    for a in range(offsets.size - 1):
        first, last = offsets[a], offsets[a + 1]
        s.flags[first:last] = loading_flags(s, first, first, last, last - first, NEVER_S)
        upcoming = last
        for i in range(last - 1, first - 1, -1):
            upcoming = i if s.flags[i] else upcoming
            s.upcoming[i] = upcoming
    return s


@inner
def loading_flags(
    s: Loading, first: int, pending: int, end: int, rows_n: int, as_of_s: int
) -> Bools:
    """Return for the sessions ``pending:end`` of an athlete whether they count as loading.

    Only sessions known at `as_of_s` are looked at; the others are not loading. The median is that
    of the known loads of the *earlier* sessions. A session of unknown load counts as loading, and
    so does one with no earlier load to compare with.

    Parameters
    ----------
    s : Loading
        Its `flags` are not read.
    first, rows_n : int
        The athlete's first row and number of rows.
    pending : int
        Every session before it is known.
    """
    flags, bits, n = np.zeros(end - pending, np.bool_), np.zeros(words(rows_n), np.uint64), 0
    for i in range(first, end):
        if i >= pending:
            if s.known_s[i] > as_of_s:
                continue
            flags[i - pending] = is_loading(s, i, first, bits, n)
        if s.rank[i] >= 0:
            put(bits, s.rank[i])
            n += 1
    return flags


@inner
def is_loading(s: Loading, i: int, first: int, bits: Bits, n: int) -> bool:
    """Return whether session `i` is loading, compared with the `n` loads in `bits`."""
    if s.rank[i] < 0 or n == 0:
        return True
    return bool(s.load_au[i] >= LOADING_SHARE * median(bits, n, first, s.ordered))
