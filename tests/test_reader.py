from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmr_ml.errors import DataError
from nmr_ml.reader import canonical_cohort, read_cohort, read_truth
from nmr_ml.reasons import Notice, Quarantine
from nmr_ml.schemas import DTYPES, schema
from nmr_ml.tables import TABLES, TRUTH
from nmr_ml.testspec import shipped_testspecs
from nmr_ml.writer import write_cohort

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
Row = dict[str, object]

ATHLETE: Row = {"athlete_id": "007", "sex": "male"}
#: One good row of each table.
GOOD: dict[str, Row] = {
    "athletes": ATHLETE,
    "sessions": {
        "session_id": "s1",
        "athlete_id": "007",
        "started_at": "2026-03-01T17:00:00+01:00",
        "ended_at": "2026-03-01T18:30:00+01:00",
    },
    "sleep": {
        "athlete_id": "007",
        "onset_at": "2026-03-01T23:00:00+01:00",
        "wake_at": "2026-03-02T07:00:00+01:00",
    },
    "sleep_epochs": {
        "athlete_id": "007",
        "started_at": "2026-03-01T23:00:00+01:00",
        "duration_s": "30",
        "stage": "deep",
    },
    "labs": {
        "athlete_id": "007",
        "drawn_at": "2026-03-02T08:00:00+01:00",
        "analyte": "cortisol",
        "value": "12",
        "unit": "ug/dL",
        "specimen": "serum",
    },
    "tests": {
        "athlete_id": "007",
        "measured_at": "2026-03-02T09:00:00+01:00",
        "test": "cmj_height",
        "value": "0.35",
        "unit": "m",
    },
    "nutrition": {"athlete_id": "007", "date": "2026-03-01"},
    "episodes": {
        "episode_id": "e1",
        "athlete_id": "007",
        "kind": "injury",
        "onset_at": "2026-03-01T18:00:00+01:00",
    },
}


def _read(timezone: str = "Europe/Oslo", **rows: list[Row]) -> tuple[object, dict]:
    raw = {"athletes": [ATHLETE], **rows}
    return canonical_cohort(
        "squad", timezone, {name: pd.DataFrame(of) for name, of in raw.items()}, now=NOW
    )


def test_good_rows_are_used() -> None:
    cohort, rejected = _read(**{name: [row] for name, row in GOOD.items()})
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
    cohort, rejected = _read(**{table: [{**GOOD[table], **change}]})
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
    cohort, rejected = _read(sessions=[GOOD["sessions"], {**GOOD["sessions"], **second}])
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
    cohort, rejected = _read(sessions=[broken, GOOD["sessions"]])
    assert dict(rejected["sessions"]["reason"]) == {0: "out_of_range"}
    assert len(cohort["sessions"]) == 1


def test_naive_times_need_a_timezone() -> None:
    naive = {**GOOD["sessions"], "started_at": "2026-03-01T17:00"}
    _, rejected = _read("", sessions=[naive], nutrition=[GOOD["nutrition"]])
    assert list(rejected["sessions"]["reason"]) == ["naive_time"]
    assert list(rejected["nutrition"]["reason"]) == ["naive_time"]
    _, rejected = _read("", sessions=[GOOD["sessions"]])
    assert rejected["sessions"].empty


def test_athletes_that_cannot_be_used_leave_orphans() -> None:
    _, rejected = _read(athletes=[{**ATHLETE, "sex": "m"}], sessions=[GOOD["sessions"]])
    assert list(rejected["sessions"]["reason"]) == ["orphan"]


def test_canonical_form() -> None:
    cohort, _ = _read(**{name: [row] for name, row in GOOD.items()})
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
    cohort, _ = _read(sessions=[row])
    (session,) = cohort["sessions"].to_dict("records")
    assert session["ended_at"] == pd.Timestamp("2026-03-01T16:45Z")
    assert session["session_load_au"] == 180
    cohort, _ = _read(sessions=[{**row, "session_load_au": 200}])
    assert cohort["sessions"]["session_load_au"][0] == 200
    cohort, _ = _read(sessions=[{**row, "session_rpe": 0}])
    assert cohort["sessions"]["session_load_au"][0] == 0


def test_known_at_that_precedes_its_event_by_rounding_is_the_event() -> None:
    row = {
        **GOOD["sleep"],
        "wake_at": "2026-03-02T07:00:00.4+01:00",
        "known_at": "2026-03-02T06:00Z",
    }
    cohort, _ = _read(sleep=[row])
    assert cohort["sleep"]["known_at"][0] == cohort["sleep"]["wake_at"][0]


def test_rows_are_sorted_by_athlete_and_time() -> None:
    athletes = [{**ATHLETE, "athlete_id": name} for name in ("b", "a")]
    rows = [
        {**GOOD["tests"], "athlete_id": who, "measured_at": f"2026-03-0{day}T09:00Z"}
        for who, day in (("b", 2), ("a", 3), ("b", 1), ("a", 1))
    ]
    cohort, _ = _read(athletes=athletes, tests=rows)
    frame = cohort["tests"]
    assert list(zip(frame["athlete_id"], frame["measured_at"].dt.day, strict=True)) == [
        ("a", 1), ("a", 3), ("b", 1), ("b", 2),
    ]  # fmt: skip
    assert list(frame.index) == [0, 1, 2, 3]


def test_a_day_without_time_overlaps_nothing() -> None:
    rows = [
        {**GOOD["sessions"], "session_id": name, "time_precision": "day"} for name in ("s1", "s2")
    ]
    cohort, _ = _read(sessions=rows)
    assert len(cohort["sessions"]) == 2


def test_unknown_columns_are_kept_out_and_reported() -> None:
    cohort, _ = _read(sessions=[{**GOOD["sessions"], "duration_mins": 90, "coach": "x"}])
    (warned,) = cohort.warnings
    assert warned.code == Notice.UNKNOWN_COLUMN
    assert "duration_mins (meant duration_min?)" in warned.message
    assert "coach" in warned.message


def test_absent_and_empty_tables() -> None:
    cohort, rejected = _read(labs=[])
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
        _read(timezone, **rows)
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


# ---- folders -------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cohort.yaml").write_text("name: squad\ntimezone: Europe/Oslo\n", encoding="utf-8")
    for name in ("athletes", "sessions"):
        pd.DataFrame([GOOD[name]]).to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def _raises(path: Path, **options: object) -> DataError:
    with pytest.raises(DataError) as caught:
        read_cohort(path, now=NOW, **options)
    return caught.value


def test_read_folder(folder: Path) -> None:
    cohort = read_cohort(folder, now=NOW)
    assert (cohort.name, cohort.timezone) == ("squad", "Europe/Oslo")
    assert list(cohort["sessions"]["athlete_id"]) == ["007"]


def test_the_clock_defaults_to_the_machines(folder: Path) -> None:
    late = {**GOOD["tests"], "measured_at": "2200-01-01T00:00Z"}
    pd.DataFrame([late]).to_csv(folder / "tests.csv", index=False)
    assert read_cohort(folder).counts["tests"].reasons == {"future": 1}


@pytest.mark.parametrize("forms", [("parquet", "csv"), ("csv", "csv.gz"), ("csv.gz", "parts")])
def test_every_form_reads_the_same(tmp_path: Path, forms: tuple[str, str]) -> None:
    rows = {name: pd.DataFrame([row, {**row, "athlete_id": "ghost"}]) for name, row in GOOD.items()}
    rows["athletes"] = pd.DataFrame([ATHLETE])
    rows["tests"]["value"] = ["0.1234567890123456", "0.3"]
    read = []
    for form in forms:
        path = tmp_path / form
        _write(path, form, rows)
        read.append(read_cohort(path, now=NOW))
    for name in TABLES:
        pd.testing.assert_frame_equal(read[0][name], read[1][name], check_exact=True)
        assert read[0].counts[name] == read[1].counts[name]


def _write(path: Path, form: str, rows: dict[str, pd.DataFrame]) -> None:
    path.mkdir()
    (path / "cohort.yaml").write_text("name: squad\ntimezone: Europe/Oslo\n", encoding="utf-8")
    for name, frame in rows.items():
        if form == "parts":
            (path / name).mkdir()
            frame.iloc[:1].to_parquet(path / name / "part-0.parquet")
            frame.iloc[1:].to_parquet(path / name / "part-1.parquet")
        elif form == "parquet":
            frame.to_parquet(path / f"{name}.parquet")
        else:
            frame.to_csv(path / f"{name}.{form}", index=False)


def test_typed_parquet_and_csv_give_the_same_canonical_frames(tmp_path: Path) -> None:
    cohort, _ = _read(**{name: [row] for name, row in GOOD.items()})
    for fmt in ("parquet", "csv"):
        write_cohort(
            tmp_path / fmt, name="squad", timezone="Europe/Oslo", tables=cohort.tables, fmt=fmt
        )
        again = read_cohort(tmp_path / fmt, now=NOW)
        for name in TABLES:
            pd.testing.assert_frame_equal(again[name], cohort[name], check_exact=True)


def test_parts_may_differ_in_columns_and_number_types(folder: Path) -> None:
    (folder / "tests").mkdir()
    one = pd.DataFrame([{**GOOD["tests"], "value": 1}])
    two = pd.DataFrame([{**GOOD["tests"], "value": 0.5, "trials_n": 3}])
    two["measured_at"] = "2026-03-03T09:00Z"
    one.to_parquet(folder / "tests" / "a.parquet")
    two.to_parquet(folder / "tests" / "b.parquet")
    frame = read_cohort(folder, now=NOW)["tests"]
    assert list(frame["value"]) == [100.0, 50.0]
    assert list(frame["trials_n"].fillna(0)) == [0, 3]


def test_integer_ids_in_parquet_keep_every_digit(folder: Path) -> None:
    big = 2**60 + 1
    (folder / "athletes.csv").unlink()
    pd.DataFrame({"athlete_id": pd.array([7, big], dtype="Int64"), "sex": ["male"] * 2}).to_parquet(
        folder / "athletes.parquet"
    )
    sessions = pd.DataFrame([GOOD["sessions"], {**GOOD["sessions"], "session_id": "s2"}])
    sessions["athlete_id"] = pd.array([big, None], dtype="Int64")
    (folder / "sessions.csv").unlink()
    sessions.to_parquet(folder / "sessions.parquet")
    cohort = read_cohort(folder, now=NOW)
    assert list(cohort["sessions"]["athlete_id"]) == [str(big)]
    assert cohort.counts["sessions"].reasons == {"missing_value": 1}


def test_quarantine_holds_rows_as_they_came(folder: Path, tmp_path: Path) -> None:
    good = "s{0},007,2026-03-0{0}T17:00:00+01:00,90,x{0}"
    lines = [
        "\ufeffsession_id,athlete_id,started_at,duration_min,line",
        good.format(1),
        "",
        'bad1,007,2026-03-05T17:00:00+01:00,"1,5","two\nlines"',
        good.format(2),
        "bad2,7,2026-03-06T17:00:00+01:00,090,",
    ]
    (folder / "sessions.csv").write_text("\n".join(lines), encoding="utf-8")
    cohort = read_cohort(folder, now=NOW, quarantine=tmp_path / "out")
    rows = pd.read_csv(
        tmp_path / "out" / "quarantine" / "sessions.csv", dtype=str, keep_default_na=False
    )
    assert cohort.counts["sessions"].quarantined == 2
    assert list(rows["line"]) == ["4", "7"]
    assert list(rows["reason"]) == ["not_a_number", "orphan"]
    assert list(rows["duration_min"]) == ["1,5", "090"]
    assert list(rows["line_original"]) == ["two\nlines", ""]
    assert rows["sentence"].str.len().min() > 20
    assert not (tmp_path / "out" / "quarantine" / "athletes.csv").exists()


def test_quarantine_of_an_earlier_run_does_not_stay(folder: Path) -> None:
    old = folder / "quarantine" / "sessions.csv"
    old.parent.mkdir()
    old.write_text("old", encoding="utf-8")
    cohort = read_cohort(folder, now=NOW, quarantine=folder)
    assert cohort.warnings == ()
    assert not old.exists()


def test_not_found(tmp_path: Path) -> None:
    assert _raises(tmp_path / "nothing").code == "cohort_not_found"
    assert _raises(tmp_path).code == "not_a_cohort"


@pytest.mark.parametrize(
    "text", ["", "- a\n", "name: ''\n", "timezone: UTC\n", "name: [a\n", "name: x\ntimezone: 5\n"]
)
def test_invalid_description(folder: Path, text: str) -> None:
    (folder / "cohort.yaml").write_text(text, encoding="utf-8")
    assert _raises(folder).code == "cohort_yaml_invalid"


def test_missing_table_names_what_is_there(folder: Path) -> None:
    (folder / "sessions.csv").rename(folder / "session.csv")
    error = _raises(folder)
    assert error.code == "table_missing"
    assert "athletes" in error.message
    cohort = read_cohort(folder, now=NOW, required=("athletes",))
    (warned,) = cohort.warnings
    assert warned.code == Notice.UNKNOWN_TABLE
    assert "sessions?" in warned.message


def test_table_twice(folder: Path) -> None:
    (folder / "sessions.csv.gz").write_bytes(gzip.compress(b"x"))
    error = _raises(folder)
    assert error.code == "table_twice"
    assert "sessions.csv.gz" in error.message


HEADER = b"session_id,athlete_id,started_at,duration_min\n"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("sessions.csv", b"", "table_empty"),
        ("sessions.csv", HEADER, "table_empty"),
        ("sessions.csv", HEADER + b"s1,007,2026-03-01T17:00Z,90,9\n", "table_unreadable"),
        ("sessions.csv", HEADER + b"s1,007\ns1,007,2026-03-01T17:00Z,90,9\n", "table_unreadable"),
        ("sessions.csv", HEADER + b"s\xff,007,2026-03-01T17:00Z,90\n", "table_unreadable"),
        ("sessions.csv", b"session_id,session_id\na,b\n", "table_unreadable"),
        ("sessions.csv.gz", b"no gzip", "table_unreadable"),
        ("sessions.csv.gz", gzip.compress(HEADER * 99)[:-20], "table_unreadable"),
        ("sessions.parquet", b"PAR1 not really", "table_unreadable"),
        ("sessions.csv", HEADER.replace(b",", b";"), "column_missing"),
    ],
)
def test_unreadable_tables(folder: Path, name: str, content: bytes, code: str) -> None:
    (folder / "sessions.csv").unlink()
    (folder / name).write_bytes(content)
    error = _raises(folder)
    assert error.code == code
    assert name in error.message


def test_folder_without_parts_is_empty(folder: Path) -> None:
    (folder / "labs").mkdir()
    assert _raises(folder).code == "table_empty"


def test_missing_column_names_the_one_that_was_meant(folder: Path) -> None:
    frame = pd.read_csv(folder / "sessions.csv", dtype=str)
    frame.rename(columns={"started_at": "start_at"}).to_csv(folder / "sessions.csv", index=False)
    error = _raises(folder)
    assert error.code == "column_missing"
    assert "sessions.csv" in error.message
    assert "session_id, athlete_id, start_at, ended_at" in error.message
    assert error.remedy == "Rename 'start_at' to started_at."


def test_sessions_need_an_end_or_a_duration(folder: Path) -> None:
    frame = pd.read_csv(folder / "sessions.csv", dtype=str)
    frame.drop(columns="ended_at").to_csv(folder / "sessions.csv", index=False)
    assert "duration_min" in _raises(folder).message


def test_truth_is_apart(folder: Path) -> None:
    assert read_truth(folder).empty
    assert tuple(read_truth(folder).columns) == TRUTH.names
    truth = {"athlete_id": "007", "episode_id": "s1", "component": "power", "recovery_h": 54.5}
    pd.DataFrame([truth]).to_parquet(folder / "truth.parquet")
    assert read_truth(folder)["recovery_h"].tolist() == [54.5]
    cohort = read_cohort(folder, now=NOW)
    assert "truth" not in cohort.tables
    assert cohort.warnings == ()
    pd.DataFrame([{**truth, "recovery_h": "soon"}]).to_parquet(folder / "truth.parquet")
    with pytest.raises(DataError) as caught:
        read_truth(folder)
    assert caught.value.code == "truth_invalid"


def test_all_tests_of_the_catalogue_can_be_read() -> None:
    rows = [
        {**GOOD["tests"], "test": name, "value": sum(spec.range) / 2, "unit": spec.unit}
        for name, spec in shipped_testspecs().items()
    ]
    cohort, _ = _read(tests=rows)
    assert len(cohort["tests"]) == len(rows)
