from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.models.impulse.fit import fit_impulse
from nmr_ml.models.impulse.forecast import (
    FALLING_H,
    LAST_H,
    Asked,
    Curve,
    chances,
    forecast,
    last_above,
    left_at,
)
from tests.support.impulse_streams import (
    FAST,
    FAST_H,
    LOAD_FEATURE,
    LOAD_SLOPE,
    SLOW,
    TAU_H,
    Drawn,
    drawn_stream,
    slow_share,
)

if TYPE_CHECKING:
    from nmr_ml.models.impulse.model import ImpulseModel

HOURS = np.array([0.0, 24.0, 48.0])


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return drawn_stream(40, 40, seed=21)


@pytest.fixture(scope="module")
def model() -> ImpulseModel:
    return fit_impulse(drawn_stream(40, 40, seed=20).stream, LOAD_FEATURE, [2.6], [True])


def _curve(slow: float, fast: float, tau_h: float, c: float) -> Curve:
    form = np.array([c])
    return Curve(
        np.array([slow]), np.array([fast]), np.array([tau_h]), form, np.log(2 + 1 / form),
        np.zeros(1),
    )  # fmt: skip


@pytest.mark.parametrize("slow", [0.5, 3.0, 8.0, 60.0])
@pytest.mark.parametrize("fast", [-4.0, 0.0, 6.0])
@pytest.mark.parametrize("tau_h", [5.0, 40.0])
def test_the_last_hour_above_is_where_a_fine_grid_has_it(
    slow: float, fast: float, tau_h: float
) -> None:
    curve = _curve(slow, fast, tau_h, 0.3)
    grid = np.arange(0.0, 400.0, 0.05)
    above = np.flatnonzero([left_at(curve, FAST_H, hour) >= 2.6 for hour in grid])
    expected = grid[above[-1]] if above.size else 0.0
    found = last_above(curve, FAST_H, 2.6)
    tolerance = 1.0 if expected < FALLING_H else 0.005 * expected + 0.05
    assert found == pytest.approx(expected, abs=tolerance)


def test_a_deficit_that_never_counts_takes_no_time_and_an_endless_one_has_no_end() -> None:
    assert last_above(_curve(1.0, 0.5, 40.0, 1.0), FAST_H, 2.6) == 0.0
    assert last_above(_curve(50.0, 0.5, 1e5, 1.0), FAST_H, 2.6) == np.inf
    assert last_above(_curve(2.0, -9.0, 40.0, 1.0), FAST_H, 2.6) == 0.0, "potentiation"


def test_an_episode_is_answered_alone_as_among_all(drawn: Drawn, model: ImpulseModel) -> None:
    sessions = drawn.stream.sessions
    every = Asked(sessions.owner, np.arange(sessions.end_h.size), sessions.end_h)
    found = forecast(model, drawn.stream, every, 2.6, HOURS)
    for q in (0, 7, 55):
        one = slice(q, q + 1)
        alone = Asked(every.athlete[one], every.session[one], every.as_of_h[one])
        again = forecast(model, drawn.stream, alone, 2.6, HOURS)
        np.testing.assert_array_equal(again.recovery_h[0], found.recovery_h[q])
        np.testing.assert_array_equal(again.deficit[0], found.deficit[q])


def test_a_larger_deficit_that_counts_is_gone_sooner(drawn: Drawn, model: ImpulseModel) -> None:
    sessions = drawn.stream.sessions
    asked = Asked(sessions.owner[:50], np.arange(50), sessions.end_h[:50])
    small = forecast(model, drawn.stream, asked, 1.5, HOURS).recovery_h
    large = forecast(model, drawn.stream, asked, 4.0, HOURS).recovery_h
    assert (large <= small + 1.0).all()


def test_chances_rise_from_the_share_that_never_counted() -> None:
    recovery_h = np.sort(np.array([[0.0, 0.0, 10.0, 30.0], [5.0, 6.0, 7.0, np.inf]]), axis=1)
    found = chances(recovery_h, np.tile([0.0, 10.0, 20.0, LAST_H], (2, 1)))
    assert found[0, 0] == 0.5
    assert found[1, 0] == 0.0
    assert (np.diff(found, axis=1) >= 0).all()
    assert found[1, 3] < 1.0


@pytest.mark.statistical
def test_new_athletes_are_foretold_and_intervals_hold_what_they_say(
    drawn: Drawn, model: ImpulseModel
) -> None:
    """Truth by the equations the tests were drawn with, without the athlete's tests after it."""
    sessions = drawn.stream.sessions
    own = np.flatnonzero(np.arange(sessions.end_h.size) % (sessions.offsets[1]) >= 5)
    asked = Asked(sessions.owner[own], own, sessions.end_h[own])
    found = forecast(model, drawn.stream, asked, 2.6, HOURS).recovery_h
    truth = np.array([_truth(drawn, int(a), int(s)) for a, s in zip(*asked[:2], strict=True)])
    lower, median, upper = np.quantile(found, [0.1, 0.5, 0.9], axis=1)
    held = ((lower <= truth + 0.5) & (truth <= upper + 0.5)).mean()
    assert 0.72 < held < 0.97, "variances are widened on purpose"
    error, reference = np.abs(median - truth).mean(), np.abs(np.median(truth) - truth).mean()
    assert error < 0.75 * reference


def _truth(drawn: Drawn, a: int, own: int) -> float:
    sessions = drawn.stream.sessions
    rows = np.arange(sessions.offsets[a], own + 1)
    hours = np.arange(0.0, 400.0, 0.25)
    x = hours[:, None] + sessions.end_h[own] - sessions.end_h[rows]
    amplitude = SLOW * np.exp(LOAD_SLOPE * sessions.X[rows, 0])
    left = amplitude * slow_share(x / TAU_H) + FAST * 0.5 ** (x / FAST_H)
    total = np.where(x < 336.0, left, 0.0).sum(axis=1) * np.exp(drawn.athlete[a])
    above = np.flatnonzero(total >= -100 * np.log1p(-0.026))
    return float(hours[above[-1]]) if above.size else 0.0
