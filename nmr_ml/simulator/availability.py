"""Injuries and systemic episodes, and the training they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.simulator.clock import to_minute
from nmr_ml.simulator.streams import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmr_ml.numeric.arrays import Bools, Floats
    from nmr_ml.simulator.config import Pair, SimulatorConfig
    from nmr_ml.simulator.people import Person
    from nmr_ml.simulator.schedule import Sessions
    from nmr_ml.simulator.world import World


@dataclass(frozen=True, slots=True)
class Absence:
    """One injury or systemic episode; times are elapsed hours."""

    kind: str
    onset_h: float
    resolved_h: float
    body_region: str | None
    diagnosis: str | None
    grade: str


def draw_absences(person: Person, sessions: Sessions, world: World) -> list[Absence]:
    """Draw the episodes of `person`, given the sessions that were meant to take place."""
    config = world.config
    rng = stream(world.seed, Purpose.AVAILABILITY, person.index)
    found = sorted(_systemic(world.span, rng, config), key=lambda absence: absence.onset_h)
    hazard = np.where(
        sessions.kind == "training",
        config.availability.injury_per_training,
        config.availability.injury_per_match,
    )
    for i in np.flatnonzero(sessions.injury_draw < hazard):
        onset = float(sessions.end_h[i])
        injury = _injury(onset, rng, config)
        if not away(np.array([sessions.start_h[i], onset]), found).any():
            found.append(injury)
    return _apart(found)


def _apart(found: list[Absence]) -> list[Absence]:
    """Return the episodes that begin while no earlier one lasts."""
    kept: list[Absence] = []
    for absence in sorted(found, key=lambda absence: absence.onset_h):
        if not kept or absence.onset_h >= kept[-1].resolved_h:
            kept.append(absence)
    return kept


def _injury(onset: float, rng: np.random.Generator, config: SimulatorConfig) -> Absence:
    spec = config.availability
    grades = list(spec.grade_share)
    grade = grades[int(np.searchsorted(np.cumsum(list(spec.grade_share.values())), rng.random()))]
    hours = 24.0 * _duration(spec.grade_days[grade], rng)
    region = spec.regions[int(rng.integers(len(spec.regions)))]
    diagnosis = spec.diagnoses.get(region)
    return Absence("injury", onset, _to_minute(onset + hours), region, diagnosis, grade)


def _systemic(days: int, rng: np.random.Generator, config: SimulatorConfig) -> list[Absence]:
    spec = config.availability
    kinds = (
        ("illness", spec.illness_per_year, spec.illness_days),
        ("overreaching", spec.overreaching_per_year, spec.overreaching_days),
    )
    found = []
    for grade, per_year, length in kinds:
        for _ in range(int(rng.poisson(per_year * days / 365.0))):
            # Onset in the morning, on some day after the rest before the season.
            first = config.calendar.preseason_days
            day = int(rng.integers(first, max(days, first + 1)))
            onset = _to_minute(24.0 * day + 7.0 + 2.0 * rng.random())
            resolved = _to_minute(onset + 24.0 * _duration(length, rng))
            found.append(Absence("systemic", onset, resolved, None, None, grade))
    return found


def _duration(mean_sd: Pair, rng: np.random.Generator) -> float:
    """Draw days from the log-normal with this mean and SD."""
    mean, sd = mean_sd
    variance = np.log1p((sd / mean) ** 2)
    return float(np.exp(np.log(mean) - variance / 2.0 + np.sqrt(variance) * rng.standard_normal()))


def _to_minute(hours: float) -> float:
    return float(to_minute(np.array([hours]))[0])


def away(times: Floats, absences: Sequence[Absence]) -> Bools:
    """Return whether each elapsed time lies strictly after an onset and before its end."""
    result = np.zeros(times.shape, dtype=bool)
    for absence in absences:
        result |= (times > absence.onset_h) & (times < absence.resolved_h)
    return result
