from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from nmr_ml.labels.followed_tests import Followed, no_tests
from nmr_ml.models.curve.grid import CurveGrid  # fmt: skip
from nmr_ml.models.curve.likelihood import (
    FAST_HALF_LIFE_H,
    normal_weights,
    remaining,
    shape_probabilities,
)
from nmr_ml.models.curve.posterior import (
    LEAST_NODE_PROBABILITY,
    _posterior,
    expected_deficits,
    probability_below,
    read_off_curves,
    recovery_quantiles,
)
from nmr_ml.models.curve.read_off import CURVE_H, KNOTS_H, ReadOff, read_off  # fmt: skip
from nmr_ml.models.curve.recovery_time import recovery_hours
from tests.support.levelled_grid import (
    LEVELLED,
    node_deficits,
    node_loglik,
    node_posterior,
    node_prior,
    shape_prior,
)
from tests.support.small_cohorts import followed_of

#: The shapes of `LEVELLED`, with nodes close enough for narrow spreads.
GRID = replace(
    LEVELLED,
    log_amplitude=np.linspace(np.log(0.3), np.log(60), 20),
    log_tau=np.linspace(np.log(3), np.log(500), 20),
)
MIXED = CurveGrid.mixed(
    GRID.log_amplitude, GRID.log_tau, np.array([1.0, 0.6, 0.4]), np.array([0.7, 1.4, 3.0]),
    np.array([0.5, 0.3, 0.2]),
)  # fmt: skip
DELTA = 2.6
TABLE = read_off(GRID, DELTA, CURVE_H)
SMALL = read_off(LEVELLED, DELTA, (0.0, 6.0, 24.0, 72.0))
LEVELS = np.linspace(0.02, 0.98, 25)

TESTS = st.lists(
    st.tuples(st.floats(0, 200), st.floats(-10, 30), st.floats(0.5, 5)), max_size=4
)  # fmt: skip
MEANS = st.tuples(st.floats(-0.5, 3.5), st.floats(1.5, 5.5), st.floats(0.2, 1.2))
SPREADS = st.tuples(st.floats(0.12, 1.5), st.floats(0.12, 1.5), st.floats(0.1, 0.8))
Three = tuple[float, float, float]


def asked(
    mean: Three, spread: Three, seen: Followed, levels: np.ndarray, at_h: np.ndarray,
    table: ReadOff = TABLE,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    quantiles, probabilities = recovery_quantiles(
        table, np.array([mean]), np.array(spread), seen, levels, at_h[None, :]
    )
    return quantiles[0], probabilities[0]


def posterior_of(
    mean: Three, spread: Three, tests: list[Three], shared: float = 1.0, grid: CurveGrid = GRID
) -> np.ndarray:
    hours, deficit, error = np.ascontiguousarray(np.array(tests, np.float64).reshape(-1, 3).T)
    return _posterior(
        normal_weights(grid.log_amplitude, mean[0], spread[0]),
        normal_weights(grid.log_tau, mean[1], spread[1]),
        shape_probabilities(grid.share, grid.level, grid.weights, mean[2], spread[2]),
        hours, deficit, error, shared, grid.log_amplitude, grid.log_tau, grid.slow, grid.power,
    )  # fmt: skip


def deficits_of(means: np.ndarray, spread: np.ndarray, seen: Followed) -> np.ndarray:
    return read_off_curves(
        TABLE, means, spread, seen, LEVELS[:0], np.zeros((len(means), 0)), LEVELS
    )[2]


@settings(max_examples=40, deadline=None)
@given(MEANS, SPREADS, TESTS)
def test_the_posterior_is_prior_times_likelihood(
    mean: Three, spread: Three, tests: list[Three]
) -> None:
    found = posterior_of(mean, spread, tests)
    assert found.sum() == pytest.approx(1.0)
    # Far out a normal is below what floats hold: logs, and the floor that the nodes keep.
    a, b = (
        np.log(normal_weights(nodes, m, s))
        for nodes, m, s in zip((GRID.log_amplitude, GRID.log_tau), mean, spread, strict=False)
    )
    shapes = shape_prior(GRID, mean[2], spread[2])
    expected = np.full(found.shape, -np.inf)
    told = shapes > LEAST_NODE_PROBABILITY
    expected[told] = np.log(shapes[told])[:, None, None] + a[None, :, None] + b[None, None, :]
    if tests:
        expected += node_loglik(GRID, tests, 1.0)
    expected = np.exp(expected - expected.max())
    assert found == pytest.approx(expected / expected.sum(), abs=1e-9)


@pytest.mark.parametrize("grid", [GRID, MIXED], ids=["levelled", "mixed"])
def test_without_tests_the_posterior_is_the_prior(grid: CurveGrid) -> None:
    mean, spread = (1.5, 3.6, 0.6), (0.4, 0.5, 0.2)
    for shared in (1.0, 0.0):
        found = posterior_of(mean, spread, [], shared, grid)
        assert found == pytest.approx(node_prior(grid, mean, spread), abs=1e-15)


def test_prior_and_tests_that_contradict_each_other_utterly_still_sum_to_one() -> None:
    tests = [(1.0, 50.0, 0.01), (200.0, 49.0, 0.01)]
    for share in (-50.0, 0.7, 50.0):
        found = posterior_of((-50.0, 60.0, share), (0.12, 0.12, 0.1), tests)
        assert np.isfinite(found).all()
        assert found.sum() == pytest.approx(1.0)


# --- the slow share, against plain sums ----------------------------------------------------------

#: Two queries that differ in the mean of the share only, and one that differs in its spread.
SHARES = np.array([[1.8, 3.6, 0.45], [1.8, 3.6, 0.95], [1.8, 3.6, 0.95]])
OF_SHARES = np.array([[0.4, 0.5, 0.2], [0.4, 0.5, 0.2], [0.4, 0.5, 0.6]])
SEEN = [[], [(3.0, 4.0, 1.5), (30.0, 2.0, 1.5)]]
HOURS = np.array([0.0, 3.0, 12.0, 30.0, 90.0])


def by_cells(posterior: np.ndarray, grid: CurveGrid, hour: float) -> float:
    """Return P(T <= hour) of curves spread evenly over the cell of each node.

    Of each amplitude's cell the part below delta takes no time, the rest is read off at its
    middle; in log tau it is exact, by a fine division of the cell.
    """
    step_a, step_b = np.diff(grid.log_amplitude)[0], np.diff(grid.log_tau)[0]
    spared = np.clip((np.log(DELTA) - grid.log_amplitude) / step_a + 0.5, 0.0, 1.0)
    amplitude = np.exp(grid.log_amplitude + spared * step_a / 2)[:, None, None]
    tau = np.exp(grid.log_tau[:, None] + step_b * ((np.arange(400) + 0.5) / 400 - 0.5))
    total = 0.0
    for s, (w, p) in enumerate(zip(grid.slow, grid.power, strict=True)):
        left = (1 - w) * 2.0 ** (-hour / FAST_HALF_LIFE_H) + w * np.exp(-((hour / tau) ** p))
        within = (amplitude * left < DELTA).mean(axis=2)
        part = spared[:, None] + (1 - spared[:, None]) * within
        total += float((posterior[s] * part).sum())
    return total


@pytest.mark.parametrize("tests", SEEN, ids=["prior", "tests"])
def test_hours_are_sums_over_levels_and_their_shapes(tests: list[Three]) -> None:
    # At the knots nothing is interpolated.
    hours, levels = KNOTS_H[[10, 25, 33, 40, 46, 52]], np.array([0.2, 0.5, 0.8])
    seen = followed_of([tests] * 3, 0.7)
    quantiles, found = recovery_quantiles(
        SMALL, SHARES, OF_SHARES, seen, levels, np.tile(hours, (3, 1))
    )
    expected = np.empty((3, hours.size))
    for q in range(3):
        posterior = node_posterior(LEVELLED, SHARES[q], OF_SHARES[q], tests, 0.7)
        expected[q] = [by_cells(posterior, LEVELLED, hour) for hour in hours]
        for level, hour in zip(levels, quantiles[q], strict=True):
            before = KNOTS_H[np.searchsorted(KNOTS_H, hour) - 1] if hour else 0.0
            after = KNOTS_H[np.searchsorted(KNOTS_H, hour)]
            assert hour == 0.0 or by_cells(posterior, LEVELLED, before) < level + 3e-3
            assert by_cells(posterior, LEVELLED, after) > level - 3e-3
    assert found == pytest.approx(expected, abs=3e-3)
    # What mean and spread of the share move is far more than that.
    assert np.abs(expected[0] - expected[1]).max() > 0.04
    assert np.abs(expected[1] - expected[2]).max() > 0.01
    assert quantiles[1, 2] > quantiles[0, 2] * 1.05


@pytest.mark.parametrize("tests", SEEN, ids=["prior", "tests"])
def test_deficits_are_sums_over_levels_and_their_shapes(tests: list[Three]) -> None:
    seen = followed_of([tests] * 3, 0.7)
    found = read_off_curves(SMALL, SHARES, OF_SHARES, seen, LEVELS[:0], np.zeros((3, 0)), LEVELS)[2]
    step = LEVELLED.log_amplitude[1] - LEVELLED.log_amplitude[0]
    for q in range(3):
        posterior = node_posterior(LEVELLED, SHARES[q], OF_SHARES[q], tests, 0.7)
        for h, hour in enumerate(SMALL.at_h):
            told = found[q, h] > 0
            # Of each node's cell, the amplitudes whose deficit is below.
            apart = np.log(found[q, h][told])[:, None, None, None] - np.log(
                node_deficits(LEVELLED, hour)
            )
            below = (posterior * np.clip(apart / step + 0.5, 0.0, 1.0)).sum(axis=(1, 2, 3))
            assert below == pytest.approx(LEVELS[told], abs=2e-3)
    late = found[:, SMALL.at_h.index(6.0)]
    assert (late[1, 5:] > late[0, 5:] * 1.02).all()  # a larger slow share leaves more


def test_the_share_of_a_mixture_is_not_asked_for() -> None:
    table = read_off(MIXED, DELTA, CURVE_H)
    seen = followed_of([[(24.0, 4.0, 2.0)]] * 3)
    found = read_off_curves(table, SHARES, OF_SHARES, seen, LEVELS, np.tile(HOURS, (3, 1)), LEVELS)
    for part in found:
        assert np.array_equal(part[0], part[1])
        assert np.array_equal(part[0], part[2])


@pytest.mark.parametrize("tests", SEEN, ids=["prior", "tests"])
def test_expected_deficits_are_sums_over_levels_and_their_shapes(tests: list[Three]) -> None:
    for hour in HOURS:
        seen, at_h = followed_of([tests] * 3, 0.7), np.full(3, hour)
        mean, sd = expected_deficits(LEVELLED, SHARES, OF_SHARES, seen, at_h)
        deficit = node_deficits(LEVELLED, hour)
        for q in range(3):
            posterior = node_posterior(LEVELLED, SHARES[q], OF_SHARES[q], tests, 0.7)
            first = (posterior * deficit).sum()
            second = (posterior * (deficit - first) ** 2).sum()
            assert mean[q] == pytest.approx(first, rel=1e-5)
            assert sd[q] == pytest.approx(np.sqrt(second), rel=1e-4)
        if hour == 12.0:
            assert mean[1] > mean[0] * 1.1


def test_probabilities_of_reading_below_are_sums_over_levels_and_their_shapes() -> None:
    tests = [(3.0, 0.0, 1.5), (30.0, 0.0, 2.0)]
    seen, limits = followed_of([tests] * 3, [0.7, 1.2, 0.4]), np.array([2.6, 2.0, 3.0])
    found = probability_below(LEVELLED, SHARES, OF_SHARES, seen, limits).reshape(3, 2)
    for q, shared in enumerate((0.7, 1.2, 0.4)):
        prior = node_prior(LEVELLED, SHARES[q], OF_SHARES[q])
        for k, (hour, _, error) in enumerate(tests):
            z = (limits[q] - node_deficits(LEVELLED, hour)) / np.hypot(error, shared)
            assert found[q, k] == pytest.approx((prior * ndtr(z)).sum(), abs=1e-5)
    alike = followed_of([tests] * 3, 0.7)
    less, more, wider = probability_below(LEVELLED, SHARES, OF_SHARES, alike, 2.6).reshape(3, 2)
    assert less[0] > more[0] + 0.03
    assert abs(wider[0] - more[0]) > 0.003


# --- whatever the grid ---------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(MEANS, SPREADS, TESTS)
def test_quantiles_and_probabilities_are_inverse_to_each_other(
    mean: Three, spread: Three, tests: list[Three]
) -> None:
    seen = followed_of([tests])
    quantiles, _ = asked(mean, spread, seen, LEVELS, np.zeros(0))
    inside = (quantiles > 0) & np.isfinite(quantiles)
    _, probabilities = asked(mean, spread, seen, LEVELS, quantiles[inside])
    assert probabilities == pytest.approx(LEVELS[inside], abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(MEANS, SPREADS, TESTS)
def test_quantiles_rise_with_the_level_and_probabilities_with_the_hour(
    mean: Three, spread: Three, tests: list[Three]
) -> None:
    seen, hours = followed_of([tests]), np.linspace(0, 1400, 60)
    quantiles, probabilities = asked(mean, spread, seen, LEVELS, hours)
    assert (quantiles[1:] >= quantiles[:-1]).all()
    assert (np.diff(probabilities) >= 0).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def drawn(posterior: np.ndarray, n: int) -> tuple[np.ndarray, ...]:
    """Draw curves from the cells around the nodes: log amplitude, log tau, shape."""
    rng = np.random.default_rng(7)
    s, i, j = np.unravel_index(rng.choice(posterior.size, n, p=posterior.ravel()), posterior.shape)
    step_a, step_b = np.diff(GRID.log_amplitude)[0], np.diff(GRID.log_tau)[0]
    log_a = GRID.log_amplitude[i] + step_a * rng.uniform(-0.5, 0.5, n)
    return log_a, GRID.log_tau[j] + step_b * rng.uniform(-0.5, 0.5, n), s


@pytest.mark.statistical
@pytest.mark.parametrize("tests", [[], [(24.0, 6.0, 2.0)], [(2.0, 1.0, 2.0), (30.0, 4.0, 1.5)]])
@pytest.mark.parametrize("mean", [(1.5, 3.6, 0.9), (0.9, 3.0, 0.5), (2.5, 4.5, 0.7)])
def test_hours_and_deficits_agree_with_curves_drawn_from_the_cells(
    mean: Three, tests: list[Three]
) -> None:
    spread, n = (0.4, 0.5, 0.2), 20_000
    log_a, log_tau, s = drawn(posterior_of(mean, spread, tests), n)
    seen, hours = followed_of([tests]), np.array([0.0, 6.0, 24.0, 48.0, 96.0, 300.0])
    times = np.array(
        [recovery_hours(np.exp(a), np.exp(b), GRID.slow[k], GRID.power[k], DELTA)
         for a, b, k in zip(log_a, log_tau, s, strict=True)]
    )  # fmt: skip
    _, probabilities = asked(mean, spread, seen, LEVELS, hours)
    expected = (times[:, None] <= hours).mean(axis=0)
    # A cell of amplitude is read off at its middle.
    assert probabilities == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(n) + 0.025)
    found = deficits_of(np.array([mean]), np.array(spread), seen)[0]
    for h, hour in enumerate(CURVE_H):
        left = [remaining(hour, np.exp(b), GRID.slow[k], GRID.power[k])
                for b, k in zip(log_tau, s, strict=True)]  # fmt: skip
        below = (np.exp(log_a)[:, None] * np.array(left)[:, None] <= found[h]).mean(axis=0)
        told = found[h] > 0  # less than a thousandth of the smallest amplitude is told as none
        assert below[told] == pytest.approx(LEVELS[told], abs=4 * 0.5 / np.sqrt(n) + 0.025)


@settings(max_examples=30, deadline=None)
@given(MEANS, SPREADS, TESTS)
def test_a_larger_delta_never_takes_longer(mean: Three, spread: Three, tests: list[Three]) -> None:
    seen = followed_of([tests])
    found = [
        asked(mean, spread, seen, LEVELS, np.array([24.0, 72.0]), read_off(GRID, delta))
        for delta in (1.3, 2.6, 5.2)
    ]
    for (longer, less), (shorter, more) in itertools.pairwise(found):
        # Interpolation between nodes may differ by less than their distance.
        assert (shorter <= longer * 1.1 + 0.5).all()
        assert (more >= less - 0.02).all()


@settings(max_examples=30, deadline=None)
@given(MEANS, SPREADS, TESTS)
def test_deficits_rise_with_the_level(mean: Three, spread: Three, tests: list[Three]) -> None:
    found = deficits_of(np.array([mean]), np.array(spread), followed_of([tests]))[0]
    assert found.shape == (len(CURVE_H), LEVELS.size)
    assert (np.diff(found, axis=1) >= 0).all()
    assert (found >= 0).all()


@settings(max_examples=40, deadline=None)
@given(MEANS, SPREADS)
def test_tests_known_exactly_move_the_hours_their_way(mean: Three, spread: Three) -> None:
    levels, none = np.array([0.5]), np.zeros(0)
    before = asked(mean, spread, no_tests(1), levels, none)[0][0]
    impaired = followed_of([[(96.0, 25.0, 0.05)]], 0.05)
    well = followed_of([[(2.0, 0.3, 0.05)]], 0.05)
    assert asked(mean, spread, impaired, levels, none)[0][0] >= max(before, 96.0)
    assert asked(mean, spread, well, levels, none)[0][0] <= before


def test_exact_tests_of_one_curve_give_its_time() -> None:
    a, tau, w, p = GRID.log_amplitude[13], GRID.log_tau[11], GRID.slow[1], GRID.power[1]
    hours = (6.0, 30.0, 60.0, 90.0)
    deficits = [np.exp(a) * remaining(h, np.exp(tau), w, p) for h in hours]
    seen = followed_of([[(h, d, 0.01) for h, d in zip(hours, deficits, strict=True)]], 0.01)
    quantiles, _ = asked(
        (1.5, 3.5, 0.7), (1.0, 1.0, 0.4), seen, np.array([0.1, 0.5, 0.9]), np.zeros(0)
    )
    # A node stands for its cell, so no test can say more than that.
    expected = recovery_hours(np.exp(a), np.exp(tau), w, p, DELTA)
    assert quantiles[1] == pytest.approx(expected, rel=0.03)
    assert quantiles == pytest.approx(expected, rel=0.15)


def test_a_level_beyond_the_last_hour_is_unbounded() -> None:
    quantiles, (chance,) = asked(
        (3.9, 6.1, 0.7), (0.2, 0.2, 0.2), no_tests(1), np.array([0.01, 0.9]), np.array([1300.0])
    )
    assert np.isinf(quantiles[1])
    assert chance < 0.9


def test_one_that_was_never_impaired_is_recovered_at_once() -> None:
    (quantile,), (chance,) = asked(
        (-1.0, 3.0, 0.7), (0.15, 0.3, 0.2), no_tests(1), np.array([0.5]), np.array([0.0])
    )
    assert quantile == 0.0
    assert chance > 0.99


def test_episodes_are_answered_one_by_one() -> None:
    tests = [[(24.0, 5.0, 2.6)], [], [(10.0, 1.0, 2.0), (30.0, 0.0, 2.0)]]
    means = np.array([[1.5, 3.5, 0.5], [2.5, 4.5, 0.9], [1.0, 3.0, 0.7]])
    spread, hours = np.array([0.4, 0.5, 0.2]), np.tile([24.0, 48.0], (3, 1))
    seen = followed_of(tests)
    together = recovery_quantiles(TABLE, means, spread, seen, LEVELS, hours)
    curves = deficits_of(means, spread, seen)
    for q in range(3):
        one = seen.take(np.array([q]))
        alone = recovery_quantiles(TABLE, means[[q]], spread, one, LEVELS, hours[[q]])
        assert np.array_equal(alone[0][0], together[0][q])
        assert np.array_equal(alone[1][0], together[1][q])
        curve = deficits_of(means[[q]], spread, one)
        assert np.array_equal(curve[0], curves[q])


def test_the_table_holds_the_time_constant_that_takes_until_each_knot() -> None:
    step_a, step_b = np.diff(GRID.log_amplitude)[0], np.diff(GRID.log_tau)[0]
    checked = 0
    for s, i, k in itertools.product(range(6), range(20), range(1, KNOTS_H.size - 1)):
        place = TABLE.places[s, i, k]
        if 0 < place < GRID.log_tau.size:
            tau = np.exp(GRID.log_tau[0] + (place - 0.5) * step_b)
            amplitude = np.exp(GRID.log_amplitude[i] + TABLE.spared[i] * step_a / 2)
            hours = recovery_hours(amplitude, tau, GRID.slow[s], GRID.power[s], DELTA)
            assert hours == pytest.approx(KNOTS_H[k], rel=1e-6)
            checked += 1
    assert checked > 300


def test_a_spread_of_each_episode_is_used() -> None:
    means, spreads = np.tile([1.8, 3.6, 0.7], (2, 1)), np.array([[0.2, 0.2, 0.1], [0.6, 0.7, 0.4]])
    together, _ = recovery_quantiles(TABLE, means, spreads, no_tests(2), LEVELS, np.zeros((2, 0)))
    for q in range(2):
        alone, _ = asked((1.8, 3.6, 0.7), tuple(spreads[q]), no_tests(1), LEVELS, np.zeros(0))
        assert np.array_equal(together[q], alone)


@pytest.mark.statistical
def test_the_probability_of_reading_below_delta_agrees_with_simulation() -> None:
    seen = followed_of([[(12.0, 0.0, 2.0), (72.0, 0.0, 4.0)], [(36.0, 0.0, 2.6)]], [1.5, 0.7])
    means, spread = np.array([[1.8, 3.6, 0.8], [2.4, 3.9, 0.5]]), np.array([0.4, 0.5, 0.2])
    found = probability_below(TABLE.grid, means, spread, seen, TABLE.delta)
    rng, n = np.random.default_rng(5), 200_000
    for k, (q, hour, error, shared) in enumerate(
        [(0, 12.0, 2.0, 1.5), (0, 72.0, 4.0, 1.5), (1, 36.0, 2.6, 0.7)]
    ):
        p = node_prior(GRID, means[q], spread).ravel()
        latent = rng.choice(node_deficits(GRID, hour).ravel(), n, p=p)
        reading = latent + error * rng.normal(size=n) + shared * rng.normal(size=n)
        assert found[k] == pytest.approx((reading < DELTA).mean(), abs=4 * np.sqrt(0.25 / n))


def test_what_was_read_does_not_enter_the_probability_of_reading_it() -> None:
    seen = followed_of([[(24.0, 0.0, 2.0)]])
    other = replace(seen, deficit=np.array([30.0]))
    means, spread = np.array([[2.0, 3.5, 0.7]]), np.array([0.4, 0.4, 0.2])
    found = (
        probability_below(TABLE.grid, means, spread, one, TABLE.delta) for one in (seen, other)
    )
    assert np.array_equal(next(found), next(found))
