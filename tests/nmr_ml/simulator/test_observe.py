"""What tests, answers and laboratories show: error and bias against the catalogue."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nmr_ml.recovery_tests import shipped_testspecs
from nmr_ml.simulator import simulate
from nmr_ml.simulator.config import SimulatorConfig, load_config, shipped_config
from nmr_ml.simulator.observe_labs import appearing, daily_course
from nmr_ml.simulator.observe_ratings import answer
from nmr_ml.simulator.observe_tests import error_scale, measure

CONFIG = shipped_config()
SPECS = shipped_testspecs()
TESTS = ("cmj_height", "rsi_mod", "mvc_knee_extension", "voluntary_activation", "sprint_10m")


def _expected(test: str, trials: float) -> float:
    return float(SPECS[test].typical_error(np.array([trials]))[0])


@pytest.mark.statistical
@pytest.mark.parametrize("trials", [1.0, 3.0])
@pytest.mark.parametrize("test", TESTS)
def test_a_measurement_has_the_error_and_the_deficit_of_the_catalogue(
    test: str, trials: float
) -> None:
    n, spec = 20_000, SPECS[test]
    base = np.full(n, 80.0)
    value = measure(spec, base, np.full(n, 6.0), trials, np.random.default_rng(4))
    sign = 1.0 if spec.direction == "higher" else -1.0
    deficit = sign * (base - value) * (100.0 / base if spec.scale == "pct" else 1.0)
    error = _expected(test, trials)
    # The standard error of an SD is SD / sqrt(2 n), that of a mean SD / sqrt(n); four of them.
    assert deficit.std() == pytest.approx(error, abs=4 * error / np.sqrt(2 * n))
    assert deficit.mean() == pytest.approx(6.0, abs=4 * error / np.sqrt(n))


@pytest.mark.statistical
@pytest.mark.parametrize("item", ["readiness", "soreness", "mood"])
def test_whole_numbered_answers_have_the_error_of_the_catalogue(item: str) -> None:
    rng = np.random.default_rng(5)
    n, middle = 40_000, 5.0 if item == "readiness" else 3.0
    latent = middle + rng.uniform(-0.5, 0.5, n)
    error = answer(item, latent, np.zeros(n), rng) - latent
    expected = SPECS[item].between_day_te
    assert error.std() == pytest.approx(expected, abs=0.01)
    assert error.mean() == pytest.approx(0.0, abs=4 * expected / np.sqrt(n))


def _placebo(**options: float | None) -> SimulatorConfig:
    """Return settings under which sessions leave nothing, and the hour of day does not matter."""
    config = load_config()
    nothing = {"f": 0.0, "c": 0.0, "d": 0.0, "g": 0.0, "h": 0.0}
    return config.model_copy(
        update={
            "archetypes": {
                name: kind.model_copy(update=nothing) for name, kind in config.archetypes.items()
            },
            "tests": config.tests.model_copy(update={"cmj_day_amplitude": 0.0}),
            "people": config.people.model_copy(update={"drift_sd_pct_per_100d": 0.0}),
            "unit_mix": False,
            **options,
        }
    )


@pytest.mark.statistical
@pytest.mark.parametrize(("total", "trials"), [(None, 3), (None, 1), (2.5, 3), (4.0, 3)])
def test_tests_of_a_cohort_vary_as_the_catalogue_says(total: float | None, trials: int) -> None:
    config = _placebo(test_error_pct=total, trials_n=trials)
    cohort = simulate(athletes=30, days=60, profile="null", seed=2, config=config)
    tests = cohort.tables["tests"].query("test == 'cmj_height'")
    group = tests.groupby("athlete_id")["value"]
    pct = 100.0 * (tests["value"] / group.transform("mean") - 1.0)
    freedom = len(tests) - group.ngroups
    expected = total or _expected("cmj_height", float(trials))
    sd = float(np.sqrt((pct**2).sum() / freedom))
    assert freedom > 300
    assert sd == pytest.approx(expected, abs=4 * expected / np.sqrt(2 * freedom))


def test_the_asked_for_error_is_that_of_the_usual_number_of_trials() -> None:
    config = load_config(settings=["test_error_pct=2.5"])
    assert error_scale(config) * _expected("cmj_height", 3.0) == pytest.approx(2.5)
    assert error_scale(CONFIG) == 1.0


def test_enzymes_appear_and_fade_as_the_specification_says() -> None:
    share = appearing(np.array([-5.0, 12, 24, 48, 72, 96]), 10.0, 30.0)
    np.testing.assert_allclose(share, [0, 0.48, 0.58, 0.44, 0.27, 0.16], atol=0.01)


def test_the_daily_course_is_nought_one_hour_after_waking() -> None:
    course = daily_course(np.array([1.0, 9.0]), 0.45, CONFIG.labs)
    assert course[0] == pytest.approx(0.0)
    # Serum cortisol falls by half and more until late afternoon.
    assert 0.4 < np.exp(course[1]) < 0.7


def test_hormones_fall_and_enzymes_rise_after_matches() -> None:
    config = load_config(settings=["unit_mix=false", "labs.after_match=1.0", "labs.team_share=1"])
    cohort = simulate(athletes=20, days=60, seed=1, config=config)
    matches = cohort.tables["sessions"].query("kind == 'match'")
    labs = cohort.tables["labs"].sort_values("drawn_at")
    labs = labs[labs["drawn_at"] - labs["awake_at"] < pd.Timedelta(hours=3)]
    last = pd.merge_asof(
        labs,
        matches[["athlete_id", "ended_at"]].sort_values("ended_at"),
        left_on="drawn_at",
        right_on="ended_at",
        by="athlete_id",
    )
    hours = (last["drawn_at"] - last["ended_at"]).dt.total_seconds() / 3600
    level = np.log(last["value"]).groupby([last["athlete_id"], last["analyte"]]).transform("mean")
    change = np.log(last["value"]) - level
    soon = (hours > 10) & (hours < 30)
    by_analyte = change[soon].groupby(last["analyte"][soon]).mean()
    assert by_analyte["testosterone"] < -0.03
    assert by_analyte["ck"] > 0.15
    assert by_analyte["crp"] > 0.1
