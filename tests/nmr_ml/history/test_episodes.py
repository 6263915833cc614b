from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.history.episodes import find_episodes, next_loading_s
from nmr_ml.history.local_time import NEVER_S
from tests.support.plain_rules import loading_rule
from tests.support.small_cohorts import START_S, at, at_s, history_of, session, small_cohort

if TYPE_CHECKING:
    from nmr_ml.history.episodes import Episodes
    from nmr_ml.history.history import History


def episodes_of(*rows: dict[str, Any], **tables: Any) -> Episodes:
    return find_episodes(history_of(small_cohort(rows, **tables)))


def injury(onset_h: float, resolved_h: float | None = None, **more: object) -> dict[str, object]:
    return {
        "episode_id": f"i{onset_h}",
        "athlete_id": "a",
        "kind": "injury",
        "onset_at": at(onset_h),
        "resolved_at": None if resolved_h is None else at(resolved_h),
        "known_at": at(onset_h),
        **more,
    }


def test_an_exertion_is_its_session_and_starts_at_its_end() -> None:
    found = episodes_of(session(10, name="007"), session(20, known_h=30, name="008"))
    assert found.ids.tolist() == ["007", "008"]
    assert found.kinds.tolist() == ["exertion", "exertion"]
    assert found.clock_start_s.tolist() == [at_s(10), at_s(20)]
    assert found.known_s.tolist() == [at_s(10), at_s(30)]
    assert found.resolved_s.tolist() == [NEVER_S, NEVER_S]


def test_a_second_session_of_the_day_is_its_own_episode() -> None:
    found = episodes_of(session(10), session(18))
    assert len(found) == 2
    assert found.next_loading_s.tolist() == [at_s(16.5), NEVER_S]


def test_injuries_start_at_onset_and_end_when_resolved() -> None:
    found = episodes_of(session(0), episodes=[injury(5, 105), injury(200, kind="systemic")])
    assert found.kinds.tolist() == ["exertion", "injury", "systemic"]
    assert found.clock_start_s[1:].tolist() == [at_s(5), at_s(200)]
    assert found.resolved_s[1:].tolist() == [at_s(105), NEVER_S]
    assert found.event[1:].tolist() == [0, 1]
    assert found.session.tolist() == [0, -1, -1]
    assert found.next_loading_s[1:].tolist() == [NEVER_S, NEVER_S]


@pytest.mark.parametrize(
    ("load", "ends"),
    [(200.0, True), (199.9, False), (0.0, False), (np.nan, True), (900.0, True)],
)
def test_a_session_of_half_the_median_load_or_of_unknown_load_ends_the_follow_up(
    load: float, ends: bool
) -> None:
    first = [session(0, 300.0), session(48, 500.0)]  # median 400
    found = episodes_of(*first, session(100, load), session(200, 900.0))
    assert found.next_loading_s[1] == (at_s(98.5) if ends else at_s(198.5))


def test_the_first_session_on_record_is_loading_however_light() -> None:
    history = history_of(small_cohort([session(10, 1.0)]))
    moments = [np.array([x], np.int64) for x in (0, at_s(0), at_s(50))]
    assert next_loading_s(history, *moments).tolist() == [at_s(8.5)]


def test_only_sessions_that_are_known_end_it() -> None:
    rows = [session(0), session(30, known_h=60)]
    history = history_of(small_cohort(rows))

    def asked(as_of_h: float) -> int:
        moments = [np.array([x], np.int64) for x in (0, at_s(0), at_s(as_of_h))]
        return int(next_loading_s(history, *moments)[0])

    assert asked(10) == asked(59.9) == NEVER_S
    assert asked(60) == at_s(28.5)


def test_what_is_not_yet_known_does_not_make_a_session_light() -> None:
    # Beside 200 and 900 a load of 300 is no light one; once the late 900 is known, it is.
    rows = [
        session(-60, 200.0), session(-30, 900.0, known_h=200), session(0, 900.0),
        session(30, 300.0),
    ]  # fmt: skip
    history = history_of(small_cohort(rows))
    moments = [np.array([0, 0], np.int64), np.array([at_s(0)] * 2), np.array([at_s(50), at_s(300)])]
    assert next_loading_s(history, *moments).tolist() == [at_s(28.5), NEVER_S]


def test_a_session_without_length_does_not_end_its_own_follow_up() -> None:
    found = episodes_of(session(10, hours=0), session(58))
    assert found.next_loading_s.tolist() == [at_s(56.5), NEVER_S]


def test_athletes_do_not_end_each_others_follow_up() -> None:
    found = episodes_of(session(0, athlete="a"), session(20, athlete="b"))
    assert found.next_loading_s.tolist() == [NEVER_S, NEVER_S]
    assert found.athlete.tolist() == [0, 1]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_next_loading_session_agrees_with_the_rule(seed: int) -> None:
    """Whatever became known when, and in whatever order it is asked."""
    rng = np.random.default_rng(seed)
    rows = [
        session(
            float(ends_h),
            rng.choice([np.nan, 100.0, 199.0, 200.0, 400.0, 900.0]),
            athlete=athlete,
            hours=rng.choice([0.0, 1.5, 30.0]),
            known_h=float(ends_h + rng.choice([0, 0, 10, 300])),
        )
        for athlete in "ab"
        for ends_h in rng.choice(240, 12, replace=False)
    ]
    history = history_of(small_cohort(rows))
    athlete = rng.integers(0, 2, 40)
    clock_s = START_S + 3600 * rng.integers(0, 240, 40)
    as_of_s = np.where(rng.random(40) < 0.3, NEVER_S, clock_s + 3600 * rng.integers(-50, 400, 40))
    expected = [_plain(history, *asked) for asked in zip(athlete, clock_s, as_of_s, strict=True)]
    assert next_loading_s(history, athlete, clock_s, as_of_s).tolist() == expected


def _plain(history: History, athlete: int, clock_s: int, as_of_s: int) -> int:
    rows = history.sessions
    own = slice(*rows.offsets[athlete : athlete + 2])
    started = rows.columns["started_at"][own]
    flags = loading_rule(rows.known_s[own], rows.columns["session_load_au"][own], int(as_of_s))
    later = flags & (rows.at_s[own] > clock_s) & (started >= clock_s)
    return int(started[later][0]) if later.any() else NEVER_S
