"""The part of the catalogue that the peers compute, and the tables they start from.

Left out because a peer cannot say it in its own terms without a loop, or only at a cost that nobody
would pay: medians and "same modality" before a session, monotony on local days, nights since the
clock start, the hormones (a sample stops counting when a session before it becomes known), the
baselines of laboratory values, and the whole record of tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.cohort.tables import ANALYTES, SPECIMENS
from nmr_ml.features.contract import feature_contract
from nmr_ml.features.measured import NIGHT_COLUMNS, SUMMED_COLUMNS
from nmr_ml.numeric.arrays import owners

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries

    Arrays = dict[str, np.ndarray]
    Tables = Mapping[str, Arrays]

HOUR_S, DAY_S = 3600, 86_400
HORIZON_S = 112 * DAY_S
WINDOWS_D = (1, 3, 7, 28)
SUMMED = tuple(SUMMED_COLUMNS)
NIGHTS = tuple(NIGHT_COLUMNS)
FLOORS = {name: floor for name, (_, floor) in NIGHT_COLUMNS.items()}
#: Markers that count whether or not the sample follows exercise; all with a maximum age of 10 d.
MARKERS = ("ck", "ldh", "crp", "il6")
MARKER_AGE_S = 10 * DAY_S
#: Share of a load that is kept a day, and λ, for the acute and the chronic average.
KEPT = {"acute": 1 - 2 / 8, "chronic": 1 - 2 / 29}

EWMA_NAMES = ("acute_load_ewma7_au", "chronic_load_ewma28_au", "acute_chronic_load_ln")
LOAD_NAMES = tuple(f"load_sum_{days}d_au" for days in WINDOWS_D)
SUM_NAMES = tuple(
    f"{name[: name.rindex('_')]}_sum_{days}d_{name[name.rindex('_') + 1 :]}"
    for days in (7, 28)
    for name in SUMMED
)
COUNT_NAMES = tuple(
    f"{what}_{days}d_n"
    for what in ("sessions", "unknown_load_sessions", "matches")
    for days in (7, 28)
)
NIGHT_NAMES = (*(f"last_night_{name}_z" for name in NIGHTS), "last_night_age_h")
MARKER_NAMES = tuple(f"{name}_{what}" for name in MARKERS for what in ("ln", "age_d"))
PREVIOUS_NAMES = ("previous_session_gap_h",)
NAMES = (*LOAD_NAMES, *SUM_NAMES, *COUNT_NAMES, *EWMA_NAMES, *PREVIOUS_NAMES, *NIGHT_NAMES,
         *MARKER_NAMES)  # fmt: skip


def columns_of(names: tuple[str, ...] = NAMES) -> np.ndarray:
    """Return where the features stand in the engine's matrix."""
    known = feature_contract().names
    return np.array([known.index(name) for name in names])


def tables_of(history: History, queries: Queries) -> Tables:
    """Return what every peer starts from: columns sorted by athlete and event time.

    Arithmetic within one row (efficiency, midpoint, ln) is done here, outside their time; the
    engine does it inside its own.
    """
    return {
        "sessions": _sessions(history),
        "nights": _nights(history),
        "markers": _markers(history),
        "queries": {
            "q": np.arange(len(queries)), "athlete": queries.athlete, "own": queries.session,
            "clock_s": queries.clock_start_s, "as_of_s": queries.as_of_s,
        },
    }  # fmt: skip


def _owner(offsets: np.ndarray) -> np.ndarray:
    return owners(offsets)


def _sessions(history: History) -> Arrays:
    rows = history.sessions
    # The cohort knows the kind of every session, so a count of matches is missing only where there
    # was no session in 28 days.
    return {
        "row": np.arange(len(rows)), "athlete": _owner(rows.offsets), "at_s": rows.at_s,
        "known_s": rows.known_s, "load": rows.columns["session_load_au"],
        "match": np.isin(rows.columns["kind"], (1, 2)).astype(np.int64),
        **{name: rows.columns[name] for name in SUMMED},
    }  # fmt: skip


def _nights(history: History) -> Arrays:
    rows, columns = history.sleep, history.sleep.columns
    in_bed_s = rows.at_s - columns["onset_at"]
    deep, early = columns["deep_min"], columns["deep_first3h_min"]
    with np.errstate(divide="ignore", invalid="ignore"):
        derived = {
            "efficiency": np.where(in_bed_s > 0, 6000 * columns["asleep_min"] / in_bed_s, np.nan),
            "deep_first3h": early,
            "deep_first3h_share": np.where(deep > 0, early / deep, np.nan),
            "midpoint": columns["wake_clock_h"] - in_bed_s / (2 * HOUR_S),
            "ln_rmssd": np.log(columns["hrv_rmssd_ms"]),
            "resting_hr": columns["resting_hr_bpm"],
        }
    plain = {name: columns[f"{name}_min"] for name in NIGHTS if name not in derived}
    values = plain | derived
    device = np.nan_to_num(columns["device"], nan=-1.0).astype(np.int64) + 1
    kept = in_bed_s >= 3 * HOUR_S  # what is shorter is a nap and no part of these features
    every = {
        "athlete": _owner(rows.offsets), "device": device, "at_s": rows.at_s,
        "known_s": rows.known_s, **{name: values[name] for name in NIGHTS},
    }  # fmt: skip
    nights = {name: column[kept] for name, column in every.items()}
    return {"row": np.arange(kept.sum())} | nights


def _markers(history: History) -> Arrays:
    rows, columns = history.labs, history.labs.columns
    codes = np.array([ANALYTES.index(name) for name in MARKERS])
    # Blood only: the engine would show a saliva value as missing, and the cohort has none.
    blood = columns["specimen"] < SPECIMENS.index("saliva")
    kept = np.isin(columns["analyte"], codes) & blood & (columns["below_loq"] != 1)
    every = {
        "athlete": _owner(rows.offsets), "at_s": rows.at_s, "known_s": rows.known_s,
        "marker": (columns["analyte"][:, None] == codes).argmax(axis=1),
    }  # fmt: skip
    markers = {name: column[kept] for name, column in every.items()}
    return {"row": np.arange(kept.sum())} | markers | {"ln": np.log(columns["value"][kept])}
