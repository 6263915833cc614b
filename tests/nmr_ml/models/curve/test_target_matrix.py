from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.errors import DataError
from nmr_ml.models.curve import target_matrix as followed_matrix
from nmr_ml.models.curve.target_matrix import TargetError, followed_of_matrix
from tests.support.small_cohorts import followed_of

Test = tuple[float, float, float]
numbers = st.tuples(st.floats(0, 336), st.floats(-30, 60), st.floats(0.1, 9))


@given(st.lists(st.lists(numbers, min_size=1, max_size=4), min_size=1, max_size=6))
def test_the_matrix_holds_all_that_a_fit_needs(
    tests: list[list[Test]],
) -> None:
    followed = followed_of(tests, 0.4)
    matrix = followed_matrix.test_matrix(followed)
    assert matrix.shape == (len(tests), 1 + 3 * max(map(len, tests)))
    back = followed_of_matrix(matrix)
    for name in ("offsets", "hours", "deficit", "error", "shared_error"):
        assert np.array_equal(getattr(back, name), getattr(followed, name))


WHOLE = [0.4, 24.0, 3.0, 2.5, 48.0, -1.0, 2.5]


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, -0.1, "baseline"),
        (0, np.nan, "baseline"),
        (1, np.nan, "without hours"),
        (2, np.inf, "without hours"),
        (1, -1.0, "before the clock start"),
        (3, 0.0, "not above 0"),
    ],
)
def test_what_is_no_test_is_refused(place: int, value: float, words: str) -> None:
    rows = np.array([WHOLE, WHOLE])
    followed_of_matrix(rows)
    rows[1, place] = value
    with pytest.raises(TargetError, match=words) as caught:
        followed_of_matrix(rows)
    assert caught.value.code == "target_invalid"
    assert isinstance(caught.value, DataError)
    assert isinstance(caught.value, ValueError)


def test_an_episode_has_a_test_and_a_test_three_numbers() -> None:
    with pytest.raises(TargetError, match="without a test"):
        followed_of_matrix(np.array([WHOLE, [0.4, *[np.nan] * 6]]))
    with pytest.raises(TargetError, match="6 columns"):
        followed_of_matrix(np.array([WHOLE])[:, :6])
