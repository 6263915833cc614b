"""What sessions leave in tests: the mean of every test, and how it moves with the impulses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.models.impulse.decay import LN2, fast_left, slow_slopes
from nmr_ml.models.impulse.stream import carried, of_day
from nmr_ml.numeric.compiled import inner, kept

if TYPE_CHECKING:
    from nmr_ml.models.impulse.coefficients import Coefficients
    from nmr_ml.models.impulse.stream import Pairs, Stream
    from nmr_ml.numeric.arrays import Floats, Ints


#: The time over which a trend is counted: a season's half.
SEASON_H = 90.0 * 24.0
#: Logs of amplitudes and of half-lives in h stay within these, whatever a search tries.
LOG_AMPLITUDE, LOG_TAU = (-8.0, 5.0), (-2.0, 7.5)


class Impulses(NamedTuple):
    """The impulse of each session on the scale of the index test; shapes (n_sessions,).

    `log_slow` and `log_tau` are of the slow part, `log_plateau` is the log of its kernel's c,
    `fast` is the amplitude of the fast part.
    """

    log_slow: Floats
    log_tau: Floats
    log_plateau: Floats
    fast: Floats


class Response(NamedTuple):
    """What each pair of test and session contributes; shapes (n_pairs,).

    `slow` and `fast` are what is left of both parts. The derivatives of `slow` are by log half-life
    and by log c, that of `fast` by its log half-life, and `fast_unit` is `fast` by unit amplitude.
    """

    slow: Floats
    fast: Floats
    slow_by_tau: Floats
    slow_by_plateau: Floats
    fast_by_half_life: Floats
    fast_unit: Floats

    @property
    def left(self) -> Floats:
        """Both parts together."""
        return self.slow + self.fast


def impulses(
    coefficients: Coefficients, columns: Floats, own: Floats, group: Ints, team: Ints
) -> Impulses:
    """Return the impulse of each session from what is known of it, without its athlete's effects.

    Parameters
    ----------
    columns : float64 array, shape (n_sessions, n_columns)
    own : float64 array, shape (n_sessions, n_own)
        Those of `columns` that are of the session itself.
    group, team : int64 arrays, shape (n_sessions,)
        ``team`` is -1 for one that the model does not know.
    """
    c = coefficients
    team_slow, team_tau = np.append(c.team_slow, 0.0)[team], np.append(c.team_tau, 0.0)[team]
    return Impulses(
        c.log_slow[group] + columns @ c.slow_slope + team_slow,
        c.log_tau[group] + columns @ c.tau_slope + team_tau,
        c.log_plateau[group],
        (c.fast[group] + own @ c.fast_slope) * np.exp(team_slow),
    )


def moved(impulse: Impulses, slow: Floats, tau: Floats) -> Impulses:
    """Return impulses whose log amplitudes and log half-lives are moved, by session."""
    return Impulses(
        impulse.log_slow + slow, impulse.log_tau + tau, impulse.log_plateau,
        impulse.fast * np.exp(slow),
    )  # fmt: skip


def response(impulse: Impulses, pairs: Pairs, test: Ints, coefficients: Coefficients) -> Response:
    """Return what the impulses leave in each pair of test and session.

    Parameters
    ----------
    test : int64 array, shape (n_tests,)
        Position of each test in the family.
    """
    c = coefficients
    return Response(
        *_response(
            *impulse, pairs.offsets, pairs.session, pairs.elapsed_h, test, c.log_share, c.log_pace,
            float(np.exp(c.log_fast_h[0])),
        )
    )  # fmt: skip


@inner
def within(value: float, least: float, most: float) -> float:
    """Return `value`, or the bound that it lies beyond."""
    return min(max(value, least), most)


@kept
def _response(
    log_slow: Floats, log_tau: Floats, log_plateau: Floats, fast: Floats, offsets: Ints,
    session: Ints, elapsed_h: Floats, test: Ints, log_share: Floats, log_pace: Floats,
    fast_h: float,
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:  # fmt: skip
    n = session.size
    slow, quick, by_tau = np.empty(n), np.empty(n), np.empty(n)
    by_plateau, by_half_life, unit = np.empty(n), np.empty(n), np.empty(n)
    for v in range(test.size):
        share, pace = log_share[test[v]], log_pace[test[v]]
        for k in range(offsets[v], offsets[v + 1]):
            s = session[k]
            amplitude = np.exp(within(log_slow[s] + share, *LOG_AMPLITUDE))
            u = elapsed_h[k] / np.exp(within(log_tau[s] + pace, *LOG_TAU))
            left, left_by_tau, left_by_plateau = slow_slopes(u, np.exp(log_plateau[s]))
            slow[k], by_tau[k] = amplitude * left, amplitude * left_by_tau
            by_plateau[k] = amplitude * left_by_plateau
            unit[k] = np.exp(share) * fast_left(elapsed_h[k], fast_h)
            quick[k] = fast[s] * unit[k]
            by_half_life[k] = quick[k] * LN2 * elapsed_h[k] / fast_h
    return slow, quick, by_tau, by_plateau, by_half_life, unit


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What moves a test besides its athlete's impulses; arrays have shape (n_tests,).

    Parameters
    ----------
    season : float64 array
        Time since the record began, in `SEASON_H`.
    cosine, sine : float64 arrays
        Of the time of day (`nmr_ml.models.impulse.stream.of_day`).
    carried : float64 array
        Share left of what came before the record.
    device : int64 array
        Position among the devices that the model knows; -1 for another.
    """

    season: Floats
    cosine: Floats
    sine: Floats
    carried: Floats
    device: Ints


def circumstances(stream: Stream, devices: tuple[str, ...]) -> Circumstances:
    """Return the circumstances of every test of `stream`.

    Parameters
    ----------
    devices : tuple of str
        Those that the model knows.
    """
    tests = stream.tests
    day = of_day(tests.clock_h)
    season = (tests.taken_h - stream.began_h[tests.owner]) / SEASON_H
    place = {name: i for i, name in enumerate(devices)}
    places = np.array([*(place.get(name, -1) for name in tests.devices), -1], np.int64)
    return Circumstances(season, day[:, 0], day[:, 1], carried(stream), places[tests.device])


def fresh_level(coefficients: Coefficients, test: Ints, at: Circumstances) -> Floats:
    """Return what each test reads on average where no session is felt, shape (n_tests,)."""
    c = coefficients
    return np.asarray(
        c.level[test] + at.season * c.trend[test] + at.cosine * c.cosine[test]
        + at.sine * c.sine[test] - at.carried * c.carried[0] + np.append(c.device, 0.0)[at.device]
    )  # fmt: skip
