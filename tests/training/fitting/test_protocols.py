from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nmr_ml.features.contract import feature_contract
from nmr_ml.models.curve.fit import CurveFit, fit_curve
from nmr_ml.models.curve.target import LEAST_SPREAD
from tests.support.simulated_curves import athletes, drawn_tests, starts_of, with_deficits
from tests.support.small_cohorts import SPECS
from tests.support.training import SMALL
from training.baselines.curves import DECAY, LINEAR, LOOKUP, MODALITY, OVERALL, PERSISTENCE
from training.config import load_config
from training.data.dataset import ComponentData, Facts
from training.fitting.held_out import HeldOut, held_out
from training.fitting.protocols import EB_L2, Labelled, by_time, forecasts_by_athlete, groups_of
from training.scoring.bootstrap import MODEL
from training.scoring.forecasts import CurvePriors, Forecasts

ATHLETES, EACH = 24, 10
N = ATHLETES * EACH
CONFIG = load_config(None, [*SMALL, "max_rounds=10", "bootstrap=20"])
SPEC = SPECS["cmj_height"]
METHODS = [MODEL, MODALITY, OVERALL, LOOKUP, DECAY, LINEAR, PERSISTENCE, EB_L2]
DAY_S = 86_400


@pytest.fixture(scope="module")
def data() -> ComponentData:
    """Ten episodes of each athlete, a week apart; the load makes them large."""
    rng = np.random.default_rng(8)
    load = rng.uniform(100, 900, N)
    modality = np.where(np.arange(N) % 2 == 0, "soccer", "cycling").astype(object)
    means = np.column_stack([1.8 + 0.6 * np.log(load / 400), np.full(N, 3.6)])
    followed = drawn_tests(means, np.tile([0.3, 0.3], (N, 1)), rng, error=1.5)
    week = np.tile(np.arange(EACH), ATHLETES)
    facts = Facts(
        np.where(np.arange(N) < N // 2, "female", "male").astype(object),
        np.full(N, "solid", dtype=object),
        week / EACH,
        (week + 0.5) / EACH,
    )
    return ComponentData(
        component="power",
        index_test="cmj_height",
        X=starts_of(modality, session_load_au=load).X,
        landmark_h=np.zeros(N),
        row_episode=np.arange(N),
        followed=followed,
        athlete=athletes(ATHLETES, EACH),
        episode_id=np.array([str(i) for i in range(N)], dtype=object),
        modality=modality,
        team=np.full(N, None, dtype=object),
        clock_start_s=week * 7 * DAY_S,
        facts=facts,
    )


@pytest.fixture(scope="module")
def fit(data: ComponentData) -> CurveFit:
    return fit_curve(
        data.X, data.row_episode, data.followed, data.athlete, data.modality, CONFIG.trees(),
        feature_contract().names,
    )  # fmt: skip


@pytest.fixture(scope="module")
def told(data: ComponentData, fit: CurveFit) -> HeldOut:
    return held_out(data, fit, SPEC.delta, CONFIG.seed)


def forecasts_of(
    data: ComponentData, fit: CurveFit, told: HeldOut
) -> tuple[dict[str, Forecasts], np.ndarray]:
    prior = CurvePriors(told.means, told.spreads)
    return forecasts_by_athlete(Labelled.of(data, fit, SPEC), fit, prior, CONFIG)


def test_every_method_foretells_every_test(
    data: ComponentData, fit: CurveFit, told: HeldOut
) -> None:
    said, _ = forecasts_of(data, fit, told)
    assert list(said) == METHODS
    for method, forecasts in said.items():
        for name in Forecasts.__slots__:
            assert np.isfinite(getattr(forecasts, name)).all(), (method, name)


def test_no_baseline_sees_the_athletes_it_is_scored_on(
    data: ComponentData, fit: CurveFit, told: HeldOut
) -> None:
    before, _ = forecasts_of(data, fit, told)
    held = fit.fold == 0
    tests = np.repeat(held, np.diff(data.followed.offsets))
    # Other labels of the athletes left out: what is said of them stays, what they teach does not.
    table = np.where(held[:, None, None, None], fit.table[:, :, ::-1], fit.table)
    other = replace(fit, table=np.ascontiguousarray(table))
    deficit = data.followed.deficit + 9.0 * tests
    changed = replace(data, followed=with_deficits(data.followed, deficit))
    after, _ = forecasts_of(changed, other, told)
    for method in METHODS[1:-1]:  # the spread of the trees on labels is profiled on all
        assert np.array_equal(before[method].below[tests], after[method].below[tests]), method
        assert not np.allclose(before[method].below[~tests], after[method].below[~tests]), method


def test_scores_are_split_by_what_is_known(
    data: ComponentData, fit: CurveFit, told: HeldOut
) -> None:
    said, spread = forecasts_of(data, fit, told)
    scores = Labelled.of(data, fit, SPEC).score(said, CONFIG)
    assert set(scores.groups) == {"sex", "confidence", "modality"}
    assert {n: g.athletes_n for n, g in scores.groups["sex"].items()} == {"female": 12, "male": 12}
    assert scores.figures.tests_n == 3 * N
    assert spread.shape == (3,)
    assert (spread[:2] > 0.1).all()
    assert spread[2] >= LEAST_SPREAD[2]
    assert set(groups_of(replace(data, facts=None))) == {"modality"}


def test_late_episodes_are_scored_by_what_came_before(
    data: ComponentData, fit: CurveFit, told: HeldOut
) -> None:
    episodes = Labelled.of(data, fit, SPEC)
    scores = by_time(data, episodes, fit, told, np.array([0.4, 0.4, 0.2]), CONFIG)
    assert scores is not None
    assert scores.figures.athletes_n == ATHLETES
    assert scores.figures.tests_n == 3 * ATHLETES * 2  # weeks 8 and 9 of 10 start after 0.7
    assert list(scores.figures.log_score.score) == METHODS
    # Load explains most of these curves, and the late ones are like the early ones.
    assert scores.figures.log_score.difference[OVERALL].value > 0.03


def test_what_happens_after_the_cut_teaches_nothing(
    data: ComponentData, fit: CurveFit, told: HeldOut
) -> None:
    assert data.facts is not None
    late = data.facts.closed > 0.7
    table = np.where(late[:, None, None, None], fit.table[:, :, ::-1], fit.table)
    other = replace(fit, table=np.ascontiguousarray(table))
    first, second = (
        by_time(data, Labelled.of(data, one, SPEC), one, told, np.array([0.4, 0.4, 0.2]), CONFIG)
        for one in (fit, other)
    )
    assert first is not None
    assert second is not None
    assert first.figures.log_score == second.figures.log_score


def test_without_enough_on_either_side_there_is_no_score_of_time(
    data: ComponentData, fit: CurveFit, told: HeldOut
) -> None:
    episodes = Labelled.of(data, fit, SPEC)

    def scores(config: object = CONFIG, some: ComponentData = data) -> object:
        return by_time(some, episodes, fit, told, np.array([0.4, 0.4, 0.2]), config)  # type: ignore[arg-type]

    assert scores(CONFIG.model_copy(update={"held_out_time": None})) is None
    assert scores(CONFIG.model_copy(update={"least_episodes": 1000})) is None
    assert scores(CONFIG.model_copy(update={"least_athletes": ATHLETES + 1})) is None
    assert scores(CONFIG.model_copy(update={"held_out_time": 0.97})) is None
    assert scores(some=replace(data, facts=None)) is None
