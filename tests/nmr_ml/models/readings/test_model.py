from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.features.contract import feature_contract
from nmr_ml.history.queries import Queries
from nmr_ml.labels.followed_tests import followed_tests
from nmr_ml.models.curve.posterior import expected_deficits
from nmr_ml.models.readings.model import (
    OWN_INPUTS,
    STEPS,
    Basis,
    ExpectedReading,
    ReadingModel,
    expected_readings,
    input_names,
    log_start,
    medians,
    reading_basis,
    readings_around,
)
from nmr_ml.recovery_tests import COMPONENTS
from tests.support.feature_cohorts import history_of as short_history_of
from tests.support.feature_cohorts import random_cohort, random_queries
from tests.support.small_cohorts import (
    SPECS,
    at_s,
    history_of,
    measured,
    rested,
    session,
    small_cohort,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.history.history import History
    from nmr_ml.models.component.model import ComponentModel
    from nmr_ml.recovery_tests import TestSpec

FEATURES_N = len(feature_contract().names)
MEANS = np.array([[np.log(8.0), np.log(30.0), 0.7]])
LEVELS = {"cmj_height": 40.0, "sprint_10m": 1.8, "readiness": 7.0}


def query(history: History, test: str, *, as_of_h: float = 0.0) -> Queries:
    """Return one question about the first session of athlete ``a``, which ended at 0 h."""
    component = COMPONENTS.index(SPECS[test].component)
    code = history.test_names.index(test)
    numbers = (0, component, 0, 0, code, at_s(0.0), at_s(as_of_h))
    return Queries(*(np.array([number], np.int64) for number in numbers))


def basis_of(
    tests: list[dict[str, Any]], test: str, *, asked_h: float = 1.0, at_h: float = 24.0,
    expected: float = np.nan, timezone: str = "UTC",
) -> Basis:  # fmt: skip
    """Return what a reading is predicted from, the features being 0 and their number."""
    history = history_of(small_cohort([session(0.0)], tests, timezone=timezone))
    X = np.arange(FEATURES_N, dtype=np.float64)[None, :]
    told = ExpectedReading(np.array([expected]), np.array([2.0]))
    one = query(history, test, as_of_h=asked_h)
    return reading_basis(history, one, SPECS, X, told, np.array([at_s(at_h)]))


def named(basis: Basis, name: str) -> float:
    """Return one of the inputs of the only row."""
    return float(basis.inputs[0, input_names().index(name)])


def expected_of(
    model: ComponentModel, test: str, *, at_h: float = 24.0, means: np.ndarray = MEANS,
    seen: dict[float, float] | None = None, baselines_n: int = 4,
    specs: Mapping[str, TestSpec] = SPECS,
) -> ExpectedReading:  # fmt: skip
    """Return what the curve expects of an athlete with rested tests at `LEVELS` at midnight."""
    tests = rested([LEVELS[test]] * baselines_n, test=test)
    tests += [measured(hour, value, test=test) for hour, value in (seen or {}).items()]
    history = history_of(small_cohort([session(0.0)], tests))
    one = query(history, test, as_of_h=max(seen or [0.0]))
    followed = followed_tests(history, one, specs)
    return expected_readings(model, means, history, one, specs, followed, np.array([at_s(at_h)]))


# --- what the curve expects ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "sign", "per_unit"),
    [("cmj_height", -1, 0.40), ("sprint_10m", 1, 0.018), ("readiness", -1, 1.0)],
)
def test_a_deficit_is_read_in_the_unit_and_direction_of_the_test(
    bundle: Bundle, test: str, sign: int, per_unit: float
) -> None:
    model = bundle.components[SPECS[test].component]
    history = history_of(small_cohort([session(0.0)], rested([LEVELS[test]] * 4, test=test)))
    seen = followed_tests(history, query(history, test), SPECS)
    deficit, spread = expected_deficits(
        model.grid, MEANS, model.curve.spread, seen, np.array([24.0])
    )
    found = expected_of(model, test)
    assert deficit[0] > 1
    assert found.value == pytest.approx(LEVELS[test] + sign * per_unit * deficit)
    assert found.sd == pytest.approx(per_unit * spread)


def test_nothing_is_expected_without_a_baseline_or_a_curve(bundle: Bundle) -> None:
    model = bundle.components["power"]
    for unknown in (
        expected_of(model, "cmj_height", baselines_n=2),
        expected_of(model, "cmj_height", means=np.full((1, 3), np.nan)),
    ):
        assert np.isnan(unknown.value).all()
        assert np.isnan(unknown.sd).all()


def test_more_is_expected_to_be_left_of_what_mends_slowly(bundle: Bundle) -> None:
    model = bundle.components["power"]
    fast, slow = (
        expected_of(model, "cmj_height", at_h=12.0, means=np.array([[*MEANS[0, :2], share]])).value
        for share in (0.3, 1.0)
    )
    assert slow < fast - 0.1


def test_a_test_of_the_episode_moves_what_is_expected(bundle: Bundle) -> None:
    model = bundle.components["power"]
    before = expected_of(model, "cmj_height")
    after = expected_of(model, "cmj_height", seen={12.0: 34.0})
    assert after.value < before.value - 0.3


def test_a_reading_is_expected_at_its_hour_of_the_day(bundle: Bundle) -> None:
    model, jump = bundle.components["power"], SPECS["cmj_height"]
    flat, daily = (
        {**SPECS, "cmj_height": jump.model_copy(update={"day_amplitude": amplitude})}
        for amplitude in (0.0, 2.0)
    )
    midnight, five = (
        [expected_of(model, "cmj_height", at_h=hour, specs=specs).value for specs in (flat, daily)]
        for hour in (24.0, 41.0)
    )
    # The baseline is of midnight, 17 h from the peak; 2 % of 40 cm are 0.8 cm.
    above = 1.0 - np.cos(2 * np.pi * 17 / 24)
    assert midnight[1] == pytest.approx(midnight[0])
    assert five[1] - five[0] == pytest.approx(0.8 * above)


# --- what a reading is predicted from ------------------------------------------------------------


def test_inputs_are_the_features_and_then_what_is_recent() -> None:
    tests = [measured(-168.0, 36.0), measured(0.0, 40.0)]
    basis = basis_of(tests, "cmj_height", expected=39.0)
    assert basis.inputs.shape == (1, FEATURES_N + len(OWN_INPUTS)) == (1, len(input_names()))
    assert basis.inputs[0, :FEATURES_N].tolist() == list(range(FEATURES_N))
    usual = (40 + 36 / 2) / 1.5
    one = usual / 100
    assert [basis.last[0], basis.usual[0], basis.scale[0]] == pytest.approx([40, usual, one])
    assert named(basis, "reading_last_dev") == pytest.approx((40 - usual) / one)
    assert named(basis, "reading_before_dev") == pytest.approx(0)
    assert named(basis, "reading_expected_dev") == pytest.approx((39 - usual) / one)
    assert named(basis, "reading_expected_sd") == pytest.approx(2 / one)
    assert named(basis, "reading_weight") == pytest.approx(1.5)
    assert named(basis, "reading_age_d") == 0
    assert named(basis, "reading_at_h") == 24
    assert named(basis, "reading_ahead_h") == 23


def test_only_the_level_of_a_questionnaire_is_an_input() -> None:
    jumps = basis_of([measured(0.0, 40.0)], "cmj_height")
    assert np.isnan([named(jumps, "reading_last"), named(jumps, "reading_usual")]).all()
    answers = basis_of([measured(0.0, 7.0, test="readiness")], "readiness")
    assert [named(answers, "reading_last"), named(answers, "reading_usual")] == [7, 7]
    assert answers.scale == [1]


@pytest.mark.parametrize(("hours", "day"), [(24.0, 1), (6 * 24.0, 6), (7 * 24.0, 0)])
def test_the_weekday_is_that_of_the_test_from_monday_on(hours: float, day: int) -> None:
    assert named(basis_of([], "cmj_height", at_h=hours), "reading_weekday") == day


def test_the_weekday_is_local() -> None:
    basis = basis_of([], "cmj_height", at_h=23.5, timezone="Europe/Oslo")
    assert named(basis, "reading_weekday") == 1


def test_an_answer_of_last_week_is_no_answer_and_that_of_today_is() -> None:
    tests = [
        *(measured(24.0 * day, 2.0 + day % 2, test="mood") for day in (-1, 0)),
        measured(-24.0 * 4, 3.0, test="stress"),
    ]
    basis = basis_of(tests, "cmj_height")
    assert [named(basis, "reading_mood_last"), named(basis, "reading_mood_before")] == [2, 3]
    usual = (2 + 3 * 0.5 ** (1 / 7)) / (1 + 0.5 ** (1 / 7))
    assert named(basis, "reading_mood_last_dev") == pytest.approx(2 - usual)
    assert named(basis, "reading_mood_before_dev") == 0
    assert np.isnan([named(basis, f"reading_stress_{what}") for what in ("last", "before")]).all()
    assert np.isnan(named(basis, "reading_fatigue_last"))


def test_without_a_test_or_a_scale_there_is_nothing_to_start_from() -> None:
    none, zero = basis_of([], "cmj_height"), basis_of([measured(0.0, 0.0)], "cmj_height")
    assert np.isnan(none.last).all()
    assert np.isnan(none.usual).all()
    assert zero.last == [0]
    assert np.isnan(zero.scale).all()


def test_forecasts_start_between_the_usual_the_last_and_the_curves_value() -> None:
    some = Basis(
        np.zeros((2, 1)), np.array([44.0, 44.0]), np.array([40.0, 40.0]),
        np.array([38.0, np.nan]), np.ones(2),
    )  # fmt: skip
    assert some.start(0.0, 0.0).tolist() == [40, 40]
    assert some.start(0.5, 0.0).tolist() == [42, 42]
    assert some.start(0.25, 0.5).tolist() == [40, 41]  # nothing is expected of the second
    both = Basis.concatenate([some.take(np.array([1])), some.take(np.array([0]))])
    assert both.start(0.25, 0.5).tolist() == [41, 40]


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000), st.floats(5, 60))
def test_rows_known_later_change_no_input(seed: int, day: float) -> None:
    cohort = random_cohort(seed, athletes=2)
    moment = pd.Timestamp("2026-02-19T00:00:00Z") + pd.Timedelta(seconds=round(day * 86_400))
    tests = cohort["tests"]
    tables = {**cohort.tables, "tests": tests[tests["known_at"] <= moment]}
    whole, part = short_history_of(cohort), short_history_of(replace(cohort, tables=tables))
    asked = random_queries(whole, seed)
    asked = asked.take(np.flatnonzero(asked.component == COMPONENTS.index("perceptual")))
    asked = replace(asked, as_of_s=np.full(len(asked), int(moment.timestamp())))
    unknown = np.full(len(asked), np.nan)
    found = [
        reading_basis(
            history, asked, SPECS, np.zeros((len(asked), FEATURES_N)),
            ExpectedReading(unknown, unknown),
            asked.as_of_s + 3600,
        )
        for history in (whole, part)
    ]  # fmt: skip
    for name in Basis.__slots__:
        one, other = (getattr(basis, name) for basis in found)
        assert np.array_equal(one, other, equal_nan=True)


# --- medians of what trees tell -------------------------------------------------------------------


def of_answers(chance: list[list[float]], last: float = 6.0, start: float = 6.4) -> np.ndarray:
    """Return the medians of answers around `last` with these chances."""
    n = len(chance)
    some = Basis(np.zeros((n, 1)), *(np.full(n, x) for x in (last, 6.0, np.nan, 1.0)))
    first = np.full(n, start)
    with np.errstate(divide="ignore"):
        raw = np.log(chance) - log_start(some.last, first, 0.8)
    return medians(raw, some, first, 0.8)


def test_the_median_of_answers_lies_within_what_is_rounded_to_it() -> None:
    found = of_answers([
        [0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0.4, 0.6, 0, 0],
        [0.3, 0, 0.1, 0.6, 0, 0, 0],
        [0, 0, 0, 0, 0, 0.2, 0.8],
    ])  # fmt: skip
    within = [0.5, 0.1 / 0.6, 0.1 / 0.6, 0.3 / 0.8]
    assert found == pytest.approx(np.array([5.5, 6.5, 5.5, 8.5]) + within)


@given(st.lists(st.floats(0.01, 1), min_size=STEPS.size, max_size=STEPS.size), st.integers(1, 10))
def test_the_median_of_answers_rounds_to_one_that_halves_them(
    weights: list[float], last: int
) -> None:
    chance = np.array(weights) / sum(weights)
    answer = np.round(of_answers([weights], last=last)[0])
    assert chance[last + STEPS < answer].sum() <= 0.5 + 1e-9
    assert chance[last + STEPS > answer].sum() <= 0.5 + 1e-9


def test_trees_that_tell_nothing_leave_answers_at_their_start() -> None:
    some = Basis(np.zeros((3, 1)), *(np.full(3, x) for x in (6.0, 6.0, np.nan, 1.0)))
    start = np.array([6.0, 6.4, 4.7])
    found = medians(np.zeros((3, STEPS.size)), some, start, 0.8)
    assert found[0] == pytest.approx(6.0)
    assert found == pytest.approx(start, abs=0.2)
    assert medians(np.full(3, 0.5), some, start, 0.8) == pytest.approx([6.5, 6.9, 5.2])


# --- readings in answers that the test can have --------------------------------------------------


def test_a_measured_value_is_not_rounded() -> None:
    found = readings_around(np.array([39.7]), np.array([1.25]), 0.0, 30.0, 40.0)
    assert [found.lower[0], found.value[0], found.upper[0]] == [38.45, 39.7, 40.95]


@pytest.mark.parametrize(
    ("centre", "half", "answers"),
    [
        (6.4, 1.0, (6, 6, 7)),
        (6.6, 0.2, (7, 7, 7)),  # no answer lies within it but the predicted one
        (9.8, 2.0, (8, 10, 10)),
        (11.3, 0.5, (10, 10, 10)),
        (5.0, np.inf, (1, 5, 10)),
    ],
)
def test_answers_are_whole_and_on_the_scale(
    centre: float, half: float, answers: tuple[int, int, int]
) -> None:
    found = readings_around(np.array([centre]), np.array([half]), 1.0, 1.0, 10.0)
    assert (found.lower[0], found.value[0], found.upper[0]) == answers


@given(st.floats(1, 10), st.floats(0, 5), st.integers(1, 10))
def test_an_answer_is_inside_where_it_was_before_rounding(
    centre: float, half: float, answer: int
) -> None:
    found = readings_around(np.array([centre]), np.array([half]), 1.0, 1.0, 10.0)
    inside = found.lower[0] <= answer <= found.upper[0]
    assert inside == (abs(answer - centre) <= half or answer == found.value[0])


# --- the fitted model ----------------------------------------------------------------------------


def test_a_model_is_the_same_after_json(bundle: Bundle) -> None:
    for model in bundle.readings.values():
        text = json.dumps(model.as_json(), allow_nan=False)
        assert ReadingModel.from_json(json.loads(text), model.centre, model.width) == model


def test_a_reach_without_bound_survives_and_makes_intervals_without_bound(bundle: Bundle) -> None:
    some = basis_of([measured(0.0, 40.0)], "cmj_height")
    model = replace(bundle.readings["power"], reach=np.inf)
    text = json.dumps(model.as_json(), allow_nan=False)
    assert ReadingModel.from_json(json.loads(text), model.centre, model.width) == model
    found = model.predict(some)
    assert [found.lower[0], found.upper[0]] == [-np.inf, np.inf]
    assert np.isfinite(found.value).all()


def test_the_width_is_never_less_than_the_least(bundle: Bundle) -> None:
    some = basis_of([measured(0.0, 40.0)], "cmj_height")
    model = replace(bundle.readings["power"], least_width=30.0, reach=1.5)
    found = model.predict(some)
    assert found.upper - found.lower == pytest.approx(2 * 1.5 * 30.0 * 0.4)


def test_no_rows_are_no_readings(bundle: Bundle) -> None:
    none = basis_of([measured(0.0, 40.0)], "cmj_height").take(np.empty(0, np.intp))
    assert bundle.readings["power"].predict(none).value.size == 0
