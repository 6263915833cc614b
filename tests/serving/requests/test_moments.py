"""Moments as text, against the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.requests.moments import microseconds_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFSETS = st.integers(-900, 900).map(lambda m: timezone(timedelta(minutes=m)))
MOMENTS = st.datetimes(
    min_value=datetime(1800, 1, 1),  # noqa: DTZ001 - the zone is drawn beside it
    max_value=datetime(2254, 1, 1),  # noqa: DTZ001
    timezones=OFFSETS,
)


def expected(moment: datetime) -> float:
    return float((moment - EPOCH) // timedelta(microseconds=1))


@settings(deadline=None)  # the first call compiles
@given(st.lists(MOMENTS | st.none(), max_size=8), st.sampled_from(["T", " "]))
def test_agrees_with_the_standard_library(moments: list[datetime | None], between: str) -> None:
    texts = [None if m is None else m.isoformat(between) for m in moments]
    wanted = [np.nan if m is None else expected(m) for m in moments]
    np.testing.assert_array_equal(microseconds_of(texts), wanted)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.999999999Z", 999_999),
        ("1969-12-31T23:59:59.5Z", -500_000),
        ("2026-03-01 17:30:00+01:00", 1_772_382_600_000_000),
        ("2024-02-29T00:00:00.000Z", 1_709_164_800_000_000),
    ],
)
def test_usual_forms(text: str, expected: int) -> None:
    assert microseconds_of([text, "1970-01-01T00:00:01Z"]).tolist() == [expected, 1e6]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T17:30:00", "2026-03-01", "20260301T173000+0100", "2026-03-01T17:30+01:00",
        "2026-03-01T17:30:00+01:00:30", "2026-03-01T17:30:00+15:01", "2026-03-01T17:30:00.Z",
        "", "nothing", "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-03-01T24:00:00Z",
        "2026-03-01T17:60:00Z", "2026-03-01T17:30:60Z", "2026-03-01T17:30:00+24:00",
        "2026-03-01T17:30:00Z ", "2026/03/01T17:30:00Z",
        "2026-03-01T1a:30:00Z", "２026-03-01T17:30:00Z", "2026-03-01T17:30:00Z\n",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"usual form|ascii"):
        microseconds_of(["1970-01-01T00:00:01Z", text])


def test_nothing_and_missing() -> None:
    assert microseconds_of([]).size == 0
    assert np.isnan(microseconds_of([None, None])).all()
