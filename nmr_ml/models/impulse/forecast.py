"""Draws of an episode's curve: recovery times for any δ, chances at any hour, deficits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.models.impulse.decay import fast_left, slow_left, slow_rate
from nmr_ml.models.impulse.draws import fixed_normals
from nmr_ml.models.impulse.posterior import (
    LEAST_FELT,
    MOST_FELT,
    Laid,
    Learnt,
    factorise,
    felt_posterior,
    felt_sessions,
)
from nmr_ml.models.impulse.response import (
    LOG_AMPLITUDE,
    LOG_TAU,
    circumstances,
    fresh_level,
    impulses,
    within,
)
from nmr_ml.numeric.compiled import inner, kept

if TYPE_CHECKING:
    from nmr_ml.models.impulse.model import ImpulseModel
    from nmr_ml.models.impulse.stream import Stream
    from nmr_ml.numeric.arrays import Bools, Floats, Ints


#: Curves drawn for an episode.
DRAWS_N = 96
#: From here on the fast parts are gone, and a curve can only fall.
FALLING_H = 24.0
#: Before that the last hour above δ is looked for by this step, later by so many halvings of the
#: log of time: to 0.4 %.
EARLY_STEP_H, HALVINGS = 1.0, 10
#: Longer times are not told apart from never: four follow-ups of 336 h.
LAST_H = 1344.0
#: Keeps the covariance of draws positive whatever rounding does.
JITTER = 1e-10
#: What the variances between people and sessions are multiplied by: they are estimated as if all
#: else were certain. Chosen in simulated worlds for intervals of 80 % that hold so many times.
WIDENED = 1.5


class Asked(NamedTuple):
    """Episodes to be foretold; arrays have shape (n,).

    Parameters
    ----------
    athlete, session : int64 arrays
        Positions in the stream; the episode is of `session`.
    as_of_h : float64 array, h since 1970 UTC
    """

    athlete: Ints
    session: Ints
    as_of_h: Floats


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Draws of some episodes.

    Parameters
    ----------
    recovery_h : float64 array, shape (n, DRAWS_N), h after the clock start
        Sorted; 0 where the deficit never counted, +inf where it lasts beyond `LAST_H`.
    deficit : float64 array, shape (n, n_hours, DRAWS_N)
        Sorted, on the scale of the index test.
    """

    recovery_h: Floats
    deficit: Floats


def laid_out(model: ImpulseModel, stream: Stream) -> Laid:
    """Return `stream` as the kernels read it, with the impulses and levels of `model`."""
    sessions, tests, c = stream.sessions, stream.tests, model.coefficients
    group = model.groups.of(sessions)
    columns = model.columns.read(sessions.X, group)
    team = model.team_places(stream.team)[sessions.owner]
    impulse = impulses(c, columns, columns[:, np.flatnonzero(model.columns.own)], group, team)
    at = circumstances(stream, model.devices)
    return Laid(
        sessions.offsets, sessions.end_h, sessions.known_h, sessions.modality, group, *impulse,
        tests.offsets, tests.taken_h, tests.known_h,
        tests.value - fresh_level(c, tests.test, at), tests.error, tests.test, tests.visit,
        tests.device, at.device, at.carried,
        (tests.taken_h - stream.began_h[tests.owner]) / 24.0,
    )  # fmt: skip


def learnt(model: ImpulseModel) -> Learnt:
    """Return `model` as the kernels read it, its variances widened."""
    s, c = model.spreads, model.coefficients
    return Learnt(
        s.effects * WIDENED, s.start, s.walk, s.reading, float(s.visit[0]), float(s.carried[0]),
        s.device, c.log_share, c.log_pace, float(np.exp(c.log_fast_h[0])), model.constants,
    )  # fmt: skip


def forecast(
    model: ImpulseModel, stream: Stream, asked: Asked, delta: float, hours: Floats
) -> Forecasts:
    """Return draws of the curves of episodes, as known at each `as_of`.

    Parameters
    ----------
    delta : float
        The smallest deficit that counts, on the scale of the index test.
    hours : float64 array, shape (n_hours,), h after the clock start
        At which deficits are asked for.
    """
    normals = fixed_normals(DRAWS_N, 2 * (MOST_FELT + 1))
    known_team = model.team_places(stream.team) >= 0
    least = -100.0 * np.log1p(-delta / 100.0) if model.in_pct else delta
    recovery_h, left = _forecast(
        laid_out(model, stream), learnt(model), *asked, known_team, least, hours, normals
    )
    return Forecasts(recovery_h, 100.0 * -np.expm1(-left / 100.0) if model.in_pct else left)


@kept
def _forecast(
    s: Laid, k: Learnt, athlete: Ints, session: Ints, as_of_h: Floats, known_team: Bools,
    least: float, hours: Floats, normals: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    n, draws_n = athlete.size, normals.shape[0]
    recovery_h, left = np.empty((n, draws_n)), np.empty((n, hours.size, draws_n))
    for q in range(n):
        a = athlete[q]
        felt = felt_sessions(s, k, a, session[q], as_of_h[q], LEAST_FELT * least)
        mean, covariance = felt_posterior(s, k, a, known_team[a], felt, as_of_h[q])
        drawn(s, k, felt, mean, covariance, normals, least, hours, recovery_h[q], left[q])
    return recovery_h, left


class Curve(NamedTuple):
    """One drawn curve; arrays have shape (n_felt,).

    Amplitudes of both parts, half-life (h), c and rate of the slow one, and the hours from the end
    of each session to the clock start.
    """

    slow: Floats
    fast: Floats
    tau_h: Floats
    plateau: Floats
    rate: Floats
    since_h: Floats


@inner
def drawn(
    s: Laid, k: Learnt, felt: Ints, mean: Floats, covariance: Floats, normals: Floats, least: float,
    hours: Floats, recovery_h: Floats, left: Floats,
) -> None:  # fmt: skip
    """Draw curves and fill `recovery_h` and `left`, both sorted."""
    n, own = felt.size, felt[0]
    for i in range(2 * n):
        covariance[i, i] += JITTER
    factorise(covariance)
    drawing = Curve(np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n))
    for j in range(n):
        drawing.plateau[j] = np.exp(s.log_plateau[felt[j]])
        drawing.rate[j] = slow_rate(drawing.plateau[j])
        drawing.since_h[j] = s.end_h[own] - s.end_h[felt[j]]
    for d in range(normals.shape[0]):
        for j in range(n):
            # The amplitude of a group is its mean over sessions, not their median.
            slow, pace = mean[2 * j] - 0.5 * k.effects[4], mean[2 * j + 1]
            for i in range(2 * j + 1):
                slow += covariance[2 * j, i] * normals[d, i]
            for i in range(2 * j + 2):
                pace += covariance[2 * j + 1, i] * normals[d, i]
            drawing.slow[j] = np.exp(within(s.log_slow[felt[j]] + slow, *LOG_AMPLITUDE))
            drawing.tau_h[j] = np.exp(within(s.log_tau[felt[j]] + pace, *LOG_TAU))
            drawing.fast[j] = s.fast[felt[j]] * np.exp(slow)
        recovery_h[d] = last_above(drawing, k.fast_h, least)
        for h in range(hours.size):
            left[h, d] = left_at(drawing, k.fast_h, hours[h])
    recovery_h.sort()
    for h in range(hours.size):
        left[h].sort()


@inner
def left_at(c: Curve, fast_h: float, hour: float) -> float:
    """Return what all sessions together leave `hour` hours after the clock start."""
    total = 0.0
    for j in range(c.slow.size):
        elapsed_h = c.since_h[j] + hour
        total += c.slow[j] * slow_left(elapsed_h / c.tau_h[j], c.plateau[j], c.rate[j])
        total += c.fast[j] * fast_left(elapsed_h, fast_h)
    return total


@inner
def last_above(c: Curve, fast_h: float, least: float) -> float:
    """Return the last hour at which the curve is at `least` or above it.

    0 where it never is, +inf where it still is at `LAST_H`.
    """
    if left_at(c, fast_h, FALLING_H) >= least:
        if left_at(c, fast_h, LAST_H) >= least:
            return np.inf
        low, high = np.log(FALLING_H), np.log(LAST_H)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            if left_at(c, fast_h, np.exp(middle)) >= least:
                low = middle
            else:
                high = middle
        return float(np.exp(0.5 * (low + high)))
    hour = FALLING_H - EARLY_STEP_H
    while hour >= 0.0:
        if left_at(c, fast_h, hour) >= least:
            return hour + 0.5 * EARLY_STEP_H
        hour -= EARLY_STEP_H
    return 0.0


def chances(recovery_h: Floats, hours: Floats) -> Floats:
    """Return the chance of having recovered by each hour, shape (n, n_hours).

    Parameters
    ----------
    recovery_h : float64 array, shape (n, n_draws)
        Sorted draws.
    hours : float64 array, shape (n, n_hours)

    Notes
    -----
    Between two draws the chance rises evenly; at 0 it is the share of draws that never counted.
    """
    n, draws_n = recovery_h.shape
    found = np.empty(hours.shape)
    at = (np.arange(draws_n) + 0.5) / draws_n
    finite = np.minimum(recovery_h, 2.0 * LAST_H)
    for q in range(n):
        never = np.count_nonzero(recovery_h[q] <= 0.0)
        knots = np.concatenate([[0.0], finite[q, never:]])
        share = np.concatenate([[never / draws_n], at[never:]])
        found[q] = np.interp(hours[q], knots, share)
    return found
