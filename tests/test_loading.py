"""What counts as a loading session, case by case."""

from __future__ import annotations

import numpy as np
import pytest

from nmr_ml.loading import LOADING_SHARE, loading_flags

NAN = np.nan


def flags(loads: list[float], known_s: list[int] | None = None, as_of_s: int = 100) -> list[bool]:
    known = np.array(known_s or [0] * len(loads), np.int64)
    found = loading_flags(known, np.array(loads), 0, len(loads), as_of_s, LOADING_SHARE)
    return [bool(flag) for flag in found]


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        ([10.0], [True]),  # the first session on record
        ([400.0, 200.0, 149.0], [True, True, False]),  # at least half the median of the earlier
        ([400.0, NAN, 150.0], [True, True, False]),  # unknown load counts, and moves no median
        ([NAN, NAN, 5.0], [True, True, True]),  # nothing earlier to compare with
        ([0.0, 0.0, 0.0], [True, True, True]),  # half of a median of 0
        ([100.0, 300.0, 500.0, 149.0], [True, True, True, False]),  # median 300
        ([100.0, 300.0, 99.0, 100.0], [True, True, False, True]),  # even number: middle of two
    ],
)
def test_rule(loads: list[float], expected: list[bool]) -> None:
    assert flags(loads) == expected


def test_session_known_later_is_neither_loading_nor_part_of_the_median() -> None:
    assert flags([1000.0, 100.0, 90.0], [101, 0, 0]) == [False, True, True]
    assert flags([1000.0, 100.0, 90.0], [100, 0, 0]) == [True, False, False]


def test_only_the_rows_asked_for_are_looked_at() -> None:
    known = np.zeros(4, np.int64)
    found = loading_flags(known, np.array([9000.0, 9000.0, 100.0, 60.0]), 2, 4, 0, LOADING_SHARE)
    assert found.tolist() == [True, True]


def test_agrees_with_numpy_median_on_random_loads() -> None:
    rng = np.random.default_rng(5)
    loads = np.where(rng.random(200) < 0.2, np.nan, rng.gamma(2, 150, 200).round())
    known = rng.integers(0, 120, 200)
    expected = []
    for i, load in enumerate(loads):
        earlier = loads[:i][known[:i] <= 100]
        earlier = earlier[~np.isnan(earlier)]
        unsure = np.isnan(load) or earlier.size == 0
        expected.append(bool(known[i] <= 100 and (unsure or load >= 0.5 * np.median(earlier))))
    assert flags(loads.tolist(), known.tolist()) == expected
