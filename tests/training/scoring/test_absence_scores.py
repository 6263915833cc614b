from __future__ import annotations

import numpy as np
import pytest

from nmr_ml.history.local_time import NEVER_S
from tests.support.absence_rows import START_S, drawn_absences
from training.scoring.absence_scores import Forecast, score_absences


def test_scores_are_what_the_words_say() -> None:
    absences, _ = drawn_absences(3, 1, seed=0, median_d={"injury": 1.0})
    hours = np.array([100, 200, 0])
    absences.resolved_s[:] = np.array([START_S + 360_000, START_S + 720_000, NEVER_S])
    assert absences.lasted_h[:2].tolist() == hours[:2].tolist()
    model = Forecast(
        np.log([0.5, 0.25, 0.9]), np.array([[50.0, 90, 120], [60, 150, 180], [1, 2, 3]])
    )
    other = Forecast(np.log([0.5, 0.5, 0.9]), np.array([[50.0, 100, 300]] * 3))
    found = score_absences(
        absences, {"model": model, "other": other}, np.ones(3, bool), bootstrap=50, seed=0
    )
    assert (found["episodes_n"], found["resolved_n"], found["athletes_n"]) == (3, 2, 3)
    assert found["icnll"]["model"] == pytest.approx(-np.log(0.5 * 0.25 * 0.9) / 3)
    assert found["difference"]["other"]["value"] == pytest.approx(np.log(2) / 3)
    assert found["mae_h"] == {"model": 30.0, "other": 50.0}
    # Widths of 70 and 120 h, and 20 h too short at 2 / 0.2 for each.
    assert found["interval_score_h"]["model"] == pytest.approx((70 + 120 + 10 * 20) / 2)
    assert found["coverage_80"] == {"model": 0.5, "other": 1.0}
    only = score_absences(absences, {"model": model}, np.arange(3) == 2, bootstrap=50, seed=0)
    assert only["resolved_n"] == 0
    assert "mae_h" not in only


def test_each_episode_has_the_forecast_of_its_method() -> None:
    first, second = (Forecast(np.full(2, p), np.full((2, 3), q)) for p, q in ((-1, 5), (-2, 7)))
    mixed = first.where(np.array([True, False]), second)
    assert mixed.log_p.tolist() == [-1, -2]
    assert mixed.quantiles.tolist() == [[5] * 3, [7] * 3]
