"""Random cohorts for the tests of the features: gaps, double sessions, late rows, equal times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nmr_ml.cohort.cohort import Cohort
from nmr_ml.cohort.tables import ANALYTES, MODALITIES, SESSION_KINDS, STAGES, TABLES
from nmr_ml.history.history import History, build_history
from nmr_ml.history.queries import Queries
from nmr_ml.numeric.arrays import owners
from nmr_ml.recovery_tests import COMPONENTS, shipped_testspecs

DTYPES: dict[str, Any] = {
    "time": "datetime64[us, UTC]", "date": "datetime64[us]", "number": "float64", "bool": "boolean",
}  # fmt: skip
#: Days 50-170 of 2026 contain the start of summer time in Europe.
START = pd.Timestamp("2026-02-19T00:00:00Z")
TESTS = ("cmj_height", "rsi_mod", "voluntary_activation", "readiness", "fatigue", "soreness",
         "stress", "mood", "sleep_quality", "sprint_10m")  # fmt: skip
STEROIDS = ("testosterone", "cortisol", "shbg")
INDEX_TESTS = ("cmj_height", "rsi_mod", "voluntary_activation", "readiness")


def frame(table: str, rows: dict[str, Any] | list[dict[str, Any]]) -> pd.DataFrame:
    """Return `rows` with every column of `table` in the canonical dtypes."""
    full = pd.DataFrame(rows).reindex(columns=list(TABLES[table].names))
    for column in TABLES[table].columns:
        kind: Any = DTYPES.get(column.kind, "str")
        if kind.startswith("datetime64[us, UTC]"):
            full[column.name] = pd.to_datetime(full[column.name], utc=True).dt.as_unit("us")
        else:
            full[column.name] = full[column.name].astype(kind)
    return full


def cohort(timezone: str = "Europe/Oslo", **tables: Any) -> Cohort:
    """Return a cohort of the given rows, with empty frames for the other tables."""
    return Cohort("test", timezone, {name: frame(name, tables.get(name, {})) for name in TABLES})


def random_cohort(seed: int, athletes: int = 4, days: int = 60, rate: float = 0.9) -> Cohort:
    """Return a cohort with every awkwardness that the engine has rules for."""
    rng = np.random.default_rng(seed)
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for a in range(athletes):
        athlete = f"{a:03d}"
        tables["athletes"].append(_athlete(rng, athlete))
        tables["sessions"] += _sessions(rng, athlete, days, rate)
        tables["sleep"] += _nights(rng, athlete, days)
        own = [night for night in tables["sleep"] if night["athlete_id"] == athlete]
        tables["sleep_epochs"] += _epochs(np.random.default_rng([seed, a]), own)
        tables["labs"] += _labs(rng, athlete, days, tables["sleep"])
        tables["tests"] += _tests(rng, athlete, days)
        tables["nutrition"] += _food(rng, athlete, days)
        tables["episodes"] += _episodes(rng, athlete, days)
    return cohort("Europe/Oslo", **tables)


def random_queries(
    history: History, seed: int, landmarks: tuple[float, ...] = (0, 24, 48.5)
) -> Queries:
    """Return queries about every session and event: each component at each landmark."""
    rng = np.random.default_rng(seed)
    sessions, events = history.sessions, history.events
    owner = owners(sessions.offsets)
    event_owner = owners(events.offsets)
    athlete = np.concatenate([owner, event_owner])
    session = np.concatenate([np.arange(len(sessions)), np.full(len(events), -1)])
    clock = np.concatenate([sessions.at_s, events.at_s])
    rows = []
    for i in range(athlete.size):
        for hours in landmarks:
            as_of = clock[i] + int(3600 * hours) + int(rng.integers(0, 2)) * 1800
            codes = COMPONENTS if session[i] >= 0 else ("availability",)
            rows += [
                (i, c, athlete[i], session[i], _index(history, name), clock[i], as_of)
                for c, name in enumerate(codes)
            ]
    columns = np.array(rows, np.int64).reshape(-1, 7).T
    if not events.at_s.size:
        return Queries(*np.ascontiguousarray(columns))
    component = np.where(columns[3] < 0, len(COMPONENTS), columns[1])
    return Queries(columns[0], component, *np.ascontiguousarray(columns[2:]))


def history_of(some: Cohort) -> History:
    return build_history(some, tuple(name for name in shipped_testspecs() if name in TESTS))


def _index(history: History, component: str) -> int:
    if component == "availability":
        return -1
    return history.test_names.index(INDEX_TESTS[COMPONENTS.index(component)])


def _moment(day: float) -> pd.Timestamp:
    return START + pd.Timedelta(seconds=round(day * 86_400))


def _late(rng: np.random.Generator, at: pd.Timestamp, share: float, days: float) -> pd.Timestamp:
    if rng.random() > share:
        return at
    if rng.random() < 0.3:  # a device that synchronises at noon: many rows known at once
        return at.ceil("D") + pd.Timedelta(hours=12)
    return at + pd.Timedelta(seconds=round(rng.uniform(0, days) * 86_400))


def _some(rng: np.random.Generator, value: float | np.integer[Any], missing: float = 0.3) -> float:
    return np.nan if rng.random() < missing else round(float(value), 3)


def _one_of(rng: np.random.Generator, values: list[Any], p: list[float] | None = None) -> Any:
    return rng.choice(values, p=p)


def _athlete(rng: np.random.Generator, athlete: str) -> dict[str, Any]:
    return {
        "athlete_id": athlete,
        "sex": rng.choice(["female", "male", "unknown"], p=[0.45, 0.45, 0.1]),
        "birth_year": _some(rng, rng.integers(1985, 2009)),
        "body_mass_kg": _some(rng, rng.uniform(55, 95), 0.1),
        "fat_free_mass_kg": _some(rng, rng.uniform(45, 54), 0.2),
        "hr_max_bpm": _some(rng, rng.uniform(185, 205), 0.2),
        "training_tier": _some(rng, rng.integers(1, 5)),
        "stature_cm": _some(rng, rng.uniform(160, 195)),
        "hormonal_contraception": (True, False, None)[int(athlete) % 3],
    }


def _sessions(
    rng: np.random.Generator, athlete: str, days: int, rate: float
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    pause = rng.uniform(0, days)  # a gap of ten days
    for day in range(days):
        if pause < day < pause + 10:
            continue
        for _ in range(rng.poisson(rate)):
            started = _moment(day + rng.choice([8, 17, rng.uniform(6, 21)]) / 24)
            ended = started + pd.Timedelta(minutes=int(rng.integers(30, 120)))
            by_day = rng.random() < 0.1
            rows.append({
                "session_id": f"{athlete}-{len(rows):04d}", "athlete_id": athlete,
                "started_at": started, "ended_at": ended,
                "kind": _one_of(rng, [*SESSION_KINDS, None]),
                "modality": _one_of(rng, [*MODALITIES[:3], None]),
                "session_rpe": _some(rng, rng.integers(1, 10)),
                "session_load_au": _some(rng, rng.choice([0, 200, rng.uniform(50, 900)])),
                "distance_m": _some(rng, rng.uniform(2000, 11000)),
                "high_speed_distance_m": _some(rng, rng.uniform(0, 900)),
                "accelerations_n": _some(rng, rng.integers(0, 90)),
                "decelerations_n": _some(rng, rng.integers(0, 90)),
                "collisions_n": _some(rng, rng.integers(0, 20), 0.8),
                "tonnage_kg": _some(rng, rng.uniform(500, 9000), 0.8),
                "hard_sets_n": _some(rng, rng.integers(0, 20), 0.8),
                "reps_in_reserve": _some(rng, rng.integers(0, 5), 0.8),
                "velocity_loss_pct": _some(rng, rng.uniform(5, 40), 0.8),
                "jumps_n": _some(rng, rng.integers(0, 60), 0.9),
                "eccentric_reps_n": _some(rng, rng.integers(0, 60), 0.7),
                "mean_hr_bpm": _some(rng, rng.uniform(110, 180)),
                **{f"hr_zone{i}_min": _some(rng, rng.uniform(0, 20), 0.1) for i in range(1, 6)},
                "energy_kcal": _some(rng, rng.uniform(200, 900)),
                "time_precision": "day" if by_day else "minute",
                "known_at": _late(rng, ended, 0.2, 4),
            })  # fmt: skip
    return rows


def _nights(rng: np.random.Generator, athlete: str, days: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for day in range(days):
        if rng.random() < 0.15:
            continue
        onset = _moment(day + rng.normal(22.5, 0.6) / 24)
        wake = onset + pd.Timedelta(minutes=int(rng.normal(470, 40)))
        by_day = {"time_precision": "day"} if day % 11 == 3 else {}  # a night of a questionnaire
        rows.append(_night(rng, athlete, onset, wake) | by_day)
        if rng.random() < 0.1:
            nap = wake + pd.Timedelta(hours=6)
            rows.append(_night(rng, athlete, nap, nap + pd.Timedelta(minutes=40)))
    return rows


def _epochs(rng: np.random.Generator, nights: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return about 20 epochs for most nights; with some nights they end early or hold gaps."""
    rows: dict[object, dict[str, Any]] = {}
    for night in nights:
        at, wake = pd.Timestamp(night["onset_at"]), pd.Timestamp(night["wake_at"])
        kept = rng.choice([1.0, 0.97, 0.5], p=[0.8, 0.15, 0.05])
        while rng.random() < 0.999 and at < wake:
            minutes = int(rng.integers(5, 45))
            stage = rng.choice(STAGES, p=[0.15, 0.4, 0.15, 0.15, 0.14, 0.01])
            if rng.random() < kept:
                rows[at] = {"athlete_id": night["athlete_id"], "started_at": at,
                            "duration_s": 60.0 * minutes, "stage": stage}  # fmt: skip
            at += pd.Timedelta(minutes=minutes - int(rng.integers(0, 2)))
    return list(rows.values())


def _night(
    rng: np.random.Generator, athlete: str, onset: pd.Timestamp, wake: pd.Timestamp
) -> dict[str, Any]:
    minutes = (wake - onset).total_seconds() / 60
    deep = rng.choice([60.0, rng.uniform(0, 110)])
    return {
        "athlete_id": athlete, "onset_at": onset, "wake_at": wake,
        "asleep_min": _some(rng, minutes * rng.uniform(0.8, 0.95), 0.1),
        "awake_min": _some(rng, rng.uniform(5, 60)), "light_min": _some(rng, 230),
        "deep_min": _some(rng, deep), "rem_min": _some(rng, rng.uniform(50, 120)),
        "deep_first3h_min": _some(rng, deep * rng.uniform(0.3, 0.9)),
        "latency_min": _some(rng, rng.uniform(2, 50)),
        "hrv_rmssd_ms": _some(rng, rng.lognormal(4, 0.2)),
        "resting_hr_bpm": _some(rng, rng.normal(52, 3)),
        "device": _one_of(rng, ["ring", "watch", None], p=[0.9, 0.05, 0.05]),
        "known_at": _late(rng, wake, 0.1, 3),
    }  # fmt: skip


def _labs(
    rng: np.random.Generator, athlete: str, days: int, nights: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    wakes = [night["wake_at"] for night in nights if night["athlete_id"] == athlete]
    for _ in range(days // 2):
        drawn = _moment(rng.integers(0, days) + rng.choice([0.35, rng.uniform(0, 1)]))
        awake = max((wake for wake in wakes if wake <= drawn), default=None)
        specimen = rng.choice(["serum", "saliva"], p=[0.7, 0.3])
        panel = {*rng.choice(ANALYTES, size=rng.integers(8, 20), replace=False), *STEROIDS}
        for analyte in sorted(panel):
            at = drawn + pd.Timedelta(minutes=int(rng.choice([0, 10, 40], p=[0.8, 0.1, 0.1])))
            rows.append({
                "athlete_id": athlete, "drawn_at": at, "analyte": analyte,
                "value": 0.0 if rng.random() < 0.03 else rng.lognormal(2, 0.4),
                "unit": "1", "specimen": specimen, "awake_at": _one_of(rng, [awake, None]),
                "below_loq": _one_of(rng, [True, False, None], p=[0.05, 0.65, 0.3]),
                "time_precision": "day" if at.day % 5 == 0 else "minute",
                "known_at": _late(rng, at, 0.5, 3),
            })  # fmt: skip
    seen: set[tuple[object, ...]] = set()
    for row in list(rows):
        key = (row["drawn_at"], row["analyte"], row["specimen"])
        if key in seen:
            rows.remove(row)
        seen.add(key)
    return rows


def _tests(rng: np.random.Generator, athlete: str, days: int) -> list[dict[str, Any]]:
    specs = shipped_testspecs()
    rows: list[dict[str, Any]] = []
    for day in range(days):
        for test in TESTS:
            if rng.random() < 0.4:
                continue
            low, high = specs[test].range
            middle, spread = (low + high) / 2, (high - low) / 12
            by_day = rng.random() < 0.2
            at = _moment(day + (7 if by_day else rng.uniform(6, 20)) / 24)
            rows.append({
                "athlete_id": athlete, "measured_at": at, "test": test,
                "value": round(rng.normal(middle, spread), 2), "unit": specs[test].unit,
                "trials_n": _some(rng, rng.integers(1, 4)),
                "rested": _one_of(rng, [True, False, None], p=[0.2, 0.1, 0.7]),
                "time_precision": "day" if by_day else "minute",
                "known_at": _late(rng, at, 0.2, 2),
            })  # fmt: skip
    return rows


def _food(rng: np.random.Generator, athlete: str, days: int) -> list[dict[str, Any]]:
    first = START.tz_localize(None)
    return [
        {
            "athlete_id": athlete, "date": first + pd.Timedelta(days=day),
            "energy_kcal": _some(rng, rng.uniform(1800, 3800)),
            "carbohydrate_g": _some(rng, rng.uniform(150, 600)),
            "protein_g": _some(rng, rng.uniform(70, 200)),
            "known_at": _late(rng, _moment(day + 1), 0.3, 2),
        }
        for day in range(days)
        if rng.random() < 0.6
    ]  # fmt: skip


#: What is written of an episode; words draw no random number, so that cohorts stay as they were.
_WORDS: tuple[dict[str, str], ...] = (
    {"body_region": "left_knee", "diagnosis": "ACL tear"}, {}, {"diagnosis": "flu"}
)  # fmt: skip


def _episodes(rng: np.random.Generator, athlete: str, days: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for n in range(rng.integers(0, 4)):
        onset = _moment(rng.uniform(0, days))
        resolved = onset + pd.Timedelta(hours=float(rng.uniform(10, 500)))
        rows.append({
            "episode_id": f"{athlete}-e{n}", "athlete_id": athlete,
            "kind": rng.choice(["injury", "systemic"]), "onset_at": onset,
            "resolved_at": _one_of(rng, [resolved, None]), "known_at": _late(rng, onset, 0.3, 5),
            **_WORDS[n % len(_WORDS)],
        })  # fmt: skip
    return rows
