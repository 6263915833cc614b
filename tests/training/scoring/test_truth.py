from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.simulated_curves import athletes
from training.scoring.scores import crps, time_scores
from training.scoring.truth import TIME_LEVELS, score_times

N = 60
WHO = athletes(15, 4)
SEX = np.where(np.arange(N) < 12, "female", "male").astype(object)  # 3 women, 12 men


def example() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return quantiles of a good and of a late forecast; of the last episode no truth is known."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(10, 100, N)
    good = truth[:, None] + np.linspace(-20, 20, TIME_LEVELS.size) + rng.normal(0, 8, (N, 1))
    truth[-1] = np.nan
    return {"model": good, "late": good + 15.0}, truth


def test_all_scores_are_those_of_the_told_episodes() -> None:
    quantiles, truth = example()
    found = score_times(quantiles, truth, WHO, {"sex": SEX}, bootstrap=50, seed=0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["episodes"] == {"n": N - 1.0}
    for method, q in quantiles.items():
        assert found[method] == time_scores(q[:-1], TIME_LEVELS, truth[:-1])
    gap = found["difference"]["crps_h"]["late"]
    losses = [crps(quantiles[m][:-1], TIME_LEVELS, truth[:-1]) for m in ("model", "late")]
    assert gap["value"] == pytest.approx(losses[0].mean() - losses[1].mean())
    assert gap["upper"] < 0
    expected = found["model"]["mae_h"] - found["late"]["mae_h"]
    assert found["difference"]["mae_h"]["late"]["value"] == pytest.approx(expected)


def test_coverage_is_told_of_groups_with_enough_athletes() -> None:
    quantiles, truth = example()
    groups = score_times(quantiles, truth, WHO, {"sex": SEX}, bootstrap=50, seed=0)["groups"]["sex"]
    assert groups["female"] == {"athletes_n": 3, "episodes_n": 12, "too_small": True}
    assert (groups["male"]["athletes_n"], groups["male"]["episodes_n"]) == (12, N - 13)
    men = slice(12, N - 1)
    expected = time_scores(quantiles["model"][men], TIME_LEVELS, truth[men])["coverage_80"]
    assert groups["male"]["coverage_80"]["value"] == pytest.approx(expected)
    ends = groups["male"]["coverage_80"]
    assert ends["lower"] <= ends["value"] <= ends["upper"]


def test_an_order_that_cannot_be_told_is_left_out() -> None:
    quantiles, _ = example()
    found = score_times(quantiles, np.full(N, 50.0), WHO, {}, bootstrap=5, seed=0)
    assert "c_index" not in found["model"]
