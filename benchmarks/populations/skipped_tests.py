"""Tests skipped when bad: a session slows what is still being cleared, and the worst is not seen.

Lifters and field players train four times a week. A session fills two pools of each component, a
quick and a slow one, which empty at the rates 1 / τ. It also brakes what earlier sessions left: a
pool with the brake b empties at 1 / (τ (1 + b)), and b fades within days,

    log of what is left after x hours = −ρ / τ ln((e^(x / ρ) + b) / (1 + b)).

What two sessions leave is therefore more than the sum of each. Tests are planned 1 to 72 h after a
session, but the worse an athlete feels, the likelier they stay away. Hormones do nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.populations.population import Calendar, population_of, to_minute, truth_row
from benchmarks.populations.sessions import SessionKind, recorded, take_part
from benchmarks.populations.surroundings import about, blood, nights, person_of, rating

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.populations.population import Population, Row
    from benchmarks.populations.sessions import Session
    from benchmarks.populations.surroundings import Person
    from nmr_ml.numeric.arrays import Floats


NAME, TIMEZONE, FIRST_MONDAY = "skipped", "America/Denver", "2025-01-06"
KINDS = {
    "heavy": SessionKind(
        "training", "resistance", 84, 8.1, {"tonnage_kg": 9200, "hard_sets_n": 19},
        {"reps_in_reserve": 1.0},
    ),
    "volume": SessionKind(
        "training", "resistance", 72, 6.9,
        {"tonnage_kg": 7600, "hard_sets_n": 23, "eccentric_reps_n": 60}, {"reps_in_reserve": 3.0},
    ),
    "easy lift": SessionKind(
        "training", "resistance", 46, 4.1, {"tonnage_kg": 3300, "hard_sets_n": 9},
        {"reps_in_reserve": 5.0},
    ),
    "game": SessionKind(
        "match", "rugby", 88, 8.3,
        {"distance_m": 6300, "high_speed_distance_m": 420, "accelerations_n": 75,
         "decelerations_n": 70, "collisions_n": 28},
    ),
    "sprint": SessionKind(
        "training", "sprint", 55, 6.6,
        {"distance_m": 2300, "high_speed_distance_m": 580, "accelerations_n": 44},
    ),
    "skills": SessionKind(
        "training", "rugby", 62, 4.3,
        {"distance_m": 3600, "high_speed_distance_m": 90, "accelerations_n": 36},
    ),
}  # fmt: skip
#: Loss of jump height in per cent: of the quick and of the slow pool; τ of both in hours; brake.
DOSES = {
    "heavy": (3.4, 6.0, 3.5, 32.0, 0.9),
    "volume": (4.0, 5.0, 4.0, 36.0, 0.8),
    "easy lift": (1.6, 1.4, 2.5, 19.0, 0.25),
    "game": (4.4, 7.0, 4.5, 34.0, 1.1),
    "sprint": (3.7, 4.3, 3.0, 29.0, 0.7),
    "skills": (1.7, 1.3, 2.5, 18.0, 0.2),
}  # fmt: skip
#: ρ: hours in which the brake of a session fades.
BRAKE_FADES_H = 36.0
#: Share of the amounts and of the hours that a component has of those of jump height.
SHARES = {"power": (1.0, 1.0), "perceptual": (0.22, 0.85)}
ATHLETE_SD, SESSION_SD = 0.3, 0.15
#: Day of the week, hour and kind.
WEEKS = {
    "powerlifting": (
        (0, 17.5, "heavy"), (1, 17.5, "easy lift"), (3, 17.5, "volume"), (5, 11.0, "heavy"),
    ),
    "rugby": ((0, 18.0, "skills"), (1, 18.0, "sprint"), (3, 18.0, "volume"), (5, 14.0, "game")),
}  # fmt: skip
ATTENDANCE = 0.94
#: A visit is planned after this share of the sessions, so many hours later, by day; of so many
#: hours drawn the first that suits.
PLANNED_SHARE, PLANNED_H, BY_DAY_H, DRAWN_N = 0.85, (1.0, 72.0), (7.0, 21.5), 8
#: Log odds that a planned test is skipped: of one who feels fresh, and for each point of deficit.
SKIPPED_FRESH, SKIPPED_PER_POINT = -2.2, 1.6
RESTED_N = 4
#: Typical errors: of a visit and of a trial in per cent, of a rating in points.
VISIT_ERROR, TRIAL_ERROR, RATING_ERROR = 1.9, 3.0, 0.6


class Pools(NamedTuple):
    """What is left of each session at a moment, in two pools each."""

    amount: Floats
    tau_h: Floats
    brake: Floats


@dataclass(frozen=True, slots=True)
class Course:
    """An athlete's course.

    Parameters
    ----------
    sport : str
    sessions : sequence of Session
    after : mapping of component to sequence of Pools
        The pools at the end of each session.
    level, mood : float64 arrays, shape (days + RESTED_N,)
        Log of the fresh jump height and fresh readiness, from the first rested test on.
    """

    sport: str
    sessions: Sequence[Session]
    after: Mapping[str, Sequence[Pools]]
    level: Floats
    mood: Floats

    def deficit(self, component: str, hour: float) -> float:
        """Return the deficit at an hour of the course."""
        ended = [session.ended_h for session in self.sessions]
        last = int(np.searchsorted(ended, hour, side="right")) - 1
        if last < 0:
            return 0.0
        return float(deficit(self.after[component][last], np.array([hour - ended[last]]))[0])


def skipped_tests(athletes: int, days: int, seed: int) -> Population:
    """Return the population; an athlete does not depend on how many there are."""
    calendar = Calendar.of(FIRST_MONDAY, TIMEZONE)
    people = [person_of(NAME, seed, number) for number in range(athletes)]
    return population_of(NAME, TIMEZONE, [_rows(p, calendar, days) for p in people])


def remaining(pools: Pools, hours: Floats) -> Floats:
    """Return what is left of each pool (a column) after `hours` (a row) without a session."""
    x = hours[:, None] / BRAKE_FADES_H
    # ln(e^x + b), written so that it does not overflow.
    grown = x + np.log1p(pools.brake * np.exp(-x)) - np.log1p(pools.brake)
    return np.asarray(pools.amount * np.exp(-BRAKE_FADES_H / pools.tau_h * grown))


def deficit(pools: Pools, hours: Floats) -> Floats:
    """Return the deficit after `hours` without a session."""
    return np.asarray(remaining(pools, hours).sum(axis=1))


def next_pools(pools: Pools, hours: float, added: Pools, brake: float) -> Pools:
    """Return the pools at the end of a session, `hours` after the last one's.

    It fills the pools `added`, and brakes those that were there by `brake`.
    """
    left = remaining(pools, np.array([hours]))[0]
    braked = pools.brake * np.exp(-hours / BRAKE_FADES_H) + brake
    return Pools(
        np.concatenate([left, added.amount]),
        np.concatenate([pools.tau_h, added.tau_h]),
        np.concatenate([braked, added.brake]),
    )


def _rows(person: Person, calendar: Calendar, days: int) -> dict[str, list[Row]]:
    course = _course(person, days)
    return {
        "athletes": [about(person, course.sport, (1988, 2004))],
        "sessions": [
            recorded(person, session, KINDS[session.arch], calendar) for session in course.sessions
        ],
        "tests": _jumps(person, course, calendar, days) + _ratings(person, course, calendar, days),
        "sleep": nights(person, calendar, days),
        "labs": blood(person, calendar, days),
        "truth": _truth(person, course),
    }


def _course(person: Person, days: int) -> Course:
    rng = person.rng
    sport = "powerlifting" if rng.random() < 0.5 else "rugby"
    planned = [
        (24.0 * (monday + day) + hour, arch)
        for monday in range(0, days, 7)
        for day, hour, arch in WEEKS[sport]
        if rng.random() < ATTENDANCE and monday + day < days
    ]
    sessions = [
        take_part(person, number, arch, KINDS[arch], starts_h)
        for number, (starts_h, arch) in enumerate(planned)
    ]
    more, slower = np.exp(rng.normal(0.0, ATHLETE_SD, 2))
    after = {
        component: _pools(rng, sessions, share * more, longer * slower)
        for component, (share, longer) in SHARES.items()
    }
    n = days + RESTED_N
    mood = rng.normal(7.5, 0.7) + np.cumsum(rng.normal(0.0, 0.06, n))
    return Course(sport, sessions, after, np.cumsum(rng.normal(0.0, 0.0015, n)), mood)


def _pools(
    rng: np.random.Generator, sessions: Sequence[Session], more: float, slower: float
) -> list[Pools]:
    """Return the pools at the end of each session; none were filled before the first."""
    nothing = np.empty(0)
    pools, found = Pools(nothing, nothing, nothing), []
    before = [sessions[0].ended_h, *(session.ended_h for session in sessions)]
    for (earlier_h, ended_h), session in zip(pairwise(before), sessions, strict=True):
        quick, slow, quick_h, slow_h, brake = DOSES[session.arch]
        own, longer = np.exp(rng.normal(0.0, SESSION_SD, 2))
        added = Pools(
            more * own * session.load**0.85 * np.array([quick, slow]),
            slower * longer * np.array([quick_h, slow_h]), np.zeros(2),
        )  # fmt: skip
        pools = next_pools(pools, ended_h - earlier_h, added, brake)
        found.append(pools)
    return found


def _stays_away(rng: np.random.Generator, course: Course, hour: float) -> bool:
    felt = course.deficit("perceptual", hour)
    return bool(rng.random() < 1.0 / (1.0 + np.exp(-SKIPPED_FRESH - SKIPPED_PER_POINT * felt)))


def _jumps(person: Person, course: Course, calendar: Calendar, days: int) -> list[Row]:
    rng = person.rng
    height_cm = rng.normal(42.0 if person.sex == "male" else 32.0, 4.0)
    rows = []
    for hour in _visit_hours(rng, course.sessions, days):
        if _stays_away(rng, course, hour):
            continue
        trials = int(rng.integers(2, 5))
        error = rng.normal(0.0, np.hypot(VISIT_ERROR, TRIAL_ERROR / np.sqrt(trials)))
        level = course.level[int(hour // 24) + RESTED_N]
        lost = course.deficit("power", hour)
        value = height_cm * np.exp(level + error / 100.0) * (1.0 - lost / 100.0)
        rows.append(
            {
                "athlete_id": person.athlete_id, "measured_at": calendar.at(hour),
                "test": "cmj_height", "value": round(float(value), 1), "unit": "cm",
                "trials_n": trials, "rested": hour < 0, "device": "contact grid",
                "method": "flight_time",
            }
        )  # fmt: skip
    return rows


def _visit_hours(rng: np.random.Generator, sessions: Sequence[Session], days: int) -> list[float]:
    """Return the hours of the planned visits: by day, and not while a session goes on."""
    hours = [24.0 * day + rng.uniform(9.0, 11.0) for day in range(-RESTED_N, 0)]
    for session in sessions:
        drawn = session.ended_h + rng.uniform(*PLANNED_H, DRAWN_N)
        suit = [h for h in drawn.tolist() if h < 24.0 * days and _suits(sessions, h)]
        if rng.random() < PLANNED_SHARE:
            hours += suit[:1]
    return sorted({to_minute(hour) / 60.0 for hour in hours})


def _suits(sessions: Sequence[Session], hour: float) -> bool:
    busy = any(other.started_h - 0.5 <= hour <= other.ended_h for other in sessions)
    return BY_DAY_H[0] <= hour % 24 <= BY_DAY_H[1] and not busy


def _ratings(person: Person, course: Course, calendar: Calendar, days: int) -> list[Row]:
    rng, rows = person.rng, []
    for day in range(-RESTED_N, days):
        hour = to_minute(24.0 * day + rng.uniform(6.7, 8.3)) / 60.0
        if _stays_away(rng, course, hour):
            continue
        felt = course.mood[day + RESTED_N] - course.deficit("perceptual", hour)
        felt += rng.normal(0.0, RATING_ERROR)
        rows.append(rating(person, calendar.at(hour), felt, rested=day < 0))
    return rows


def _truth(person: Person, course: Course) -> list[Row]:
    rows = []
    for number, session in enumerate(course.sessions):
        keys = {
            "athlete_id": person.athlete_id, "episode_id": session.session_id,
            "arch": session.arch,
        }  # fmt: skip
        for component, after in course.after.items():
            rows.append(truth_row(keys, component, partial(deficit, after[number])))
    return rows
