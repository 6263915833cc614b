"""What athletes recover from, sessions, injuries and systemic episodes, and how long it is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.history.loading_sessions import Loading, is_loading, loading_of
from nmr_ml.history.local_time import NEVER_S
from nmr_ml.numeric.arrays import RowWise, owners
from nmr_ml.numeric.compiled import inner, kept
from nmr_ml.numeric.running_median import drop, put, words
from nmr_ml.numeric.sorted_rows import upper_bound

if TYPE_CHECKING:
    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Bits, Ints, Objects


#: Contract §1: an exertion is followed for at most 336 h.
HORIZON_S = 336 * 3600
EXERTION = "exertion"


@dataclass(frozen=True, slots=True)
class Episodes(RowWise):
    """All episodes of a cohort, exertion first, each with the moment it stops being open.

    Parameters
    ----------
    ids, kinds : object arrays of str, shape (n_episodes,)
        An exertion's id is its `session_id`; kinds are exertion, injury, systemic.
    athlete : int64 array
        Index into `History.athlete_ids`.
    session, event : int64 array
        Row of `History.sessions` or of `History.events`; -1 for the other kind.
    clock_start_s, known_s : int64 array, s since 1970 UTC
        End of the session or onset, and the moment the episode became known.
    next_loading_s : int64 array, s
        Start of the athlete's next loading session; `nmr_ml.history.local_time.NEVER_S` where none
        is on record, and for injury and systemic episodes.
    resolved_s : int64 array, s
        End of an injury or systemic episode; `NEVER_S` where none is on record.
    """

    ids: Objects
    kinds: Objects
    athlete: Ints
    session: Ints
    event: Ints
    clock_start_s: Ints
    known_s: Ints
    next_loading_s: Ints
    resolved_s: Ints


def next_loading_s(history: History, athlete: Ints, clock_s: Ints, as_of_s: Ints) -> Ints:
    """Return when each athlete's next loading session after `clock_s` starts, in s since 1970.

    Only sessions known at `as_of_s` are looked at; `NEVER_S` where there is none.
    """
    order = np.lexsort((as_of_s, athlete))
    return _next_loading(athlete, clock_s, as_of_s, order, loading_of(history))


@kept
def _next_loading(athlete: Ints, clock_s: Ints, as_of_s: Ints, order: Ints, s: Loading) -> Ints:
    """Answer by athlete and rising `as_of_s`, so that each session becomes known once."""
    upcoming, whose, known, loads_n = np.empty(athlete.size, np.int64), -1, 0, 0
    bits = np.zeros(0, np.uint64)
    for q in order:
        first, last = s.offsets[athlete[q]], s.offsets[athlete[q] + 1]
        if athlete[q] != whose:
            whose, known, loads_n = athlete[q], first, 0
            bits = np.zeros(words(last - first), np.uint64)
        while known < last and s.known_s[s.by_known[known]] <= as_of_s[q]:
            rank = s.rank[s.by_known[known]]
            if rank >= 0:
                put(bits, rank)
                loads_n += 1
            known += 1
        # To the right: a session of no length must not end its own follow-up.
        begin = upper_bound(s.ended_s, first, last, clock_s[q])
        if known == last:
            upcoming[q] = _first_flagged(s, begin, last, clock_s[q])
        else:
            upcoming[q] = _first_loading(
                s, first, begin, last, clock_s[q], as_of_s[q], bits, loads_n
            )
    return upcoming


@inner
def _first_flagged(s: Loading, begin: int, last: int, clock_s: int) -> int:
    """Return when the first loading session begins that starts after `clock_s`; all are known."""
    i = begin
    while i < last and s.upcoming[i] < last:
        i = s.upcoming[i]
        if s.started_s[i] >= clock_s:
            return int(s.started_s[i])
        i += 1
    return NEVER_S


@inner
def _first_loading(
    s: Loading, first: int, begin: int, last: int, clock_s: int, as_of_s: int, known: Bits, n: int
) -> int:
    """Return the same where not all are known; `known` holds the `n` loads of those that are."""
    bits, end = known.copy(), begin
    while end < last and s.ended_s[end] <= as_of_s:
        if s.known_s[end] <= as_of_s and s.rank[end] >= 0:
            drop(bits, s.rank[end])
            n -= 1
        end += 1
    for i in range(begin, end):
        if s.known_s[i] > as_of_s:
            continue
        if s.started_s[i] >= clock_s and is_loading(s, i, first, bits, n):
            return int(s.started_s[i])
        if s.rank[i] >= 0:
            put(bits, s.rank[i])
            n += 1
    return NEVER_S


def find_episodes(history: History) -> Episodes:
    """Return every exertion, injury and systemic episode of `history`."""
    sessions, events = history.sessions, history.events
    n, m = len(sessions), len(events)
    owners = _owners(sessions.offsets)
    resolved = events.columns["resolved_at"]
    return Episodes(
        ids=np.concatenate([history.session_ids, history.event_ids]),
        kinds=np.concatenate([np.full(n, EXERTION, dtype=object), history.event_kinds]),
        athlete=np.concatenate([owners, _owners(events.offsets)]),
        session=np.concatenate([np.arange(n), np.full(m, -1)]),
        event=np.concatenate([np.full(n, -1), np.arange(m)]),
        clock_start_s=np.concatenate([sessions.at_s, events.at_s]),
        known_s=np.concatenate([sessions.known_s, events.known_s]),
        next_loading_s=np.concatenate(
            [
                next_loading_s(history, owners, sessions.at_s, np.full(n, NEVER_S)),
                np.full(m, NEVER_S),
            ]
        ),
        resolved_s=np.concatenate(
            [
                np.full(n, NEVER_S),
                np.where(np.isnan(resolved), NEVER_S, np.nan_to_num(resolved).astype(np.int64)),
            ]
        ),
    )


def _owners(offsets: Ints) -> Ints:
    return owners(offsets)
