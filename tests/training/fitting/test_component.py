from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.features.contract import feature_contract
from nmr_ml.models.component import fit_offsets
from tests.support.small_cohorts import SPECS
from tests.support.training import SMALL
from training.baselines import linear_curve
from training.config import load_config
from training.data.dataset import component_data
from training.fitting.component import FOLLOW_UP_QUANTILE, RANGE_MARGIN, fit_component
from training.reports.card import beats_baseline
from training.reports.convergence import convergence_json, not_converged_line
from training.scoring.as_json import brier_json

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort
    from training.data.dataset import ComponentData

NAMES = feature_contract().names
CONFIG = load_config(None, SMALL)


@pytest.fixture(scope="module")
def power(sim_cohort: Cohort) -> ComponentData:
    return component_data(sim_cohort, SPECS, CONFIG.landmarks_h)["power"]


def test_the_model_knows_what_it_learnt_from(bundle: Bundle, power: ComponentData) -> None:
    model = bundle.components["power"]
    assert model.index_test == power.index_test
    assert model.episodes_n == len(power.athlete)
    assert model.athletes_n == len(set(power.athlete))
    assert model.follow_up_h == np.quantile(power.followed.hours, FOLLOW_UP_QUANTILE)
    of_level = np.bincount(model.grid.level, model.grid.weights)
    assert of_level == pytest.approx(np.ones(model.grid.share.size))
    assert np.array_equal(model.grid.slow, model.grid.share[model.grid.level])
    assert model.offsets.within.shape == model.curve.spread.shape == (3,)
    assert model.offsets.within[2] == model.curve.spread[2]
    held = model.measurement.residual_deficit
    assert list(held) == sorted(held, reverse=True)
    assert held[-1] == 0.0 < held[0]


def test_the_seen_range_is_that_of_training_with_a_margin(
    bundle: Bundle, power: ComponentData
) -> None:
    model, column = bundle.components["power"], NAMES.index("session_load_au")
    low, high = np.nanmin(power.X[:, column]), np.nanmax(power.X[:, column])
    assert model.seen_low[column] == pytest.approx(low - RANGE_MARGIN * (high - low))
    assert model.seen_high[column] == pytest.approx(high + RANGE_MARGIN * (high - low))
    never = np.isnan(power.X).all(axis=0)
    assert never.any()
    assert np.isnan(model.seen_low[never]).all()
    assert not np.isnan(model.seen_low[~never]).any()
    assert not model.out_of_distribution(power.X, np.ones(len(NAMES), bool)).any()


@pytest.mark.slow
@pytest.mark.statistical
def test_features_of_other_episodes_do_not_beat_the_baseline(power: ComponentData) -> None:
    rows = np.random.default_rng(0).permutation(len(power.X))
    # Everybody with one episode: what athletes have shown before would still say something.
    alone = np.array([str(i) for i in range(len(power.athlete))], dtype=object)
    nobody = np.full(alone.size, None, dtype=object)
    others = replace(power, X=power.X[rows], athlete=alone, team=nobody)
    fitted = fit_component(others, SPECS, feature_contract(), CONFIG)
    assert not beats_baseline(brier_json(fitted.held_out.figures.brier))
    assert fitted.figures["held_out_evidence_gain"] < 0.02


@pytest.mark.slow
def test_searches_that_end_at_their_limit_are_told(
    power: ComponentData, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_offsets, "_TRIED", 1)
    monkeypatch.setattr(linear_curve, "LINEAR_ROUNDS", 1)
    fitted = fit_component(power, SPECS, feature_contract(), CONFIG)
    told, usual = convergence_json(fitted.searches), bundle.card["convergence"]["power"]
    assert set(told) == set(usual)
    for name in ("athlete_spread", "linear_baseline"):
        assert told[name]["not_converged"] == told[name]["searches"] == usual[name]["searches"]
        assert usual[name]["not_converged"] == 0
    more = sum(c["not_converged"] for c in told.values())
    assert more >= sum(c["not_converged"] for c in usual.values()) + 2
    assert not_converged_line({"convergence": {"power": told}}).startswith(f"power {more} of ")
