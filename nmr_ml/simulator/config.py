"""The settings of the simulator: a checked, frozen image of ``configs/simulator.yaml``."""

from __future__ import annotations

from datetime import date  # noqa: TC003  pydantic reads the annotation at run time
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from nmr_ml.errors import UsageError
from nmr_ml.runtime import configs
from nmr_ml.simulator.kernels import Dynamics, FollowUp, Outputs  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Profile = Literal["evidence", "strong", "null"]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Pair = tuple[float, float]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Archetype(_Section):
    """A kind of session: its impulses in the reference athlete and its mean load.

    `f`, `c`, `d` in per cent, `g` as a share of the glycogen store, `h` in arbitrary units
    (domain.md §6.2); `hr_reserve` is the mean share of the heart-rate reserve.
    """

    modality: str
    f: NotNegative
    c: NotNegative
    d: NotNegative
    g: NotNegative
    h: NotNegative
    duration_min: Positive
    rpe: Annotated[float, Field(gt=0, le=10)]
    hr_reserve: Share
    reps_in_reserve: float | None = None
    markers: dict[str, Positive]
    damage: dict[str, Positive]
    ck_extra: NotNegative = 0.0
    crp_mg_l: NotNegative
    il6_fold: NotNegative

    @field_validator("damage")
    @classmethod
    def _sums_to_one(cls, value: dict[str, float]) -> dict[str, float]:
        if abs(sum(value.values()) - 1.0) > 1e-9:
            raise ValueError(f"the damage weights sum to {sum(value.values()):g}, expected 1")
        return value


class Proximity(_Section):
    """Exponents of (repetitions possible - repetitions in reserve), for each impulse."""

    f: float
    c: float
    d: float
    g: float
    h: float


class Mapping_(_Section):  # noqa: N801  `Mapping` is the standard library's
    """How the impulses of a session follow its load (domain.md §6.2)."""

    f_rpe: float
    f_duration: float
    c_trimp: float
    g_intensity: float
    h_load: float
    repetitions_scale: Positive
    proximity: Proximity
    familiarity_weight: Share
    familiarity_reference: Share
    training_slope: float
    preseason_loss: Share
    preseason_days: Positive


class Variation(_Section):
    """How sessions of one archetype differ, and what of their load goes unrecorded."""

    team_load: NotNegative
    athlete_load: NotNegative
    session_impulse: NotNegative
    markers: dict[str, NotNegative]
    rpe_points: NotNegative
    hr_reserve: NotNegative
    reps_in_reserve: NotNegative
    gps_error: NotNegative
    missing_rpe: Share
    missing_gps: Share
    missing_hr: Share


class Calendar(_Section):
    """Rest before the season, breaks in it, and who plays how long."""

    preseason_days: Annotated[int, Field(ge=1)]
    break_every_days: Annotated[int, Field(ge=7)]
    break_days: Annotated[int, Field(ge=0)]
    late_shift_h: NotNegative
    substitute_share: Share
    substitute_volume: Positive


class Teams(_Section):
    """How athletes are grouped and what equipment a group has."""

    size: Annotated[int, Field(ge=1)]
    sports: tuple[str, ...]
    women_share: Share
    gps_share: Share
    hr_share: Share
    force_plate_share: Share


class Slot(_Section):
    """One place of a sport's week; `volume` and `intensity` are relative to the archetype."""

    archetype: str
    day: Annotated[int, Field(ge=0, le=6)]
    hour: Annotated[float, Field(ge=6, lt=20)]
    kind: Literal["training", "match", "race"] = "training"
    volume: Positive = 1.0
    intensity: Positive = 1.0
    planned: Share = 1.0
    probability: Share = 0.95
    late: Share = 0.0


class People(_Section):
    """Who the athletes are, how they differ, and their rested test results ([male, female])."""

    age_mean: Positive
    age_sd: NotNegative
    rate_sd: NotNegative
    impulse_sd: NotNegative
    inflammation_sd: NotNegative
    familiarity_mean: Share
    familiarity_sd: NotNegative
    hormonal_contraception: Share
    low_energy_share: Share
    low_energy_days: Positive
    drift_sd_pct_per_100d: NotNegative
    base_sd: NotNegative
    base: dict[str, Pair]
    base_sd_points: NotNegative


class Modulators(_Section):
    """Log-linear terms of the daily rates (domain.md §6.3)."""

    repair_sleep: float
    central_sleep: float
    deep_sleep: float
    testosterone_cortisol: float
    igf1: float
    protein: float
    low_energy: float
    age: float
    training: float
    inflammation_share: float
    glycogen_base: Positive
    glycogen_per_g_kg: float
    glycogen_max: Positive
    daily_sd: NotNegative
    daily_correlation: Share
    acute_sleep_pct_per_h: float


class Sleep(_Section):
    """Nights: hours, and deep sleep in the first three hours in minutes."""

    hours_mean: Positive
    hours_sd_athlete: NotNegative
    hours_sd_night: NotNegative
    late_session_h: float
    late_clock_h: Positive
    wake_clock_h: Positive
    deep_reference_min: Positive
    deep_per_year: float
    deep_sd_athlete: NotNegative
    deep_sd_night: NotNegative
    missing: Share
    device_share: Share


class Hormones(_Section):
    """Day-to-day variation within an athlete (log-SD) and its correlation from day to day."""

    testosterone_sd: Positive
    cortisol_sd: Positive
    correlation: Share
    igf1_correlation: Share


class Nutrition(_Section):
    """Daily intake in g/kg, and how much of it is logged."""

    carbohydrate_mean: Positive
    carbohydrate_sd_athlete: NotNegative
    carbohydrate_sd_day: NotNegative
    protein_mean: Positive
    protein_sd_athlete: NotNegative
    protein_sd_day: NotNegative
    logging_share: Share
    logged_days: Share
    report_error: NotNegative


class Follow(_Section):
    """The chance that a session of a kind is followed by tests."""

    match: Share
    race: Share
    training: Share
    light: Share


class Testing(_Section):
    """When tests take place."""

    follow: Follow
    mornings: Annotated[int, Field(ge=0)]
    after_h: Positive
    preseason_mornings: tuple[int, ...]
    break_mornings: Annotated[int, Field(ge=0)]
    flagged_share: Share
    rested_h: Positive
    rested_rating_h: Positive
    rested_by_clock: bool
    cmj_day_amplitude: float
    isometric_share: Share
    isometric_probability: Share
    questionnaire_probability: Share


class Ratings(_Section):
    """What a point on a 1-5 questionnaire item answers to."""

    fatigue_f: float
    fatigue_c: float
    fatigue_h: float
    soreness: float
    sleep_per_h: float
    mood_h: float


class Assay(_Section):
    """One analyte in one specimen, in the canonical unit; spreads are log-SDs."""

    median: Pair
    between: NotNegative
    assay: NotNegative
    loq: NotNegative


class Contraception(_Section):
    """Log shifts of serum values under hormonal contraception."""

    testosterone: float
    cortisol: float
    shbg: float


class Diurnal(_Section):
    """Amplitudes of the daily course of log values (domain.md §3.3)."""

    serum_cortisol: float
    saliva_cortisol: float
    male_testosterone: float
    female_testosterone: float


class Labs(_Section):
    """Blood and saliva: who is drawn, and how values follow the states (domain.md §6.4)."""

    team_share: Share
    draw_probability: Share
    after_match: Share
    delay_h: tuple[float, ...]
    acute_cortisol: float
    acute_half_life_h: Positive
    testosterone_per_h: float
    cortisol_per_h: float
    testosterone_sleep: float
    contraception: Contraception
    ck_slope: NotNegative
    ck_appearance_h: Positive
    ck_clearance_h: Positive
    ck_collisions: NotNegative
    ck_responder_sd: NotNegative
    crp_source_h: Positive
    crp_clearance_h: Positive
    il6_half_life_h: Positive
    extreme_power: Positive
    diurnal: Diurnal
    diurnal_phase_h: float
    analytes: dict[str, Assay]
    panels: tuple[tuple[tuple[str, str, str], ...], ...]


class Availability(_Section):
    """Injuries and systemic episodes; days are [mean, SD] of a log-normal (domain.md §1.3)."""

    injury_per_match: Share
    injury_per_training: Share
    grade_share: dict[str, Share]
    grade_days: dict[str, Pair]
    regions: tuple[str, ...]
    diagnoses: dict[str, str]
    illness_per_year: NotNegative
    illness_days: Pair
    overreaching_per_year: NotNegative
    overreaching_days: Pair
    readiness_loss: float


class SimulatorConfig(_Section):
    """Everything that shapes a simulated cohort; see the comments of ``configs/simulator.yaml``.

    The options that users turn most are at the top: `test_error_pct` (total CMJ error at the usual
    number of trials, per cent; None: ``configs/tests.yaml``), `trials_n`, `test_probability`,
    `lab_interval_days`, `unit_mix`, `informative_follow_up` and `second_dip`.
    """

    timezone: str
    start_date: date
    test_error_pct: Positive | None = None
    trials_n: Annotated[int, Field(ge=1)]
    test_probability: Share
    lab_interval_days: tuple[Annotated[int, Field(ge=1)], ...]
    unit_mix: bool
    informative_follow_up: bool
    second_dip: bool
    minor_share: Share
    dynamics: Dynamics
    outputs: Outputs
    second_dip_outputs: dict[str, float]
    follow_up: FollowUp
    mvc: dict[str, float]
    sprint: dict[str, float]
    truth_horizon_h: Positive
    archetypes: dict[str, Archetype]
    mapping: Mapping_
    variation: Variation
    calendar: Calendar
    teams: Teams
    sports: dict[str, tuple[Slot, ...]]
    people: People
    profiles: dict[Profile, NotNegative]
    modulators: Modulators
    sleep: Sleep
    hormones: Hormones
    nutrition: Nutrition
    tests: Testing
    ratings: Ratings
    labs: Labs
    availability: Availability

    @model_validator(mode="after")
    def _names_exist(self) -> SimulatorConfig:
        if unknown := set(self.teams.sports) - self.sports.keys():
            raise ValueError(f"teams.sports names {', '.join(sorted(unknown))}, not under sports")
        named = {slot.archetype for week in self.sports.values() for slot in week}
        if unknown := named - self.archetypes.keys():
            raise ValueError(f"sports names {', '.join(sorted(unknown))}, not under archetypes")
        return self

    def weights(self) -> Outputs:
        """Return the output weights in force, those of the second dip where that is asked for."""
        return self.outputs._replace(**self.second_dip_outputs) if self.second_dip else self.outputs


def load_config(override: Path | None = None, settings: Sequence[str] = ()) -> SimulatorConfig:
    """Read the settings of the simulator and change some of them.

    Parameters
    ----------
    override : Path, optional
        A file that replaces the shipped one.
    settings : sequence of str
        ``KEY=VALUE`` with dotted keys and YAML values: ``tests.mornings=2``.

    Raises
    ------
    UsageError
        ``config_invalid`` for an unknown key or an impossible value, ``setting_invalid`` for a
        setting without an equals sign.
    """
    content = configs.load("simulator.yaml", override=override)
    for setting in settings:
        _set(content, setting)
    content.pop("anchors", None)
    try:
        return SimulatorConfig.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            "config_invalid",
            f"simulator.yaml: {'.'.join(map(str, first['loc']))}: {first['msg']}.",
            "Compare with the shipped configs/simulator.yaml.",
        ) from error


def _set(content: dict[str, Any], setting: str) -> None:
    key, sign, value = setting.partition("=")
    if not sign or not key.strip():
        raise UsageError(
            "setting_invalid",
            f"{setting!r} is no setting, expected KEY=VALUE.",
            "Write for example tests.mornings=2.",
        )
    *folders, last = key.strip().split(".")
    place: Any = content
    for folder in folders:
        place = place.get(folder) if isinstance(place, dict) else None
    if not isinstance(place, dict) or last not in place:
        raise UsageError(
            "config_invalid",
            f"simulator.yaml has no setting {key.strip()!r}.",
            "Compare with the shipped configs/simulator.yaml.",
        )
    try:
        place[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(
            "setting_invalid",
            f"the value {value!r} of {key.strip()} is no YAML.",
            "Write numbers, words, true, false, null, or lists in square brackets.",
        ) from error


@cache
def shipped_config() -> SimulatorConfig:
    """Return the settings in force, read once."""
    return load_config()
