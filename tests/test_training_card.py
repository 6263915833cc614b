from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from small_cohorts import followed_of
from test_training_gate import BAD, GOOD, WEAK, card

from training.card import beats_baseline, brier_json
from training.scores import brier

if TYPE_CHECKING:
    from nmr_ml.bundle import Bundle


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


def test_the_card_of_a_bundle_says_what_it_is_for_and_how_good(bundle: Bundle) -> None:
    content = bundle.card
    assert "not a medical device" in content["intended_use"]
    assert set(content["components"]) == set(bundle.components)
    for name, component in content["components"].items():
        model = bundle.components[name]
        assert component["index_test"] == model.index_test
        assert component["figures"]["athletes"] == model.athletes_n
        assert component["figures"]["episodes"] == model.episodes_n
        assert component["figures"]["residual_deficit"] == model.measurement.residual_deficit
        assert component["held_out_brier"]["tests_n"] > 0
        assert set(component["held_out_brier"]["score"]) == {
            "model", "modality_median", "overall_median", "persistence",
        }  # fmt: skip
    assert content["config"]["folds"] == 2
