from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.models.curve.grid import POWERS, SLOW_SHARES, CurveGrid, by_share, curve_grid
from nmr_ml.models.curve.likelihood import likelihood_tables, remaining
from nmr_ml.models.curve.population import (
    LEAST_POPULATION_SPREAD,
    LEAST_POWER,
    LEAST_SHAPE_WEIGHT,
    PSEUDO_EPISODES,
    PSEUDO_SHARE,
    choose_powers,
    choose_shapes,
    fit_population,
    node_probabilities,
    shape_weights,
)  # fmt: skip
from tests.support.levelled_grid import LEVELLED, node_prior
from tests.support.small_cohorts import followed_of

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.numeric.arrays import Floats, Ints


def grid_of(slow: list[float], power: list[float]) -> CurveGrid:
    return CurveGrid.mixed(
        np.linspace(np.log(0.2), np.log(60), 30), np.linspace(np.log(3), np.log(400), 30),
        np.array(slow), np.array(power), np.full(len(slow), 1 / len(slow)),
    )  # fmt: skip


#: One power, four slow shares.
SHARES = CurveGrid(
    np.linspace(np.log(0.2), np.log(60), 30), np.linspace(np.log(3), np.log(400), 30),
    share=np.linspace(0.4, 1.0, 4), slow=np.linspace(0.4, 1.0, 4), power=np.ones(4),
    level=np.arange(4), weights=np.ones(4),
)  # fmt: skip


def simulated(
    mean: Floats, spread: Floats, group: Ints, *,
    slow: float | Floats = 1.0, power: float = 1.0, seed: int = 0, error: float = 2.0,
    hours: tuple[float, ...] = (12.0, 36.0, 60.0, 84.0),
) -> Followed:  # fmt: skip
    """Return tests at `hours` with noise of their own and a shared one."""
    rng = np.random.default_rng(seed)
    drawn = mean[group] + spread[group] * rng.normal(size=(group.size, 2))
    episodes = []
    for (log_a, log_tau), w in zip(drawn, np.broadcast_to(slow, group.size), strict=True):
        left = [remaining(h, np.exp(log_tau), w, power) for h in hours]
        noise = rng.normal() + error * rng.normal(size=len(hours))
        deficit = np.exp(log_a) * np.array(left) + noise
        episodes.append([(h, d, error) for h, d in zip(hours, deficit, strict=True)])
    return followed_of(episodes, 1.0)


def test_node_probabilities_are_a_normal_cut_to_the_nodes() -> None:
    nodes = np.linspace(-1, 3, 41)
    found = node_probabilities(nodes, np.array([1.0, 50.0]), np.array([0.5, 0.5]))
    assert found.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert found[0] @ nodes == pytest.approx(1.0)
    assert found[0] @ (nodes - 1.0) ** 2 == pytest.approx(0.25, rel=0.01)
    assert found[1, -1] > 0.99  # far outside the grid the nearest node takes it


@pytest.mark.statistical
def test_the_mean_and_spread_behind_noisy_tests_are_recovered() -> None:
    mean = np.array([[np.log(9.0), np.log(40.0)]])
    spread = np.array([[0.4, 0.5]])
    group = np.zeros(1500, np.int64)
    followed = simulated(mean, spread, group)
    grid = grid_of([1.0], [1.0])
    table, top = likelihood_tables(followed, grid)
    found = fit_population(table, top, grid, group)
    # Standard errors of the means are about 0.015 and 0.02, of the spreads twice that.
    assert found.mean[0, :2] == pytest.approx(mean[0], abs=0.08)
    assert found.spread[0, :2] == pytest.approx(spread[0], abs=0.12)
    # Of a grid of one level there is nothing to find.
    assert found.mean[0, 2] == grid.share[0]
    assert found.spread[0, 2] == pytest.approx(LEAST_POPULATION_SPREAD[2])


@pytest.mark.statistical
def test_groups_are_told_apart_and_small_ones_pulled_to_the_rest() -> None:
    mean = np.array([[np.log(5.0), np.log(25.0)], [np.log(14.0), np.log(70.0)]])
    spread = np.full((2, 2), 0.3)
    group = np.repeat([0, 1], [500, 500])
    followed = simulated(mean, spread, group)
    grid = grid_of([1.0], [1.0])
    table, top = likelihood_tables(followed, grid)
    both = fit_population(table, top, grid, group)
    assert both.mean[:, :2] == pytest.approx(mean, abs=0.15)
    few = np.concatenate([np.arange(500), np.arange(500, 505)])
    pulled = fit_population(table[few], top[few], grid, group[few])
    # Five episodes weigh a quarter of the 20 that the pooled mean is worth.
    way = (pulled.mean[1, 0] - mean[0, 0]) / (mean[1, 0] - mean[0, 0])
    assert 0.05 < way < 0.45
    one = fit_population(table, top, grid, np.zeros(1000, np.int64))
    assert both.evidence > one.evidence + 0.1


def test_where_the_fit_ends_sums_over_every_node_move_nothing() -> None:
    rng = np.random.default_rng(9)
    tests = [[(h, float(rng.normal(5, 4)), 2.0) for h in (2.0, 20.0, 50.0)] for _ in range(7)]
    table, top = likelihood_tables(followed_of(tests), LEVELLED)
    group = np.array([0, 1, 1, 0, 1, 1, 0])
    found = fit_population(table, top, LEVELLED, group, cycles=200)
    start, axes = [], (LEVELLED.log_amplitude, LEVELLED.log_tau, LEVELLED.share)
    # A level's shapes are mixed in the table, so the nodes of the sum are its levels.
    levels = CurveGrid(*axes, np.zeros(3), np.zeros(3), np.arange(3), np.ones(3))
    for one, height, k in zip(table, top, group, strict=True):
        joint = one.astype(np.float64) * node_prior(levels, found.mean[k], found.spread[k])
        p = joint / joint.sum()
        margins = (p.sum(axis=(0, 2)), p.sum(axis=(0, 1)), p.sum(axis=(1, 2)))
        middle = [m @ nodes for m, nodes in zip(margins, axes, strict=True)]
        squares = [m @ nodes**2 for m, nodes in zip(margins, axes, strict=True)]
        start.append(
            (*middle, *(np.array(squares) - np.square(middle)), height + np.log(joint.sum()))
        )
    centre, variance, evidence = np.split(np.array(start), [3, 6], axis=1)
    assert found.evidence == pytest.approx(evidence.mean(), abs=1e-4)
    for k in range(2):
        of, n = group == k, np.sum(group == k) + PSEUDO_EPISODES
        mean = (centre[of].sum(axis=0) + PSEUDO_EPISODES * centre.mean(axis=0)) / n
        assert found.mean[k] == pytest.approx(mean, abs=1e-3)
    around = (centre - found.mean[group]) ** 2 + variance
    for k in range(2):
        of, n = group == k, np.sum(group == k) + PSEUDO_EPISODES
        square = (around[of].sum(axis=0) + PSEUDO_EPISODES * around.mean(axis=0)) / n
        assert found.spread[k] == pytest.approx(
            np.maximum(np.sqrt(square), LEAST_POPULATION_SPREAD), abs=1e-3
        )


@pytest.mark.statistical
def test_the_slow_share_of_each_group_is_recovered() -> None:
    mean, spread = np.full((2, 2), [np.log(14.0), np.log(50.0)]), np.full((2, 2), 0.3)
    group = np.repeat([0, 1], 400)
    rng = np.random.default_rng(4)
    slow = np.where(group == 0, rng.choice([0.4, 0.6], 800), rng.choice([0.8, 1.0], 800))
    followed = simulated(
        mean, spread, group, slow=slow, error=1.0, hours=(1.0, 6.0, 12.0, 36.0, 60.0)
    )
    found = fit_population(*likelihood_tables(followed, SHARES), SHARES, group)
    assert found.mean[:, 2] == pytest.approx([0.5, 0.9], abs=0.05)
    assert found.mean[:, :2] == pytest.approx(mean, abs=0.1)
    assert found.spread[:, 2] == pytest.approx([0.1, 0.1], abs=0.06)
    one = fit_population(*likelihood_tables(followed, SHARES), SHARES, np.zeros(800, np.int64))
    assert one.mean[0, 2] == pytest.approx(0.7, abs=0.05)
    assert one.spread[0, 2] > 0.18
    assert found.evidence > one.evidence + 0.1


def test_spread_never_falls_between_the_nodes() -> None:
    followed = followed_of([[(24.0, 6.0, 0.05), (48.0, 3.0, 0.05)]] * 50, 0.01)
    grid = grid_of([1.0], [1.0])
    table, top = likelihood_tables(followed, grid)
    found = fit_population(table, top, grid, np.zeros(50, np.int64))
    assert (found.spread >= LEAST_POPULATION_SPREAD).all()


@pytest.mark.statistical
def test_the_shape_behind_the_tests_is_chosen() -> None:
    mean, spread = np.array([[np.log(12.0), np.log(45.0)]]), np.full((1, 2), 0.25)
    grid = grid_of([1.0, 1.0, 0.4], [0.7, 3.0, 1.0])
    for power, likely in ((0.7, 0), (3.0, 1)):
        group = np.zeros(600, np.int64)
        followed = simulated(mean, spread, group, power=power, error=1.0)
        chosen = choose_shapes(followed, grid, seed=0)
        best = int(np.argmax(chosen.weights))
        assert chosen.power[best] == grid.power[likely]
        assert chosen.weights[best] > 0.6
        assert chosen.weights.sum() == pytest.approx(1.0)


def test_shapes_are_dropped_only_where_the_tests_speak_against_them() -> None:
    grid = grid_of([1.0, 1.0], [1.0, 1.0])  # twins: nothing can tell them apart
    group = np.zeros(60, np.int64)
    followed = simulated(np.array([[2.0, 3.5]]), np.full((1, 2), 0.3), group)
    chosen = choose_shapes(followed, grid, seed=0)
    assert chosen.weights == pytest.approx([0.5, 0.5])
    uneven = replace(grid, weights=np.array([1 - LEAST_SHAPE_WEIGHT / 2, LEAST_SHAPE_WEIGHT / 2]))
    assert choose_shapes(followed, uneven, seed=0).slow.size == 1


def test_the_choice_is_reproducible() -> None:
    grid = grid_of([1.0, 0.6], [1.0, 2.0])
    followed = simulated(np.array([[2.0, 3.5]]), np.full((1, 2), 0.3), np.zeros(80, np.int64))
    first, second = (choose_shapes(followed, grid, seed=3) for _ in range(2))
    assert np.array_equal(first.weights, second.weights)


@pytest.mark.statistical
def test_each_share_gets_the_powers_that_the_tests_speak_for() -> None:
    mean, spread = np.array([[np.log(14.0), np.log(45.0)]]), np.full((1, 2), 0.25)
    full, group = curve_grid(1.0), np.zeros(400, np.int64)
    likeliest = {}
    for power in (0.7, 3.0):
        followed = simulated(mean, spread, group, slow=0.85, power=power, error=0.7)
        chosen = choose_powers(followed, full, seed=0)
        assert chosen.share.tolist() == list(SLOW_SHARES)
        assert np.bincount(chosen.level, chosen.weights) == pytest.approx(np.ones(6))
        assert chosen.weights.min() >= LEAST_POWER
        assert chosen.weights.size < len(SLOW_SHARES) * len(POWERS)  # some are dropped
        near = chosen.level == SLOW_SHARES.index(0.85)
        likeliest[power] = chosen.power[near][np.argmax(chosen.weights[near])]
    assert likeliest[0.7] <= 1.0
    assert likeliest[3.0] >= 2.2


def test_powers_are_weighted_by_the_evidence_of_their_shapes() -> None:
    followed = simulated(np.array([[2.0, 3.5]]), np.full((1, 2), 0.3), np.zeros(60, np.int64))
    full = curve_grid(2.0, amplitudes=12, taus=12)
    weights = shape_weights(followed, full, seed=1)
    assert weights.shape == full.weights.shape
    assert weights.sum() == pytest.approx(1.0)
    chosen = choose_powers(followed, full, seed=1)
    expected = by_share(full, weights, pseudo=PSEUDO_SHARE, at_least=LEAST_POWER)
    for name in CurveGrid.__slots__:
        assert np.array_equal(getattr(chosen, name), getattr(expected, name))
    mixed = choose_shapes(followed, full, seed=1)
    assert mixed.share.size == 1
    kept = weights >= LEAST_SHAPE_WEIGHT
    assert mixed.weights == pytest.approx(weights[kept] / weights[kept].sum())
