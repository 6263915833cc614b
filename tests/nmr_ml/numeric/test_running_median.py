"""Medians by rank against numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.numeric.running_median import kth, median, ones, put, ranked, words


@settings(deadline=None)  # the first call compiles
@given(st.integers(0, 2**64 - 1))
def test_ones_counts_bits(word: int) -> None:
    assert ones(np.uint64(word)) == word.bit_count()


@settings(deadline=None)
@given(st.sets(st.integers(0, 200)))
def test_kth_is_the_sorted_set(members: set[int]) -> None:
    bits = np.zeros(words(201), np.uint64)
    for rank in members:
        put(bits, rank)
    assert [kth(bits, k) for k in range(len(members))] == sorted(members)
    assert kth(bits, len(members)) == -1


def test_missing_values_have_no_rank_and_athletes_are_apart() -> None:
    found = ranked(np.array([0, 3, 3, 5]), np.array([5.0, np.nan, 2.0, 7.0, 1.0]))
    assert found.rank.tolist() == [1, -1, 0, 1, 0]
    assert found.ordered[[0, 1, 3, 4]].tolist() == [2, 5, 1, 7]


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.5, 2.0, 300.0, 1e4]), min_size=1, max_size=150), st.data())
def test_median_of_a_part_agrees_with_numpy(values: list[float], data: st.DataObject) -> None:
    part = data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1))
    every = np.array([9.0, *values])  # the first athlete has one value
    found = ranked(np.array([0, 1, every.size]), every)
    bits = np.zeros(words(len(values)), np.uint64)
    for i in part:
        put(bits, found.rank[1 + i])
    expected = np.median([values[i] for i in part])
    assert median(bits, len(part), 1, found.ordered) == expected
