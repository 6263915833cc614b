"""From cohorts to what a component is fitted to and scored on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.features.model_inputs import model_inputs
from nmr_ml.history.episodes import EXERTION, find_episodes
from nmr_ml.history.history import build_history
from nmr_ml.history.queries import at_landmarks, expand
from nmr_ml.history.rested_baseline import rested_baselines
from nmr_ml.labels.followed_tests import whole_follow_up
from nmr_ml.labels.index_tests import index_tests, other_tests
from nmr_ml.numeric.arrays import RowWise
from nmr_ml.predictions.confidence import labelled_before, tier
from nmr_ml.recovery_tests import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.numeric.arrays import Floats, Ints, Objects
    from nmr_ml.recovery_tests import Component, TestSpec


@dataclass(frozen=True, slots=True)
class Facts(RowWise):
    """What scores are split by; all arrays have shape (n_episodes,).

    Parameters
    ----------
    sex, confidence : object arrays of str
        As in the `athletes` table, and as predictions say it at the clock start.
    opened, closed : float64 arrays
        The clock start, and the last test or landmark of the episode, as shares of the time from
        the cohort's first clock start (0) to its last test or landmark (1).
    """

    sex: Objects
    confidence: Objects
    opened: Floats
    closed: Floats


@dataclass(frozen=True, slots=True)
class ComponentData:
    """The labelled episodes of one component, seen at landmarks.

    Parameters
    ----------
    component, index_test : str
    X : float64 array, shape (n_rows, n_features)
    landmark_h : float64 array, shape (n_rows,), h
    row_episode : int64 array, shape (n_rows,)
        Position of each row's episode in the arrays below.
    followed : Followed
        The tests of each labelled episode, over its whole follow-up.
    athlete : object array of str, shape (n_episodes,)
        Cohort and athlete: the unit of folds and bootstraps.
    team : object array of str or None, shape (n_episodes,)
    clock_start_s : int64 array, shape (n_episodes,), s since 1970 UTC
    episode_id, modality : object arrays of str, shape (n_episodes,)
    facts : Facts or None
        None for episodes that are not scored by group or by time.
    """

    component: Component
    index_test: str
    X: Floats
    landmark_h: Floats
    row_episode: Ints
    followed: Followed
    athlete: Objects
    team: Objects
    clock_start_s: Ints
    episode_id: Objects
    modality: Objects
    facts: Facts | None = None

    @property
    def starts(self) -> Ints:
        """Rows at the clock start, one per episode, in the order of the episodes."""
        rows = np.flatnonzero(self.landmark_h == 0)
        return rows[np.argsort(self.row_episode[rows], kind="stable")]


def component_data(
    cohort: Cohort,
    specs: Mapping[str, TestSpec],
    landmarks_h: Sequence[float],
    chosen: Mapping[str, str] | None = None,
    *,
    unlabelled: bool = False,
) -> dict[str, ComponentData]:
    """Return the labelled episodes of every component that `cohort` has tests of.

    Parameters
    ----------
    chosen : mapping of component to index test, or None
        What a model was trained on; None takes the cohort's own index tests.
    unlabelled : bool
        Whether to return episodes without a test in their follow-up as well.
    """
    history = build_history(cohort, tuple(sorted(specs)))
    episodes = find_episodes(history)
    tests: Mapping[str, str] = index_tests(history, specs) if chosen is None else chosen
    if not tests:
        return {}
    targets = at_landmarks(episodes, sorted({0.0, *landmarks_h}))
    queries = expand(targets, episodes, history, tests)
    queries = queries.take(np.flatnonzero(episodes.kinds[queries.episode] == EXERTION))
    others = other_tests(history, specs, tests)
    followed = whole_follow_up(history, queries, specs, others=others)
    load = history.sessions.columns["session_load_au"][queries.session]
    # The model abstains where the load is unknown, so it does not learn from such episodes either.
    usable = (unlabelled | (np.diff(followed.offsets) > 0)) & ~np.isnan(load)
    modality = _modalities(cohort, history.session_ids)
    found: dict[str, ComponentData] = {}
    for position, component in enumerate(COMPONENTS):
        rows = np.flatnonzero(usable & (queries.component == position))
        if not rows.size:
            continue
        some = queries.take(rows)
        _, first, row_episode = np.unique(some.episode, return_index=True, return_inverse=True)
        names = np.array(history.athlete_ids, dtype=object)[some.athlete[first]]
        found[component] = ComponentData(
            component,
            tests[component],
            model_inputs(history, some, specs),
            (some.as_of_s - some.clock_start_s) / 3600.0,
            row_episode.astype(np.int64),
            followed.take(rows[first]),
            np.array([f"{cohort.name}/{name}" for name in names], dtype=object),
            history.teams[some.athlete[first]],
            some.clock_start_s[first],
            episodes.ids[some.episode[first]],
            modality[some.session[first]],
            _facts(cohort, history, some, row_episode, first, followed.take(rows[first]), specs),
        )
    return found


def _facts(
    cohort: Cohort, history: History, rows: Queries, row_episode: Ints, first: Ints,
    followed: Followed, specs: Mapping[str, TestSpec],
) -> Facts:  # fmt: skip
    """Return what is known of each episode, `first` being its row among `rows` at its start."""
    start = rows.take(first)
    last_s = start.clock_start_s + followed.over_h * 3600.0
    np.maximum.at(last_s, row_episode, rows.as_of_s)
    begin_s, days_s = start.clock_start_s.min(), last_s.max() - start.clock_start_s.min()
    sex = cohort["athletes"].set_index("athlete_id")["sex"].to_dict()
    names = np.array(history.athlete_ids, dtype=object)[start.athlete]
    return Facts(
        np.array([sex[name] for name in names], dtype=object),
        tier(labelled_before(history, start, rested_baselines(history, start, specs))),
        (start.clock_start_s - begin_s) / max(days_s, 1.0),
        (last_s - begin_s) / max(days_s, 1.0),
    )


def concatenate(parts: Sequence[ComponentData]) -> ComponentData:
    """Return the episodes of several cohorts as one; they share component and index test."""
    shifts = np.cumsum([0, *(len(p.athlete) for p in parts[:-1])])
    return ComponentData(
        parts[0].component,
        parts[0].index_test,
        np.concatenate([p.X for p in parts]),
        np.concatenate([p.landmark_h for p in parts]),
        np.concatenate([p.row_episode + s for p, s in zip(parts, shifts, strict=True)]),
        type(parts[0].followed).concatenate([p.followed for p in parts]),
        np.concatenate([p.athlete for p in parts]),
        np.concatenate([p.team for p in parts]),
        np.concatenate([p.clock_start_s for p in parts]),
        np.concatenate([p.episode_id for p in parts]),
        np.concatenate([p.modality for p in parts]),
        Facts.concatenate([p.facts for p in parts if p.facts is not None])
        if all(p.facts is not None for p in parts)
        else None,
    )


def _modalities(cohort: Cohort, session_ids: Objects) -> Objects:
    sessions = cohort["sessions"].set_index("session_id")["modality"]
    names = sessions.reindex(session_ids).to_numpy(object)
    return np.array([n if isinstance(n, str) else "unknown" for n in names], dtype=object)
