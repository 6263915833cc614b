from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.models.component.clearance import CLEARANCE_LEVELS, Clearance, fit_clearance
from tests.support.small_cohorts import followed_of

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.numeric.arrays import Floats, Objects

DELTA = 2.6


def simulated(athletes_n: int, rng: np.random.Generator) -> tuple[Followed, Floats, Objects]:
    """Noisy tests of exponential recoveries, and quantiles of a model that is too short by 20 %."""
    tests, hours, who = [], [], []
    for a in range(athletes_n):
        slow = np.exp(0.3 * rng.normal())
        for _ in range(rng.integers(2, 12)):
            tau, size = 25 * slow * np.exp(0.3 * rng.normal()), 8 * np.exp(0.3 * rng.normal())
            at = [h for h in (4.0, 24.0, 48.0, 72.0) if rng.uniform() < 0.7] or [24.0]
            tests.append([(h, size * np.exp(-h / tau) + 2.0 * rng.normal(), 2.0) for h in at])
            hours.append(
                0.8 * 25 * np.log(8 / DELTA) * np.exp(0.42 * np.sqrt(2) * _z(CLEARANCE_LEVELS))
            )
            who.append(str(a))
    return followed_of(tests), np.array(hours), np.array(who, dtype=object)


def _z(levels: Floats) -> Floats:
    return np.log(levels / (1 - levels)) / 1.6


@pytest.mark.statistical
@pytest.mark.parametrize("risk", [0.05, 0.10, 0.2])
def test_new_athletes_lose_no_more_than_the_risk(risk: float) -> None:
    losses = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        level = fit_of(simulated(40, rng)).level(risk)
        followed, hours, who = simulated(60, rng)
        if level is None:
            losses.append(0.0)
            continue
        new = fit_of((followed, hours, who))
        losses.append(float(new.loss[int(np.searchsorted(CLEARANCE_LEVELS, level))]))
    standard_error = np.std(losses) / np.sqrt(len(losses))
    assert np.mean(losses) <= risk + 2 * standard_error
    if risk > 0.05:  # 40 athletes rarely hold less
        assert np.mean(losses) > 0.2 * risk


def fit_of(cohort: tuple[Followed, Floats, Objects]) -> Clearance:
    followed, hours, who = cohort
    return fit_clearance(followed, hours, DELTA, who)


def test_the_loss_is_the_share_of_tests_after_clearance_that_read_impaired() -> None:
    followed = followed_of(
        [[(10.0, 5.0, 1.0), (30.0, 3.0, 1.0)], [(50.0, 0.0, 1.0), (60.0, 9.0, 1.0)],
         [(20.0, 4.0, 1.0)]]
    )  # fmt: skip
    hours = np.tile(np.linspace(5, 70, CLEARANCE_LEVELS.size), (3, 1))
    who = np.array(["a", "a", "b"], dtype=object)
    found = fit_clearance(followed, hours, DELTA, who)
    assert found.athletes_n == 2
    for level, cleared in zip(found.loss, hours[0], strict=True):
        of_a = np.mean([10 > cleared, 30 > cleared, False, 60 > cleared])
        assert level == pytest.approx((of_a + (20 > cleared)) / 2)


def test_few_athletes_cannot_hold_a_small_risk() -> None:
    clearance = Clearance(9, np.zeros(CLEARANCE_LEVELS.size))
    assert clearance.level(0.09) is None
    assert clearance.level(0.10) == CLEARANCE_LEVELS[0]


def test_a_smaller_risk_waits_longer() -> None:
    found = fit_of(simulated(200, np.random.default_rng(3)))
    told = [found.level(risk) for risk in (0.3, 0.2, 0.1, 0.05)]
    levels = [level for level in told if level is not None]
    assert levels == told
    assert levels == sorted(levels)
    assert levels[0] != levels[-1]


def test_a_clearance_survives_json() -> None:
    found = fit_of(simulated(20, np.random.default_rng(4)))
    assert np.array_equal(Clearance.from_json(found.as_json()).loss, found.loss)
