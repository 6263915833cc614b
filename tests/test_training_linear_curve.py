from __future__ import annotations

import json

import numpy as np
import pytest
from simulated_curves import GRID, athletes, drawn_tests, one_prior

from nmr_ml.curve import likelihood_tables
from training.linear_curve import FURTHEST_SD, LinearCurve, fit_linear

N = 600
SLOPES, LEVEL, SPREAD = np.array([0.4, -0.25]), np.array([2.0, 3.6]), np.array([0.3, 0.35])
WHO = athletes(60, 10)


@pytest.fixture(scope="module")
def fitted() -> tuple[np.ndarray, LinearCurve]:
    """A fit of three features: one that matters, one that is constant, one never there."""
    rng = np.random.default_rng(2)
    z = rng.standard_normal(N)
    features = np.column_stack([50 + 10 * z, np.full(N, 3.0), np.full(N, np.nan)])
    means = LEVEL + z[:, None] * SLOPES
    table, _ = likelihood_tables(drawn_tests(means, np.tile(SPREAD, (N, 1)), rng), GRID)
    start = one_prior(N, (1.8, 3.8), (0.6, 0.6))
    return features, fit_linear(features, table, GRID, start, WHO, [1e-3])


@pytest.mark.statistical
def test_slopes_level_and_spread_are_found(fitted: tuple[np.ndarray, LinearCurve]) -> None:
    _, curve = fitted
    assert curve.weight[0] == pytest.approx(SLOPES, abs=0.05)
    assert curve.priors(np.array([[50.0, 3.0, np.nan]])).means[0] == pytest.approx(LEVEL, abs=0.05)
    assert curve.spread == pytest.approx(SPREAD, abs=0.05)


def test_what_says_nothing_weighs_nothing(fitted: tuple[np.ndarray, LinearCurve]) -> None:
    assert fitted[1].weight[1:] == pytest.approx(np.zeros((2, 2)))


def test_missing_counts_as_the_median_and_extremes_as_four_deviations(
    fitted: tuple[np.ndarray, LinearCurve],
) -> None:
    features, curve = fitted
    median = float(np.median(features[:, 0]))
    edge = median + FURTHEST_SD * float(np.std(features[:, 0]))
    asked = np.array([[np.nan, 3, np.nan], [median, 3, 7.0], [1e9, 3, np.nan], [edge, 3, np.nan]])
    missing, typical, absurd, far = curve.priors(asked).means
    assert missing == pytest.approx(typical)
    assert absurd == pytest.approx(far)
    assert curve.priors(asked).spreads.tolist() == [curve.spread.tolist()] * 4


@pytest.mark.statistical
def test_noise_is_penalised_and_a_signal_is_not() -> None:
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((N, 60))
    slopes = rng.normal(0, 0.12, (60, 2))
    start, penalties = one_prior(N, (2.0, 3.6), (0.6, 0.6)), (1.0, 10_000.0)
    size = []
    for means in (np.tile(LEVEL, (N, 1)), LEVEL + noise @ slopes):
        table, _ = likelihood_tables(drawn_tests(means, np.tile(SPREAD, (N, 1)), rng), GRID)
        curve = fit_linear(noise, table, GRID, start, WHO, penalties)
        size.append(np.abs(curve.weight).mean())
    assert size[0] < 0.01
    assert size[1] > 0.06


def test_it_survives_json(fitted: tuple[np.ndarray, LinearCurve]) -> None:
    again = LinearCurve.from_json(json.loads(json.dumps(fitted[1].as_json(), allow_nan=False)))
    for name in LinearCurve.__slots__:
        assert np.array_equal(getattr(again, name), getattr(fitted[1], name))
