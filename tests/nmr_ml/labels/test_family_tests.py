from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.labels.family_tests import TOGETHER_H, FamilyTests, apart

NAMES = ("grip", "jump", "sprint")
Test = tuple[float, float, float, int]


def family(*queries: list[Test]) -> FamilyTests:
    """Return tests as (hours, deficit, error, code) by query, in the order given."""
    flat = [(q, *test) for q, tests in enumerate(queries) for test in tests]
    owner, hours, deficit, error, code = np.array(flat, np.float64).reshape(-1, 5).T
    whole = owner.astype(np.int64), hours, deficit, error, code.astype(np.int64)
    return FamilyTests.gathered(NAMES, len(queries), *whole)


def offsets_of(*queries: list[float]) -> tuple[np.ndarray, np.ndarray]:
    counts = [len(hours) for hours in queries]
    flat = np.array([h for hours in queries for h in hours], np.float64)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), flat


def test_tests_are_gathered_by_query_and_hour() -> None:
    some = family([(30.0, 2.0, 1.0, 2), (10.0, 5.0, 1.5, 0)], [], [(20.0, 1.0, 1.0, 1)])
    assert some.offsets.tolist() == [0, 2, 2, 3]
    assert some.hours.tolist() == [10.0, 30.0, 20.0]
    assert some.deficit.tolist() == [5.0, 2.0, 1.0]
    assert some.error.tolist() == [1.5, 1.0, 1.0]
    assert some.code.tolist() == [0, 2, 1]
    assert some.owner.tolist() == [0, 0, 2]


def test_taking_and_joining_queries_are_inverse() -> None:
    some = family([(30.0, 2.0, 1.0, 2)], [], [(20.0, 1.0, 1.0, 1), (44.0, 0.5, 1.0, 1)])
    parts = [some.take(np.array([q])) for q in (2, 0, 1)]
    joined = FamilyTests.concatenate(parts)
    turned = some.take(np.array([2, 0, 1]))
    for name in ("offsets", "hours", "deficit", "error", "code"):
        assert np.array_equal(getattr(joined, name), getattr(turned, name))
    assert turned.hours.tolist() == [20.0, 44.0, 30.0]
    assert FamilyTests.none(NAMES, 3).owner.size == 0


def test_of_tests_taken_together_the_index_test_counts_or_the_best_one() -> None:
    index, index_h = offsets_of([24.0], [])
    others, other_h = offsets_of([1.0, 24.5, 25.9, 26.0], [10.0, 11.0, 12.9, 40.0])
    error = np.array([2.0, 0.1, 0.1, 2.0, 3.0, 1.0, 2.0, 9.0])
    kept = apart(index, index_h, others, other_h, error, TOGETHER_H)
    assert kept.tolist() == [True, False, False, True, False, True, False, True]


@given(
    st.lists(st.floats(0, 50), max_size=5), st.lists(st.floats(0, 50), max_size=8),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_no_two_that_count_were_taken_together(
    own: list[float], others: list[float], random: object
) -> None:
    index, index_h = offsets_of(sorted(own))
    bounds, hours = offsets_of(sorted(others))
    error = np.array([random.uniform(0.5, 2) for _ in others])  # type: ignore[attr-defined]
    kept = apart(index, index_h, bounds, hours, error, TOGETHER_H)
    assert all(b - a >= TOGETHER_H for a, b in pairwise(hours[kept]))
    assert all(abs(a - b) >= TOGETHER_H for a in own for b in hours[kept])
    for left_out in hours[~kept]:  # something that counts is near
        near = [*own, *hours[kept]]
        assert min(abs(left_out - h) for h in near) < TOGETHER_H
