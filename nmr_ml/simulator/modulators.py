"""The days of an athlete: sleep, hormones and food, and the rates of recovery they set (§6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.simulator.kernels import RATE_C, RATE_D, RATE_G, RATE_I
from nmr_ml.simulator.streams import Purpose, stream, wandering

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Bools, Floats, Ints
    from nmr_ml.simulator.config import SimulatorConfig
    from nmr_ml.simulator.people import Person


@dataclass(frozen=True, slots=True)
class Days:
    """What is true of each day, observed or not; the night of a day is the one before it.

    Hours of sleep are those without a late session the evening before.
    """

    sleep_h: Floats
    deep_min: Floats
    wake_hour: Floats
    testosterone_z: Floats
    cortisol_z: Floats
    igf1_z: Floats
    carbohydrate: Floats
    protein: Floats
    low_energy: Floats
    unexplained: Floats


def draw_days(person: Person, days: int, seed: int, config: SimulatorConfig) -> Days:
    """Draw `days` days of `person`; none of them depends on a session."""
    rng = stream(seed, Purpose.DAYS, person.index)
    sleep, food, hormones = config.sleep, config.nutrition, config.hormones
    reference = sleep.deep_reference_min + sleep.deep_per_year * (person.age - 25.0)
    night = rng.standard_normal((days, 3))
    low = np.zeros(days)
    if person.low_energy_from is not None:
        since = (np.arange(days) - person.low_energy_from) % 90
        low[since < config.people.low_energy_days] = 1.0
    return Days(
        sleep_h=np.clip(person.sleep_hours + sleep.hours_sd_night * night[:, 0], 3.0, 11.0),
        deep_min=np.clip(
            reference + person.sleep_deep + sleep.deep_sd_night * night[:, 1], 5.0, 120.0
        ),
        wake_hour=np.clip(person.wake_hour + 0.35 * night[:, 2], 5.2, 8.3),
        testosterone_z=wandering(rng, days, hormones.correlation),
        cortisol_z=wandering(rng, days, hormones.correlation),
        igf1_z=wandering(rng, days, hormones.igf1_correlation),
        carbohydrate=np.clip(
            person.carbohydrate + food.carbohydrate_sd_day * rng.standard_normal(days), 1.0, 12.0
        ),
        protein=np.clip(person.protein + food.protein_sd_day * rng.standard_normal(days), 0.5, 3.5),
        low_energy=low,
        unexplained=config.modulators.daily_sd
        * wandering(rng, days, config.modulators.daily_correlation),
    )


def ratio_z(days: Days, config: SimulatorConfig) -> Floats:
    """Return the within-athlete z of log T:C, clipped to ±2."""
    t_sd, c_sd = config.hormones.testosterone_sd, config.hormones.cortisol_sd
    shift = t_sd * days.testosterone_z - c_sd * days.cortisol_z
    return (shift / float(np.hypot(t_sd, c_sd))).clip(-2.0, 2.0)


def daily_rates(
    person: Person,
    days: Days,
    lost_sleep_h: Floats,
    factor: float,
    config: SimulatorConfig,
) -> Floats:
    """Return the rates of repair, central recovery, clearance and refilling, shape (days, 4).

    Parameters
    ----------
    lost_sleep_h : array of shape (days,)
        Hours (negative) by which late sessions cut the night before each day.
    factor : float
        The profile's factor on all sleep and hormone terms.
    """
    m, sleep = config.modulators, config.sleep
    short = days.sleep_h + lost_sleep_h - 8.0
    reference = sleep.deep_reference_min + sleep.deep_per_year * (person.age - 25.0)
    deep = m.deep_sleep * (days.deep_min - reference) / 20.0
    hormones = m.testosterone_cortisol * ratio_z(days, config)
    hormones += m.igf1 * np.clip(days.igf1_z, -2.0, 2.0)
    fed = m.protein * np.clip((days.protein - 1.6) / 0.4, -1.5, 1.0)
    own = person.log_rate + days.unexplained
    repair = (
        factor * (m.repair_sleep * short + deep + hormones)
        + fed
        + m.low_energy * days.low_energy
        + m.age * max(person.age - 25.0, 0.0)
        + m.training * person.training
        + own
    )
    central = factor * (m.central_sleep * short + deep) + own
    rates = np.empty((short.size, 4), dtype=np.float64)
    rates[:, RATE_D] = np.exp(repair)
    rates[:, RATE_C] = np.exp(central)
    rates[:, RATE_I] = np.exp(m.inflammation_share * repair)
    refill = m.glycogen_base + m.glycogen_per_g_kg * np.minimum(days.carbohydrate, 7.0)
    rates[:, RATE_G] = np.clip(refill, m.glycogen_base, m.glycogen_max)
    rates[:, RATE_G] *= np.exp(m.low_energy * days.low_energy)
    return rates


def lost_sleep(late_night: Ints, days: int, config: SimulatorConfig) -> Floats:
    """Return the hours that late sessions take from each night (negative), shape (days,)."""
    lost = np.zeros(days)
    lost[late_night[late_night >= 0]] = config.sleep.late_session_h
    return lost


def late_nights(
    end_clock: Floats,
    end_day: Ints,
    contest: Bools,
    config: SimulatorConfig,
) -> Ints:
    """Return the day whose night a late match disturbs, -1 where none is."""
    late = contest & (end_clock >= config.sleep.late_clock_h)
    return np.where(late, end_day + 1, -1).astype(np.int64)
