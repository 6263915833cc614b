from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from nmr_ml.features.contract import feature_contract
from nmr_ml.models.availability.absences import Absences, absence_inputs
from nmr_ml.models.availability.law import SD_OF_Z
from nmr_ml.models.availability.model import TREE_COLUMNS, AvailabilityModel
from tests.support.absence_rows import MEDIAN_D, START_S, drawn_absences, drawn_with_words
from tests.support.small_cohorts import SPECS, at, history_of, person, session, small_cohort
from training.config import load_config
from training.fitting.availability import (
    AbsenceData,
    FittedAvailability,
    absence_data,
    fit_availability,
    forecast_at_onset,
)
from training.reports.card import availability_json

CONFIG = load_config(None, ["bootstrap=200"])


def data(absences: Absences, age: np.ndarray | None = None) -> AbsenceData:
    X = np.full((len(absences), len(TREE_COLUMNS)), np.nan)
    if age is not None:
        X[:, TREE_COLUMNS.index("age_y")] = age
    return AbsenceData(absences, X)


@pytest.fixture(scope="module")
def fitted() -> FittedAvailability:
    absences, _ = drawn_absences(80, 3, seed=10, followed_d=30)
    return fit_availability([data(absences)], CONFIG)


@pytest.mark.statistical
def test_intervals_cover_new_athletes_of_each_kind(fitted: FittedAvailability) -> None:
    assert fitted.model.law is not None
    absences, true_h = drawn_absences(150, 3, seed=11)
    found = forecast_at_onset(fitted.model.law, absences, np.zeros(len(absences))).quantiles
    inside = (found[:, 0] <= true_h) & (true_h <= found[:, 2])
    # The SD of the share is 4 points for a kind: 3 from 225 episodes, 3 from a spread that was
    # learnt from half as many.
    assert inside.mean() == pytest.approx(0.8, abs=0.07)
    for kind, days in MEDIAN_D.items():
        own = absences.kind == kind
        assert inside[own].mean() == pytest.approx(0.8, abs=0.1)
        assert np.median(found[own, 1]) == pytest.approx(24 * days, rel=0.2)


def test_held_out_athletes_say_how_good_it_is(fitted: FittedAvailability) -> None:
    scores = fitted.held_out
    assert scores is not None
    assert scores["episodes_n"] == 240 > scores["resolved_n"] > 150
    assert scores["athletes_n"] == 80
    icnll = scores["icnll"]
    assert set(icnll) == {"model", "law", "kind_median", "overall_median"}
    # The athlete's own earlier episodes help, not beyond noise, and the kind tells most.
    assert icnll["law"] < icnll["kind_median"] < icnll["overall_median"]
    assert [fitted.model.by_median(kind) for kind in MEDIAN_D] == [True, True]
    assert icnll["model"] == icnll["kind_median"]
    assert scores["difference"]["overall_median"]["upper"] < 0
    assert scores["coverage_80"]["model"] > 0.7
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    assert fitted.model.trees is None  # no feature was worth it, and there are too few to try


def test_too_few_episodes_or_athletes_teach_nothing() -> None:
    few, _ = drawn_absences(9, 5, seed=12, median_d={"injury": 16.0})
    more, _ = drawn_absences(10, 2, seed=12, median_d={"injury": 16.0})
    first = np.arange(19)
    for absences, learnt in ((few, False), (more, True), (more.take(first), False)):
        found = fit_availability([data(absences)], CONFIG)
        assert found.model.learnt("injury") is learnt
        assert (found.model.law is not None) is learnt
        assert (found.held_out is not None) is learnt
        assert not found.model.learnt("systemic")
    assert found.model.needed("injury") == (
        "19 resolved injury episodes of 10 athletes, needed 20 of 10"
    )


def test_no_episode_at_all_is_counted_as_none() -> None:
    nothing, _ = drawn_absences(0, 0, seed=0)
    model = fit_availability([data(nothing)], CONFIG).model
    assert isinstance(model, AvailabilityModel)
    assert "0 resolved injury episodes of 0 athletes" in model.needed("injury")


def test_a_kind_that_is_learnt_does_not_teach_the_other() -> None:
    injuries, _ = drawn_absences(20, 3, seed=13, median_d={"injury": 16.0})
    illness, _ = drawn_absences(5, 1, seed=14, median_d={"systemic": 6.0})
    found = fit_availability([data(Absences.concatenate([injuries, illness]))], CONFIG)
    assert found.model.learnt("injury")
    assert not found.model.learnt("systemic")
    assert found.held_out is not None
    assert found.held_out["episodes_n"] == 60
    assert set(found.held_out["icnll_by_kind"]) == {"injury"}


def test_open_episodes_are_followed_until_the_last_row() -> None:
    absences, _ = drawn_absences(20, 3, seed=15, followed_d=10)
    unseen = replace(absences, last_s=np.full(60, START_S - 1))  # nothing after the onset
    watched, blind = (fit_availability([data(a)], CONFIG).model for a in (absences, unseen))
    assert watched.law is not None
    assert blind.law is not None
    assert watched.law.location["injury"] > blind.law.location["injury"] + 0.2
    assert watched.counted["injury"].longest_h == 240
    assert watched.counted["injury"].resolved_n < watched.counted["injury"].episodes_n


@pytest.mark.statistical
@pytest.mark.parametrize("matters", [True, False])
def test_trees_are_taken_only_where_they_help_held_out_athletes(*, matters: bool) -> None:
    age = np.repeat(np.random.default_rng(16).uniform(18, 36, 80), 4)
    shift = np.where(age > 27, 0.6, -0.6) if matters else np.zeros(320)
    absences, _ = drawn_absences(80, 4, seed=16, shift=shift, athlete_sd=0.1)
    config = CONFIG.model_copy(update={"min_data_in_leaf": 20})
    found = fit_availability([data(absences, age)], config)
    assert (found.model.trees is not None) is matters
    assert found.held_out is not None
    gain = found.held_out["difference"]["kind_median"]["value"]
    assert gain < -0.1 if matters else gain > -0.1
    if matters:
        assert found.model.law is not None
        sd = found.model.law.scale["injury"] * SD_OF_Z[found.model.law.family]
        assert sd == pytest.approx(0.5, abs=0.1)


@pytest.mark.statistical
@pytest.mark.parametrize("sd", [0.4, 0.0])
def test_a_law_answers_where_it_beats_the_median_on_held_out_athletes(sd: float) -> None:
    absences, _ = drawn_with_words(60, 3, seed=40, sd=sd, athlete_sd=0.0)
    found = fit_availability([data(absences)], CONFIG)
    assert found.held_out is not None
    icnll, gain = found.held_out["icnll"], found.gain["injury"]
    assert gain.value == pytest.approx(icnll["law"] - icnll["kind_median"])
    entry = availability_json(found)
    if sd:
        assert gain.upper < 0
        assert icnll["model"] == icnll["law"]
        assert not found.model.by_median("injury")
        assert entry["answered_by"] == {"injury": "law"}
    else:
        # Worlds without any effect: the law pays for what it does not need, a little at most.
        assert gain.value == pytest.approx(0.0, abs=0.05)
        assert icnll["model"] == icnll["kind_median"]
        assert found.model.by_median("injury")
        assert entry["answered_by"] == {"injury": "kind_median"}
    assert json.loads(json.dumps(entry, allow_nan=False))["gain"] == entry["gain"]


def test_a_kind_is_answered_by_its_median_while_the_other_is_by_the_law() -> None:
    injuries, _ = drawn_with_words(60, 3, seed=41, sd=0.5, athlete_sd=0.0)
    illness, _ = drawn_absences(60, 1, seed=42, athlete_sd=0.0, median_d={"systemic": 6.0})
    illness = replace(illness, athlete=np.array([f"ill/{a}" for a in illness.athlete], object))
    found = fit_availability([data(Absences.concatenate([injuries, illness]))], CONFIG)
    assert [found.model.by_median(kind) for kind in MEDIAN_D] == [False, True]
    assert set(found.gain) == set(MEDIAN_D)
    assert found.held_out is not None
    by_kind = found.held_out["icnll_by_kind"]
    assert by_kind["injury"]["model"] == by_kind["injury"]["law"]
    assert by_kind["systemic"]["model"] == by_kind["systemic"]["kind_median"]


def test_grades_are_used_where_they_tell() -> None:
    shift = np.tile([-0.8, 0.8], 60)
    absences, _ = drawn_absences(40, 3, seed=17, shift=shift)
    for names, graded in ((["mild", "severe"], True), (["any", "any"], False)):
        grade = np.array([names[int(s > 0)] for s in shift], object)
        model = fit_availability([data(replace(absences, grade=grade))], CONFIG).model
        assert model.law is not None
        if graded:
            assert model.law.grades["injury"]["severe"][0] > model.law.location["injury"]
        else:
            assert set(model.law.grades.get("injury", {"any": ()})) == {"any"}


def test_episodes_come_with_their_features() -> None:
    episodes = [
        {"episode_id": f"e{i}", "athlete_id": "a", "kind": "injury", "onset_at": at(500 * i),
         "known_at": at(500 * i)}
        for i in range(3)
    ]  # fmt: skip
    cohort = small_cohort([session(0)], athletes=[person("a")], episodes=episodes)
    found = absence_data(cohort, SPECS)
    assert found.absences.athlete.tolist() == [f"{cohort.name}/a"] * 3
    names = feature_contract().names
    whole = absence_inputs(history_of(cohort), SPECS)
    for i, column in enumerate(TREE_COLUMNS):
        assert found.X[:, i].tobytes() == whole[:, names.index(column)].tobytes()
    assert found.X[:, TREE_COLUMNS.index("injuries_365d_n")].tolist() == [0, 1, 2]
