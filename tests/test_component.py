from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from small_cohorts import followed_of

from nmr_ml.component import LEAST_RATIO, LEVELS, MOST_DRIVERS, ComponentModel, answer, drivers
from nmr_ml.labels import no_tests
from nmr_ml.measurement import Measurement
from nmr_ml.posterior import CURVE_H, ReadOff, read_off, recovery_quantiles

if TYPE_CHECKING:
    from nmr_ml.bundle import Bundle

Fitted = tuple[ComponentModel, ReadOff, np.ndarray]


@pytest.fixture(scope="module")
def fitted(bundle: Bundle) -> Fitted:
    """The power model, its table and inputs spread over what it has seen."""
    model = bundle.components["power"]
    low, high = np.nan_to_num(model.seen_low), np.nan_to_num(model.seen_high)
    X = np.random.default_rng(0).uniform(low, high, (60, low.size))
    return model, read_off(model.grid, bundle.specs[model.index_test].delta, CURVE_H), X


def test_answers_have_a_row_for_each_query(fitted: Fitted) -> None:
    model, table, X = fitted
    hours = np.tile([0.0, 24.0, 400.0], (60, 1))
    found = answer(model, table, X, no_tests(60), hours)
    assert found.recovery.shape == (60, LEVELS.size)
    assert found.probability.shape == hours.shape
    assert found.deficit.shape == (60, len(CURVE_H), LEVELS.size)
    quantiles, chances = recovery_quantiles(
        table, model.curve.means(X), model.curve.spread, no_tests(60), LEVELS, hours
    )
    assert np.array_equal(found.recovery, quantiles)
    assert np.array_equal(found.probability, chances)


def test_tests_count_from_above_what_the_baselines_still_hold(fitted: Fitted) -> None:
    model, table, X = fitted
    seen, none = followed_of([[(24.0, 3.0, 1.0)]]), np.zeros((1, 0))
    hours = [
        answer(replace(model, measurement=reading), table, X[:1], tests, none).recovery
        for reading, tests in (
            (Measurement(), Measurement(1.0, 2.0).read(seen)),
            (Measurement(1.0, 2.0), seen),
            (Measurement(), seen),
        )
    ]
    assert np.array_equal(hours[0], hours[1])
    assert hours[0][0, 1] > hours[2][0, 1]


def test_only_watched_features_beyond_the_seen_range_are_out_of_distribution(
    fitted: Fitted,
) -> None:
    model, _, _ = fitted
    n = model.seen_low.size
    some = replace(model, seen_low=np.zeros(n), seen_high=np.ones(n))
    X, watched = np.full((6, n), 0.5), np.zeros(n, bool)
    watched[[0, 1]] = True
    X[1, 0], X[2, 1], X[3, 2], X[4, 0], X[5, 0] = 1.01, -0.01, 9.0, np.nan, 1.0
    assert some.out_of_distribution(X, watched).tolist() == [
        False, True, True, False, False, False,
    ]  # fmt: skip


def test_a_value_where_training_had_none_is_out_of_distribution(fitted: Fitted) -> None:
    model, _, _ = fitted
    n = model.seen_low.size
    some = replace(model, seen_low=np.full(n, np.nan), seen_high=np.full(n, np.nan))
    X = np.full((2, n), np.nan)
    X[1, 3] = 0.0
    assert some.out_of_distribution(X, np.ones(n, bool)).tolist() == [False, True]


def test_drivers_are_the_ratio_to_the_hours_without_them(fitted: Fitted) -> None:
    model, table, X = fitted
    seen = followed_of([[(24.0, 4.0, 2.6)]])
    above = model.measurement.read(seen)
    told = 0
    for row in range(10):
        x = X[[row]]
        hours = answer(model, table, x, seen, np.zeros((1, 0))).recovery[0, 1]
        found = drivers(model, table, x, seen, hours)
        told += len(found)
        mean, parts = model.curve.means(x), model.curve.contributions(x)[0]
        for feature, ratio in found:
            without, _ = recovery_quantiles(
                table, mean - parts[feature], model.curve.spread, above, np.array([0.5]),
                np.zeros((1, 0)),
            )  # fmt: skip
            assert ratio == hours / without[0, 0]
            assert max(ratio, 1 / ratio) > LEAST_RATIO
        sizes = [abs(np.log(ratio)) for _, ratio in found]
        assert sizes == sorted(sizes, reverse=True)
        assert len(found) <= MOST_DRIVERS
    assert told > 5


@pytest.mark.parametrize("median", [0.0, np.inf])
def test_no_hours_have_no_drivers(fitted: Fitted, median: float) -> None:
    model, table, X = fitted
    assert drivers(model, table, X[:1], no_tests(1), median) == []
