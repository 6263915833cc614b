"""Searching and grouping sorted rows, against numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.numeric.arrays import owners
from nmr_ml.numeric.sorted_rows import grouped, running_latest, upper_bound, upper_bound_near

TIMES = st.lists(st.integers(0, 20), max_size=60).map(sorted)


@settings(deadline=None)  # the first call compiles
@given(TIMES, st.integers(-1, 21))
def test_upper_bound_is_bisect_right(values: list[int], moment: int) -> None:
    rows = np.array(values, np.int64)
    assert upper_bound(rows, 0, rows.size, moment) == np.searchsorted(rows, moment, side="right")


@settings(deadline=None)
@given(TIMES, st.integers(-1, 21), st.integers(-5, 70), st.integers(0, 10))
def test_no_guess_changes_the_answer(
    values: list[int], moment: int, guess: int, first: int
) -> None:
    rows = np.array(values, np.int64)
    first = min(first, rows.size)
    expected = upper_bound(rows, first, rows.size, moment)
    assert upper_bound_near(rows, first, rows.size, moment, guess) == expected


def test_running_latest_begins_anew_with_each_athlete() -> None:
    known = np.array([5, 3, 9, 1, 2], np.int64)
    assert running_latest(np.array([0, 3, 3, 5]), known).tolist() == [5, 5, 9, 1, 2]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(-1, 3), max_size=12), max_size=5))
def test_grouped_is_a_stable_sort(groups: list[list[int]]) -> None:
    offsets = np.cumsum([0, *map(len, groups)]).astype(np.int64)
    group = np.array([g for own in groups for g in own], np.int64)
    order, starts = grouped(offsets, group, 4)
    key = owners(offsets) * 4 + group
    kept = np.flatnonzero(group >= 0)
    assert order.tolist() == kept[np.argsort(key[kept], kind="stable")].tolist()
    assert starts.tolist() == [int((key[kept] < k).sum()) for k in range(4 * len(groups) + 1)]
