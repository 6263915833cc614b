from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.cohort.row_rules import (
    Finding,
    duplicates,
    of_one_row,
    orphans,
    overlaps,
    rejected,
    survivors,
)
from nmr_ml.cohort.tables import NUTRITION, SESSIONS, SLEEP
from nmr_ml.reasons import Quarantine

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MIDNIGHT = pd.Timestamp("2026-03-01T00:00Z").as_unit("us")


def _sessions(spans: list[tuple[str, int, int]], precision: str = "minute") -> pd.DataFrame:
    hour = pd.Timedelta(hours=1)
    return pd.DataFrame(
        {
            "session_id": [f"s{number}" for number in range(len(spans))],
            "athlete_id": [athlete for athlete, _, _ in spans],
            "started_at": [MIDNIGHT + start * hour for _, start, _ in spans],
            "ended_at": [MIDNIGHT + end * hour for _, _, end in spans],
            "time_precision": pd.Series([precision] * len(spans), dtype="str"),
        }
    )


def _overlapping(frame: pd.DataFrame) -> list[int]:
    (finding,) = overlaps(SESSIONS, frame, np.ones(len(frame), dtype=np.bool_))
    assert finding.reason is Quarantine.OVERLAP
    return list(np.flatnonzero(finding.rows))


@pytest.mark.parametrize(
    ("spans", "out"),
    [
        ([("a", 0, 2), ("a", 1, 3)], [1]),
        ([("a", 1, 3), ("a", 0, 2)], [0]),  # the later-starting one, whatever the order
        ([("a", 0, 2), ("a", 2, 3)], []),
        ([("a", 0, 2), ("b", 1, 3)], []),
        ([("a", 0, 9), ("a", 1, 2), ("a", 3, 4), ("a", 9, 10)], [1, 2]),
        # The middle one goes, and then the last one is free of overlap.
        ([("a", 0, 4), ("a", 3, 8), ("a", 6, 9)], [1]),
        ([("a", 0, 2), ("a", 0, 2)], [1]),
    ],
)
def test_overlaps(spans: list[tuple[str, int, int]], out: list[int]) -> None:
    assert _overlapping(_sessions(spans)) == out


def test_overlaps_leave_out_days_without_times_and_unusable_rows() -> None:
    spans = [("a", 0, 2), ("a", 1, 3)]
    assert _overlapping(_sessions(spans, precision="day")) == []
    (finding,) = overlaps(SESSIONS, _sessions(spans), np.array([False, True]))
    assert not finding.rows.any()


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.integers(1, 10)).map(
            lambda span: (span[0], span[1], span[1] + span[2])
        ),
        max_size=20,
    )
)
def test_what_remains_never_overlaps(spans: list[tuple[str, int, int]]) -> None:
    frame = _sessions(spans)
    kept = frame.drop(index=_overlapping(frame))
    for _, own in kept.groupby("athlete_id"):
        ordered = own.sort_values("started_at")
        assert (ordered["started_at"].iloc[1:].array >= ordered["ended_at"].iloc[:-1].array).all()


def _night(**minutes: float) -> list[Quarantine]:
    frame = pd.DataFrame(
        {
            "onset_at": [MIDNIGHT],
            "wake_at": [MIDNIGHT + pd.Timedelta(minutes=minutes.pop("in_bed", 480))],
            "known_at": [MIDNIGHT + pd.Timedelta(days=3)],
            **{name: [np.nan] for name in SLEEP.names if name.endswith("_min")},
        }
    ).assign(**minutes)
    found = of_one_row(SLEEP, frame, frame["wake_at"], NOW)
    return [finding.reason for finding in found if finding.rows.any()]


@pytest.mark.parametrize(
    ("minutes", "reasons"),
    [
        ({"awake_min": 60, "light_min": 240, "deep_min": 90, "rem_min": 90}, []),
        ({"awake_min": 62, "light_min": 240, "deep_min": 91, "rem_min": 90}, []),  # rounding
        (
            {"awake_min": 90, "light_min": 240, "deep_min": 90, "rem_min": 90},
            ["parts_exceed_whole"],
        ),
        ({"asleep_min": 500}, ["parts_exceed_whole"]),
        ({"asleep_min": 300, "light_min": 200, "deep_min": 150}, ["parts_exceed_whole"]),
        ({"deep_first3h_min": 90, "deep_min": 60}, ["parts_exceed_whole"]),
        ({"deep_first3h_min": 60, "deep_min": 60}, []),
        ({"deep_first3h_min": 60}, []),
        ({"in_bed": 1500}, ["out_of_range"]),
        ({"in_bed": -10}, ["time_reversed"]),
    ],
)
def test_night(minutes: dict[str, float], reasons: list[str]) -> None:
    assert _night(**minutes)[:1] == reasons


@pytest.mark.parametrize(
    ("event", "known", "reasons"),
    [
        ("2026-11-22T12:59Z", "2026-11-22T13:30Z", []),  # clocks differ
        ("2026-11-22T13:01Z", "2026-11-22T13:30Z", ["future"]),
        ("2026-11-20T12:00Z", "2026-11-20T11:00Z", ["known_before_event"]),
        ("2026-11-20T12:00Z", "2026-11-20T12:00Z", []),
    ],
)
def test_clock(event: str, known: str, reasons: list[str]) -> None:
    begins = pd.Series([pd.Timestamp(event)])
    frame = pd.DataFrame({"known_at": [pd.Timestamp(known)]})
    found = of_one_row(NUTRITION, frame, begins, NOW)
    assert [finding.reason for finding in found if finding.rows.any()] == reasons


def test_duplicates_keep_the_first_usable_one() -> None:
    frame = pd.DataFrame({"session_id": list("aaabba"), "value": [1, 1, 2, 3, 3, 2]})
    everything = np.ones(6, dtype=np.bool_)
    same, other = duplicates(SESSIONS, frame, everything)
    assert same.reason is Quarantine.DUPLICATE
    assert list(np.flatnonzero(same.rows)) == [1, 4, 5]
    assert other.reason is Quarantine.CONFLICTING_DUPLICATE
    assert set(np.flatnonzero(other.rows)) - set(np.flatnonzero(same.rows)) == {2}
    without_first = np.array([False, False, True, True, True, True])
    same, other = duplicates(SESSIONS, frame, without_first)
    assert list(np.flatnonzero(same.rows | other.rows)) == [4, 5]


def test_orphans() -> None:
    frame = pd.DataFrame({"athlete_id": ["7", "007", None]})
    assert list(orphans(frame, pd.Index(["007"])).rows) == [True, False, True]


def test_a_row_is_rejected_once_for_the_first_rule_it_breaks() -> None:
    findings = [
        Finding(np.array([False, True, False]), Quarantine.ORPHAN, "athlete_id"),
        Finding(np.array([False, True, True]), Quarantine.FUTURE, detail="Look."),
    ]
    rows = rejected(findings, 3)
    assert list(rows.index) == [1, 2]
    assert list(rows["reason"]) == ["orphan", "future"]
    assert list(rows["column"]) == ["athlete_id", ""]
    assert rows["sentence"][2] == f"{Quarantine.FUTURE.sentence} Look."
    assert list(survivors(findings, 3)) == [True, False, False]
