"""Predictions as contract §4 has them, from a small but really trained model."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.errors import DataError, UsageError
from nmr_ml.features.contract import feature_contract
from nmr_ml.features.model_inputs import model_inputs
from nmr_ml.history.episodes import find_episodes
from nmr_ml.history.history import build_history
from nmr_ml.history.queries import at_moment, expand
from nmr_ml.levels import INTERVAL_LEVEL
from nmr_ml.models.curve.read_off import CURVE_H
from nmr_ml.predictions.options import Options, parse_deltas
from nmr_ml.predictions.predict import Predictions, predict
from tests.support.predicted_squad import lab, rows, same, squad
from tests.support.small_cohorts import at, session, small_cohort

if TYPE_CHECKING:
    import pandas as pd

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort

CONTRACT = [
    "athlete_id", "episode_id", "kind", "component", "index_test", "clock_start", "as_of",
    "status", "reason", "recovery_h", "lower_h", "upper_h", "interval_level", "upper_unbounded",
    "remaining_h", "recovered_at", "p_now", "p_24h", "p_48h", "p_72h", "p_96h", "deficit_24h",
    "deficit_48h", "deficit_72h", "delta", "delta_unit", "limiting", "extrapolated",
    "out_of_distribution", "evidence", "confidence", "completeness", "drivers", "model_name",
    "model_version", "contract_hash",
]  # fmt: skip
PREDICTED = [
    "recovery_h", "lower_h", "upper_h", "remaining_h", "p_now", "p_24h", "p_48h", "p_72h", "p_96h",
    "deficit_24h", "deficit_48h", "deficit_72h",
]  # fmt: skip
LANDMARKS = (0.0, 24.0, 48.0)
KEYS = ["episode_id", "component", "as_of"]


@pytest.fixture(scope="module")
def everything(bundle: Bundle, sim_cohort: Cohort) -> Predictions:
    return predict(bundle, sim_cohort, Options(landmarks_h=LANDMARKS, curves=True))


@pytest.fixture(scope="module")
def ok(everything: Predictions) -> pd.DataFrame:
    """The rows with numbers, and how many hours after the clock start they are asked."""
    frame = everything.frame[everything.frame["status"] == "ok"]
    since = (frame["as_of"] - frame["clock_start"]).dt.total_seconds() / 3600
    return frame.assign(since_h=since)


# --- the table -----------------------------------------------------------------------------------


def test_columns_are_those_of_the_contract_in_its_order(everything: Predictions) -> None:
    assert everything.frame.columns.tolist() == CONTRACT


def test_a_row_for_each_episode_component_and_moment(
    everything: Predictions, sim_cohort: Cohort, bundle: Bundle
) -> None:
    frame = everything.frame
    assert not frame.duplicated(KEYS).any()
    start = frame[frame["as_of"] == frame["clock_start"]]
    assert len(start) == len(sim_cohort["sessions"]) * len(bundle.components)
    assert set(start["episode_id"]) == set(sim_cohort["sessions"]["session_id"])
    assert len(everything.curves) == len(frame)


def test_identity_columns_name_model_and_test(everything: Predictions, bundle: Bundle) -> None:
    frame = everything.frame
    for name, model in bundle.components.items():
        of = frame[frame["component"] == name]
        assert set(of["index_test"]) == {model.index_test}
        assert set(of["delta_unit"]) == {bundle.specs[model.index_test].scale}
        assert set(of["delta"]) == {bundle.specs[model.index_test].delta}
    assert set(frame["model_name"]) == {"nmr"}
    assert set(frame["model_version"]) == {bundle.version}
    assert set(frame["contract_hash"]) == {feature_contract().hash}
    assert set(frame["kind"]) == {"exertion"}
    assert set(frame["interval_level"]) == {INTERVAL_LEVEL} == {0.8}


def test_without_numbers_every_prediction_is_null(everything: Predictions) -> None:
    frame = everything.frame
    abstained = frame["status"] == "abstained"
    assert 0 < abstained.sum() < len(frame)
    assert frame.loc[abstained, PREDICTED].isna().all(axis=None)
    assert frame.loc[abstained, "recovered_at"].isna().all()
    flags = ["limiting", "extrapolated", "out_of_distribution", "upper_unbounded"]
    assert not frame.loc[abstained, flags].any(axis=None)
    assert frame.loc[abstained, "reason"].notna().all()
    assert all(not curve for curve, gone in zip(everything.curves, abstained, strict=True) if gone)


def test_with_numbers_every_prediction_is_there_and_consistent(ok: pd.DataFrame) -> None:
    assert ok[PREDICTED].notna().all(axis=None)
    assert ok["reason"].isna().all()
    assert (ok["lower_h"] <= ok["recovery_h"]).all()
    assert (ok["recovery_h"] <= ok["upper_h"]).all()
    assert (ok["lower_h"] >= 0).all()
    remaining = (ok["recovery_h"] - ok["since_h"]).clip(lower=0)
    assert ok["remaining_h"].to_numpy() == pytest.approx(remaining.to_numpy(), abs=1e-9)
    at_h = (ok["recovered_at"] - ok["clock_start"]).dt.total_seconds() / 3600
    assert at_h.to_numpy() == pytest.approx(ok["recovery_h"].to_numpy(), abs=1 / 3600)
    assert (ok["upper_unbounded"] == np.isinf(ok["upper_h"])).all()


def test_probabilities_rise_with_the_hours_and_agree_with_the_median(ok: pd.DataFrame) -> None:
    names = ["p_24h", "p_48h", "p_72h", "p_96h"]
    chances = ok[names].to_numpy()
    assert ((chances >= 0) & (chances <= 1)).all()
    assert (np.diff(chances, axis=1) >= 0).all()
    for name, hour in zip(names, (24, 48, 72, 96), strict=True):
        half = np.round(ok[name], 9) >= 0.5
        assert (half == (np.round(ok["recovery_h"], 6) <= hour)).all()
    for hour in (24, 48):
        asked = ok[ok["since_h"] == hour]
        assert len(asked) > 100
        assert (asked["p_now"] == asked[f"p_{hour}h"]).all()


def test_deficits_fade(ok: pd.DataFrame) -> None:
    deficits = ok[["deficit_24h", "deficit_48h", "deficit_72h"]].to_numpy()
    assert (deficits >= 0).all()
    assert (np.diff(deficits, axis=1) <= 1e-6).all()


def test_curves_hold_the_same_numbers(everything: Predictions, ok: pd.DataFrame) -> None:
    for row in ok.index[::97]:
        curve = everything.curves[row]
        assert [point["h"] for point in curve] == list(CURVE_H)
        told = {point["h"]: point for point in curve}
        for hour in (24.0, 48.0, 72.0):
            assert told[hour]["p"] == ok.loc[row, f"p_{hour:.0f}h"]
            assert told[hour]["deficit"] == ok.loc[row, f"deficit_{hour:.0f}h"]
        for point in curve:
            assert point["deficit_lower"] <= point["deficit"] <= point["deficit_upper"]
        chances = [point["p"] for point in curve]
        assert chances == sorted(chances)


def test_curves_change_no_other_number(
    bundle: Bundle, sim_cohort: Cohort, everything: Predictions
) -> None:
    plain = predict(bundle, sim_cohort, Options(landmarks_h=LANDMARKS))
    same(plain.frame, everything.frame)
    assert not any(plain.curves)


def test_one_component_of_each_episode_is_limiting(everything: Predictions) -> None:
    frame = everything.frame
    for _, rows_of in frame.groupby(["episode_id", "as_of"]):
        answered = rows_of[rows_of["status"] == "ok"]
        assert rows_of["limiting"].sum() == (1 if len(answered) else 0)
        if len(answered):
            slowest = answered.loc[answered["limiting"], "recovery_h"].iloc[0]
            assert slowest == answered["recovery_h"].max()


def test_extrapolated_says_that_the_median_lies_beyond_the_follow_up(
    bundle: Bundle, sim_cohort: Cohort, everything: Predictions
) -> None:
    some = {n: replace(m, follow_up_h=30.0) for n, m in bundle.components.items()}
    found = predict(replace(bundle, components=some), sim_cohort, Options(landmarks_h=LANDMARKS))
    assert (found.frame["extrapolated"] == (everything.frame["recovery_h"] > 30.0)).all()
    assert 0 < found.frame["extrapolated"].sum() < len(found.frame)
    assert "extrapolated" in {w.code for w in found.warnings}


def test_ratings_are_marked_as_such(everything: Predictions) -> None:
    frame = everything.frame
    ratings = frame["component"] == "perceptual"
    assert set(frame.loc[ratings, "evidence"]) == {"ratings_only"}
    assert set(frame.loc[~ratings, "evidence"]) == {"tests"}
    assert {"ratings_only", "not_medical", "not_calibrated"} <= {
        w.code for w in everything.warnings
    }


def test_confidence_and_completeness_are_within_their_bounds(everything: Predictions) -> None:
    frame = everything.frame
    assert set(frame["confidence"]) == {"cold_start", "building", "solid"}
    assert frame["completeness"].between(0, 1).all()
    assert frame["completeness"].nunique() > 2


# --- why there is no number ----------------------------------------------------------------------


def test_an_unknown_load_is_not_zero(bundle: Bundle) -> None:
    sessions = [session(-48.0, 400.0), session(0, np.nan, name="gone")]
    found = rows(bundle, small_cohort(sessions))
    assert set(found["episode_id"]) == {"gone"}
    assert set(found["reason"]) == {"load_missing"}
    rest = rows(bundle, small_cohort([session(-48.0, 400.0), session(0, 0.0)]))
    assert set(rest["status"]) == {"ok"}


def test_a_session_reported_later_is_not_known_before(bundle: Bundle) -> None:
    cohort = small_cohort([session(-48.0), session(0, name="late", known_h=30)])
    found = rows(bundle, cohort, None, landmarks_h=(0.0, 24.0, 48.0))
    late = found[found["episode_id"] == "late"].set_index("as_of")["reason"]
    assert set(late[[at(0), at(24)]]) == {"session_not_known"}
    assert late[at(48)].isna().all()


def test_injuries_are_not_learnt(bundle: Bundle) -> None:
    injury = {"episode_id": "knee", "athlete_id": "a", "kind": "injury", "onset_at": at(-5),
              "known_at": at(-5)}  # fmt: skip
    found = rows(bundle, squad(episodes=[injury])).set_index("episode_id").loc[["knee"]]
    assert found["reason"].tolist() == ["too_little_data"]
    assert found["component"].tolist() == ["availability"]
    assert found["kind"].tolist() == ["injury"]
    assert found[["index_test", "delta", "delta_unit", *PREDICTED]].isna().all(axis=None)


RED = {
    "ck": [lab(10, "ck", 10_001.0)],
    "crp": [lab(-100, "crp", 11.0), lab(-20, "crp", 12.0)],
    "testosterone": [lab(-64, "testosterone", 7.0), lab(-16, "testosterone", 7.9)],
}
PALE = {
    "ck": [lab(10, "ck", 9_999.0)],
    "crp": [lab(-100, "crp", 11.0)],
    "testosterone": [lab(-64, "testosterone", 7.0), lab(-16, "testosterone", 8.1)],
}


@pytest.mark.parametrize("analyte", RED)
def test_a_red_flag_gives_no_hours(bundle: Bundle, analyte: str) -> None:
    flagged = predict(bundle, squad(labs=RED[analyte]), Options(as_of=at(24).to_pydatetime()))
    assert set(flagged.frame["reason"]) == {"red_flag"}
    assert "red_flag" in {w.code for w in flagged.warnings}
    assert set(rows(bundle, squad(labs=PALE[analyte]))["status"]) == {"ok"}


def test_a_red_flag_counts_from_when_it_is_known(bundle: Bundle) -> None:
    late = [{**RED["ck"][0], "known_at": at(20)}]
    assert set(rows(bundle, squad(labs=late), 19)["status"]) == {"ok"}
    assert set(rows(bundle, squad(labs=late), 20)["reason"]) == {"red_flag"}


def aged(cohort: Cohort, birth_year: int, factor: float) -> Cohort:
    """Return the cohort with everybody born then, and every hormone multiplied."""
    athletes, labs = cohort["athletes"].copy(), cohort["labs"].copy()
    athletes["birth_year"] = float(birth_year)
    rank = labs.groupby("athlete_id").cumcount()
    labs["value"] *= np.where(rank % 2, factor, 1.0)
    return replace(cohort, tables={**cohort.tables, "athletes": athletes, "labs": labs})


def test_hormones_of_minors_change_nothing(bundle: Bundle, sim_cohort: Cohort) -> None:
    found = {
        (year, factor): predict(bundle, aged(sim_cohort, year, factor), Options())
        for year in (2010, 1990)
        for factor in (1.0, 1.4)
    }
    same(found[2010, 1.0].frame, found[2010, 1.4].frame)
    assert not found[1990, 1.0].frame["recovery_h"].equals(found[1990, 1.4].frame["recovery_h"])
    told = {key: "minor_endocrine_ignored" in {w.code for w in p.warnings}
            for key, p in found.items()}  # fmt: skip
    assert told == {(2010, 1.0): True, (2010, 1.4): True, (1990, 1.0): False, (1990, 1.4): False}


# --- which episodes are asked about --------------------------------------------------------------


def test_no_landmark_after_the_next_loading_session(bundle: Bundle) -> None:
    cohort = small_cohort([session(0, name="a"), session(40, name="b")])
    found = rows(bundle, cohort, None, landmarks_h=(0.0, 24.0, 48.0))
    since = (found["as_of"] - found["clock_start"]).dt.total_seconds() / 3600
    assert since.groupby(found["episode_id"]).unique().map(list).to_dict() == {
        "a": [0.0, 24.0],
        "b": [0.0, 24.0, 48.0],
    }


def test_a_moment_asks_for_the_latest_session_and_open_injuries(bundle: Bundle) -> None:
    injuries = [
        {"episode_id": name, "athlete_id": "a", "kind": "injury", "onset_at": at(-300),
         "resolved_at": at(end), "known_at": at(-300)}
        for name, end in (("healed", -10), ("open", 60))
    ]  # fmt: skip
    found = predict(bundle, squad(episodes=injuries), Options(as_of=at(24).to_pydatetime()))
    assert set(found.frame["episode_id"]) == {"s0", "open"}
    assert found.superseded == 14  # 13 earlier sessions and the healed injury
    assert set(found.frame["as_of"]) == {at(24)}


def test_an_earlier_episode_can_be_asked_for(bundle: Bundle) -> None:
    found = rows(bundle, squad(), episode_id="s2")
    assert set(found["episode_id"]) == {"s2"}
    assert set(found["clock_start"]) == {at(-96)}


@pytest.mark.parametrize(
    "options",
    [
        Options(as_of=datetime(2001, 1, 1, tzinfo=UTC)),
        Options(as_of=at(24).to_pydatetime(), episode_id="nobody"),
        Options(as_of=at(-100).to_pydatetime(), episode_id="s0"),
    ],
)
def test_nothing_to_predict_is_an_error(bundle: Bundle, options: Options) -> None:
    with pytest.raises(DataError) as caught:
        predict(bundle, squad(), options)
    assert caught.value.code == "no_episode"


# --- delta and drivers ---------------------------------------------------------------------------


def test_a_larger_delta_takes_no_longer(bundle: Bundle, sim_cohort: Cohort) -> None:
    found = {
        delta: predict(bundle, sim_cohort, Options(deltas={"power": delta})).frame
        for delta in (1.3, 2.6, 5.2)
    }
    plain = predict(bundle, sim_cohort, Options()).frame
    same(found[2.6], plain)
    power = (plain["component"] == "power") & (plain["status"] == "ok")
    for longer, shorter in ((1.3, 2.6), (2.6, 5.2)):
        hours = [found[d].loc[power, "recovery_h"] for d in (longer, shorter)]
        chances = [found[d].loc[power, "p_24h"] for d in (longer, shorter)]
        assert (hours[0] >= hours[1]).all()
        assert (chances[0] <= chances[1]).all()
        assert (hours[0] > hours[1]).any()
    assert set(found[5.2].loc[power, "delta"]) == {5.2}
    others = plain["component"] != "power"
    names = [n for n in CONTRACT if n != "limiting"]
    same(found[5.2].loc[others, names], plain.loc[others, names])


def test_one_delta_for_all_components(bundle: Bundle) -> None:
    found = rows(bundle, squad(), deltas={"*": 3.0, "power": 2.0}).set_index("component")["delta"]
    assert found["power"] == 2.0
    assert set(found.drop("power")) == {3.0}


def test_deltas_are_read_from_text() -> None:
    assert parse_deltas("2.6") == {"*": 2.6}
    assert parse_deltas("power=2.6,coordination=4") == {"power": 2.6, "coordination": 4.0}


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "power", "power=", "legs=2", "2,x"])
def test_a_delta_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_deltas(text)
    assert caught.value.code == "delta_invalid"


def test_drivers_are_given_only_when_asked_for(bundle: Bundle) -> None:
    assert rows(bundle, squad())["drivers"].isna().all()
    found = rows(bundle, squad(), drivers=True)
    contract = feature_contract()
    told = 0
    for drivers in found["drivers"]:
        for driver in drivers:
            told += 1
            assert set(driver) == {"group", "feature", "value", "ratio"}
            place = contract.names.index(driver["feature"])
            assert driver["group"] == contract.groups[place]
            assert driver["ratio"] > 0
    assert told > 0
    same(found.drop(columns="drivers"), rows(bundle, squad()).drop(columns="drivers"))


def test_a_drivers_value_is_that_of_the_feature(bundle: Bundle) -> None:
    cohort = squad()
    history = build_history(cohort, tuple(sorted(bundle.specs)))
    episodes = find_episodes(history)
    tests = {name: model.index_test for name, model in bundle.components.items()}
    targets = at_moment(episodes, int(at(24).timestamp()))
    X = model_inputs(history, expand(targets, episodes, history, tests), bundle.specs)
    for row, drivers in enumerate(rows(bundle, cohort, drivers=True)["drivers"]):
        for driver in drivers:
            value = X[row, feature_contract().names.index(driver["feature"])]
            assert driver["value"] == (None if np.isnan(value) else value)
