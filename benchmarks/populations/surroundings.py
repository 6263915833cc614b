"""What belongs to a record and has nothing to do with recovery here: people, nights, blood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datetime import datetime

    from benchmarks.populations.population import Calendar, Row


#: Athletes of a team.
TEAM_N = 25
#: Days before the season from which nights are on record.
NIGHTS_BEFORE = 7
#: Between two draws of blood.
DRAW_EVERY_D = 14
#: Median serum values of men and women, their unit, and the SD of log between and within people.
BLOOD = {
    "testosterone": (17.5, 1.1, "nmol/L", 0.25, 0.12),
    "cortisol": (430.0, 430.0, "nmol/L", 0.12, 0.18),
    "ck": (260.0, 150.0, "U/L", 0.35, 0.4),
}


@dataclass(frozen=True, slots=True)
class Person:
    """Who an athlete is; `rng` draws all that happens to them, whoever else is in the squad."""

    athlete_id: str
    team: str
    sex: str
    rng: np.random.Generator


def person_of(world: str, seed: int, number: int) -> Person:
    """Return the athlete `number` of a world's cohort.

    Ids and teams hold the seed: two cohorts of one world have no athlete and no team in common.
    """
    letters = [ord(letter) for letter in world]
    rng = np.random.default_rng([seed, number, *letters])
    sex = "female" if rng.random() < 0.45 else "male"
    team = f"{world}-{seed}-team-{number // TEAM_N}"
    return Person(f"{world}-{seed}-{number:04d}", team, sex, rng)


def about(person: Person, sport: str, born: tuple[int, int]) -> Row:
    """Return the athlete's row; `born` has the first and the last year of birth."""
    rng, man = person.rng, person.sex == "male"
    stature = rng.normal(181.0 if man else 168.0, 6.5)
    return {
        "athlete_id": person.athlete_id, "sex": person.sex,
        "birth_year": int(rng.integers(born[0], born[1] + 1)),
        "body_mass_kg": round(float((stature - 104.0) * rng.lognormal(0.0, 0.07)), 1),
        "stature_cm": round(float(stature)), "hr_max_bpm": round(float(rng.normal(194.0, 7.0))),
        "training_tier": int(rng.integers(2, 5)), "sport": sport, "team": person.team,
    }  # fmt: skip


def rating(person: Person, measured_at: datetime, felt: float, *, rested: bool) -> Row:
    """Return a readiness of 1 to 10 as it is answered in an app: a whole number."""
    return {
        "athlete_id": person.athlete_id, "measured_at": measured_at, "test": "readiness",
        "value": float(np.clip(np.round(felt), 1.0, 10.0)), "unit": "1", "trials_n": 1,
        "rested": rested, "device": "app", "method": "questionnaire",
    }  # fmt: skip


def nights(person: Person, calendar: Calendar, days: int) -> list[Row]:
    """Return the athlete's nights, of which one in twenty is not on record."""
    rng = person.rng
    usual_h, pulse, variability = rng.normal(7.4, 0.5), rng.normal(54.0, 5.0), rng.normal(4.1, 0.3)
    rows = []
    for day in range(-NIGHTS_BEFORE, days):
        if rng.random() < 0.05:
            continue
        onset_h = 24.0 * day - rng.uniform(0.2, 1.8)
        in_bed_min = round(60.0 * float(np.clip(usual_h + 0.5 + rng.normal(0, 0.7), 4.5, 10.5)))
        wake_h = onset_h + in_bed_min / 60.0
        rows.append(
            {
                "athlete_id": person.athlete_id, "onset_at": calendar.at(onset_h),
                "wake_at": calendar.at(wake_h), **_stages(rng, in_bed_min),
                "resting_hr_bpm": round(float(rng.normal(pulse, 2.0))),
                "hrv_rmssd_ms": round(float(np.exp(rng.normal(variability, 0.15))), 1),
                "device": "armband",
            }
        )  # fmt: skip
    return rows


def _stages(rng: np.random.Generator, in_bed_min: int) -> Row:
    # Rounded down, so that the parts never exceed the whole.
    asleep = int(in_bed_min * rng.uniform(0.86, 0.95))
    deep, rem = int(asleep * rng.uniform(0.12, 0.22)), int(asleep * rng.uniform(0.17, 0.26))
    return {
        "asleep_min": asleep, "awake_min": in_bed_min - asleep - 2, "deep_min": deep,
        "rem_min": rem, "light_min": asleep - deep - rem,
        "deep_first3h_min": int(deep * rng.uniform(0.5, 0.8)),
    }  # fmt: skip


def blood(person: Person, calendar: Calendar, days: int) -> list[Row]:
    """Return values of the athlete's serum, drawn in the morning every other week."""
    rng = person.rng
    own = {
        name: (man if person.sex == "male" else woman) * np.exp(rng.normal(0.0, between))
        for name, (man, woman, _, between, _) in BLOOD.items()
    }
    rows = []
    for day in range(int(rng.integers(0, DRAW_EVERY_D)), days, DRAW_EVERY_D):
        drawn_h = 24.0 * day + rng.uniform(7.3, 8.8)
        for name, (_, _, unit, _, within) in BLOOD.items():
            value = float(own[name] * np.exp(rng.normal(0.0, within)))
            rows.append(
                {
                    "athlete_id": person.athlete_id, "drawn_at": calendar.at(drawn_h),
                    "analyte": name, "value": round(value, 3), "unit": unit, "specimen": "serum",
                }
            )  # fmt: skip
    return rows
