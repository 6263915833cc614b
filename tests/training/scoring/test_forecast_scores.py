from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.simulated_curves import athletes, drawn_tests, one_prior, readings_of
from tests.support.small_cohorts import followed_of
from training.scoring.forecast_scores import (
    LEAST_SCORED_ATHLETES,
    Scores,
    covered,
    pit_shares,
    score_forecasts,
)
from training.scoring.forecasts import Forecasts, ForetoldTests, from_curves

#: Curves that are slow altogether: the grid has one level of the slow share.
MEAN, SPREAD = (2.2, 3.6, 1.0), (0.5, 0.5, 0.1)
ATHLETES, EACH = 60, 12


def scored(step: float) -> tuple[ForetoldTests, dict[str, Forecasts], Scores]:
    """Return tests of known curves, forecast by the truth and with half and twice its spread."""
    n = ATHLETES * EACH
    right = one_prior(n, MEAN, SPREAD)
    # Of one test each: tests of an episode are not independent.
    tests = drawn_tests(
        right.means[:, :2], right.spreads[:, :2], np.random.default_rng(4), step=step, hours=(30.0,)
    )
    readings = readings_of(tests, step)
    said = {
        name: from_curves(readings, one_prior(n, MEAN, (f * SPREAD[0], f * SPREAD[1], SPREAD[2])))
        for name, f in (("right", 1.0), ("narrow", 0.5), ("wide", 2.0))
    }
    who = athletes(ATHLETES, EACH)
    sex = np.where(np.arange(n) < 3 * EACH, "female", "male").astype(object)
    return readings, said, score_forecasts(readings, said, who, {"sex": sex}, bootstrap=200, seed=0)


@pytest.mark.statistical
@pytest.mark.parametrize("step", [0.0, 1.0])
def test_a_right_model_has_a_flat_pit_and_one_of_wrong_spread_has_not(step: float) -> None:
    _, _, scores = scored(step)
    # 720 tests: a bin of the right model has 0.1 with a standard error of 0.011.
    assert np.abs(scores.pit["right"] - 0.1).max() < 0.04
    assert scores.pit["narrow"][[0, -1]].min() > 0.16
    assert scores.pit["wide"][[0, -1]].max() < 0.06
    spread = scores.pit_spread.score
    assert spread["right"].lower < 0 < spread["right"].upper
    assert spread["narrow"].lower > 0 > spread["wide"].upper
    assert scores.pit_bias.score["right"].lower < 0 < scores.pit_bias.score["right"].upper
    coverage = scores.figures.coverage.score
    assert coverage["right"].lower < 0.8 < coverage["right"].upper
    assert coverage["narrow"].upper < 0.8 < coverage["wide"].lower


@pytest.mark.statistical
def test_the_log_score_prefers_the_truth_beyond_noise() -> None:
    _, _, scores = scored(0.0)
    difference = scores.figures.log_score.difference
    assert min(difference["narrow"].lower, difference["wide"].lower) > 0


def test_a_model_that_expects_too_little_has_a_positive_bias() -> None:
    readings, _, _ = scored(0.0)
    low = from_curves(readings, one_prior(ATHLETES * EACH, (1.7, 3.6, 1.0), SPREAD))
    who = athletes(ATHLETES, EACH)
    found = score_forecasts(readings, {"low": low}, who, {}, bootstrap=50, seed=0)
    assert found.pit_bias.score["low"].lower > 0.05


def test_scores_of_all_are_plain_means() -> None:
    readings, said, scores = scored(0.0)
    figures = scores.figures
    assert (figures.athletes_n, figures.tests_n) == (ATHLETES, ATHLETES * EACH)
    for name, forecasts in said.items():
        assert figures.log_score.score[name].value == pytest.approx(forecasts.log_density.mean())
        inside = (forecasts.pit_low >= 0.1) & (forecasts.pit_low < 0.9)
        assert figures.coverage.score[name].value == pytest.approx(inside.mean())
        happened = (readings.followed.deficit < readings.delta).astype(float)
        bins = scores.calibration[name]
        assert sum(b.tests_n for b in bins) == happened.size
        assert sum(b.observed * b.tests_n for b in bins) == pytest.approx(happened.sum())
        assert sum(b.predicted * b.tests_n for b in bins) == pytest.approx(forecasts.below.sum())
    assert figures.brier.tests_n == ATHLETES * EACH  # 30 h lies within 12 h of 24 h


def test_groups_are_scored_like_the_whole_and_small_ones_only_named() -> None:
    readings, said, scores = scored(0.0)
    female, male = scores.groups["sex"]["female"], scores.groups["sex"]["male"]
    assert (female.athletes_n, female.tests_n, female.figures) == (3, 3 * EACH, None)
    rows = np.arange(3 * EACH, ATHLETES * EACH)
    alone = score_forecasts(
        readings.take(rows), {m: f.take(rows) for m, f in said.items()},
        athletes(ATHLETES, EACH)[rows], {}, bootstrap=200, seed=0,
    )  # fmt: skip
    assert male.figures == alone.figures


def test_a_group_of_exactly_enough_athletes_is_scored() -> None:
    n = LEAST_SCORED_ATHLETES
    tests = followed_of([[(24.0, float(i), 1.0)] for i in range(n)])
    said = {"model": Forecasts(*(np.linspace(0.1, 0.9, n) for _ in range(4)))}
    every = np.full(n, "x", dtype=object)
    for who, told in ((athletes(n, 1), True), (athletes(n - 1, 2)[:n], False)):
        found = score_forecasts(
            readings_of(tests), said, who, {"kind": every}, bootstrap=5, seed=0
        ).groups["kind"]["x"]
        assert (found.figures is not None) is told


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_every_reading_is_spread_over_the_histogram_once(ends: list[tuple[float, float]]) -> None:
    low, high = np.sort(np.array(ends), axis=1).T
    found = pit_shares(Forecasts(low, low, low, high))
    assert found.shape == (len(ends), 10)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(ends)))
    assert (found >= 0).all()


def test_shares_of_a_rounded_reading_by_hand() -> None:
    low, high = np.array([0.05, 0.0, 1.0, 0.85]), np.array([0.25, 0.0, 1.0, 0.95])
    forecasts = Forecasts(low, low, low, high)
    shares = pit_shares(forecasts)
    assert shares[0, :4] == pytest.approx([0.25, 0.5, 0.25, 0])
    assert shares[1, 0] == shares[2, 9] == 1.0
    assert covered(forecasts) == pytest.approx([0.75, 0, 0, 0.5])
