"""Time and memory of the feature engine, beside the same windows in DuckDB and pandas.

Run as ``python -m benchmarks.features [athletes]``; 2000 athletes are the full size. The engine
builds the whole catalogue. The subset that the other tools are asked for is load sums and session
counts over 1, 3, 7 and 28 days: DuckDB under the `known_at` rule, checked against the engine;
pandas by groupby-rolling, which has no `known_at` and so gives other numbers.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.feature_cohort import landmark_queries, synthetic
from nmr_ml.features.asof import moments
from nmr_ml.features.contract import feature_contract
from nmr_ml.features.engine import build_features, warm_up
from nmr_ml.features.load import RING_ENDS_S, sessions_of, windows
from nmr_ml.history import History, build_history
from nmr_ml.testspec import shipped_testspecs

if TYPE_CHECKING:
    from collections.abc import Callable

    from nmr_ml.queries import Queries

LANDMARKS_H = (0.0, 24.0, 48.0)
DAYS = (1, 3, 7, 28)
NAMES = feature_contract().names
FIRST_WINDOW = NAMES.index("load_sum_1d_au")


def main(athletes: int) -> None:
    """Print one table for this size and, for the growth, one for a tenth of it."""
    warm_up()
    for size in (max(athletes // 10, 1), athletes):
        run(size)


def run(athletes: int) -> None:
    """Time every engine on a cohort of `athletes` and a year."""
    history = build_history(synthetic(athletes, 365), ("cmj_height", "readiness"))
    queries = landmark_queries(history, 0, LANDMARKS_H)
    specs, before_mb = shipped_testspecs(), _peak_mb()
    tables = {name: len(getattr(history, name)) for name in ("sessions", "sleep", "labs", "tests")}
    print(f"\n{athletes} athletes, {tables}, {len(queries)} queries")
    matrix = build_features(history, queries, specs)
    for threads in (1, 2):
        whole = _seconds(lambda n=threads: build_features(history, queries, specs, threads=n))
        _line(f"engine, {len(NAMES)} features, {threads} thread(s)", whole, len(queries))
    print(f"peak RSS {before_mb:.0f} MB before, {_peak_mb():.0f} MB after; "
          f"one output {matrix.nbytes / 2**20:.0f} MB")  # fmt: skip
    _line("engine, windows only", _seconds(lambda: _engine_windows(history, queries)), len(queries))
    start = time.perf_counter()
    rows = _duckdb_windows(history, queries)
    if rows is not None:
        _line("DuckDB range join, 8 features", time.perf_counter() - start, len(queries))
        _agree(rows, matrix)
    _line("pandas rolling, 8 features", _seconds(lambda: _pandas_windows(history)),
          len(history.sessions))  # fmt: skip
    single = build_history(synthetic(1, 112), ("cmj_height", "readiness"))
    asked = landmark_queries(single, 0, (0.0,))
    one = asked.take(np.arange(len(asked) - 1, len(asked)))
    times = [_once(lambda: build_features(single, one, specs)) for _ in range(1000)]
    p50, p99 = np.quantile(times, [0.5, 0.99]) * 1e3
    print(f"one row, 112 d of history: p50 {p50:.2f} ms, p99 {p99:.2f} ms")


def _engine_windows(history: History, queries: Queries) -> None:
    out = np.empty((len(queries), 30))
    windows(moments(history, queries), sessions_of(history), RING_ENDS_S, out, 0)


def _pandas_windows(history: History) -> pd.DataFrame:
    owner = np.repeat(np.arange(len(history.athlete_ids)), np.diff(history.sessions.offsets))
    load = history.sessions.columns["session_load_au"]
    frame = pd.DataFrame({"athlete": owner, "load": load})
    frame.index = pd.to_datetime(history.sessions.at_s, unit="s", utc=True)
    by_athlete = frame.groupby("athlete")["load"]
    sums = {f"sum_{d}": by_athlete.rolling(f"{d}D").sum() for d in DAYS}
    counts = {f"n_{d}": by_athlete.rolling(f"{d}D", min_periods=0).count() for d in DAYS}
    return pd.DataFrame(sums | counts)


def _duckdb_windows(history: History, queries: Queries) -> pd.DataFrame | None:
    try:
        import duckdb  # an extra: bench
    except ImportError:
        print("DuckDB is not installed (extra: bench)")
        return None
    sessions = history.sessions
    owner = np.repeat(np.arange(len(history.athlete_ids)), np.diff(sessions.offsets))
    s = pd.DataFrame({"athlete": owner, "at_s": sessions.at_s, "known_s": sessions.known_s,
                      "load": sessions.columns["session_load_au"]})  # fmt: skip
    q = pd.DataFrame({"q": np.arange(len(queries)), "athlete": queries.athlete,
                      "as_of_s": queries.as_of_s})  # fmt: skip
    picked = ", ".join(
        f"sum(load) FILTER (q.as_of_s - s.at_s < {d * 86_400} AND NOT isnan(load)) AS sum_{d}, "
        f"count(*) FILTER (q.as_of_s - s.at_s < {d * 86_400}) AS n_{d}"
        for d in DAYS
    )
    with duckdb.connect(config={"memory_limit": "8GB"}) as sql:
        sql.register("s", s)
        sql.register("q", q)
        return sql.execute(
            f"SELECT q.q, {picked} FROM q LEFT JOIN s ON s.athlete = q.athlete "
            "AND s.at_s <= q.as_of_s AND s.at_s > q.as_of_s - 2419200 AND s.known_s <= q.as_of_s "
            "GROUP BY q.q ORDER BY q.q"
        ).df()


def _agree(rows: pd.DataFrame, matrix: np.ndarray) -> None:
    """Stop where the engine has a sum and DuckDB another, or the counts differ."""
    for i, days in enumerate(DAYS):
        ours, theirs = matrix[:, FIRST_WINDOW + i], rows[f"sum_{days}"].fillna(0).to_numpy()
        told = ~np.isnan(ours)
        np.testing.assert_allclose(ours[told], theirs[told], rtol=1e-9, atol=1e-9)
    for days in (7, 28):
        ours = matrix[:, NAMES.index(f"sessions_{days}d_n")]
        np.testing.assert_array_equal(ours, rows[f"n_{days}"].to_numpy())


def _once(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _seconds(work: Callable[[], object]) -> float:
    return min(_once(work) for _ in range(3))


def _line(name: str, seconds: float, rows: int) -> None:
    print(f"{name:38s} {seconds:8.3f} s {rows / seconds:12,.0f} rows/s")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
