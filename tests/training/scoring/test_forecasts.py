from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from nmr_ml.history.rested_baseline import REST_H
from nmr_ml.labels.family_tests import FamilyTests
from nmr_ml.labels.followed_tests import no_tests
from nmr_ml.models.curve.family_scale import FamilyScale
from nmr_ml.models.curve.measurement import Measurement
from nmr_ml.models.curve.posterior import probability_below, recovery_quantiles
from nmr_ml.models.curve.read_off import read_off
from tests.support.levelled_grid import LEVELLED, node_deficits, node_prior
from tests.support.simulated_curves import DELTA, one_prior, readings_of, with_deficits
from tests.support.small_cohorts import SPECS, followed_of
from training.scoring.forecasts import (
    CurvePriors,
    Forecasts,
    ForetoldTests,
    from_curves,
    from_normal,
    rounding_step,
    time_quantiles,
)  # fmt: skip

READ = Measurement(1.4, (0.5,) * REST_H.size)
PRIORS = CurvePriors(
    np.array([[1.5, 3.4, 0.9], [2.0, 4.0, 0.7], [0.5, 2.5, 0.5]]),
    np.array([[0.5, 0.6, 0.2], [0.4, 0.9, 0.3], [0.8, 0.5, 0.15]]),
)


def example(step: float) -> ForetoldTests:
    episodes = [[(6.0, 4.0, 2.0), (30.0, 1.0, 1.5)], [], [(50.0, -2.0, 2.5)]]
    return ForetoldTests(followed_of(episodes, [0.8, 1.0, 0.3]), LEVELLED, READ, DELTA, step)


def by_nodes(readings: ForetoldTests, q: int, k: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the weight and deficit of every node for test `k` of episode `q`, and its error."""
    f = readings.followed
    weight = node_prior(readings.grid, PRIORS.means[q], PRIORS.spreads[q])
    error = 1.4 * float(np.hypot(f.error[k], f.shared_error[q]))
    return weight, node_deficits(readings.grid, f.hours[k]), error


@pytest.mark.parametrize("step", [0.0, 1.0])
def test_forecasts_are_sums_over_the_curves(step: float) -> None:
    readings = example(step)
    found = from_curves(readings, PRIORS)
    for k, q in enumerate([0, 0, 2]):
        weight, deficit, error = by_nodes(readings, q, k)
        y = readings.followed.deficit[k] + 0.5
        low, high = (
            float(np.sum(weight * norm.cdf(y + side * step / 2, deficit, error)))
            for side in (-1, 1)
        )
        density = (high - low) if step else float(np.sum(weight * norm.pdf(y, deficit, error)))
        assert found.pit_low[k] == pytest.approx(low, abs=1e-6)
        assert found.pit_high[k] == pytest.approx(high, abs=1e-6)
        assert found.log_density[k] == pytest.approx(np.log(density), abs=1e-5)
        below = float(np.sum(weight * norm.cdf(DELTA + 0.5, deficit, error)))
        assert found.below[k] == pytest.approx(below, abs=1e-6)


def test_a_larger_slow_share_foretells_larger_deficits_before_the_slow_part_ends() -> None:
    tests = followed_of([[(6.0, 4.0, 1.0), (30.0, 2.0, 1.0)]] * 2, 0.5)
    means, spreads = (
        np.array([[2.0, 3.5, 0.45], [2.0, 3.5, 0.95]]),
        np.tile([0.4, 0.5, 0.2], (2, 1)),
    )
    readings = ForetoldTests(tests, LEVELLED, Measurement(), DELTA, 0.0)
    found = from_curves(readings, CurvePriors(means, spreads))
    for name in ("below", "pit_low"):
        less, more = getattr(found, name).reshape(2, 2)
        assert (less > more + 0.03).all()
    for q in range(2):
        weight = node_prior(LEVELLED, means[q], spreads[q])
        for k, (hour, reading) in enumerate([(6.0, 4.0), (30.0, 2.0)]):
            deficit, error = node_deficits(LEVELLED, hour), np.hypot(1.0, 0.5)
            low = np.sum(weight * norm.cdf(reading, deficit, error))
            assert found.pit_low[2 * q + k] == pytest.approx(low, abs=1e-5)
            density = np.sum(weight * norm.pdf(reading, deficit, error))
            assert found.log_density[2 * q + k] == pytest.approx(np.log(density), abs=1e-4)


def test_the_brier_score_gets_the_probabilities_it_always_got() -> None:
    readings = example(0.0)
    read = READ.read(readings.followed)
    expected = probability_below(LEVELLED, PRIORS.means, PRIORS.spreads, read, DELTA + 0.5)
    assert np.array_equal(from_curves(readings, PRIORS).below, expected)


def test_only_index_tests_are_foretold() -> None:
    readings = example(0.0)
    n = len(readings.followed)
    owner, code = np.arange(n), np.zeros(n, np.int64)
    hours, two = np.full(n, 300.0), np.full(n, 2.0)
    family = FamilyTests.gathered(("jump",), n, owner, hours, two, two, code)
    told = replace(READ, family={"jump": FamilyScale(1.0, 0.1, 0.0, 30, 99)})
    beside = replace(readings, followed=replace(readings.followed, family=family), measurement=told)
    assert told.read(beside.followed).hours.size == readings.followed.hours.size + n
    found, alone = from_curves(beside, PRIORS), from_curves(readings, PRIORS)
    for name in Forecasts.__slots__:
        assert np.array_equal(getattr(found, name), getattr(alone, name))


def test_a_density_integrates_to_one_and_the_pit_is_its_integral() -> None:
    deficits = np.linspace(-15, 120, 4001)
    tests = followed_of([[(24.0, float(d), 1.0) for d in deficits]], 0.5)
    found = from_curves(readings_of(tests), one_prior(1, (2.0, 3.5, 1.0), (0.5, 0.6, 0.1)))
    density = np.exp(found.log_density)
    assert np.trapezoid(density, deficits) == pytest.approx(1.0, abs=1e-4)
    so_far = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    assert found.pit_low == pytest.approx(so_far * (deficits[1] - deficits[0]), abs=1e-4)
    assert np.array_equal(found.pit_low, found.pit_high)


def test_rounded_readings_share_out_the_whole_probability() -> None:
    whole = np.arange(-9.0, 80.0)
    tests = followed_of([[(24.0, d, 1.0) for d in whole]], 0.5)
    for found in (
        from_curves(readings_of(tests, 1.0), one_prior(1, (2.0, 3.5, 1.0), (0.5, 0.6, 0.1))),
        from_normal(readings_of(tests, 1.0), np.full(whole.size, 3.0), 2.0),
    ):
        # Nodes below `LEAST_PROBABILITY` are left out.
        assert np.exp(found.log_density).sum() == pytest.approx(1.0, abs=1e-5)
        assert found.pit_high[:-1] == pytest.approx(found.pit_low[1:], abs=1e-9)
        assert np.exp(found.log_density) == pytest.approx(found.pit_high - found.pit_low, abs=1e-9)


def test_persistence_is_normal_around_the_last_test() -> None:
    readings, centre = example(0.0), np.array([1.0, 1.0, -3.0])
    found = from_normal(readings, centre, 2.0)
    deficit = readings.followed.deficit
    assert found.log_density == pytest.approx(norm.logpdf(deficit, centre, 2.0))
    assert found.pit_low == pytest.approx(norm.cdf(deficit, centre, 2.0))
    assert found.below == pytest.approx(norm.cdf(DELTA, centre, 2.0))


def test_a_reading_that_cannot_be_is_punished_without_end_of_numbers() -> None:
    tests = followed_of([[(24.0, 500.0, 1.0)]], 0.5)
    for step in (0.0, 1.0):
        readings = readings_of(tests, step)
        for found in (
            from_curves(readings, one_prior(1, (1.0, 3.0, 1.0), (0.3, 0.3, 0.1))),
            from_normal(readings, np.zeros(1), 1.0),
        ):
            assert -60 < found.log_density[0] < -40
            assert found.pit_low[0] == pytest.approx(1.0, abs=1e-5)


def test_rounding_is_seen_in_the_readings_of_questionnaires() -> None:
    # Baselines of these episodes are 40.
    whole = followed_of([[(24.0, 3.0, 0.8), (48.0, -1.0, 0.8)]])
    assert rounding_step(whole, SPECS["readiness"]) == 1.0
    assert rounding_step(with_deficits(whole, [3.5, -1.0]), SPECS["readiness"]) == 0.5
    assert rounding_step(with_deficits(whole, [3.1, -1.0]), SPECS["readiness"]) == 0.0
    assert rounding_step(whole, SPECS["cmj_height"]) == 0.0
    assert rounding_step(no_tests(2), SPECS["readiness"]) == 0.0
    third = replace(whole, baselines=replace(whole.baselines, mean=np.array([7.0 + 1 / 3])))
    assert rounding_step(with_deficits(third, [1 / 3, 2 + 1 / 3]), SPECS["readiness"]) == 1.0


def test_times_are_those_of_each_prior_and_equal_ones_are_equal() -> None:
    levels = np.array([0.1, 0.5, 0.9])
    twice = PRIORS.take(np.array([0, 1, 0, 2, 0]))
    twice.means[4, 2] -= 0.4  # differs in the slow share only
    found = time_quantiles(LEVELLED, DELTA, twice, levels)
    assert np.array_equal(found[0], found[2])
    assert (found[4, 1:] < found[0, 1:]).all()
    for row in range(5):
        alone, _ = recovery_quantiles(
            read_off(LEVELLED, DELTA), twice.means[[row]], twice.spreads[row], no_tests(1), levels,
            np.zeros((1, 0)),
        )  # fmt: skip
        assert found[row] == pytest.approx(alone[0])


def test_forecasts_are_put_where_they_belong() -> None:
    whole = Forecasts.unknown(4)
    some = Forecasts(*(np.array([1.0, 2.0]) + i for i in range(4)))
    whole.put(np.array([True, False, False, True]), some)
    assert whole.log_density.tolist()[::3] == [2.0, 3.0]
    assert np.isnan(whole.below[1:3]).all()
    assert whole.take(np.array([3])).pit_high.tolist() == [5.0]
