from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.numeric.folds import athlete_folds


@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60),
    st.integers(2, 6),
    st.integers(0, 1000),
)
def test_no_athlete_is_in_two_folds_and_folds_are_even(
    names: list[str], folds: int, seed: int
) -> None:
    athlete = np.array(names, dtype=object)
    fold = athlete_folds(athlete, folds, seed)
    assert ((fold >= 0) & (fold < folds)).all()
    for k in range(folds):
        held, train = set(athlete[fold == k]), set(athlete[fold != k])
        assert not held & train
    sizes = [len(set(athlete[fold == k])) for k in range(folds)]
    assert max(sizes) - min(sizes) <= 1
    assert np.array_equal(fold, athlete_folds(athlete, folds, seed))


def test_folds_depend_on_the_seed() -> None:
    athlete = np.array([f"{i:02d}" for i in range(40)], dtype=object)
    assert not np.array_equal(athlete_folds(athlete, 5, 0), athlete_folds(athlete, 5, 1))
