from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tests.support.absence_rows import bundle_of, drawn_absences, law, learnt
from tests.support.small_cohorts import at, person, session, small_cohort
from training.baselines.durations import DurationBaselines, fit_duration_baselines
from training.experiments.absence_evaluation import evaluate_absences
from training.scoring.truth import TIME_LEVELS

if TYPE_CHECKING:
    from nmr_ml.cohort.cohort import Cohort

NO_TRUTH = pd.DataFrame(
    {"athlete_id": [], "episode_id": [], "component": [], "delta": [], "recovery_h": []}
)


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    absences, _ = drawn_absences(30, 3, seed=1)
    return {"availability": {"baselines": fit_duration_baselines(absences).as_json()}}


def squad(*kinds: str) -> tuple[Cohort, pd.DataFrame]:
    """Return athletes with one episode each of these kinds, and how long they truly last."""
    rng = np.random.default_rng(2)
    hours = np.round(24 * np.where(np.array(kinds) == "injury", 16, 6) * rng.lognormal(0, 0.5, 20))
    names = [f"a{i:02d}" for i in range(20)]
    episodes = [
        {"episode_id": f"e{i}", "athlete_id": names[i], "kind": kinds[i], "onset_at": at(i),
         "resolved_at": at(i + hours[i]) if i % 4 else None, "known_at": at(i)}
        for i in range(20)
    ]  # fmt: skip
    cohort = small_cohort(
        [session(500, athlete=name) for name in names],
        athletes=[person(name) for name in names],
        episodes=episodes,
    )
    truth = pd.DataFrame(
        {"athlete_id": names, "episode_id": [f"e{i}" for i in range(20)],
         "component": "availability", "delta": np.nan, "recovery_h": hours}
    )  # fmt: skip
    return cohort, truth


def test_observed_ends_and_simulated_truth_are_scored(card: dict[str, Any]) -> None:
    cohort, truth = squad(*["injury", "systemic"] * 10)
    bundle = bundle_of(learnt(law()), **card)
    found = evaluate_absences(bundle, cohort, truth, TIME_LEVELS, bootstrap=100)
    assert found is not None
    assert (found["episodes_n"], found["resolved_n"], found["athletes_n"]) == (20, 15, 20)
    assert set(found["truth"]) == {"model", "kind_median", "overall_median"}
    assert found["truth"]["model"]["mae_h"] < found["truth"]["overall_median"]["mae_h"]
    assert 0.5 < found["truth"]["model"]["coverage_80"] <= 1.0
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    observed = evaluate_absences(bundle, cohort, NO_TRUTH, TIME_LEVELS, bootstrap=100)
    assert observed == {k: v for k, v in found.items() if k != "truth"}


def test_only_kinds_that_were_learnt_are_scored(card: dict[str, Any]) -> None:
    cohort, truth = squad(*["injury", "systemic"] * 10)
    bundle = bundle_of(learnt(law(), "injury"), **card)
    found = evaluate_absences(bundle, cohort, truth, TIME_LEVELS, bootstrap=100)
    assert found is not None
    assert found["episodes_n"] == 10
    assert set(found["icnll_by_kind"]) == {"injury"}
    ill, _ = squad(*["systemic"] * 20)
    assert evaluate_absences(bundle, ill, truth, TIME_LEVELS, bootstrap=100) is None
    healthy = small_cohort([session(0)], athletes=[person("a")])
    assert evaluate_absences(bundle, healthy, NO_TRUTH, TIME_LEVELS, bootstrap=100) is None


def test_a_kind_that_its_median_answers_scores_as_its_median(card: dict[str, Any]) -> None:
    cohort, truth = squad(*["injury", "systemic"] * 10)
    medians = DurationBaselines.from_json(card["availability"]["baselines"]).law_of(["injury"])
    bundle = bundle_of(learnt(law(), medians=medians), **card)
    found = evaluate_absences(bundle, cohort, truth, TIME_LEVELS, bootstrap=100)
    assert found is not None
    by_kind = found["icnll_by_kind"]
    assert by_kind["injury"]["model"] == by_kind["injury"]["kind_median"]
    assert by_kind["systemic"]["model"] != by_kind["systemic"]["kind_median"]
    all_by_law = evaluate_absences(bundle_of(learnt(law()), **card), cohort, truth, TIME_LEVELS,
                                   bootstrap=100)  # fmt: skip
    assert all_by_law is not None
    assert found["truth"]["model"] != all_by_law["truth"]["model"]
