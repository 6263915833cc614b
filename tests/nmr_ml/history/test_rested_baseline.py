"""The rested baseline, case by case and against a plain re-computation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from nmr_ml.history.queries import Queries
from nmr_ml.history.rested_baseline import (
    REST_S,
    daytime,
    daytime_of,
    rested_baselines,
)
from nmr_ml.history.rested_baseline import test_errors as errors_of  # else it counts as a test
from nmr_ml.recovery_tests import COMPONENTS, shipped_testspecs
from tests.support.feature_cohorts import cohort, history_of, random_cohort, random_queries
from tests.support.plain_rules import loading_rule

if TYPE_CHECKING:
    from nmr_ml.history.history import History

SPECS = shipped_testspecs()
DAY = pd.Timedelta(days=1)
Row = dict[str, Any]
CLOCK = pd.Timestamp("2026-06-01T12:00:00Z")


def trials_at(*days: float, values: tuple[float, ...] | None = None, **columns: Any) -> list[Row]:
    values = values or tuple(40.0 for _ in days)
    return [
        {"athlete_id": "a", "measured_at": CLOCK - day * DAY, "test": "cmj_height", "value": value,
         "known_at": CLOCK - day * DAY, "time_precision": "minute", **columns}
        for day, value in zip(days, values, strict=True)
    ]  # fmt: skip


def session_at(day: float, *, load: float = 400, known: float | None = None) -> dict[str, Any]:
    ended = CLOCK - day * DAY
    return {"session_id": f"s{day}", "athlete_id": "a", "started_at": ended - DAY / 24,
            "ended_at": ended, "session_load_au": load, "time_precision": "minute",
            "known_at": ended if known is None else CLOCK - known * DAY}  # fmt: skip


def baseline_of(
    tests: list[Row], sessions: list[Row], *, component: str = "power", as_of_d: float = 0
) -> tuple[float, float, int]:
    history = history_of(cohort(
        athletes=[{"athlete_id": "a", "sex": "male"}], tests=tests, sessions=sessions
    ))  # fmt: skip
    clock = np.array([CLOCK.timestamp()], np.int64)
    one = np.zeros(1, np.int64)
    queries = Queries(
        one, one + COMPONENTS.index(component), one, one - 1,
        one + history.test_names.index("cmj_height"), clock, clock + int(as_of_d * 86_400),
    )  # fmt: skip
    found = rested_baselines(history, queries, SPECS)
    return float(found.mean[0]), float(found.se[0]), int(found.tests_n[0])


RESTED: dict[str, Any] = {"rested": True}


@pytest.mark.parametrize(
    ("tests", "sessions", "count"),
    [
        (trials_at(1, 2, 3, **RESTED), [], 3),
        (trials_at(1, 2, **RESTED), [], 2),
        (trials_at(1, 2, 3, 4, 5, 6, 7, 8, **RESTED), [], 6),  # the last 6
        (trials_at(1, 2, 121, **RESTED), [], 2),  # older than 120 days
        (trials_at(0, 1, 2, 3, **RESTED), [], 3),  # at the clock start is not before it
        (trials_at(1, 2, 3), [], 0),  # before the first session only if flagged
        (trials_at(1, 2, 3), [session_at(6)], 3),  # exactly 72 h after the session
        (trials_at(1, 2, 3), [session_at(5.9)], 2),
        (trials_at(1, 2, 3, rested=False), [session_at(9)], 3),  # not flagged, but 72 h later
        (trials_at(1, 2, 3), [session_at(9), session_at(3.5, load=199)], 3),  # not loading
        (trials_at(1, 2, 3), [session_at(9), session_at(3.5, load=200)], 0),
        (trials_at(1, 2, 3), [session_at(9), session_at(3.5, load=np.nan)], 0),  # unknown: loading
        (trials_at(1, 2, 3.2), [session_at(9), session_at(2.99)], 1),  # taken before a session
    ],
)
def test_which_tests_are_rested(tests: list[Row], sessions: list[Row], count: int) -> None:
    mean, se, n = baseline_of(tests, sessions)
    assert n == count
    assert np.isnan(mean) == np.isnan(se) == (count < 3)


def test_perceptual_tests_rest_for_36_hours_only() -> None:
    tests = trials_at(1, 2, 3)
    assert baseline_of(tests, [session_at(4.5)])[2] == 1
    assert baseline_of(tests, [session_at(4.5)], component="perceptual")[2] == 3


def test_session_known_later_changes_what_was_rested_only_from_then_on() -> None:
    """The session of 3.5 days before the clock start is entered two days after it."""
    sessions = [session_at(9), session_at(3.5, known=-2)]
    assert baseline_of(trials_at(1, 2, 3), sessions)[2] == 3
    assert baseline_of(trials_at(1, 2, 3), sessions, as_of_d=1.9)[2] == 3
    assert baseline_of(trials_at(1, 2, 3), sessions, as_of_d=2)[2] == 0


def test_session_known_later_moves_no_median_before() -> None:
    """A load of 1000 entered late makes the session of 400 a light one, once it is known."""
    heavy = [session_at(20, load=1000, known=-2), session_at(19, load=1000)]
    sessions = [*heavy, session_at(3.5, load=499)]
    assert baseline_of(trials_at(1, 2, 3), sessions, as_of_d=3)[2] == 3
    first_light = [session_at(20, load=1000, known=-2), session_at(3.5, load=499)]
    assert baseline_of(trials_at(1, 2, 3), first_light)[2] == 0
    assert baseline_of(trials_at(1, 2, 3), first_light, as_of_d=3)[2] == 3


def test_session_under_way_at_the_clock_start_is_seen_only_once_known() -> None:
    """An injury during a session: the session ends, and becomes known, after the clock start."""
    under_way = {**session_at(-0.01, known=-0.01), "started_at": CLOCK - 2 * DAY}
    tests = trials_at(0.5, 1, 1.5)
    assert baseline_of(tests, [session_at(9), under_way])[2] == 3
    assert baseline_of(tests, [session_at(9), under_way], as_of_d=0.02)[2] == 0


def test_mean_and_standard_error() -> None:
    mean, se, _ = baseline_of(trials_at(1, 2, 3, values=(38, 40, 45), trials_n=3, **RESTED), [])
    errors = np.array([38, 40, 45]) * np.sqrt(2.0**2 + 3.0**2 / 3) / 100
    assert mean == pytest.approx(41)
    assert se == pytest.approx(np.sqrt((errors**2).sum()) / 3)


def test_daytime_is_highest_at_five_in_the_afternoon_by_the_local_clock() -> None:
    at = pd.DatetimeIndex(["2026-07-01T15:00Z", "2026-01-01T16:00Z", "2026-01-01T04:00Z"])
    seconds = at.as_unit("s").asi8
    assert daytime(seconds, "Europe/Berlin") == pytest.approx([1, 1, -1])
    assert daytime(seconds, "UTC") == pytest.approx(
        [np.sqrt(3) / 2, np.cos(np.pi / 12), -np.cos(np.pi / 12)]
    )


def test_daytime_of_a_day_is_not_known() -> None:
    tests = [*trials_at(1, 2), *trials_at(3, time_precision="day")]
    history = history_of(cohort(athletes=[{"athlete_id": "a", "sex": "male"}], tests=tests))
    found = daytime_of(history)
    assert np.isnan(found).tolist() == [True, False, False]
    assert found[1] == daytime(history.tests.at_s, history.timezone)[1]


def test_typical_error_uses_the_trials_of_the_row() -> None:
    tests = trials_at(1, trials_n=1) + trials_at(2)
    history = history_of(cohort(athletes=[{"athlete_id": "a", "sex": "male"}], tests=tests))
    assert errors_of(history, SPECS) == pytest.approx([np.sqrt(7), np.sqrt(13)])


def test_agrees_with_plain_computation_on_random_cohorts() -> None:
    history = history_of(random_cohort(31, athletes=3, days=90))
    queries = random_queries(history, 2)
    rows = np.random.default_rng(1).permutation(len(queries))[:500]
    found = rested_baselines(history, queries.take(rows), SPECS)
    plain = [_plain(history, queries, row) for row in rows]
    assert found.tests_n.tolist() == [len(values) for values in plain]
    means = [np.mean(values) if len(values) >= 3 else np.nan for values in plain]
    np.testing.assert_allclose(found.mean, np.array(means), rtol=1e-12)
    assert 0.1 < np.isfinite(found.mean).mean() < 1


def _plain(history: History, queries: Queries, q: int) -> list[float]:
    """Return the values of the baseline, read off the rule in the contract."""
    if queries.test[q] < 0:
        return []
    sessions, tests = history.sessions, history.tests
    own = slice(*sessions.offsets[queries.athlete[q] :][:2])
    loads = sessions.columns["session_load_au"][own]
    flags = loading_rule(sessions.known_s[own], loads, int(queries.as_of_s[q]))
    started = sessions.columns["started_at"][own][flags]
    ended = sessions.at_s[own][flags]
    rest_s = REST_S[COMPONENTS[queries.component[q]]]
    values = []
    for i in range(*tests.offsets[queries.athlete[q] :][:2]):
        at, flag = tests.at_s[i], tests.columns["rested"][i]
        age = queries.clock_start_s[q] - at
        wrong = tests.columns["test"][i] != queries.test[q] or tests.known_s[i] > queries.as_of_s[q]
        if wrong or not 0 < age <= 120 * 86_400:
            continue
        before = ended[started < at]
        rested = before.size > 0 and at - before[-1] >= rest_s
        if flag == 1 or rested:
            values.append(float(tests.columns["value"][i]))
    return values[-6:]
