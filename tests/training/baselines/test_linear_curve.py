from __future__ import annotations

import json

import numpy as np
import pytest

from nmr_ml.models.curve.likelihood import likelihood_tables
from nmr_ml.numeric.convergence import gathering
from tests.support.simulated_curves import GRID, SHARES, athletes, drawn_tests, one_prior
from training.baselines import linear_curve
from training.baselines.linear_curve import FURTHEST_SD, LinearCurve, fit_linear

N = 600
#: Of the log amplitude, log tau and slow share.
SLOPES, LEVEL = np.array([0.4, -0.25, 0.1]), np.array([2.0, 3.6, 0.7])
SPREAD = np.array([0.3, 0.35, 0.15])
WHO = athletes(60, 10)


@pytest.fixture(scope="module")
def fitted() -> tuple[np.ndarray, LinearCurve]:
    """A fit of three features: one that matters, one that is constant, one never there."""
    rng = np.random.default_rng(2)
    z = rng.standard_normal(N)
    features = np.column_stack([50 + 10 * z, np.full(N, 3.0), np.full(N, np.nan)])
    means = LEVEL + z[:, None] * SLOPES
    tests = drawn_tests(means, np.tile(SPREAD, (N, 1)), rng, hours=(1.0, 12.0, 36.0, 60.0))
    table, _ = likelihood_tables(tests, SHARES)
    start = one_prior(N, (1.8, 3.8, 0.6), (0.6, 0.6, 0.3))
    return features, fit_linear(features, table, SHARES, start, WHO, [1e-3])


@pytest.mark.statistical
def test_slopes_level_and_spread_are_found(fitted: tuple[np.ndarray, LinearCurve]) -> None:
    _, curve = fitted
    assert curve.weight[0] == pytest.approx(SLOPES, abs=0.05)
    assert curve.priors(np.array([[50.0, 3.0, np.nan]])).means[0] == pytest.approx(LEVEL, abs=0.05)
    assert curve.spread == pytest.approx(SPREAD, abs=0.05)


def test_what_says_nothing_weighs_nothing(fitted: tuple[np.ndarray, LinearCurve]) -> None:
    assert fitted[1].weight[1:] == pytest.approx(np.zeros((2, 3)))


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
    start, penalties = one_prior(N, (2.0, 3.6, 1.0), (0.6, 0.6, 0.1)), (1.0, 10_000.0)
    size = []
    for means in (np.tile(LEVEL[:2], (N, 1)), LEVEL[:2] + noise @ slopes):
        tests = drawn_tests(means, np.tile(SPREAD[:2], (N, 1)), rng)
        table, _ = likelihood_tables(tests, GRID)
        curve = fit_linear(noise, table, GRID, start, WHO, penalties)
        assert np.array_equal(curve.weight[:, 2], np.zeros(60))  # a grid of one level
        size.append(np.abs(curve.weight[:, :2]).mean())
    assert size[0] < 0.01
    assert size[1] > 0.06


@pytest.mark.statistical
def test_a_signal_of_the_slow_share_alone_chooses_the_penalty() -> None:
    rng = np.random.default_rng(4)
    noise = rng.standard_normal((N, 20))
    start, penalties = one_prior(N, tuple(LEVEL), (0.4, 0.4, 0.2)), (1.0, 10_000.0)
    size = []
    for slope in (0.0, 0.12):
        means = np.tile(LEVEL, (N, 1))
        means[:, 2] += slope * noise[:, 0]
        tests = drawn_tests(
            means, np.tile([0.2, 0.2, 0.05], (N, 1)), rng, hours=(1.0, 12.0, 36.0, 60.0)
        )
        table, _ = likelihood_tables(tests, SHARES)
        size.append(fit_linear(noise, table, SHARES, start, WHO, penalties).weight[0, 2])
    assert abs(size[0]) < 0.01
    assert size[1] > 0.06


def test_it_survives_json(fitted: tuple[np.ndarray, LinearCurve]) -> None:
    again = LinearCurve.from_json(json.loads(json.dumps(fitted[1].as_json(), allow_nan=False)))
    for name in LinearCurve.__slots__:
        assert np.array_equal(getattr(again, name), getattr(fitted[1], name))


@pytest.mark.parametrize(("rounds", "converged"), [(1, False), (25, True)])
def test_a_fit_tells_whether_it_came_to_its_end(
    monkeypatch: pytest.MonkeyPatch, rounds: int, *, converged: bool
) -> None:
    rng = np.random.default_rng(4)
    tests = drawn_tests(np.tile(LEVEL, (N, 1)), np.tile(SPREAD, (N, 1)), rng)
    table, _ = likelihood_tables(tests, SHARES)
    start = one_prior(N, (1.8, 3.8, 0.6), (0.6, 0.6, 0.3))
    monkeypatch.setattr(linear_curve, "LINEAR_ROUNDS", rounds)
    with gathering() as searches:
        fit_linear(rng.standard_normal((N, 2)), table, SHARES, start, WHO, [1e-3])
    (search,) = searches
    assert (search.name, search.steps, search.converged) == ("linear_baseline", rounds, converged)
