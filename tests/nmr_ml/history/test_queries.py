from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.errors import DataError, UsageError
from nmr_ml.history.episodes import Episodes, find_episodes
from nmr_ml.history.queries import (
    Targets,
    at_landmarks,
    at_moment,
    expand,
    of_episode,
    parse_landmarks,
)
from tests.support.small_cohorts import at, at_s, history_of, session, small_cohort

if TYPE_CHECKING:
    from nmr_ml.history.history import History


def example() -> tuple[History, Episodes]:
    """Return athlete a with sessions at 0, 50 and 200 h (known at 210 h), b with one at 100 h.

    Athlete a has an injury from 20 to 300 h and one that is open since 60 h.
    """
    sessions = [
        session(0, name="a0"), session(50, name="a1"), session(200, name="a2", known_h=210),
        session(100, name="b0", athlete="b"),
    ]  # fmt: skip
    episodes = [
        {"episode_id": "i0", "athlete_id": "a", "kind": "injury", "onset_at": at(20),
         "resolved_at": at(300), "known_at": at(20)},
        {"episode_id": "i1", "athlete_id": "a", "kind": "systemic", "onset_at": at(60),
         "known_at": at(90)},
    ]  # fmt: skip
    history = history_of(small_cohort(sessions, episodes=episodes))
    return history, find_episodes(history)


def asked(targets: Targets, episodes: Episodes) -> list[tuple[str, float]]:
    names = episodes.ids[targets.episode]
    since = (targets.as_of_s - episodes.clock_start_s[targets.episode]) / 3600
    return list(zip(names.tolist(), since.tolist(), strict=True))


def test_every_episode_at_its_own_clock_start() -> None:
    _, episodes = example()
    found = asked(at_landmarks(episodes, [0]), episodes)
    assert found == [(name, 0.0) for name in ("a0", "a1", "a2", "b0", "i0", "i1")]


def test_no_landmark_after_the_next_loading_session_or_the_resolution() -> None:
    _, episodes = example()
    found = asked(at_landmarks(episodes, [24, 48, 48.5, 280, 500]), episodes)
    told: dict[str, list[float]] = {}
    for name, hours in found:
        told.setdefault(name, []).append(hours)
    assert told == {
        "a0": [24.0, 48.0],  # the next one starts at 48.5 h
        "a1": [24.0, 48.0, 48.5],
        "a2": [24.0, 48.0, 48.5, 280.0, 500.0],
        "b0": [24.0, 48.0, 48.5, 280.0, 500.0],
        "i0": [24.0, 48.0, 48.5],  # resolved at 280 h
        "i1": [24.0, 48.0, 48.5, 280.0, 500.0],
    }


def test_landmarks_are_sorted_and_each_taken_once() -> None:
    _, episodes = example()
    found = asked(at_landmarks(episodes, [24, 0, 24.0]), episodes)
    assert found[:2] == [("a0", 0.0), ("a0", 24.0)]
    assert len(found) == len(set(found))


def test_landmarks_are_read_from_text() -> None:
    assert parse_landmarks("0,24, 48.5") == (0.0, 24.0, 48.5)


@pytest.mark.parametrize("text", ["", "0;24", "24,x", "-1", "0,inf", "nan"])
def test_landmarks_that_are_no_hours_from_0_on_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_landmarks(text)
    assert caught.value.code == "landmark_invalid"


def test_a_moment_asks_for_the_latest_exertion_and_open_injuries() -> None:
    _, episodes = example()

    def chosen(hour: float) -> tuple[set[str], int]:
        targets = at_moment(episodes, at_s(hour))
        assert (targets.as_of_s == at_s(hour)).all()
        return set(episodes.ids[targets.episode]), targets.superseded

    assert chosen(-1) == (set(), 0)
    assert chosen(0) == ({"a0"}, 0)
    assert chosen(49.9) == ({"a0", "i0"}, 0)
    assert chosen(50) == ({"a1", "i0"}, 1)
    assert chosen(100) == ({"a1", "b0", "i0", "i1"}, 1)
    assert chosen(205) == ({"a1", "b0", "i0", "i1"}, 1)  # the session at 200 h is not known yet
    assert chosen(210) == ({"a2", "b0", "i0", "i1"}, 2)
    assert chosen(300) == ({"a2", "b0", "i1"}, 3)


def test_one_episode_can_be_asked_for_by_its_id() -> None:
    _, episodes = example()
    targets = of_episode(episodes, "a1", at_s(60))
    assert asked(targets, episodes) == [("a1", 10.0)]
    for name, hour in (("a1", 49.0), ("nobody", 60.0)):
        with pytest.raises(DataError) as caught:
            of_episode(episodes, name, at_s(hour))
        assert caught.value.code == "no_episode"


def test_an_exertion_has_a_query_for_each_component_and_an_injury_one() -> None:
    history, episodes = example()
    tests = {"perceptual": "readiness", "power": "cmj_height"}
    queries = expand(at_landmarks(episodes, [0, 24]), episodes, history, tests)
    exertion = queries.session >= 0
    assert len(queries) == 2 * 4 * 2 + 2 * 2
    # Rows of one target stand together, power before perceptual.
    assert queries.component[exertion].reshape(-1, 2).tolist() == [[0, 3]] * 8
    codes = [history.test_names.index(tests[c]) for c in ("power", "perceptual")]
    assert queries.test[exertion].reshape(-1, 2).tolist() == [codes] * 8
    assert queries.component[~exertion].tolist() == [4] * 4
    assert queries.test[~exertion].tolist() == [-1] * 4
    assert np.array_equal(queries.athlete, episodes.athlete[queries.episode])
    assert np.array_equal(queries.clock_start_s, episodes.clock_start_s[queries.episode])


def test_without_any_component_only_injuries_are_left() -> None:
    history, episodes = example()
    queries = expand(at_landmarks(episodes, [0]), episodes, history, {})
    assert episodes.ids[queries.episode].tolist() == ["i0", "i1"]
    assert queries.component.tolist() == [4, 4]
