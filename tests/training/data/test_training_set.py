from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from nmr_ml.features.contract import feature_contract
from tests.support.small_cohorts import SPECS, at, measured, rested, rows_of, session, small_cohort
from training.data.training_set import training_frame

if TYPE_CHECKING:
    from nmr_ml.cohort.cohort import Cohort

KEYS = ["athlete_id", "episode_id", "kind", "component", "as_of"]


def example() -> Cohort:
    sessions = [session(0, name="first"), session(100, name="second")]
    tests = [*rested([40.0] * 3), measured(24, 38.0), measured(60, 39.0)]
    injuries = [
        {"episode_id": name, "athlete_id": "a", "kind": "injury", "onset_at": at(10),
         "resolved_at": end, "known_at": at(10)}
        for name, end in (("healed", at(58)), ("open", None))
    ]  # fmt: skip
    return small_cohort(sessions, tests, episodes=injuries)


def test_keys_then_features_then_what_came_of_it() -> None:
    frame = training_frame(example(), SPECS, [0, 24])
    names = list(feature_contract().names)
    assert frame.columns[:5].tolist() == KEYS
    assert frame.columns[5 : 5 + len(names)].tolist() == names
    assert all(name.startswith("y_") for name in frame.columns[5 + len(names) :])
    assert not frame.duplicated(KEYS[1:]).any()
    assert (frame[names].dtypes == np.float64).all()


def test_cohort_without_an_index_test_has_no_rows() -> None:
    frame = training_frame(small_cohort([session(0), session(100)]), SPECS, [0, 24])
    assert len(frame) == 0
    assert "y_hours" in frame


def test_a_row_for_each_episode_and_landmark_labelled_or_not() -> None:
    frame = training_frame(example(), SPECS, [0, 24]).set_index(["episode_id", "as_of"])
    first, second = frame.loc["first"].loc[at(0)], frame.loc["second"].loc[at(124)]
    assert first["y_state"] == "labelled"
    assert first["y_index_test"] == "cmj_height"
    assert first["y_hours"] == [24.0, 60.0]
    # The other tests are taken at 10:00, this one at 22:00; jumps are highest at 17:00.
    hour = -2 * SPECS["cmj_height"].day_amplitude * np.cos(2 * np.pi * 7 / 24)
    assert first["y_deficit"] == pytest.approx([5.0, 2.5 + hour])
    assert first["y_baseline"] == pytest.approx(40.0)
    assert first["y_baseline_tests_n"] == 3
    assert first["y_censor_reason"] == "next_session"
    assert np.isnan(first["y_resolved_h"])
    assert second["y_state"] == "no_test_in_follow_up"
    assert second["y_hours"] == []
    assert frame.loc["first"].loc[at(24)]["y_hours"] == [24.0, 60.0]


def test_injuries_are_followed_to_their_end() -> None:
    frame = training_frame(example(), SPECS, [0]).set_index("episode_id")
    healed, still_open = frame.loc["healed"], frame.loc["open"]
    assert healed["component"] == still_open["component"] == "availability"
    assert healed["y_resolved_h"] == 48.0
    assert healed["y_state"] == "labelled"
    assert np.isnan(still_open["y_resolved_h"])
    assert still_open["y_state"] == "not_resolved"
    assert still_open["y_censor_reason"] == "still_open"
    assert pd.isna(healed["y_index_test"])


def test_a_cohort_without_tests_still_has_its_injuries() -> None:
    whole = example()
    cohort = small_cohort(rows_of(whole["sessions"]), episodes=rows_of(whole["episodes"]))
    frame = training_frame(cohort, SPECS, [0])
    assert frame["episode_id"].tolist() == ["healed", "open"]


def test_features_do_not_look_past_the_landmark() -> None:
    names = list(feature_contract().names)
    whole = example()
    early = small_cohort(
        rows_of(whole["sessions"].iloc[:1]), rested([40.0] * 3),
        athletes=rows_of(whole["athletes"]),
    )  # fmt: skip
    rows = [
        frame[(frame["episode_id"] == "first") & (frame["component"] == "power")]
        for frame in (training_frame(c, SPECS, [0]) for c in (whole, early))
    ]
    later_known = {n for n in names if "injur" in n or "episode" in n}
    compared = [n for n in names if n not in later_known]
    assert rows[0][compared].to_numpy() == pytest.approx(rows[1][compared].to_numpy(), nan_ok=True)
