"""Where a deficit ends, and what a cohort is put together from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.populations.population import (
    DEFICIT_COLUMNS,
    Calendar,
    gathered,
    recovery_hours,
    truth_row,
)


def test_a_deficit_that_only_falls_ends_where_its_equation_says() -> None:
    found = recovery_hours(lambda h: 9.0 * np.exp(-h / 20.0), 2.6, 0.0)
    assert found == pytest.approx(20.0 * np.log(9.0 / 2.6), abs=1e-4)


def test_what_is_never_impaired_has_recovered_at_once() -> None:
    assert recovery_hours(lambda h: np.full(h.shape, 2.5), 2.6, 10.0) == 0.0


def test_the_last_return_counts() -> None:
    """Above δ until 2 h, and again from 20 to 30 h."""
    found = recovery_hours(lambda h: np.where((h < 2) | ((h > 20) & (h < 30)), 5.0, 1.0), 2.6, 40.0)
    assert found == pytest.approx(30.0, abs=1e-3)


def test_a_row_of_the_truth_has_the_deficits_of_its_hours() -> None:
    keys = {"athlete_id": "a", "episode_id": "s", "arch": "game"}
    row = truth_row(keys, "power", lambda h: 100.0 - h)
    assert [row[name] for name in DEFICIT_COLUMNS] == [100.0, 88.0, 76.0, 52.0, 28.0, 4.0]
    assert row["recovery_h"] == pytest.approx(97.4, abs=1e-4)
    assert (row["delta"], row["arch"]) == (2.6, "game")


def test_hours_are_told_to_the_minute_from_local_midnight() -> None:
    calendar = Calendar.of("2025-08-04", "Europe/Lisbon")
    assert calendar.at(0.0) == pd.Timestamp("2025-08-03T23:00Z")
    assert calendar.at(1.0 + 1.0 / 90.0) == pd.Timestamp("2025-08-04T00:01Z")


def test_tables_that_some_athletes_lack_are_gathered() -> None:
    frames = gathered([{"tests": [{"x": 1}], "labs": []}, {"tests": [{"x": 2}]}])
    assert frames["tests"]["x"].tolist() == [1, 2]
    assert frames["labs"].empty
