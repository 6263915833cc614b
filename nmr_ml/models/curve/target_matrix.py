"""The tests of episodes as one matrix, the form in which scikit-learn passes a target on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.errors import DataError
from nmr_ml.history.rested_baseline import Baselines
from nmr_ml.labels.followed_tests import Followed

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats


#: Columns of a test: hours after the clock start, deficit, typical error.
TEST_COLUMNS = 3


class TargetError(DataError, ValueError):
    """A target that cannot be learnt from; a ValueError too, as scikit-learn's tools expect."""


def target_error(fact: str) -> TargetError:
    """Return the error of a target of which `fact` is wrong."""
    return TargetError(
        "target_invalid",
        f"{fact}.",
        "Give recovery times in hours, shape (n,), or tests as "
        "nmr_ml.models.curve.target_matrix.test_matrix does.",
    )


def test_matrix(followed: Followed) -> Floats:
    """Return the tests of each episode as a target of `RecoveryCurveRegressor.fit`.

    Returns
    -------
    float64 array, shape (n, 1 + 3 k)
        The standard error of the baseline, then (hours, deficit, typical error) of each test in
        order of time, NaN after the last; k is the most tests that an episode has. How long the
        baselines had rested is not in it, so they count as fully rested.
    """
    counts = np.diff(followed.offsets)
    n = len(followed)
    tests = np.full((n, int(counts.max(initial=1)), TEST_COLUMNS), np.nan)
    owner = np.repeat(np.arange(n), counts)
    place = np.arange(followed.hours.size) - followed.offsets[:-1][owner]
    for column, values in enumerate((followed.hours, followed.deficit, followed.error)):
        tests[owner, place, column] = values
    return np.column_stack([followed.shared_error, tests.reshape(n, -1)])


def followed_of_matrix(target: Floats) -> Followed:
    """Return the tests that a target of shape (n, 1 + 3 k) holds: the inverse of `test_matrix`."""
    n, width = target.shape
    if (width - 1) % TEST_COLUMNS:
        raise target_error(f"y has {width} columns, expected 1 + 3 k")
    shared, tests = target[:, 0], target[:, 1:].reshape(n, -1, TEST_COLUMNS)
    there = np.asarray(~np.isnan(tests).all(axis=2))
    found: Floats = tests[there]
    hours, deficit, error = np.ascontiguousarray(found.T)
    for wrong, what in (
        (~(np.isfinite(shared) & (shared >= 0)), "a baseline's standard error below 0 or absent"),
        (~np.any(there, axis=1), "an episode without a test"),
        (~np.isfinite(hours + deficit + error), "a test without hours, deficit or error"),
        (~(hours >= 0), "a test before the clock start"),
        (~(error > 0), "a test whose typical error is not above 0"),
    ):
        if times := int(np.count_nonzero(wrong)):
            raise target_error(f"y holds {what} ({times} times)")
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64)
    return Followed(offsets, hours, deficit, error, np.array(shared), Baselines.unknown(n))
