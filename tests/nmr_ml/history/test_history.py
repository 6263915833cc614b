"""The sorted arrays that the kernels read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from nmr_ml.cohort.tables import ANALYTES, MODALITIES, SEXES
from nmr_ml.history.columns import seconds
from nmr_ml.history.local_time import local_day, local_seconds, midnights
from tests.support.feature_cohorts import cohort, history_of, random_cohort

ATHLETES = [{"athlete_id": "b", "sex": "male"}, {"athlete_id": "a", "sex": "female"}]


def at(text: str) -> pd.Timestamp:
    return pd.Timestamp(text).tz_convert("UTC")


def session(athlete: str, ended: str, **columns: object) -> dict[str, object]:
    end = at(ended)
    return {"session_id": f"{athlete}{ended}", "athlete_id": athlete, "ended_at": end,
            "started_at": end - pd.Timedelta(minutes=90), "known_at": end,
            "time_precision": "minute", **columns}  # fmt: skip


def test_rows_are_sorted_by_athlete_and_event_time() -> None:
    rows = [
        session("b", "2026-03-02T10:00:00Z"),
        session("a", "2026-03-03T10:00:00Z", modality="rugby"),
        session("a", "2026-03-01T10:00:00Z"),
    ]
    history = history_of(cohort(athletes=ATHLETES, sessions=rows))
    assert history.athlete_ids == ("a", "b")
    assert history.sessions.offsets.tolist() == [0, 2, 3]
    assert np.all(np.diff(history.sessions.at_s[:2]) > 0)
    assert history.person["sex"].tolist() == [SEXES.index("female"), SEXES.index("male")]
    modality = history.sessions.columns["modality"]
    assert modality[1] == MODALITIES.index("rugby")
    assert np.isnan(modality[0])


def test_empty_tables_give_empty_rows() -> None:
    history = history_of(cohort(athletes=ATHLETES))
    for rows in (history.sessions, history.sleep, history.labs, history.tests, history.nutrition):
        assert len(rows) == 0
        assert rows.offsets.tolist() == [0, 0, 0]


def test_equal_times_are_ordered_by_id() -> None:
    one = session("a", "2026-03-01T10:00:00Z")
    rows = [{**one, "session_id": name} for name in ("z", "x", "y")]
    history = history_of(cohort(athletes=ATHLETES, sessions=rows))
    assert history.session_ids.tolist() == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("given_load", "rpe", "minutes", "precision", "load", "duration"),
    [
        (300.0, 5.0, 60.0, "minute", 300.0, 60.0),
        (np.nan, 5.0, 60.0, "minute", 300.0, 60.0),
        (np.nan, 5.0, np.nan, "minute", 450.0, 90.0),  # from start to end
        (np.nan, 5.0, np.nan, "day", np.nan, np.nan),  # the times of that day are a convention
        (np.nan, np.nan, 60.0, "minute", np.nan, 60.0),
        (0.0, 5.0, 60.0, "minute", 0.0, 60.0),  # 0 is not absent
    ],
)
def test_load_and_duration(
    given_load: float, rpe: float, minutes: float, precision: str, load: float, duration: float
) -> None:
    row = session("a", "2026-03-01T10:00:00Z", session_load_au=given_load, session_rpe=rpe,
                  duration_min=minutes, time_precision=precision)  # fmt: skip
    columns = history_of(cohort(athletes=ATHLETES, sessions=[row])).sessions.columns
    np.testing.assert_equal(columns["session_load_au"], [load])
    np.testing.assert_equal(columns["duration_min"], [duration])


def test_food_is_eaten_on_its_day_and_over_at_local_midnight() -> None:
    rows = [
        {"athlete_id": "a", "date": pd.Timestamp(day), "known_at": at("2026-05-01T00:00:00Z")}
        for day in ("2026-03-28", "2026-03-29")  # summer time begins on the second
    ]
    history = history_of(cohort("Europe/Oslo", athletes=ATHLETES, nutrition=rows))
    ends = pd.to_datetime(history.nutrition.at_s, unit="s", utc=True)
    assert [str(end) for end in ends] == ["2026-03-28 23:00:00+00:00", "2026-03-29 22:00:00+00:00"]
    days = history.nutrition.columns["local_day"].astype("datetime64[D]")
    assert days.astype(str).tolist() == ["2026-03-28", "2026-03-29"]


@pytest.mark.parametrize(
    ("zone", "moment", "day", "hour"),
    [
        ("Europe/Oslo", "2026-03-28T23:30:00Z", "2026-03-29", 0.5),
        ("Europe/Oslo", "2026-03-29T01:30:00Z", "2026-03-29", 3.5),
        ("America/New_York", "2026-03-29T02:00:00Z", "2026-03-28", 22.0),
        ("", "2026-03-29T02:00:00Z", "2026-03-29", 2.0),
        ("Asia/Kolkata", "1969-12-31T20:00:00Z", "1970-01-01", 1.5),
    ],
)
def test_local_calendar(zone: str, moment: str, day: str, hour: float) -> None:
    moment_s = np.array([at(moment).timestamp()], np.int64)
    assert str(local_day(moment_s, zone).astype("datetime64[D]")[0]) == day
    assert local_seconds(moment_s, zone)[0] % 86_400 / 3600 == hour


@pytest.mark.parametrize(
    "zone", ["Europe/Oslo", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe",
             "Africa/Casablanca", "Pacific/Apia", "UTC"],
)  # fmt: skip
def test_local_clock_agrees_with_pandas(zone: str) -> None:
    moments = np.random.default_rng(0).integers(0, 4_000_000_000, 20_000)
    changes = pd.Timestamp("2026-03-29T01:00:00Z").timestamp() + np.arange(-3, 4)
    moments = np.append(moments, changes.astype(np.int64))
    wall = pd.to_datetime(moments, unit="s", utc=True).tz_convert(zone).tz_localize(None)
    assert local_seconds(moments, zone).tolist() == wall.as_unit("s").asi8.tolist()


def test_missing_times_are_missing() -> None:
    cells: list[Any] = ["2026-01-01T00:00:01.9Z", None]
    times = pd.Series(pd.to_datetime(cells, utc=True)).dt.as_unit("us")
    np.testing.assert_equal(seconds(times), [1_767_225_601, np.nan])


@pytest.mark.parametrize(
    "zone",
    ["Europe/Oslo", "America/Sao_Paulo", "Asia/Beirut", "America/Havana", "Africa/Cairo",
     "Asia/Kolkata", "UTC", ""],
)  # fmt: skip
def test_midnights_agree_with_pandas(zone: str) -> None:
    days = np.arange(0, 25_000)
    local = pd.DatetimeIndex(days.astype("datetime64[D]")).tz_localize(
        zone or "UTC", ambiguous=np.ones(days.size, bool), nonexistent="shift_forward"
    )
    expected = local.tz_convert("UTC").tz_localize(None).as_unit("s").asi8
    assert midnights(days, zone).tolist() == expected.tolist()


def test_day_without_midnight_begins_with_its_first_moment() -> None:
    """Samoa went from 23:59:59 to 01:00 on 26 September 2010."""
    day = np.array(["2010-09-26"], "datetime64[D]").astype(np.int64)
    begin = midnights(day, "Pacific/Apia")
    assert local_seconds(begin, "Pacific/Apia")[0] == day[0] * 86_400 + 3600
    assert local_seconds(begin - 1, "Pacific/Apia")[0] == day[0] * 86_400 - 1


def test_devices_and_flags_keep_missing_apart() -> None:
    wake = at("2026-03-02T06:00:00Z")
    nights = [
        {"athlete_id": "a", "onset_at": wake - pd.Timedelta(hours=8 + 24 * i), "device": device,
         "wake_at": wake - pd.Timedelta(hours=24 * i), "known_at": wake}
        for i, device in enumerate(("ring", None, "watch"))
    ]  # fmt: skip
    lab = {"athlete_id": "a", "drawn_at": wake, "known_at": wake, "unit": "1", "value": 1.0,
           "specimen": "serum"}  # fmt: skip
    told = {"ck": None, "ldh": True, "crp": False}
    labs = [{**lab, "analyte": analyte, "below_loq": flag} for analyte, flag in told.items()]
    history = history_of(cohort(athletes=ATHLETES, sleep=nights, labs=labs))
    device = history.sleep.columns["device"]
    assert device[0] != device[2]
    assert np.isnan(device[1])
    order = [ANALYTES[int(code)] for code in history.labs.columns["analyte"]]
    flags = dict(zip(order, history.labs.columns["below_loq"], strict=True))
    assert (flags["ldh"], flags["crp"], np.isnan(flags["ck"])) == (1.0, 0.0, True)


def test_all_columns_are_contiguous_float64() -> None:
    history = history_of(random_cohort(3, athletes=2, days=10))
    for rows in (history.sessions, history.sleep, history.labs, history.tests, history.nutrition):
        for column in rows.columns.values():
            assert column.dtype == np.float64
            assert column.flags.c_contiguous
            assert column.size == len(rows)
