from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.cohort.reader import read_truth
from nmr_ml.cohort.writer import write_cohort
from nmr_ml.errors import DataError
from nmr_ml.predictions.options import Options
from nmr_ml.predictions.predict import predict
from tests.support.gate_cards import METHODS
from training.experiments.evaluation import Evaluation, evaluate

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort
    from tests.support.registered import Registry


@pytest.fixture(scope="module")
def scored(sim_cohort_path: Path, tiny_bundle: Path) -> Evaluation:
    return evaluate(sim_cohort_path, str(tiny_bundle))


def test_the_model_and_every_baseline_are_scored(scored: Evaluation, bundle: Bundle) -> None:
    assert scored.model_version == bundle.version
    assert not scored.in_sample  # this bundle does not say what it was trained on
    assert set(scored.components) == set(bundle.components)
    for component in scored.components.values():
        # Trees on labels are not kept with the model.
        assert set(component["brier"]["score"]) == METHODS - {"eb_l2"}
        assert set(component["log_score"]["score"]) == METHODS - {"eb_l2"}
        timed = METHODS - {"eb_l2", "persistence"}
        assert set(component["truth"]) == timed | {"episodes", "difference", "groups"}
        assert set(component["truth"]["groups"]) == set(component["groups"])
        assert 0 < component["brier"]["score"]["model"] < 0.25


def test_held_out_scores_are_those_of_the_card(scored: Evaluation, bundle: Bundle) -> None:
    for name, scores in scored.held_out.items():
        card = bundle.card["components"][name]
        assert scores == card["held_out_brier"]
        assert scored.held_out_scores[name] == card["held_out"]
        assert scored.held_out_time[name] == card["held_out_time"]


def test_errors_against_truth_are_those_of_the_predictions(
    scored: Evaluation, bundle: Bundle, sim_cohort: Cohort, sim_cohort_path: Path
) -> None:
    frame = predict(bundle, sim_cohort, Options()).frame
    truth = read_truth(sim_cohort_path).rename(columns={"recovery_h": "true_h"})
    for name, component in scored.components.items():
        delta = bundle.specs[bundle.components[name].index_test].delta
        right = (truth["component"] == name) & np.isclose(truth["delta"], delta)
        both = frame[frame["component"] == name].merge(
            truth.loc[right, ["episode_id", "true_h"]], on="episode_id"
        )
        both = both[both["status"] == "ok"]
        assert component["truth"]["episodes"]["n"] == len(both) > 300
        error = both["recovery_h"] - both["true_h"]
        assert component["truth"]["model"]["mae_h"] == pytest.approx(error.abs().mean(), rel=1e-6)
        assert component["truth"]["model"]["bias_h"] == pytest.approx(error.mean(), abs=1e-6)


def test_without_truth_there_is_none_and_the_rest_is_the_same(
    scored: Evaluation, sim_cohort: Cohort, tiny_bundle: Path, tmp_path: Path
) -> None:
    write_cohort(
        tmp_path / "real", name="real", timezone=sim_cohort.timezone, tables=sim_cohort.tables
    )
    found = evaluate(tmp_path / "real", str(tiny_bundle))
    for name, component in found.components.items():
        assert "truth" not in component
        assert component["brier"]["score"] == pytest.approx(
            scored.components[name]["brier"]["score"]
        )
        assert component["brier"]["tests_n"] == scored.components[name]["brier"]["tests_n"]


def test_a_cohort_without_the_models_tests_cannot_be_scored(
    sim_cohort: Cohort, tiny_bundle: Path, tmp_path: Path
) -> None:
    tests = sim_cohort["tests"]
    others = {**sim_cohort.tables, "tests": tests[tests["test"] == "soreness"]}
    some = replace(sim_cohort, tables=others)
    write_cohort(tmp_path / "real", name="real", timezone="UTC", tables=some.tables)
    with pytest.raises(DataError) as caught:
        evaluate(tmp_path / "real", str(tiny_bundle))
    assert caught.value.code == "nothing_to_score"


@pytest.mark.slow
def test_scores_on_training_data_are_told_to_be_so(
    registry: Registry, sim_cohort_path: Path
) -> None:
    found = evaluate(sim_cohort_path, "candidate")
    assert found.in_sample
    assert found.model_version == registry.latest


def test_without_a_champion_nothing_is_scored(sim_cohort_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        evaluate(sim_cohort_path)
    assert caught.value.code == "no_champion"
