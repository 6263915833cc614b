from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from nmr_ml.errors import UsageError
from nmr_ml.predictions.options import Options
from nmr_ml.predictions.readings import READING_COLUMNS, predict_readings
from tests.support.small_cohorts import at, measured, rested, session, small_cohort

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort

NUMBERS = ["reading", "lower", "upper"]


def squad(*more: dict[str, Any], load: float = 400.0) -> Cohort:
    """Return one athlete with a month of sessions and jumps, the last session at 0 h."""
    sessions = [session(-48.0 * i, 400.0 + 20 * (i % 3), name=f"s{i}") for i in range(1, 14)]
    jumps = [measured(-48.0 * i + 20, 39.0 + i % 2) for i in range(1, 14)]
    tests = [*rested([40.0, 40.5, 39.5]), *jumps, *more]
    return small_cohort([*sessions, session(0.0, load, name="s0")], tests)


def told(bundle: Bundle, cohort: Cohort, hour: float = 1.0, **more: Any) -> pd.DataFrame:
    options = Options(as_of=at(hour).to_pydatetime())
    return predict_readings(bundle, cohort, options, **more).set_index("component")


@pytest.fixture(scope="module")
def everything(bundle: Bundle, sim_cohort: Cohort) -> pd.DataFrame:
    return predict_readings(bundle, sim_cohort, Options(landmarks_h=(0.0, 24.0)))


def test_each_session_component_and_moment_has_a_row(
    everything: pd.DataFrame, bundle: Bundle, sim_cohort: Cohort
) -> None:
    assert tuple(everything.columns) == READING_COLUMNS
    assert not everything.duplicated(["episode_id", "component", "as_of"]).any()
    start = everything[everything["as_of"] == everything["clock_start"]]
    assert len(start) == len(sim_cohort["sessions"]) * len(bundle.components)
    assert set(everything["at"] - everything["as_of"]) == {pd.Timedelta(hours=14)}
    assert set(everything["interval_level"]) == {0.8}
    assert set(everything["model_version"]) == {bundle.version}
    for name, model in bundle.components.items():
        own = everything[everything["component"] == name]
        assert set(own["index_test"]) == {model.index_test}
        assert set(own["unit"]) == {bundle.specs[model.index_test].unit}


def test_numbers_are_in_order_and_on_the_scale_or_null(
    everything: pd.DataFrame, bundle: Bundle
) -> None:
    ok = everything[everything["status"] == "ok"]
    gone = everything[everything["status"] == "abstained"]
    assert set(ok["component"]) == set(bundle.readings)
    assert ok[NUMBERS].notna().all(axis=None)
    assert ok["reason"].isna().all()
    assert (ok["lower"] <= ok["reading"]).all()
    assert (ok["reading"] <= ok["upper"]).all()
    assert len(gone)
    assert gone[NUMBERS].isna().all(axis=None)
    assert gone["reason"].notna().all()
    jumps = ok.loc[ok["component"] == "power", "reading"]
    assert jumps.between(15, 70).all()
    answers = ok.loc[ok["component"] == "perceptual", NUMBERS].to_numpy(np.float64)
    assert np.array_equal(answers, answers.round())
    assert answers.min() >= 1
    assert answers.max() <= 10


def test_the_athletes_usual_level_is_read_again(bundle: Bundle) -> None:
    jump = told(bundle, squad()).loc["power"]
    assert jump["status"] == "ok"
    assert jump["unit"] == "cm"
    assert 36 < jump["reading"] < 42
    assert jump["lower"] < jump["reading"] < jump["upper"]


@pytest.mark.parametrize("ahead_h", [0.0, -1.0, np.nan, np.inf])
def test_hours_ahead_are_above_0(bundle: Bundle, ahead_h: float) -> None:
    with pytest.raises(UsageError, match="hours above 0") as caught:
        told(bundle, squad(), ahead_h=ahead_h)
    assert caught.value.code == "ahead_invalid"
    assert caught.value.remedy


def test_further_ahead_than_any_test_of_training_is_said(bundle: Bundle) -> None:
    longest = bundle.readings["power"].ahead_h[1]
    assert not told(bundle, squad(), ahead_h=longest).loc["power", "extrapolated"]
    assert told(bundle, squad(), ahead_h=longest + 1).loc["power", "extrapolated"]


def test_a_test_of_which_nothing_is_known_is_not_foretold(bundle: Bundle) -> None:
    found = told(bundle, squad())
    assert found.loc["perceptual", "reason"] == "too_little_data"
    known = told(bundle, squad(measured(-10.0, 7.0, test="readiness")))
    assert known.loc["perceptual", "status"] == "ok"
    late = told(bundle, squad(measured(-10.0, 7.0, test="readiness", known_h=2.0)))
    assert late.loc["perceptual", "reason"] == "too_little_data"


def test_an_unknown_load_is_told_nothing_and_a_load_of_0_is(bundle: Bundle) -> None:
    missing = told(bundle, squad(load=np.nan)).loc["power"]
    assert missing["reason"] == "load_missing"
    assert np.isnan(missing["reading"])
    assert told(bundle, squad(load=0.0)).loc["power", "status"] == "ok"


def test_a_component_without_readings_abstains(bundle: Bundle) -> None:
    found = told(replace(bundle, readings={}), squad())
    assert set(found["reason"]) == {"component_not_learnt"}


def test_an_injury_has_no_reading(bundle: Bundle) -> None:
    injury = {"episode_id": "knee", "athlete_id": "a", "kind": "injury", "onset_at": at(-5),
              "resolved_at": None, "known_at": at(-5)}  # fmt: skip
    tests = [*rested([40.0] * 3), measured(-30.0, 39.0)]
    found = told(bundle, small_cohort([session(0.0, name="s0")], tests, episodes=[injury]))
    assert set(found["episode_id"]) == {"s0"}
    assert found.loc["power", "status"] == "ok"


@pytest.mark.parametrize("day", [30.3, 61.75])
def test_what_becomes_known_later_changes_nothing(
    bundle: Bundle, sim_cohort: Cohort, day: float
) -> None:
    moment = pd.Timestamp("2024-01-08T00:00:00Z") + pd.Timedelta(days=day)
    tables = {
        name: frame[frame["known_at"] <= moment] if "known_at" in frame else frame
        for name, frame in sim_cohort.tables.items()
    }
    then = replace(sim_cohort, tables=tables)
    assert len(then["tests"]) < len(sim_cohort["tests"])
    options = Options(as_of=moment.to_pydatetime())
    whole, past = (predict_readings(bundle, c, options) for c in (sim_cohort, then))
    pd.testing.assert_frame_equal(whole, past, check_exact=True)
    assert (whole["status"] == "ok").any()


def test_a_test_known_at_the_moment_does_change_it(bundle: Bundle) -> None:
    low = measured(20.0, 33.0)
    before, after = (told(bundle, squad(low), hour) for hour in (19.9, 20.0))
    without = told(bundle, squad(), 19.9)
    pd.testing.assert_frame_equal(before, without, check_exact=True)
    assert after["reading"]["power"] < before["reading"]["power"] - 0.5


def test_an_athlete_alone_is_told_the_same(
    everything: pd.DataFrame, bundle: Bundle, sim_cohort: Cohort
) -> None:
    name = sim_cohort["athletes"]["athlete_id"].iloc[3]
    tables = {
        table: frame[frame["athlete_id"] == name] for table, frame in sim_cohort.tables.items()
    }
    alone = predict_readings(
        bundle, replace(sim_cohort, tables=tables), Options(landmarks_h=(0.0, 24.0))
    )
    among = everything[everything["athlete_id"] == name].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, among, check_exact=True)


def test_the_example_of_the_docs_runs(
    tiny_bundle: Path, sim_cohort_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "readings.md").read_text(encoding="utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    for name, path in (("champion", tiny_bundle), ("squad", sim_cohort_path)):
        assert f'"{name}"' in example
        example = example.replace(f'"{name}"', repr(str(path)))
    exec(compile(example, "readings.md", "exec"), {})  # noqa: S102
    assert "cmj_height" in capsys.readouterr().out
