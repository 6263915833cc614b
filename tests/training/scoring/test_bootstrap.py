from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.scoring.bootstrap import compare, estimate

TESTS = st.lists(
    st.tuples(st.sampled_from("abc"), st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=12
)


@settings(max_examples=50, deadline=None)
@given(TESTS)
def test_means_and_differences_are_plain(tests: list[tuple[str, float, float]]) -> None:
    who, first, other = zip(*tests, strict=True)
    parts = {"model": np.array(first), "other": np.array(other)}
    found = compare(parts, np.array(who, dtype=object), bootstrap=30, seed=0)
    assert found.score["model"].value == pytest.approx(np.mean(first), abs=1e-9)
    assert found.score["other"].value == pytest.approx(np.mean(other), abs=1e-9)
    assert set(found.difference) == {"other"}
    gap = found.difference["other"]
    assert gap.value == pytest.approx(np.mean(first) - np.mean(other), abs=1e-9)
    if len(set(who)) == 1:
        assert (gap.lower, gap.upper) == pytest.approx((gap.value, gap.value), abs=1e-9)


def test_athletes_are_drawn_and_not_tests() -> None:
    who = np.array(["a"] * 50 + ["b"] * 50, dtype=object)
    parts = {"model": np.repeat([0.0, 1.0], 50), "other": np.zeros(100)}
    found = compare(parts, who, bootstrap=400, seed=0).score["model"]
    # A quarter of the draws hold one of the two only, however many tests each has.
    assert (found.lower, found.value, found.upper) == (0.0, 0.5, 1.0)


def test_differences_are_taken_draw_by_draw() -> None:
    rng = np.random.default_rng(0)
    who = np.repeat(np.array(list("abcdefgh"), dtype=object), 5)
    hard = np.repeat(rng.normal(0, 3, 8), 5)
    parts = {"model": hard, "other": hard + 1}
    gap = compare(parts, who, bootstrap=200, seed=0).difference["other"]
    assert (gap.lower, gap.upper) == pytest.approx((-1.0, -1.0))


def test_draws_depend_on_the_seed_alone() -> None:
    who = np.array(list("abcdefgh"), dtype=object)
    parts = {"model": np.arange(8.0)}
    found = [compare(parts, who, bootstrap=50, seed=s).score["model"] for s in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_without_a_known_draw_an_interval_has_no_ends() -> None:
    found = estimate(0.3, np.full(4, np.nan))
    assert found.value == 0.3
    assert np.isnan([found.lower, found.upper]).all()
