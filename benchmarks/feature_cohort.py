"""A synthetic cohort of the size of a league, as frames, for the feature benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmr_ml.cohort.cohort import Cohort
from nmr_ml.cohort.tables import MODALITIES, TABLES
from nmr_ml.history.queries import Queries
from nmr_ml.numeric.arrays import owners

if TYPE_CHECKING:
    from nmr_ml.history.history import History

DAY_S = 86_400
START_S = 1_767_225_600  # 2026-01-01
ANALYTES = ("testosterone", "cortisol", "igf1", "shbg", "ck", "ldh", "crp", "il6")
#: Median of the synthetic values of an analyte.
SYNTHETIC_VALUE = float(np.exp(2.0))
#: Unit and usual value of each analyte in a request.
REQUEST_UNITS = {
    "testosterone": ("nmol/L", 20.0), "cortisol": ("nmol/L", 400.0), "igf1": ("nmol/L", 25.0),
    "shbg": ("nmol/L", 35.0), "ck": ("U/L", 300.0), "ldh": ("U/L", 180.0), "crp": ("mg/L", 1.0),
    "il6": ("pg/mL", 2.0),
}  # fmt: skip
DTYPES = {"time": "datetime64[us, UTC]", "date": "datetime64[us]", "number": "float64",
          "bool": "boolean"}  # fmt: skip


def synthetic(athletes: int, days: int, seed: int = 1) -> Cohort:
    """Return a cohort with late, missing and simultaneous rows; about 0.68 sessions a day."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"{a:05d}" for a in range(athletes)], object)
    tables = {
        "athletes": _athletes(rng, ids),
        "sessions": _sessions(rng, ids, days),
        "sleep": _sleep(rng, ids, days),
        "labs": _labs(rng, ids, days),
        "tests": _tests(rng, ids, days),
    }
    return Cohort("bench", "Europe/Oslo", {n: _frame(n, tables.get(n, {})) for n in TABLES})


def landmark_queries(history: History, test: int, landmarks_h: tuple[float, ...]) -> Queries:
    """Return one query for each session and landmark."""
    sessions = history.sessions
    owner = owners(sessions.offsets)
    row = np.repeat(np.arange(len(sessions)), len(landmarks_h))
    clock = sessions.at_s[row]
    as_of = clock + np.tile(np.array(landmarks_h) * 3600, len(sessions)).astype(np.int64)
    zero = np.zeros(row.size, np.int64)
    return Queries(row, zero, owner[row], row, zero + test, clock, as_of)


def request_body(days: int, seed: int) -> dict[str, Any]:
    """Return a request about one athlete with `days` of history, as it is after its JSON is read.

    The rows of `synthetic`, in units that it says nothing of, without sessions that overlap.
    """
    cohort = synthetic(1, days, seed)
    body = {name: _records(cohort[name]) for name in ("sessions", "sleep", "labs", "tests")}
    body["sessions"].sort(key=lambda row: row["started_at"])
    over = ""
    for row in list(body["sessions"]):
        if row["started_at"] < over:
            body["sessions"].remove(row)
        over = max(over, row["ended_at"])
    for row in body["labs"]:
        row["unit"], usual = REQUEST_UNITS[row["analyte"]]
        row["value"] *= usual / SYNTHETIC_VALUE
    for row in body["tests"]:
        row.update({"unit": "cm"} if row["test"] == "cmj_height" else {})
    athlete = _records(cohort["athletes"])[0] | {"sex": "male"}  # as are the usual values
    return {"timezone": cohort.timezone, "athlete": athlete, **body}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as a client would write them: without missing values, times as text."""
    times = frame.select_dtypes("datetimetz").columns
    texts = frame.assign(
        **{name: frame[name].map(pd.Timestamp.isoformat, na_action="ignore") for name in times}
    )
    rows = texts.astype(object).to_dict("records")
    return [{str(name): x for name, x in row.items() if not pd.isna(x)} for row in rows]


def _frame(table: str, columns: dict[str, object]) -> pd.DataFrame:
    full = pd.DataFrame(columns).reindex(columns=list(TABLES[table].names))
    kinds = {column.name: DTYPES.get(column.kind, "str") for column in TABLES[table].columns}
    return full.astype(kinds)


def _times(seconds: np.ndarray) -> pd.Series:
    naive = pd.Series(seconds.astype("datetime64[s]")).dt.as_unit("us")
    times: pd.Series = naive.dt.tz_localize("UTC")
    return times


def _late(rng: np.random.Generator, at_s: np.ndarray, share: float, days: float) -> np.ndarray:
    late = rng.random(at_s.size) < share
    known = at_s + (late * rng.uniform(3600, days * DAY_S, at_s.size)).astype(np.int64)
    batch = rng.random(at_s.size) < 0.02  # a device that comes online at midnight
    return np.where(batch, (at_s // DAY_S + 2) * DAY_S, known)


def _some(rng: np.random.Generator, values: np.ndarray, missing: float = 0.1) -> np.ndarray:
    return np.where(rng.random(values.size) < missing, np.nan, values)


def _athletes(rng: np.random.Generator, ids: np.ndarray) -> dict[str, object]:
    n = ids.size
    return {
        "athlete_id": ids, "sex": rng.choice(["female", "male"], n),
        "birth_year": rng.integers(1985, 2008, n), "body_mass_kg": rng.uniform(55, 95, n),
        "fat_free_mass_kg": rng.uniform(45, 54, n), "hr_max_bpm": rng.uniform(185, 205, n),
    }  # fmt: skip


def _sessions(rng: np.random.Generator, ids: np.ndarray, days: int) -> dict[str, object]:
    rate = rng.gamma(4, 0.68 / 4, ids.size)  # some athletes train twice as often as others
    counts = rng.poisson(rate[:, None], (ids.size, days))
    athlete, day = np.repeat(np.indices(counts.shape).reshape(2, -1), counts.ravel(), axis=1)
    n = athlete.size
    start = START_S + day * DAY_S + rng.integers(6 * 3600, 20 * 3600, n)
    end = start + rng.integers(30, 120, n) * 60
    gps = rng.random(n) < 0.7
    return {
        "session_id": np.char.mod("s%07d", np.arange(n)).astype(object),
        "athlete_id": ids[athlete], "started_at": _times(start), "ended_at": _times(end),
        "kind": rng.choice(["training", "match"], n, p=[0.85, 0.15]),
        "modality": rng.choice(MODALITIES[:6], n), "session_rpe": rng.integers(1, 10, n),
        "session_load_au": _some(rng, rng.gamma(4, 100, n)),
        "distance_m": np.where(gps, rng.uniform(2e3, 11e3, n), np.nan),
        "high_speed_distance_m": np.where(gps, rng.uniform(0, 900, n), np.nan),
        "accelerations_n": np.where(gps, rng.integers(0, 90, n), np.nan),
        "decelerations_n": np.where(gps, rng.integers(0, 90, n), np.nan),
        "jumps_n": _some(rng, rng.integers(0, 60, n), 0.5),
        "collisions_n": _some(rng, rng.integers(0, 40, n), 0.7),
        "tonnage_kg": _some(rng, rng.uniform(1e3, 9e3, n), 0.7),
        "hard_sets_n": _some(rng, rng.integers(2, 25, n), 0.7),
        "eccentric_reps_n": _some(rng, rng.integers(10, 120, n), 0.7),
        "mean_hr_bpm": _some(rng, rng.uniform(110, 180, n), 0.4),
        "time_precision": np.full(n, "minute", object),
        "known_at": _times(_late(rng, end, 0.05, 4)),
    }  # fmt: skip


def _sleep(rng: np.random.Generator, ids: np.ndarray, days: int) -> dict[str, object]:
    athlete, day = np.nonzero(rng.random((ids.size, days)) < 0.96)
    n = athlete.size
    onset = START_S + day * DAY_S + (rng.normal(22.5, 0.7, n) * 3600).astype(np.int64)
    minutes = rng.normal(470, 40, n).clip(240, 700)
    wake = onset + (minutes * 60).astype(np.int64)
    asleep = minutes * rng.uniform(0.8, 0.96, n)
    deep = rng.uniform(20, 120, n)
    return {
        "athlete_id": ids[athlete], "onset_at": _times(onset), "wake_at": _times(wake),
        "asleep_min": asleep, "awake_min": minutes - asleep, "light_min": asleep * 0.75 - deep,
        "deep_min": _some(rng, deep), "rem_min": asleep * 0.25,
        "deep_first3h_min": _some(rng, deep * rng.uniform(0.3, 0.9, n)),
        "latency_min": rng.uniform(2, 40, n),
        "hrv_rmssd_ms": _some(rng, rng.lognormal(4, 0.2, n)),
        "resting_hr_bpm": _some(rng, rng.normal(52, 3, n)),
        "device": np.full(n, "ring", object), "known_at": _times(_late(rng, wake, 0.03, 3)),
    }  # fmt: skip


def _labs(rng: np.random.Generator, ids: np.ndarray, days: int) -> dict[str, object]:
    athlete, day = np.nonzero(rng.random((ids.size, days)) < 0.4e6 / 8 / 2000 / 365)
    draws = athlete.size
    drawn = START_S + day * DAY_S + rng.integers(6 * 3600, 10 * 3600, draws)
    drawn, athlete = np.repeat(drawn, len(ANALYTES)), np.repeat(athlete, len(ANALYTES))
    n = drawn.size
    return {
        "athlete_id": ids[athlete], "drawn_at": _times(drawn),
        "analyte": np.tile(np.array(ANALYTES, object), draws), "value": rng.lognormal(2, 0.3, n),
        "unit": np.full(n, "1", object), "specimen": np.full(n, "serum", object),
        "awake_at": _times(drawn - 5400),
        "known_at": _times(drawn + rng.integers(0, 72 * 3600, n)),
    }  # fmt: skip


def _tests(rng: np.random.Generator, ids: np.ndarray, days: int) -> dict[str, object]:
    parts = []
    for name, share, mean, sd in (("cmj_height", 0.4, 38, 2), ("readiness", 0.8, 6, 1)):
        athlete, day = np.nonzero(rng.random((ids.size, days)) < share)
        at = START_S + day * DAY_S + 7 * 3600 + rng.integers(0, 3600, athlete.size)
        value = rng.normal(mean, sd, athlete.size)
        parts.append((athlete, at, np.full(athlete.size, name, object), value))
    athlete, at, test, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    return {
        "athlete_id": ids[athlete], "measured_at": _times(at), "test": test, "value": value,
        "rested": np.full(at.size, None, object),
        "time_precision": np.full(at.size, "minute", object),
        "known_at": _times(_late(rng, at, 0.05, 1)),
    }  # fmt: skip
