"""One experiment: cohorts in, a candidate out."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmr_ml.bundle.bundle import Bundle, load_bundle, save_bundle
from nmr_ml.cohort.folder import fingerprint
from nmr_ml.cohort.reader import read_cohort
from nmr_ml.errors import DataError
from nmr_ml.features.contract import feature_contract
from nmr_ml.predictions.golden import golden_rows
from nmr_ml.recovery_tests import COMPONENTS, load_testspecs
from training.data.dataset import component_data, concatenate
from training.experiments.tracking import log_experiment
from training.fitting.availability import absence_data, fit_availability
from training.fitting.component import fit_component
from training.fitting.readings import fit_readings, reading_json
from training.reports.card import write_card

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.recovery_tests import TestSpec
    from training.config import TrainConfig
    from training.data.dataset import ComponentData
    from training.fitting.availability import FittedAvailability
    from training.fitting.component import FittedComponent
    from training.fitting.readings import FittedReading


@dataclass(frozen=True, slots=True)
class Trained:
    """What an experiment produced.

    Parameters
    ----------
    version : str
        Version in the registry, which the alias ``candidate`` now names.
    run_id : str
    digest : str
        SHA-256 of the bundle.
    card : mapping
    skipped : mapping of component to sentence
        Components that were not learnt, and why.
    """

    version: str
    run_id: str
    digest: str
    card: Mapping[str, Any]
    skipped: Mapping[str, str]


def train(
    paths: Sequence[Path],
    config: TrainConfig,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Read cohorts, fit every component they can teach, log, register and name the candidate.

    Raises
    ------
    DataError
        From reading, or ``nothing_learnt`` where no component has enough labelled episodes.
    OutsideError
        ``registry_unreachable``.
    """
    specs = load_testspecs()
    cohorts = []
    for path in paths:
        progress(f"reading {path.name}")
        cohorts.append(read_cohort(path, required=("athletes", "sessions", "tests")))
    progress("building features and labels")
    absences = [absence_data(cohort, specs) for cohort in cohorts]
    data = collect(cohorts, specs, config)
    trained_on = [describe(path, cohort) for path, cohort in zip(paths, cohorts, strict=True)]
    fitted, skipped = fit_components(data, specs, config, progress=progress)
    progress("fitting availability")
    availability = fit_availability(absences, config)
    progress("fitting readings")
    readings = fit_readings(cohorts, data, fitted, specs, config)
    bundle = assemble(fitted, specs, config, trained_on, availability, readings)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bundle"
        digest = save_bundle(bundle, folder)
        load_bundle(folder)
        progress("logging and registering")
        run_id, number = log_experiment(folder, bundle.card, config, trained_on, digest)
    return Trained(number, run_id, digest, bundle.card, skipped)


def collect(
    cohorts: Sequence[Cohort], specs: Mapping[str, TestSpec], config: TrainConfig
) -> dict[str, list[ComponentData]]:
    """Return each component's labelled episodes, one entry per cohort that has any."""
    found: dict[str, list[ComponentData]] = {}
    for cohort in cohorts:
        parts = component_data(cohort, specs, config.landmarks_h)
        for name, part in parts.items():
            found.setdefault(name, []).append(part)
    return found


def fit_components(
    data: Mapping[str, Sequence[ComponentData]],
    specs: Mapping[str, TestSpec],
    config: TrainConfig,
    *,
    progress: Callable[[str], None],
) -> tuple[dict[str, FittedComponent], dict[str, str]]:
    """Fit the components with enough labelled athletes and episodes; say why the others are not."""
    fitted: dict[str, FittedComponent] = {}
    skipped: dict[str, str] = {}
    for name in COMPONENTS:
        parts = data.get(name, [])
        if reason := _too_little(parts, config):
            skipped[name] = reason
            continue
        progress(f"fitting {name}")
        fitted[name] = fit_component(concatenate(parts), specs, feature_contract(), config)
    if not fitted:
        raise DataError(
            "nothing_learnt",
            "No component has enough labelled episodes: "
            + "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
            + ".",
            "Add athletes with at least 3 rested tests each and tests after sessions, or lower "
            "least_athletes and least_episodes.",
        )
    return fitted, skipped


def _too_little(parts: Sequence[ComponentData], config: TrainConfig) -> str:
    """Return why these episodes cannot teach a component; empty where they can."""
    if not parts:
        return "no labelled episode"
    if len(tests := {p.index_test for p in parts}) > 1:
        return f"the cohorts have different index tests ({', '.join(sorted(tests))})"
    athletes = len({name for p in parts for name in p.athlete})
    episodes = sum(len(p.athlete) for p in parts)
    if athletes < config.least_athletes or episodes < config.least_episodes:
        return (
            f"{episodes} labelled episodes of {athletes} athletes, needed "
            f"{config.least_episodes} of {config.least_athletes}"
        )
    return ""


def assemble(
    fitted: Mapping[str, FittedComponent],
    specs: Mapping[str, TestSpec],
    config: TrainConfig,
    trained_on: Sequence[Mapping[str, Any]],
    availability: FittedAvailability,
    readings: Mapping[str, FittedReading],
) -> Bundle:
    """Return the bundle of the fitted components, its golden rows computed."""
    card = write_card(fitted, trained_on, config, version("nmr_ml"), availability)
    parts: dict[str, Any] = {
        "components": {name: component.model for name, component in fitted.items()},
        "specs": specs,
        "contract": feature_contract(),
        "availability": availability.model,
        "readings": {name: reading.model for name, reading in readings.items()},
        "card": card | {"readings": {n: reading_json(r, config) for n, r in readings.items()}},
    }
    return Bundle(**parts, golden=golden_rows(Bundle(**parts, golden={})))


def describe(path: Path, cohort: Cohort) -> dict[str, Any]:
    """Return what identifies a training cohort: its name, counts and a hash of its files."""
    return {
        "name": cohort.name,
        "fingerprint": fingerprint(path),
        "rows": {name: count.used for name, count in cohort.counts.items()},
        "quarantined": sum(count.quarantined for count in cohort.counts.values()),
    }
