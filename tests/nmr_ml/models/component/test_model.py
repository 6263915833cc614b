from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.history.rested_baseline import REST_H
from nmr_ml.labels.followed_tests import Followed, no_tests
from nmr_ml.levels import LEAST_RATIO, LEVELS, MOST_DRIVERS
from nmr_ml.models.component.calibration import DISCREPANCY, EVERYONE, Calibration, Correction
from nmr_ml.models.component.clearance import CLEARANCE_LEVELS, Clearance
from nmr_ml.models.component.model import (
    ComponentModel,
    Prior,
    answers_of,
    clearance_hours,
    drivers,
    prior_of,
)
from nmr_ml.models.component.offsets import Offsets
from nmr_ml.models.curve.measurement import Measurement
from nmr_ml.models.curve.posterior import recovery_quantiles
from nmr_ml.models.curve.read_off import CURVE_H, ReadOff, read_off
from tests.support.small_cohorts import followed_of

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle

Fitted = tuple[ComponentModel, ReadOff, np.ndarray]


@pytest.fixture(scope="module")
def fitted(bundle: Bundle) -> Fitted:
    """The power model, its table and inputs spread over what it has seen."""
    model = bundle.components["power"]
    low, high = np.nan_to_num(model.seen_low), np.nan_to_num(model.seen_high)
    X = np.random.default_rng(0).uniform(low, high, (60, low.size))
    return model, read_off(model.grid, bundle.specs[model.index_test].delta, CURVE_H), X


def unknown(model: ComponentModel, n: int) -> Offsets:
    """An athlete of a team that was not learnt from, without an earlier episode."""
    _, spread, within = model.offsets.of_teams(np.full(n, None, dtype=object))
    zeros, ones = np.zeros(n), np.ones(n)
    spreads = np.column_stack([spread, zeros])
    return Offsets(np.zeros((n, 3)), spreads, within, zeros, ones, np.zeros(n, np.int64))


def prior(model: ComponentModel, X: np.ndarray, seen: Followed) -> Prior:
    n = len(X)
    return prior_of(model, X, seen, unknown(model, n), np.full(n, "female", dtype=object))


def test_answers_have_a_row_for_each_query(fitted: Fitted) -> None:
    model, table, X = fitted
    hours = np.tile([0.0, 24.0, 400.0], (60, 1))
    before = prior(model, X, no_tests(60))
    found = answers_of(before, table, hours)
    assert found.recovery.shape == (60, LEVELS.size)
    assert found.probability.shape == hours.shape
    assert found.deficit.shape == (60, len(CURVE_H), LEVELS.size)
    quantiles, chances = recovery_quantiles(
        table, before.means, before.spreads, no_tests(60), LEVELS, hours
    )
    assert np.array_equal(found.recovery, quantiles)
    assert np.array_equal(found.probability, chances)


#: What every rested test holds, however long ago.
HELD = Measurement(1.0, (2.0,) * REST_H.size)


def test_tests_count_from_above_what_the_baselines_still_hold(fitted: Fitted) -> None:
    model, table, X = fitted
    seen, none = followed_of([[(24.0, 3.0, 1.0)]]), np.zeros((1, 0))
    hours = [
        answers_of(prior(replace(model, measurement=reading), X[:1], tests), table, none).recovery
        for reading, tests in (
            (Measurement(), HELD.read(seen)),
            (HELD, seen),
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
        before = prior(model, x, seen)
        hours = answers_of(before, table, np.zeros((1, 0))).recovery[0, 1]
        found = drivers(model, table, x, before, 0, hours)
        told += len(found)
        parts = model.curve.contributions(x)[0]
        for feature, ratio in found:
            without, _ = recovery_quantiles(
                table, before.means - parts[feature], before.spreads, above, np.array([0.5]),
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
    before = prior(model, X[:1], no_tests(1))
    assert drivers(model, table, X[:1], before, 0, median) == []


def test_the_prior_is_the_trees_moved_by_the_athlete_and_corrected_by_the_group(
    fitted: Fitted,
) -> None:
    model, _, X = fitted
    some = replace(
        model,
        calibration=Calibration(
            {
                EVERYONE: Correction(),
                "female/known": Correction(1.5, 40, "calibrated"),
            }
        ),
    )
    known = Offsets(
        np.array([[0.2, -0.1, 0.0]] * 2), np.array([[0.05, 0.06, 0.0]] * 2),
        np.tile(model.offsets.within, (2, 1)), np.full(2, 0.5),
        np.full(2, 0.4), np.array([3, 0]),
    )  # fmt: skip
    seen = followed_of([[(24.0, 5.0, 1.0)], []], 2.0)
    found = prior_of(some, X[:2], seen, known, np.full(2, "female", dtype=object))
    means = model.curve.means(X[:2]) + np.array([0.2, -0.1, 0.0])
    spread = np.hypot(model.offsets.within, [0.05, 0.06, 0.0])
    assert found.means == pytest.approx(means)
    spreads = np.array([spread * [1.5, 1.5, 1.0], spread])
    spreads = np.hypot(spreads, DISCREPANCY)
    assert found.spreads == pytest.approx(spreads)
    assert (found.spreads[:, 2] == model.offsets.within[2]).all()  # not corrected
    assert found.calibrated.tolist() == [True, False]
    read = model.measurement.read(seen)
    assert found.seen.deficit == pytest.approx(read.deficit - 0.5 * read.shared_error[0])


def test_a_smaller_risk_is_cleared_later_and_none_where_it_cannot_be_held(
    fitted: Fitted,
) -> None:
    model, table, X = fitted
    falling = np.linspace(0.4, 0.0, CLEARANCE_LEVELS.size)
    some = replace(model, clearance=Clearance(99, falling))
    before = prior(some, X, no_tests(60))
    early, late, never = (clearance_hours(some, before, table, r) for r in (0.3, 0.05, 0.005))
    assert (late > early).all()
    assert np.isnan(never).all()
