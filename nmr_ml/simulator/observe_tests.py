"""Recovery tests and ratings as they are taken: schedule, latent value and error (§6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from nmr_ml.recovery_tests import shipped_testspecs
from nmr_ml.simulator.archetypes import LIGHT
from nmr_ml.simulator.availability import away
from nmr_ml.simulator.clock import to_minute
from nmr_ml.simulator.kernels import CENTRAL, COORDINATION, POWER, C, D, F, I, deficits_of
from nmr_ml.simulator.schedule import is_break
from nmr_ml.simulator.streams import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nmr_ml.numeric.arrays import Bools, Floats
    from nmr_ml.recovery_tests import TestSpec
    from nmr_ml.simulator.config import SimulatorConfig
    from nmr_ml.simulator.life import Life

Columns: TypeAlias = "dict[str, Floats | NDArray[np.str_]]"
Stretch: TypeAlias = "float | Floats"
_BASELINE_TAKEN = 0.9
#: Decimals that instruments report, in the canonical unit.
_DECIMALS = {"cmj_height": 1, "rsi_mod": 3, "mvc_knee_extension": 1, "voluntary_activation": 1}


def measure(
    spec: TestSpec,
    base: Floats,
    deficit: Floats,
    trials: float,
    rng: np.random.Generator,
    *,
    stretch: Stretch = 1.0,
    error_scale: float = 1.0,
) -> Floats:
    """Return what a test shows: the latent value and the error of a test day.

    Parameters
    ----------
    base : array
        Rested level.
    deficit : array
        On the scale of the test: per cent below `base`, or points below it.
    trials : float
        Trials averaged; the error is that of ``configs/tests.yaml``.
    stretch : float or array
        Factor on the latent value, such as that of the time of day.
    error_scale : float
        Factor on the error.
    """
    error = spec.typical_error(np.full(base.shape, trials)) * error_scale
    shown = error * rng.standard_normal(base.shape)
    if spec.scale == "points":
        return base - deficit + shown
    sign = 1.0 if spec.direction == "higher" else -1.0
    return base * ((1.0 - sign * deficit / 100.0) * stretch + shown / 100.0)


def error_scale(config: SimulatorConfig) -> float:
    """Return the factor that brings the usual CMJ error to `test_error_pct`, 1 without one."""
    if config.test_error_pct is None:
        return 1.0
    spec = shipped_testspecs()["cmj_height"]
    usual = float(spec.typical_error(np.array([float(spec.trials_n)]))[0])
    return config.test_error_pct / usual


def testing_moments(life: Life, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw when jump tests take place, and what is declared of each (1 rested, 0 not)."""
    config, clock, span = life.world.config, life.world.clock, life.world.span
    team, spec, sessions = life.person.team, config.tests, life.sessions
    fresh = fresh_mornings(life)
    wanted = fresh.copy()
    end_day, end_clock = clock.local(sessions.end_h)
    followed = sessions.followed
    for morning in range(1, spec.mornings + 1):
        later = end_day[followed] + morning
        wanted[later[later < span]] = True
    # Baselines are missed less often than the rest.
    taken = rng.random(span) < np.where(fresh, _BASELINE_TAKEN, config.test_probability)
    hour = team.test_hour + 0.3 * rng.random(span)
    mornings = clock.elapsed(np.arange(span), hour)[wanted & taken]
    # Nobody is tested in the evening after a late match.
    after = followed & (rng.random(len(sessions)) < config.test_probability) & (end_clock < 21.0)
    soon = to_minute(sessions.end_h[after] + spec.after_h)
    times = np.unique(np.concatenate([mornings, soon]))
    times = times[~away(times, life.absences) & (times < 24.0 * span) & ~_busy(times, life)]
    day, _ = clock.local(times)
    chosen = fresh[day] | (rng.random(times.size) < spec.flagged_share)
    return times, declared(times, chosen, spec.rested_h, life)


def fresh_mornings(life: Life) -> Bools:
    """Return the days on which baselines are meant to be taken: pre-season and ends of breaks."""
    config, team = life.world.config, life.person.team
    day = np.arange(life.world.span)
    resting = is_break(day, team, config)
    soon_over = np.zeros(day.size, dtype=bool)
    for ahead in range(1, config.tests.break_mornings + 1):
        soon_over |= ~is_break(day + ahead, team, config)
    before_season = np.isin(day, config.tests.preseason_mornings)
    return before_season | ((day >= config.calendar.preseason_days) & resting & soon_over)


def declared(times: Floats, chosen: Bools, rested_h: float, life: Life) -> Floats:
    """Return what is declared of tests: 1 for the `chosen` that are rested, else 0 or nothing.

    Rested is who has done nothing but light sessions for `rested_h` hours.
    """
    heavy = life.sessions.load.archetype != life.world.catalogue.names.index(LIGHT)
    ends = np.append(life.sessions.end_h[heavy], -np.inf)
    last = np.searchsorted(ends[:-1], times, side="right") - 1
    rested = chosen & (times - ends[last] >= rested_h)
    return np.where(rested, 1.0, np.nan if life.world.config.tests.rested_by_clock else 0.0)


def _busy(times: Floats, life: Life) -> Bools:
    """Return whether a session is under way."""
    last = np.searchsorted(life.sessions.start_h, times, side="right") - 1
    return (last >= 0) & (times < np.append(life.sessions.end_h, 0.0)[last])


def jump_tests(life: Life) -> Iterator[Columns]:
    """Yield the rows of each test of strength and power, as columns."""
    config = life.world.config
    rng = stream(life.world.seed, Purpose.TESTS, life.person.index)
    times, flagged = testing_moments(life, rng)
    states = life.states(times)
    deficits = deficits_of(states, life.outputs)
    day, hour = life.world.clock.local(times)
    # Sleep lost against the athlete's own habit, on the jumps of that day only.
    short = np.maximum(life.person.sleep_hours - life.sleep_h[day], 0.0)
    sleepy = short * life.world.factor * config.modulators.acute_sleep_pct_per_h
    amplitude = config.tests.cmj_day_amplitude
    daytime = 1.0 + amplitude * np.cos(2.0 * np.pi * (hour - 17.0) / 24.0)
    everywhere = np.ones(times.size, dtype=bool)

    def rows(test: str, deficit: Floats, keep: Bools, stretch: Stretch = 1.0) -> Columns:
        value = _shown(life, test, times, deficit, stretch, rng)
        return _columns(life, test, times[keep], value[keep], flagged[keep])

    yield rows("cmj_height", deficits[:, POWER] + sleepy, everywhere, daytime)
    if life.person.team.force_plate:
        cost = config.outputs.coordination_power * sleepy
        yield rows("rsi_mod", deficits[:, COORDINATION] + cost, everywhere)
    if life.person.isometric:
        chosen = rng.random(times.size) < config.tests.isometric_probability
        yield rows("mvc_knee_extension", mvc_loss(states, config), chosen)
        yield rows("voluntary_activation", deficits[:, CENTRAL], chosen)


def _shown(
    life: Life,
    test: str,
    times: Floats,
    deficit: Floats,
    stretch: Stretch,
    rng: np.random.Generator,
) -> Floats:
    """Return the values that a test shows, within the plausible range, in the canonical unit."""
    config, spec = life.world.config, shipped_testspecs()[test]
    base = life.person.base[test] * (1.0 + life.person.drift_per_h.get(test, 0.0) * times)
    scale = error_scale(config) if test == "cmj_height" else 1.0
    trials = float(config.trials_n)
    value = measure(spec, base, deficit, trials, rng, stretch=stretch, error_scale=scale)
    return np.clip(value, *spec.range)


def mvc_loss(states: Floats, config: SimulatorConfig) -> Floats:
    """Return the loss of maximal voluntary force, per cent (domain.md §6.1)."""
    weights = config.mvc
    return (
        weights["f"] * states[:, F]
        + weights["c"] * states[:, C]
        + weights["d"] * states[:, D]
        + weights["i"] * states[:, I]
    )


def _columns(
    life: Life,
    test: str,
    times: Floats,
    value: Floats,
    flagged: Floats,
) -> Columns:
    team = life.person.team
    unit, decimals, worth = shipped_testspecs()[test].unit, _DECIMALS[test], 1.0
    if test == "cmj_height" and team.jump_unit == "m":
        unit, decimals, worth = "m", 3, 0.01
    device = team.device if test in {"cmj_height", "rsi_mod"} else "dynamometer"
    return {
        "athlete_id": np.full(times.size, life.person.athlete_id),
        "measured_at": times,
        "test": np.full(times.size, test),
        "value": np.round(value * worth, decimals),
        "unit": np.full(times.size, unit),
        "trials_n": np.full(times.size, float(life.world.config.trials_n)),
        "rested": flagged,
        "device": np.full(times.size, device),
    }
