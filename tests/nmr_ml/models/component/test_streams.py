from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from nmr_ml.cohort.reader import canonical_cohort
from nmr_ml.history.history import History, build_history
from nmr_ml.models.component.streams import family_of, streams_of
from nmr_ml.recovery_tests import shipped_testspecs

SPECS = shipped_testspecs()
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def history() -> History:
    def at(hours: float) -> datetime:
        return NOON + timedelta(hours=hours)

    tests = [
        ("a", at(-20), "cmj_height", 40.0, "Plate", None),
        ("a", at(3), "cmj_height", 36.0, "Jump Mat", "flight_time"),
        ("a", at(4), "sprint_10m", 2.0, None, None),
        ("a", at(5.5), "cmj_height", 38.0, "jump mat", "Flight Time"),
        ("a", at(5.5), "rsi_mod", 0.4, None, None),
        ("b", at(3), "cmj_height", 30.0, None, None),
    ]
    unit = {"cmj_height": "cm", "sprint_10m": "s", "rsi_mod": "m/s"}
    names = ["athlete_id", "measured_at", "test", "value", "device", "method"]
    sessions = [("a", "s1", at(-1), 60), ("a", "s2", at(1), 60), ("b", "s3", at(-1), 60)]
    cohort, _ = canonical_cohort(
        "squad",
        "UTC",
        {
            "athletes": pd.DataFrame({"athlete_id": ["a", "b"], "sex": ["male", "female"],
                                      "team": ["one", None]}),
            "sessions": pd.DataFrame(
                sessions, columns=["athlete_id", "session_id", "started_at", "duration_min"]
            ),
            "tests": pd.DataFrame(tests, columns=names).assign(
                unit=[unit[row[2]] for row in tests]
            ),
        },
        now=NOON + timedelta(days=1),
    )  # fmt: skip
    return build_history(cohort, tuple(sorted(SPECS)))


def test_a_family_is_what_is_on_record_of_the_component(history: History) -> None:
    assert family_of(history, SPECS, "cmj_height") == ("cmj_height", "sprint_10m")
    assert family_of(history, SPECS, "rsi_mod") == ("rsi_mod",)


def test_tests_are_on_the_scale_of_their_deficits_and_higher_is_better(history: History) -> None:
    (power,) = streams_of(history, SPECS, [("cmj_height", "sprint_10m")])
    tests = power.tests
    assert tests.offsets.tolist() == [0, 4, 5]
    assert tests.test.tolist() == [0, 0, 1, 0, 0]
    values = [40.0, 36.0, 1 / 2.0, 38.0, 30.0]
    np.testing.assert_allclose(tests.value, 100 * np.log(values))
    assert tests.clock_h.tolist() == [16.0, 15.0, 16.0, 17.5, 15.0]
    assert power.team.tolist() == ["one", None]


def test_a_visit_lasts_two_hours_from_its_first_test(history: History) -> None:
    (power,) = streams_of(history, SPECS, [("cmj_height", "sprint_10m")])
    assert power.tests.visit.tolist() == [0, 1, 1, 2, 0]


def test_devices_and_methods_are_folded_and_may_be_untold(history: History) -> None:
    (power,) = streams_of(history, SPECS, [("cmj_height", "sprint_10m")])
    assert power.tests.devices == ("jumpmat flighttime", "plate")
    assert power.tests.device.tolist() == [1, 0, -1, 0, -1]


def test_families_share_their_sessions(history: History) -> None:
    power, coordination = streams_of(history, SPECS, [("cmj_height",), ("rsi_mod",)])
    assert power.sessions is coordination.sessions
    assert power.sessions.offsets.tolist() == [0, 2, 3]
    hours = power.sessions.end_h - NOON.timestamp() / 3600
    np.testing.assert_allclose(hours, [0.0, 2.0, 0.0])
    assert power.sessions.X.shape[0] == 3
