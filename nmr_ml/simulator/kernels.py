"""The compiled inner loops: how the states of one athlete run through time.

Times are hours since the start of the cohort; rates are piecewise constant over blocks of 24 h.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.numeric.arrays import Bools, Floats, Ints

#: Positions in a state vector.
F, C, D, S, I, P, J, G, H, Q, ACUTE, CHRONIC = range(12)  # noqa: E741  I is inflammation
N_STATES = 12
#: Positions in a row of daily rates.
RATE_D, RATE_C, RATE_I, RATE_G = range(4)
#: Positions in a row of deficits, in the order of `nmr_ml.recovery_tests.COMPONENTS`.
POWER, COORDINATION, CENTRAL, PERCEPTUAL = range(4)
_LN2 = math.log(2.0)


Real = TypeVar("Real", float, "NDArray[np.float64]")


class Dynamics(NamedTuple):
    """Constants of the state equations (domain.md §6.1); half-lives and time constants in h."""

    f_half_life: float
    c_half_life: float
    d_rate: float
    d_saturation: float
    s_half_life: float
    i_half_life: float
    dip_half_life: float
    g_half_life: float
    g_inflammation: float
    g_max: float
    h_half_life: float
    q_time: float
    q_slowing: float
    q_gain: float
    q_threshold: float
    acute_time: float
    chronic_time: float


class Outputs(NamedTuple):
    """Weights from states to the deficits of the components (domain.md §6.1)."""

    power_f: float
    power_c: float
    power_d: float
    power_i: float
    power_j: float
    power_g: float
    coordination_power: float
    coordination_c: float
    coordination_i: float
    soreness_exponent: float
    soreness_half: float
    readiness_soreness: float
    readiness_f: float
    readiness_c: float
    readiness_h: float


class FollowUp(NamedTuple):
    """When a coach rests an athlete who still looks impaired (informative follow-up)."""

    most: float
    middle: float
    width: float


@kept
def soreness(inflammation: Real, out: Outputs) -> Real:
    """Return soreness on a 0-10 scale, 10 I^p / (I^p + half) (domain.md §6.4)."""
    raised = inflammation**out.soreness_exponent
    rating: Real = 10.0 * raised / (raised + out.soreness_half)
    return rating


@kept
def _deficits(s: Floats, out: Outputs, into: Floats) -> None:
    power = (
        out.power_f * s[F]
        + out.power_c * s[C]
        + out.power_d * s[D]
        + out.power_i * s[I]
        + out.power_j * s[J]
        + out.power_g * s[G]
    )
    into[POWER] = power
    into[COORDINATION] = (
        out.coordination_power * power + out.coordination_c * s[C] + out.coordination_i * s[I]
    )
    into[CENTRAL] = s[C]
    into[PERCEPTUAL] = (
        out.readiness_soreness * soreness(s[I], out)
        + out.readiness_f * s[F]
        + out.readiness_c * s[C]
        + out.readiness_h * s[H]
    )


@kept
def _step(s: Floats, hours: float, rates: Floats, dyn: Dynamics) -> None:
    """Advance `s` by at most an hour: exact where linear, midpoint where not."""
    slowing = math.exp(-dyn.q_slowing * s[Q])
    k_source = _LN2 / dyn.s_half_life
    k_clear = _LN2 / dyn.i_half_life * rates[RATE_I]
    k_dip = _LN2 / dyn.dip_half_life
    source = math.exp(-k_source * hours)
    clear = math.exp(-k_clear * hours)
    dip = math.exp(-k_dip * hours)

    k_damage = dyn.d_rate * rates[RATE_D] * slowing
    ahead = s[D] * math.exp(-k_damage * hours / (1.0 + s[D] / dyn.d_saturation))
    middle = 0.5 * (s[D] + ahead)
    s[D] *= math.exp(-k_damage * hours / (1.0 + middle / dyn.d_saturation))

    s_before, i_before, p_before = s[S], s[I], s[P]
    s[S] *= source
    if abs(k_source - k_clear) > 1e-9:
        fed = k_source / (k_source - k_clear) * (clear - source)
    else:
        fed = k_source * hours * source
    s[I] = i_before * clear + s_before * fed
    s[P] = p_before * dip + k_source * 0.5 * (s_before + s[S]) * (1.0 - dip) / k_dip
    s[J] = s[J] * dip + 0.5 * (p_before + s[P]) * (1.0 - dip)

    braking = 1.0 + dyn.g_inflammation * 0.5 * (i_before + s[I])
    s[G] *= math.exp(-_LN2 / dyn.g_half_life * rates[RATE_G] * hours / braking)
    s[F] *= math.exp(-_LN2 / dyn.f_half_life * hours)
    s[C] *= math.exp(-_LN2 / dyn.c_half_life * rates[RATE_C] * slowing * hours)
    s[H] *= math.exp(-_LN2 / dyn.h_half_life * hours)
    s[Q] *= math.exp(-hours / dyn.q_time)
    s[ACUTE] *= math.exp(-hours / dyn.acute_time)
    s[CHRONIC] *= math.exp(-hours / dyn.chronic_time)


@kept
def _advance(
    s: Floats,
    begin: float,
    end: float,
    rates: Floats,
    dyn: Dynamics,
) -> None:
    now = begin
    while now < end:
        day = int(now // 24.0)
        until = min(end, now + 1.0, (day + 1) * 24.0)
        _step(s, until - now, rates[min(day, rates.shape[0] - 1)], dyn)
        now = until


@kept
def _load(s: Floats, impulse: Floats, load: float, dyn: Dynamics) -> None:
    """Add what one session leaves behind; `impulse` is F, C, D, G, H."""
    s[F] += impulse[0]
    s[C] += impulse[1]
    s[D] += impulse[2]
    s[S] += impulse[2]
    s[G] = min(dyn.g_max, s[G] + impulse[3])
    s[H] += impulse[4]
    s[ACUTE] += load / dyn.acute_time
    s[CHRONIC] += load / dyn.chronic_time
    s[Q] += dyn.q_gain * max(0.0, s[ACUTE] / s[CHRONIC] - dyn.q_threshold)


@kept
def run_sessions(
    start_h: Floats,
    end_h: Floats,
    impulses: Floats,
    loads: Floats,
    rest_draw: Floats,
    first: Floats,
    rates: Floats,
    dyn: Dynamics,
    out: Outputs,
    follow_up: FollowUp,
) -> tuple[Floats, Bools]:
    """Run one athlete through the planned sessions.

    A session is left out where `rest_draw` (NaN: never) falls below the chance that the coach
    rests somebody with the power deficit of that moment.

    Returns
    -------
    states : array of shape (sessions, N_STATES)
        Just after each session's end; for one left out, as if its end were any other moment.
    held : array of bool, shape (sessions,)
    """
    n = end_h.shape[0]
    states = np.empty((n, N_STATES), dtype=np.float64)
    held = np.ones(n, dtype=np.bool_)
    deficits = np.empty(4, dtype=np.float64)
    s = first.copy()
    now = 0.0
    for i in range(n):
        if not math.isnan(rest_draw[i]):
            _advance(s, now, start_h[i], rates, dyn)
            now = max(now, start_h[i])
            _deficits(s, out, deficits)
            away = (deficits[POWER] - follow_up.middle) / follow_up.width
            held[i] = rest_draw[i] >= follow_up.most / (1.0 + math.exp(-away))
        _advance(s, now, end_h[i], rates, dyn)
        now = end_h[i]
        if held[i]:
            _load(s, impulses[i], loads[i], dyn)
        states[i] = s
    return states, held


@kept
def states_at(
    times: Floats,
    end_h: Floats,
    after: Floats,
    first: Floats,
    rates: Floats,
    dyn: Dynamics,
) -> Floats:
    """Return the states at `times`, which ascend, each run forward from what came last before."""
    result = np.empty((times.shape[0], N_STATES), dtype=np.float64)
    s = first.copy()
    now = 0.0
    last = -1
    for i in range(times.shape[0]):
        passed = last
        while passed + 1 < end_h.shape[0] and end_h[passed + 1] <= times[i]:
            passed += 1
        if passed > last:
            last = passed
            s[:] = after[last]
            now = end_h[last]
        _advance(s, now, times[i], rates, dyn)
        now = times[i]
        result[i] = s
    return result


@kept
def deficits_of(states: Floats, out: Outputs) -> Floats:
    """Return the deficits of the four components, one row for each state."""
    result = np.empty((states.shape[0], 4), dtype=np.float64)
    for i in range(states.shape[0]):
        _deficits(states[i], out, result[i])
    return result


@kept
def recovery_hours(
    end_h: Floats,
    after: Floats,
    late_night: Ints,
    rates: Floats,
    undisturbed: Floats,
    deltas: Floats,
    horizon: float,
    dyn: Dynamics,
    out: Outputs,
) -> Floats:
    """Return hours until each deficit falls below its δ for good, were there no further session.

    Parameters
    ----------
    end_h, after : arrays of shape (sessions,) and (sessions, N_STATES)
        Session ends and the states just after them.
    late_night : int array of shape (sessions,)
        The day whose night the session itself disturbs, -1 for none.
    rates, undisturbed : arrays of shape (days, 4)
        Daily rates as lived, and as they would be had no session disturbed any night.
    deltas : array of shape (4,)
        One for each component.
    horizon : float
        Where the search ends; a component still impaired then gets this value.
    """
    n = end_h.shape[0]
    result = np.zeros((n, 4), dtype=np.float64)
    before = np.empty(4, dtype=np.float64)
    now_deficits = np.empty(4, dtype=np.float64)
    bound = np.empty(4, dtype=np.float64)
    most = np.empty(N_STATES, dtype=np.float64)
    last_day = rates.shape[0] - 1
    for i in range(n):
        s = after[i].copy()
        own_day = int(end_h[i] // 24.0)
        now = end_h[i]
        _deficits(s, out, before)
        while now - end_h[i] < horizon:
            # All that is still to come counts as arrived: this bound can only fall.
            most[:] = s
            most[I] = s[I] + s[S]
            most[J] = s[J] + s[P] + s[S]
            _deficits(most, out, bound)
            if np.all(bound < deltas):
                break
            day = int(now // 24.0)
            lived = day <= own_day or day == late_night[i]
            today = rates[min(day, last_day)] if lived else undisturbed[min(day, last_day)]
            step = 0.25 if now - end_h[i] < 12.0 else 1.0
            until = min(now + step, (day + 1) * 24.0)
            _step(s, until - now, today, dyn)
            _deficits(s, out, now_deficits)
            for c in range(4):
                if now_deficits[c] >= deltas[c]:
                    result[i, c] = until - end_h[i]
                elif before[c] >= deltas[c]:
                    share = (before[c] - deltas[c]) / (before[c] - now_deficits[c])
                    result[i, c] = now - end_h[i] + share * (until - now)
            before[:] = now_deficits
            now = until
    return np.minimum(result, horizon)
