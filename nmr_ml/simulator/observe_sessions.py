"""Sessions as they are recorded: RPE, satellite and heart-rate data, sets and repetitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from nmr_ml.simulator.archetypes import MARKERS
from nmr_ml.simulator.observe_days import spent_kcal
from nmr_ml.simulator.streams import Purpose, stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.numeric.arrays import Bools, Floats
    from nmr_ml.simulator.life import Life
    from nmr_ml.simulator.observe_tests import Columns

#: What satellites measure; the rest is counted by people.
_GPS = tuple(MARKERS[:4])
_ZONES = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 1.2])


def session_ids(life: Life) -> NDArray[np.str_]:
    """Return the ids of the athlete's sessions, in order of their start."""
    prefix = life.person.athlete_id
    return np.array([f"{prefix}-s{number:04d}" for number in range(len(life.sessions))], dtype=str)


def recorded_sessions(life: Life) -> Columns:
    """Return the sessions as columns; what a team does not measure, or lost, is missing."""
    person, sessions, variation = life.person, life.sessions, life.world.config.variation
    catalogue = life.world.catalogue
    rng = stream(life.world.seed, Purpose.RECORDS, person.index)
    n, load = len(sessions), sessions.load
    lost = rng.random((n, 3))
    rpe = np.where(lost[:, 0] < variation.missing_rpe, np.nan, np.round(2.0 * load.rpe) / 2.0)
    columns: Columns = {
        "session_id": session_ids(life),
        "athlete_id": np.full(n, person.athlete_id),
        "started_at": sessions.start_h,
        "ended_at": sessions.end_h,
        "duration_min": np.round(60.0 * (sessions.end_h - sessions.start_h)),
        "kind": sessions.kind,
        "modality": catalogue.modality[load.archetype],
        "session_rpe": rpe,
        "reps_in_reserve": load.reps_in_reserve,
        "velocity_loss_pct": _velocity_loss(load.reps_in_reserve, rng),
    }
    error = np.exp(variation.gps_error * rng.standard_normal((n, len(_GPS))))
    no_gps = lost[:, 1] < (variation.missing_gps if person.team.gps else 1.0)
    for column, name in enumerate(MARKERS):
        value = load.markers[:, column]
        if name in _GPS:
            value = np.where(no_gps, np.nan, np.round(value * error[:, column]))
        columns[name] = value
    no_heart = lost[:, 2] < (variation.missing_hr if person.team.heart_rate else 1.0)
    return columns | _heart(life, no_heart)


def _velocity_loss(reserve: Floats, rng: np.random.Generator) -> Floats:
    """Return the velocity loss in a set: about 45 % at failure, 20 % four repetitions before."""
    loss = 45.0 * (1.0 - reserve / 7.5) + 3.0 * rng.standard_normal(reserve.size)
    return np.clip(loss, 3.0, 70.0).round()


def _heart(life: Life, missing: Bools) -> Columns:
    """Return mean heart rate, minutes in zones of 50-60 ... 90-100 % of maximum, and energy."""
    person, load = life.person, life.sessions.load
    mean = person.hr_rest_bpm + load.hr_reserve * (person.hr_max_bpm - person.hr_rest_bpm)
    share = mean / person.hr_max_bpm
    below = ndtr((_ZONES[None, :] - share[:, None]) / 0.08)
    minutes = np.diff(below, axis=1) * load.duration_min[:, None]
    columns: Columns = {
        "mean_hr_bpm": np.where(missing, np.nan, np.round(mean)),
        "energy_kcal": np.where(missing, np.nan, np.round(spent_kcal(life))),
    }
    for zone in range(5):
        whole = np.floor(minutes[:, zone])
        columns[f"hr_zone{zone + 1}_min"] = np.where(missing, np.nan, whole)
    return columns
