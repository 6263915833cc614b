from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.models.curve.boosted import TreeSettings
from nmr_ml.models.curve.fit import TIME_WIDTH, fit_curve, fit_curve_to_times, time_tables
from nmr_ml.models.curve.grid import POWERS, SLOW_SHARES, CurveGrid
from nmr_ml.models.curve.likelihood import LAST_H, remaining
from nmr_ml.models.curve.measurement import Measurement
from nmr_ml.models.curve.recovery_time import recovery_hours
from tests.support.levelled_grid import LEVELLED, normal
from tests.support.small_cohorts import followed_of

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.curve.fit import CurveFit

SETTINGS = TreeSettings(folds=3, max_rounds=40, min_data_in_leaf=10, learning_rate=0.2)
NAMES = ("x", "noise")
ERROR = 1.5


def episodes(athletes: int, each: int, seed: int = 0) -> tuple[np.ndarray, Followed, np.ndarray]:
    """Return features, tests and athletes; the amplitude depends on the first feature."""
    rng = np.random.default_rng(seed)
    n = athletes * each
    X = rng.normal(size=(n, 2))
    amplitude = 8.0 * np.exp(0.5 * X[:, 0] + 0.3 * rng.normal(size=n))
    tau = 40.0 * np.exp(0.4 * rng.normal(size=n))
    tests = [
        [
            (hour, a * remaining(hour, t, 1.0, 1.4) + ERROR * rng.normal(), ERROR)
            for hour in (12.0, 36.0, 60.0)
        ]
        for a, t in zip(amplitude, tau, strict=True)
    ]
    athlete = np.repeat([f"a{i}" for i in range(athletes)], each).astype(object)
    return X, followed_of(tests, 0.3), athlete


@pytest.fixture(scope="module")
def fitted() -> tuple[CurveFit, np.ndarray, np.ndarray]:
    X, followed, athlete = episodes(100, 4)
    # Every episode is seen twice, at two landmarks.
    rows = np.repeat(np.arange(len(athlete)), 2)
    group = np.full(len(athlete), "soccer", object)
    return fit_curve(X[rows], rows, followed, athlete, group, SETTINGS, NAMES), athlete, X[rows]


@pytest.mark.statistical
def test_the_feature_that_matters_is_found_on_athletes_left_out(
    fitted: tuple[CurveFit, np.ndarray, np.ndarray],
) -> None:
    fit, _, X = fitted
    assert fit.figures()["held_out_evidence_gain"] > 0.03
    assert np.corrcoef(fit.boosted.held_out_means[:, 0], X[:, 0])[0, 1] > 0.8


def test_the_rows_of_an_athlete_share_a_fold(
    fitted: tuple[CurveFit, np.ndarray, np.ndarray],
) -> None:
    fit, athlete, X = fitted
    assert len(fit.fold) == len(athlete) == len(X) // 2
    assert set(fit.fold) == {0, 1, 2}
    for name in set(athlete):
        assert len(set(fit.fold[athlete == name])) == 1


def test_error_and_shapes_are_those_of_the_tests(
    fitted: tuple[CurveFit, np.ndarray, np.ndarray],
) -> None:
    fit, athlete, _ = fitted
    assert fit.measurement.error_scale == pytest.approx(1.0, abs=0.15)
    assert fit.table.shape[0] == fit.top.size == len(athlete)
    assert fit.grid.share.tolist() == list(SLOW_SHARES)
    assert fit.table.shape[1:] == (
        len(SLOW_SHARES), fit.grid.log_amplitude.size, fit.grid.log_tau.size,
    )  # fmt: skip
    assert np.bincount(fit.grid.level, fit.grid.weights) == pytest.approx(np.ones(6))
    figures = fit.figures()
    assert figures["curve_shapes"] == fit.grid.weights.size
    assert figures["boosters"] == 1
    assert figures["spread_slow_share"] == fit.boosted.model.spread[2] > 0
    share = normal(fit.grid.share, fit.population.mean[0, 2], fit.population.spread[0, 2])
    at_edge = (fit.grid.slow == SLOW_SHARES[0]) | np.isin(fit.grid.power, (POWERS[0], POWERS[-1]))
    expected = (share[fit.grid.level] * fit.grid.weights)[at_edge].sum()
    assert figures["curve_weight_at_edge"] == pytest.approx(expected)


GRID = CurveGrid.mixed(
    np.linspace(0.0, 3.0, 31), np.linspace(1.0, 5.0, 41), np.ones(1), np.ones(1), np.ones(1)
)
DELTA = 2.6


def test_a_recovery_time_is_likely_where_the_curve_ends_then() -> None:
    # Of a plain exponential T = tau log(A / delta).
    hours = np.array([5.0, 60.0])
    table = time_tables(hours, GRID, DELTA)
    log_ratio = np.maximum(GRID.log_amplitude - np.log(DELTA), 0.0)
    ends = np.log1p(log_ratio[:, None] * np.exp(GRID.log_tau)[None])
    for row, hour in enumerate(hours):
        expected = np.exp(-0.5 * ((ends - np.log1p(hour)) / TIME_WIDTH) ** 2)
        assert table[row, 0] == pytest.approx(np.maximum(expected, 1e-12), abs=1e-6)


def test_recovery_times_are_mixed_over_the_shapes_of_each_level() -> None:
    hours = np.array([0.0, 5.0, 60.0])
    table = time_tables(hours, LEVELLED, DELTA)
    assert table.shape == (3, 3, 9, 8)
    nodes = [
        [[recovery_hours(a, tau, w, p, DELTA) for tau in np.exp(LEVELLED.log_tau)]
         for a in np.exp(LEVELLED.log_amplitude)]
        for w, p in zip(LEVELLED.slow, LEVELLED.power, strict=True)
    ]  # fmt: skip
    ends = np.log1p(np.minimum(nodes, LAST_H))
    for row, level in product(range(3), range(3)):
        one = np.exp(-0.5 * ((ends - np.log1p(hours[row])) / TIME_WIDTH) ** 2)
        of = LEVELLED.level == level
        expected = (LEVELLED.weights[of, None, None] * one[of]).sum(axis=0)
        assert table[row, level] == pytest.approx(np.maximum(expected, 1e-12), abs=1e-6)
    assert not np.allclose(table[:, 0], table[:, 2], atol=0.01)


def test_no_time_at_all_means_an_amplitude_below_delta() -> None:
    table = time_tables(np.zeros(1), GRID, DELTA)[0, 0]
    below = np.exp(GRID.log_amplitude) < DELTA
    assert (table[below] == 1).all()
    assert (table[~below] < 0.9).all()


def test_times_beyond_the_last_are_not_told_apart() -> None:
    table = time_tables(np.array([LAST_H, 3 * LAST_H]), GRID, DELTA)
    assert np.array_equal(table[0], table[1])


@pytest.mark.statistical
def test_known_times_are_followed() -> None:
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, (400, 2))
    hours = 30.0 * np.exp(X[:, 0])
    athlete = np.arange(400).astype(str).astype(object)
    fit = fit_curve_to_times(X, hours, athlete, DELTA, SETTINGS, NAMES)
    assert fit.measurement == Measurement()
    held_out = fit.boosted.held_out_means
    assert fit.grid.share.tolist() == [1.0]
    assert held_out[:, 2] == pytest.approx(np.ones(400))  # nothing is said of the share
    ends = np.exp(held_out[:, 1]) * (held_out[:, 0] - np.log(DELTA))
    assert np.median(np.abs(np.log(ends / hours))) < 0.15
