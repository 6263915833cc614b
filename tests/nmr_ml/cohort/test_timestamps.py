from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.cohort.timestamps import UTC_TIME, dates, day_bounds, times, zone
from nmr_ml.errors import DataError
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from nmr_ml.cohort.parsing import Parsed

OSLO = zone("Europe/Oslo")


def _one(parsed: Parsed) -> tuple[Any, list[Quarantine]]:
    return parsed.column[0], [reason for reason, rows in parsed.problems if rows.any()]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-01T17:30:00+01:00", "2026-03-01T16:30:00Z"),
        ("2026-03-01 17:30Z", "2026-03-01T17:30:00Z"),
        ("2026-03-01T17:30:00.123456789+0100", "2026-03-01T16:30:00.123456Z"),
        ("20260301T173000-05", "2026-03-01T22:30:00Z"),
        ("2026-03-01T17:30", "2026-03-01T16:30:00Z"),
        ("2026-07-01T17:30", "2026-07-01T15:30:00Z"),
        # Either side of the hour that is skipped, and of the one that happens twice.
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59Z"),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
        ("2026-10-25T01:59:59", "2026-10-24T23:59:59Z"),
        ("2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
        # With its offset the doubled hour is clear.
        ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00Z"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z"),
    ],
)
def test_read(text: str, utc: str) -> None:
    assert _one(times(pd.Series([text], dtype="str"), OSLO)) == (pd.Timestamp(utc), [])


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("2026-03-29T02:00:00", Quarantine.TIME_DOES_NOT_EXIST),
        ("2026-03-29T02:59:59", Quarantine.TIME_DOES_NOT_EXIST),
        ("2026-10-25T02:00:00", Quarantine.TIME_AMBIGUOUS),
        ("2026-10-25T02:59:59", Quarantine.TIME_AMBIGUOUS),
        ("2026-03-01", Quarantine.NOT_A_TIME),
        (date(2026, 3, 1), Quarantine.NOT_A_TIME),
        ("2026-13-01T00:00Z", Quarantine.NOT_A_TIME),
        ("2026-03-01T24:30:00Z", Quarantine.NOT_A_TIME),
        ("01/03/2026 17:30", Quarantine.NOT_A_TIME),
        ("yesterday", Quarantine.NOT_A_TIME),
        (1772382600, Quarantine.NOT_A_TIME),
    ],
)
def test_not_read(cell: object, reason: Quarantine) -> None:
    value, reasons = _one(times(pd.Series([cell], dtype=object), OSLO))
    assert pd.isna(value)
    assert reasons == [reason]


def test_naive_without_timezone_is_refused_and_aware_is_not() -> None:
    parsed = times(pd.Series(["2026-03-01T17:30", "2026-03-01T17:30Z"]), None)
    found = {reason: list(rows) for reason, rows in parsed.problems}
    assert found[Quarantine.NAIVE_TIME] == [True, False]
    assert parsed.column[1] == pd.Timestamp("2026-03-01T17:30Z")


def test_one_column_may_mix_everything() -> None:
    cells = ["2026-03-01T17:30+05:30", None, "2026-03-01T17:30", datetime(2026, 3, 1, tzinfo=UTC)]
    parsed = times(pd.Series(cells, dtype=object), OSLO)
    assert parsed.column.dtype == UTC_TIME
    expected: list[Any] = ["2026-03-01T12:00Z", None, "2026-03-01T16:30Z", "2026-03-01T00:00Z"]
    pd.testing.assert_index_equal(
        pd.DatetimeIndex(parsed.column),
        pd.DatetimeIndex(pd.to_datetime(expected, format="ISO8601")).as_unit("us"),
    )


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_typed_times(unit: Literal["s", "ms", "us", "ns"]) -> None:
    naive = pd.Series(pd.DatetimeIndex(["2026-07-01T12:00", "2026-03-29T02:30"]).as_unit(unit))
    parsed = times(naive, OSLO)
    assert parsed.column.dtype == UTC_TIME
    assert parsed.column[0] == pd.Timestamp("2026-07-01T10:00Z")
    assert [reason for reason, rows in parsed.problems if rows.any()] == [
        Quarantine.TIME_DOES_NOT_EXIST
    ]
    aware = naive.dt.tz_localize("America/New_York")
    assert times(aware, None).column[0] == pd.Timestamp("2026-07-01T16:00Z")


@given(
    st.integers(-631_152_000, 2_524_608_000).map(
        lambda seconds: datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    ),
    st.sampled_from(["Europe/Oslo", "America/St_Johns", "Australia/Lord_Howe"]),
)
def test_local_time_agrees_with_python_or_is_refused(moment: datetime, name: str) -> None:
    place = zone(name)
    value, reasons = _one(times(pd.Series([moment.isoformat()], dtype="str"), place))
    early, late = (moment.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early == late:
        assert value == early
        assert reasons == []
    else:
        skipped = early > late
        expected = Quarantine.TIME_DOES_NOT_EXIST if skipped else Quarantine.TIME_AMBIGUOUS
        assert reasons == [expected]


@pytest.mark.parametrize(
    "cell", ["2026-03-01", "20260301", "2026-03-01T00:00:00", date(2026, 3, 1)]
)
def test_dates(cell: object) -> None:
    parsed = dates(pd.Series([cell], dtype=object))
    assert parsed.column[0] == pd.Timestamp("2026-03-01")
    assert parsed.column.dtype == np.dtype("datetime64[us]")


@pytest.mark.parametrize("cell", ["2026-02-30", "2026-03-01T08:00", "2026-03-01T00:00Z", "1 March"])
def test_not_dates(cell: str) -> None:
    value, reasons = _one(dates(pd.Series([cell], dtype="str")))
    assert pd.isna(value)
    assert reasons == [Quarantine.NOT_A_TIME]


def test_typed_dates_must_be_whole_days() -> None:
    parsed = dates(pd.Series(pd.to_datetime(["2026-03-01", "2026-03-01T08:00"], format="ISO8601")))
    assert list(parsed.problems[0][1]) == [False, True]


def test_local_days_are_23_and_25_hours_long() -> None:
    days = pd.Series(pd.to_datetime(["2026-03-28", "2026-03-29", "2026-10-25"]))
    begins, ends = day_bounds(days, zone("Europe/Oslo") or pytest.fail("no zone"))
    assert list((ends - begins) / pd.Timedelta(hours=1)) == [24, 23, 25]


def test_day_without_midnight_begins_when_the_clock_does() -> None:
    begins, _ = day_bounds(
        pd.Series(pd.to_datetime(["2026-09-06"])),
        zone("America/Santiago") or pytest.fail("no zone"),
    )
    assert begins[0] == pd.Timestamp("2026-09-06T01:00", tz="America/Santiago")


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "+01:00"])
def test_unknown_zone(name: str) -> None:
    with pytest.raises(DataError) as caught:
        zone(name)
    assert caught.value.code == "timezone_unknown"


def test_no_zone() -> None:
    assert zone("") is None
