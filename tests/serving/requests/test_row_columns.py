"""Rows and frames of the same content give the same history."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.cohort.tables import TABLES
from nmr_ml.history.history import History, history_of_columns
from nmr_ml.recovery_tests import shipped_testspecs
from serving.requests.row_columns import request_columns
from tests.support.equality import assert_same
from tests.support.feature_cohorts import TESTS, history_of, random_cohort

if TYPE_CHECKING:
    from nmr_ml.cohort.cohort import Cohort

NAMES = tuple(name for name in shipped_testspecs() if name in TESTS)


def history_of_rows(tables: dict[str, list[dict[str, Any]]], zone: str) -> History:
    return history_of_columns(request_columns(tables, NAMES).columns, zone, NAMES)


@cache
def some_cohort() -> Cohort:
    return random_cohort(41, athletes=3, days=25, rate=2.0)


def as_json(cell: object) -> object:
    if isinstance(cell, pd.Timestamp):
        return str(cell.date()) if cell.tzinfo is None else cell.isoformat()
    return cell


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as a request holds them: missing cells left out."""
    return [
        {str(name): as_json(cell) for name, cell in row.items() if not pd.isna(cell)}
        for row in frame.to_dict("records")
    ]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), share=st.floats(0, 1), zone=st.sampled_from(["Europe/Oslo", ""])
)
def test_rows_in_any_order_give_the_arrays_of_a_frame(seed: int, share: float, zone: str) -> None:
    rng = np.random.default_rng(seed)
    tables = {}
    for name, frame in some_cohort().tables.items():
        kept = frame if name == "athletes" else frame[rng.random(len(frame)) < share]
        tables[name] = kept.iloc[rng.permutation(len(kept))].reset_index(drop=True)
    cohort = replace(some_cohort(), tables=tables, timezone=zone)
    rows = {name: rows_of(frame) for name, frame in tables.items()}
    assert_same(history_of_rows(rows, zone), history_of(cohort))


def test_sessions_of_one_end_are_in_the_order_of_their_ids() -> None:
    end = "2026-03-01T18:00:00+01:00"
    row = {"athlete_id": "a", "started_at": end, "ended_at": end, "known_at": end}
    sessions = [{**row, "session_id": name} for name in ("10", "9", "é", "Z")]
    history = history_of_rows({"athletes": [{"athlete_id": "a"}], "sessions": sessions}, "UTC")
    assert history.session_ids.tolist() == ["10", "9", "Z", "é"]


def test_missing_and_null_are_the_same_and_zero_is_not() -> None:
    row = {"athlete_id": "a", "wake_at": "2026-03-01T06:00:00Z", "onset_at": "2026-02-28T22:00:00Z",
           "known_at": "2026-03-01T06:00:00Z"}  # fmt: skip
    nights: list[dict[str, Any]] = [{**row, "deep_min": 0}, {**row, "deep_min": None}, row]
    history = history_of_rows({"athletes": [{"athlete_id": "a"}], "sleep": nights}, "UTC")
    np.testing.assert_equal(history.sleep.columns["deep_min"], [0.0, np.nan, np.nan])
    np.testing.assert_equal(history.sleep.columns["device"], [np.nan] * 3)


def test_time_without_offset_is_refused() -> None:
    tests = [{"athlete_id": "a", "measured_at": "2026-03-01T06:00:00", "test": "cmj_height",
              "value": 40.0, "known_at": "2026-03-01T06:00:00Z"}]  # fmt: skip
    with pytest.raises(ValueError, match="usual form"):
        history_of_rows({"athletes": [{"athlete_id": "a"}], "tests": tests}, "UTC")


def test_every_table_that_a_history_is_built_from_is_read() -> None:
    """Only epochs of sleep are not: their features wait for a source that has them."""
    empty = history_of_rows({"athletes": [{"athlete_id": "a"}]}, "UTC")
    read = {field.name for field in fields(empty)}
    assert {name for name in TABLES if name not in read} == {"athletes", "sleep_epochs", "episodes"}
    assert [len(rows) for rows in (empty.sessions, empty.sleep, empty.labs, empty.events)] == [
        0
    ] * 4
