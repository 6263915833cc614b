from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from small_cohorts import followed_of

from nmr_ml.curve import CurveGrid, likelihood_tables, remaining
from nmr_ml.population import (
    LEAST_SHAPE,
    LEAST_SPREAD,
    choose_shapes,
    fit_population,
    node_probabilities,
)  # fmt: skip

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.labels import Followed


def grid_of(slow: list[float], power: list[float]) -> CurveGrid:
    return CurveGrid(
        np.linspace(np.log(0.2), np.log(60), 30), np.linspace(np.log(3), np.log(400), 30),
        np.array(slow), np.array(power), np.full(len(slow), 1 / len(slow)),
    )  # fmt: skip


def simulated(
    mean: NDArray[np.float64], spread: NDArray[np.float64], group: NDArray[np.int64], *,
    slow: float = 1.0, power: float = 1.0, seed: int = 0, error: float = 2.0,
) -> Followed:  # fmt: skip
    """Return tests at 12, 36, 60 and 84 h with noise of their own and a shared one."""
    rng = np.random.default_rng(seed)
    hours = np.array([12.0, 36.0, 60.0, 84.0])
    drawn = mean[group] + spread[group] * rng.normal(size=(group.size, 2))
    episodes = []
    for log_a, log_tau in drawn:
        left = [remaining(h, np.exp(log_tau), slow, power) for h in hours]
        deficit = np.exp(log_a) * np.array(left) + rng.normal() + error * rng.normal(size=4)
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
    found = fit_population(table, top, grid, group, rounds=80)
    # Standard errors of the means are about 0.015 and 0.02, of the spreads twice that.
    assert found.mean[0] == pytest.approx(mean[0], abs=0.08)
    assert found.spread[0] == pytest.approx(spread[0], abs=0.12)


@pytest.mark.statistical
def test_groups_are_told_apart_and_small_ones_pulled_to_the_rest() -> None:
    mean = np.array([[np.log(5.0), np.log(25.0)], [np.log(14.0), np.log(70.0)]])
    spread = np.full((2, 2), 0.3)
    group = np.repeat([0, 1], [500, 500])
    followed = simulated(mean, spread, group)
    grid = grid_of([1.0], [1.0])
    table, top = likelihood_tables(followed, grid)
    both = fit_population(table, top, grid, group)
    assert both.mean == pytest.approx(mean, abs=0.15)
    few = np.concatenate([np.arange(500), np.arange(500, 505)])
    pulled = fit_population(table[few], top[few], grid, group[few])
    # Five episodes weigh a quarter of the 20 that the pooled mean is worth.
    way = (pulled.mean[1, 0] - mean[0, 0]) / (mean[1, 0] - mean[0, 0])
    assert 0.05 < way < 0.45
    one = fit_population(table, top, grid, np.zeros(1000, np.int64))
    assert both.evidence > one.evidence + 0.1


def test_spread_never_falls_between_the_nodes() -> None:
    followed = followed_of([[(24.0, 6.0, 0.05), (48.0, 3.0, 0.05)]] * 50, 0.01)
    grid = grid_of([1.0], [1.0])
    table, top = likelihood_tables(followed, grid)
    found = fit_population(table, top, grid, np.zeros(50, np.int64))
    assert (found.spread >= LEAST_SPREAD).all()


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
    uneven = replace(grid, weights=np.array([1 - LEAST_SHAPE / 2, LEAST_SHAPE / 2]))
    assert choose_shapes(followed, uneven, seed=0).slow.size == 1


def test_the_choice_is_reproducible() -> None:
    grid = grid_of([1.0, 0.6], [1.0, 2.0])
    followed = simulated(np.array([[2.0, 3.5]]), np.full((1, 2), 0.3), np.zeros(80, np.int64))
    first, second = (choose_shapes(followed, grid, seed=3) for _ in range(2))
    assert np.array_equal(first.weights, second.weights)
