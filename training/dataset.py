"""From cohorts to what a component is fitted to and scored on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.episodes import EXERTION, find_episodes
from nmr_ml.history import build_history
from nmr_ml.inputs import model_inputs
from nmr_ml.labels import followed_tests, index_tests
from nmr_ml.targets import at_landmarks, expand
from nmr_ml.testspec import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nmr_ml.cohort import Cohort
    from nmr_ml.labels import Followed
    from nmr_ml.testspec import Component, TestSpec

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Objects = NDArray[np.object_]


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
    episode_id, modality : object arrays of str, shape (n_episodes,)
    """

    component: Component
    index_test: str
    X: Floats
    landmark_h: Floats
    row_episode: Ints
    followed: Followed
    athlete: Objects
    episode_id: Objects
    modality: Objects

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
    followed = followed_tests(history, queries, specs, whole_follow_up=True)
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
            episodes.ids[some.episode[first]],
            modality[some.session[first]],
        )
    return found


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
        np.concatenate([p.episode_id for p in parts]),
        np.concatenate([p.modality for p in parts]),
    )


def _modalities(cohort: Cohort, session_ids: Objects) -> Objects:
    sessions = cohort["sessions"].set_index("session_id")["modality"]
    names = sessions.reindex(session_ids).to_numpy(object)
    return np.array([n if isinstance(n, str) else "unknown" for n in names], dtype=object)


def athlete_folds(athlete: Objects, folds: int, seed: int) -> Ints:
    """Return a fold for each entry of `athlete`; equal athletes share one, folds are even."""
    names, position = np.unique(athlete.astype(str), return_inverse=True)
    order = np.random.default_rng(seed).permutation(names.size)
    return np.asarray(order[position] % folds, np.int64)
