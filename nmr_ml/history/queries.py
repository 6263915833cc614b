"""Which episodes are asked about, which component of each, and as of when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.errors import DataError, UsageError
from nmr_ml.history.episodes import EXERTION
from nmr_ml.numeric.arrays import RowWise
from nmr_ml.recovery_tests import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.history.episodes import Episodes
    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Ints


@dataclass(frozen=True, slots=True)
class Queries(RowWise):
    """One row per episode, component and `as_of`; all arrays have shape (n_queries,).

    Parameters
    ----------
    episode : int64 array
        Position in `nmr_ml.history.episodes.Episodes`.
    component : int64 array
        Position in `nmr_ml.recovery_tests.COMPONENTS`; their number stands for ``availability``.
    athlete : int64 array
        Index into `History.athlete_ids`.
    session : int64 array
        Row of `History.sessions`, -1 for an injury or systemic episode.
    test : int64 array
        Code of the component's index test in `History.test_names`, -1 where there is none.
    clock_start_s, as_of_s : int64 array, s since 1970 UTC
    """

    episode: Ints
    component: Ints
    athlete: Ints
    session: Ints
    test: Ints
    clock_start_s: Ints
    as_of_s: Ints


@dataclass(frozen=True, slots=True)
class Targets:
    """Episodes and moments; both arrays have shape (n,).

    Parameters
    ----------
    episode : int64 array
        Position in `Episodes`.
    as_of_s : int64 array, s since 1970 UTC
    superseded : int
        Episodes left out because the athlete has a later one.
    """

    episode: Ints
    as_of_s: Ints
    superseded: int = 0


def parse_landmarks(text: str) -> tuple[float, ...]:
    """Read ``0,24,48`` as hours after the clock start.

    Raises
    ------
    UsageError
        ``landmark_invalid``; before its clock start an episode is not known.
    """
    try:
        hours = tuple(float(part) for part in text.split(","))
    except ValueError:
        hours = (np.nan,)
    if not all(0 <= h < np.inf for h in hours):
        raise UsageError(
            "landmark_invalid",
            f"--landmarks {text!r} is not understood, expected hours from 0 on.",
            "Count them from the end of the session and write them with commas: 0,24,48.",
        )
    return hours


def at_landmarks(episodes: Episodes, landmarks_h: Sequence[float]) -> Targets:
    """Return every episode at each landmark, except after the athlete's next loading session."""
    every = np.arange(len(episodes))
    offsets_s = np.unique(np.round(np.asarray(landmarks_h) * 3600).astype(np.int64))
    episode = np.repeat(every, offsets_s.size)
    as_of = episodes.clock_start_s[episode] + np.tile(offsets_s, every.size)
    open_then = (as_of < episodes.next_loading_s[episode]) & (as_of < episodes.resolved_s[episode])
    kept = open_then | (as_of == episodes.clock_start_s[episode])
    return Targets(episode[kept], as_of[kept])


def at_moment(episodes: Episodes, as_of_s: int) -> Targets:
    """Return each athlete's latest exertion known at `as_of_s` and every open event."""
    started = (episodes.clock_start_s <= as_of_s) & (episodes.known_s <= as_of_s)
    exertion = episodes.kinds == EXERTION
    candidates = np.flatnonzero(started & exertion)
    # Sorted by athlete, then clock start: the last row of each athlete is the latest.
    by_time = candidates[
        np.lexsort((candidates, episodes.clock_start_s[candidates], episodes.athlete[candidates]))
    ]
    owner = episodes.athlete[by_time]
    latest = by_time[np.append(owner[1:] != owner[:-1], True)] if by_time.size else by_time
    events = np.flatnonzero(started & ~exertion & (episodes.resolved_s > as_of_s))
    chosen = np.concatenate([latest, events])
    return Targets(chosen, np.full(chosen.size, as_of_s), int(np.sum(started)) - chosen.size)


def of_episode(episodes: Episodes, episode_id: str, as_of_s: int) -> Targets:
    """Return the one episode called `episode_id`.

    Raises
    ------
    DataError
        ``no_episode`` where there is none, or it starts after `as_of_s`.
    """
    found = np.flatnonzero((episodes.ids == episode_id) & (episodes.clock_start_s <= as_of_s))
    if not found.size:
        raise DataError(
            "no_episode",
            "The episode asked for is not among the sessions and episodes up to as_of.",
            "Give an episode_id that is the session_id of a session, or leave it out.",
        )
    return Targets(found[:1], np.full(1, as_of_s))


def expand(
    targets: Targets, episodes: Episodes, history: History, index_tests: Mapping[str, str]
) -> Queries:
    """Return one query per target and component: those in `index_tests` for an exertion, else one.

    Rows of one target stand together, in the order of `nmr_ml.recovery_tests.COMPONENTS`.
    """
    learnt = [(i, index_tests[c]) for i, c in enumerate(COMPONENTS) if c in index_tests]
    exertion = episodes.session[targets.episode] >= 0
    repeats = np.where(exertion, len(learnt), 1)
    episode = np.repeat(targets.episode, repeats)
    place = np.arange(episode.size) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    is_exertion = np.repeat(exertion, repeats)
    # Without any component all rows are of injuries, and the stand-in is not looked at.
    of_place = np.array([i for i, _ in learnt] or [-1], np.int64)
    component = of_place[np.where(is_exertion, place, 0)]
    test = np.array([history.test_names.index(t) for _, t in learnt] or [-1], np.int64)
    return Queries(
        episode=episode,
        component=np.where(is_exertion, component, len(COMPONENTS)),
        athlete=episodes.athlete[episode],
        session=episodes.session[episode],
        test=np.where(is_exertion, test[np.where(is_exertion, place, 0)], -1),
        clock_start_s=episodes.clock_start_s[episode],
        as_of_s=np.repeat(targets.as_of_s, repeats),
    )
