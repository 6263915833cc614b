"""One contender in its own process: ``python -m benchmarks.contender NAME FOLDER REPEATS``.

Prints one JSON line: seconds, CPU seconds and those of them in the system of the best run, the
memory at its peak, and what it was before the data was loaded. The values of a sample of rows go to
``FOLDER/NAME.npy``.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peers.subset import NAMES, columns_of, tables_of
from benchmarks.stored import bytes_of, load
from nmr_ml.features.contract import feature_contract
from nmr_ml.features.engine import build_features
from nmr_ml.history.history import history_of_columns
from nmr_ml.history.queries import Queries
from nmr_ml.recovery_tests import shipped_testspecs
from serving.requests.row_columns import request_columns

if TYPE_CHECKING:
    from collections.abc import Callable

PEERS = ("polars", "duckdb", "pandas", "mlforecast")
SAMPLE = 20_000


def main(name: str, folder: Path, repeats: int) -> dict[str, Any]:
    """Run the contender and return what was measured."""
    return _engine(name, folder, repeats) if name.startswith("engine") else _peer(
        name, folder, repeats
    )  # fmt: skip


def sampled(rows: int) -> np.ndarray:
    """Return the rows whose values are compared between contenders."""
    rng = np.random.default_rng(0)
    return np.sort(rng.choice(rows, min(SAMPLE, rows), replace=False))


def _engine(name: str, folder: Path, repeats: int) -> dict[str, Any]:
    threads = int(name.removeprefix("engine"))
    warm_up()
    specs = shipped_testspecs()
    before = _rss_mb()
    history, queries = load(folder)
    matrix, measured = _best(
        lambda: build_features(history, queries, specs, threads=threads), repeats
    )
    values = matrix[np.ix_(sampled(len(queries)), columns_of())]
    np.save(folder / f"{name}.npy", values)
    return measured | {
        "rows": len(queries), "features": len(feature_contract().names), "before_mb": before,
        "input_mb": bytes_of(history) / 2**20, "output_mb": matrix.nbytes / 2**20,
    }  # fmt: skip


def _peer(name: str, folder: Path, repeats: int) -> dict[str, Any]:
    module = importlib.import_module(f"benchmarks.peers.{name}_features")
    importlib.import_module(name)
    before = _rss_mb()
    tables = tables_of(*load(folder))
    start = time.perf_counter()
    ready = module.prepare(tables)
    prepared = time.perf_counter() - start
    size = sum(array.nbytes for table in tables.values() for array in table.values())
    del tables
    out, measured = _best(lambda: module.build(ready), repeats)
    features = len(module.NAMES)
    if name != "mlforecast":
        rows = sampled(len(out))
        np.save(folder / f"{name}.npy", out[rows].to_numpy() if name == "polars"
                else out[list(NAMES)].iloc[rows].to_numpy(np.float64))  # fmt: skip
    return measured | {
        "rows": len(out), "features": features, "before_mb": before, "prepare_s": prepared,
        "input_mb": size / 2**20, "output_mb": len(out) * features * 8 / 2**20,
    }  # fmt: skip


def _best(work: Callable[[], Any], repeats: int) -> tuple[Any, dict[str, float]]:
    """Run `work` some times; return what the last run gave and the times of the fastest."""
    runs, result = [], None
    for _ in range(repeats):
        result = None  # at no time two results in memory
        wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        result = work()
        seconds, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_SELF)
        user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
        runs.append((seconds, user + system, system))
    seconds, cpu_s, system_s = min(runs)
    return result, {
        "seconds": seconds, "cpu_s": cpu_s, "system_s": system_s, "peak_mb": _peak_mb(),
        "runs": len(runs),
    }  # fmt: skip


def _peak_mb() -> float:
    # What getrusage says begins with the peak of the process that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def warm_up() -> None:
    """Compile the kernels, or load them from the cache, by building the features of one query."""
    specs, names = shipped_testspecs(), tuple(shipped_testspecs())
    empty = request_columns({"athletes": [{"athlete_id": "a"}]}, names).columns
    history = history_of_columns(empty, "UTC", names)
    zero, none, moment = np.zeros(1, np.int64), np.full(1, -1), np.full(1, 86_400)
    build_features(history, Queries(zero, zero, zero, none, zero, moment, moment), specs)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
