from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.small_cohorts import SPECS, at, measured, rested, session, small_cohort
from training.data.dataset import Facts, component_data, concatenate
from training.data.training_set import training_frame

if TYPE_CHECKING:
    from nmr_ml.cohort.cohort import Cohort

LANDMARKS = (0.0, 24.0, 48.0)


def example() -> Cohort:
    sessions = [
        session(0, name="good"), session(100, np.nan, name="no load"), session(200, name="no test"),
        session(300, name="last", modality=None),
    ]  # fmt: skip
    tests = [*rested([40.0] * 3), measured(20, 38.0), measured(60, 39.0), measured(120, 38.0),
             measured(330, 38.0), measured(300, 7.0, test="fatigue")]  # fmt: skip
    injury = {"episode_id": "knee", "athlete_id": "a", "kind": "injury", "onset_at": at(10),
              "known_at": at(10)}  # fmt: skip
    return small_cohort(sessions, tests, episodes=[injury])


def test_only_labelled_exertions_of_known_load_are_learnt_from() -> None:
    found = component_data(example(), SPECS, LANDMARKS)
    assert set(found) == {"power"}  # one rating and no baseline make no perceptual label
    power = found["power"]
    assert power.index_test == "cmj_height"
    assert power.episode_id.tolist() == ["good", "last"]
    assert power.athlete.tolist() == ["test/a", "test/a"]
    assert power.modality.tolist() == ["soccer", "unknown"]
    assert np.diff(power.followed.offsets).tolist() == [2, 1]
    assert power.landmark_h.tolist() == [0.0, 24.0, 48.0] * 2
    assert power.row_episode.tolist() == [0, 0, 0, 1, 1, 1]
    assert power.starts.tolist() == [0, 3]


def test_episodes_without_a_test_come_on_request() -> None:
    found = component_data(example(), SPECS, [0.0], {"power": "cmj_height"}, unlabelled=True)
    assert found["power"].episode_id.tolist() == ["good", "no test", "last"]
    assert np.diff(found["power"].followed.offsets).tolist() == [2, 0, 1]


def test_the_clock_start_is_always_among_the_landmarks() -> None:
    found = component_data(example(), SPECS, [24.0])["power"]
    assert sorted(set(found.landmark_h.tolist())) == [0.0, 24.0]
    assert found.landmark_h[found.starts].tolist() == [0.0, 0.0]


def test_a_chosen_index_test_is_used_whatever_the_cohort_has() -> None:
    chosen = component_data(example(), SPECS, [0.0], {"power": "grip"}, unlabelled=True)["power"]
    assert chosen.index_test == "grip"
    assert np.diff(chosen.followed.offsets).sum() == 0
    assert component_data(example(), SPECS, [0.0], {"power": "grip"}) == {}


def test_a_cohort_without_tests_teaches_nothing() -> None:
    assert component_data(small_cohort([session(0)]), SPECS, LANDMARKS) == {}


def test_other_tests_of_the_family_come_along(sim_cohort: Cohort) -> None:
    data = component_data(sim_cohort, SPECS, [0.0])
    rated = data["perceptual"].followed.family
    assert rated is not None
    names = {rated.names[code] for code in np.unique(rated.code)}
    assert names == {"fatigue", "mood", "sleep_quality", "soreness", "stress"}
    assert len(rated) == len(data["perceptual"].athlete)
    chosen = component_data(sim_cohort, SPECS, [0.0], {"perceptual": "soreness"})
    swapped = chosen["perceptual"].followed.family
    assert swapped is not None
    assert "readiness" in {swapped.names[code] for code in np.unique(swapped.code)}


def test_joining_keeps_rows_with_their_episodes() -> None:
    one = component_data(example(), SPECS, LANDMARKS)["power"]
    both = concatenate([one, one])
    assert both.row_episode.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert both.starts.tolist() == [0, 3, 6, 9]
    assert np.diff(both.followed.offsets).tolist() == [2, 1, 2, 1]
    assert np.array_equal(both.X[6:], one.X, equal_nan=True)


def test_athletes_are_named_with_their_cohort() -> None:
    one = component_data(example(), SPECS, [0.0])["power"]
    other = component_data(replace(example(), name="others"), SPECS, [0.0])["power"]
    both = concatenate([one, other])
    assert both.athlete.tolist() == ["test/a", "test/a", "others/a", "others/a"]


def test_what_is_learnt_from_is_the_training_set(sim_cohort: Cohort) -> None:
    frame = training_frame(sim_cohort, SPECS, LANDMARKS)
    frame = frame[frame["session_load_au"].notna() & (frame["y_state"] == "labelled")]
    names = frame.columns[5 : 5 + component_data(sim_cohort, SPECS, [0.0])["power"].X.shape[1]]
    for component, data in component_data(sim_cohort, SPECS, LANDMARKS).items():
        rows = frame[frame["component"] == component]
        assert data.episode_id[data.row_episode].tolist() == rows["episode_id"].tolist()
        assert np.array_equal(data.X, rows[names].to_numpy(np.float64), equal_nan=True)
        start = rows.drop_duplicates("episode_id")
        assert data.followed.deficit == pytest.approx(np.concatenate(start["y_deficit"].to_list()))


def test_facts_tell_sex_confidence_and_place_in_time() -> None:
    facts = component_data(example(), SPECS, LANDMARKS)["power"].facts
    assert facts is not None
    assert facts.sex.tolist() == ["female", "female"]
    # The one labelled episode that ended before; that of unknown load was followed by a test too.
    assert facts.confidence.tolist() == ["cold_start", "building"]
    # Clock starts at 0 and 300 h; of the first, the last test at 60 h; of the last, landmark 48 h.
    assert facts.opened == pytest.approx([0, 300 / 348])
    assert facts.closed == pytest.approx([60 / 348, 1.0])
    both = Facts.concatenate([facts, facts.take(np.array([1]))])
    assert both.opened == pytest.approx([0, 300 / 348, 300 / 348])


def test_data_without_facts_can_be_joined() -> None:
    one = component_data(example(), SPECS, LANDMARKS)["power"]
    assert concatenate([one, replace(one, facts=None)]).facts is None
    joined = concatenate([one, one]).facts
    assert joined is not None
    assert joined.sex.size == 4
