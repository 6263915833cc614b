from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.history.rested_baseline import TYPICAL_REST
from tests.support.gate_cards import BAD, GOOD, METHODS, WEAK, card
from tests.support.simulated_curves import athletes, readings_of
from tests.support.small_cohorts import followed_of
from training.reports.card import beats_baseline
from training.scoring.as_json import brier_json, scores_json
from training.scoring.forecast_scores import score_forecasts
from training.scoring.forecasts import Forecasts
from training.scoring.scores import brier

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle


@pytest.mark.parametrize(
    ("difference", "beats"),
    [(GOOD, True), (WEAK, False), (BAD, False), ((-0.02, None, None), False), (None, False)],
)
def test_a_model_beats_the_baseline_beyond_the_noise(
    difference: tuple[float, float, float] | None, *, beats: bool
) -> None:
    scores = card(power=difference)["components"]["power"]["held_out_brier"]
    assert beats_baseline(scores) is beats


def test_scores_become_json_without_nan() -> None:
    followed = followed_of([[(24.0, 1.0, 2.0), (48.0, 5.0, 2.0)], [(72.0, 1.0, 2.0)]])
    below = {"model": np.array([0.9, 0.2, 0.8]), "modality_median": np.array([0.6, 0.5, 0.6])}
    athlete = np.array(["a", "b"], dtype=object)
    # Neither athlete has a test in every window, so no draw of one of them has a score.
    found = brier_json(brier(followed, 2.6, below, athlete, bootstrap=1, seed=0))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["athletes_n"], found["tests_n"]) == (2, 3)
    assert found["by_window"]["24"] == pytest.approx({"model": 0.01, "modality_median": 0.16})
    assert set(found["by_window"]) == {"24", "48", "72"}


def test_ends_that_are_not_known_are_null() -> None:
    followed = followed_of([[(24.0, 1.0, 2.0)], [(48.0, 5.0, 2.0)]])
    below = {"model": np.array([0.9, 0.2]), "other": np.array([0.6, 0.5])}
    athlete = np.array(["a", "b"], dtype=object)
    seeds = [
        brier_json(brier(followed, 2.6, below, athlete, bootstrap=1, seed=seed))["difference"]
        for seed in range(12)
    ]
    ends = [found["other"]["lower"] for found in seeds]
    assert None in ends  # one athlete drawn twice: a window is empty
    assert any(end is not None for end in ends)


def test_groups_are_named_with_scores_or_as_too_small() -> None:
    n = 12
    tests = followed_of([[(24.0, float(i), 2.0)] for i in range(n)])
    said = {"model": Forecasts(*(np.linspace(0.1, 0.9, n) for _ in range(4)))}
    sex = np.array(["female"] * 2 + ["male"] * 10, dtype=object)
    found = scores_json(
        score_forecasts(readings_of(tests), said, athletes(n, 1), {"sex": sex}, bootstrap=5, seed=0)
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["groups"]["sex"]["female"] == {"athletes_n": 2, "tests_n": 2, "too_small": True}
    male = found["groups"]["sex"]["male"]
    assert (male["athletes_n"], male["too_small"], male["brier"]["tests_n"]) == (10, False, 10)
    assert set(male["log_score"]["score"]["model"]) == {"value", "lower", "upper"}
    assert sum(found["pit"]["model"]) == pytest.approx(1.0)
    assert sum(b["tests_n"] for b in found["calibration"]["model"]) == n


def test_the_card_of_a_bundle_says_what_it_is_for_and_how_good(bundle: Bundle) -> None:
    content = bundle.card
    assert "not a medical device" in content["intended_use"]
    assert set(content["components"]) == set(bundle.components)
    for name, component in content["components"].items():
        model = bundle.components[name]
        assert component["index_test"] == model.index_test
        assert component["figures"]["athletes"] == model.athletes_n
        assert component["figures"]["episodes"] == model.episodes_n
        held = model.measurement.residual_deficit[TYPICAL_REST]
        assert component["figures"]["residual_deficit_84_h"] == held > 0
        brier, scores = component["held_out_brier"], component["held_out"]
        assert scores["tests_n"] >= brier["tests_n"] > 0
        assert set(brier["score"]) == METHODS
        for figure in ("log_score", "coverage_80", "pit_bias", "pit_spread"):
            assert set(scores[figure]["score"]) == METHODS
            assert set(scores[figure]["difference"]) == METHODS - {"model"}
        assert set(scores["groups"]) == {"sex", "confidence", "modality"}
        late = component["held_out_time"]
        assert late["trained_until"] == content["config"]["held_out_time"]
        assert 0 < late["tests_n"] < scores["tests_n"]
        assert set(late["brier"]["score"]) == METHODS
    assert content["config"]["folds"] == 2
