from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.models.curve.boosted import (
    BAG,
    LEAST_CURVATURE,
    RECORD,
    BoostedCurve,
    TreeSettings,
    _binned,
    _Growing,
    _Objective,
    fit_boosted_curve,
    grow,
)
from nmr_ml.models.curve.target import (
    OUTPUTS,
    CurveTarget,
    posterior_moments,
    refine_level,
    refine_spread,
)
from tests.support.drawn_curves import AXES, GRID, MEAN, MIXED, SPREAD, drawn, table_of

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats

NAMES = ("x", "noise")
SETTINGS = TreeSettings(max_rounds=30, min_data_in_leaf=10, learning_rate=0.2, threads=1)


def test_the_gradient_is_the_slope_of_minus_the_evidence() -> None:
    table = table_of(seed=4)
    weight = np.array([0.5, 1.0, 2.0, 1.0, 1.0, 1.5])
    data = CurveTarget(GRID, table, np.arange(6), weight)
    offset, spread = np.array([1.2, 3.4, 0.75]), np.array([0.4, 0.6, 0.25])
    scores = np.random.default_rng(2).normal(0, [0.3, 0.3, 0.1], (6, 3))
    objective = _Objective(data, offset, spread)
    gradient, curvature = objective(scores.ravel(), None)

    def loss(moved: Floats) -> Floats:
        mean = moved + offset
        found = posterior_moments(table, data.episode, *AXES, mean, np.tile(spread, (6, 1)))
        lost: Floats = -found[0] * weight
        return lost

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
    gradient, _ = _Objective(data, offset, np.array([0.4, 0.6, 0.1]))(np.zeros(18), None)
    assert np.array_equal(gradient[:, 2], np.zeros(6))
    assert (np.abs(gradient[:, :2]) > 0).all()


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


@pytest.mark.statistical
def test_held_out_means_have_the_level_of_the_spread_that_is_told() -> None:
    # A wider spread has a lower mean log amplitude for the same deficits, and folds start wide.
    X, data, _, _ = drawn(900)
    fit = fit_boosted_curve(X, data, np.arange(900) % 3, MEAN, 3 * SPREAD, SETTINGS, NAMES)
    assert refine_level(data, fit.held_out_means, fit.model.spread)[:2] == pytest.approx(
        np.zeros(2), abs=0.04
    )
    folds = np.concatenate(
        [replace(fit.model, boosters=(booster,)).means(X[k::3])
         for k, booster in enumerate(fit.fold_boosters)]
    )  # fmt: skip
    unlevelled = refine_level(
        data.take(np.concatenate([np.arange(k, 900, 3) for k in range(3)])), folds, fit.model.spread
    )
    assert unlevelled[0] > 0.05


def test_days_on_record_are_a_feature_where_there_is_one(small: Small) -> None:
    X, data, model = small
    assert np.array_equal(model.record_d(X), np.full(len(X), np.inf))
    booster = grow(
        X, data, MEAN, SPREAD, replace(SETTINGS, max_rounds=2), rounds=2, names=("x", RECORD)
    )
    assert np.array_equal(replace(model, boosters=(booster,)).record_d(X), X[:, 1])


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
    # Only the spread, which is chosen on all athletes, moves their level.
    apart = (first - second)[fold == 0]
    assert np.ptp(apart, axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    assert (np.ptp((first - second)[fold == 1], axis=0)[:2] > 0.1).all()


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
    first, second = alone
    assert not np.allclose(first, second)
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
