"""The subset in DuckDB, under the two-clock rule, as range joins with filtered aggregates.

A row belongs to a query where it had ended and was known: plain SQL on both clocks, exact and
short. A stack of ASOF joins on running sums would need one join per window and clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.peers.subset import (
    DAY_S,
    FLOORS,
    HORIZON_S,
    HOUR_S,
    KEPT,
    LOAD_NAMES,
    MARKER_AGE_S,
    MARKERS,
    NAMES,
    NIGHTS,
    SUM_NAMES,
    SUMMED,
    WINDOWS_D,
)

if TYPE_CHECKING:
    import duckdb

    from benchmarks.peers.subset import Tables

MEMORY_LIMIT, THREADS = "4GB", 2


def prepare(tables: Tables, folder: str | None = None) -> duckdb.DuckDBPyConnection:
    """Return a database in memory that holds the tables, missing numbers as NULL."""
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY_LIMIT,
        "threads": THREADS,
    }
    if folder is not None:
        settings["temp_directory"] = folder
    sql = duckdb.connect(config=settings)
    for name, columns in tables.items():
        frame = pd.DataFrame(columns)  # noqa: F841  DuckDB finds it by its name
        numbers = [c for c, values in columns.items() if values.dtype.kind == "f"]
        nulls = ", ".join(f"CASE WHEN NOT isnan({c}) THEN {c} END AS {c}" for c in numbers)
        replaced = f" REPLACE ({nulls})" if numbers else ""
        sql.execute(f"CREATE TABLE {name} AS SELECT *{replaced} FROM frame")
    return sql


def build(sql: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return the subset, one row per query in their order."""
    return sql.execute(QUERY).df()


def _window_sql(c: str, days: int, name: str) -> str:
    """Return a sum that is NULL unless sessions before the window are on record (112 d)."""
    told = f"({c}_n_{days} > 0 OR (n_{days} IS NULL AND {c}_n_28 > 0))"
    return (
        f"CASE WHEN record >= {days * DAY_S} AND {told} THEN coalesce({c}_{days}, 0) END AS {name}"
    )


def _sums(days: int) -> str:
    columns = ("load", *SUMMED) if days >= 7 else ("load",)
    parts = [f"count(*) AS n_{days}", f"sum(match) AS match_{days}"]
    for c in columns:
        parts += [f"sum({c}) AS {c}_{days}", f"count({c}) AS {c}_n_{days}"]
    return ", ".join(parts)


def _windows() -> str:
    """Return one grouped join per window: FILTER on a single join took four times as long."""
    return ",\n".join(
        f"window_{d} AS (SELECT q.q, {_sums(d)} FROM queries q JOIN sessions s "
        "ON s.athlete = q.athlete WHERE s.at_s <= q.as_of_s "
        f"AND s.at_s > q.as_of_s - {d * DAY_S} AND s.known_s <= q.as_of_s GROUP BY q.q)"
        for d in WINDOWS_D
    )


def _load_columns() -> str:
    summed = [(c, d) for d in (7, 28) for c in SUMMED]
    parts = [_window_sql("load", d, name) for d, name in zip(WINDOWS_D, LOAD_NAMES, strict=True)]
    parts += [_window_sql(c, d, name) for (c, d), name in zip(summed, SUM_NAMES, strict=True)]
    parts += [f"coalesce(n_{d}, 0) AS sessions_{d}d_n" for d in (7, 28)]
    parts += [f"coalesce(n_{d} - load_n_{d}, 0) AS unknown_load_sessions_{d}d_n" for d in (7, 28)]
    parts += [
        f"CASE WHEN n_28 > 0 THEN coalesce(match_{d}, 0) END AS matches_{d}d_n" for d in (7, 28)
    ]
    return ", ".join(parts)


def _averages() -> str:
    decay = "sum(load * pow({0}, (age // 3600) / 24.0)) * {1}"
    return ", ".join(
        f"{decay.format(repr(kept), repr(1 - kept))} AS {name}" for name, kept in KEPT.items()
    )


def _night_columns() -> str:
    z = "CASE WHEN b.{0}_n >= 7 THEN (l.{0} - b.{0}_mean) / greatest(b.{0}_sd, {1}) END"
    return ", ".join(f"{z.format(c, FLOORS[c])} AS last_night_{c}_z" for c in NIGHTS)


def _baseline() -> str:
    each = "count(n.{0}) AS {0}_n, avg(n.{0}) AS {0}_mean, stddev_samp(n.{0}) AS {0}_sd"
    return ", ".join(each.format(c) for c in NIGHTS)


def _marker_columns() -> str:
    return ", ".join(
        f"arg_max(m.ln, m.row) FILTER (m.marker = {i}) AS {name}_ln, "
        f"(any_value(q.as_of_s) - max(m.at_s) FILTER (m.marker = {i})) / {DAY_S} AS {name}_age_d"
        for i, name in enumerate(MARKERS)
    )


WINDOW_JOINS = " ".join(f"LEFT JOIN window_{d} ON window_{d}.q = q.q" for d in WINDOWS_D)
QUERY = f"""
WITH {_windows()},
horizon AS (
    SELECT q.q, q.as_of_s - s.at_s AS age, load,
           CASE WHEN s.at_s <= q.clock_s AND s.row <> q.own THEN q.clock_s - s.at_s END AS gap
    FROM queries q JOIN sessions s ON s.athlete = q.athlete
    WHERE s.at_s <= q.as_of_s AND s.at_s > q.as_of_s - {HORIZON_S} AND s.known_s <= q.as_of_s
),
decays AS (
    SELECT q, max(age) AS record, min(gap) / {HOUR_S} AS gap_h, count(load) AS loads, {_averages()}
    FROM horizon GROUP BY q
),
last AS (
    SELECT q.q, max(n.row) AS row
    FROM queries q JOIN nights n ON n.athlete = q.athlete
    WHERE n.at_s <= q.as_of_s AND n.at_s > q.as_of_s - {36 * HOUR_S} AND n.known_s <= q.as_of_s
    GROUP BY q.q
),
night AS (
    SELECT l.q, q.athlete, q.clock_s, q.as_of_s, n.* EXCLUDE (athlete)
    FROM last l JOIN nights n ON n.row = l.row JOIN queries q ON q.q = l.q
),
baseline AS (
    SELECT l.q, {_baseline()}
    FROM night l JOIN nights n ON n.athlete = l.athlete
    WHERE n.at_s <= l.clock_s AND n.at_s > l.clock_s - {28 * DAY_S} AND n.known_s <= l.as_of_s
          AND n.row <> l.row AND n.device = l.device
    GROUP BY l.q
),
marked AS (
    SELECT q.q, {_marker_columns()}
    FROM queries q JOIN markers m ON m.athlete = q.athlete
    WHERE m.at_s <= q.as_of_s AND m.at_s > q.as_of_s - {MARKER_AGE_S} AND m.known_s <= q.as_of_s
    GROUP BY q.q
),
whole AS (
    SELECT q.q, {_load_columns()},
           CASE WHEN loads > 0 AND record >= {7 * DAY_S} THEN acute END AS acute_load_ewma7_au,
           CASE WHEN loads > 0 AND record >= {28 * DAY_S} THEN chronic END
               AS chronic_load_ewma28_au,
           CASE WHEN record >= {28 * DAY_S} AND acute > 0 AND chronic > 0
                THEN ln(acute) - ln(chronic) END AS acute_chronic_load_ln,
           gap_h AS previous_session_gap_h, {_night_columns()},
           (l.as_of_s - l.at_s) / {HOUR_S} AS last_night_age_h, m.* EXCLUDE (q)
    FROM queries q
    {WINDOW_JOINS}
    LEFT JOIN decays d ON d.q = q.q
    LEFT JOIN night l ON l.q = q.q
    LEFT JOIN baseline b ON b.q = q.q
    LEFT JOIN marked m ON m.q = q.q
)
SELECT {", ".join(NAMES)} FROM whole ORDER BY q
"""
