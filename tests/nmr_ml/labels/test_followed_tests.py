from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nmr_ml.history.episodes import find_episodes
from nmr_ml.history.queries import Targets, at_landmarks, expand
from nmr_ml.history.rested_baseline import daytime
from nmr_ml.labels.followed_tests import (
    Followed,
    censor_reasons,
    followed_tests,
    label_states,
    no_tests,
    whole_follow_up,
)
from nmr_ml.labels.index_tests import index_tests, other_tests  # fmt: skip
from tests.support.small_cohorts import (
    SPECS,
    at_s,
    followed_of,
    history_of,
    measured,
    rested,
    session,
    small_cohort,
)  # fmt: skip

if TYPE_CHECKING:
    from nmr_ml.history.episodes import Episodes
    from nmr_ml.history.queries import Queries

#: Typical error of a CMJ of three trials, in per cent: between days 2, a trial 3.
CMJ_ERROR = np.sqrt(2.0**2 + 3.0**2 / 3)
COMPONENT = {"cmj_height": "power", "sprint_10m": "power", "voluntary_activation": "central",
             "readiness": "perceptual"}  # fmt: skip


def labels(
    sessions: list[dict[str, Any]], tests: list[dict[str, Any]], *, test: str = "cmj_height"
) -> tuple[Episodes, Queries, Followed]:
    """Return the labels of every session for one test."""
    history = history_of(small_cohort(sessions, tests))
    episodes = find_episodes(history)
    targets = Targets(np.arange(len(episodes)), episodes.clock_start_s)
    queries = expand(targets, episodes, history, {COMPONENT[test]: test})
    return episodes, queries, whole_follow_up(history, queries, SPECS)


def reasons(sessions: list[dict[str, Any]], tests: list[dict[str, Any]]) -> list[str]:
    """Return why the follow-up of every session ended."""
    history = history_of(small_cohort(sessions, tests))
    episodes = find_episodes(history)
    targets = Targets(np.arange(len(episodes)), episodes.clock_start_s)
    queries = expand(targets, episodes, history, {"power": "cmj_height"})
    told: list[str] = censor_reasons(history, episodes, queries).tolist()
    return told


def deficits_of(followed: Followed, query: int) -> list[tuple[float, Any]]:
    rows = slice(followed.offsets[query], followed.offsets[query + 1])
    deficits = np.round(followed.deficit[rows], 6).tolist()
    return list(zip(followed.hours[rows].tolist(), deficits, strict=True))


@pytest.mark.parametrize(
    ("test", "base", "value", "deficit"),
    [
        ("cmj_height", 40.0, 38.0, 5.0),  # higher is better: 2 of 40 lost
        ("cmj_height", 40.0, 42.0, -5.0),
        ("sprint_10m", 2.0, 2.1, 5.0),  # lower is better: a slower sprint is a deficit
        ("sprint_10m", 2.0, 1.9, -5.0),
        ("voluntary_activation", 95.0, 92.0, 3.0),  # points, not per cent
        ("readiness", 7.0, 5.0, 2.0),
        ("readiness", 0.0, 1.0, -1.0),  # a baseline of 0 points is one
    ],
)
def test_a_deficit_is_what_is_lost_in_the_impaired_direction(
    test: str, base: float, value: float, deficit: float
) -> None:
    tests = [*rested([base] * 3, test=test), measured(24, value, test=test)]
    _, _, followed = labels([session(0)], tests, test=test)
    assert deficits_of(followed, 0) == [(24.0, pytest.approx(deficit))]


def test_errors_are_those_of_the_test_and_of_the_baselines_mean() -> None:
    tests = [*rested([40.0] * 3), measured(24, 38.0), measured(48, 39.0, trials_n=1)]
    _, _, followed = labels([session(0)], tests)
    assert followed.error == pytest.approx([CMJ_ERROR, np.sqrt(2.0**2 + 3.0**2)])
    assert followed.shared_error[0] == pytest.approx(CMJ_ERROR / np.sqrt(3))
    points = [*rested([7.0] * 4, test="readiness"), measured(24, 5.0, test="readiness", trials_n=1)]
    _, _, followed = labels([session(0)], points, test="readiness")
    assert followed.error == pytest.approx([0.8])
    assert followed.shared_error[0] == pytest.approx(0.8 / np.sqrt(4))


def test_a_jump_is_read_as_at_the_hours_of_its_baseline() -> None:
    tests = [*rested([40.0] * 3), measured(24, 38.0), measured(36, 38.0)]
    _, queries, followed = labels([session(0)], tests)
    taken_s = queries.clock_start_s[0] + 3600 * np.array([24, 36])
    apart = daytime(taken_s, "UTC") - followed.baselines.daytime[0]
    assert followed.deficit == pytest.approx(5.0 + SPECS["cmj_height"].day_amplitude * apart)
    assert followed.deficit[1] != pytest.approx(followed.deficit[0])


def test_where_only_the_day_of_a_test_is_known_its_hour_has_no_effect() -> None:
    late = measured(36, 38.0) | {"time_precision": "day"}
    _, _, followed = labels([session(0)], [*rested([40.0] * 3), late])
    assert followed.deficit == pytest.approx([5.0])


def test_the_follow_up_ends_with_the_next_loading_session_and_not_with_a_light_one() -> None:
    sessions = [session(-200, 400), session(0, 400), session(48, 199), session(96, 400)]
    # The last session starts at 94.5 h.
    tests = [*rested([40.0] * 3), *(measured(h, 38.0) for h in (24, 72, 94.5, 95, 120))]
    _, _, followed = labels(sessions, tests)
    assert [h for h, _ in deficits_of(followed, 1)] == [24.0, 72.0, 94.5]
    # The light session has an episode of its own, and the tests belong to both.
    assert [h for h, _ in deficits_of(followed, 2)] == [24.0, 46.5]
    assert reasons(sessions, tests)[1:] == ["next_session", "next_session", "end_of_tests"]


def test_tests_at_the_bounds_belong_to_the_follow_up() -> None:
    tests = [*rested([40.0] * 3), *(measured(h, 38.0) for h in (0, 336, 336.001))]
    _, _, followed = labels([session(0)], tests)
    assert [h for h, _ in deficits_of(followed, 0)] == [0.0, 336.0]
    assert reasons([session(0)], tests) == ["horizon"]
    assert reasons([session(0)], tests[:-1]) == ["end_of_tests"]


def test_the_follow_up_ends_with_the_last_test_where_nothing_else_ends_it() -> None:
    tests = [*rested([40.0] * 3), measured(60, 38.0)]
    assert reasons([session(0)], tests) == ["end_of_tests"]


def test_two_rested_tests_make_no_label() -> None:
    _, _, followed = labels([session(0)], [*rested([40.0] * 2), measured(24, 38.0)])
    assert deficits_of(followed, 0) == []
    assert np.isnan(followed.shared_error[0])
    assert label_states(followed).tolist() == ["too_few_rested_tests"]


def test_an_episode_without_a_test_says_so() -> None:
    _, _, followed = labels([session(0)], rested([40.0] * 3))
    assert label_states(followed).tolist() == ["no_test_in_follow_up"]
    _, _, followed = labels([session(0)], [*rested([40.0] * 3), measured(5, 40.0)])
    assert label_states(followed).tolist() == ["labelled"]


def test_tests_taken_tired_do_not_enter_the_baseline() -> None:
    sessions = [session(-200), session(0)]
    tired = [measured(h, 1.0, test="sprint_10m") for h in (-199, -160, -200 + 71.9)]
    rest = [measured(h, 2.0, test="sprint_10m") for h in (-200 + 72, -100, -50)]
    after = measured(24, 2.1, test="sprint_10m")
    _, _, followed = labels(sessions, [*tired, *rest, after], test="sprint_10m")
    assert followed.baselines.mean[1] == pytest.approx(2.0)
    assert followed.baselines.tests_n[1] == 3
    assert deficits_of(followed, 1) == [(24.0, pytest.approx(5.0))]


def test_a_test_that_becomes_known_late_is_a_label_and_no_evidence() -> None:
    tests = [*rested([40.0] * 3), measured(24, 38.0, known_h=100)]
    history = history_of(small_cohort([session(0)], tests))
    episodes = find_episodes(history)
    targets = Targets(np.zeros(3, np.int64), np.array([at_s(h) for h in (50, 99.9, 100)]))
    queries = expand(targets, episodes, history, {"power": "cmj_height"})
    seen = followed_tests(history, queries, SPECS)
    assert np.diff(seen.offsets).tolist() == [0, 0, 1]
    labelled = whole_follow_up(history, queries, SPECS)
    assert np.diff(labelled.offsets).tolist() == [1, 1, 1]


def test_the_landmark_does_not_change_the_label() -> None:
    tests = [*rested([40.0, 41.0, 42.0]), *(measured(h, 38.0) for h in (12, 36, 60))]
    history = history_of(small_cohort([session(0), session(80)], tests))
    episodes = find_episodes(history)
    queries = expand(
        at_landmarks(episodes, [0, 24, 48]), episodes, history, {"power": "cmj_height"}
    )
    followed = whole_follow_up(history, queries, SPECS)
    first = np.flatnonzero(queries.episode == 0)
    assert first.size == 3
    assert deficits_of(followed, first[0]) == deficits_of(followed, first[1])
    assert deficits_of(followed, first[0]) == deficits_of(followed, first[2])


def test_taking_and_joining_keep_each_episodes_tests() -> None:
    some = followed_of([[(1, 2, 3)], [], [(4, 5, 6), (7, 8, 9)]], shared=[0.1, 0.2, 0.3])
    turned = some.take(np.array([2, 0, 1, 2]))
    assert np.diff(turned.offsets).tolist() == [2, 1, 0, 2]
    assert turned.hours.tolist() == [4.0, 7.0, 1.0, 4.0, 7.0]
    assert turned.error.tolist() == [6.0, 9.0, 3.0, 6.0, 9.0]
    assert turned.shared_error.tolist() == [0.3, 0.1, 0.2, 0.3]
    joined = Followed.concatenate([some.take(np.array([0])), some.take(np.array([1, 2]))])
    for name in ("offsets", "hours", "deficit", "error", "shared_error"):
        assert np.array_equal(getattr(joined, name), getattr(some, name))
    assert joined.baselines.mean.tolist() == some.baselines.mean.tolist()
    assert len(joined) == 3


def test_nothing_followed_has_no_tests() -> None:
    nothing = no_tests(3)
    assert len(nothing) == 3
    assert nothing.offsets.tolist() == [0, 0, 0, 0]
    assert np.isnan(nothing.shared_error).all()


def test_the_index_test_is_the_components_own_or_the_most_frequent_of_its_family() -> None:
    def chosen(*names: str) -> dict[str, str]:
        tests = [measured(i, 5.0, test=name) for i, name in enumerate(names)]
        return index_tests(history_of(small_cohort([session(0)], tests)), SPECS)

    assert chosen("cmj_height", "grip", "grip", "rsi_mod") == {
        "power": "cmj_height",
        "coordination": "rsi_mod",
    }
    assert chosen("grip", "sj_height", "sj_height") == {"power": "sj_height"}
    assert chosen("sj_height", "grip") == {"power": "grip"}  # the first by name among equals
    assert chosen("fatigue", "readiness") == {"perceptual": "readiness"}
    assert chosen() == {}


def test_episodes_of_other_athletes_and_other_tests_stay_out() -> None:
    sessions = [session(0, athlete="a"), session(0, athlete="b")]
    tests = [
        *rested([40.0] * 3, athlete="a"), *rested([30.0] * 3, athlete="b"),
        measured(24, 38.0, athlete="a"), measured(24, 27.0, athlete="b"),
        measured(25, 500.0, athlete="a", test="cmj_peak_power"),
    ]  # fmt: skip
    _, _, followed = labels(sessions, tests)
    assert [deficits_of(followed, q) for q in (0, 1)] == [[(24.0, 5.0)], [(24.0, 10.0)]]


# --- other tests of the family -------------------------------------------------------------------


def beside(
    *, known_by_h: float | None = None, others: tuple[str, ...] = ("sprint_10m",)
) -> tuple[tuple[str, ...], Followed]:
    """Return the follow-up of one session with a jump at 24 h and sprints at 30 and 50 h."""
    tests = [
        *rested([40.0, 41.0, 39.0]),
        *rested([1.80, 1.78, 1.82], test="sprint_10m"),
        measured(24.0, 38.0),
        measured(30.0, 1.89, test="sprint_10m"),
        measured(50.0, 1.83, test="sprint_10m", known_h=60.0),
        measured(150.0, 1.80, test="sprint_10m"),
    ]
    history = history_of(small_cohort([session(0.0), session(100.0)], tests))
    episodes = find_episodes(history)
    queries = expand(at_landmarks(episodes, [0.0]), episodes, history, {"power": "cmj_height"})
    first = queries.take(np.flatnonzero(queries.clock_start_s == at_s(0.0)))
    known = None if known_by_h is None else np.array([at_s(known_by_h)])
    if known is None:
        return history.test_names, whole_follow_up(history, first, SPECS, others=others)
    return history.test_names, followed_tests(
        history, first, SPECS, known_by_s=known, others=others
    )


def test_other_tests_of_the_family_are_deficits_from_a_baseline_of_their_own() -> None:
    names, found = beside()
    family = found.family
    assert family is not None
    assert found.hours.tolist() == [24.0]
    assert [names[code] for code in family.code] == ["sprint_10m", "sprint_10m"]
    assert family.hours.tolist() == [30.0, 50.0]  # the one at 150 h is of the next session
    # Slower is worse: 1.89 s against 1.80 s is 5 % of deficit.
    assert family.deficit == pytest.approx([5.0, 5 / 3])
    one = np.sqrt(1.0 + 1.0 / 3)  # of three trials, in per cent
    assert family.error == pytest.approx(np.full(2, np.hypot(one, one / np.sqrt(3))), rel=0.01)
    assert found.over_h.tolist() == [50.0]
    assert found.alone().over_h.tolist() == [24.0]


def test_only_other_tests_known_by_then_are_followed() -> None:
    assert beside(known_by_h=20.0)[1].family.hours.tolist() == []  # type: ignore[union-attr]
    assert beside(known_by_h=55.0)[1].family.hours.tolist() == [30.0]  # type: ignore[union-attr]
    assert beside(others=())[1].family is None


def test_taking_and_joining_keep_the_other_tests() -> None:
    _, found = beside()
    both = Followed.concatenate([found, found.alone(), found]).take(np.array([2, 1, 0]))
    assert both.family is not None
    assert np.diff(both.family.offsets).tolist() == [2, 0, 2]
    assert both.family.hours.tolist() == [30.0, 50.0, 30.0, 50.0]
    assert Followed.concatenate([found.alone()] * 2).family is None


def test_other_tests_are_those_on_record_of_a_family_that_is_asked_for() -> None:
    history = history_of(
        small_cohort(
            [session(0.0)],
            [measured(1.0, 40.0), measured(1.0, 1.8, test="sprint_10m"),
             measured(1.0, 3.0, test="mood"), measured(1.0, 3.0, test="readiness")],
        )
    )  # fmt: skip
    assert other_tests(history, SPECS, {"power": "cmj_height"}) == ("sprint_10m",)
    both = {"power": "sprint_10m", "perceptual": "readiness"}
    assert other_tests(history, SPECS, both) == ("cmj_height", "mood")
