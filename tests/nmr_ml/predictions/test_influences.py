"""What may influence a prediction: what was known by then, of this athlete, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from nmr_ml.models.curve.family_scale import FamilyScale
from nmr_ml.predictions.options import Options
from nmr_ml.predictions.predict import Predictions, predict
from tests.support.predicted_squad import rows, same, squad
from tests.support.small_cohorts import at, measured, rested

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort
    from tests.support.small_cohorts import Row

LANDMARKS = (0.0, 24.0)


@pytest.fixture(scope="module")
def everything(bundle: Bundle, sim_cohort: Cohort) -> Predictions:
    return predict(bundle, sim_cohort, Options(landmarks_h=LANDMARKS, curves=True))


def of(cohort: Cohort, keep: Mapping[str, Any]) -> Cohort:
    """Return the cohort with the rows that `keep` picks, by table."""
    tables = {name: frame[keep[name](frame)] for name, frame in cohort.tables.items()}
    return replace(cohort, tables=tables)


def test_an_athlete_alone_gets_the_same_bits(
    bundle: Bundle, sim_cohort: Cohort, everything: Predictions
) -> None:
    for athlete in ("a0003", "a0009"):
        mine = {name: lambda f, a=athlete: f["athlete_id"] == a for name in sim_cohort.tables}
        options = Options(landmarks_h=LANDMARKS, curves=True)
        alone = predict(bundle, of(sim_cohort, mine), options)
        whole = everything.frame["athlete_id"] == athlete
        same(alone.frame, everything.frame[whole])
        positions = np.flatnonzero(whole)
        assert alone.curves == [everything.curves[i] for i in positions]


def test_one_landmark_gets_the_same_bits_as_several(
    bundle: Bundle, sim_cohort: Cohort, everything: Predictions
) -> None:
    alone = predict(bundle, sim_cohort, Options(landmarks_h=(24.0,)))
    since = everything.frame["as_of"] - everything.frame["clock_start"]
    same(alone.frame, everything.frame[since == pd.Timedelta(hours=24)])


@pytest.mark.parametrize("day", [20.3, 41.75, 63.0])
def test_what_becomes_known_later_changes_nothing(
    bundle: Bundle, sim_cohort: Cohort, day: float
) -> None:
    moment = pd.Timestamp("2024-01-08T00:00:00Z") + pd.Timedelta(days=day)
    options = Options(as_of=moment.to_pydatetime(), curves=True)
    known = {
        name: (lambda f: f["known_at"] <= moment) if "known_at" in frame
        else (lambda f: np.ones(len(f), bool))
        for name, frame in sim_cohort.tables.items()
    }  # fmt: skip
    then = of(sim_cohort, known)
    assert len(then["tests"]) < len(sim_cohort["tests"])
    whole, past = predict(bundle, sim_cohort, options), predict(bundle, then, options)
    same(whole.frame, past.frame)
    assert whole.curves == past.curves
    assert whole.superseded == past.superseded
    assert whole.warnings == past.warnings
    assert (whole.frame["status"] == "ok").any()


def test_a_test_known_at_the_moment_does_change_it(bundle: Bundle) -> None:
    cohort = squad()
    more = squad(tests=[*cohort["tests"].to_dict("records"), measured(20, 30.0)])
    before, after = rows(bundle, more, 19.9), rows(bundle, more, 20)
    same(before, rows(bundle, cohort, 19.9))
    power = [f.set_index("component")["recovery_h"]["power"] for f in (before, after)]
    assert power[1] > power[0] + 10  # a quarter of the jump is gone: it takes longer


def test_an_injurys_end_is_unknown_until_it_comes(bundle: Bundle) -> None:
    def found(resolved: float | None) -> pd.DataFrame:
        injury = {"episode_id": "knee", "athlete_id": "a", "kind": "injury", "onset_at": at(-50),
                  "resolved_at": None if resolved is None else at(resolved),
                  "known_at": at(-50)}  # fmt: skip
        return rows(bundle, squad(episodes=[injury]))

    same(found(100), found(None))
    assert len(found(10)) < len(found(None))


# --- other tests of the family -------------------------------------------------------------------


def sprinters(bundle: Bundle, scale: FamilyScale) -> Bundle:
    """Return `bundle` as if its cohort had shown what sprints say of power."""
    power = bundle.components["power"]
    measurement = replace(power.measurement, family={"sprint_10m": scale})
    power = replace(power, measurement=measurement)
    return replace(bundle, components={**bundle.components, "power": power})


def sprinted(value: float, hour: float = 20.0, more: Sequence[Row] = ()) -> Cohort:
    """Return the squad with a sprint after the last session, and rested ones before all."""
    tests = [
        *rested([40.0, 40.5, 39.5]),
        *rested([1.80, 1.79, 1.81], test="sprint_10m"),
        measured(hour, value, test="sprint_10m"),
        *more,
    ]
    return squad(tests=tests)


TOLD = FamilyScale(0.5, 0.05, 0.5, 30, 200)


def test_a_slow_sprint_tells_that_power_is_not_back(bundle: Bundle) -> None:
    model = sprinters(bundle, TOLD)
    slow, fast = (rows(model, sprinted(value)).set_index("component") for value in (1.92, 1.79))
    assert slow["recovery_h"]["power"] > fast["recovery_h"]["power"]
    assert slow["p_now"]["power"] < fast["p_now"]["power"]
    assert slow["index_test"]["power"] == "cmj_height"


def test_a_sprint_whose_scale_is_not_told_changes_nothing(bundle: Bundle) -> None:
    for scale in (replace(TOLD, standard_error=0.4), replace(TOLD, athletes_n=3)):
        model = sprinters(bundle, scale)
        same(rows(model, sprinted(1.92)), rows(model, sprinted(1.79)))
    same(rows(bundle, sprinted(1.92)), rows(bundle, sprinted(1.79)))


def test_a_sprint_counts_only_once_it_is_known(bundle: Bundle) -> None:
    model = sprinters(bundle, TOLD)
    same(rows(model, sprinted(1.92, 23.0), 22.0), rows(model, sprinted(1.79, 23.0), 22.0))


def test_a_sprint_on_the_same_morning_as_a_jump_adds_nothing(bundle: Bundle) -> None:
    model = sprinters(bundle, TOLD)
    jump = measured(20.5, 38.0)
    same(*(rows(model, sprinted(value, more=[jump])) for value in (1.92, 1.79)))
