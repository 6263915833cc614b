"""The families of features: one list each of what is measured, read by kernels and catalogue."""

from __future__ import annotations

from typing import NamedTuple

#: Columns of the episode's own session that are features as they are: name -> unit.
SESSION_COLUMNS = {
    "session_load_au": "RPE x min",
    "duration_min": "min",
    "session_rpe": "CR10",
    "distance_m": "m",
    "high_speed_distance_m": "m above 5.5 m/s",
    "accelerations_n": "1",
    "decelerations_n": "1",
    "collisions_n": "1",
    "jumps_n": "1",
    "tonnage_kg": "kg",
    "hard_sets_n": "1",
    "reps_in_reserve": "1",
    "velocity_loss_pct": "%",
    "eccentric_reps_n": "1",
    "mean_hr_bpm": "1/min",
    "energy_kcal": "kcal",
    "modality": "category",
    "kind": "category",
}

#: Days of the windows over the load of sessions.
LOAD_WINDOWS_D = (1, 3, 7, 28)
#: Columns summed over 7 and 28 days: name -> unit.
SUMMED_COLUMNS = {
    "duration_min": "min",
    "distance_m": "m",
    "high_speed_distance_m": "m above 5.5 m/s",
    "accelerations_n": "1",
    "decelerations_n": "1",
    "collisions_n": "1",
    "jumps_n": "1",
    "tonnage_kg": "kg",
    "hard_sets_n": "1",
    "eccentric_reps_n": "1",
}

#: Quantities of a night: name -> (unit, smallest SD that a deviation is divided by). The floors
#: are about the night-to-night resolution of a wearable (domain.md §3.2, §6.4; assumption).
NIGHT_COLUMNS = {
    "asleep": ("min", 20.0),
    "efficiency": ("%", 2.0),
    "latency": ("min", 4.0),
    "awake": ("min", 8.0),
    "light": ("min", 15.0),
    "deep": ("min", 8.0),
    "rem": ("min", 10.0),
    "deep_first3h": ("min", 6.0),
    "deep_first3h_share": ("1", 0.05),
    "midpoint": ("h", 0.33),
    "ln_rmssd": ("ln(ms)", 0.06),
    "resting_hr": ("1/min", 1.0),
}


class Series(NamedTuple):
    """One analyte, or a ratio of two, followed through time.

    `max_age_d` is how long a value counts. A `resting` quantity is read from samples at rest only.
    """

    name: str
    unit: str
    max_age_d: int
    resting: bool


#: Analytes in canonical units (domain.md §3.3). Maximum ages are assumptions by biological pace:
#: fast steroid hormones a month, slow axes longer, markers of damage and inflammation days.
ANALYTE_SERIES = (
    Series("testosterone", "nmol/L", 30, resting=True),
    Series("free_testosterone", "pmol/L", 30, resting=True),
    Series("cortisol", "nmol/L", 30, resting=True),
    Series("shbg", "nmol/L", 120, resting=True),
    Series("dheas", "umol/L", 120, resting=True),
    Series("igf1", "nmol/L", 90, resting=True),
    Series("gh", "ug/L", 30, resting=True),
    Series("lh", "IU/L", 30, resting=True),
    Series("prolactin", "mIU/L", 120, resting=True),
    Series("tsh", "mIU/L", 120, resting=True),
    Series("ft3", "pmol/L", 120, resting=True),
    Series("ck", "U/L", 10, resting=False),
    Series("ldh", "U/L", 10, resting=False),
    Series("myoglobin", "ug/L", 10, resting=False),
    Series("crp", "mg/L", 10, resting=False),
    Series("il6", "pg/mL", 10, resting=False),
)
#: Ratios of two analytes drawn together: name, numerator, denominator (both in nmol/L or pmol/L).
RATIOS = (
    ("tc", "testosterone", "cortisol"),
    ("free_tc", "free_testosterone", "cortisol"),
)
RATIO_SERIES = tuple(Series(name, "ln(ratio)", 30, resting=True) for name, _, _ in RATIOS)
LAB_SERIES = ANALYTE_SERIES + RATIO_SERIES

#: Questionnaire items, all stored higher is better (contract §1).
ITEMS = ("readiness", "fatigue", "soreness", "stress", "mood", "sleep_quality")
