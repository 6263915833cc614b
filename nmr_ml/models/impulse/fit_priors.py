"""What is believed of a component before its data: chosen in simulated worlds, where data overrule.

The widths were chosen with `nmr_ml.simulator` and three worlds of other simulators in sight, for
intervals of 80 % that hold the true times of new athletes so often. What data cannot tell is held
by them: how much athletes differ in speed, whether the fast part is negative where no test lies in
the first hours, and the time of day, which comes with the time since the session.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.models.impulse.coefficients import Coefficients
from nmr_ml.models.impulse.spreads import EFFECTS, Spreads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.numeric.arrays import Floats, Ints


#: Amplitude of both parts of an average session, in δ.
AMPLITUDE = 1.2
#: Half-lives of the slow and the fast part, in h, and c of the slow kernel, of an average session.
SLOW_H, FAST_H, PLATEAU = 24.0, 2.5, 2.0
#: SD of what all groups of sessions share and of what each has of its own: logs of slow amplitude,
#: half-life and c; amplitude of the fast part in amplitudes.
GROUP_SD = {
    "log_slow": (1.0, 0.7), "log_tau": (0.5, 0.4), "log_plateau": (1.0, 0.4), "fast": (0.45, 0.3)
}  # fmt: skip
#: The same of half-life and c where another component of the same sessions is fitted already: what
#: it says of them is where the search begins, and how far this one may be from it.
ALIKE_SD = {"log_tau": (0.25, 0.15), "log_plateau": (0.4, 0.2)}
#: SD of the log half-life of the fast part.
FAST_H_SD = 0.1
#: SD of slopes on the session's own columns and on others, of log amplitude and log half-life.
OWN_SLOPE_SD, OTHER_SLOPE_SD = (0.12, 0.03), (0.03, 0.015)
#: The same of the fast part, in amplitudes.
FAST_SLOPE_SD = 0.3
#: SD of log share and log pace of a test beside the index test.
SHARE_SD, PACE_SD = 0.5, 0.5
#: Effect of the time of day on tests in per cent, in δ and at most, and its SD beside it.
DAY_EFFECT, MOST_DAY_EFFECT, DAY_SD = 0.5, 1.3, 0.15
#: In δ: SD of the trend of a season's half, of what is left at the start of a record.
TREND_SD, CARRIED_SD, SINE_SD, POINTS_DAY_SD = 0.75, 1.0, 0.12, 0.15
#: SD of a device's step in per cent, and of an athlete's own part of it.
DEVICE_SD, OWN_DEVICE_SD = 5.0, 1.0
#: SD of teams' log amplitude and log half-life.
TEAM_SD = (0.1, 0.07)
#: SD of `EFFECTS` but for teams', and how sure that is: SD of the log of each SD.
EFFECT_SD = ((0.25, 0.5), (0.2, 0.15), (0.15, 0.4), (0.12, 0.3), (0.25, 0.5), (0.15, 0.2))
#: SD by which a level moves in a day, in δ; what a test's own error and that of its visit are, in
#: typical errors; what is left at the start, in δ; and how sure each is.
WALK_SD, READING_SD, VISIT_SD, CARRIED_SPREAD = (0.06, 0.4), (0.75, 0.5), (0.6, 0.5), (0.75, 0.3)
#: A constraint is a belief this sure.
_EXACT = 1e5


@dataclass(frozen=True, slots=True)
class TestScale:
    """What the beliefs about one test of a family are counted in.

    Parameters
    ----------
    delta : float
        The smallest deficit that counts, on the test's scale.
    in_pct : bool
    mean, sd : float
        Of its values.
    """

    __test__ = False

    delta: float
    in_pct: bool
    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Prior:
    """Normal beliefs about coefficients, and about the logs of variances.

    Parameters
    ----------
    mean : Coefficients
    precision : float64 array, shape (p, p)
    spreads : Spreads
        Their centres.
    certainty : float64 array, shape (n_spreads,)
        SD of the log of each variance, in the order of `log_spreads`.
    """

    mean: Coefficients
    precision: Floats
    spreads: Spreads
    certainty: Floats


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many of each there are."""

    groups: int
    columns: int
    own: Ints
    team_share: Floats
    devices: int


def prior_of(scales: list[TestScale], sizes: Sizes, alike: Coefficients | None) -> Prior:
    """Return what is believed before the data.

    Parameters
    ----------
    scales : list of TestScale
        The index test first.
    sizes : Sizes
    alike : Coefficients or None
        Of another component, whose speeds this one's are likely to be near to.
    """
    mean, widths = _mean(scales, sizes), GROUP_SD
    if alike is not None:
        mean = replace(
            mean, log_tau=alike.log_tau, log_plateau=alike.log_plateau, log_fast_h=alike.log_fast_h
        )
        widths = {**GROUP_SD, **ALIKE_SD}
    precision = _precision(mean, scales, sizes, widths)
    return Prior(mean, precision, _spreads(scales), _certainty(len(scales)))


def _mean(scales: list[TestScale], sizes: Sizes) -> Coefficients:
    index, n, tests = scales[0], sizes.groups, len(scales)
    amplitude = AMPLITUDE * index.delta
    teams = np.zeros(sizes.team_share.size)
    return Coefficients(
        log_slow=np.full(n, np.log(amplitude)),
        fast=np.full(n, amplitude),
        log_tau=np.full(n, np.log(SLOW_H)),
        log_plateau=np.full(n, np.log(PLATEAU)),
        log_fast_h=np.full(1, np.log(FAST_H)),
        slow_slope=np.zeros(sizes.columns),
        tau_slope=np.zeros(sizes.columns),
        fast_slope=np.zeros(sizes.own.size),
        # A deficit of 1 δ of one test goes with 1 δ of another.
        log_share=np.log([scale.delta / index.delta for scale in scales]),
        log_pace=np.zeros(tests),
        level=np.array([scale.mean for scale in scales]),
        trend=np.zeros(tests),
        cosine=np.array([_day_effect(scale)[0] for scale in scales]),
        sine=np.zeros(tests),
        carried=np.zeros(1),
        team_slow=teams,
        team_tau=teams,
        device=np.zeros(sizes.devices),
    )


def _day_effect(scale: TestScale) -> tuple[float, float]:
    if not scale.in_pct:
        return 0.0, POINTS_DAY_SD * scale.delta
    effect = min(DAY_EFFECT * scale.delta, MOST_DAY_EFFECT)
    return effect, DAY_SD * effect


def _precision(
    mean: Coefficients,
    scales: list[TestScale],
    sizes: Sizes,
    widths: Mapping[str, tuple[float, float]],
) -> Floats:
    index, places = scales[0], mean.places
    delta, amplitude = np.array([s.delta for s in scales]), AMPLITUDE * index.delta
    sd = np.empty(mean.vector.size)
    widths_of: dict[str, float | list[float] | Floats] = {
        "log_fast_h": FAST_H_SD,
        "fast_slope": FAST_SLOPE_SD * amplitude,
        "log_share": SHARE_SD,
        "log_pace": PACE_SD,
        "level": [10.0 * s.sd + s.delta for s in scales],
        "trend": TREND_SD * delta,
        "cosine": [_day_effect(s)[1] for s in scales],
        "sine": SINE_SD * delta,
        "carried": CARRIED_SD * index.delta,
        "team_slow": TEAM_SD[0],
        "team_tau": TEAM_SD[1],
        "device": DEVICE_SD * index.delta / 2.6,
        "slow_slope": _slope_sd(sizes, 0),
        "tau_slope": _slope_sd(sizes, 1),
        "log_slow": 1.0, "fast": 1.0, "log_tau": 1.0, "log_plateau": 1.0,
    }  # fmt: skip
    for name, value in widths_of.items():
        sd[places[name]] = value
    sd[[places["log_share"].start, places["log_pace"].start]] = _EXACT**-0.5
    precision = np.diag(sd**-2.0)
    for name, (shared, own) in widths.items():
        scale = amplitude if name == "fast" else 1.0
        precision[places[name], places[name]] = _groups_precision(
            sizes.groups, shared * scale, own * scale
        )
    for name in ("team_slow", "team_tau"):
        precision[places[name], places[name]] += _EXACT * np.outer(
            sizes.team_share, sizes.team_share
        )
    return precision


def _slope_sd(sizes: Sizes, which: int) -> Floats:
    sd = np.full(sizes.columns, OTHER_SLOPE_SD[which])
    sd[sizes.own] = OWN_SLOPE_SD[which]
    return sd


def _groups_precision(n: int, shared: float, own: float) -> Floats:
    return np.asarray(np.linalg.inv(shared**2 * np.ones((n, n)) + own**2 * np.eye(n)))


def _spreads(scales: list[TestScale]) -> Spreads:
    delta = np.array([s.delta for s in scales])
    effects = np.array([sd for sd, _ in EFFECT_SD] + list(TEAM_SD)) ** 2
    known, unknown = OWN_DEVICE_SD, np.hypot(DEVICE_SD, OWN_DEVICE_SD)
    return Spreads(
        effects=effects,
        start=np.array([max(s.sd, s.delta) for s in scales]) ** 2,
        walk=(WALK_SD[0] * delta) ** 2,
        reading=np.full(delta.size, READING_SD[0] ** 2),
        visit=np.full(1, VISIT_SD[0] ** 2),
        carried=np.full(1, (CARRIED_SPREAD[0] * delta[0]) ** 2),
        device=(np.array([known, unknown]) * delta[0] / 2.6) ** 2,
    )


def _certainty(tests_n: int) -> Floats:
    effects = [sure for _, sure in EFFECT_SD]
    free = [*effects, *[WALK_SD[1]] * tests_n, *[READING_SD[1]] * tests_n, VISIT_SD[1]]
    return 2.0 * np.array(free)


def free_spreads(spreads: Spreads) -> Floats:
    """Return the variances that data are asked about: effects but teams', walk, reading, visit."""
    people = len(EFFECTS) - len(TEAM_SD)
    return np.concatenate([spreads.effects[:people], spreads.walk, spreads.reading, spreads.visit])


def with_free(spreads: Spreads, free: Floats) -> Spreads:
    """Return `spreads` with other values of `free_spreads`."""
    people, tests_n = len(EFFECTS) - len(TEAM_SD), spreads.walk.size
    effects, walk, reading, visit = np.split(free, np.cumsum([people, tests_n, tests_n]))
    return Spreads(
        np.concatenate([effects, spreads.effects[people:]]), spreads.start, walk, reading, visit,
        spreads.carried, spreads.device,
    )  # fmt: skip
