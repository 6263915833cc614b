"""The training set as a table: features as of each landmark, and what came of the episode."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmr_ml.features.contract import feature_contract
from nmr_ml.features.model_inputs import model_inputs
from nmr_ml.history.episodes import EXERTION, find_episodes
from nmr_ml.history.history import build_history
from nmr_ml.history.local_time import NEVER_S
from nmr_ml.history.queries import at_landmarks, expand
from nmr_ml.labels.followed_tests import censor_reasons, label_states, whole_follow_up
from nmr_ml.labels.index_tests import index_tests
from nmr_ml.reasons import Censor, NoLabel
from nmr_ml.recovery_tests import AVAILABILITY, COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.history.episodes import Episodes
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.numeric.arrays import Floats, Ints
    from nmr_ml.recovery_tests import TestSpec


def training_frame(
    cohort: Cohort, specs: Mapping[str, TestSpec], landmarks_h: Sequence[float]
) -> pd.DataFrame:
    """Return one row per episode, component and landmark, labelled or not.

    Keys are ``athlete_id``, ``episode_id``, ``kind``, ``component`` and ``as_of``, then the
    features under their contract names, then the outcome: ``y_hours``, ``y_deficit`` and
    ``y_error`` list the tests of the whole follow-up (h after the clock start; % or points below
    the baseline; typical error), ``y_shared_error`` is the error they share through the baseline,
    ``y_state`` says whether there is a label and ``y_censor_reason`` why the follow-up ended.
    """
    history = build_history(cohort, tuple(sorted(specs)))
    episodes = find_episodes(history)
    tests = index_tests(history, specs)
    queries = expand(at_landmarks(episodes, landmarks_h), episodes, history, tests)
    followed = whole_follow_up(history, queries, specs)
    features = pd.DataFrame(
        model_inputs(history, queries, specs), columns=list(feature_contract().names)
    )
    keys = pd.DataFrame(_keys(history, episodes, queries))
    outcome = pd.DataFrame(_outcome(history, episodes, queries, followed))
    return pd.concat([keys, features, outcome], axis=1)


def _keys(history: History, episodes: Episodes, queries: Queries) -> dict[str, Any]:
    names = np.array([*COMPONENTS, AVAILABILITY], dtype=object)
    as_of = pd.Series(queries.as_of_s.astype("datetime64[s]").astype("datetime64[us]"))
    return {
        "athlete_id": np.array(history.athlete_ids, dtype=object)[queries.athlete],
        "episode_id": episodes.ids[queries.episode],
        "kind": episodes.kinds[queries.episode],
        "component": names[queries.component],
        "as_of": as_of.dt.tz_localize("UTC"),
    }


def _outcome(
    history: History, episodes: Episodes, queries: Queries, followed: Followed
) -> dict[str, Any]:
    tests = np.array([*history.test_names, None], dtype=object)
    exertion = episodes.kinds[queries.episode] == EXERTION
    resolved = episodes.resolved_s[queries.episode]
    hours = (resolved - queries.clock_start_s) / 3600.0
    ended = np.full(len(queries), None, dtype=object)
    ended[resolved == NEVER_S] = Censor.STILL_OPEN.value
    known = np.where(resolved == NEVER_S, NoLabel.NOT_RESOLVED.value, NoLabel.LABELLED.value)
    return {
        "y_index_test": tests[queries.test],
        "y_state": np.where(exertion, label_states(followed), known),
        "y_censor_reason": np.where(exertion, censor_reasons(history, episodes, queries), ended),
        "y_baseline": followed.baselines.mean,
        "y_baseline_tests_n": followed.baselines.tests_n,
        "y_shared_error": followed.shared_error,
        "y_hours": _lists(followed.offsets, followed.hours),
        "y_deficit": _lists(followed.offsets, followed.deficit),
        "y_error": _lists(followed.offsets, followed.error),
        "y_resolved_h": np.where(resolved == NEVER_S, np.nan, hours),
    }


def _lists(offsets: Ints, values: Floats) -> list[list[float]]:
    return [values[first:last].tolist() for first, last in pairwise(offsets.tolist())]
