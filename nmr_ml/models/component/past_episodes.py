"""The earlier episodes of each query's athlete, labelled as they were known at its clock start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.features.moments import FEATURES_BACK_S
from nmr_ml.history.episodes import HORIZON_S
from nmr_ml.history.local_time import NEVER_S
from nmr_ml.history.queries import Queries
from nmr_ml.labels.followed_tests import followed_tests
from nmr_ml.numeric.compiled import kept
from nmr_ml.numeric.sorted_rows import running_latest, upper_bound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.history.episodes import Episodes
    from nmr_ml.history.history import History
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.numeric.arrays import Bools, Floats, Ints
    from nmr_ml.recovery_tests import TestSpec


@dataclass(frozen=True, slots=True)
class PastEpisodes:
    """The labelled episodes before each query.

    Parameters
    ----------
    queries : Queries
        Every earlier episode that is needed, once, as a query at its own clock start.
    followed : Followed
        Its tests.
    subject, offsets, rows : int64 arrays
        Those before query ``q`` are ``rows[offsets[s]:offsets[s + 1]]`` with ``s = subject[q]``.
    """

    queries: Queries
    followed: Followed
    subject: Ints
    offsets: Ints
    rows: Ints


@kept
def _pairs(
    athlete: Ints, clock_s: Ints, offsets: Ints, ended_s: Ints, known_s: Ints, load_au: Floats,
    closed_s: Ints, late: Bools, look_back_s: int,
) -> tuple[Ints, Ints, Ints]:  # fmt: skip
    """Return the sessions before each subject, ragged, and by when their label was known.

    A label that has long been closed is the same for every later subject: it is known by
    `NEVER_S`, so that it is worked out once. One that is open at the clock start, or of an athlete
    with rows that became known later than that, is as it was known then.
    """
    bounds = np.zeros(athlete.size + 1, np.int64)
    session, known_by = np.empty(0, np.int64), np.empty(0, np.int64)
    for filling in range(2):
        n = 0
        for q in range(athlete.size):
            first, last = offsets[athlete[q]], offsets[athlete[q] + 1]
            start = upper_bound(ended_s, first, last, clock_s[q] - look_back_s - 1)
            for i in range(start, last):
                if ended_s[i] >= clock_s[q]:
                    break
                if known_s[i] <= clock_s[q] and not np.isnan(load_au[i]):
                    if filling:
                        session[n] = i
                        settled = closed_s[i] <= clock_s[q] and not late[q]
                        known_by[n] = NEVER_S if settled else clock_s[q]
                    n += 1
            bounds[q + 1] = n
        if not filling:
            session, known_by = np.empty(n, np.int64), np.empty(n, np.int64)
    return bounds, session, known_by


@kept
def _late(athlete: Ints, clock_s: Ints, offsets: Ints, at_s: Ints, latest_s: Ints) -> Bools:
    """Return whether a row from before `clock_s` became known only after it."""
    late = np.zeros(athlete.size, np.bool_)
    for q in range(athlete.size):
        first, last = offsets[athlete[q]], offsets[athlete[q] + 1]
        after = upper_bound(at_s, first, last, clock_s[q])
        late[q] = after > first and latest_s[after - 1] > clock_s[q]
    return late


def past_episodes(
    history: History, episodes: Episodes, queries: Queries, specs: Mapping[str, TestSpec],
    *, others: Sequence[str] = (),
) -> PastEpisodes:  # fmt: skip
    """Return the labelled exertions before each query, as they were known at its clock start.

    Parameters
    ----------
    queries : Queries
        Of one component.
    others : sequence of str
        Other tests of its family that are to be followed.
    """
    pairs, first, subject = np.unique(
        np.column_stack([queries.athlete, queries.clock_start_s]),
        axis=0, return_index=True, return_inverse=True,
    )  # fmt: skip
    athlete, clock_s = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    sessions = history.sessions
    late = np.zeros(athlete.size, np.bool_)
    for table in (sessions, history.tests):
        latest = running_latest(table.offsets, table.known_s)
        late |= _late(athlete, clock_s, table.offsets, table.at_s, latest)
    n = len(sessions)
    closed_s = np.minimum(episodes.next_loading_s[:n], sessions.at_s + HORIZON_S)
    bounds, session, known_by = _pairs(
        athlete, clock_s, sessions.offsets, sessions.at_s, sessions.known_s,
        sessions.columns["session_load_au"], closed_s, late,
        # As long as features look back: a request with that much history gets the same answer.
        FEATURES_BACK_S,
    )  # fmt: skip
    keys, rows = np.unique(np.column_stack([session, known_by]), axis=0, return_inverse=True)
    asked = _queries(queries.take(first[:1]), episodes, np.ascontiguousarray(keys[:, 0]))
    known_by_s = np.ascontiguousarray(keys[:, 1])
    followed = followed_tests(history, asked, specs, known_by_s=known_by_s, others=others)
    return _labelled(asked, followed, subject.ravel(), bounds, rows.ravel())


def _queries(like: Queries, episodes: Episodes, session: Ints) -> Queries:
    """Return a query at the clock start of each session, for the component of `like`."""
    n = session.size
    clock_s = episodes.clock_start_s[session]  # exertions come first and in the order of sessions
    return Queries(
        episode=session,
        component=np.repeat(like.component, n),
        athlete=episodes.athlete[session],
        session=session,
        test=np.repeat(like.test, n),
        clock_start_s=clock_s,
        as_of_s=clock_s,
    )


def _labelled(
    asked: Queries, followed: Followed, subject: Ints, bounds: Ints, rows: Ints
) -> PastEpisodes:
    """Leave out the episodes without a test."""
    has_test = np.diff(followed.offsets) > 0
    kept_rows = np.flatnonzero(has_test)
    place = np.cumsum(has_test) - 1
    pair_kept = has_test[rows]
    counts = np.concatenate([[0], np.cumsum(pair_kept)])
    return PastEpisodes(
        asked.take(kept_rows),
        followed.take(kept_rows),
        subject.astype(np.int64),
        counts[bounds].astype(np.int64),
        place[rows[pair_kept]].astype(np.int64),
    )
