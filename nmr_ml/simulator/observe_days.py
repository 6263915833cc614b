"""Nights as wearables see them, and meals as they are logged (domain.md §6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.simulator.availability import away
from nmr_ml.simulator.clock import to_minute
from nmr_ml.simulator.kernels import H
from nmr_ml.simulator.streams import Purpose, stream

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats, Ints
    from nmr_ml.simulator.life import Life
    from nmr_ml.simulator.observe_tests import Columns

_DEVICES = ("ring", "wrist band", "mattress pad")


def nights(life: Life) -> Columns | None:
    """Return the recorded nights as columns; None for an athlete without a device.

    Deep sleep is the true one times a detection share plus a bias of the device, with so much
    noise that the two correlate at about .5.
    """
    person, config, clock = life.person, life.world.config, life.world.clock
    if not person.wears_device:
        return None
    rng = stream(life.world.seed, Purpose.SLEEP, person.index)
    # The night before the first day has begun before time did.
    night = np.flatnonzero(rng.random(life.world.span) >= config.sleep.missing)
    night = night[night > 0]
    n = night.size
    asleep = np.round(60.0 * life.sleep_h[night] + 8.0 + 12.0 * rng.standard_normal(n))
    asleep = np.clip(asleep, 120.0, 780.0)
    awake = np.clip(30.0 + 12.0 * rng.standard_normal(n), 5.0, 90.0).round()
    wake_at = clock.elapsed(night, life.days.wake_hour[night])
    detected = rng.uniform(0.75, 1.05, n)
    early = detected * life.days.deep_min[night] + 0.6 * person.device_bias
    early = np.clip(np.round(early + 14.0 * rng.standard_normal(n)), 0.0, 120.0)
    later = np.clip(np.round(22.0 + 0.3 * life.days.deep_min[night] + 10.0 * rng.random(n)), 0, 60)
    deep = np.minimum(early + later, asleep // 2.0)
    early = np.minimum(early, deep)
    rem = np.round(asleep * np.clip(0.22 + 0.03 * rng.standard_normal(n), 0.08, 0.35))
    columns: Columns = {
        "athlete_id": np.full(n, person.athlete_id),
        "onset_at": wake_at - to_minute((asleep + awake) / 60.0),
        "wake_at": wake_at,
        "asleep_min": asleep,
        "awake_min": awake,
        "light_min": asleep - deep - rem,
        "deep_min": deep,
        "rem_min": rem,
        "deep_first3h_min": early,
        "latency_min": np.clip(15.0 * np.exp(0.5 * rng.standard_normal(n)), 1.0, 90.0).round(),
        "device": np.full(n, _DEVICES[person.team.index % len(_DEVICES)]),
    }
    return columns | _heart(life, wake_at, night, rng)


def _heart(
    life: Life,
    wake_at: Floats,
    night: Ints,
    rng: np.random.Generator,
) -> Columns:
    """Return nocturnal heart-rate variability and resting heart rate."""
    n = night.size
    stress = life.states(wake_at)[:, H]
    ill = away(wake_at, [a for a in life.absences if a.kind == "systemic"])
    log_hrv = life.person.hrv_log - 0.02 * stress - 0.05 * (8.0 - life.sleep_h[night])
    log_hrv += 0.13 * rng.standard_normal(n) - 0.15 * ill
    resting = life.person.hr_rest_bpm + 0.25 * stress + 4.0 * ill + 1.8 * rng.standard_normal(n)
    return {
        "hrv_rmssd_ms": np.round(np.clip(np.exp(log_hrv), 5.0, 300.0), 1),
        "resting_hr_bpm": np.round(np.clip(resting, 30.0, 110.0)),
    }


def meals(life: Life) -> Columns | None:
    """Return the logged days of eating as columns; None for an athlete who logs nothing."""
    person, food, span = life.person, life.world.config.nutrition, life.world.span
    if not person.logs_food:
        return None
    rng = stream(life.world.seed, Purpose.NUTRITION, person.index)
    logged = rng.random(span) < food.logged_days
    # One factor for all that is eaten: people forget meals, not nutrients.
    reported = np.exp(food.report_error * rng.standard_normal(span) - 0.05)
    end_day, _ = life.world.clock.local(life.sessions.end_h)
    trained = np.bincount(
        end_day[end_day < span], weights=spent_kcal(life)[end_day < span], minlength=span
    )
    # Energy availability, kcal per kg fat-free mass: 45 is ample, below 30 is low.
    available = np.where(life.days.low_energy[:span] > 0, 26.0, 43.0)
    energy = available * person.fat_free_mass_kg + trained
    day = np.flatnonzero(logged)
    mass = person.body_mass_kg
    return {
        "athlete_id": np.full(day.size, person.athlete_id),
        "date": day.astype(np.float64),
        "energy_kcal": np.round((energy * reported)[day], -1),
        "carbohydrate_g": np.round((life.days.carbohydrate[:span] * mass * reported)[day]),
        "protein_g": np.round((life.days.protein[:span] * mass * reported)[day]),
    }


def spent_kcal(life: Life) -> Floats:
    """Return the energy that each session costs: about 1.5 kcal/kg/h at rest, 12.5 flat out."""
    load = life.sessions.load
    return life.person.body_mass_kg * load.duration_min / 60.0 * (1.5 + 11.0 * load.hr_reserve)
