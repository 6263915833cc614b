"""What counts as a loading session, case by case."""

from __future__ import annotations

import numpy as np
import pytest

from nmr_ml.history.loading_sessions import (
    LOADING_SHARE,
    Loading,
    _loading,
    late_flags,
    loading_flags,
)
from nmr_ml.numeric.compiled import inner

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


@inner
def late(s: Loading, first: int, pending: int, end: int, rows_n: int, as_of_s: int) -> np.ndarray:
    return late_flags(s, first, pending, end, rows_n, as_of_s)


def test_flags_from_the_first_unknown_session_on_agree_with_the_rule() -> None:
    rng = np.random.default_rng(6)
    offsets = np.array([0, 40, 90])
    loads = np.where(rng.random(90) < 0.2, np.nan, rng.gamma(2, 150, 90).round())
    ended = np.concatenate([np.sort(rng.integers(0, 100, n)) for n in (40, 50)])
    known = ended + rng.integers(0, 20, 90) * (rng.random(90) < 0.3)
    sessions = _loading(offsets, ended.astype(np.float64), ended, known, loads)
    compared = 0
    for first, last in ((0, 40), (40, 90)):
        for as_of in range(0, 110, 3):
            end = int(np.searchsorted(ended[first:last], as_of, side="right")) + first
            unknown = np.flatnonzero(known[first:end] > as_of)
            if not unknown.size:
                continue
            pending = first + int(unknown[0])
            expected = loading_flags(known, loads, first, end, as_of, LOADING_SHARE)
            found = late(sessions, first, pending, end, last - first, as_of)
            assert found.tolist() == expected[pending - first :].tolist()
            assert sessions.flags[first:pending].tolist() == expected[: pending - first].tolist()
            compared += 1
    assert compared > 20
