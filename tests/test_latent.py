from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_cohorts import followed_of

from nmr_ml.curve import CurveGrid, likelihood_tables, remaining
from nmr_ml.latent import (
    BAG,
    LEAST_CURVATURE,
    LEAST_SPREAD,
    BoostedCurve,
    CurveTarget,
    TreeSettings,
    _binned,
    _Growing,
    _Objective,
    fit_boosted_curve,
    grow,
    posterior_moments,
    refine_spread,
)  # fmt: skip

GRID = CurveGrid(
    np.linspace(np.log(0.3), np.log(60), 24), np.linspace(np.log(3), np.log(400), 22),
    np.array([1.0, 0.6]), np.array([1.0, 1.4]), np.array([0.7, 0.3]),
)  # fmt: skip
NAMES = ("x", "noise")
SETTINGS = TreeSettings(max_rounds=30, min_data_in_leaf=10, learning_rate=0.2, threads=1)


def table_of(seed: int = 0, n: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    episodes = [
        [(h, float(rng.normal(5, 5)), 2.6) for h in rng.uniform(0, 120, rng.integers(1, 4))]
        for _ in range(n)
    ]
    return likelihood_tables(followed_of(episodes), GRID)[0]


def brute(table: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return evidence, mean and variance by summing over every node."""
    z = [(nodes - m) / s for nodes, m, s in
         zip((GRID.log_amplitude, GRID.log_tau), mean, spread, strict=True)]  # fmt: skip
    a, b = (np.exp(-0.5 * x**2) / np.exp(-0.5 * x**2).sum() for x in z)
    joint = table.astype(np.float64) * np.outer(a, b)
    p = joint / joint.sum()
    centre = np.array([p.sum(1) @ GRID.log_amplitude, p.sum(0) @ GRID.log_tau])
    second = np.array([p.sum(1) @ GRID.log_amplitude**2, p.sum(0) @ GRID.log_tau**2])
    return np.log(joint.sum()), centre, second - centre**2


def test_moments_equal_sums_over_every_node() -> None:
    table, rng = table_of(), np.random.default_rng(1)
    episode = np.array([0, 1, 1, 5, 3, 2], np.int64)
    mean = rng.normal([1.5, 3.5], 0.8, (6, 2))
    spread = np.array([0.35, 0.5])
    evidence, centre, variance = posterior_moments(
        table, episode, GRID.log_amplitude, GRID.log_tau, mean, spread
    )
    for row, e in enumerate(episode):
        expected = brute(table[e], mean[row], spread)
        assert evidence[row] == pytest.approx(expected[0], abs=1e-10)
        assert centre[row] == pytest.approx(expected[1], abs=1e-10)
        assert variance[row] == pytest.approx(expected[2], abs=1e-10)


def test_a_prior_beyond_the_grid_stays_finite() -> None:
    table, mean = table_of(), np.array([[-9.0, 12.0], [12.0, -9.0], [1.5, 3.5]])
    found = posterior_moments(
        table, np.arange(3), GRID.log_amplitude, GRID.log_tau, mean, np.array([0.12, 0.12])
    )
    assert all(np.isfinite(part).all() for part in found)
    for axis, nodes in enumerate((GRID.log_amplitude, GRID.log_tau)):
        assert ((found[1][:, axis] >= nodes[0]) & (found[1][:, axis] <= nodes[-1])).all()


def test_a_test_without_information_returns_the_prior() -> None:
    flat = np.ones((1, GRID.log_amplitude.size, GRID.log_tau.size), np.float32)
    mean, spread = np.array([[1.6, 3.5]]), np.array([0.3, 0.3])
    evidence, centre, variance = posterior_moments(
        flat, np.zeros(1, np.int64), GRID.log_amplitude, GRID.log_tau, mean, spread
    )
    assert evidence[0] == pytest.approx(0.0, abs=1e-9)
    assert centre[0] == pytest.approx(mean[0], abs=1e-3)
    assert np.sqrt(variance[0]) == pytest.approx(spread, abs=1e-2)


def test_the_gradient_is_the_slope_of_minus_the_evidence() -> None:
    table = table_of(seed=4)
    weight = np.array([0.5, 1.0, 2.0, 1.0, 1.0, 1.5])
    data = CurveTarget(GRID, table, np.arange(6), weight)
    offset, spread = np.array([1.2, 3.4]), np.array([0.4, 0.6])
    scores = np.random.default_rng(2).normal(0, 0.3, (6, 2))
    objective = _Objective(data, offset, spread)
    gradient, curvature = objective(scores.ravel(), None)  # type: ignore[arg-type]

    def loss(moved: np.ndarray) -> np.ndarray:
        mean = moved + offset
        found = posterior_moments(
            table, data.episode, GRID.log_amplitude, GRID.log_tau, mean, spread
        )
        # The prior is cut to the grid and made to sum to 1 there; the objective's is not.
        cut = [
            np.log(np.exp(-0.5 * ((nodes[None] - mean[:, [k]]) / spread[k]) ** 2).sum(axis=1))
            for k, nodes in enumerate((GRID.log_amplitude, GRID.log_tau))
        ]
        return -(found[0] + cut[0] + cut[1]) * weight

    step = 1e-4
    for axis in range(2):
        nudge = np.zeros(2)
        nudge[axis] = step
        slope = (loss(scores + nudge) - loss(scores - nudge)) / (2 * step)
        bend = (loss(scores + nudge) - 2 * loss(scores) + loss(scores - nudge)) / step**2
        floor = LEAST_CURVATURE / spread[axis] ** 2 * weight
        assert gradient[:, axis] == pytest.approx(slope, abs=1e-4)
        assert curvature[:, axis] == pytest.approx(np.maximum(bend, floor), rel=1e-3, abs=1e-3)


@pytest.mark.statistical
def test_the_spread_of_episodes_around_known_means_is_recovered() -> None:
    _, data, mean, spread = drawn(900)
    found, evidence = refine_spread(data, mean, np.array([1.0, 1.0]), rounds=80)
    assert found == pytest.approx(spread, abs=0.1)
    _, at_start = refine_spread(data, mean, np.array([1.0, 1.0]), rounds=0)
    assert evidence > at_start


def test_the_spread_has_a_floor() -> None:
    # Exact tests of the curve at one node: without a floor nothing would be left of the spread.
    mean = np.array([GRID.log_amplitude[12], GRID.log_tau[10]])
    exact = [
        (h, np.exp(mean[0]) * remaining(h, np.exp(mean[1]), GRID.slow[0], GRID.power[0]), 0.02)
        for h in (12.0, 36.0, 60.0)
    ]
    table, _ = likelihood_tables(followed_of([exact] * 5, 1e-6), GRID)
    data = CurveTarget(GRID, table, np.arange(5), np.ones(5))
    found, _ = refine_spread(data, np.tile(mean, (5, 1)), np.array([0.3, 0.3]))
    assert found == pytest.approx([LEAST_SPREAD, LEAST_SPREAD])


def drawn(
    n: int, *, spread: tuple[float, float] = (0.35, 0.45), effect: float = 0.5, seed: int = 0
) -> tuple[np.ndarray, CurveTarget, np.ndarray, np.ndarray]:
    """Return simulated episodes whose amplitude depends on the first of two features."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    mean = np.array([np.log(8.0), np.log(40.0)]) + np.column_stack([effect * X[:, 0], np.zeros(n)])
    log_a, log_tau = (mean + np.array(spread) * rng.normal(size=(n, 2))).T
    shape = rng.choice(2, n, p=GRID.weights)
    hours = np.array([12.0, 36.0, 60.0])
    episodes = [
        [
            (h, np.exp(log_a[i]) * remaining(h, np.exp(log_tau[i]), GRID.slow[s], GRID.power[s])
             + 1.5 * rng.normal(), 1.5)
            for h in hours
        ]
        for i, s in enumerate(shape)
    ]  # fmt: skip
    table, _ = likelihood_tables(followed_of(episodes, 1e-6), GRID)
    return X, CurveTarget(GRID, table, np.arange(n), np.ones(n)), mean, np.array(spread)


@pytest.mark.statistical
def test_boosting_finds_the_feature_that_matters() -> None:
    X, data, mean, _ = drawn(600)
    fold = np.arange(600) % 3
    offset, spread = np.array([np.log(8.0), np.log(40.0)]), np.array([0.6, 0.5])
    fit = fit_boosted_curve(X, data, fold, offset, spread, SETTINGS, NAMES)
    assert fit.evidence > fit.null_evidence + 0.05
    assert 10 <= fit.rounds <= SETTINGS.max_rounds
    assert np.corrcoef(fit.held_out_means[:, 0], mean[:, 0])[0, 1] > 0.8
    gains = fit.model.boosters[0].feature_importance("gain")
    assert gains[0] > 3 * gains[1]


@pytest.mark.statistical
def test_held_out_means_come_from_the_other_folds() -> None:
    # With a target that nothing explains, means from the own fold would look better than chance.
    X, data, _, _ = drawn(400, effect=0.0)
    fold = np.arange(400) % 2
    offset, spread = np.array([np.log(8.0), np.log(40.0)]), np.array([0.35, 0.45])
    fit = fit_boosted_curve(X, data, fold, offset, spread, SETTINGS, NAMES)
    _, inside = refine_spread(data, fit.model.means(X), fit.model.spread)
    assert fit.evidence < fit.null_evidence + 0.02
    assert inside > fit.evidence


def test_an_athletes_own_tests_do_not_enter_its_held_out_means() -> None:
    X, data, _, _ = drawn(300)
    fold = np.arange(300) % 2
    offset, spread = np.array([np.log(8.0), np.log(40.0)]), np.array([0.5, 0.5])
    settings = TreeSettings(max_rounds=10, min_data_in_leaf=10, learning_rate=0.2, threads=1)
    turned = data.table.copy()
    turned[fold == 0] = turned[fold == 0][:, ::-1]  # small deficits for large ones
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
    offset, spread = np.array([2.0, 3.5]), np.array([0.4, 0.5])
    boosters = tuple(
        grow(X, target, offset, spread, replace(SETTINGS, seed=seed), rounds=12, names=NAMES)
        for seed in (0, 1)
    )
    return X, target, BoostedCurve(boosters, offset, spread)


Small = tuple[np.ndarray, CurveTarget, BoostedCurve]


def test_contributions_add_up_to_the_means(small: Small) -> None:
    X, _, model = small
    parts = model.contributions(X)
    assert parts.shape == (200, 2, 2)
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
        GRID, np.empty((0, 1, 1), np.float32), np.array([7, 8, 9]), np.array([1.0, 2.0, 3.0])
    )
    some = target.take(np.array([2, 0]))
    assert some.episode.tolist() == [9, 7]
    assert some.weight.tolist() == [3.0, 1.0]


def test_growing_ends_where_held_out_athletes_gain_no_more() -> None:
    X, target, _, _ = drawn(300, effect=0.0)
    fold, offset = np.arange(300) % 3, np.array([np.log(8.0), np.log(40.0)])
    settings = replace(SETTINGS, max_rounds=400)
    fit = fit_boosted_curve(X, target, fold, offset, np.array([0.35, 0.45]), settings, NAMES)
    assert fit.rounds < 100
    assert len(fit.model.boosters) == 1
    assert fit.model.boosters[0].num_trees() == 2 * fit.rounds


def test_the_accurate_preset_averages_boosters_of_other_draws() -> None:
    X, target, _, _ = drawn(300)
    fold, offset, spread = np.arange(300) % 3, np.array([2.0, 3.5]), np.array([0.5, 0.5])
    fast, accurate = (
        fit_boosted_curve(X, target, fold, offset, spread, replace(SETTINGS, preset=preset), NAMES)
        for preset in ("fast", "accurate")
    )
    assert np.array_equal(fast.held_out_means, accurate.held_out_means)
    texts = [booster.model_to_string() for booster in accurate.model.boosters]
    assert len(set(texts)) == BAG
    assert texts[0] == fast.model.boosters[0].model_to_string()
