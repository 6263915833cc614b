from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from nmr_ml.errors import DataError
from nmr_ml.ingest import IngestOptions, pmdata
from tests.support.ingest_data import assert_balanced, entry, ingested, real

if TYPE_CHECKING:
    from pathlib import Path

P = "p[0-9][0-9]"


def csv_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a file of everybody, read with nothing but the standard library."""
    found = []
    for path in sorted(real("pmdata").glob(f"p*/{name}")):
        with path.open(newline="", encoding="utf-8") as file:
            found += [{**row, "who": path.parts[-3]} for row in csv.DictReader(file)]
    return found


def json_rows(name: str) -> list[dict[str, Any]]:
    found = []
    for path in sorted(real("pmdata").glob(f"p*/{name}")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        found += [{**row, "who": path.parts[-3]} for row in rows]
    return found


def test_every_row_of_the_real_data_is_accounted_for() -> None:
    found = ingested("pmdata")
    assert_balanced(found)
    for name in ("pmsys/wellness.csv", "pmsys/srpe.csv", "pmsys/injury.csv",
                 "googledocs/reporting.csv", "fitbit/sleep_score.csv"):  # fmt: skip
        assert entry(found, f"{P}/{name}").rows_in == len(csv_rows(name))
    for name in ("sleep", "exercise", "resting_heart_rate", "time_in_heart_rate_zones",
                 "lightly_active_minutes", "moderately_active_minutes", "sedentary_minutes",
                 "very_active_minutes"):  # fmt: skip
        path = f"fitbit/{name}.json"
        assert entry(found, f"{P}/{path}").rows_in == len(json_rows(path))


def test_the_hard_counts() -> None:
    found = ingested("pmdata")
    lengths = {name: len(frame) for name, frame in found.tables.items()}
    assert lengths == {"athletes": 16, "sessions": 772, "sleep": 2001, "sleep_epochs": 126_490,
                       "tests": 10_467, "episodes": 45}  # fmt: skip
    assert entry(found, f"{P}/pmsys/srpe.csv").quarantined == {"missing_value": 11}
    assert entry(found, f"{P}/fitbit/sleep.json").quarantined == {"duplicate": 63}
    assert entry(found, f"{P}/pmsys/wellness.csv").quarantined == {"out_of_range": 2}
    assert "p08" in entry(found, f"{P}/pmsys/injury.csv").note
    assert "p15" in entry(found, f"{P}/googledocs/reporting.csv").note
    assert "p12, p13" in entry(found, f"{P}/fitbit/resting_heart_rate.json").note


def test_sessions_are_those_of_the_source() -> None:
    sessions = ingested("pmdata").tables["sessions"]
    rated = [row for row in csv_rows("pmsys/srpe.csv") if row["perceived_exertion"]]
    load = sum(float(row["perceived_exertion"]) * float(row["duration_min"]) for row in rated)
    assert (sessions["session_rpe"] * sessions["duration_min"]).sum() == load
    soccer = sum("soccer" in row["activity_names"] for row in rated)
    only = sum(row["activity_names"] in ("['individual', 'strength']", "['team', 'strength']")
               for row in rated)  # fmt: skip
    kinds = sessions["modality"].value_counts()
    assert (kinds["soccer"], kinds["resistance"]) == (soccer, only)
    assert "session_load_au" not in sessions  # both parts are known


def test_questionnaires_keep_their_utc_time_and_readiness_may_be_zero() -> None:
    tests = ingested("pmdata").tables["tests"]
    forms = csv_rows("pmsys/wellness.csv")
    assert tests["measured_at"].min() == pd.Timestamp(
        min(form["effective_time_frame"] for form in forms)
    )
    # 74 zeros, of which two are forms without any answer.
    assert (tests.loc[tests["test"] == "readiness", "value"] == 0).sum() == 72
    assert tests.loc[tests["test"] != "readiness", "value"].min() == 1
    kept = ingested("pmdata").unusable
    assert Counter(kept.loc[kept["item"] != "", "item"]) == {"mood": 1, "stress": 2}


def test_stage_minutes_agree_with_those_that_fitbit_counts() -> None:
    sleep = ingested("pmdata").tables["sleep"]
    logs = {(log["who"], log["logId"]): log for log in json_rows("fitbit/sleep.json")}
    staged = [log for log in logs.values() if log["type"] == "stages"]
    assert (len(logs), len(staged)) == (2001, 1850)
    assert sleep["deep_min"].notna().sum() == len(staged)
    assert sleep["deep_first3h_min"].notna().sum() == len(staged)
    fitbit = sum(log["levels"]["summary"]["deep"]["minutes"] for log in staged)
    assert sleep["deep_min"].sum() == pytest.approx(fitbit, rel=0.001)
    rem = sum(log["levels"]["summary"]["rem"]["minutes"] for log in staged)
    assert sleep["rem_min"].sum() == pytest.approx(rem, rel=0.001)
    classic = sleep[sleep["deep_min"].isna()]
    asleep = sum(log["minutesAsleep"] for log in logs.values() if log["type"] == "classic")
    # Three of the 151 logs disagree with their own epochs, by -2, 5 and 7 minutes.
    assert classic["asleep_min"].sum() == asleep + 10


def test_the_parts_of_a_night_are_the_night() -> None:
    sleep = ingested("pmdata").tables["sleep"]
    in_bed = (sleep["wake_at"] - sleep["onset_at"]).dt.total_seconds() / 60
    rest = in_bed - sleep["asleep_min"] - sleep["awake_min"]
    # The export counts whole minutes for a log and may leave out the last half; unknown remains.
    assert rest.min() >= 0
    assert rest.max() <= 2
    staged = sleep.dropna(subset=["deep_min"])
    assert (staged["deep_first3h_min"] <= staged["deep_min"]).all()
    parts = staged[["light_min", "deep_min", "rem_min"]].sum(axis=1)
    assert (parts - staged["asleep_min"]).abs().max() < 1e-6


def test_the_night_of_the_clock_change_has_its_real_length() -> None:
    """p01 slept from 00:46:30 to 08:40:30 while the clock skipped an hour; see sleep.json."""
    sleep = ingested("pmdata").tables["sleep"]
    wake = pd.Timestamp("2020-03-29T06:40:30Z")
    row = sleep[(sleep["athlete_id"] == "p01") & (sleep["wake_at"] == wake)].iloc[0]
    [log] = [log for log in json_rows("fitbit/sleep.json")
             if log["who"] == "p01" and log["startTime"] == "2020-03-29 00:46:30"]  # fmt: skip
    assert log["timeInBed"] == 474  # the hour that the clock skipped, padded with `unknown`
    total = row[["latency_min", "asleep_min", "awake_min"]].sum()
    assert total == 414
    assert row["deep_min"] == pytest.approx(log["levels"]["summary"]["deep"]["minutes"], abs=1)


def test_resting_heart_rate_is_that_of_the_night_itself() -> None:
    sleep = ingested("pmdata").tables["sleep"]
    scores = [int(row["resting_heart_rate"]) for row in csv_rows("fitbit/sleep_score.csv")]
    assert len(scores) == 1836
    assert sleep["resting_hr_bpm"].notna().sum() == 1834
    assert sleep["resting_hr_bpm"].between(min(scores), max(scores)).sum() == 1834
    # p12 has no daily values at all, but one scored night.
    assert sleep.loc[sleep["athlete_id"] == "p12", "resting_hr_bpm"].notna().sum() == 1


def test_exercises_are_utc_and_enrich_the_sessions_they_coincide_with() -> None:
    sessions = ingested("pmdata").tables["sessions"]
    [run] = [row for row in json_rows("fitbit/exercise.json") if row["logId"] == 26664863611]
    row = sessions[sessions["session_id"] == "pmdata-p01-2019-11-11T21:15:15.092Z"].iloc[0]
    # 20:53:44 and 21 minutes, within 20:45:15 to 21:15:15: only if both are of the same clock.
    assert run["startTime"] == "2019-11-11 20:53:44"
    assert row["mean_hr_bpm"] == run["averageHeartRate"]
    assert row["distance_m"] == pytest.approx(1000 * run["distance"])
    assert sessions["mean_hr_bpm"].notna().sum() == 449
    assert not any(str(name).startswith("hr_zone") for name in sessions)


def test_injuries_of_one_region_run_together() -> None:
    episodes = ingested("pmdata").tables["episodes"]
    foot = episodes[(episodes["athlete_id"] == "p05") & (episodes["body_region"] == "left_foot")]
    # Reported 1 Nov; not on 7 Nov; and from 30 Jan on in every report, once 15 days apart.
    assert foot["onset_at"].dt.strftime("%m-%d").tolist() == ["11-01", "01-30"]
    assert foot["resolved_at"].isna().tolist() == [False, True]
    reports = csv_rows("pmsys/injury.csv")
    named = {(row["who"], region) for row in reports for region in eval(row["injuries"])}  # noqa: S307
    assert set(zip(episodes["athlete_id"], episodes["body_region"], strict=True)) == named
    closed = episodes.dropna(subset=["resolved_at"])
    assert (closed["resolved_at"] > closed["onset_at"]).all()
    back = episodes[episodes["body_region"] == "stomach_back"].iloc[0]
    assert back["grade"] == "major"
    filled = sum(row["injuries"] != "{}" for row in reports)
    used = entry(ingested("pmdata"), f"{P}/pmsys/injury.csv").used
    ends = set(zip(episodes["athlete_id"], episodes["resolved_at"], strict=True))
    empty_ends = sum(
        row["injuries"] == "{}" and (row["who"], pd.Timestamp(row["effective_time_frame"])) in ends
        for row in reports
    )
    assert used == filled + empty_ends == 84


def test_people_have_what_the_overview_says() -> None:
    athletes = ingested("pmdata").tables["athletes"].set_index("athlete_id")
    assert athletes["sex"].value_counts().to_dict() == {"male": 13, "female": 3}
    # The workbook has a no-break space after this one.
    assert athletes.loc["p06", "sex"] == "male"
    told = athletes[["birth_year", "stature_cm", "hr_max_bpm"]]
    assert told[told.index == "p04"].to_numpy().tolist() == [[1993, 163, 195]]
    assert athletes["hr_max_bpm"].isna().sum() == 3
    assert pd.isna(athletes["body_mass_kg"]["p15"])
    assert athletes.loc["p06", "body_mass_kg"] == 95


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A copy of the folder with one person, without the fat files."""
    root = real("pmdata")
    shutil.copy(root / pmdata.OVERVIEW, tmp_path)
    shutil.copytree(root / "p03" / "pmsys", tmp_path / "p03" / "pmsys")
    return tmp_path


def test_files_that_are_missing_for_everybody_are_told(small: Path) -> None:
    found = pmdata.ingest(small, IngestOptions())
    assert_balanced(found)
    assert len(found.tables["sessions"]) == 2
    assert len(found.tables["sleep"]) == 0
    sleep = entry(found, f"{P}/fitbit/sleep.json")
    assert (sleep.rows_in, sleep.note[-15:]) == (0, "no file for p03")
    assert entry(found, pmdata.OVERVIEW).no_place == {pmdata.NO_FOLDER: 15}


def test_damaged_rows_are_quarantined_and_strange_files_are_listed(small: Path) -> None:
    (small / "p03" / "pmsys" / "srpe.csv").write_text(
        "end_date_time,activity_names,perceived_exertion,duration_min\n"
        "2019-12-24T10:10:35.000Z,\"['individual', 'running']\",5,30\n"
        "2019-12-24T10:10:35.000Z,\"['individual', 'running']\",5,30\n"
        "2019-12-25T10:10:35.000Z,\"['knitting']\",5,30\n"
        "2019-12-26T10:10:35.000Z,\"['individual', 'running']\",17,30\n"
        "yesterday,\"['individual', 'running']\",5,30\n",
        encoding="utf-8",
    )
    (small / "p03" / "pmsys" / "injury.csv").write_text(
        "effective_time_frame,injuries\n2019-12-24T10:00:00Z,{'left_knee': 'minor'\n"
        "2019-12-25T10:00:00Z,{'left_knee': 'awful'}\n",
        encoding="utf-8",
    )
    (small / "p03" / "diary.txt").touch()
    found = pmdata.ingest(small, IngestOptions())
    assert_balanced(found)
    assert found.unusable[["line", "reason"]].to_numpy().tolist() == [
        [3, "duplicate"], [4, "unknown_category"], [5, "out_of_range"], [6, "not_a_time"],
        [2, "unknown_category"], [3, "unknown_category"],
    ]  # fmt: skip
    assert entry(found, "p03/diary.txt").note == "not a file of this source: not read"


def test_a_wrong_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"participant-overview\.xlsx.*srpe\.csv") as refused:
        pmdata.ingest(tmp_path, IngestOptions())
    assert refused.value.code == "source_not_found"
