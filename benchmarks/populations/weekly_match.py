"""The weekly match: a level that lives, and a device that changes in mid-season.

Footballers play on Saturdays and train three or four times a week, more lightly. What a session
takes comes in two waves: one that ends with the day, and a delayed dip

    deficit(x) = acute exp(−x / fading) + late (u e^(1 − u))^BEND,   u = x / lowest,

x hours after its end; those of several sessions add up. Jumps are tested on the three mornings
after a match and before some. The fresh level wanders from day to day and is learnt upwards over
the season. In mid-season most athletes go from the force plate to a jump mat, which reads 6.8 %
more. Hardly ever is an athlete rested for three days.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
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


NAME, TIMEZONE, FIRST_MONDAY = "match", "Europe/Lisbon", "2025-08-04"
KINDS = {
    "match": SessionKind(
        "match", "soccer", 96, 7.9,
        {"distance_m": 9900, "high_speed_distance_m": 640, "accelerations_n": 130,
         "decelerations_n": 120, "collisions_n": 14},
    ),
    "conditioning": SessionKind(
        "training", "soccer", 82, 6.1,
        {"distance_m": 6400, "high_speed_distance_m": 310, "accelerations_n": 95,
         "decelerations_n": 85},
    ),
    "gym": SessionKind(
        "training", "resistance", 58, 6.2, {"tonnage_kg": 4800, "hard_sets_n": 11},
        {"reps_in_reserve": 3.0},
    ),
    "tactical": SessionKind(
        "training", "soccer", 68, 4.2,
        {"distance_m": 4300, "high_speed_distance_m": 110, "accelerations_n": 48,
         "decelerations_n": 44},
    ),
    "regeneration": SessionKind("training", "cycling", 36, 2.3, {"energy_kcal": 260}),
}  # fmt: skip
#: Loss of jump height in per cent: acute, and at the bottom of the dip; hours of fading and bottom.
DOSES = {
    "match": (6.0, 7.4, 5.0, 24.0),
    "conditioning": (3.6, 3.2, 4.5, 19.0),
    "gym": (2.8, 3.8, 6.0, 26.0),
    "tactical": (2.0, 1.5, 4.0, 17.0),
    "regeneration": (0.7, 0.3, 3.0, 13.0),
}  # fmt: skip
BEND = 1.6
#: Share of the amounts and of the hours that a component has of those of jump height.
SHARES = {"power": (1.0, 1.0), "coordination": (1.3, 1.08), "perceptual": (0.26, 0.85)}
#: SD of log of amounts and of hours: between athletes, and between sessions of one.
ATHLETE_SD, SESSION_SD = 0.3, 0.15
#: Day of the week, hour and share of the weeks of what is not the match.
WEEK = (
    (0, 17.0, "regeneration", 0.5), (1, 10.75, "conditioning", 0.93), (2, 15.5, "gym", 0.93),
    (3, 10.75, "tactical", 0.93),
)  # fmt: skip
MATCH_DAY, MATCH_H, MATCH_SHARE = 5, 15.0, 0.9
#: Days from the match and the share of them on which jumps are tested.
VISITS = ((1, 0.85), (2, 0.85), (3, 0.85), (-1, 0.2), (0, 0.35))
#: Mornings of rested tests before the season.
RESTED_N = 4
#: The mat reads so much of the plate's value; share of the athletes who change to it.
MAT_FACTOR, CHANGED_SHARE = 1.068, 0.85
#: Errors of a visit in per cent: shared by both tests of it, of each, and of one trial.
SHARED_ERROR, OWN_ERROR, TRIAL_ERROR = (
    1.3,
    {"cmj_height": 1.4, "rsi_mod": 3.2},
    {"cmj_height": 2.8, "rsi_mod": 5.0},
)
JUMPS = {"cmj_height": ("power", "cm", 2), "rsi_mod": ("coordination", "m/s", 4)}
PLATE, MAT = ("force plate", "impulse"), ("jump mat", "flight_time")


class Waves(NamedTuple):
    """What each session of an athlete took of one component, in order of their ends."""

    ended_h: Floats
    acute: Floats
    late: Floats
    fading_h: Floats
    lowest_h: Floats

    def until(self, n: int) -> Waves:
        """Return the first `n` sessions."""
        return Waves(*(column[:n] for column in self))


@dataclass(frozen=True, slots=True)
class Season:
    """An athlete's season.

    Parameters
    ----------
    sessions : sequence of Session
    matches_d : sequence of int
        Days with a match.
    waves : mapping of component to Waves
    level : float64 array, shape (days + RESTED_N,)
        Log of the fresh level, from the first rested test on.
    mood : float64 array, of the same shape
        Fresh readiness.
    """

    sessions: Sequence[Session]
    matches_d: Sequence[int]
    waves: Mapping[str, Waves]
    level: Floats
    mood: Floats


def weekly_match(athletes: int, days: int, seed: int) -> Population:
    """Return the population; an athlete does not depend on how many there are."""
    calendar = Calendar.of(FIRST_MONDAY, TIMEZONE)
    people = [person_of(NAME, seed, number) for number in range(athletes)]
    return population_of(NAME, TIMEZONE, [_rows(p, calendar, days) for p in people])


def deficit(waves: Waves, at_h: Floats) -> Floats:
    """Return the deficit at hours of the season, of sessions that have ended by then."""
    since = at_h[:, None] - waves.ended_h
    ended = since >= 0.0
    x = np.where(ended, since, 0.0)
    u = x / waves.lowest_h
    parts = waves.acute * np.exp(-x / waves.fading_h) + waves.late * (u * np.exp(1.0 - u)) ** BEND
    return np.asarray(np.where(ended, parts, 0.0).sum(axis=1))


def _rows(person: Person, calendar: Calendar, days: int) -> dict[str, list[Row]]:
    season = _season(person, days)
    return {
        "athletes": [about(person, "soccer", (1992, 2005))],
        "sessions": [
            recorded(person, session, KINDS[session.arch], calendar) for session in season.sessions
        ],
        "tests": _jumps(person, season, calendar, days) + _ratings(person, season, calendar, days),
        "sleep": nights(person, calendar, days),
        "labs": blood(person, calendar, days),
        "truth": _truth(person, season),
    }


def _season(person: Person, days: int) -> Season:
    rng = person.rng
    sessions, matches_d = _sessions(person, days)
    more, slower = np.exp(rng.normal(0.0, ATHLETE_SD, 2))
    waves = {
        component: _waves(
            rng, sessions, share * more * np.exp(rng.normal(0.0, 0.12)), longer * slower
        )
        for component, (share, longer) in SHARES.items()
    }
    n = days + RESTED_N
    learnt = rng.normal(0.035, 0.015) * (1.0 - np.exp(-np.arange(n) / 45.0))
    level = learnt + np.cumsum(rng.normal(0.0, 0.0028, n))
    mood = rng.normal(7.8, 0.6) + _drift(rng, n)
    return Season(sessions, matches_d, waves, level, mood)


def _drift(rng: np.random.Generator, n: int) -> Floats:
    """Return how fresh readiness drifts: 0.5 points either way, over two weeks."""
    kept = np.exp(-1.0 / 14.0)
    steps = rng.normal(0.0, 0.5 * np.sqrt(1.0 - kept**2), n)
    drift = np.zeros(n)
    for day in range(1, n):
        drift[day] = kept * drift[day - 1] + steps[day]
    return drift


def _sessions(person: Person, days: int) -> tuple[list[Session], list[int]]:
    rng = person.rng
    planned: list[tuple[float, str]] = []
    for monday in range(0, days, 7):
        slots = [*WEEK, (MATCH_DAY, MATCH_H, "match", MATCH_SHARE)]
        planned += [
            (24.0 * (monday + day) + hour, arch)
            for day, hour, arch, share in slots
            if rng.random() < share and monday + day < days
        ]
    sessions = [
        take_part(person, number, arch, KINDS[arch], starts_h)
        for number, (starts_h, arch) in enumerate(planned)
    ]
    return sessions, [int(starts_h // 24) for starts_h, arch in planned if arch == "match"]


def _waves(
    rng: np.random.Generator, sessions: Sequence[Session], more: float, slower: float
) -> Waves:
    acute, late, fading_h, lowest_h = np.array([DOSES[s.arch] for s in sessions]).T
    own, slow = np.exp(rng.normal(0.0, SESSION_SD, (2, len(sessions))))
    amount = more * own * np.array([s.load for s in sessions]) ** 0.9
    ended_h = np.array([s.ended_h for s in sessions])
    # The first wave has a speed of its own: what fades in hours says little of what takes days.
    return Waves(ended_h, amount * acute, amount * late, fading_h, lowest_h * slower * slow)


def _jumps(person: Person, season: Season, calendar: Calendar, days: int) -> list[Row]:
    rng = person.rng
    man = person.sex == "male"
    fresh = {
        "cmj_height": rng.normal(37.5 if man else 29.5, 3.5),
        "rsi_mod": rng.normal(0.48 if man else 0.40, 0.05),
    }
    changes_d = days // 2 if rng.random() < CHANGED_SHARE else days
    rows = []
    for day in _visit_days(rng, season.matches_d, days):
        hour = to_minute(24.0 * day + rng.uniform(8.2, 10.0)) / 60.0
        on_mat = day >= changes_d
        trials, shared = int(rng.integers(2, 5)), rng.normal(0.0, SHARED_ERROR)
        for test, (component, unit, digits) in JUMPS.items():
            lost = deficit(season.waves[component], np.array([hour]))[0]
            own = np.hypot(OWN_ERROR[test], TRIAL_ERROR[test] / np.sqrt(trials))
            error = shared + rng.normal(0.0, own)
            value = fresh[test] * np.exp(season.level[day + RESTED_N] + error / 100.0)
            value *= (1.0 - lost / 100.0) * (MAT_FACTOR if on_mat else 1.0)
            device, method = MAT if on_mat else PLATE
            rows.append(
                {
                    "athlete_id": person.athlete_id, "measured_at": calendar.at(hour),
                    "test": test, "value": round(float(value), digits), "unit": unit,
                    "trials_n": trials, "rested": day < 0, "device": device, "method": method,
                }
            )  # fmt: skip
    return rows


def _visit_days(rng: np.random.Generator, matches_d: Sequence[int], days: int) -> list[int]:
    around = {
        match + apart for match in matches_d for apart, share in VISITS if rng.random() < share
    }
    return [*range(-RESTED_N, 0), *sorted(day for day in around if 0 <= day < days)]


def _ratings(person: Person, season: Season, calendar: Calendar, days: int) -> list[Row]:
    rng, rows = person.rng, []
    for day in range(-RESTED_N, days):
        if rng.random() < 0.08:
            continue
        hour = to_minute(24.0 * day + rng.uniform(6.6, 7.8)) / 60.0
        lost = deficit(season.waves["perceptual"], np.array([hour]))[0]
        felt = season.mood[day + RESTED_N] - lost + rng.normal(0.0, 0.6)
        rows.append(rating(person, calendar.at(hour), felt, rested=day < 0))
    return rows


def _truth(person: Person, season: Season) -> list[Row]:
    rows = []
    for number, session in enumerate(season.sessions):
        keys = {
            "athlete_id": person.athlete_id, "episode_id": session.session_id,
            "arch": session.arch,
        }  # fmt: skip
        for component, waves in season.waves.items():
            so_far = waves.until(number + 1)
            left = partial(_after, so_far, session.ended_h)
            lowest_h = float((so_far.ended_h + so_far.lowest_h).max()) - session.ended_h
            rows.append(truth_row(keys, component, left, falls_from_h=lowest_h))
    return rows


def _after(waves: Waves, ended_h: float, hours: Floats) -> Floats:
    return deficit(waves, ended_h + hours)
