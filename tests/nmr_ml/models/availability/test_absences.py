from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nmr_ml.features.contract import feature_contract
from nmr_ml.history.local_time import NEVER_S
from nmr_ml.models.availability.absences import (
    HALF_DAY_H,
    Absences,
    absence_inputs,
    absences_of,
    athlete_runs,
    bounds_ln,
)
from tests.support.small_cohorts import SPECS, at, at_s, history_of, person, session, small_cohort

if TYPE_CHECKING:
    from nmr_ml.history.history import History


def episode(name: str, onset_h: float, end_h: float | None = None, **more: Any) -> dict[str, Any]:
    return {
        "episode_id": name, "athlete_id": "a", "kind": "injury", "onset_at": at(onset_h),
        "resolved_at": None if end_h is None else at(end_h), "known_at": at(onset_h), **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def history() -> History:
    return history_of(
        small_cohort(
            [session(0), session(500, athlete="b")],
            athletes=[person("a"), person("b"), person("c")],
            episodes=[
                episode("late", 700, grade="2", body_region="R. Hamstring", diagnosis="strained"),
                episode("knee", 10, 250, grade="1", known_at=at(40)),
                episode("flu", 30, 36, athlete_id="b", kind="systemic", diagnosis="it is odd"),
                episode("open", 460, athlete_id="b"),
                episode("last", 505, athlete_id="b"),
            ],
        )
    )


@pytest.fixture(scope="module")
def absences(history: History) -> Absences:
    return absences_of(history, "squad")


def test_episodes_stand_by_athlete_and_onset(absences: Absences) -> None:
    assert absences.episode_id.tolist() == ["knee", "late", "flu", "open", "last"]
    assert absences.athlete.tolist() == ["squad/a"] * 2 + ["squad/b"] * 3
    assert absences.kind.tolist() == ["injury", "injury", "systemic", "injury", "injury"]
    assert absences.grade.tolist() == ["1", "2", None, None, None]
    assert absences.region.tolist() == ["unknown", "thigh", "unknown", "unknown", "unknown"]
    assert absences.diagnosis.tolist() == ["unknown", "muscle", "other", "unknown", "unknown"]
    assert absences.known_s[0] == at_s(40)
    assert absences.resolved_s.tolist() == [at_s(250), NEVER_S, at_s(36), NEVER_S, NEVER_S]
    assert absences.last_s.tolist() == [at_s(700)] * 2 + [at_s(505)] * 3


def test_an_end_is_a_date_and_no_end_is_a_bound(absences: Absences) -> None:
    low, high = (np.exp(bound) for bound in bounds_ln(absences))
    assert low == pytest.approx([240 - HALF_DAY_H, 0, 0, 45, 0])
    assert high == pytest.approx([240 + HALF_DAY_H, np.inf, 6 + HALF_DAY_H, np.inf, np.inf])
    assert absences.lasted_h == pytest.approx([240, np.nan, 6, np.nan, np.nan], nan_ok=True)


def test_episodes_of_an_athlete_are_a_run(absences: Absences) -> None:
    first, last = athlete_runs(absences)
    assert first.tolist() == [0, 0, 2, 2, 2]
    assert last.tolist() == [2, 2, 5, 5, 5]
    none = absences.take(np.empty(0, np.int64))
    assert [part.size for part in athlete_runs(none)] == [0, 0]
    twice = Absences.concatenate([absences, none, absences])
    assert len(twice) == 10
    assert athlete_runs(twice)[0].tolist()[5:] == [5, 5, 7, 7, 7]


def test_features_are_those_of_the_onset(history: History) -> None:
    names = feature_contract().names
    X = absence_inputs(history, SPECS)
    assert X.shape == (5, len(names))
    assert X[:, names.index("landmark_h")].tolist() == [0.0] * 5
    assert X[:, names.index("injuries_365d_n")].tolist() == [0, 1, 0, 0, 1]
    assert np.isnan(X[:, names.index("session_load_au")]).all()
