"""The project's model beside the methods that a user might take instead, on simulated athletes.

    python -m benchmarks.methods [--seeds 9001:2.5,9002:4] [--cache DIR] [--small] [--out FILE]

Every method is fitted to the same 300 athletes x 90 days (features at the clock start, noisy jump
tests as labels) and answers the same new athletes with quantiles of the recovery time; the truth
comes from the simulator. Two kinds of rows are no competitors: those marked "true T" were fitted to
the true times, which no user has, and show what the features would allow. Choices of this file were
made on seeds 101 and 102; the table is for seeds that none of them saw. Times are CPU seconds of
this process, one thread. A method whose package is not installed is left out, and standard error
says so.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.rivals.cells import EDGES_H, below_by_cell
from benchmarks.rivals.method import Training
from benchmarks.rivals.problem import (
    INDEX_TEST,
    TEST_SEED_SHIFT,
    Origin,
    make_side,
    specs_for,
    strangers,
)
from benchmarks.rivals.scores import crps, difference, probability_until, scores
from nmr_ml.numeric.arrays import owners
from training.scoring.scores import brier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.rivals.cells import PopulationCells
    from benchmarks.rivals.method import Answer
    from benchmarks.rivals.problem import Side
    from nmr_ml.numeric.arrays import Floats


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the table: where its `fit` is, and which package it needs."""

    name: str
    module: str
    fit: str = "fit"
    needs: str = "lightgbm"


ENTRIES = (
    Entry("nmr_ml, fast", "ours", "fit_fast"),
    Entry("nmr_ml, accurate", "ours", "fit_accurate"),
    Entry("XGBoost AFT", "xgboost_aft", needs="xgboost"),
    Entry("scikit-survival GBSA", "survival_trees", "fit_boosting", "sksurv"),
    Entry("scikit-survival RSF", "survival_trees", "fit_forest", "sksurv"),
    Entry("lifelines log-normal AFT", "lifelines_aft", needs="lifelines"),
    Entry("NGBoost log-normal", "ngboost_lognormal", needs="ngboost"),
    Entry("LightGBM, midpoints", "lightgbm_points", "fit_midpoints"),
    Entry("LightGBM, empirical Bayes", "lightgbm_points", "fit_empirical_bayes"),
    Entry("mixed-effects curve", "mixed_curve", needs="statsmodels"),
    Entry("population by modality", "medians", "fit_population"),
    Entry("true T: median by modality", "medians", "fit_truth"),
    Entry("true T: same booster", "ceiling", "fit_same_booster"),
    Entry("true T: averaged with quantile boosters", "ceiling", "fit_averaged"),
)
FIRST = ENTRIES[0].name
WARM_UP = 400


def main() -> None:
    """Run what the command line asks for, print the tables and write them."""
    asked = _arguments()
    athletes, test_athletes = (60, 30) if asked.small else (asked.athletes, asked.test_athletes)
    document: dict[str, Any] = {}
    for seed, error in asked.seeds:
        train = make_side(Origin(athletes, asked.days, seed, error), asked.cache)
        test = strangers(
            make_side(Origin(test_athletes, asked.days, seed + TEST_SEED_SHIFT, error), asked.cache)
        )
        delta = specs_for(error)[INDEX_TEST].delta
        found = run(train, test, delta, asked.only)
        document[f"test error {error:g} %, seed {seed}"] = found
        print(f"\ntest error {error:g} %, seed {seed}\n{report(found)}", flush=True)
    if asked.out is not None:
        asked.out.write_text(json.dumps(document, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=_seeds, default="9001:2.5,9002:4", metavar="SEED:ERROR,…")
    parser.add_argument("--athletes", type=int, default=300)
    parser.add_argument("--test-athletes", type=int, default=200)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--small", action="store_true", help="60 athletes, 30 new ones")
    parser.add_argument("--only", nargs="*", default=None, help="words of the names to run")
    parser.add_argument("--cache", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    return parser.parse_args()


def _seeds(text: str) -> list[tuple[int, float]]:
    pairs = [part.split(":") for part in text.split(",")]
    return [(int(seed), float(error)) for seed, error in pairs]


def run(train: Side, test: Side, delta: float, only: Sequence[str] | None = None) -> dict[str, Any]:
    """Fit and score every method that is installed."""
    training = Training(train.take(np.flatnonzero(train.labelled)), delta)
    answers, times = {}, {}
    asked = [e for e in ENTRIES if only is None or any(word in e.name for word in only)]
    for entry in asked:
        if find_spec(entry.needs) is None:
            print(f"{entry.needs} is not installed (extra: bench): no {entry.name}",
                  file=sys.stderr)  # fmt: skip
            continue
        fit = getattr(importlib.import_module(f"benchmarks.rivals.{entry.module}"), entry.fit)
        _warm_up(fit, training)
        start = time.process_time()
        answer = fit(Training(training.side, delta))
        fitted = time.process_time()
        answers[entry.name] = answer(test)
        times[entry.name] = (fitted - start, time.process_time() - fitted)
        print(f"{entry.name}: {times[entry.name][0]:.1f} s", file=sys.stderr, flush=True)
    if not answers:
        raise SystemExit("no method that was asked for is there")
    return _scored(training, test, answers, times)


def _warm_up(fit: Callable[[Training], Answer], training: Training) -> None:
    """Fit a few episodes, so that no time is taken for compiling or importing."""
    # Whole athletes, since some methods fit effects of theirs.
    few = training.side.take(np.arange(min(WARM_UP, len(training.side))))
    fit(Training(few, training.delta))(few)


def _scored(
    training: Training, test: Side, answers: dict[str, Floats],
    times: dict[str, tuple[float, float]],
) -> dict[str, Any]:  # fmt: skip
    cells, _, _ = training.cells()
    labelled = np.flatnonzero(test.labelled)
    told = test.take(labelled)
    below = {n: below_delta(cells, told, q[labelled]) for n, q in answers.items()}
    smoothed = brier(
        told.data.followed, training.delta, below, told.data.athlete, bootstrap=100, seed=0
    )
    losses = {name: crps(q, test.truth_h) for name, q in answers.items()}
    first = next(iter(answers))
    methods = {}
    for name, q in answers.items():
        methods[name] = scores(q, test.truth_h) | {
            "brier": smoothed.score[name],
            "fit_cpu_s": times[name][0],
            "predict_cpu_s_per_1000": 1000 * times[name][1] / len(test),
            "crps_minus_first_h": asdict(
                difference(losses[name], losses[first], test.data.athlete)
            ),
        }
    return {
        "train": {"athletes": len(set(training.side.data.athlete)), "episodes": len(training.side)},
        "test": {"athletes": len(set(test.data.athlete)), "episodes": len(test)},
        "methods": methods,
    }


def below_delta(cells: PopulationCells, side: Side, quantiles: Floats) -> Floats:
    """Return for every test of `side` the probability that it reads below δ, errors included."""
    until = probability_until(quantiles, EDGES_H[1:-1])
    none, one = np.zeros((len(side), 1)), np.ones((len(side), 1))
    mass = np.diff(np.hstack([none, until, one]), axis=1)
    followed = side.data.followed
    owner = owners(followed.offsets)
    by_cell = below_by_cell(cells, followed, side.data.modality)
    return np.asarray((by_cell * mass[owner]).sum(axis=1))


COLUMNS = ("method", "CRPS h", "minus ours (95 %)", "MAE h", "bias h", "in 80 %", "width h", "C",
           "Brier", "fit CPU s", "1000 answers CPU s")  # fmt: skip


def report(found: dict[str, Any]) -> str:
    """Return the table as Markdown."""
    train, test = found["train"], found["test"]
    lines = [
        f"fitted to {train['athletes']} athletes, {train['episodes']:,} labelled episodes",
        f"asked about {test['athletes']} new athletes, {test['episodes']:,} episodes",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---|" + "---:|" * (len(COLUMNS) - 1),
    ]
    for name, m in found["methods"].items():
        d = m["crps_minus_first_h"]
        gap = "" if name == FIRST else f"{d['value']:+.2f} ({d['lower']:+.2f}, {d['upper']:+.2f})"
        cells = (
            name, f"{m['crps_h']:.2f}", gap, f"{m['mae_h']:.2f}", f"{m['bias_h']:+.1f}",
            f"{m['coverage_80']:.3f}", f"{m['width_80_h']:.0f}", f"{m['c_index']:.3f}",
            f"{m['brier']:.4f}", f"{m['fit_cpu_s']:.1f}", f"{m['predict_cpu_s_per_1000']:.2f}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
