from __future__ import annotations

import csv
import time
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmr_ml.errors import DataError, UsageError
from nmr_ml.ingest import SOURCES, IngestOptions, soccermon
from tests.support.ingest_data import assert_balanced, entry, ingested, real

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.ingest import Ingested

ITEMS = ("readiness", "fatigue", "soreness", "stress", "mood", "sleep_quality")


def sql(query: str) -> list[tuple[Any, ...]]:
    table = f"read_csv('{real('soccermon') / soccermon.FILE}', nullstr='')"
    found = duckdb.sql(query.replace("{t}", table))
    assert found is not None
    return found.fetchall()


def test_the_account_of_the_real_data_agrees_with_sql() -> None:
    found = ingested("soccermon")
    assert_balanced(found)
    rows, loads, nights, flagged, answers = sql(
        "select count(*), sum((daily_load > 0)::int), count(sleep_duration), sum(injury), "
        "count(readiness) + count(fatigue) + count(soreness) + count(stress) + count(mood) "
        "+ count(sleep_quality) from {t}"
    )[0]
    assert (rows, loads, answers, nights, flagged) == (36_550, 14_191, 101_978, 16_981, 147)
    lengths = {name: len(frame) for name, frame in found.tables.items()}
    assert lengths == {
        "athletes": 50, "sessions": loads, "sleep": nights, "tests": answers, "episodes": 95,
    }  # fmt: skip
    assert entry(found, "master_dataset.csv: daily_load").used == loads
    assert entry(found, "master_dataset.csv: readiness").used == answers
    assert entry(found, "master_dataset.csv: sleep_duration").used == nights
    runs, kept = sql(
        "with d as (select *, lag(injury, 1, 0) over (partition by player_id order by date) was "
        "from {t}) select sum((injury = 1 and was = 0)::int), sum((daily_load > 0 or injury = 1 "
        "or was = 1 or coalesce(sleep_duration, readiness, fatigue, soreness, stress, mood, "
        "sleep_quality) is not null)::int) from d"
    )[0]
    assert (runs, kept) == (95, 18_780)
    whole = entry(found, "master_dataset.csv")
    assert (whole.rows_in, whole.used, len(found.unusable)) == (rows, kept, 0)
    assert whole.no_place == {soccermon.NOTHING: rows - kept}


def test_values_of_every_test_and_session_are_those_of_the_source() -> None:
    tests = ingested("soccermon").tables["tests"]
    means = sql(
        "select n, avg(v) from (unpivot {t} on readiness, fatigue, soreness, stress, mood, "
        "sleep_quality into name n value v) group by n"
    )
    assert len(means) == len(ITEMS)
    for name, mean in means:
        assert tests.loc[tests["test"] == name, "value"].mean() == pytest.approx(mean)
    sessions = ingested("soccermon").tables["sessions"]
    assert sessions["session_load_au"].sum() == pytest.approx(
        sql("select sum(daily_load) from {t}")[0][0]
    )


def test_no_look_ahead_and_no_derived_column_gets_in() -> None:
    found = ingested("soccermon")
    assert entry(found, "master_dataset.csv: injury_within_3d").used == 0
    assert entry(found, "master_dataset.csv: acwr").used == 0


def test_conventions_hold_in_winter_and_summer() -> None:
    tables = ingested("soccermon").tables
    for table, column, clock in (
        ("sessions", "started_at", "17:00"),
        ("sessions", "ended_at", "18:30"),
        ("tests", "measured_at", "08:00"),
        ("sleep", "wake_at", "07:30"),
        ("episodes", "onset_at", "08:00"),
    ):
        local = tables[table][column].dt.tz_convert("Europe/Oslo").dt.strftime("%H:%M")
        assert set(local) == {clock}
    for table in ("sessions", "tests", "sleep"):
        assert set(tables[table]["time_precision"]) == {"day"}
    asleep = tables["sleep"]["wake_at"] - tables["sleep"]["onset_at"]
    assert (asleep.dt.total_seconds() / 60 - tables["sleep"]["asleep_min"]).abs().max() < 0.01
    assert (tables["episodes"]["resolved_at"] > tables["episodes"]["onset_at"]).all()


def test_it_takes_seconds() -> None:
    begin = time.process_time()
    SOURCES["soccermon"](real("soccermon"), IngestOptions())
    assert time.process_time() - begin < 10


ROW = dict.fromkeys(soccermon.COLUMNS, "0") | {"team": "T"} | dict.fromkeys(ITEMS, "")


def write(folder: Path, rows: list[dict[str, str]]) -> Ingested:
    with (folder / soccermon.FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(soccermon.COLUMNS))
        writer.writeheader()
        writer.writerows({**ROW, "sleep_duration": "", **row} for row in rows)
    return soccermon.ingest(folder, IngestOptions())


def test_a_run_of_flags_is_one_injury_and_an_open_one_has_no_end(tmp_path: Path) -> None:
    days = [f"2020-03-{day:02d}" for day in range(27, 32)]
    flags = ["1", "1", "0", "1", "1"]
    found = write(tmp_path, [{"player_id": "a", "date": day, "injury": flag}
                             for day, flag in zip(days, flags, strict=True)])  # fmt: skip
    episodes = found.tables["episodes"]
    # The clock goes forward on the 29th: 08:00 is 07:00 UTC before it and 06:00 after.
    assert episodes["onset_at"].tolist() == [
        pd.Timestamp("2020-03-27T07:00Z"), pd.Timestamp("2020-03-30T06:00Z"),
    ]  # fmt: skip
    assert episodes["resolved_at"][0] == pd.Timestamp("2020-03-29T06:00Z")
    assert pd.isna(episodes["resolved_at"][1])
    assert entry(found, "master_dataset.csv: injury").used == 5


def test_a_day_whose_flag_is_not_known_ends_no_injury(tmp_path: Path) -> None:
    flags = {"2020-05-01": "1", "2020-05-02": "x", "2020-05-03": "1", "2020-05-04": ""}
    found = write(tmp_path, [{"player_id": "a", "date": day, "injury": flag}
                             for day, flag in flags.items()])  # fmt: skip
    assert_balanced(found)
    assert found.tables["episodes"]["resolved_at"].isna().tolist() == [True, True]


def test_a_gap_in_the_days_neither_joins_nor_ends_an_injury(tmp_path: Path) -> None:
    found = write(tmp_path, [{"player_id": "a", "date": "2020-05-01", "injury": "1"},
                             {"player_id": "a", "date": "2020-05-03", "injury": "1"},
                             {"player_id": "a", "date": "2020-05-05", "injury": "0"}])  # fmt: skip
    assert found.tables["episodes"]["resolved_at"].isna().tolist() == [True, True]


def test_what_cannot_be_used_is_kept_with_its_line(tmp_path: Path) -> None:
    found = write(tmp_path, [
        {"player_id": "a", "date": "2020-05-01", "readiness": "7", "soreness": "6"},
        {"player_id": "a", "date": "2020-05-01", "readiness": "8"},
        {"player_id": "a", "date": "1 May", "readiness": "8"},
        {"player_id": "b", "date": "2020-05-01", "daily_load": "lots"},
    ])  # fmt: skip
    assert_balanced(found)
    kept = found.unusable[["line", "item", "reason"]].sort_values(["line", "item"])
    assert kept.to_numpy().tolist() == [
        [2, "soreness", "out_of_range"],
        [3, "", "duplicate"],
        [4, "", "not_a_time"],
        [5, "daily_load", "not_a_number"],
    ]
    assert found.tables["tests"][["test", "value"]].to_numpy().tolist() == [["readiness", 7.0]]


CELL = st.sampled_from(["", "0", "1", "3", "5", "11", "-2", "x", "1e9"])
SOURCE_ROW = st.fixed_dictionaries(
    {"player_id": st.sampled_from(["a", "b", ""]),
     "date": st.sampled_from(["2020-05-01", "2020-05-02", "2020-05-04", "bad"]),
     **dict.fromkeys((*soccermon.BOUNDS,), CELL)}
)  # fmt: skip


@settings(deadline=None, max_examples=12,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.lists(SOURCE_ROW, max_size=8))
def test_every_row_and_cell_is_accounted_for(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    found = write(tmp_path, rows)
    assert_balanced(found)
    assert next(iter(found.account)).rows_in == len(rows)


def test_a_wrong_folder_and_a_unit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"master_dataset\.csv"):
        soccermon.ingest(tmp_path, IngestOptions())
    with pytest.raises(UsageError, match="cortisol"):
        soccermon.ingest(tmp_path, IngestOptions({"cortisol": "ug/dL"}))
