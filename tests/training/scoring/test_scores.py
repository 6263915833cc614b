from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.small_cohorts import followed_of
from training.scoring.scores import brier, concordance, time_scores

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed

DELTA = 2.6
LEVELS = np.round(np.arange(0.05, 0.951, 0.05), 2)
EPISODES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.lists(
            st.tuples(st.floats(0, 120), st.floats(-5, 10), st.floats(0, 1), st.floats(0, 1)),
            min_size=1, max_size=4,
        ),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


def example(
    episodes: list[tuple[str, list[tuple[float, float, float, float]]]],
) -> tuple[Followed, dict[str, np.ndarray], np.ndarray]:
    """Return tests, the probabilities of two methods and the athlete of each episode."""
    followed = followed_of([[(h, d, 2.6) for h, d, _, _ in tests] for _, tests in episodes])
    flat = [test for _, tests in episodes for test in tests]
    below = {"model": np.array([t[2] for t in flat]), "other": np.array([t[3] for t in flat])}
    return followed, below, np.array([name for name, _ in episodes], dtype=object)


@settings(max_examples=50, deadline=None)
@given(EPISODES)
def test_the_score_equals_a_plain_computation(
    episodes: list[tuple[str, list[tuple[float, float, float, float]]]],
) -> None:
    followed, below, athlete = example(episodes)
    found = brier(followed, DELTA, below, athlete, bootstrap=20, seed=0)
    flat = [test for _, tests in episodes for test in tests]
    windows = {}
    for hour in (24.0, 48.0, 72.0):
        inside = [t for t in flat if abs(t[0] - hour) <= 12]
        if inside:
            windows[hour] = {
                "model": sum((t[2] - (t[1] < DELTA)) ** 2 for t in inside) / len(inside),
                "other": sum((t[3] - (t[1] < DELTA)) ** 2 for t in inside) / len(inside),
            }
    scored = [t for t in flat if any(abs(t[0] - hour) <= 12 for hour in (24, 48, 72))]
    assert found.tests_n == len(scored)
    assert set(found.by_window) == set(windows)
    for hour, score in windows.items():
        assert found.by_window[hour] == pytest.approx(score)
    if windows:
        mean = {m: np.mean([w[m] for w in windows.values()]) for m in ("model", "other")}
        assert found.score == pytest.approx(mean)
        assert found.difference["other"].value == pytest.approx(mean["model"] - mean["other"])
        athletes = {name for name, tests in episodes for t in tests if t in scored}
        assert found.athletes_n == len(athletes)
    else:
        assert found.score == {}


def test_a_test_between_two_windows_is_scored_in_both_and_counted_once() -> None:
    followed, below, athlete = example([("a", [(36.0, 0.0, 1.0, 0.0)])])
    found = brier(followed, DELTA, below, athlete, bootstrap=5, seed=0)
    assert set(found.by_window) == {24.0, 48.0}
    assert found.tests_n == 1


def test_the_bootstrap_draws_athletes_and_not_tests() -> None:
    # Two athletes who are alike: whoever is drawn, the score is the same.
    tests = [(24.0, 0.0, 0.8, 0.6), (48.0, 9.0, 0.3, 0.4), (72.0, 0.0, 0.9, 0.2)]
    twins = brier(*_args([("a", tests), ("b", tests)]), bootstrap=200, seed=0)
    gain = twins.difference["other"]
    assert gain.lower == pytest.approx(gain.value)
    assert gain.upper == pytest.approx(gain.value)
    # And two who are not: a quarter of the draws hold one of them only.
    worse = [(h, d, 0.5, p) for h, d, _, p in tests]
    unlike = brier(*_args([("a", tests), ("b", worse)]), bootstrap=400, seed=0)
    alone = [brier(*_args([("a", t)]), bootstrap=5, seed=0) for t in (tests, worse)]
    ends = sorted(one.difference["other"].value for one in alone)
    gain = unlike.difference["other"]
    assert (gain.lower, gain.upper) == pytest.approx(tuple(ends))
    # Repeating an athlete's tests adds none to the evidence.
    repeated = brier(*_args([("a", tests * 10), ("b", worse * 10)]), bootstrap=400, seed=0)
    assert repeated.difference["other"].lower == pytest.approx(gain.lower)


def _args(
    episodes: list[tuple[str, list[tuple[float, float, float, float]]]],
) -> tuple[Followed, float, dict[str, np.ndarray], np.ndarray]:
    followed, below, athlete = example(episodes)
    return followed, DELTA, below, athlete


def test_an_athlete_without_a_scored_test_is_not_drawn() -> None:
    tests = [(24.0, 0.0, 0.8, 0.6), (48.0, 9.0, 0.3, 0.4)]
    found = brier(*_args([("a", tests), ("b", [(200.0, 0.0, 1.0, 0.0)])]), bootstrap=50, seed=0)
    assert found.athletes_n == 1
    assert found.difference["other"].lower == pytest.approx(found.difference["other"].value)


def test_without_a_test_in_any_window_there_is_no_score() -> None:
    found = brier(*_args([("a", [(200.0, 0.0, 1.0, 0.0)])]), bootstrap=5, seed=0)
    assert (found.athletes_n, found.tests_n, found.score, found.difference) == (0, 0, {}, {})


def test_draws_are_reproducible_and_depend_on_the_seed() -> None:
    rng = np.random.default_rng(0)
    episodes = [
        (str(i), [(24.0, float(d), float(p), 0.5) for d, p in rng.uniform(0, 5, (5, 2)) / [1, 5]])
        for i in range(12)
    ]
    found = [brier(*_args(episodes), bootstrap=100, seed=s).difference["other"] for s in (1, 1, 2)]
    assert found[0] == found[1]
    assert found[0].lower != found[2].lower
    assert found[0].lower < found[0].value < found[0].upper


def test_a_perfect_prediction_of_times() -> None:
    truth = np.array([0.0, 12.0, 30.0, 55.0, 200.0])
    found = time_scores(np.tile(truth[:, None], (1, LEVELS.size)), LEVELS, truth)
    assert found == {"mae_h": 0, "bias_h": 0, "crps_h": 0, "coverage_80": 1, "c_index": 1}


def test_time_scores_by_hand() -> None:
    truth = np.array([10.0, 20.0])
    late = time_scores(np.tile(truth[:, None] + 6, (1, LEVELS.size)), LEVELS, truth)
    assert late["bias_h"] == late["mae_h"] == 6.0
    assert late["coverage_80"] == 0.0
    # A point forecast's CRPS is its absolute error: twice the mean of 6 (1 - level).
    assert late["crps_h"] == pytest.approx(6.0)
    assert late["c_index"] == 1.0


@pytest.mark.statistical
def test_crps_is_that_of_the_forecast_distribution() -> None:
    # For a uniform on 0-100 and truth y: ∫ (F - 1{x > y})² dx = (y³ + (100 - y)³) / 30000.
    levels = (np.arange(400) + 0.5) / 400
    levels[[40, 200, 360]] = 0.1, 0.5, 0.9
    truth = np.array([10.0, 50.0, 80.0])
    found = time_scores(np.tile(100 * levels, (3, 1)), levels, truth)["crps_h"]
    assert found == pytest.approx(np.mean((truth**3 + (100 - truth) ** 3) / 30_000), abs=0.05)


def test_an_unbounded_upper_end_covers_whatever_comes() -> None:
    quantiles = np.linspace(0, 50, LEVELS.size)[None, :].copy()
    quantiles[0, LEVELS >= 0.85] = np.inf
    found = time_scores(quantiles, LEVELS, np.array([900.0]))
    assert found["coverage_80"] == 1.0
    assert np.isfinite(found["crps_h"])


def test_concordance_by_hand() -> None:
    truth = np.array([1.0, 2.0, 3.0])
    assert concordance(np.array([5.0, 6.0, 7.0]), truth) == 1.0
    assert concordance(np.array([7.0, 6.0, 5.0]), truth) == 0.0
    assert concordance(np.array([5.0, 5.0, 5.0]), truth) == 0.5
    assert concordance(np.array([5.0, 7.0, 6.0]), truth) == pytest.approx(2 / 3)
    assert concordance(np.array([1.0, 2.0, 9.0]), np.array([1.0, 1.0, 2.0])) == 1.0
    assert np.isnan(concordance(truth, np.ones(3)))


def test_concordance_of_many_rows_takes_some_of_them() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=5000)
    predicted = truth + rng.normal(size=5000)
    few, all_of_them = concordance(predicted, truth, most=500), concordance(predicted, truth)
    assert few == pytest.approx(all_of_them, abs=0.05)
