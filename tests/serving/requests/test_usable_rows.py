"""What is taken as it came is what the long way through the checks takes, and gives the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmr_ml.cohort.reader import canonical_cohort
from nmr_ml.cohort.tables import TABLES
from nmr_ml.history.columns import cohort_columns
from nmr_ml.history.history import History, history_of_columns
from nmr_ml.recovery_tests import shipped_testspecs
from serving.requests.usable_rows import plain_columns
from tests.support.equality import assert_same
from tests.support.request_bodies import END, body

if TYPE_CHECKING:
    from nmr_ml.cohort.tables import Column

TESTS = tuple(sorted(shipped_testspecs()))
NOW = END + timedelta(hours=1)
OWNER = "a"
ZONE = "Europe/Oslo"
Rows = dict[str, list[dict[str, Any]]]


def request_rows() -> Rows:
    content = body(days=10)
    night = content["sleep"][0]
    night |= {"awake_min": 30.0, "light_min": 200.0, "rem_min": 145.0, "deep_first3h_min": 60.0,
              "device": "ring", "time_precision": "minute"}  # fmt: skip
    drawn = content["labs"][0]["drawn_at"]
    content["labs"] += [
        {"drawn_at": drawn, "analyte": "testosterone", "value": 45.0, "unit": "ng/dL",
         "specimen": "serum", "awake_at": drawn, "below_loq": False},
    ]  # fmt: skip
    content["episodes"] = [{"episode_id": "e", "kind": "injury", "resolved_at": END.isoformat(),
                            "onset_at": (END - timedelta(days=3)).isoformat()}]  # fmt: skip
    content["sleep_epochs"] = [
        {"started_at": night["onset_at"], "duration_s": 3600, "stage": "deep"}
    ]
    return {name: content.get(name, []) for name in TABLES if name != "athletes"} | {
        "athletes": [content["athlete"]]
    }


def the_long_way(rows: Rows) -> History | None:
    """Return the history of the canonical cohort, None where a row is quarantined."""
    frames = {}
    for name, some in rows.items():
        if not some:
            continue
        frame = pd.DataFrame.from_records(some)
        for column in TABLES[name].columns:
            if column.required and column.name not in frame:
                frame[column.name] = None
        if "ended_at" not in frame:
            frame["ended_at"] = None
        owner = frame["athlete_id"].astype(object)
        frames[name] = frame.assign(athlete_id=owner.where(owner.notna(), OWNER))
    cohort, refused = canonical_cohort("request", ZONE, frames, now=NOW)
    if any(len(table) for table in refused.values()):
        return None
    return history_of_columns(cohort_columns(cohort, TESTS), ZONE, TESTS)


def the_short_way(rows: Rows) -> History | None:
    columns = plain_columns(rows, OWNER, ZONE, NOW, TESTS)
    return None if columns is None else history_of_columns(columns, ZONE, TESTS)


MOMENTS = [END + timedelta(hours=h) for h in (-2000, -40, -1.6, -1.5, -0.5, 0, 1.99, 2.01)]
TIMES = ["soon", "20260320T100000Z", "1899-01-01T00:00:00Z", "2026-03-20T10:00:00.0004+01:00",
         *(moment.isoformat() for moment in MOMENTS)]  # fmt: skip
CELLS: dict[str, list[Any]] = {
    "number": [-1, 0, 1, 2.5, 7.333333, 60, 100, 180, 481, 1e4],
    "bool": [True, False],
    "time": TIMES,
    "date": ["2026-03-20", "2026-03-31", "2026-04-02", "20260320", "2026-03-20T00:00:00", "day"],
    "text": ["", " ", "NA", "ring", " ring", "cm", "m", "nmol/L", "U/L"],
    "id": ["", " ", "NA", "a", "b", "s1", " s1"],
    "category": ["", " ", "NA", "day", "minute", "match", "deep", "male", "nothing", "saliva",
                 "cmj_height", "rsi_mod", "ck", "testosterone", " ck"],
}  # fmt: skip


def cells(table: str, column: Column) -> st.SearchStrategy[tuple[tuple[str, str], int, object]]:
    return st.tuples(
        st.just((table, column.name)),
        st.integers(0, 30),
        st.sampled_from([*CELLS[column.kind], None]),
    )


CHANGES = st.one_of([cells(t.name, c) for t in TABLES.values() for c in t.columns])


@settings(max_examples=80, deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=2), st.integers(-1, 30))
@example([(("sleep", "asleep_min"), 0, 481)], -1)
@example([(("sessions", "duration_min"), 5, 7.333333)], -1)
@example([(("sessions", "known_at"), 0, MOMENTS[0].isoformat())], -1)
def test_what_is_plain_is_what_the_long_way_says(
    changes: list[tuple[tuple[str, str], int, object]], again: int
) -> None:
    rows = request_rows()
    for (table, column), row, cell in changes:
        rows[table][row % len(rows[table])][column] = cell
    if 0 <= again < len(rows["tests"]):
        rows["tests"].append(dict(rows["tests"][again]))
    given_history = the_short_way(rows)
    if given_history is not None:
        expected = the_long_way(rows)
        assert expected is not None
        assert_same(given_history, expected)


@pytest.mark.parametrize(
    "change",
    [
        {}, {"duration_min": 7.333333}, {"started_at": "2026-03-02T10:00:00.123456Z"},
        {"duration_min": None, "ended_at": "2026-03-21T18:30:00.5+00:00"}, {"athlete_id": OWNER},
        {"time_precision": "day"}, {"session_rpe": None}, {"kind": None},
    ],
)  # fmt: skip
def test_usual_requests_are_plain(change: dict[str, object]) -> None:
    rows = request_rows()
    rows["sessions"][0] |= change
    found = the_short_way(rows)
    assert found is not None
    assert_same(found, the_long_way(rows))
    assert len(found.labs) == 3


def test_an_empty_request_is_plain() -> None:
    found = the_short_way({"athletes": [{"sex": "male"}]})
    assert found is not None
    assert len(found.sessions) == 0
    assert the_short_way({"athletes": [{"sex": None}]}) is None
    assert (
        plain_columns({"athletes": [{"sex": "male"}]}, " ", ZONE, datetime.now(UTC), TESTS) is None
    )
