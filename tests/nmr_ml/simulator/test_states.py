"""States, impulses and the counterfactual truth, against independent arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from nmr_ml.simulator import kernels
from nmr_ml.simulator.anchors import reference_states
from nmr_ml.simulator.archetypes import MARKERS, Catalogue, Load, impulses, mean_load
from nmr_ml.simulator.config import load_config, shipped_config
from nmr_ml.simulator.kernels import C, D, F, G, H, I, P, S, deficits_of
from nmr_ml.simulator.life import deltas, rested
from nmr_ml.simulator.observe_tests import mvc_loss

CONFIG = shipped_config()
CATALOGUE = Catalogue.of(CONFIG)

# domain.md §6.2: CMJ at 0.5/12/24/48/72/96 h, MVC at 0.5/24/48/72 h, hours at δ 2.6 and 4 %.
TABLE: dict[str, tuple[list[float], list[float], float, float]] = {
    "soccer_match": ([8.2, 5.9, 4.8, 3.0, 1.8, 1.0], [13.6, 6.8, 3.9, 2.3], 54, 34),
    "soccer_simulation": ([11.4, 9.7, 8.4, 5.6, 3.6, 2.3], [18.4, 11.1, 7.1, 4.6], 89, 66),
    "rugby_match": ([8.9, 7.0, 6.0, 3.9, 2.5, 1.5], [14.0, 7.8, 4.9, 3.1], 70, 48),
    "squat_heavy": ([13.2, 9.3, 8.2, 5.7, 3.7, 2.4], [21, 10.4, 7.0, 4.7], 92, 68),
    "hypertrophy": ([17.7, 9.1, 8.0, 5.6, 3.7, 2.4], [28, 9.8, 6.7, 4.5], 91, 68),
    "rt_failure": ([14.5, 4.6, 3.8, 2.4, 1.5, 0.9], [24, 4.9, 3.0, 1.8], 44, 20),
    "jumps": ([5.6, 3.4, 2.8, 1.8, 1.1, 0.6], [9.5, 3.9, 2.3, 1.4], 30, 4),
    "sprints": ([7.0, 5.3, 4.5, 2.9, 1.8, 1.1], [11.6, 6.0, 3.7, 2.3], 54, 31),
    "eccentric": ([23, 25, 24, 19, 15, 11], [34, 29, 24, 19], 208, 178),
    "marathon": ([13.5, 8.1, 6.6, 4.2, 2.6, 1.5], [22, 8.8, 5.3, 3.3], 72, 50),
    "ultra_166km": ([22, 21, 19, 14, 10, 7], [36, 25, 18, 13], 162, 134),
}


def last_above(archetype: str, delta: float) -> float:
    """Return the last hour at which the reference athlete's power deficit is `delta` % or more."""
    hours = np.arange(0.0, 400.0, 0.05)
    power = deficits_of(reference_states(archetype, hours, CONFIG), CONFIG.weights())
    return float(hours[power[:, kernels.POWER] >= delta].max())


@pytest.mark.parametrize("archetype", TABLE)
def test_curves_and_times_are_those_of_the_specification(archetype: str) -> None:
    cmj, mvc, at_swc, at_four = TABLE[archetype]
    states = reference_states(archetype, np.array([0.5, 12, 24, 48, 72, 96]), CONFIG)
    power = deficits_of(states, CONFIG.weights())[:, kernels.POWER]
    np.testing.assert_allclose(power, cmj, rtol=0.03, atol=0.1)
    np.testing.assert_allclose(mvc_loss(states, CONFIG)[[0, 2, 3, 4]], mvc, rtol=0.03, atol=0.1)
    assert last_above(archetype, 2.6) == pytest.approx(at_swc, rel=0.03)
    assert last_above(archetype, 4.0) == pytest.approx(at_four, rel=0.03, abs=1.0)


@pytest.mark.parametrize(("archetype", "hours"), [("rt_non_failure", 4), ("hiit", 9)])
def test_short_recoveries_are_those_of_the_specification(archetype: str, hours: float) -> None:
    assert last_above(archetype, 2.6) == pytest.approx(hours, abs=0.5)


def test_the_states_solve_the_differential_equations() -> None:
    """The stepper against a general solver that knows the equations only."""
    d, ln2 = CONFIG.dynamics, np.log(2.0)
    rate = np.array([1.3, 0.8, 1.1, 0.9])

    def slope(_t: float, y: np.ndarray[Any, Any]) -> list[float]:
        f, c, dd, s, i, p, j, g, h = y
        return [
            -ln2 / d.f_half_life * f,
            -ln2 / d.c_half_life * rate[kernels.RATE_C] * c,
            -d.d_rate * rate[kernels.RATE_D] * dd / (1 + dd / d.d_saturation),
            -ln2 / d.s_half_life * s,
            ln2 / d.s_half_life * s - ln2 / d.i_half_life * rate[kernels.RATE_I] * i,
            ln2 / d.s_half_life * s - ln2 / d.dip_half_life * p,
            ln2 / d.dip_half_life * (p - j),
            -ln2 / d.g_half_life * rate[kernels.RATE_G] * g / (1 + d.g_inflammation * i),
            -ln2 / d.h_half_life * h,
        ]

    times = np.array([0.4, 3.0, 25.0, 50.5, 200.0])
    impulse = np.array([[9.0, 9.0, 25.0, 0.7, 14.0]])
    rates = np.tile(rate, (30, 1))
    zero = np.zeros(1)
    after, _ = kernels.run_sessions(
        zero, zero, impulse, zero, np.full(1, np.nan), rested(), rates, d, CONFIG.weights(),
        CONFIG.follow_up,
    )  # fmt: skip
    mine = kernels.states_at(times, zero, after, rested(), rates, d)
    start = [9.0, 9.0, 25.0, 25.0, 0.0, 0.0, 0.0, 0.7, 14.0]
    truth = solve_ivp(slope, (0, 200), start, t_eval=times, rtol=1e-10, atol=1e-12).y.T
    columns = [F, C, D, S, I, P, kernels.J, G, H]
    np.testing.assert_allclose(mine[:, columns], truth, rtol=1e-3, atol=2e-3)


def _bouts(n: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(1)
    end = np.cumsum(rng.uniform(8.0, 70.0, n))
    impulse = np.array([2.6, 8.2, 5.0, 0.45, 6.0]) * rng.uniform(0.1, 1.5, (n, 1))
    days = int(end[-1] // 24) + 50
    rates = np.exp(0.2 * rng.standard_normal((days, 4)))
    return end, impulse, rates


def _truth(end: Any, impulse: Any, rates: Any, undisturbed: Any) -> Any:
    after, _ = kernels.run_sessions(
        end - 1.0, end, impulse, np.full(end.size, 500.0), np.full(end.size, np.nan), rested(),
        rates, CONFIG.dynamics, CONFIG.weights(), CONFIG.follow_up,
    )  # fmt: skip
    nights = np.full(end.size, -1)
    hours = kernels.recovery_hours(
        end, after, nights, rates, undisturbed, deltas(), 1000.0, CONFIG.dynamics, CONFIG.weights()
    )
    return after, hours


def test_later_sessions_change_no_earlier_truth() -> None:
    end, impulse, rates = _bouts(30)
    _, whole = _truth(end, impulse, rates, rates)
    _, part = _truth(end[:12], impulse[:12], rates, rates)
    np.testing.assert_array_equal(whole[:12], part)
    assert (whole[:12] > np.diff(end, append=np.inf)[:12, None]).any(), "no truth goes beyond"


def test_nights_cut_by_later_sessions_change_no_earlier_truth() -> None:
    end, impulse, rates = _bouts(10)
    lived = rates.copy()
    lived[int(end[4] // 24) + 1 :] *= 0.5
    _, undisturbed = _truth(end, impulse, rates, rates)
    _, disturbed = _truth(end, impulse, lived, rates)
    np.testing.assert_array_equal(disturbed[:5], undisturbed[:5])


def test_truth_is_the_last_crossing_of_a_fine_grid() -> None:
    """What earlier sessions left counts, and so does a second rise."""
    config = load_config(settings=["second_dip=true"])
    end, impulse, rates = _bouts(6)
    after, _ = _truth(end, impulse, rates, rates)
    out = config.weights()
    hours = kernels.recovery_hours(
        end, after, np.full(6, -1), rates, rates, deltas(), 1000.0, config.dynamics, out
    )
    grid = np.arange(0.0, 600.0, 0.1)
    for i in range(6):
        states = kernels.states_at(end[i] + grid, end[[i]], after[[i]], rested(), rates,
                                   config.dynamics)  # fmt: skip
        impaired = deficits_of(states, out) >= deltas()
        last = np.where(
            impaired.any(axis=0), grid[len(grid) - 1 - impaired[::-1].argmax(axis=0)], 0
        )
        np.testing.assert_allclose(hours[i], last, atol=0.15)


def test_a_second_dip_comes_after_a_partial_recovery() -> None:
    config = load_config(settings=["second_dip=true"])
    states = reference_states("soccer_match", np.array([0.5, 6.0, 30.0, 120.0]), config)
    early, partial, dip, late = deficits_of(states, config.weights())[:, kernels.POWER]
    assert partial < early
    assert dip > partial + 0.5
    assert late < partial


def _one(archetype: str, **changed: float) -> Any:
    """Return the impulses of the archetype's mean session with some markers changed."""
    row = np.arange(len(CATALOGUE.names)) == CATALOGUE.names.index(archetype)
    load = mean_load(CATALOGUE).take(row)
    markers = load.markers.copy()
    for name in set(changed) & set(MARKERS):
        markers[:, MARKERS.index(name)] = changed[name]
    reserve = np.array([changed.get("reps_in_reserve", load.reps_in_reserve[0])])
    other = Load(load.archetype, load.duration_min, load.rpe, load.hr_reserve, reserve, markers)
    return impulses(other, CATALOGUE, CONFIG.mapping)[0]


def test_the_mean_session_has_the_impulses_of_the_archetype() -> None:
    np.testing.assert_allclose(
        impulses(mean_load(CATALOGUE), CATALOGUE, CONFIG.mapping), CATALOGUE.impulse
    )


def test_a_hundred_metres_of_high_speed_running_add_the_stated_damage() -> None:
    more = _one("soccer_match", high_speed_distance_m=800.0) - _one("soccer_match")
    assert more[2] == pytest.approx(0.32, abs=0.01)


def test_sets_short_of_failure_become_those_of_the_other_archetype() -> None:
    np.testing.assert_allclose(
        _one("rt_failure", reps_in_reserve=4.0), _one("rt_non_failure"), rtol=1e-3
    )
