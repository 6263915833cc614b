"""The model card: what the model is for, what it learnt from and how well it does, by the run."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nmr_ml.models.curve.read_off import CURVE_H
from nmr_ml.recovery_tests import AVAILABILITY
from training.baselines.curves import MODALITY
from training.baselines.durations import BY_KIND
from training.fitting.availability import LAW
from training.reports.convergence import convergence_json
from training.scoring.as_json import brier_json, estimate_json, scores_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.config import TrainConfig
    from training.fitting.availability import FittedAvailability
    from training.fitting.component import FittedComponent
    from training.fitting.credit import Credit

INTENDED_USE = (
    "Estimates training readiness for healthy athletes; general wellness and performance use; not "
    "a medical device; does not diagnose, treat or prevent disease, injury or overtraining "
    "syndrome; do not use to clear return to play after injury or concussion."
)
LIMITS = (
    "Intervals are calibrated on tests of held-out athletes inside the follow-up.",
    "Beyond the follow-up, and in groups of fewer than 20 athletes, they rest on the model.",
    "Only the clearance time carries a guarantee, on average over new athletes like those here.",
    "The end of an injury or systemic episode is the date on record; it is no clearance.",
    "Drivers are associations in the training data, not causes.",
)


def write_card(
    fitted: Mapping[str, FittedComponent],
    trained_on: Sequence[Mapping[str, Any]],
    config: TrainConfig,
    package_version: str,
    availability: FittedAvailability,
) -> dict[str, Any]:
    """Return the card as JSON: training data, held-out scores by component, limits and use."""
    return {
        "intended_use": INTENDED_USE,
        "limits": list(LIMITS),
        "nmr_ml_version": package_version,
        "trained_on": list(trained_on),
        "config": config.model_dump(mode="json"),
        "curve_h": list(CURVE_H),
        "components": {
            name: {
                "index_test": component.model.index_test,
                "figures": dict(component.figures),
                "error_disagrees": component.model.measurement.error_disagrees,
                "family": {
                    test: {**asdict(scale), "told": scale.told}
                    for test, scale in component.model.measurement.family.items()
                },
                "held_out_brier": brier_json(component.held_out.figures.brier),
                "held_out": scores_json(component.held_out),
                "held_out_time": _late_json(component, config),
                "credit": {g: credit_json(c) for g, c in component.credit.items()},
                "baselines": component.baselines.as_json(),
            }
            for name, component in fitted.items()
        },
        "availability": availability_json(availability),
        "convergence": {
            AVAILABILITY: convergence_json(availability.searches),
            **{name: convergence_json(part.searches) for name, part in fitted.items()},
        },
    }


def credit_json(credit: Credit) -> dict[str, Any]:
    """Return what a group of features is worth on held-out athletes, in nats per episode."""
    return {
        "earned": credit.earned,
        "slope": estimate_json(credit.slope),
        "gain": estimate_json(credit.gain),
    }


def availability_json(fitted: FittedAvailability) -> dict[str, Any]:
    """Return what was learnt of injury and systemic episodes, and how well, as JSON."""
    model = fitted.model
    return {
        "counted": {kind: asdict(count) for kind, count in model.counted.items()},
        "too_few": {k: model.needed(k) for k in model.counted if not model.learnt(k)},
        "law": None if model.law is None else asdict(model.law),
        "trees": 0 if model.trees is None else model.trees.booster.num_trees(),
        "held_out": fitted.held_out,
        "answered_by": {
            kind: BY_KIND if model.by_median(kind) else LAW
            for kind in model.counted
            if model.learnt(kind)
        },
        "gain": {kind: estimate_json(gain) for kind, gain in fitted.gain.items()},
        "baselines": None if fitted.baselines is None else fitted.baselines.as_json(),
    }


def _late_json(component: FittedComponent, config: TrainConfig) -> dict[str, Any] | None:
    """Return the scores after the cut, and where that is, as a share of each cohort's time."""
    scores = component.held_out_time
    if scores is None:
        return None
    brier = brier_json(scores.figures.brier)
    return {"trained_until": config.held_out_time, "brier": brier, **scores_json(scores)}


def beats_baseline(scores: Mapping[str, Any]) -> bool:
    """Return whether the model beats the median by modality beyond the bootstrap's noise."""
    difference = scores["difference"].get(MODALITY)
    return bool(difference) and difference["upper"] is not None and difference["upper"] < 0
