"""What athletes recover from, sessions, injuries and systemic episodes, and how long it is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.history.loading_sessions import LOADING_SHARE, loading_flags
from nmr_ml.history.local_time import NEVER_S
from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Floats, Ints, Objects


#: Contract §1: an exertion is followed for at most 336 h.
HORIZON_S = 336 * 3600
EXERTION = "exertion"


@dataclass(frozen=True, slots=True)
class Episodes:
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

    def __len__(self) -> int:
        """Return the number of episodes."""
        return int(self.athlete.size)


@kept
def _next_loading(
    athlete: Ints, clock_s: Ints, as_of_s: Ints,
    offsets: Ints, started_s: Floats, ended_s: Ints, known_s: Ints, load_au: Floats,
) -> Ints:  # fmt: skip
    upcoming = np.full(athlete.size, NEVER_S)
    flags_of = -1
    complete = np.zeros(0, np.bool_)
    for q in range(athlete.size):
        first, last = offsets[athlete[q]], offsets[athlete[q] + 1]
        if flags_of != athlete[q]:
            complete = loading_flags(known_s, load_au, first, last, NEVER_S, LOADING_SHARE)
            flags_of = athlete[q]
        loading = complete
        for i in range(first, last):
            if ended_s[i] <= as_of_s[q] and known_s[i] > as_of_s[q]:
                loading = loading_flags(known_s, load_au, first, last, as_of_s[q], LOADING_SHARE)
                break
        # To the right: a session of no length must not end its own follow-up.
        later = np.searchsorted(ended_s[first:last], clock_s[q], side="right")
        for i in range(first + later, last):
            known = known_s[i] <= as_of_s[q]
            if known and loading[i - first] and started_s[i] >= clock_s[q]:
                upcoming[q] = np.int64(started_s[i])
                break
    return upcoming


def next_loading_s(history: History, athlete: Ints, clock_s: Ints, as_of_s: Ints) -> Ints:
    """Return when each athlete's next loading session after `clock_s` starts, in s since 1970.

    Only sessions known at `as_of_s` are looked at; `NEVER_S` where there is none.
    """
    sessions = history.sessions
    return np.asarray(
        _next_loading(
            athlete, clock_s, as_of_s, sessions.offsets, sessions.columns["started_at"],
            sessions.at_s, sessions.known_s, sessions.columns["session_load_au"],
        )
    )  # fmt: skip


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
    return np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
