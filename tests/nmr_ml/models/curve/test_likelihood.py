from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from nmr_ml.models.curve.grid import (  # fmt: skip
    POWERS,
    SLOW_SHARES,
    CurveGrid,
    by_share,
    coarse,
    curve_grid,
    edge_weight,
    keep_shapes,
)
from nmr_ml.models.curve.likelihood import (
    FAST_HALF_LIFE_H,
    LAST_H,
    LEAST_WEIGHT,
    likelihood_tables,
    normal_weights,
    remaining,
    shape_evidence,
    shape_loglik,
    shape_probabilities,
)
from nmr_ml.models.curve.recovery_time import node_recovery_hours, recovery_hours
from tests.support.levelled_grid import LEVELLED, node_loglik, normal, shape_prior
from tests.support.small_cohorts import followed_of

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats

HOURS = st.floats(0.0, 336.0)
DEFICITS = st.floats(-15.0, 40.0)
ERRORS = st.floats(0.3, 6.0)
TAUS = st.floats(2.0, 500.0)
AMPLITUDES = st.floats(0.1, 80.0)
SLOW = st.sampled_from([1.0, 0.8, 0.6, 0.4, 0.25])
POWER = st.sampled_from([0.7, 1.0, 1.4, 2.2, 3.0])
TESTS = st.lists(st.tuples(HOURS, DEFICITS, ERRORS), min_size=1, max_size=6)


def loglik(
    tests: list[tuple[float, float, float]], shared: float, log_a: np.ndarray, log_tau: np.ndarray,
    slow: float, power: float,
) -> np.ndarray:  # fmt: skip
    hours, deficit, error = np.ascontiguousarray(np.array(tests, np.float64).T)
    out = np.empty((log_a.size, log_tau.size))
    shape_loglik(hours, deficit, error, shared, log_a, log_tau, slow, power, out)
    return out


@settings(max_examples=80, deadline=None)
@given(TESTS, st.floats(0.0, 5.0), AMPLITUDES, TAUS, SLOW, POWER)
def test_the_likelihood_is_that_of_the_full_covariance_matrix(
    tests: list[tuple[float, float, float]],
    shared: float,
    amplitude: float,
    tau: float,
    slow: float,
    power: float,
) -> None:
    hours, deficit, error = np.array(tests).T
    fast = (1 - slow) * np.exp2(-hours / FAST_HALF_LIFE_H)
    mean = amplitude * (fast + slow * np.exp(-((hours / tau) ** power)))
    covariance = np.diag(error**2) + shared**2
    expected = multivariate_normal(mean, covariance).logpdf(deficit)
    found = loglik(tests, shared, np.log([amplitude]), np.log([tau]), slow, power)[0, 0]
    assert found - 0.5 * len(tests) * np.log(2 * np.pi) == pytest.approx(expected, rel=1e-7)


def test_more_tests_of_one_baseline_do_not_average_its_error_away() -> None:
    # Ten tests without error of their own still leave the baseline's error of 2.
    tests = [(0.0, 5.0, 1e-3)] * 10
    grid = np.log([5.0, 7.0]), np.log([500.0])
    near, far = loglik(tests, 2.0, *grid, 1.0, 1.0)[:, 0]
    assert near - far == pytest.approx(0.5, abs=1e-6)  # one SD away: z² / 2


def grid_of(amplitudes: int = 6, taus: int = 5, shapes: int = 4) -> CurveGrid:
    rng = np.random.default_rng(3)
    weights = rng.dirichlet(np.ones(shapes))
    return CurveGrid.mixed(
        np.linspace(np.log(0.5), np.log(40), amplitudes),
        np.linspace(np.log(4), np.log(300), taus),
        rng.uniform(0.2, 1, shapes),
        rng.uniform(0.7, 3, shapes),
        weights,
    )


EPISODES = [
    [(24.0, 6.0, 2.6), (48.0, 3.0, 2.0), (72.0, 1.0, 2.6)],
    [(5.0, -4.0, 3.0)],
    [(10.0, 60.0, 0.5), (200.0, 55.0, 0.5)],  # no curve of the grid is near
]


def test_tables_mix_the_shapes_by_their_weights() -> None:
    grid = grid_of()
    shared = [1.0, 0.5, 0.2]
    table, top = likelihood_tables(followed_of(EPISODES, shared), grid)
    assert table.shape == (3, 1, 6, 5)
    for q, tests in enumerate(EPISODES):
        parts = [
            loglik(tests, shared[q], grid.log_amplitude, grid.log_tau, w, p)
            for w, p in zip(grid.slow, grid.power, strict=True)
        ]
        expected = np.logaddexp.reduce(
            [part + np.log(weight) for part, weight in zip(parts, grid.weights, strict=True)]
        )
        assert top[q] == pytest.approx(np.max(parts))
        told = expected - top[q] > -80  # float32 ends at about exp(-87)
        assert np.log(table[q, 0][told]) + top[q] == pytest.approx(expected[told], abs=1e-5)
        assert (table[q, 0][~told] < 1e-34).all()


def test_tables_hold_each_level_with_its_own_shapes() -> None:
    grid, shared = LEVELLED, [1.0, 0.5, 0.2]
    table, top = likelihood_tables(followed_of(EPISODES, shared), grid)
    assert table.shape == (3, 3, 9, 8)
    for q, tests in enumerate(EPISODES):
        # The tables leave the constant of the normal density out.
        parts = node_loglik(grid, tests, shared[q]) + 0.5 * len(tests) * np.log(2 * np.pi)
        assert top[q] == pytest.approx(np.max(parts))
        weighed = parts + np.log(grid.weights)[:, None, None]
        for k in range(3):
            expected = np.logaddexp.reduce(weighed[grid.level == k])
            told = expected - top[q] > -80
            assert np.log(table[q, k][told]) + top[q] == pytest.approx(expected[told], abs=1e-5)
            assert (table[q, k][~told] < 1e-34).all()


@pytest.mark.parametrize("grid", [grid_of(), LEVELLED], ids=["mixed", "levelled"])
def test_tables_do_not_depend_on_the_order_of_the_shapes(grid: CurveGrid) -> None:
    turned = replace(
        grid, **{n: getattr(grid, n)[::-1].copy() for n in ("slow", "power", "level", "weights")}
    )
    first, top = likelihood_tables(followed_of(EPISODES), grid)
    second, other = likelihood_tables(followed_of(EPISODES), turned)
    assert other == pytest.approx(top)
    assert second == pytest.approx(first, rel=1e-5)


def test_evidence_of_a_shape_is_its_likelihood_under_the_node_weights() -> None:
    grid, shared = grid_of(), np.ones(3)
    followed = followed_of(EPISODES, shared)
    rng = np.random.default_rng(1)
    prior_a, prior_b = rng.dirichlet(np.ones(6), 3), rng.dirichlet(np.ones(5), 3)
    found = shape_evidence(
        followed.offsets, followed.hours, followed.deficit, followed.error, followed.shared_error,
        grid.log_amplitude, grid.log_tau, grid.slow, grid.power, prior_a, prior_b,
    )  # fmt: skip
    for q, tests in enumerate(EPISODES):
        for s in range(grid.slow.size):
            one = loglik(tests, 1.0, grid.log_amplitude, grid.log_tau, grid.slow[s], grid.power[s])
            prior = np.log(prior_a[q][:, None] * prior_b[q][None, :])
            assert found[q, s] == pytest.approx(np.logaddexp.reduce((one + prior).ravel()))


@settings(max_examples=100, deadline=None)
@given(AMPLITUDES, TAUS, SLOW, POWER, st.floats(0.1, 20.0))
def test_recovery_is_where_the_curve_crosses_delta(
    amplitude: float, tau: float, slow: float, power: float, delta: float
) -> None:
    hours = recovery_hours(amplitude, tau, slow, power, delta)

    def deficit(hour: float) -> float:
        return amplitude * remaining(hour, tau, slow, power)

    if amplitude < delta:
        assert hours == 0.0
    elif np.isinf(hours):
        assert deficit(LAST_H) >= delta
    else:
        # The bisection ends within 1344 h / 2^48; a curve may fall steeply there.
        assert deficit(max(hours - 1e-6, 0.0)) >= delta * (1 - 1e-9)
        assert deficit(hours + 1e-6) <= delta * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(AMPLITUDES, TAUS, SLOW, POWER, st.floats(0.1, 20.0), st.floats(1.0, 3.0))
def test_recovery_takes_no_longer_for_a_larger_delta_or_a_smaller_deficit(
    amplitude: float, tau: float, slow: float, power: float, delta: float, factor: float
) -> None:
    hours = recovery_hours(amplitude, tau, slow, power, delta)
    assert recovery_hours(amplitude, tau, slow, power, delta * factor) <= hours
    assert recovery_hours(amplitude / factor, tau, slow, power, delta) <= hours
    assert recovery_hours(amplitude, tau / factor, slow, power, delta) <= hours + 1e-9


def test_recovery_by_hand() -> None:
    # 10 % falling as exp(-t / 30 h) reaches 2.5 % after 30 ln 4 hours.
    assert recovery_hours(10.0, 30.0, 1.0, 1.0, 2.5) == pytest.approx(30 * np.log(4))
    assert recovery_hours(2.0, 30.0, 1.0, 1.0, 2.5) == 0.0
    assert np.isinf(recovery_hours(80.0, 1e6, 1.0, 1.0, 2.5))


def test_the_table_of_times_holds_each_node() -> None:
    grid = grid_of()
    times = node_recovery_hours(grid.log_amplitude, grid.log_tau, grid.slow, grid.power, 2.6)
    assert times.shape == (4, 6, 5)
    a, tau = np.exp(grid.log_amplitude[3]), np.exp(grid.log_tau[2])
    w, p = grid.slow[1], grid.power[1]
    assert times[1, 3, 2] == recovery_hours(a, tau, w, p, 2.6)


def test_the_grid_reaches_from_nothing_to_thirty_errors() -> None:
    grid = curve_grid(2.0)
    assert np.exp(grid.log_amplitude[[0, -1]]) == pytest.approx([0.1, 60.0])
    assert np.exp(grid.log_tau[[0, -1]]) == pytest.approx([2.0, 500.0])
    assert grid.weights.sum() == pytest.approx(1.0)
    assert len({(w, p) for w, p in zip(grid.slow, grid.power, strict=True)}) == 42
    assert np.diff(SLOW_SHARES) == pytest.approx(np.full(5, SLOW_SHARES[1] - SLOW_SHARES[0]))
    assert grid.share.size == 1
    assert not grid.level.any()


def test_light_shapes_are_dropped_and_the_rest_sums_to_one() -> None:
    grid = grid_of()
    kept = keep_shapes(grid, np.array([0.5, 0.03, 0.4, 0.07]), at_least=0.05)
    assert kept.slow.tolist() == grid.slow[[0, 2, 3]].tolist()
    assert kept.power.tolist() == grid.power[[0, 2, 3]].tolist()
    assert kept.weights == pytest.approx(np.array([0.5, 0.4, 0.07]) / 0.97)
    assert kept.level.tolist() == [0, 0, 0]
    assert kept.share == pytest.approx([kept.weights @ kept.slow])
    assert np.array_equal(kept.log_tau, grid.log_tau)


def test_a_mixture_is_a_grid_of_one_level_at_its_mean_share() -> None:
    grid = CurveGrid.mixed(
        np.arange(3.0), np.arange(3.0), np.array([1.0, 0.4]), np.ones(2), np.array([0.75, 0.25])
    )
    assert grid.share == pytest.approx([0.85])
    assert grid.level.tolist() == [0, 0]
    assert grid.slow.tolist() == [1.0, 0.4]


def table_of_shapes() -> Floats:
    """Return weights of the shapes of `curve_grid`, shape (6, 7): one share has none."""
    rng = np.random.default_rng(5)
    table = rng.dirichlet(np.full(42, 0.3)).reshape(6, 7)
    table[2] = 0.0
    weights: Floats = table / table.sum()
    return weights


@pytest.mark.parametrize(("pseudo", "at_least"), [(0.02, 0.05), (0.5, 0.02), (0.02, 0.0)])
def test_each_share_has_the_powers_that_it_and_all_have_weight_for(
    pseudo: float, at_least: float
) -> None:
    full, table = curve_grid(2.0), table_of_shapes()
    found = by_share(full, table.ravel(), pseudo=pseudo, at_least=at_least)
    assert found.share.tolist() == list(SLOW_SHARES)
    assert np.array_equal(found.log_amplitude, full.log_amplitude)
    assert np.array_equal(found.log_tau, full.log_tau)
    assert np.array_equal(found.slow, found.share[found.level])
    everywhere = table.sum(axis=0)
    for k in range(len(SLOW_SHARES)):
        # A weighted mean of the share's own powers and those of all, by their weights.
        mass = table[k] + pseudo * everywhere
        chance = dict(zip(POWERS, mass / mass.sum(), strict=True))
        kept = {p: c for p, c in chance.items() if c >= at_least}
        rows = found.level == k
        assert found.power[rows].tolist() == list(kept)
        assert found.weights[rows] == pytest.approx(np.array([*kept.values()]) / sum(kept.values()))
        assert found.weights[rows].sum() == pytest.approx(1.0)
    assert found.weights.min() >= at_least
    if at_least == 0.0:  # what has no weight of its own is as all are
        assert found.weights[found.level == 2] == pytest.approx(everywhere)


def test_the_edge_is_where_the_tried_shapes_end() -> None:
    slow, power = np.array([1.0, 0.25, 0.6, 0.6]), np.array([1.4, 1.0, 4.5, 0.7])
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    grid = CurveGrid.mixed(np.arange(3.0), np.arange(3.0), slow, power, weights)
    assert edge_weight(grid, np.ones(1)) == pytest.approx(0.5)


def test_the_edge_weighs_each_level_by_its_probability() -> None:
    grid = CurveGrid(
        np.arange(3.0), np.arange(3.0), np.array([0.25, 0.4, 1.0]),
        slow=np.array([0.25, 0.25, 0.4, 0.4, 1.0]), power=np.array([1.0, 1.4, 0.5, 1.0, 4.5]),
        level=np.array([0, 0, 1, 1, 2]), weights=np.array([0.3, 0.7, 0.2, 0.8, 1.0]),
    )  # fmt: skip
    # All of the first level, the fifth of the second with power 0.5, all of the third.
    assert edge_weight(grid, np.array([0.1, 0.6, 0.3])) == pytest.approx(0.1 + 0.6 * 0.2 + 0.3)
    assert edge_weight(grid, np.array([0.0, 1.0, 0.0])) == pytest.approx(0.2)


NODES = np.linspace(0.25, 1.0, 6)


@settings(max_examples=60, deadline=None)
@given(st.floats(-0.3, 1.6), st.floats(0.1, 2.0))
def test_weights_of_nodes_are_normal_and_sum_to_one(mean: float, spread: float) -> None:
    found = normal_weights(NODES, mean, spread)
    assert found.sum() == pytest.approx(1.0)
    assert found == pytest.approx(normal(NODES, mean, spread), rel=1e-9, abs=1e-130)


@pytest.mark.parametrize(("mean", "nearest"), [(-80.0, 0), (90.0, 5)])
def test_a_mean_far_from_all_nodes_is_given_to_the_nearest(mean: float, nearest: int) -> None:
    found = normal_weights(NODES, mean, 0.1)
    assert found[nearest] == pytest.approx(1.0)
    others = np.delete(found, nearest)
    assert others == pytest.approx(np.full(5, LEAST_WEIGHT), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 1.5), st.floats(0.1, 1.0))
def test_a_shape_is_as_likely_as_its_level_times_its_weight_in_it(
    mean: float, spread: float
) -> None:
    grid = LEVELLED
    found = shape_probabilities(grid.share, grid.level, grid.weights, mean, spread)
    assert found.sum() == pytest.approx(1.0)
    assert found == pytest.approx(shape_prior(grid, mean, spread), rel=1e-9)


def test_a_mixture_has_its_weights_whatever_the_share() -> None:
    grid = grid_of()
    for mean in (-3.0, 0.5, 9.0):
        found = shape_probabilities(grid.share, grid.level, grid.weights, mean, 0.1)
        assert found == pytest.approx(grid.weights)


def test_a_coarse_grid_has_every_other_node_and_every_shape() -> None:
    grid = curve_grid(2.0)
    found = coarse(grid)
    assert np.array_equal(found.log_tau, grid.log_tau[::2])
    assert np.array_equal(found.log_amplitude, grid.log_amplitude[::2])
    assert np.array_equal(found.weights, grid.weights)
    assert np.array_equal(coarse(LEVELLED).share, LEVELLED.share)
