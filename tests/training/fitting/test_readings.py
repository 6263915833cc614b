from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.bundle.bundle import load_bundle, save_bundle
from nmr_ml.cohort.reader import read_cohort
from nmr_ml.cohort.writer import write_cohort
from nmr_ml.levels import INTERVAL_LEVEL
from nmr_ml.models.readings.model import STEPS, Basis, Readings, input_names
from nmr_ml.predictions.options import Options
from nmr_ml.predictions.readings import predict_readings
from nmr_ml.simulator import simulate
from tests.support.small_cohorts import SPECS, measured, rested, session, small_cohort
from training.config import load_config
from training.data.dataset import component_data
from training.fitting.readings import (
    AVERAGE,
    FURTHEST_S,
    PERSISTENCE,
    USUAL,
    FittedReading,
    ReadingData,
    athlete_quantile,
    fit_reading,
    held_out_curves,
    reading_data,
    reading_errors,
    reading_json,
    score_reading,
)
from training.scoring.bootstrap import MODEL

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort

CONFIG = load_config(None, ("folds=2", "bootstrap=100"))
LANDMARKS = (0.0, 24.0)


def pairs_of(bundle: Bundle, cohort: Cohort, *, test: str | None = None) -> ReadingData:
    """Return the pairs of the power component, the curves being those of the bundle."""
    model = bundle.components["power"]
    model = model if test is None else replace(model, index_test=test)
    found = component_data(
        cohort, SPECS, LANDMARKS, {"power": model.index_test}, unlabelled=True
    ).get("power")
    means = {} if found is None else held_out_curves([found], model.curve.means(found.X))
    return reading_data(cohort, SPECS, model, means, LANDMARKS, seed=0)


@pytest.fixture(scope="module")
def pairs(bundle: Bundle, sim_cohort: Cohort) -> ReadingData:
    return pairs_of(bundle, sim_cohort)


@pytest.fixture(scope="module")
def fitted(pairs: ReadingData) -> FittedReading:
    return fit_reading(pairs, "cmj_height", CONFIG)


@pytest.fixture(scope="module")
def strangers(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> ReadingData:
    """Pairs of simulated athletes that no model has seen."""
    simulated = simulate(athletes=16, days=60, seed=12)
    path = tmp_path_factory.mktemp("cohorts") / "strangers"
    write_cohort(path, name="new", timezone=simulated.timezone, tables=simulated.tables)
    return pairs_of(bundle, read_cohort(path))


# --- which readings are learnt from --------------------------------------------------------------


def asked(bundle: Bundle, tests: list[dict[str, Any]], **more: Any) -> ReadingData:
    """Pairs of one athlete with sessions at 0 and at 120 h and the tests given."""
    sessions = [session(0.0, name="one"), session(120.0, more.pop("load", 400.0), name="two")]
    return pairs_of(bundle, small_cohort(sessions, tests))


def test_a_pair_is_a_moment_and_a_test_after_it(bundle: Bundle) -> None:
    found = asked(bundle, [*rested([40.0] * 3), measured(14.0, 38.0), measured(38.0, 39.0)])
    told = zip(found.episode_id, found.ahead_h, found.value, found.following, strict=True)
    assert sorted(told) == [
        ("one", 14.0, 38.0, True),  # from 0 h
        ("one", 14.0, 39.0, False),  # from 24 h
        ("one", 38.0, 39.0, False),  # from 0 h, the second one after it
    ]
    assert set(found.athlete) == {"test/a"}


def test_no_reading_beyond_the_next_session_or_four_days(bundle: Bundle) -> None:
    before = [*rested([40.0] * 3), measured(118.0, 39.0), measured(121.0, 30.0)]
    found = asked(bundle, before)
    assert FURTHEST_S == 96 * 3600
    told = sorted(zip(found.episode_id, found.ahead_h, found.value, strict=True))
    # 118 h is too far from 0 h and not from 24 h; 121 h is of the second session alone.
    assert told == [("one", 94.0, 39.0), ("two", 1.0, 30.0)]


def test_a_first_test_and_a_session_without_load_teach_nothing(bundle: Bundle) -> None:
    assert not len(asked(bundle, [measured(14.0, 38.0)]))
    tests = [*rested([40.0] * 3), measured(134.0, 38.0)]
    assert len(asked(bundle, tests)) == 1
    assert not len(asked(bundle, tests, load=np.nan))


def test_one_earlier_test_is_enough_and_then_nothing_is_expected(bundle: Bundle) -> None:
    found = asked(bundle, [measured(-20.0, 40.0), measured(14.0, 38.0)])
    assert found.basis.last == [40]
    assert np.isnan(found.basis.expected).all()
    known = asked(bundle, [*rested([40.0] * 3), measured(14.0, 38.0)])
    assert 30 < known.basis.expected < 40
    assert known.last_age_d == [1]


def test_an_episode_without_a_held_out_curve_expects_nothing(
    bundle: Bundle, sim_cohort: Cohort, pairs: ReadingData
) -> None:
    model = bundle.components["power"]
    found = reading_data(sim_cohort, SPECS, model, {}, LANDMARKS, seed=0)
    assert len(found) == len(pairs)
    assert np.isnan(found.basis.expected).all()
    assert np.isfinite(pairs.basis.expected).mean() > 0.5


def test_held_out_curves_are_found_by_athlete_episode_and_landmark(sim_cohort: Cohort) -> None:
    data = component_data(sim_cohort, SPECS, LANDMARKS)
    part = data["power"]
    means = np.arange(3.0 * len(part.X)).reshape(-1, 3)
    found = held_out_curves([part], means)
    assert len(found) == len(part.X)
    row = 17
    episode = part.row_episode[row]
    key = (part.athlete[episode], part.episode_id[episode], int(part.landmark_h[row] * 3600))
    assert found[key].tolist() == means[row].tolist()


def test_rows_after_the_moment_change_no_input(bundle: Bundle, sim_cohort: Cohort) -> None:
    moment = pd.Timestamp("2024-01-08T00:00:00Z") + pd.Timedelta(days=40)
    tables = {
        name: frame[frame["known_at"] <= moment] if "known_at" in frame else frame
        for name, frame in sim_cohort.tables.items()
    }
    found = [
        reading_data(c, SPECS, bundle.components["power"], {}, LANDMARKS, seed=0)
        for c in (sim_cohort, replace(sim_cohort, tables=tables))
    ]
    whole, part = (
        {(*key, hours): row for row, (*key, hours) in enumerate(
            zip(d.athlete, d.episode_id, d.value, d.ahead_h, strict=True)
        )}
        for d in found
    )  # fmt: skip
    shared = [key for key in part if key in whole]
    assert len(shared) > 0.9 * len(part)
    rows = [np.array([side[key] for key in shared]) for side in (whole, part)]
    one, other = (d.basis.take(r) for d, r in zip(found, rows, strict=True))
    assert np.array_equal(one.inputs, other.inputs, equal_nan=True)
    assert np.array_equal(one.usual, other.usual)


# --- the conformal quantile ----------------------------------------------------------------------


def quantile(scores: dict[str, list[float]], level: float = 0.8) -> float:
    athlete = np.array([name for name, own in scores.items() for _ in own], object)
    return athlete_quantile(np.concatenate([*scores.values()]), athlete, level)


def test_of_single_scores_it_is_the_usual_conformal_quantile() -> None:
    # The ceil(0.8 (n + 1))-th of n.
    assert quantile({"a": [4], "b": [1], "c": [3], "d": [2]}) == 4
    assert quantile({str(i): [float(i)] for i in range(1, 10)}) == 8
    assert quantile({str(i): [float(i)] for i in range(1, 20)}) == 16


def test_fewer_athletes_than_the_level_needs_have_no_bound() -> None:
    assert quantile({"a": [4] * 50, "b": [1] * 50, "c": [3] * 50}) == np.inf
    assert quantile({"a": [4], "b": [1]}, level=0.6) == 4


def test_an_athlete_counts_once_however_many_scores() -> None:
    # Five athletes weigh 1/6 each: of the four with one score 4/6 lie at 1, and 0.8 - 4/6 = 0.8/6
    # is reached at the 80th of the hundred scores of the fifth.
    many = {"a": [*np.arange(100.0) + 2], **{name: [1.0] for name in "bcde"}}
    assert quantile(many) == 2 + 79
    rare = {"a": [50.0], **{name: [1.0] * 30 for name in "bcde"}}
    assert quantile(rare) == 50


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 12), st.floats(0.3, 0.75))
def test_the_quantile_is_the_least_score_that_reaches_the_level(
    seed: int, athletes_n: int, level: float
) -> None:
    rng = np.random.default_rng(seed)
    scores = {str(i): [*rng.exponential(size=rng.integers(1, 6))] for i in range(athletes_n)}

    def reached(limit: float) -> float:
        shares = [np.mean(np.array(own) <= limit) for own in scores.values()]
        return float(sum(shares) / (athletes_n + 1))

    found = quantile(scores, level)
    assert reached(found) >= level - 1e-9
    assert reached(np.nextafter(found, 0)) < level


@pytest.mark.statistical
def test_a_new_athlete_is_covered_as_often_as_promised() -> None:
    """Of K exchangeable athletes the coverage lies between the level and it plus 2 / (K + 1)."""
    rng, athletes_n, draws = np.random.default_rng(3), 19, 1500
    inside = 0
    for _ in range(draws):
        scale = rng.lognormal(0, 0.5, athletes_n + 1)
        counts = rng.integers(1, 8, athletes_n)
        score = np.abs(rng.normal(size=counts.sum())) * np.repeat(scale[:-1], counts)
        who = np.repeat(np.arange(athletes_n).astype(str).astype(object), counts)
        new = abs(rng.normal()) * scale[-1]
        inside += new <= athlete_quantile(score, who, INTERVAL_LEVEL)
    noise = 3 * np.sqrt(0.8 * 0.2 / draws)
    assert 0.8 - noise <= inside / draws <= 0.8 + 2 / (athletes_n + 1) + noise


# --- fitting -------------------------------------------------------------------------------------


def drawn(seed: int, of_last: float, *, whole: bool = False) -> ReadingData:
    """Pairs of 20 athletes whose readings lie `of_last` of the way from usual to last."""
    rng, n = np.random.default_rng(seed), 1200
    usual, last = rng.normal(6, 1, (2, n))
    last = np.round(last) if whole else last
    value = usual + of_last * (last - usual) + rng.normal(0, 0.3, n)
    value = np.clip(np.round(value), 1, 10) if whole else value
    basis = Basis(
        rng.normal(size=(n, len(input_names()))), last, usual, np.full(n, np.nan), np.ones(n)
    )
    who = np.array([f"c/{i % 20}" for i in range(n)], object)
    return ReadingData(basis, value, np.full(n, 14.0), np.zeros(n), np.ones(n, bool), who, who)


@pytest.mark.parametrize("of_last", [0.0, 0.5, 1.0])
def test_readings_start_where_they_are_closest(of_last: float) -> None:
    model = fit_reading(drawn(1, of_last), "cmj_height", CONFIG).model
    assert (model.of_last, model.step) == (of_last, 0.0)
    assert (model.athletes_n, model.pairs_n, model.ahead_h) == (20, 1200, (14.0, 14.0))


def test_whole_answers_are_foretold_as_whole_answers() -> None:
    found = fit_reading(drawn(2, 0.5, whole=True), "readiness", CONFIG)
    told = np.stack([found.held_out.lower, found.held_out.value, found.held_out.upper])
    assert found.model.step == 1.0
    assert np.array_equal(told, np.round(told))
    assert told.min() >= found.model.lowest == found.data.value.min()
    assert told.max() <= found.model.highest == found.data.value.max()


def test_answers_that_are_often_repeated_are_told_by_their_chances() -> None:
    """On some days, which an input tells, most answers are the last one, else the usual one."""
    data, rng = drawn(4, 0.0, whole=True), np.random.default_rng(5)
    inputs, usual, last = data.basis.inputs.copy(), data.basis.usual, data.basis.last
    inputs[:, 0] = last - usual
    again = (inputs[:, 1] > 0) & (rng.random(len(data)) < 0.7)
    value = np.where(again, last, np.round(usual + 0.5 * rng.normal(size=len(data))))
    sticky = replace(data, basis=replace(data.basis, inputs=inputs), value=value)
    found = fit_reading(sticky, "readiness", CONFIG)
    assert found.model.centre.num_model_per_iteration() == STEPS.size
    errors = {name: error.mean() for name, error in reading_errors(found).items()}
    assert errors[MODEL] < 0.9 * min(errors[PERSISTENCE], errors[USUAL], errors[AVERAGE])
    read = found.model.predict(sticky.basis)
    assert np.abs(read.value - value).mean() < errors[MODEL]


def test_too_few_athletes_have_no_bounded_interval(pairs: ReadingData) -> None:
    some = np.flatnonzero(np.isin(pairs.athlete, np.unique(pairs.athlete.astype(str))[:4]))
    found = fit_reading(pairs.take(some), "cmj_height", CONFIG)
    assert np.isinf(found.held_out.upper).all()  # two athletes are too few for 80 %
    assert np.isfinite(found.model.reach)  # four are just enough
    scored = score_reading(found, found.data.following, CONFIG)
    assert scored["mean_width"] is None
    json.dumps(scored, allow_nan=False)


def test_the_same_pairs_give_the_same_model(pairs: ReadingData, fitted: FittedReading) -> None:
    again = fit_reading(pairs, "cmj_height", CONFIG)
    assert again.model.centre.model_to_string() == fitted.model.centre.model_to_string()
    assert again.model.as_json() == fitted.model.as_json()
    assert np.array_equal(again.held_out.upper, fitted.held_out.upper)


def test_an_athletes_own_readings_do_not_move_their_held_out_ones(
    pairs: ReadingData, fitted: FittedReading
) -> None:
    """But through the few choices that are made on all: where to start and how many rounds."""
    own = pairs.athlete == pairs.athlete[0]
    moved = replace(pairs, value=np.where(own, pairs.value * 1.001, pairs.value))
    again = fit_reading(moved, "cmj_height", CONFIG)
    assert again.model.of_last == fitted.model.of_last
    assert np.array_equal(again.held_out.value[own], fitted.held_out.value[own])
    assert not np.array_equal(again.held_out.value[~own], fitted.held_out.value[~own])


# --- scores --------------------------------------------------------------------------------------


def test_errors_and_coverage_are_arithmetic() -> None:
    n, last, usual = 4, np.array([5.0, 5, 6, 8]), np.array([6.0, 6, 6, 6])
    basis = Basis(np.zeros((n, 1)), last, usual, np.full(n, np.nan), np.ones(n))
    value = np.array([5.0, 7, 6, 9])
    who = np.array(["a", "a", "a", "b"], object)
    data = ReadingData(
        basis, value, np.full(n, 14.0), np.zeros(n), np.array([True, True, True, True]), who, who
    )
    told = Readings(np.full(n, 6.0), np.full(n, 5.0), np.full(n, 7.0))
    found = FittedReading(fit_reading(drawn(1, 0.5), "x", CONFIG).model, data, told)
    errors = {name: error.tolist() for name, error in reading_errors(found).items()}
    assert errors == {
        MODEL: [1, 1, 0, 3], PERSISTENCE: [0, 2, 0, 1], USUAL: [1, 1, 0, 3],
        AVERAGE: [0.5, 1.5, 0, 2],
    }  # fmt: skip
    scored = score_reading(found, data.following, CONFIG)
    assert scored["mean_absolute_error"] == {
        MODEL: 1.25, PERSISTENCE: 0.75, USUAL: 1.25, AVERAGE: 1.0
    }  # fmt: skip
    assert scored["difference"][PERSISTENCE]["value"] == 0.5
    assert (scored["coverage"], scored["coverage_athletes"]) == (0.75, 0.5)
    assert (scored["mean_width"], scored["athletes_n"], scored["readings_n"]) == (2.0, 2, 4)
    nobody = score_reading(found, np.zeros(n, bool), CONFIG)
    assert nobody == {"athletes_n": 0, "readings_n": 0}


def test_the_card_tells_of_every_component(bundle: Bundle, fitted: FittedReading) -> None:
    assert set(bundle.card["readings"]) == set(bundle.readings) == set(bundle.components)
    told = reading_json(fitted, CONFIG)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["first_after_session"]["readings_n"] == fitted.data.following.sum()


def test_a_saved_model_reads_the_same(bundle: Bundle, sim_cohort: Cohort, tmp_path: Path) -> None:
    save_bundle(bundle, tmp_path / "again")
    again = load_bundle(tmp_path / "again")
    assert set(again.readings) == set(bundle.readings)
    options = Options(as_of=pd.Timestamp("2024-02-20T20:00:00Z").to_pydatetime())
    one, other = (predict_readings(b, sim_cohort, options) for b in (bundle, again))
    numbers = ["reading", "lower", "upper"]
    assert one["reading"].notna().any()
    pd.testing.assert_frame_equal(one[numbers], other[numbers], check_exact=True)


# --- on athletes that were not seen --------------------------------------------------------------


@pytest.mark.statistical
def test_intervals_cover_held_out_athletes(fitted: FittedReading) -> None:
    told, value = fitted.held_out, fitted.data.value
    assert_covers((told.lower <= value) & (value <= told.upper), fitted.data)


@pytest.mark.statistical
def test_intervals_cover_athletes_of_another_simulation(
    bundle: Bundle, strangers: ReadingData
) -> None:
    told = bundle.readings["power"].predict(strangers.basis)
    assert_covers((told.lower <= strangers.value) & (strangers.value <= told.upper), strangers)


def assert_covers(inside: np.ndarray, data: ReadingData) -> None:
    """Fail unless four of five readings are inside, give or take what the athletes' number makes.

    Coverage is an average over athletes. About their shares of readings inside, `athletes_n` of
    them scatter with the SD that is seen, and the reach was itself found from 16 athletes.
    """
    _, who = np.unique(data.athlete.astype(str), return_inverse=True)
    shares = np.bincount(who, inside) / np.bincount(who)
    error = shares.std(ddof=1) * np.sqrt(1 / shares.size + 1 / 16)
    assert abs(shares.mean() - INTERVAL_LEVEL) <= 3 * error + 1 / 17


@pytest.mark.statistical
def test_jumps_of_strangers_are_foretold_better_than_by_the_last_one(
    bundle: Bundle, strangers: ReadingData
) -> None:
    told = bundle.readings["power"].predict(strangers.basis)
    error = np.abs(told.value - strangers.value).mean()
    assert error < 0.9 * np.abs(strangers.basis.last - strangers.value).mean()
    assert error < np.abs(strangers.basis.usual - strangers.value).mean()
