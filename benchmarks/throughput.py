"""How long 100,000 labels and 100,000 predictions take, on one thread.

    python -m benchmarks.throughput [EPISODES] [SEED]

Labels: from a history to the tests, baselines and likelihood table of each episode. Predictions:
from features to median, 80 % interval and the chance of having recovered by three hours, preset
`fast`, without and with one test of the episode seen. Processor time, compiled beforehand.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from benchmarks.feature_cohort import synthetic
from benchmarks.rivals.problem import INDEX_TEST
from nmr_ml.cohort.reader import canonical_cohort
from nmr_ml.features.contract import feature_contract
from nmr_ml.history.episodes import find_episodes
from nmr_ml.history.history import build_history
from nmr_ml.history.queries import at_landmarks, expand
from nmr_ml.labels.followed_tests import no_tests, whole_follow_up
from nmr_ml.models.curve.boosted import TreeSettings
from nmr_ml.models.curve.fit import fit_curve
from nmr_ml.models.curve.grid import curve_grid
from nmr_ml.models.curve.likelihood import likelihood_tables
from nmr_ml.models.curve.population import choose_shapes
from nmr_ml.models.curve.posterior import recovery_quantiles
from nmr_ml.models.curve.read_off import read_off
from nmr_ml.recovery_tests import shipped_testspecs
from nmr_ml.simulator import simulate
from training.data.dataset import component_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from nmr_ml.history.history import History
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.curve.fit import CurveFit
    from nmr_ml.models.curve.grid import CurveGrid
    from training.data.dataset import ComponentData

T = TypeVar("T")
SPECS = shipped_testspecs()
COMPONENT = "power"
DAYS = 120
#: Episodes of an athlete over `DAYS` days in the cohort of the feature benchmark, roughly.
PER_ATHLETE = 80
#: Enough to fit a model of the usual size to; what it has learnt does not matter here.
FITTED_ATHLETES = 80
LEVELS = np.array([0.1, 0.5, 0.9])


def main(episodes: int, seed: int) -> None:
    """Print the table."""
    cohort = synthetic(episodes // PER_ATHLETE, DAYS, seed)
    history = build_history(cohort, tuple(sorted(SPECS)))
    simulated = simulate(athletes=FITTED_ATHLETES, days=DAYS, seed=seed)
    few, _ = canonical_cohort(
        simulated.name, simulated.timezone, simulated.tables, now=datetime.now(UTC)
    )
    data = component_data(few, SPECS, [0.0], {COMPONENT: INDEX_TEST})[COMPONENT]
    fit = fit_curve(
        data.X, data.row_episode, data.followed, data.athlete, data.modality, TreeSettings(),
        feature_contract().names,
    )  # fmt: skip
    grid = choose_shapes(data.followed, curve_grid(float(np.median(data.followed.error))), seed=0)
    found, seconds = timed(lambda: labels(history, grid))
    labelled = int(np.sum(np.diff(found.offsets) > 0))
    print("| what | rows | CPU s | CPU s per 100,000 |\n|---|---:|---:|---:|")
    show(f"labels ({labelled:,} with tests)", len(found), seconds)
    asked = {"predictions": no_tests(episodes), "with a test": one_test(data, episodes)}
    for what, seen in asked.items():
        _, seconds = timed(partial(answers, fit, data, seen))
        show(what, episodes, seconds)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return what the second of two runs found and the processor time it took."""
    work()
    started = time.process_time()
    return work(), time.process_time() - started


def labels(history: History, grid: CurveGrid) -> Followed:
    """Return the labels of every episode of one component."""
    found = find_episodes(history)
    queries = expand(at_landmarks(found, [0.0]), found, history, {COMPONENT: INDEX_TEST})
    followed = whole_follow_up(history, queries, SPECS)
    likelihood_tables(followed, grid)
    return followed


def one_test(data: ComponentData, n: int) -> Followed:
    """Return `n` episodes with their first test only."""
    some = data.followed.take(np.arange(n) % len(data.followed))
    first = some.offsets[:-1]
    return replace(
        some, offsets=np.arange(n + 1), hours=some.hours[first], deficit=some.deficit[first],
        error=some.error[first],
    )  # fmt: skip


def answers(fit: CurveFit, data: ComponentData, seen: Followed) -> None:
    """Predict quantiles and chances for as many rows as `seen` has."""
    rows = np.arange(len(seen)) % len(data.X)
    means = fit.boosted.model.means(data.X[rows])
    table = read_off(fit.grid, SPECS[INDEX_TEST].delta)
    read = fit.measurement.read(seen)
    at_h = np.tile([24.0, 48.0, 72.0], (len(seen), 1))
    recovery_quantiles(table, means, fit.boosted.model.spread, read, LEVELS, at_h)


def show(what: str, rows: int, seconds: float) -> None:
    """Print a row of the table."""
    print(f"| {what} | {rows:,} | {seconds:.1f} | {1e5 * seconds / rows:.1f} |", flush=True)


if __name__ == "__main__":
    arguments = [int(a) for a in sys.argv[1:]]
    main(*(arguments + [100_000, 1][len(arguments) :]))
