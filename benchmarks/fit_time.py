"""What the likelihood of the tests costs: fit times beside LightGBM's own two-output squared error.

    python -m benchmarks.fit_time [ATHLETES] [DAYS] [SEED]

Same matrix, same number of rounds of trees of the same size, one thread, processor time; the model
grows a third tree a round, for the slow share. Both alternate and the fastest of three counts, so
that a busy machine moves the ratio little.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import lightgbm as lgb
import numpy as np

from nmr_ml.cohort.reader import read_cohort
from nmr_ml.cohort.writer import write_cohort
from nmr_ml.features.contract import feature_contract
from nmr_ml.models.curve.boosted import TreeSettings, grow
from nmr_ml.models.curve.fit import fit_curve
from nmr_ml.models.curve.target import CurveTarget
from nmr_ml.recovery_tests import shipped_testspecs
from nmr_ml.simulator import simulate
from training.data.dataset import component_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from nmr_ml.numeric.arrays import Floats
    from training.data.dataset import ComponentData

COMPONENT, LANDMARKS_H, REPEATS = "power", (0.0, 24.0, 48.0), 3
SETTINGS = TreeSettings()


def main(athletes: int, days: int, seed: int) -> None:
    """Print the table."""
    data = simulated(athletes, days, seed)
    names = feature_contract().names
    # The first fit compiles what it needs.
    few = np.arange(200)
    fit_curve(
        data.X[:200], few, data.followed.take(few), data.athlete[few], data.modality[few],
        TreeSettings(max_rounds=10), names,
    )  # fmt: skip
    started = time.process_time()
    fit = fit_curve(
        data.X, data.row_episode, data.followed, data.athlete, data.modality, SETTINGS, names
    )
    whole = time.process_time() - started
    weight = 1.0 / np.bincount(data.row_episode)[data.row_episode]
    target = CurveTarget(fit.grid, fit.table, data.row_episode, weight / weight.mean())
    offset, spread, rounds = fit.boosted.model.offset, fit.boosted.model.spread, fit.boosted.rounds
    _, centre, _ = target.moments(np.tile(offset, (len(data.X), 1)), spread)

    ours, theirs = fastest(
        lambda: grow(data.X, target, offset, spread, SETTINGS, rounds=rounds, names=names),
        lambda: squared_error(data.X, (centre - offset)[:, :2], rounds),
    )
    print(f"{len(data.X):,} rows, {data.X.shape[1]} features, {rounds} rounds")
    print(f"{theirs:6.1f} s  LightGBM, squared error of two outputs")
    print(f"{ours:6.1f} s  three outputs on the likelihood of the tests: x{ours / theirs:.2f}")
    print(f"{whole:6.1f} s  everything: shapes, errors of the tests, 5 folds, refit")


def simulated(athletes: int, days: int, seed: int) -> ComponentData:
    """Return the labelled episodes of a simulated cohort."""
    made = simulate(athletes=athletes, days=days, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cohort"
        write_cohort(
            path, name=made.name, timezone=made.timezone, tables=made.tables, truth=made.truth
        )
        return component_data(read_cohort(path), shipped_testspecs(), LANDMARKS_H)[COMPONENT]


def squared_error(X: Floats, y: Floats, rounds: int) -> None:
    """Fit `y`, shape (n, 2), by least squares with LightGBM's own objective, one output a model."""
    own = {"num_class", "num_tree_per_iteration"}
    params = {name: value for name, value in SETTINGS.params().items() if name not in own}
    for axis in (0, 1):
        lgb.train({**params, "objective": "regression"}, lgb.Dataset(X, y[:, axis]), rounds)


def fastest(*fits: Callable[[], object]) -> list[float]:
    """Return the least processor time of each in seconds."""
    taken = [[0.0] * REPEATS for _ in fits]
    for k in range(REPEATS):
        for i, fit in enumerate(fits):
            started = time.process_time()
            fit()
            taken[i][k] = time.process_time() - started
    return [min(times) for times in taken]


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*(given + [300, 90, 1][len(given) :]))
