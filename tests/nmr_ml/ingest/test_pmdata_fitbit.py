from __future__ import annotations

from typing import Any

import pandas as pd

from nmr_ml.ingest import pmdata_fitbit
from nmr_ml.ingest.account import USED
from nmr_ml.ingest.pmdata_fitbit import NO_SESSION


def log(start: str, end: str, data: list[tuple[str, str, int]], number: int = 1) -> dict[str, Any]:
    epochs = [{"dateTime": at, "level": level, "seconds": seconds} for at, level, seconds in data]
    return {"athlete_id": "a", "logId": number, "startTime": start, "endTime": end,
            "levels": {"data": epochs}}  # fmt: skip


def test_a_night_over_the_start_of_summer_time() -> None:
    """01:00 to 06:00 on the wall is four hours; the export pads them with an hour of unknown."""
    night = log("2020-03-29 01:00:00", "2020-03-29T06:00:00.000", [
        ("2020-03-29T01:00:00.000", "wake", 600),
        ("2020-03-29T01:10:00.000", "deep", 3600),
        ("2020-03-29T02:10:00.000", "light", 7200),
        ("2020-03-29T04:10:00.000", "deep", 3000),
        ("2020-03-29T05:00:00.000", "unknown", 3600),
    ])  # fmt: skip
    found = pmdata_fitbit.nights(pd.DataFrame([night]), "Europe/Oslo")
    row = found.sleep.iloc[0]
    assert row["onset_at"] == pd.Timestamp("2020-03-29T00:10Z")
    assert row["wake_at"] == pd.Timestamp("2020-03-29T04:00Z")
    assert row["latency_min"] == 10
    assert row["deep_min"] == 110
    assert row["light_min"] == 120
    # The window ends at 03:10 UTC, where the second stretch of deep sleep begins.
    assert row["deep_first3h_min"] == 60
    assert found.epochs["stage"].tolist() == ["awake", "deep", "light", "deep"]
    assert found.epochs["started_at"].iloc[-1] == pd.Timestamp("2020-03-29T03:10Z")


def test_a_night_over_the_end_of_summer_time_has_the_hour_twice() -> None:
    night = log("2019-10-26 23:00:00", "2019-10-27T06:00:00.000",
                [("2019-10-26T23:00:00.000", "asleep", 8 * 3600)])  # fmt: skip
    row = pmdata_fitbit.nights(pd.DataFrame([night]), "Europe/Oslo").sleep.iloc[0]
    assert row["asleep_min"] == 480
    assert row["wake_at"] - row["onset_at"] == pd.Timedelta(hours=8)
    assert pd.isna(row["deep_min"])


def test_records_that_make_no_night_are_quarantined() -> None:
    good = [("2020-01-01T23:00:00.000", "light", 3600)]
    records = pd.DataFrame([
        log("2020-01-01 23:00:00", "2020-01-02T00:00:00.000", good, 1),
        log("2020-01-01 23:00:00", "2020-01-02T00:00:00.000", good, 1),
        log("2020-01-01 23:00:00", "2020-01-01T22:00:00.000", good, 2),
        log("2020-03-29 02:30:00", "2020-03-29T05:00:00.000", good, 3),
        log("2020-01-01 23:00:00", "2020-01-02T00:00:00.000", [], 4),
        log("2020-01-01 23:00:00", "2020-01-02T00:00:00.000",
            [("2020-01-01T23:00:00.000", "trance", 3600)], 5),
        log("2020-01-01 23:00:00", "2020-01-02T00:00:00.000",
            [("2020-01-01T23:00:00.000", "wake", 3600)], 6),
        log("2020-01-01 23:00:00", "2020-01-02T00:00:00.000",
            [*good, ("2020-01-01T23:30:00.000", "deep", 1800)], 7),
    ])  # fmt: skip
    found = pmdata_fitbit.nights(records, "Europe/Oslo")
    assert found.outcome.tolist() == [
        USED, "duplicate", "time_reversed", "time_does_not_exist", "unknown_category",
        "unknown_category", "missing_value", "overlap",
    ]  # fmt: skip
    assert len(found.sleep) == 1
    assert len(found.epochs) == 1


def test_a_session_takes_the_exercise_that_is_mostly_the_same() -> None:
    start = pd.to_datetime(["2020-01-01T10:00Z", "2020-01-01T18:00Z", "2020-01-01T10:00Z"])
    sessions = pd.DataFrame(
        {"athlete_id": ["a", "a", "b"], "started_at": start, "ended_at": start + pd.Timedelta("1h")}
    )
    exercises = pd.DataFrame({
        "athlete_id": "a",
        "logId": [1, 2, 3, 4],
        # Half an hour off; five minutes off; a short walk inside; not at all.
        "startTime": ["2020-01-01 10:30:00", "2020-01-01 10:05:00", "2020-01-01 18:00:00",
                      "2020-01-02 10:00:00"],
        "duration": [3_600_000, 3_600_000, 900_000, 3_600_000],
        "averageHeartRate": [100, 150, 90, 120],
        "distance": [5.0, 0.0, 1.0, 2.0],
        "distanceUnit": "Kilometer",
        "calories": [1, 700, 1, 1],
    })  # fmt: skip
    enriched, outcome = pmdata_fitbit.measured(sessions, exercises)
    assert outcome.tolist() == [NO_SESSION, USED, NO_SESSION, NO_SESSION]
    assert enriched["mean_hr_bpm"].tolist()[0] == 150
    assert enriched["mean_hr_bpm"].isna().tolist() == [False, True, True]
    assert enriched["energy_kcal"].tolist()[0] == 700
    # A distance of zero was not measured.
    assert enriched["distance_m"].isna().all()
