from __future__ import annotations

import numpy as np

from nmr_ml.history.episodes import find_episodes
from nmr_ml.history.queries import at_landmarks, expand
from nmr_ml.history.rested_baseline import rested_baselines
from nmr_ml.predictions.confidence import labelled_before, tier
from tests.support.small_cohorts import SPECS, history_of, measured, rested, session, small_cohort


def counts(
    sessions: list[dict[str, object]], tests: list[dict[str, object]], landmark_h: float = 0
) -> list[int]:
    history = history_of(small_cohort(sessions, tests))
    episodes = find_episodes(history)
    targets = at_landmarks(episodes, [landmark_h])
    queries = expand(targets, episodes, history, {"power": "cmj_height"})
    found = labelled_before(history, queries, rested_baselines(history, queries, SPECS))
    counted: list[int] = found.tolist()
    return counted


def test_tiers_by_labelled_episodes() -> None:
    assert tier(np.array([0, 1, 4, 5])).tolist() == ["cold_start", "building", "building", "solid"]


def test_only_earlier_episodes_with_a_test_before_the_next_session_count() -> None:
    sessions = [session(48.0 * i) for i in range(8)]
    tests = [*rested([40.0] * 3), *(measured(48.0 * i + 20, 39.0) for i in range(8) if i != 2)]
    assert counts(sessions, tests) == [0, 1, 2, 2, 3, 4, 5, 5]  # it does not count beyond 5


def test_without_a_rested_baseline_a_test_is_no_label() -> None:
    sessions = [session(48.0 * i) for i in range(3)]
    tests = [measured(48.0 * i + 20, 39.0) for i in range(3)]
    assert counts(sessions, tests) == [0, 0, 0]
    assert counts(sessions, [*rested([40.0] * 3), *tests]) == [0, 1, 2]


def test_a_test_not_yet_known_does_not_count() -> None:
    sessions = [session(0), session(48), session(96)]
    tests = [*rested([40.0] * 3), measured(20, 39.0, known_h=60)]
    assert counts(sessions, tests) == [0, 0, 1]


def test_the_episodes_own_tests_do_not_count() -> None:
    tests = [*rested([40.0] * 3), measured(10, 39.0)]
    assert counts([session(0)], tests, landmark_h=24) == [0]


def test_other_tests_and_other_athletes_do_not_count() -> None:
    sessions = [session(0), session(48), session(0, athlete="b"), session(48, athlete="b")]
    tests = [
        *rested([40.0] * 3), *rested([40.0] * 3, athlete="b"),
        measured(20, 2000.0, test="cmj_peak_power"), measured(20, 39.0, athlete="b"),
    ]  # fmt: skip
    assert counts(sessions, tests) == [0, 0, 0, 1]
