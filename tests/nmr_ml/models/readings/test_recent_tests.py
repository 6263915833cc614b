from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.models.readings.recent_tests import HALF_LIFE_S, RECENT_S, Recent, recent_tests
from tests.support.small_cohorts import at, at_s, history_of, measured, small_cohort

if TYPE_CHECKING:
    from nmr_ml.history.history import History

Row = dict[str, Any]
JUMP, SPRINT = "cmj_height", "sprint_10m"


def recent_at(
    tests: list[Row], hours: list[float], *, test: str = JUMP, timezone: str = "UTC"
) -> Recent:
    """What is recent for athlete ``a`` at some hours."""
    history = history_of(small_cohort([], tests, timezone=timezone))
    n = len(hours)
    code = history.test_names.index(test)
    moments = np.array([at_s(hour) for hour in hours])
    return recent_tests(history, np.zeros(n, np.int64), np.full(n, code), moments)


def week(values: list[float], **more: Any) -> list[Row]:
    """Tests a half-life apart, the first at 0 h."""
    return [measured(168.0 * i, value, **more) for i, value in enumerate(values)]


def test_a_value_weighs_half_as_much_for_every_week_it_is_older() -> None:
    found = recent_at(week([40.0, 36.0, 38.0]), [2 * 168.0 + 5])
    assert found.last == found.before + 2 == 38
    assert found.weight == pytest.approx([1.75])
    usual = (38 + 36 / 2 + 40 / 4) / 1.75
    assert found.usual == pytest.approx([usual])
    assert found.usual_before == pytest.approx([(36 + 40 / 2) / 1.5])
    away = abs(38 - usual) + abs(36 - usual) / 2 + abs(40 - usual) / 4
    assert found.scatter == pytest.approx([away / 1.75])
    assert found.age_d == [0]
    assert found.age_before_d == [7]


def test_without_a_test_nothing_is_recent_and_one_has_none_before_it() -> None:
    found = recent_at([measured(0.0, 40.0)], [-1.0, 1.0])
    assert np.isnan([part[0] for part in found]).all()
    assert [found.last[1], found.usual[1], found.scatter[1], found.weight[1]] == [40, 40, 0, 1]
    assert np.isnan([found.before[1], found.usual_before[1], found.age_before_d[1]]).all()


def test_a_test_at_the_moment_counts_and_one_a_second_later_does_not() -> None:
    found = recent_at([measured(0.0, 40.0), measured(24.0, 41.0)], [24.0, 24.0 - 1 / 3600])
    assert found.last.tolist() == [41, 40]


def test_tests_of_another_kind_or_athlete_do_not_count() -> None:
    tests = [measured(0.0, 40.0), measured(1.0, 50.0, athlete="b"), measured(2.0, 1.8, test=SPRINT)]
    assert recent_at(tests, [9.0]).last == [40]
    assert recent_at(tests, [9.0], test=SPRINT).last == [1.8]
    assert np.isnan(recent_at(tests, [9.0], test="grip").last).all()


def test_a_test_the_history_does_not_have_is_asked_about_by_minus_one() -> None:
    history = history_of(small_cohort([], [measured(0.0, 40.0)]))
    found = recent_tests(history, np.zeros(1, np.int64), np.array([-1]), np.array([at_s(9)]))
    assert np.isnan(found.last).all()


def test_only_what_is_older_than_the_last_value_by_eight_half_lives_is_out() -> None:
    back_h = RECENT_S / 3600
    assert back_h == 8 * 168
    inside = recent_at([measured(0.0, 10.0), measured(back_h - 1, 40.0)], [2 * back_h])
    assert inside.weight > 1
    outside = recent_at([measured(0.0, 10.0), measured(back_h, 40.0)], [2 * back_h])
    assert outside.weight == [1]
    assert outside.usual == [40]
    assert outside.before == [10]  # it is still the value before, however old


def test_ages_are_whole_days_of_the_athletes_own_calendar() -> None:
    # 22:30 UTC of day 0 is 23:30 in Oslo, and 23:30 UTC is the next day there.
    tests = [measured(-48.0, 39.0), measured(22.5, 40.0)]
    assert recent_at(tests, [23.5], timezone="Europe/Oslo").age_d == [1]
    assert recent_at(tests, [23.5]).age_d == [0]
    assert recent_at(tests, [23.5]).age_before_d == [2]


def rows_of(seed: int, late: float) -> list[Row]:
    """Tests of two athletes and two kinds over four months, a share known only later."""
    rng = np.random.default_rng(seed)
    rows = []
    for athlete in "ab":
        for name, level in ((JUMP, 40.0), (SPRINT, 1.8)):
            hour = -rng.uniform(0, 200)
            while hour < 2900:
                hour += rng.exponential(60)
                known = hour + (rng.exponential(200) if rng.random() < late else 0.0)
                value = level * (1 + 0.05 * rng.normal())
                rows.append(measured(hour, value, test=name, athlete=athlete, known_h=known))
    return rows


def asked_of(history: History, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random questions: athletes, tests and moments, some of them those of a test itself."""
    rng = np.random.default_rng(seed)
    moments = np.array([at_s(hour) for hour in rng.uniform(-300, 3200, 40)])
    moments[:8] = rng.choice(history.tests.at_s, 8)
    codes = [history.test_names.index(name) for name in (JUMP, SPRINT)]
    return rng.integers(0, 2, 40), rng.choice(codes, 40), moments


def told_slowly(rows: pd.DataFrame, moment_s: int) -> list[float]:
    """`Recent` of one question but for its ages, by pandas' own weighting; `rows` are known."""
    rows = rows[rows["at_s"] <= moment_s]
    if rows.empty:
        return [np.nan] * 6

    def usual(known: pd.DataFrame) -> tuple[pd.DataFrame, float]:
        since = known["at_s"].iloc[-1] - known["at_s"]
        near = known[since < RECENT_S]
        times = pd.to_datetime(near["at_s"].to_numpy(), unit="s")
        weighted = near["value"].ewm(halflife=pd.Timedelta(seconds=HALF_LIFE_S), times=times)
        return near, float(weighted.mean().iloc[-1])

    near, mean = usual(rows)
    weight = 0.5 ** ((near["at_s"].iloc[-1] - near["at_s"]) / HALF_LIFE_S)
    scatter = float(np.average((near["value"] - mean).abs(), weights=weight))
    last = float(rows["value"].iloc[-1])
    found = [last, np.nan, mean, np.nan, scatter, float(weight.sum())]
    if len(rows) > 1:
        found[1], found[3] = float(rows["value"].iloc[-2]), usual(rows.iloc[:-1])[1]
    return found


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3]))
def test_the_kernel_tells_what_pandas_tells_slowly(seed: int, late: float) -> None:
    history = history_of(small_cohort([], rows_of(seed, late)))
    athlete, test, moments = asked_of(history, seed)
    found = np.array(recent_tests(history, athlete, test, moments)[:6])
    rows = history.tests
    table = pd.DataFrame({
        "athlete": np.repeat(np.arange(2), np.diff(rows.offsets)), "at_s": rows.at_s,
        "known_s": rows.known_s, "test": rows.columns["test"], "value": rows.columns["value"],
    })  # fmt: skip
    for q, moment in enumerate(moments):
        own = (table["athlete"] == athlete[q]) & (table["test"] == test[q])
        slowly = told_slowly(table[own & (table["known_s"] <= moment)], moment)
        assert found[:, q] == pytest.approx(slowly, nan_ok=True)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 2500))
def test_a_row_that_is_known_later_changes_nothing(seed: int, hour: float) -> None:
    tests = rows_of(seed, 0.4)
    whole = history_of(small_cohort([], tests))
    athletes = [{"athlete_id": name, "sex": "female"} for name in "ab"]
    known = [row for row in tests if row["known_at"] <= at(hour)]
    part = history_of(small_cohort([], known, athletes=athletes))
    assert len(part.tests) < len(whole.tests)
    athlete, test, _ = asked_of(whole, seed)
    moment = np.full(athlete.size, at_s(hour))
    for one, other in zip(
        recent_tests(whole, athlete, test, moment), recent_tests(part, athlete, test, moment),
        strict=True,
    ):  # fmt: skip
        assert np.array_equal(one, other, equal_nan=True)
