from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from levelled_grid import normal
from small_cohorts import followed_of

from nmr_ml.curve import CurveGrid, likelihood_tables, remaining
from nmr_ml.latent import (
    BAG,
    LEAST_CURVATURE,
    LEAST_SPREAD,
    OUTPUTS,
    REACH,
    BoostedCurve,
    CurveTarget,
    TreeSettings,
    _binned,
    _Growing,
    _Objective,
    fit_boosted_curve,
    grow,
    posterior_moments,
    prior_moments,
    refine_spread,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable

#: Four slow shares with two powers each.
GRID = CurveGrid(
    np.linspace(np.log(0.3), np.log(60), 24), np.linspace(np.log(3), np.log(400), 22),
    share=np.array([0.4, 0.6, 0.8, 1.0]), slow=np.repeat([0.4, 0.6, 0.8, 1.0], 2),
    power=np.tile([1.0, 1.4], 4), level=np.repeat(np.arange(4), 2),
    weights=np.tile([0.7, 0.3], 4),
)  # fmt: skip
MIXED = CurveGrid.mixed(
    GRID.log_amplitude, GRID.log_tau, np.array([1.0, 0.6]), np.array([1.0, 1.4]),
    np.array([0.7, 0.3]),
)  # fmt: skip
AXES = (GRID.log_amplitude, GRID.log_tau, GRID.share)
NAMES = ("x", "noise")
SETTINGS = TreeSettings(max_rounds=30, min_data_in_leaf=10, learning_rate=0.2, threads=1)


def table_of(seed: int = 0, n: int = 6, grid: CurveGrid = GRID) -> np.ndarray:
    rng = np.random.default_rng(seed)
    episodes = [
        [(h, float(rng.normal(5, 5)), 2.6) for h in rng.uniform(0, 120, rng.integers(1, 4))]
        for _ in range(n)
    ]
    return likelihood_tables(followed_of(episodes), grid)[0]


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


def test_the_gradient_is_the_slope_of_minus_the_evidence() -> None:
    table = table_of(seed=4)
    weight = np.array([0.5, 1.0, 2.0, 1.0, 1.0, 1.5])
    data = CurveTarget(GRID, table, np.arange(6), weight)
    offset, spread = np.array([1.2, 3.4, 0.75]), np.array([0.4, 0.6, 0.25])
    scores = np.random.default_rng(2).normal(0, [0.3, 0.3, 0.1], (6, 3))
    objective = _Objective(data, offset, spread)
    gradient, curvature = objective(scores.ravel(), None)  # type: ignore[arg-type]

    def loss(moved: np.ndarray) -> np.ndarray:
        mean = moved + offset
        found = posterior_moments(table, data.episode, *AXES, mean, np.tile(spread, (6, 1)))
        return -found[0] * weight

    step = 1e-4
    for axis in range(3):
        nudge = np.zeros(3)
        nudge[axis] = step
        slope = (loss(scores + nudge) - loss(scores - nudge)) / (2 * step)
        bend = (loss(scores + nudge) - 2 * loss(scores) + loss(scores - nudge)) / step**2
        floor = LEAST_CURVATURE[axis] / spread[axis] ** 2 * weight
        assert gradient[:, axis] == pytest.approx(slope, abs=1e-4)
        assert curvature[:, axis] == pytest.approx(np.maximum(bend, floor), rel=1e-3, abs=1e-3)


def test_on_a_mixture_nothing_pulls_at_the_share() -> None:
    table = table_of(grid=MIXED)
    data = CurveTarget(MIXED, table, np.arange(6), np.ones(6))
    offset = np.array([1.5, 3.5, MIXED.share[0]])
    gradient, _ = _Objective(data, offset, np.array([0.4, 0.6, 0.1]))(np.zeros(18), None)  # type: ignore[arg-type]
    assert np.array_equal(gradient[:, 2], np.zeros(6))
    assert (np.abs(gradient[:, :2]) > 0).all()


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


#: Mean and spread of the log amplitude, log tau and slow share of `drawn` episodes.
MEAN, SPREAD = np.array([np.log(8.0), np.log(40.0), 0.7]), np.array([0.35, 0.45, 0.2])


def drawn(
    n: int, *, effect: float = 0.5, kinds: tuple[int, int] | None = None, error: float = 1.5,
    hours: tuple[float, ...] = (12.0, 36.0, 60.0), seed: int = 0,
) -> tuple[np.ndarray, CurveTarget, np.ndarray, np.ndarray]:  # fmt: skip
    """Return simulated episodes whose amplitude depends on the first of two features.

    With `kinds`, the second one says which of two levels the slow share of an episode is.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    mean = MEAN + effect * X[:, [0]] * np.array([1.0, 0.0, 0.0])
    log_a, log_tau, share = (mean + SPREAD * rng.normal(size=(n, 3))).T
    level = np.abs(share[:, None] - GRID.share).argmin(axis=1)
    if kinds is not None:
        X[:, 1] = rng.integers(0, 2, n)
        level = np.take(kinds, X[:, 1].astype(int))
    shape = 2 * level + rng.choice(2, n, p=GRID.weights[:2])
    episodes = [
        [
            (h, np.exp(log_a[i]) * remaining(h, np.exp(log_tau[i]), GRID.slow[s], GRID.power[s])
             + error * rng.normal(), error)
            for h in hours
        ]
        for i, s in enumerate(shape)
    ]  # fmt: skip
    table, _ = likelihood_tables(followed_of(episodes, 1e-6), GRID)
    return X, CurveTarget(GRID, table, np.arange(n), np.ones(n)), mean, SPREAD


@pytest.mark.statistical
def test_boosting_finds_the_feature_that_matters() -> None:
    X, data, mean, _ = drawn(600)
    fold = np.arange(600) % 3
    offset, spread = MEAN, np.array([0.6, 0.5, 0.2])
    fit = fit_boosted_curve(X, data, fold, offset, spread, SETTINGS, NAMES)
    assert fit.evidence > fit.null_evidence + 0.05
    assert 10 <= fit.rounds <= SETTINGS.max_rounds
    assert np.corrcoef(fit.held_out_means[:, 0], mean[:, 0])[0, 1] > 0.8
    gains = fit.model.boosters[0].feature_importance("gain")
    assert gains[0] > 3 * gains[1]


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("kinds", "low", "high"), [((0, 3), 0.25, 0.9), ((3, 0), -0.9, -0.25), ((1, 1), -0.05, 0.05)]
)
def test_boosting_learns_a_slow_share_that_depends_on_a_feature(
    kinds: tuple[int, int], low: float, high: float
) -> None:
    # Sessions of two kinds, of slow shares 0.4 and 1.0 (or of one), and otherwise alike. The mean
    # of a prior that is cut at the last level may lie beyond it.
    X, data, _, _ = drawn(600, effect=0.0, kinds=kinds, error=0.5, hours=(1.0, 12.0, 36.0, 60.0))
    fit = fit_boosted_curve(X, data, np.arange(600) % 2, MEAN, SPREAD, SETTINGS, NAMES)
    second = X[:, 1] == 1
    apart = fit.held_out_means[second].mean(axis=0) - fit.held_out_means[~second].mean(axis=0)
    assert low < apart[2] < high
    assert abs(apart[0]) < 0.15
    if kinds[0] != kinds[1]:
        assert fit.evidence > fit.null_evidence + 0.3


@pytest.mark.statistical
def test_held_out_means_come_from_the_other_folds() -> None:
    # With a target that nothing explains, means from the own fold would look better than chance.
    X, data, _, _ = drawn(400, effect=0.0)
    fold = np.arange(400) % 2
    offset, spread = MEAN, SPREAD
    fit = fit_boosted_curve(X, data, fold, offset, spread, SETTINGS, NAMES)
    _, inside = refine_spread(data, fit.model.means(X), fit.model.spread)
    assert fit.evidence < fit.null_evidence + 0.02
    assert inside > fit.evidence


def test_an_athletes_own_tests_do_not_enter_its_held_out_means() -> None:
    X, data, _, _ = drawn(300)
    fold = np.arange(300) % 2
    offset, spread = MEAN, np.array([0.5, 0.5, 0.2])
    settings = TreeSettings(max_rounds=10, min_data_in_leaf=10, learning_rate=0.2, threads=1)
    turned = data.table.copy()
    turned[fold == 0] = turned[fold == 0][:, :, ::-1]  # small deficits for large ones
    first, second = (
        fit_boosted_curve(
            X, replace(data, table=table), fold, offset, spread, settings, NAMES
        ).held_out_means
        for table in (data.table, turned)
    )
    assert np.array_equal(first[fold == 0], second[fold == 0])
    assert not np.array_equal(first[fold == 1], second[fold == 1])


@pytest.fixture(scope="module")
def small() -> tuple[np.ndarray, CurveTarget, BoostedCurve]:
    X, target, _, _ = drawn(200)
    offset, spread = np.array([2.0, 3.5, 0.7]), np.array([0.4, 0.5, 0.2])
    boosters = tuple(
        grow(X, target, offset, spread, replace(SETTINGS, seed=seed), rounds=12, names=NAMES)
        for seed in (0, 1)
    )
    return X, target, BoostedCurve(boosters, offset, spread)


Small = tuple[np.ndarray, CurveTarget, BoostedCurve]


def test_contributions_add_up_to_the_means(small: Small) -> None:
    X, _, model = small
    parts = model.contributions(X)
    assert parts.shape == (200, 2, 3)
    assert (np.abs(parts).max(axis=(0, 1)) > 0.01).all()  # each output is moved
    rest = model.means(X) - parts.sum(axis=1)
    # What is left is the expected output, the same for every row.
    assert rest == pytest.approx(np.tile(rest[0], (200, 1)), abs=1e-9)


def test_boosters_are_averaged(small: Small) -> None:
    X, _, model = small
    alone = [replace(model, boosters=(booster,)).means(X) for booster in model.boosters]
    assert not np.allclose(*alone)
    assert model.means(X) == pytest.approx(np.mean(alone, axis=0), abs=1e-12)


def test_scores_of_held_rows_are_predictions(small: Small) -> None:
    X, target, model = small
    train, held = np.arange(120), np.arange(120, 200)
    objective = _Objective(target.take(train), model.offset, model.spread)
    growing = _Growing(_binned(X, NAMES, SETTINGS), objective, SETTINGS, held, train)
    growing.grow(7)
    booster = growing.booster(7)
    assert growing.held_scores() == pytest.approx(
        booster.predict(X[held], raw_score=True), abs=1e-12
    )
    growing.grow(5)
    assert growing.booster(7).model_to_string() == booster.model_to_string()


def test_growing_is_reproducible(small: Small) -> None:
    X, target, model = small
    again = grow(X, target, model.offset, model.spread, SETTINGS, rounds=12, names=NAMES)
    assert again.model_to_string() == model.boosters[0].model_to_string()


def test_one_row_is_predicted_as_in_a_batch(small: Small) -> None:
    X, _, model = small
    alone = np.concatenate([model.means(X[[i]]) for i in range(20)])
    assert np.array_equal(alone, model.means(X)[:20])


def test_rows_of_a_target_keep_their_episode_and_weight() -> None:
    target = CurveTarget(
        GRID, np.empty((0, 1, 1, 1), np.float32), np.array([7, 8, 9]), np.array([1.0, 2.0, 3.0])
    )
    some = target.take(np.array([2, 0]))
    assert some.episode.tolist() == [9, 7]
    assert some.weight.tolist() == [3.0, 1.0]


def test_growing_ends_where_held_out_athletes_gain_no_more() -> None:
    X, target, _, _ = drawn(300, effect=0.0)
    fold = np.arange(300) % 3
    settings = replace(SETTINGS, max_rounds=400)
    fit = fit_boosted_curve(X, target, fold, MEAN, SPREAD, settings, NAMES)
    assert fit.rounds < 100
    assert len(fit.model.boosters) == 1
    assert fit.model.boosters[0].num_trees() == OUTPUTS * fit.rounds


def test_the_accurate_preset_averages_boosters_of_other_draws() -> None:
    X, target, _, _ = drawn(300)
    fold, offset, spread = np.arange(300) % 3, MEAN, np.array([0.5, 0.5, 0.2])
    fast, accurate = (
        fit_boosted_curve(X, target, fold, offset, spread, replace(SETTINGS, preset=preset), NAMES)
        for preset in ("fast", "accurate")
    )
    assert np.array_equal(fast.held_out_means, accurate.held_out_means)
    texts = [booster.model_to_string() for booster in accurate.model.boosters]
    assert len(set(texts)) == BAG
    assert texts[0] == fast.model.boosters[0].model_to_string()


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
