from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from nmr_ml.models.component.offset_posterior import (
    OFFSET_NODES,
    SHARED,
    Likelihood,
    _along,
    episode_likelihood,
)
from nmr_ml.models.curve.grid import CurveGrid
from tests.support.levelled_grid import LEVELLED, node_loglik, node_prior
from tests.support.small_cohorts import followed_of

GRID = CurveGrid.mixed(
    np.linspace(np.log(0.2), np.log(60), 26), np.linspace(np.log(3), np.log(500), 26),
    np.array([1.0]), np.array([1.0]), np.array([1.0]),
)  # fmt: skip


def log_table(found: Likelihood) -> np.ndarray:
    return np.log(found.table.astype(np.float64)) + found.top[:, None, None, None]


def by_nodes(
    grid: CurveGrid, tests: list[tuple[float, float, float]], centre: np.ndarray, within: np.ndarray
) -> float:
    """Return the log likelihood of `tests` as a sum over every node, as the tables count it."""
    total = np.sum(node_prior(grid, centre, within) * np.exp(node_loglik(grid, tests, 0.0)))
    # The constant of the normal density is left out.
    return float(np.log(total) + 0.5 * len(tests) * np.log(2 * np.pi))


def test_the_variance_of_a_posterior_on_one_node_is_not_negative() -> None:
    of_offsets = np.random.default_rng(0).random((200, OFFSET_NODES.size, OFFSET_NODES.size))
    posterior = np.zeros((*of_offsets.shape, SHARED.size))
    posterior[..., -1] = of_offsets / of_offsets.sum(axis=(1, 2), keepdims=True)
    mean, variance = np.array([_along(one, SHARED, 2) for one in posterior]).T
    assert mean == pytest.approx(np.full(200, SHARED[-1]))
    assert variance == pytest.approx(np.zeros(200), abs=1e-12)
    assert (variance >= 0).all()


def test_the_likelihood_is_the_integral_over_the_episode() -> None:
    rng, within, scale = (
        np.random.default_rng(2),
        np.array([0.2, 0.25, 0.1]),
        np.array([[0.3, 0.3]]),
    )
    tests = [(h, 8.0 * np.exp(-h / 30.0) + 1.5 * rng.normal(), 1.5) for h in (6.0, 24.0, 48.0)]
    mean = np.array([np.log(8.0), np.log(30.0), 1.0])
    found = log_table(episode_likelihood(followed_of([tests]), GRID, mean[None, :], within, scale))
    middle = SHARED.size // 2
    assert SHARED[middle] == 0.0
    for i, j in ((6, 2), (0, 8), (4, 4)):
        centre = mean + np.array([0.3 * OFFSET_NODES[i], 0.3 * OFFSET_NODES[j], 0.0])
        expected = by_nodes(GRID, tests, centre, within)
        assert found[0, i, j, middle] == pytest.approx(expected, abs=2e-3)


def test_the_likelihood_is_mixed_over_the_shares_that_the_episode_may_have() -> None:
    tests, shared = [(3.0, 6.0, 1.5), (30.0, 3.0, 2.0)], 0.8
    followed = followed_of([tests] * 3 + [[]], shared)
    # Of the same tests, the second episode has another mean of the share, the third a spread.
    means = np.array([[1.8, 3.6, 0.45], [1.8, 3.6, 0.95], [1.8, 3.6, 0.95], [1.8, 3.6, 0.7]])
    within = np.array([[0.5, 0.6, 0.2], [0.5, 0.6, 0.2], [0.5, 0.6, 0.6], [0.5, 0.6, 0.2]])
    scale = np.tile([0.3, 0.4], (4, 1))
    found = log_table(episode_likelihood(followed, LEVELLED, means, within, scale))
    assert found.shape == (4, OFFSET_NODES.size, OFFSET_NODES.size, SHARED.size)
    for e, i, j, z in product(range(3), (0, 3, 8), (1, 4, 7), range(SHARED.size)):
        moved = [(h, d - SHARED[z] * shared, error) for h, d, error in tests]
        centre = means[e] + np.array(
            [scale[e, 0] * OFFSET_NODES[i], scale[e, 1] * OFFSET_NODES[j], 0.0]
        )
        expected = by_nodes(LEVELLED, moved, centre, within[e])
        assert found[e, i, j, z] == pytest.approx(expected, abs=5e-3)
    assert np.abs(found[0] - found[1]).max() > 0.1
    assert np.abs(found[1] - found[2]).max() > 0.03
    assert not found[3].any()
