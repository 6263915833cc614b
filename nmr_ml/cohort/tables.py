"""The tables of a cohort and their columns: the one place where the format is written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "text", "category", "number", "bool", "time", "date"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its kind, whether a row must have it, and what it may hold.

    `lower` and `upper` are inclusive and in the unit that the column's name ends with.
    """

    name: str
    kind: Kind
    required: bool = False
    lower: float | None = None
    upper: float | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns, its natural key and the event time of a row."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    event_time: str | None

    def column(self, name: str) -> Column:
        """Return the column called `name`; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in their canonical order."""
        return tuple(column.name for column in self.columns)


def _id(name: str) -> Column:
    return Column(name, "id", required=True)


def _number(name: str, lower: float, upper: float) -> Column:
    return Column(name, "number", lower=lower, upper=upper)


def _time(name: str, *, required: bool = False) -> Column:
    return Column(name, "time", required=required)


def _choice(name: str, *categories: str, required: bool = False) -> Column:
    return Column(name, "category", required=required, categories=categories)


SEXES = ("female", "male", "unknown")
SESSION_KINDS = ("training", "match", "race", "rehabilitation", "test")
MODALITIES = (
    "soccer", "rugby", "basketball", "running", "cycling", "resistance", "sprint", "jump",
    "eccentric", "hiit", "other",
)  # fmt: skip
ANALYTES = (
    "testosterone", "free_testosterone", "cortisol", "shbg", "dheas", "igf1", "gh", "lh", "fsh",
    "prolactin", "tsh", "ft3", "estradiol", "progesterone", "ck", "ldh", "myoglobin", "crp", "il6",
    "il8", "tnf_alpha", "wbc",
)  # fmt: skip
SPECIMENS = ("serum", "plasma", "capillary", "saliva", "urine")
STAGES = ("awake", "light", "deep", "rem", "asleep", "unknown")

ATHLETES = Table(
    "athletes",
    (
        _id("athlete_id"),
        _choice("sex", *SEXES, required=True),
        _number("birth_year", 1900, 2100),
        _number("body_mass_kg", 20, 250),
        _number("fat_free_mass_kg", 15, 150),
        _number("stature_cm", 100, 250),
        _number("hr_max_bpm", 100, 240),
        _number("training_tier", 0, 5),
        Column("hormonal_contraception", "bool"),
        Column("sport", "text"),
        Column("team", "text"),
    ),
    key=("athlete_id",),
    event_time=None,
)

SESSIONS = Table(
    "sessions",
    (
        _id("session_id"),
        _id("athlete_id"),
        _time("started_at", required=True),
        _time("ended_at"),
        _number("duration_min", 0, 3000),
        _choice("kind", *SESSION_KINDS),
        _choice("modality", *MODALITIES),
        _number("session_rpe", 0, 10),
        _number("session_load_au", 0, 20000),
        _number("distance_m", 0, 400_000),
        _number("high_speed_distance_m", 0, 30_000),
        _number("accelerations_n", 0, 3000),
        _number("decelerations_n", 0, 3000),
        _number("collisions_n", 0, 500),
        _number("jumps_n", 0, 2000),
        _number("tonnage_kg", 0, 200_000),
        _number("hard_sets_n", 0, 100),
        _number("eccentric_reps_n", 0, 2000),
        _number("reps_in_reserve", 0, 20),
        _number("velocity_loss_pct", 0, 100),
        _number("mean_hr_bpm", 30, 230),
        _number("hr_zone1_min", 0, 3000),
        _number("hr_zone2_min", 0, 3000),
        _number("hr_zone3_min", 0, 3000),
        _number("hr_zone4_min", 0, 3000),
        _number("hr_zone5_min", 0, 3000),
        _number("energy_kcal", 0, 30_000),
        _choice("time_precision", "minute", "day"),
        _time("known_at"),
    ),
    key=("session_id",),
    event_time="ended_at",
)

SLEEP = Table(
    "sleep",
    (
        _id("athlete_id"),
        _time("onset_at", required=True),
        _time("wake_at", required=True),
        _number("asleep_min", 0, 1440),
        _number("awake_min", 0, 1440),
        _number("light_min", 0, 1440),
        _number("deep_min", 0, 1440),
        _number("rem_min", 0, 1440),
        _number("deep_first3h_min", 0, 180),
        _number("latency_min", 0, 600),
        _number("hrv_rmssd_ms", 1, 400),
        _number("resting_hr_bpm", 25, 130),
        Column("device", "text"),
        _choice("time_precision", "minute", "day"),
        _time("known_at"),
    ),
    key=("athlete_id", "onset_at"),
    event_time="wake_at",
)

SLEEP_EPOCHS = Table(
    "sleep_epochs",
    (
        _id("athlete_id"),
        _time("started_at", required=True),
        Column("duration_s", "number", required=True, lower=1, upper=86_400),
        _choice("stage", *STAGES, required=True),
    ),
    key=("athlete_id", "started_at"),
    event_time="started_at",
)

LABS = Table(
    "labs",
    (
        _id("athlete_id"),
        _time("drawn_at", required=True),
        _choice("analyte", *ANALYTES, required=True),
        Column("value", "number", required=True, lower=0),
        Column("unit", "text", required=True),
        _choice("specimen", *SPECIMENS, required=True),
        _time("awake_at"),
        Column("below_loq", "bool"),
        Column("assay", "text"),
        _choice("time_precision", "minute", "day"),
        _time("known_at"),
    ),
    key=("athlete_id", "drawn_at", "analyte", "specimen"),
    event_time="drawn_at",
)

TESTS = Table(
    "tests",
    (
        _id("athlete_id"),
        _time("measured_at", required=True),
        Column("test", "category", required=True),  # the ids of configs/tests.yaml
        Column("value", "number", required=True),
        Column("unit", "text"),
        _number("trials_n", 1, 100),
        Column("rested", "bool"),
        Column("device", "text"),
        Column("method", "text"),
        _choice("time_precision", "minute", "day"),
        _time("known_at"),
    ),
    key=("athlete_id", "measured_at", "test"),
    event_time="measured_at",
)

NUTRITION = Table(
    "nutrition",
    (
        _id("athlete_id"),
        Column("date", "date", required=True),
        _number("energy_kcal", 0, 30_000),
        _number("carbohydrate_g", 0, 3000),
        _number("protein_g", 0, 1000),
        _time("known_at"),
    ),
    key=("athlete_id", "date"),
    event_time="date",
)

EPISODES = Table(
    "episodes",
    (
        _id("episode_id"),
        _id("athlete_id"),
        _choice("kind", "injury", "systemic", required=True),
        _time("onset_at", required=True),
        _time("resolved_at"),
        Column("body_region", "text"),  # free text, as the next: `nmr_ml.cohort.injury_words`
        Column("diagnosis", "text"),
        Column("grade", "text"),
        _time("known_at"),
    ),
    key=("episode_id",),
    event_time="onset_at",
)

TRUTH = Table(
    "truth",
    (
        _id("athlete_id"),
        _id("episode_id"),
        Column("component", "category", required=True),
        Column("delta", "number"),
        Column("recovery_h", "number", required=True, lower=0),
    ),
    key=("episode_id", "component"),
    event_time=None,
)

#: Every table but `truth`, which only the evaluation may read.
TABLES: dict[str, Table] = {
    table.name: table
    for table in (ATHLETES, SESSIONS, SLEEP, SLEEP_EPOCHS, LABS, TESTS, NUTRITION, EPISODES)
}
