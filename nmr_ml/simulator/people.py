"""Teams and athletes: who they are, how they differ, and what they can do when rested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.simulator.streams import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.simulator.config import SimulatorConfig

#: Scales of tests whose rested level varies between athletes in points, not in per cent.
_ACTIVATION_SD = 1.5


@dataclass(frozen=True, slots=True)
class Team:
    """A training group: its sport, its habits and its equipment."""

    index: int
    sport: str
    sex: str
    test_hour: float
    break_offset: int
    gps: bool
    heart_rate: bool
    force_plate: bool
    jump_unit: str
    device: str
    panel: tuple[tuple[str, str, str], ...]
    lab_interval: int
    lab_weekday: int
    lab_delay_h: float

    @property
    def name(self) -> str:
        """Its name in the tables."""
        return f"{self.sport}-{self.index:02d}"


@dataclass(frozen=True, slots=True)
class Person:
    """An athlete; rates, impulse and inflammation are factors around the reference athlete's 1."""

    index: int
    team: Team
    birth_year: int
    age: float
    body_mass_kg: float
    fat_free_mass_kg: float
    stature_cm: float
    hr_max_bpm: float
    hr_rest_bpm: float
    tier: int
    contraception: bool
    log_rate: float
    impulse: float
    inflammation: float
    familiarity: float
    training: float
    base: Mapping[str, float]
    drift_per_h: Mapping[str, float]
    isometric: bool
    sleep_hours: float
    sleep_deep: float
    wake_hour: float
    wears_device: bool
    device_bias: float
    carbohydrate: float
    protein: float
    logs_food: bool
    low_energy_from: int | None
    lab_level: Mapping[str, float]
    ck_response: float
    hrv_log: float

    @property
    def athlete_id(self) -> str:
        """Its id in the tables."""
        return f"a{self.index:04d}"

    @property
    def male(self) -> bool:
        """Whether male reference values apply."""
        return self.team.sex == "male"


def team_index(athlete: int, config: SimulatorConfig) -> int:
    """Return the team of an athlete, which does not depend on how many athletes there are."""
    kinds = len(config.teams.sports)
    block = athlete // (kinds * config.teams.size)
    return block * kinds + athlete % kinds


def make_team(index: int, seed: int, config: SimulatorConfig) -> Team:
    """Draw team `index`."""
    rng = stream(seed, Purpose.TEAM, index)
    draw = rng.random(8)
    measures = draw[6] < config.labs.team_share
    panels = config.labs.panels
    panel = panels[index % len(panels)] if config.unit_mix else panels[0]
    force_plate = bool(draw[3] < config.teams.force_plate_share)
    return Team(
        index=index,
        sport=config.teams.sports[index % len(config.teams.sports)],
        sex="female" if draw[0] < config.teams.women_share else "male",
        test_hour=8.6 + 0.9 * float(draw[4]),
        break_offset=int(rng.integers(0, 14)),
        gps=bool(draw[1] < config.teams.gps_share),
        heart_rate=bool(draw[2] < config.teams.hr_share),
        force_plate=force_plate,
        jump_unit="m" if config.unit_mix and draw[5] < 0.25 else "cm",
        device="force plate" if force_plate else "contact mat",
        panel=panel if measures else (),
        lab_interval=int(rng.choice(config.lab_interval_days)),
        lab_weekday=int(rng.integers(0, 5)),
        lab_delay_h=float(rng.choice(config.labs.delay_h)),
    )


def make_person(index: int, team: Team, seed: int, config: SimulatorConfig) -> Person:
    """Draw athlete `index` of `team`."""
    rng = stream(seed, Purpose.PERSON, index)
    people, sleep, food = config.people, config.sleep, config.nutrition
    normal = rng.standard_normal(16)
    chance = rng.random(8)
    male = team.sex == "male"
    minor = chance[0] < config.minor_share
    grown = float(np.clip(people.age_mean + people.age_sd * normal[0], 18.0, 38.9))
    age = 15.5 + 2.4 * float(chance[1]) if minor else grown
    mass = (80.0 if male else 65.0) * float(np.exp(0.11 * normal[1]))
    return Person(
        index=index,
        team=team,
        birth_year=config.start_date.year - int(age),
        age=age,
        body_mass_kg=round(mass, 1),
        fat_free_mass_kg=round(mass * ((0.86 if male else 0.77) + 0.025 * normal[2]), 1),
        stature_cm=round((182.0 if male else 169.0) + 6.5 * normal[3], 0),
        hr_max_bpm=round(208.0 - 0.7 * age + 6.0 * normal[4], 0),
        hr_rest_bpm=float(np.clip(52.0 + 5.0 * normal[5], 38.0, 70.0)),
        tier=2 + int(chance[2] * 3),
        contraception=not male and not minor and chance[3] < people.hormonal_contraception,
        log_rate=people.rate_sd * normal[6],
        impulse=float(np.exp(people.impulse_sd * normal[7])),
        inflammation=float(np.exp(people.inflammation_sd * normal[8])),
        familiarity=float(
            np.clip(people.familiarity_mean + people.familiarity_sd * normal[9], 0.1, 0.95)
        ),
        training=float(np.clip(normal[10], -2.0, 2.0)),
        base=_bases(config, rng, male=male),
        drift_per_h=_drifts(config, rng),
        isometric=bool(chance[4] < config.tests.isometric_share),
        sleep_hours=sleep.hours_mean + sleep.hours_sd_athlete * normal[11],
        sleep_deep=sleep.deep_sd_athlete * normal[12],
        wake_hour=float(np.clip(sleep.wake_clock_h + 0.4 * normal[13], 5.5, 8.0)),
        wears_device=bool(chance[5] < sleep.device_share),
        device_bias=10.0 + 15.0 * normal[14],
        carbohydrate=food.carbohydrate_mean + food.carbohydrate_sd_athlete * normal[15],
        protein=food.protein_mean + food.protein_sd_athlete * rng.standard_normal(),
        logs_food=bool(chance[6] < food.logging_share),
        low_energy_from=int(rng.integers(0, 90)) if chance[7] < people.low_energy_share else None,
        lab_level={
            key: float(np.clip(rng.standard_normal(), -2.0, 2.0)) for key in config.labs.analytes
        },
        ck_response=float(
            np.exp(config.labs.ck_responder_sd * np.clip(rng.standard_normal(), -1.5, 1.5))
        ),
        hrv_log=float(np.log(75.0) + 0.35 * rng.standard_normal()),
    )


def _bases(config: SimulatorConfig, rng: np.random.Generator, *, male: bool) -> dict[str, float]:
    people = config.people
    levels = {}
    for test, (man, woman) in people.base.items():
        level, draw = (man if male else woman), rng.standard_normal()
        if test in {"cmj_height", "rsi_mod", "mvc_knee_extension"}:
            levels[test] = level * float(np.exp(people.base_sd * draw))
        elif test == "voluntary_activation":
            levels[test] = float(np.clip(level + _ACTIVATION_SD * draw, 87.0, 95.0))
        else:
            levels[test] = level + people.base_sd_points * draw
    return levels


def _drifts(config: SimulatorConfig, rng: np.random.Generator) -> dict[str, float]:
    """Draw the relative change of each rested level in an hour; ratings have none."""
    scale = config.people.drift_sd_pct_per_100d / 100.0 / 2400.0
    drifting = ("cmj_height", "rsi_mod", "mvc_knee_extension")
    return {test: scale * rng.standard_normal() for test in drifting}
