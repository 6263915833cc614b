"""The pieces that the benchmarks of methods and of trust are made of, on tiny data."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks import methods, trust
from benchmarks.rivals import ceiling, medians, ours
from benchmarks.rivals.cells import EDGES_H, PopulationCells, below_by_cell, cell_weights
from benchmarks.rivals.lightgbm_points import CENTRES
from benchmarks.rivals.method import Columns, Training, first_recovered, middles
from benchmarks.rivals.normal import SHIFT_H, quantiles, spread_of_cells, spread_of_intervals, warp
from benchmarks.rivals.problem import Origin, Side, make_side, specs_for, with_errors
from benchmarks.rivals.redraw import Asked, redraw
from benchmarks.rivals.scores import (
    LEVELS,
    crps,
    difference,
    probability_until,
    quantiles_of_draws,
    scores,
)
from nmr_ml.history.rested_baseline import Baselines
from nmr_ml.labels.followed_tests import Followed

if TYPE_CHECKING:
    from pathlib import Path

DELTA = 2.6
ORIGIN = Origin(athletes=30, days=60, seed=7, test_error_pct=2.5)
#: Nothing of an athlete or a session is left to chance, and tests have no error.
STILL = (
    "people.rate_sd=0", "people.impulse_sd=0", "people.inflammation_sd=0",
    "people.familiarity_sd=0", "variation.session_impulse=0", "modulators.daily_sd=0",
    "modulators.training=0", "mapping.training_slope=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cohorts")


@pytest.fixture(scope="module")
def side(folder: Path) -> Side:
    return make_side(ORIGIN, folder)


@pytest.fixture(scope="module")
def training(side: Side) -> Training:
    labelled = np.flatnonzero(side.labelled)
    some = np.random.default_rng(0).permutation(labelled)[:300]
    return Training(side.take(np.sort(some)), DELTA)


@pytest.fixture(scope="module")
def told(training: Training) -> tuple[PopulationCells, np.ndarray, np.ndarray]:
    return training.cells()


def followed(*episodes: list[tuple[float, float]], error: float = 2.5) -> Followed:
    """Return episodes of (hours, deficit)."""
    counts = [len(e) for e in episodes]
    tests = np.array([test for e in episodes for test in e], float).reshape(-1, 2)
    n = len(episodes)
    nothing = Baselines(
        np.full(n, 40.0),
        np.zeros(n),
        np.full(n, 6),
        np.tile(np.arange(6), (n, 1)),
        np.zeros((n, 7)),
        np.zeros(n),
    )
    return Followed(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), tests[:, 0].copy(),
        tests[:, 1].copy(), np.full(len(tests), error), np.zeros(n), nothing,
    )  # fmt: skip


def test_hard_intervals_end_at_the_first_test_below_delta() -> None:
    lower, upper = first_recovered(
        followed(
            [(0.5, 6.0), (24.0, 4.0), (48.0, 1.0), (72.0, 5.0)],
            [(0.5, 1.0), (24.0, 9.0)],
            [(24.0, 4.0), (48.0, 2.6)],
            [],
        ),
        DELTA,
    )
    assert lower.tolist() == [24.0, 0.0, 48.0, 0.0]
    assert upper.tolist() == [48.0, 0.5, np.inf, np.inf]
    middle, ended = middles(lower, upper)
    assert middle.tolist() == [36.0, 0.25, 48.0, 0.0]
    assert ended.tolist() == [True, True, False, False]


def test_the_crps_of_a_point_is_its_distance_and_of_a_normal_its_formula() -> None:
    point = np.full((1, LEVELS.size), 30.0)
    assert crps(point, np.array([40.0]))[0] == pytest.approx(10.0, rel=0.01)
    normal = 50.0 + 10.0 * norm.ppf(LEVELS)[None]
    z = 0.7
    exact = 10.0 * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert crps(normal, np.array([57.0]))[0] == pytest.approx(exact, rel=0.03)


def test_scores_tell_bias_coverage_and_width() -> None:
    quantiles = np.tile(100.0 * LEVELS, (4, 1)) + np.arange(4)[:, None]
    found = scores(quantiles, np.array([40.0, 50.0, 5.0, 99.0]))
    assert found["bias_h"] == pytest.approx(np.mean([10.0, 1.0, 47.0, -46.0]))
    assert found["mae_h"] == pytest.approx(np.mean([10.0, 1.0, 47.0, 46.0]))
    assert found["coverage_80"] == 0.5
    assert found["width_80_h"] == pytest.approx(80.0)
    assert found["c_index"] == pytest.approx(4 / 6)


def test_a_difference_is_uncertain_by_athletes_not_by_rows() -> None:
    rng = np.random.default_rng(0)
    athlete = np.repeat([f"a{i}" for i in range(20)], 50).astype(object)
    gap = np.repeat(rng.normal(1.0, 1.0, 20), 50)
    found = difference(gap, np.zeros(1000), athlete)
    assert found.value == pytest.approx(gap.mean())
    assert found.upper - found.lower == pytest.approx(2 * 1.96 * gap.std() / np.sqrt(20), rel=0.2)
    assert found.upper - found.lower > 4 * 1.96 * gap.std() / np.sqrt(1000)


def test_weighted_draws_have_the_quantiles_of_the_weighted_law() -> None:
    draws = np.random.default_rng(1).normal(50.0, 10.0, (1, 20_000))
    tilted = np.exp(0.1 * (draws - 50.0))  # a normal tilted so is one with its mean at 60
    expected = 60.0 + 10.0 * norm.ppf(LEVELS)
    assert np.abs(quantiles_of_draws(draws, tilted)[0] - expected).max() < 2.0
    same = quantiles_of_draws(draws, np.ones_like(draws))
    np.testing.assert_allclose(same, quantiles_of_draws(draws), atol=0.05)


def test_probabilities_undo_quantiles() -> None:
    quantiles = np.array([100.0 * LEVELS, np.maximum(100.0 * LEVELS - 20.0, 0.0)])
    found = probability_until(quantiles, np.array([1.0, 30.0, 60.5, 99.0, 500.0]))
    np.testing.assert_allclose(found[0], [0.01, 0.30, 0.605, 0.99, 1.0], atol=1e-9)
    np.testing.assert_allclose(found[1], [0.21, 0.50, 0.805, 1.0, 1.0], atol=0.011)


def test_spreads_are_found_from_cells_and_from_intervals() -> None:
    rng = np.random.default_rng(2)
    mean = rng.normal(4.5, 0.5, 4000)
    true = mean + 0.4 * rng.standard_normal(4000)
    cell = np.searchsorted(EDGES_H[1:-1], np.exp(true) - SHIFT_H, side="right")
    assert spread_of_cells(mean, np.eye(EDGES_H.size - 1)[cell]) == pytest.approx(0.4, rel=0.05)
    lower, upper = np.floor(2 * true) / 2, np.floor(2 * true) / 2 + 0.5
    lower[:200], upper[200:400] = -np.inf, np.inf
    spread, loss = spread_of_intervals(mean, lower, upper)
    assert spread == pytest.approx(0.4, rel=0.05)
    exact = np.log(norm.cdf((upper - mean) / spread) - norm.cdf((lower - mean) / spread))
    assert loss == pytest.approx(-exact.mean(), rel=1e-6)


def test_quantiles_below_zero_are_mass_at_zero() -> None:
    found = quantiles(np.array([np.log(SHIFT_H) + 0.5]), 1.0)[0]
    assert (found[LEVELS < norm.cdf(-0.5)] == 0).all()
    assert found[LEVELS > 0.32].min() > 0
    np.testing.assert_allclose(warp(found[40:]), np.log(SHIFT_H) + 0.5 + norm.ppf(LEVELS[40:]))


def test_cells_know_what_tests_say(
    training: Training, told: tuple[PopulationCells, np.ndarray, np.ndarray]
) -> None:
    cells, posterior, likelihood = told
    truth = warp(training.side.truth_h)
    assert np.corrcoef(posterior @ CENTRES, truth)[0, 1] > 0.5
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0)
    assert likelihood.max() == 1.0
    one = np.array(["soccer"], dtype=object)
    sharp = followed([(24.0, 8.0), (48.0, 5.0), (72.0, 3.0), (96.0, 1.5)], error=0.05)
    sure, _ = cell_weights(cells, sharp, one)
    # Straight on a logarithmic scale, the deficits cross 2.6 % between 72 and 96 h.
    assert sure[0, (EDGES_H[:-1] > 55.0) & (EDGES_H[1:] < 110.0)].sum() > 0.95
    below = below_by_cell(cells, followed([(24.0, 0.0), (72.0, 0.0)]), one)
    assert ((below > 0) & (below < 1)).any(axis=1).all()
    early, late = below[:, EDGES_H[:-1] == EDGES_H[5]], below[:, EDGES_H[:-1] == EDGES_H[30]]
    assert (early > 0.6).all()
    assert (late < 0.4).all()


def test_cells_stand_in_for_a_modality_never_seen(
    told: tuple[PopulationCells, np.ndarray, np.ndarray],
) -> None:
    cells = told[0]
    names = np.array(["soccer", "never seen"], dtype=object)
    assert cells.group_of(names).tolist() == [
        cells.groups.index("soccer"), len(cells.groups) - 1
    ]  # fmt: skip


def test_dense_columns_have_no_gaps(training: Training) -> None:
    X = training.X
    columns = Columns.of(X, np.arange(X.shape[1]))
    dense = columns.dense(X)
    assert np.isfinite(dense).all()
    assert np.abs(dense).max() <= 5.0
    asked = columns.dense(np.full((1, X.shape[1]), np.nan))
    np.testing.assert_array_equal(asked, np.zeros_like(asked))


def test_a_side_is_read_as_it_was_made_and_taken_in_order(side: Side, folder: Path) -> None:
    again = make_side(ORIGIN, folder)
    np.testing.assert_array_equal(again.X, side.X)
    np.testing.assert_array_equal(again.data.team, side.data.team)
    assert len(list(folder.glob("*.npz"))) >= 1
    rows = np.array([5, 2, 9])
    some = side.take(rows)
    np.testing.assert_array_equal(some.truth_h, side.truth_h[rows])
    np.testing.assert_array_equal(some.X, side.X[rows])
    np.testing.assert_array_equal(some.data.episode_id, side.data.episode_id[rows])


def test_the_configured_error_is_the_simulated_one_times_what_is_asked_for(side: Side) -> None:
    spec = specs_for(2.5)["cmj_height"]
    assert spec.typical_error(np.array([3.0]))[0] == pytest.approx(2.5)
    assert side.data.followed.error == pytest.approx(2.5)
    assert with_errors(side, 1.5).data.followed.error == pytest.approx(3.75)


def test_the_ceiling_and_the_model_beat_what_knows_no_features(
    training: Training, folder: Path
) -> None:
    test = make_side(replace(ORIGIN, seed=8), folder)
    found = {
        name: scores(fit(training)(test), test.truth_h)
        for name, fit in (
            ("model", ours.fit_fast), ("ceiling", ceiling.fit_same_booster),
            ("modality", medians.fit_truth),
        )
    }  # fmt: skip
    assert found["ceiling"]["crps_h"] < found["modality"]["crps_h"]
    assert found["model"]["crps_h"] < found["modality"]["crps_h"]
    assert found["ceiling"]["crps_h"] < 1.05 * found["model"]["crps_h"]


def test_the_report_has_a_row_for_each_method_that_ran(training: Training) -> None:
    small = training.side
    found = methods.run(small, small, DELTA, only=("population", "median by modality"))
    lines = methods.report(found).splitlines()
    rows = [line for line in lines if line.startswith(("| population", "| true T: median"))]
    assert len(rows) == len(found["methods"]) == 2
    assert all(0.05 < m["brier"] < 0.35 for m in found["methods"].values())


@pytest.mark.skipif(find_spec("xgboost") is not None, reason="xgboost is installed")
def test_a_method_that_is_not_installed_is_named(
    training: Training, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="no method"):
        methods.run(training.side, training.side, DELTA, only=("XGBoost",))
    assert "xgboost is not installed" in capsys.readouterr().err


def test_nothing_left_to_chance_is_drawn_as_it_was(folder: Path) -> None:
    origin = Origin(athletes=4, days=40, seed=5, test_error_pct=0.01, settings=STILL)
    still = make_side(origin, folder)
    episodes, tests = trust.with_morning_test(still)
    seen = trust.only(still.data.followed, episodes, tests)
    asked = trust.asked_of(still.take(episodes), seen)
    assert len(asked) >= 8
    drawn = redraw(origin, asked, draws=2, seed=0)
    np.testing.assert_allclose(drawn.true_h, still.truth_h[episodes], atol=1e-3)
    np.testing.assert_allclose(drawn.recovery_h[:, 0], drawn.true_h, atol=1e-3)
    # Heights are told to a millimetre, which is a quarter of a per cent.
    np.testing.assert_allclose(drawn.reading, drawn.deficit[:, 0], atol=0.3)


def test_draws_scatter_around_what_happened(side: Side) -> None:
    episodes, tests = trust.with_morning_test(side)
    seen = trust.only(side.data.followed, episodes[:12], tests[:12])
    asked = trust.asked_of(side.take(episodes[:12]), seen)
    assert all(isinstance(one, Asked) for one in asked)
    drawn = redraw(ORIGIN, asked, draws=40, seed=0)
    rank = (drawn.recovery_h < drawn.true_h[:, None]).mean(axis=1)
    assert 0.2 < rank.mean() < 0.8
    assert (drawn.recovery_h.std(axis=1) > 1.0).all()


def test_next_sessions_are_those_of_the_same_athlete(side: Side) -> None:
    found = trust.next_session_h(side)
    first = side.data.athlete[0]
    own = np.flatnonzero(side.data.athlete == first)
    own = own[np.argsort(side.data.clock_start_s[own])]
    expected = np.diff(side.data.clock_start_s[own]) / 3600.0
    np.testing.assert_allclose(found[own[:-1]], expected)
    assert np.isinf(found[own[-1]])


def test_a_slice_of_each_athletes_past_is_taken() -> None:
    offsets, rows = np.array([0, 3, 3, 5]), np.array([4, 5, 6, 1, 2])

    def taken(past: slice) -> list[list[int]]:
        return [part.tolist() for part in ours.sliced(offsets, rows, past)]

    assert taken(slice(-2, None)) == [[0, 2, 2, 4], [5, 6, 1, 2]]
    assert taken(slice(1)) == [[0, 1, 1, 2], [4, 1]]
    assert taken(ours.NOTHING) == [[0, 0, 0, 0], []]
    assert taken(ours.EVERYTHING) == [offsets.tolist(), rows.tolist()]
