"""Time and memory of the feature engine beside the same features in other tools.

    python -m benchmarks.features --athletes 2000 --days 365 [--scale] [--out FILE]

Every contender runs in its own process, one after the other, on the same queries: every session at
0, 24 and 48 h. The engine builds its whole catalogue; Polars, DuckDB and pandas build a subset of
it (`benchmarks.peers.subset`), mlforecast its rolling and exponentially weighted load on a grid of
days. So two speeds are told: rows/s, and values/s (rows x features). Times start when the tables
are in memory in the form of each tool, sorted by athlete and time, and end with the matrix or frame
in memory. Where other programs use the machine too, CPU seconds say more than seconds; those in the
system go nearly all into pages of memory that are written to for the first time, which a virtual
machine may have to get from its host. A contender whose package is not installed is left out, and
standard error says so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.contender import PEERS, warm_up
from benchmarks.feature_cohort import landmark_queries, request_body, synthetic
from benchmarks.peers.subset import EWMA_NAMES, NAMES
from benchmarks.stored import Problem, save
from nmr_ml.features.engine import build_features
from nmr_ml.history.history import build_history, history_of_columns
from nmr_ml.recovery_tests import shipped_testspecs
from serving.requests.question import known_tests, parse
from serving.requests.row_columns import request_columns
from serving.requests.schema import ROW_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from nmr_ml.history.history import History

LANDMARKS_H = (0.0, 24.0, 48.0)
TESTS = ("cmj_height", "readiness")
REPEATS = {"engine1": 5, "engine2": 5, "polars": 3, "duckdb": 1, "pandas": 1, "mlforecast": 3}
LABELS = {"engine1": "engine, 1 thread", "engine2": "engine, 2 threads",
          "polars": "Polars", "duckdb": "DuckDB (limit 4 GB)",
          "pandas": "pandas, no known_at", "mlforecast": "mlforecast, daily grid"}  # fmt: skip
NOT_THE_SAME = {"polars": EWMA_NAMES, "duckdb": ()}
TOLERANCE = 1e-9


def main() -> None:
    """Run what the command line asks for, print the tables and write them."""
    asked = _arguments()
    sizes = [max(asked.athletes // 10, 1), asked.athletes] if asked.scale else [asked.athletes]
    document: dict[str, Any] = {"machine": _machine(), "sizes": [], "one_row": one_row()}
    for athletes in sizes:
        document["sizes"].append(run(athletes, asked.days, asked.quiet))
    text = report(document)
    print(text)
    if asked.out is not None:
        asked.out.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
        asked.out.with_suffix(".md").write_text(text + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--athletes", type=int, default=2000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--scale", action="store_true", help="also a tenth of the athletes")
    parser.add_argument("--out", type=Path, help="write FILE.json and FILE.md")
    parser.add_argument(
        "--quiet", type=float, default=60.0, metavar="SECONDS",
        help="wait at most this long before each contender for other programs to be idle",
    )  # fmt: skip
    return parser.parse_args()


def run(athletes: int, days: int, quiet_s: float) -> dict[str, Any]:
    """Run every contender that is installed on a cohort of this size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts, build_s = _write_problem(athletes, days, folder)
        done: dict[str, Any] = {}
        for contender, repeats in REPEATS.items():
            if contender in PEERS and find_spec(contender) is None:
                print(f"{contender} is not installed (extra: bench)", file=sys.stderr)
                continue
            busy = wait_until_quiet(quiet_s)
            done[contender] = _measure(contender, folder, repeats) | {"others_busy_cores": busy}
            print(f"{contender}: {done[contender]['seconds']:.2f} s", file=sys.stderr)
        for contender, otherwise in NOT_THE_SAME.items():
            if contender in done:
                done[contender]["agreement"] = agreement(folder, contender, otherwise)
    return {"athletes": athletes, "days": days, "tables": counts, "build_history_s": build_s,
            "contenders": done}  # fmt: skip


def _write_problem(athletes: int, days: int, folder: Path) -> tuple[dict[str, int], float]:
    cohort = synthetic(athletes, days)
    start = time.perf_counter()
    history = build_history(cohort, TESTS)
    build_s = time.perf_counter() - start
    queries = landmark_queries(history, 0, LANDMARKS_H)
    save(Problem(history, queries), folder)
    counts = {name: len(getattr(history, name)) for name in ("sessions", "sleep", "labs", "tests")}
    return counts | {"queries": len(queries)}, build_s


def _measure(contender: str, folder: Path, repeats: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.contender", contender, str(folder), str(repeats)]
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode != 0:
        raise SystemExit(f"{contender} failed:\n{finished.stderr}")
    return dict(json.loads(finished.stdout.splitlines()[-1]))


def agreement(folder: Path, contender: str, otherwise: tuple[str, ...]) -> dict[str, float]:
    """Compare the sampled rows with the engine's, relative to max(1, |x|)."""
    ours, theirs = np.load(folder / "engine1.npy"), np.load(folder / f"{contender}.npy")
    error = np.abs(ours - theirs) / np.maximum(1.0, np.abs(ours))
    same = ~np.isin(NAMES, otherwise)
    largest = {"same": np.nanmax(error[:, same])}
    if otherwise:
        largest["otherwise"] = np.nanmax(error[:, ~same])
    return {
        "rows": len(ours), "features": int(same.sum()), "largest_error": float(largest["same"]),
        "missing_differs": int((np.isnan(ours) != np.isnan(theirs)).sum()),
        "values_beyond_1e-9": int((error[:, same] > TOLERANCE).sum()),
        **({"largest_error_otherwise": float(largest["otherwise"])} if otherwise else {}),
    }  # fmt: skip


def one_row(calls: int = 1000) -> dict[str, dict[str, float]]:
    """Time the last session of one athlete with 28 and with 112 days of history, after warm-up.

    From the arrays of a history, from a request as it was parsed, and from the objects of its JSON
    without and with all checks.
    """
    warm_up()
    return _timed_row(28, calls) | _timed_row(112, calls)


def _timed_row(days: int, calls: int) -> dict[str, dict[str, float]]:
    specs, names = shipped_testspecs(), known_tests()
    body = request_body(days, seed=20)
    question = parse(body)
    history = question.history(names)
    asked = landmark_queries(history, names.index(TESTS[0]), (0.0,))
    one = asked.take(np.arange(len(asked) - 1, len(asked)))
    rows = {name: body.get(name, ()) for name in ROW_TABLES} | {"athletes": [body["athlete"]]}
    before: dict[str, Callable[[], History]] = {
        "history": lambda: history,
        "parsed request": lambda: question.history(names),
        "rows, unchecked": lambda: history_of_columns(
            request_columns(rows, names).columns, "Europe/Oslo", names
        ),
        "JSON objects, every row checked": lambda: parse(body).history(names),
    }
    return {
        f"{begin} to features, {days} d": _quantiles(
            lambda w=work: build_features(w(), one, specs), calls
        )
        for begin, work in before.items()
    }


def _quantiles(work: Any, calls: int) -> dict[str, float]:  # noqa: ANN401
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    p50, p99 = np.quantile(times, [0.5, 0.99]) * 1e3
    return {"p50_ms": float(p50), "p99_ms": float(p99), "calls": calls}


def wait_until_quiet(limit_s: float) -> float:
    """Wait until others use less than 0.2 cores, at most `limit_s`; return what they use."""
    until = time.monotonic() + limit_s
    while True:
        busy = _busy_cores()
        if busy < 0.2 or time.monotonic() > until:
            return round(busy, 2)


def _busy_cores(seconds: float = 2.0) -> float:
    """Return how many cores the whole machine keeps busy while this process sleeps."""

    def busy_s() -> float:
        line = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        numbers = [int(n) for n in line]
        return (sum(numbers[:8]) - numbers[3] - numbers[4]) / os.sysconf("SC_CLK_TCK")

    start = busy_s()
    time.sleep(seconds)
    return (busy_s() - start) / seconds


def _machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "load_at_start": [round(x, 2) for x in os.getloadavg()]}


def report(document: dict[str, Any]) -> str:
    """Return the tables as Markdown."""
    machine = document["machine"]
    lines = [f"{machine['cores']} cores, load at the start {machine['load_at_start']}"]
    for size in document["sizes"]:
        lines += ["", *_size_table(size)]
    if len(document["sizes"]) == 2:
        lines += ["", *_growth(*document["sizes"])]
    lines += ["", "| one row | p50 ms | p99 ms |", "|---|---|---|"]
    lines += [
        f"| {name} | {t['p50_ms']:.3f} | {t['p99_ms']:.3f} |"
        for name, t in document["one_row"].items()
    ]
    return "\n".join(lines)


COLUMNS = (
    "contender", "features", "s", "CPU s", "system s", "rows/s", "values/s", "peak MB",
    "before data MB", "input MB", "output MB", "others' cores", "engine x rows/s",
    "engine x values/s", "engine x values/CPU s",
)  # fmt: skip


def _size_table(size: dict[str, Any]) -> list[str]:
    counts = ", ".join(f"{n:,} {name}" for name, n in size["tables"].items())
    reference = size["contenders"]["engine2"]
    engine, engine_cpu = _speed(reference), _values(reference) / reference["cpu_s"]
    heading = f"{size['athletes']:,} athletes x {size['days']} days: {counts}; frames to history"
    lines = [f"{heading} {size['build_history_s']:.1f} s", "", f"| {' | '.join(COLUMNS)} |",
             "|---|" + "---:|" * (len(COLUMNS) - 1)]  # fmt: skip
    for name, c in size["contenders"].items():
        rows_s, values_s = _speed(c)
        cells = (
            LABELS[name], c["features"], f"{c['seconds']:.2f}", f"{c['cpu_s']:.2f}",
            f"{c['system_s']:.2f}",
            f"{rows_s:,.0f}", f"{values_s / 1e6:,.1f} M", f"{c['peak_mb']:,.0f}",
            f"{c['before_mb']:,.0f}", f"{c['input_mb']:,.0f}", f"{c['output_mb']:,.0f}",
            c["others_busy_cores"], f"{engine[0] / rows_s:.2f}", f"{engine[1] / values_s:.1f}",
            f"{engine_cpu * c['cpu_s'] / _values(c):.1f}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines + _agreements(size)


def _speed(measured: dict[str, Any]) -> tuple[float, float]:
    return measured["rows"] / measured["seconds"], _values(measured) / measured["seconds"]


def _values(measured: dict[str, Any]) -> int:
    return int(measured["rows"] * measured["features"])


def _agreements(size: dict[str, Any]) -> list[str]:
    lines = [""]
    for name, c in size["contenders"].items():
        if "agreement" not in c:
            continue
        a = c["agreement"]
        lines.append(
            f"- {LABELS[name]} and the engine on {a['rows']:,} rows: {a['features']} features of "
            f"one definition differ by at most {a['largest_error']:.1e} of max(1, |x|), "
            f"{a['values_beyond_1e-9']} values by more than 1e-9; {a['missing_differs']} values "
            "are missing in one of the two only"
        )
        if "largest_error_otherwise" in a:
            lines[-1] += (
                f"; {', '.join(NOT_THE_SAME[name])}, where it cannot cut ages to whole hours, "
                f"differ by at most {a['largest_error_otherwise']:.1e}"
            )
    return lines


def _growth(small: dict[str, Any], large: dict[str, Any]) -> list[str]:
    lines = [
        "| growth | us per row, tenth | us per row, whole | ratio | ratio of user CPU |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in small["contenders"]:
        parts = [size["contenders"][name] for size in (small, large)]
        a, b = (1e6 * c["seconds"] / c["rows"] for c in parts)
        x, y = ((c["cpu_s"] - c["system_s"]) / c["rows"] for c in parts)
        lines.append(f"| {LABELS[name]} | {a:.2f} | {b:.2f} | {b / a:.2f} | {y / x:.2f} |")
    return lines


if __name__ == "__main__":
    main()
