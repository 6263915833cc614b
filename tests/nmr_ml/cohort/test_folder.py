from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from nmr_ml.cohort.reader import read_cohort, read_truth
from nmr_ml.cohort.tables import TABLES, TRUTH
from nmr_ml.cohort.writer import write_cohort
from nmr_ml.errors import DataError
from nmr_ml.reasons import Notice
from tests.support.reader_rows import ATHLETE, GOOD, NOW, read_tables

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cohort.yaml").write_text("name: squad\ntimezone: Europe/Oslo\n", encoding="utf-8")
    for name in ("athletes", "sessions"):
        pd.DataFrame([GOOD[name]]).to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def _raises(path: Path, **options: Any) -> DataError:
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
    cohort, _ = read_tables({name: [row] for name, row in GOOD.items()})
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
