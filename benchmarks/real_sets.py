"""What the model is worth on published athletes: the next reading, being recovered, strength.

    python -m benchmarks.real_sets DATA [SET…]

DATA is the folder of the published sets; SET is soccermon, pmdata or landers_ramos (all of them
without one). Everything is told of athletes that the fit left out, in 5 folds by athlete, with
athlete-clustered bootstrap intervals (95 %). Training takes minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.real import real_cohort
from benchmarks.strength import strength
from nmr_ml.features.contract import feature_contract
from nmr_ml.recovery_tests import shipped_testspecs
from training.config import load_config
from training.data.dataset import component_data
from training.fitting.component import fit_component
from training.fitting.readings import fit_reading, held_out_curves, reading_data, reading_errors
from training.scoring.bootstrap import compare

if TYPE_CHECKING:
    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.numeric.arrays import Bools, Floats, Objects
    from training.config import TrainConfig
    from training.fitting.component import FittedComponent
    from training.fitting.readings import FittedReading
    from training.scoring.bootstrap import Estimate


COMPONENT = "perceptual"


class Reference(NamedTuple):
    """What the README of the data says of next-morning values: pairs and mean absolute errors."""

    pairs_n: int
    persistence: float
    usual: float
    average: float
    model: float


#: By set and test. Those of PMData there are of all consecutive days, so they do not compare.
REFERENCES = {
    ("soccermon", "readiness"): Reference(10_970, 0.745, 0.693, 0.690, 0.602),
    ("soccermon", "soreness"): Reference(10_969, 0.387, 0.433, 0.404, 0.354),
}
TESTS = {"soccermon": ("readiness", "soreness"), "pmdata": ("readiness",)}


def main(data: Path, sets: tuple[str, ...]) -> None:
    """Print a section for each set that is there."""
    for name in sets:
        if not (data / name).is_dir():
            print(f"\n{name}: skipped, no folder {name} in the data.")
        elif name == "landers_ramos":
            print(_strength_section(data))
        else:
            cohort = real_cohort(name, data)
            for test in TESTS[name]:
                component, reading = fitted(cohort, test, load_config())
                print(_reading_section(name, test, reading), _brier_section(component), sep="\n")


def fitted(cohort: Cohort, test: str, config: TrainConfig) -> tuple[FittedComponent, FittedReading]:
    """Return the perceptual component on the scale of `test`, and its readings."""
    specs, chosen = shipped_testspecs(), {COMPONENT: test}
    data = component_data(cohort, specs, config.landmarks_h, chosen)[COMPONENT]
    component = fit_component(data, specs, feature_contract(), config)
    means = held_out_curves([data], component.held_out_means)
    pairs = reading_data(
        cohort, specs, component.model, means, config.landmarks_h, seed=config.seed
    )
    return component, fit_reading(pairs, test, config)


def next_morning(reading: FittedReading) -> Bools:
    """Return the pairs of the README: asked in the evening, an answer that day and the next."""
    data = reading.data
    asked: Bools = data.following & (data.last_age_d == 0) & (data.ahead_h < 24)
    return asked


def _reading_section(name: str, test: str, reading: FittedReading) -> str:
    data, rows = reading.data, next_morning(reading)
    reference = REFERENCES.get((name, test))
    errors = reading_errors(reading)
    errors["usual, rounded"] = np.abs(data.value - np.round(data.basis.usual))
    errors["average, rounded"] = np.abs(data.value - np.round(data.basis.start(0.5, 0.0)))
    errors["person mean (knows the future)"] = np.abs(data.value - _person_means(reading))
    compared = compare(
        {method: error[rows] for method, error in errors.items()}, data.athlete[rows],
        bootstrap=1000, seed=0,
    )  # fmt: skip
    inside = (reading.held_out.lower <= data.value) & (data.value <= reading.held_out.upper)
    lines = [
        f"\n{name}, {test} the morning after a session: {rows.sum():,} pairs of "
        f"{np.unique(data.athlete[rows].astype(str)).size} athletes"
        + (f" (README {reference.pairs_n:,})" if reference else ""),
        "| forecast | MAE | README | model - forecast |",
        "|---|---|---|---|",
    ]
    for method, score in compared.score.items():
        told = getattr(reference, method, None)
        lines.append(
            f"| {method} | {score.value:.3f} | {'' if told is None else f'{told:.3f}'} "
            f"| {_told(compared.difference.get(method), 3)} |"
        )
    lines.append(
        f"80 % interval: covers {inside[rows].mean():.3f} of the readings, "
        f"{_by_athlete(inside[rows], data.athlete[rows]):.3f} on average over athletes."
    )
    return "\n".join(lines)


def _person_means(reading: FittedReading) -> Floats:
    """Return the mean of each athlete's own next-morning values, these included."""
    data, rows = reading.data, next_morning(reading)
    _, who = np.unique(data.athlete.astype(str), return_inverse=True)
    sums = np.bincount(who[rows], data.value[rows], who.max() + 1)
    counts = np.bincount(who[rows], minlength=who.max() + 1)
    return np.asarray((sums / np.maximum(counts, 1))[who])


def _by_athlete(inside: Bools, athlete: Objects) -> float:
    _, who = np.unique(athlete.astype(str), return_inverse=True)
    return float((np.bincount(who, inside) / np.bincount(who)).mean())


def _brier_section(component: FittedComponent) -> str:
    brier = component.held_out.figures.brier
    lines = [
        f"\nBack to baseline, noise-smoothed Brier ({brier.athletes_n} athletes)",
        "| method | score | model - method |",
        "|---|---|---|",
    ]
    lines += [
        f"| {method} | {score:.4f} | {_told(brier.difference.get(method), 4)} |"
        for method, score in brier.score.items()
    ]
    return "\n".join(lines)


def _strength_section(data: Path) -> str:
    lines = ["\nlanders_ramos: change of strength 24 h after a 50 km race, per cent"]
    for assumed, found in strength(data).items():
        low, middle, high = found.overall
        if len(lines) == 1:
            lines += [
                f"Trained on {found.races_n} simulated long races, {found.columns_n} columns.",
                "| runner | observed | 10 % | median | 90 % | covered |",
                "|---|---|---|---|---|---|",
            ]
            rows = zip(found.observed, found.predicted, found.covered, strict=True)
            lines += [
                f"| {i + 1} | {seen:.1f} | {p[0]:.1f} | {p[1]:.1f} | {p[2]:.1f} "
                f"| {'yes' if held else 'no'} |"
                for i, (seen, p, held) in enumerate(rows)
            ]
        mean = found.observed.mean()
        lines.append(
            f"{assumed}: {found.covered.sum()} of {found.observed.size} covered; a runner "
            f"{low:.1f} to {high:.1f}, median {middle:.1f}, observed mean {mean:.1f} "
            f"{'inside' if low <= mean <= high else 'outside'}."
        )
    return "\n".join(lines)


def _told(estimate: Estimate | None, digits: int) -> str:
    if estimate is None:
        return ""
    value, low, high = (
        f"{x:+.{digits}f}" for x in (estimate.value, estimate.lower, estimate.upper)
    )
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(sys.argv[2:]) or (*TESTS, "landers_ramos"))
