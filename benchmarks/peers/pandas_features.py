"""The subset in plain pandas: groupby-rolling over sessions and queries together, no ``known_at``.

What pandas cannot say is computed as its users would: every row counts from its event time on, the
averages of load are those of whole days up to the day before, and last night is compared with the
28 days before that night, not before the clock start. The other features equal the engine's where
every row is known at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.peers.subset import (
    DAY_S,
    EWMA_NAMES,
    FLOORS,
    HORIZON_S,
    HOUR_S,
    LOAD_NAMES,
    MARKER_AGE_S,
    MARKERS,
    NAMES,
    NIGHT_NAMES,
    NIGHTS,
    SUM_NAMES,
    SUMMED,
    WINDOWS_D,
)

if TYPE_CHECKING:
    from benchmarks.peers.subset import Tables

    Frames = dict[str, pd.DataFrame]

#: Features of another definition than the engine's.
OTHERWISE = (*EWMA_NAMES, *NIGHT_NAMES[:-1])


def prepare(tables: Tables) -> Frames:
    """Return the tables as pandas frames."""
    return {name: pd.DataFrame(columns) for name, columns in tables.items()}


def build(frames: Frames) -> pd.DataFrame:
    """Return the subset, one row per query in their order."""
    queries, sessions = frames["queries"], frames["sessions"]
    parts = [
        _windows(queries, sessions),
        _averages(queries, sessions),
        _previous(queries, sessions),
        _last_night(queries, frames["nights"]),
        *(_marker(queries, frames["markers"], i, name) for i, name in enumerate(MARKERS)),
    ]
    return pd.concat(parts, axis=1)[list(NAMES)]


def _windows(queries: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """Roll over the rows of sessions and queries in one order of time; keep those of queries."""
    asked = queries[["athlete", "q"]].assign(at_s=queries["as_of_s"], asked=1)
    rows = pd.concat([sessions.assign(n=1.0, asked=0), asked])
    rows = rows.sort_values(["athlete", "at_s", "asked"], kind="stable")
    rows.index = pd.to_datetime(rows["at_s"], unit="s")
    by_athlete, is_query = rows.groupby("athlete"), (rows["asked"] == 1).to_numpy()
    wanted = {
        1: ["n", "load"], 3: ["n", "load"], 7: ["n", "match", "load", *SUMMED],
        28: ["n", "match", "load", *SUMMED], 112: ["n"],
    }  # fmt: skip
    sums: dict[tuple[str, int], np.ndarray] = {}
    for days, columns in wanted.items():
        rolled = by_athlete[columns].rolling(f"{days}D", min_periods=1)
        total = rolled.sum()[is_query]
        sums |= {(c, days): total[c].to_numpy() for c in columns}
        if days in {7, 28}:
            known = by_athlete["load"].rolling(f"{days}D", min_periods=0).count()
            sums["known", days] = known.to_numpy()[is_query]
    return pd.DataFrame(_window_columns(sums), index=rows["q"][is_query]).sort_index()


def _window_columns(sums: dict[tuple[str, int], np.ndarray]) -> dict[str, np.ndarray]:
    n = {days: np.nan_to_num(sums["n", days]) for days in (*WINDOWS_D, 112)}

    def told(c: str, days: int) -> np.ndarray:
        rest = (n[days] == 0) & ~np.isnan(sums[c, 28])
        return np.where(n[112] > n[days], np.where(rest, 0.0, sums[c, days]), np.nan)

    summed = [(c, days) for days in (7, 28) for c in SUMMED]
    return {
        **{name: told("load", d) for d, name in zip(WINDOWS_D, LOAD_NAMES, strict=True)},
        **{name: told(c, d) for (c, d), name in zip(summed, SUM_NAMES, strict=True)},
        **{f"sessions_{d}d_n": n[d] for d in (7, 28)},
        **{f"unknown_load_sessions_{d}d_n": n[d] - sums["known", d] for d in (7, 28)},
        **{f"matches_{d}d_n": np.where(n[28] > 0, np.nan_to_num(sums["match", d]), np.nan)
           for d in (7, 28)},
    }  # fmt: skip


def _averages(queries: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """Average daily loads, a day without a session being 0, up to the day before."""
    days = sessions["at_s"] // DAY_S
    daily = sessions["load"].groupby([days, sessions["athlete"]]).sum().unstack()  # noqa: PD010
    daily = daily.reindex(range(days.min(), int(queries["as_of_s"].max()) // DAY_S + 1))
    daily = daily.fillna(0.0)
    day = (queries["as_of_s"] // DAY_S - 1).to_numpy()
    athlete = pd.Index(queries["athlete"])
    at = daily.index.get_indexer(pd.Index(day)), daily.columns.get_indexer(athlete)
    of_day = {
        name: np.where(at[0] >= 0, daily.ewm(span=span, adjust=False).mean().to_numpy()[at], np.nan)
        for name, span in zip(EWMA_NAMES, (7, 28), strict=False)
    }
    acute, chronic = of_day.values()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((acute > 0) & (chronic > 0), np.log(acute) - np.log(chronic), np.nan)
    return pd.DataFrame(of_day | {EWMA_NAMES[2]: ratio}, index=queries["q"])


def _previous(queries: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    gap_s = sessions.groupby("athlete")["at_s"].diff().to_numpy()[queries["own"]]
    age_s = queries["as_of_s"] - queries["clock_s"] + gap_s
    gap_h = np.where(age_s < HORIZON_S, gap_s / HOUR_S, np.nan)
    return pd.DataFrame({"previous_session_gap_h": gap_h}, index=queries["q"])


def _last_night(queries: pd.DataFrame, nights: pd.DataFrame) -> pd.DataFrame:
    timed = nights.set_index(pd.to_datetime(nights["at_s"], unit="s"))
    rolled = timed.groupby(["athlete", "device"])[list(NIGHTS)].rolling(
        "28D", min_periods=7, closed="left"
    )
    mean, sd = rolled.mean(), rolled.std()
    scale = np.maximum(sd.to_numpy(), [FLOORS[c] for c in NIGHTS])
    own = nights.sort_values(["athlete", "device"], kind="stable")
    z = (own[list(NIGHTS)].to_numpy() - mean.to_numpy()) / scale
    scored = pd.DataFrame(z, columns=list(NIGHT_NAMES[:-1]))
    scored[["athlete", "night_s"]] = own[["athlete", "at_s"]].to_numpy()
    scored = scored.sort_values("night_s", kind="stable")
    found = _as_of(queries, scored, "night_s", 36 * HOUR_S)
    found["last_night_age_h"] = (queries["as_of_s"].to_numpy() - found["night_s"]) / HOUR_S
    return found[list(NIGHT_NAMES)]


def _marker(queries: pd.DataFrame, markers: pd.DataFrame, code: int, name: str) -> pd.DataFrame:
    rows = markers.loc[markers["marker"] == code, ["athlete", "at_s", "ln"]]
    rows = rows.rename(columns={"at_s": "drawn_s", "ln": f"{name}_ln"}).sort_values("drawn_s")
    found = _as_of(queries, rows, "drawn_s", MARKER_AGE_S)
    found[f"{name}_age_d"] = (queries["as_of_s"].to_numpy() - found["drawn_s"]) / DAY_S
    return found[[f"{name}_ln", f"{name}_age_d"]]


def _as_of(queries: pd.DataFrame, rows: pd.DataFrame, at: str, max_age_s: int) -> pd.DataFrame:
    """Return the last row before each query that is younger than `max_age_s`."""
    asked = queries[["q", "athlete", "as_of_s"]].sort_values("as_of_s", kind="stable")
    rows = rows.assign(time_s=rows[at].astype(np.int64))
    found = pd.merge_asof(
        asked, rows, left_on="as_of_s", right_on="time_s", by="athlete", tolerance=max_age_s - 1
    )
    return found.set_index("q").sort_index()
