"""Judging by hand-made predictions, whose scores are arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from benchmarks.judging import (
    LEAST_N,
    SHARES,
    Reference,
    crps,
    holds,
    is_first,
    judge,
    matched,
    two_piece,
    worst,
)

START = pd.Timestamp("2026-03-02T12:00Z")


def said(episode: str, hours: float, lower: float, upper: float, **more: Any) -> dict[str, Any]:
    return {
        "athlete_id": "a", "episode_id": episode, "component": "power", "clock_start": START,
        "as_of": START, "status": "ok", "reason": None, "recovery_h": hours, "lower_h": lower,
        "upper_h": upper, "interval_level": 0.8, "deficit_24h": 3.0, "deficit_48h": 1.0,
        "delta": 2.6, "confidence": "solid", **more,
    }  # fmt: skip


def true(episode: str, hours: float, arch: str = "game", **more: Any) -> dict[str, Any]:
    return {
        "athlete_id": "a", "episode_id": episode, "component": "power", "delta": 2.6,
        "recovery_h": hours, "arch": arch, "d_24": 4.0, "d_48": 0.5, **more,
    }  # fmt: skip


TRAINING = pd.DataFrame(
    [true("t1", 40.0), true("t2", 50.0), true("t3", 60.0), true("t4", 10.0, "easy")]
)
TRUTH = pd.DataFrame(
    [true("s1", 40.0), true("s2", 70.0), true("s3", 0.0, "easy"), true("s4", 55.0, "never seen")]
)
PREDICTIONS = pd.DataFrame(
    [
        said("s1", 45.0, 30.0, 60.0), said("s2", 60.0, 40.0, 65.0), said("s3", 4.0, 0.0, 9.0),
        said("s4", 50.0, 20.0, np.inf),
    ]
)  # fmt: skip


def test_scores_are_those_worked_out_by_hand() -> None:
    found = judge(PREDICTIONS, TRUTH, TRAINING, "power")
    assert (found.n, found.answered) == (4, 1.0)
    # Errors 5, 10, 4, 5 h; the medians 50, 50, 10 and, of all, 45 h are wrong by 10, 20, 10, 10 h.
    assert found.gain == pytest.approx(1.0 - 24.0 / 50.0)
    # Said minus true: +5, −10, +4, −5 h.
    assert found.bias_h == pytest.approx(-0.5)
    assert found.covered == 0.75
    # 30, 25 and 9 h, and up to 400 h without an end.
    assert found.width_h == pytest.approx((30.0 + 25.0 + 9.0 + 380.0) / 4)
    assert found.deficit_bias == {24: -1.0, 48: 0.5}


def test_who_says_the_truth_gains_everything() -> None:
    perfect = [said(r["episode_id"], *[r["recovery_h"]] * 3) for r in TRUTH.to_dict("records")]
    found = judge(pd.DataFrame(perfect), TRUTH, TRAINING, "power")
    assert (found.gain, found.bias_h, found.covered) == (1.0, 0.0, 1.0)
    assert found.crps_gain == pytest.approx(1.0, abs=1e-4)


def test_who_says_the_distribution_of_the_kind_gains_nothing() -> None:
    """Of a kind whose hours are log-normal, as an answer's are taken to be."""
    hours = np.expm1(3.7 + 0.4 * norm.ppf((np.arange(2000) + 0.5) / 2000))
    truth = pd.DataFrame([true(f"s{i}", h) for i, h in enumerate(hours)])
    low, middle, high = np.expm1(3.7 + 0.4 * norm.ppf([0.1, 0.5, 0.9]))
    answers = pd.DataFrame([said(name, middle, low, high) for name in truth["episode_id"]])
    found = judge(answers, truth, truth, "power")
    assert found.gain == pytest.approx(0.0, abs=1e-3)
    assert found.crps_gain == pytest.approx(0.0, abs=1e-3)
    assert found.covered == pytest.approx(0.8, abs=0.002)


def test_what_is_not_answered_is_counted_with_its_reason() -> None:
    abstained = said("s2", np.nan, np.nan, np.nan, status="abstained", reason="load_missing")
    rows = pd.DataFrame([PREDICTIONS.iloc[0].to_dict(), abstained])
    found = judge(rows, TRUTH, TRAINING, "power")
    assert (found.n, found.answered, dict(found.reasons)) == (1, 0.25, {"load_missing": 1})
    nobody = judge(pd.DataFrame([abstained]), TRUTH, TRAINING, "power")
    assert (nobody.n, nobody.answered) == (0, 0.0)
    assert np.isnan(nobody.gain)


def test_another_delta_is_refused() -> None:
    with pytest.raises(ValueError, match="another delta"):
        judge(PREDICTIONS.assign(delta=4.0), TRUTH, TRAINING, "power")


def test_a_truth_without_deficits_has_no_bias_of_them() -> None:
    found = judge(PREDICTIONS, TRUTH.drop(columns=["d_24", "d_48"]), TRAINING, "power")
    assert found.deficit_bias == {}


def test_the_answer_nearest_to_the_clock_start_counts() -> None:
    later = said("s1", 99.0, 90.0, 110.0, as_of=START + pd.Timedelta(hours=24))
    rows = matched(pd.DataFrame([later, *PREDICTIONS.to_dict("records")]), TRUTH)
    assert rows["recovery_h"].tolist() == [45.0, 60.0, 4.0, 50.0]
    assert rows["true_h"].tolist() == [40.0, 70.0, 0.0, 55.0]


def test_the_crps_of_a_point_is_its_distance_and_of_a_uniform_its_formula() -> None:
    assert crps(np.full((1, SHARES.size), 30.0), np.array([42.0]))[0] == pytest.approx(12.0)
    # Of a uniform on (0, 1): (y³ + (1 − y)³) / 3, here times its width of 60 h.
    y = np.array([0.0, 0.3, 1.0])
    expected = 60.0 * (y**3 + (1.0 - y) ** 3) / 3.0
    np.testing.assert_allclose(crps(np.tile(60.0 * SHARES, (3, 1)), 60.0 * y), expected, rtol=1e-3)


def test_an_answer_has_its_median_and_its_interval_as_quantiles() -> None:
    rows = pd.DataFrame([said("s", 30.0, 12.0, 90.0), said("s", 5.0, 0.0, np.inf)])
    found = two_piece(rows)
    at = [[np.interp(share, SHARES, q) for share in (0.1, 0.5, 0.9)] for q in found]
    np.testing.assert_allclose(at[0], [12.0, 30.0, 90.0], rtol=0.01)
    # What lies before the clock start is at it; no upper end is one of 400 h.
    assert found[1].min() == 0.0
    assert at[1][2] == pytest.approx(400.0, rel=0.03)
    assert found[1].max() == 1000.0
    wider = two_piece(rows.assign(interval_level=0.5))
    assert (wider[0, -1] > found[0, -1]) & (wider[0, 0] < found[0, 0])


def test_ends_belong_to_the_interval() -> None:
    rows = pd.DataFrame([said("s", 5.0, 0.0, 9.0)] * 3 + [said("s", 5.0, 2.0, np.nan)])
    held = holds(rows.assign(true_h=[0.0, 9.0, 9.1, 300.0]))
    assert held.tolist() == [True, True, False, True]


def test_the_worst_group_is_one_that_is_large_enough() -> None:
    groups = pd.Series(["many"] * 2 * LEAST_N + ["some"] * LEAST_N + ["few"] * (LEAST_N - 1))
    held = np.array([True] * 2 * LEAST_N + [True, False] * (LEAST_N // 2) + [False] * (LEAST_N - 1))
    assert worst(held, groups) == ("some", 0.5)
    assert worst(held[:4], groups[:4])[0] == ""


def test_first_episodes_are_those_of_the_athletes_own_first_week() -> None:
    days = pd.Series([0.0, 6.9, 7.1, 30.0, 33.0])
    rows = pd.DataFrame(
        {
            "athlete_id": ["a", "a", "a", "b", "b"],
            "clock_start": START + pd.to_timedelta(days, unit="D"),
        }
    )
    assert is_first(rows).tolist() == [True, True, False, True, True]


def test_a_reference_knows_kinds_and_all() -> None:
    reference = Reference.of(TRAINING)
    kinds = pd.Series(["game", "easy", "never seen"])
    assert reference.medians(kinds).tolist() == [50.0, 10.0, 45.0]
    assert reference.quantiles(kinds, np.array([0.0, 1.0]))[0].tolist() == [40.0, 60.0]
