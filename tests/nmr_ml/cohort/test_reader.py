from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmr_ml.cohort.reader import canonical_cohort
from nmr_ml.cohort.table_checks import DTYPES, schema
from nmr_ml.cohort.tables import TABLES
from nmr_ml.errors import DataError
from nmr_ml.reasons import Notice, Quarantine
from nmr_ml.recovery_tests import shipped_testspecs
from tests.support.reader_rows import ATHLETE, GOOD, NOW, Row, read_rows, read_tables


def test_good_rows_are_used() -> None:
    cohort, rejected = read_tables({name: [row] for name, row in GOOD.items()})
    assert all(frame.empty for frame in rejected.values())
    assert {name: count.used for name, count in cohort.counts.items()} == dict.fromkeys(TABLES, 1)
    assert cohort.warnings == ()


MINUTES = "duration_min"
LATER = {"started_at": "2026-03-02T17:00+01:00", "ended_at": "2026-03-02T18:00+01:00"}
#: What is changed in the good row, the table, the reason and the column that is blamed.
REFUSED: list[tuple[str, Row, Quarantine, str]] = [
    ("sessions", {"athlete_id": ""}, Quarantine.MISSING_VALUE, "athlete_id"),
    ("sessions", {"ended_at": ""}, Quarantine.MISSING_VALUE, "ended_at"),
    ("labs", {"value": "NA"}, Quarantine.MISSING_VALUE, "value"),
    ("labs", {"value": "12,5"}, Quarantine.NOT_A_NUMBER, "value"),
    ("sessions", {"started_at": "noon"}, Quarantine.NOT_A_TIME, "started_at"),
    ("sessions", {"known_at": "2026-03-05"}, Quarantine.NOT_A_TIME, "known_at"),
    ("nutrition", {"date": "2026-02-30"}, Quarantine.NOT_A_TIME, "date"),
    ("labs", {"below_loq": "maybe"}, Quarantine.NOT_A_BOOL, "below_loq"),
    ("sleep", {"onset_at": "2026-03-29T02:30"}, Quarantine.TIME_DOES_NOT_EXIST, "onset_at"),
    ("sleep", {"wake_at": "2026-10-25T02:30"}, Quarantine.TIME_AMBIGUOUS, "wake_at"),
    ("sessions", {"kind": "Match"}, Quarantine.UNKNOWN_CATEGORY, "kind"),
    ("labs", {"analyte": "glucose"}, Quarantine.UNKNOWN_CATEGORY, "analyte"),
    ("tests", {"test": "bench"}, Quarantine.UNKNOWN_CATEGORY, "test"),
    ("sleep_epochs", {"stage": "n3"}, Quarantine.UNKNOWN_CATEGORY, "stage"),
    ("labs", {"unit": "mol"}, Quarantine.UNKNOWN_UNIT, "unit"),
    ("labs", {"unit": ""}, Quarantine.UNIT_MISSING, "unit"),
    ("tests", {"unit": ""}, Quarantine.UNIT_MISSING, "unit"),
    ("sessions", {"session_rpe": "11"}, Quarantine.OUT_OF_RANGE, "session_rpe"),
    ("sessions", {MINUTES: "1e300", "ended_at": ""}, Quarantine.OUT_OF_RANGE, MINUTES),
    ("sessions", {"ended_at": "2026-03-05T18:00Z"}, Quarantine.OUT_OF_RANGE, MINUTES),
    ("sessions", {"started_at": "0026-03-01T17:00Z"}, Quarantine.OUT_OF_RANGE, "started_at"),
    ("labs", {"value": "1e400"}, Quarantine.OUT_OF_RANGE, "value"),
    ("labs", {"value": "-1"}, Quarantine.OUT_OF_RANGE, "value"),
    ("labs", {"unit": "ng/dL"}, Quarantine.LOOKS_LIKE_OTHER_UNIT, "value"),
    ("sessions", {"athlete_id": "7"}, Quarantine.ORPHAN, "athlete_id"),
    ("sessions", {"ended_at": "2026-03-01T15:00Z"}, Quarantine.TIME_REVERSED, "ended_at"),
    ("episodes", {"resolved_at": "2026-02-01T00:00Z"}, Quarantine.TIME_REVERSED, "resolved_at"),
    ("labs", {"awake_at": "2026-03-02T08:30+01:00"}, Quarantine.TIME_REVERSED, "drawn_at"),
    ("tests", {"measured_at": "2026-11-22T13:30Z"}, Quarantine.FUTURE, "measured_at"),
    ("nutrition", {"date": "2026-11-24"}, Quarantine.FUTURE, "date"),
    ("tests", {"known_at": "2026-03-02T07:00Z"}, Quarantine.KNOWN_BEFORE_EVENT, "known_at"),
    ("sleep", {"awake_min": "300", "light_min": "300"}, Quarantine.PARTS_EXCEED_WHOLE, ""),
]  # fmt: skip


@pytest.mark.parametrize(("table", "change", "reason", "column"), REFUSED)
def test_row_is_refused(table: str, change: Row, reason: Quarantine, column: str) -> None:
    cohort, rejected = read_tables({table: [{**GOOD[table], **change}]})
    (row,) = rejected[table].to_dict("records")
    assert (row["reason"], row["column"]) == (reason.value, column)
    assert reason.sentence in row["sentence"]
    assert cohort.counts[table].reasons == {reason.value: 1}
    assert cohort[table].empty


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ({}, Quarantine.DUPLICATE),
        ({"started_at": "2026-03-01T16:00:00Z"}, Quarantine.DUPLICATE),  # the same moment
        (LATER, Quarantine.CONFLICTING_DUPLICATE),
        ({"session_id": "s2"}, Quarantine.OVERLAP),
        ({"session_id": "s2", "started_at": "2026-03-01T18:29+01:00"}, Quarantine.OVERLAP),
    ],
)
def test_second_row_is_refused(second: Row, reason: Quarantine) -> None:
    cohort, rejected = read_rows(sessions=[GOOD["sessions"], {**GOOD["sessions"], **second}])
    assert dict(rejected["sessions"]["reason"]) == {1: reason.value}
    assert len(cohort["sessions"]) == 1


def test_every_reason_has_a_case() -> None:
    covered = {reason for _, _, reason, _ in REFUSED}
    elsewhere = {
        Quarantine.DUPLICATE,
        Quarantine.CONFLICTING_DUPLICATE,
        Quarantine.OVERLAP,
        Quarantine.NAIVE_TIME,
    }
    assert covered | elsewhere == set(Quarantine)


def test_an_unusable_row_takes_no_usable_one_with_it() -> None:
    broken = {**GOOD["sessions"], "session_rpe": "11"}
    cohort, rejected = read_rows(sessions=[broken, GOOD["sessions"]])
    assert dict(rejected["sessions"]["reason"]) == {0: "out_of_range"}
    assert len(cohort["sessions"]) == 1


def test_naive_times_need_a_timezone() -> None:
    naive = {**GOOD["sessions"], "started_at": "2026-03-01T17:00"}
    _, rejected = read_rows("", sessions=[naive], nutrition=[GOOD["nutrition"]])
    assert list(rejected["sessions"]["reason"]) == ["naive_time"]
    assert list(rejected["nutrition"]["reason"]) == ["naive_time"]
    _, rejected = read_rows("", sessions=[GOOD["sessions"]])
    assert rejected["sessions"].empty


def test_athletes_that_cannot_be_used_leave_orphans() -> None:
    _, rejected = read_rows(athletes=[{**ATHLETE, "sex": "m"}], sessions=[GOOD["sessions"]])
    assert list(rejected["sessions"]["reason"]) == ["orphan"]


def test_canonical_form() -> None:
    cohort, _ = read_tables({name: [row] for name, row in GOOD.items()})
    for name, table in TABLES.items():
        frame = cohort[name]
        assert tuple(frame.columns) == table.names
        for column in table.columns:
            assert frame[column.name].dtype == DTYPES[column.kind], (name, column.name)
    (session,) = cohort["sessions"].to_dict("records")
    assert session["started_at"] == pd.Timestamp("2026-03-01T16:00Z")
    assert session["duration_min"] == 90
    assert session["known_at"] == session["ended_at"]
    assert np.isnan(session["session_load_au"])
    assert cohort["sleep"]["known_at"][0] == cohort["sleep"]["wake_at"][0]
    assert cohort["nutrition"]["known_at"][0] == pd.Timestamp("2026-03-01T23:00Z")
    assert cohort["episodes"]["known_at"][0] == cohort["episodes"]["onset_at"][0]
    assert cohort["labs"]["value"][0] == pytest.approx(12 * 27.59)
    assert cohort["labs"]["unit"][0] == "nmol/L"
    assert (cohort["tests"]["value"][0], cohort["tests"]["unit"][0]) == (35.0, "cm")


def test_sessions_are_completed() -> None:
    row = {**GOOD["sessions"], "ended_at": None, "duration_min": 45, "session_rpe": 4}
    cohort, _ = read_rows(sessions=[row])
    (session,) = cohort["sessions"].to_dict("records")
    assert session["ended_at"] == pd.Timestamp("2026-03-01T16:45Z")
    assert session["session_load_au"] == 180
    cohort, _ = read_rows(sessions=[{**row, "session_load_au": 200}])
    assert cohort["sessions"]["session_load_au"][0] == 200
    cohort, _ = read_rows(sessions=[{**row, "session_rpe": 0}])
    assert cohort["sessions"]["session_load_au"][0] == 0


def test_known_at_that_precedes_its_event_by_rounding_is_the_event() -> None:
    row = {
        **GOOD["sleep"],
        "wake_at": "2026-03-02T07:00:00.4+01:00",
        "known_at": "2026-03-02T06:00Z",
    }
    cohort, _ = read_rows(sleep=[row])
    assert cohort["sleep"]["known_at"][0] == cohort["sleep"]["wake_at"][0]


def test_rows_are_sorted_by_athlete_and_time() -> None:
    athletes = [{**ATHLETE, "athlete_id": name} for name in ("b", "a")]
    rows = [
        {**GOOD["tests"], "athlete_id": who, "measured_at": f"2026-03-0{day}T09:00Z"}
        for who, day in (("b", 2), ("a", 3), ("b", 1), ("a", 1))
    ]
    cohort, _ = read_rows(athletes=athletes, tests=rows)
    frame = cohort["tests"]
    assert list(zip(frame["athlete_id"], frame["measured_at"].dt.day, strict=True)) == [
        ("a", 1), ("a", 3), ("b", 1), ("b", 2),
    ]  # fmt: skip
    assert list(frame.index) == [0, 1, 2, 3]


def test_a_day_without_time_overlaps_nothing() -> None:
    rows = [
        {**GOOD["sessions"], "session_id": name, "time_precision": "day"} for name in ("s1", "s2")
    ]
    cohort, _ = read_rows(sessions=rows)
    assert len(cohort["sessions"]) == 2


def test_unknown_columns_are_kept_out_and_reported() -> None:
    cohort, _ = read_rows(sessions=[{**GOOD["sessions"], "duration_mins": 90, "coach": "x"}])
    (warned,) = cohort.warnings
    assert warned.code == Notice.UNKNOWN_COLUMN
    assert "duration_mins (meant duration_min?)" in warned.message
    assert "coach" in warned.message


def test_words_that_are_not_recognised_are_told_and_the_row_is_kept() -> None:
    cohort, rejected = read_rows(episodes=[{**GOOD["episodes"], "diagnosis": "mystery"}])
    (warned,) = cohort.warnings
    assert (warned.code, warned.pointer) == (Notice.UNKNOWN_WORDS, "episodes")
    assert "1 of 1 texts in diagnosis" in warned.message
    assert "mystery" not in warned.message
    assert cohort["episodes"]["diagnosis"].tolist() == ["mystery"]
    assert rejected["episodes"].empty


def test_absent_and_empty_tables() -> None:
    cohort, rejected = read_rows(labs=[])
    assert cohort.counts["labs"].rows_in == 0
    assert "sleep" not in cohort.counts
    assert tuple(cohort["sleep"].columns) == TABLES["sleep"].names
    assert rejected["labs"].empty


@pytest.mark.parametrize(
    ("timezone", "rows", "code"),
    [
        ("Mars/Olympus", {}, "timezone_unknown"),
        ("", {"wellness": [{"a": 1}]}, "table_unknown"),
        ("", {"truth": [{"recovery_h": 1}]}, "table_unknown"),
        ("", {"sessions": [{"session_id": "s1"}]}, "column_missing"),
        ("", {"sessions": [{}]}, "column_missing"),
    ],
)
def test_what_is_no_cohort_at_all(timezone: str, rows: dict[str, list[Row]], code: str) -> None:
    with pytest.raises(DataError) as caught:
        read_rows(timezone, **rows)
    assert caught.value.code == code


CELLS = st.sampled_from(
    ["", "a", "007", "NA", "1", "-3", "1e400", "7,5", "male", "match", "2026-03-01", "nmol/L", "cm",
     "2026-03-01T17:00Z", "2026-03-01T18:00+01:00", "2026-03-29T02:30", "2026-10-25T02:30",
     "2036-01-01T00:00Z", "2026-03-02T07:00Z", "cmj_height", "testosterone", "serum", "true", None,
     5, 2.5, True, float("nan"), float("inf"), "1900-01-01T00:00Z", "9999-12-31T23:59:59Z"]
)  # fmt: skip


@st.composite
def _dirty(draw: st.DrawFn) -> dict[str, pd.DataFrame]:
    """Draw good rows with some cells replaced by anything at all."""
    raw = {}
    for name in draw(
        st.lists(st.sampled_from(sorted(TABLES)), unique=True, min_size=1, max_size=3)
    ):
        rows = []
        for _ in range(draw(st.integers(1, 6))):
            columns = draw(st.lists(st.sampled_from(TABLES[name].names), max_size=3))
            rows.append({**GOOD[name], **{column: draw(CELLS) for column in columns}})
        raw[name] = pd.DataFrame(rows)
    return {"athletes": pd.DataFrame([ATHLETE]), **raw}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_dirty(), st.sampled_from(["", "Europe/Oslo"]))
def test_rows_in_are_rows_used_plus_rows_quarantined(
    raw: dict[str, pd.DataFrame], timezone: str
) -> None:
    cohort, rejected = canonical_cohort("squad", timezone, raw, now=NOW)
    for name, frame in raw.items():
        assert cohort.counts[name].rows_in == len(frame)
        assert cohort.counts[name].used == len(cohort[name])
        assert cohort.counts[name].quarantined == len(rejected[name])
        assert rejected[name].index.is_unique
        assert set(rejected[name].index) <= set(range(len(frame)))
        assert set(rejected[name]["reason"]) <= set(Quarantine)
    for name in TABLES:
        schema(name).validate(cohort[name])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_dirty())
def test_what_was_used_is_used_again_unchanged(raw: dict[str, pd.DataFrame]) -> None:
    once, _ = canonical_cohort("squad", "Europe/Oslo", raw, now=NOW)
    again, rejected = canonical_cohort("squad", "Europe/Oslo", once.tables, now=NOW)
    assert all(frame.empty for frame in rejected.values())
    for name in TABLES:
        pd.testing.assert_frame_equal(again[name], once[name])


def test_all_tests_of_the_catalogue_can_beread_rows() -> None:
    rows = [
        {**GOOD["tests"], "test": name, "value": sum(spec.range) / 2, "unit": spec.unit}
        for name, spec in shipped_testspecs().items()
    ]
    cohort, _ = read_rows(tests=rows)
    assert len(cohort["tests"]) == len(rows)
