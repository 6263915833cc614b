from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.models.curve.likelihood import likelihood_tables, remaining
from nmr_ml.models.curve.target import (
    LEAST_SPREAD,
    REACH,
    CurveTarget,
    posterior_moments,
    prior_moments,
    refine_level,
    refine_spread,
)
from tests.support.drawn_curves import AXES, GRID, MIXED, drawn, table_of
from tests.support.levelled_grid import normal
from tests.support.small_cohorts import followed_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from nmr_ml.models.curve.grid import CurveGrid


def within_reach(nodes: np.ndarray, mean: float, spread: float) -> np.ndarray:
    """Return the normal weights of the nodes that are looked at."""
    nearest = int(np.argmin(np.abs(nodes - mean)))
    steps = 0 if nodes.size == 1 else int(REACH * spread / (nodes[1] - nodes[0])) + 1
    looked_at = np.abs(np.arange(nodes.size) - nearest) <= steps
    return np.where(looked_at, normal(nodes, mean, spread), 0.0)


def brute(
    table: np.ndarray, mean: np.ndarray, spread: np.ndarray, grid: CurveGrid = GRID,
    weigh: Callable[..., np.ndarray] = within_reach,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Return evidence, mean and variance by summing over every node."""
    axes = (grid.log_amplitude, grid.log_tau, grid.share)
    a, b, w = (weigh(*one) for one in zip(axes, mean, spread, strict=True))
    prior = w[:, None, None] * a[None, :, None] * b[None, None, :]
    joint = table.astype(np.float64) * prior
    p = joint / joint.sum()
    margins = [p.sum(axis=(0, 2)), p.sum(axis=(0, 1)), p.sum(axis=(1, 2))]
    centre = np.array([m @ nodes for m, nodes in zip(margins, axes, strict=True)])
    second = np.array([m @ nodes**2 for m, nodes in zip(margins, axes, strict=True)])
    return np.log(joint.sum() / prior.sum()), centre, second - centre**2


def priors_of(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return means and spreads, each row with its own."""
    rng = np.random.default_rng(seed)
    mean = rng.normal([1.5, 3.5, 0.7], [0.8, 0.8, 0.3], (n, 3))
    return mean, rng.uniform([0.2, 0.2, 0.1], [0.6, 0.8, 0.5], (n, 3))


def test_moments_equal_sums_over_every_node() -> None:
    table, (mean, spread) = table_of(), priors_of(6)
    episode = np.array([0, 1, 1, 5, 3, 2], np.int64)
    evidence, centre, variance = posterior_moments(table, episode, *AXES, mean, spread)
    for row, e in enumerate(episode):
        expected = brute(table[e], mean[row], spread[row])
        assert evidence[row] == pytest.approx(expected[0], abs=1e-10)
        assert centre[row] == pytest.approx(expected[1], abs=1e-10)
        assert variance[row] == pytest.approx(expected[2], abs=1e-10)


def test_nodes_out_of_reach_would_change_nothing() -> None:
    table, (mean, spread) = table_of(), priors_of(6)
    found = posterior_moments(table, np.arange(6), *AXES, mean, spread)
    for row in range(6):
        expected = brute(table[row], mean[row], spread[row], weigh=normal)
        for part, whole in zip(found, expected, strict=True):
            assert part[row] == pytest.approx(whole, abs=2e-4)


def test_moments_of_a_mixture_do_not_know_the_share() -> None:
    table, (mean, spread) = table_of(grid=MIXED), priors_of(6)
    axes = (MIXED.log_amplitude, MIXED.log_tau, MIXED.share)
    evidence, centre, variance = posterior_moments(table, np.arange(6), *axes, mean, spread)
    for row in range(6):
        expected = brute(table[row], mean[row], spread[row], MIXED)
        assert evidence[row] == pytest.approx(expected[0], abs=1e-10)
        assert centre[row] == pytest.approx(expected[1], abs=1e-10)
        assert variance[row, :2] == pytest.approx(expected[2][:2], abs=1e-10)
    assert np.array_equal(centre[:, 2], np.full(6, MIXED.share[0]))
    assert np.array_equal(variance[:, 2], np.zeros(6))
    elsewhere = mean + np.array([0.0, 0.0, 5.0])
    again = posterior_moments(table, np.arange(6), *axes, elsewhere, spread)
    assert np.array_equal(again[0], evidence)


def test_a_shared_spread_is_that_of_every_row() -> None:
    table, (mean, spread) = table_of(), priors_of(6)
    target = CurveTarget(GRID, table, np.arange(6), np.ones(6))
    shared = target.moments(mean, spread[0])
    each = target.moments(mean, np.tile(spread[0], (6, 1)))
    for one, other in zip(shared, each, strict=True):
        assert np.array_equal(one, other)
    assert not np.allclose(shared[0], target.moments(mean, spread)[0])


def test_a_prior_beyond_the_grid_stays_finite() -> None:
    table = table_of()
    mean = np.array([[-9.0, 12.0, 0.7], [12.0, -9.0, 9.0], [1.5, 3.5, -9.0]])
    found = posterior_moments(table, np.arange(3), *AXES, mean, np.full((3, 3), 0.12))
    assert all(np.isfinite(part).all() for part in found)
    for axis, nodes in enumerate(AXES):
        assert ((found[1][:, axis] >= nodes[0]) & (found[1][:, axis] <= nodes[-1])).all()
    assert found[1][1:, 2] == pytest.approx([1.0, 0.4], abs=1e-6)


@pytest.mark.parametrize("share", [-0.1, 0.2, 1.15, 1.5])
def test_a_share_beyond_the_grid_is_weighed_as_within(share: float) -> None:
    table, (mean, spread) = table_of(), priors_of(6)
    mean[:, 2] = share
    found = posterior_moments(table, np.arange(6), *AXES, mean, spread)
    for row in range(6):
        expected = brute(table[row], mean[row], spread[row])
        for part, whole in zip(found, expected, strict=True):
            assert part[row] == pytest.approx(whole, abs=1e-10)


def test_a_test_without_information_returns_the_prior() -> None:
    # Shares from 0 to 1: so many that the prior is not cut where the grid ends.
    share = np.linspace(0.0, 1.4, 15)
    flat = np.ones((1, 15, GRID.log_amplitude.size, GRID.log_tau.size), np.float32)
    mean, spread = np.array([[1.6, 3.5, 0.7]]), np.array([[0.3, 0.3, 0.15]])
    evidence, centre, variance = posterior_moments(
        flat, np.zeros(1, np.int64), GRID.log_amplitude, GRID.log_tau, share, mean, spread
    )
    assert evidence[0] == pytest.approx(0.0, abs=1e-9)
    assert centre[0] == pytest.approx(mean[0], abs=1e-3)
    assert np.sqrt(variance[0]) == pytest.approx(spread[0], abs=1e-2)


@pytest.mark.statistical
def test_the_spread_of_episodes_around_known_means_is_recovered() -> None:
    _, data, mean, spread = drawn(900)
    found, evidence = refine_spread(data, mean, np.array([1.0, 1.0, 0.5]))
    assert found == pytest.approx(spread, abs=0.1)
    _, at_start = refine_spread(data, mean, np.array([1.0, 1.0, 0.5]), cycles=0)
    assert evidence > at_start


def test_the_spread_has_a_floor() -> None:
    # Exact tests of the curve at one node: without a floor nothing would be left of the spread.
    mean = np.array([GRID.log_amplitude[12], GRID.log_tau[10], GRID.share[0]])
    exact = [
        (h, np.exp(mean[0]) * remaining(h, np.exp(mean[1]), GRID.slow[0], GRID.power[0]), 0.02)
        for h in (1.0, 12.0, 36.0, 60.0)
    ]
    table, _ = likelihood_tables(followed_of([exact] * 5, 1e-6), GRID)
    data = CurveTarget(GRID, table, np.arange(5), np.ones(5))
    found, _ = refine_spread(data, np.tile(mean, (5, 1)), np.array([0.3, 0.3, 0.3]))
    assert found == pytest.approx(LEAST_SPREAD)


def test_rows_of_a_target_keep_their_episode_and_weight() -> None:
    target = CurveTarget(
        GRID, np.empty((0, 1, 1, 1), np.float32), np.array([7, 8, 9]), np.array([1.0, 2.0, 3.0])
    )
    some = target.take(np.array([2, 0]))
    assert some.episode.tolist() == [9, 7]
    assert some.weight.tolist() == [3.0, 1.0]


def test_a_prior_that_is_cut_has_the_moments_of_what_is_left() -> None:
    mean = np.array([[1.0, 3.0, 0.9], [-3.0, 9.0, 0.2], [1.2, 3.4, 1.6]])
    spread = np.array([[0.4, 0.6, 0.1], [0.5, 0.5, 0.3], [0.3, 0.2, 0.2]])
    found, variance = prior_moments(*AXES, mean, spread)
    for q, (centres, spreads) in enumerate(zip(mean, spread, strict=True)):
        for axis, nodes in enumerate(AXES):
            weight = normal(nodes, centres[axis], spreads[axis])
            middle = weight @ nodes
            assert found[q, axis] == pytest.approx(middle, abs=2e-4)
            assert variance[q, axis] == pytest.approx(weight @ (nodes - middle) ** 2, abs=2e-4)


@pytest.mark.statistical
def test_means_that_are_off_by_a_constant_are_levelled() -> None:
    _, data, mean, spread = drawn(900)
    off = np.array([-0.2, 0.15, 0.0])
    level = refine_level(data, mean + off, spread)
    assert level[:2] == pytest.approx(-off[:2], abs=0.05)
    assert refine_level(data, mean + off + level, spread) == pytest.approx(np.zeros(3), abs=0.02)
