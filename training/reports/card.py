"""The model card: what the model is for, what it learnt from and how well it does, by the run."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nmr_ml.models.curve.posterior import CURVE_H
from training.baselines.curves import MODALITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.config import TrainConfig
    from training.fitting.availability import FittedAvailability
    from training.fitting.component import FittedComponent
    from training.fitting.credit import Credit
    from training.scoring.bootstrap import Compared, Estimate
    from training.scoring.forecast_scores import Figures, Group, Scores
    from training.scoring.scores import Brier

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
        "baselines": None if fitted.baselines is None else fitted.baselines.as_json(),
    }


def _late_json(component: FittedComponent, config: TrainConfig) -> dict[str, Any] | None:
    """Return the scores after the cut, and where that is, as a share of each cohort's time."""
    scores = component.held_out_time
    if scores is None:
        return None
    brier = brier_json(scores.figures.brier)
    return {"trained_until": config.held_out_time, "brier": brier, **scores_json(scores)}


def scores_json(scores: Scores) -> dict[str, Any]:
    """Return all that tests say as JSON; the Brier score of all tests stands beside it."""
    return {
        **_figures_json(scores.figures),
        "pit": {m: shares.tolist() for m, shares in scores.pit.items()},
        "pit_bias": _compared_json(scores.pit_bias),
        "pit_spread": _compared_json(scores.pit_spread),
        "calibration": {m: [asdict(b) for b in bins] for m, bins in scores.calibration.items()},
        "groups": {
            split: {name: _group_json(group) for name, group in groups.items()}
            for split, groups in scores.groups.items()
        },
    }


def _group_json(group: Group) -> dict[str, Any]:
    if group.figures is None:
        return {"athletes_n": group.athletes_n, "tests_n": group.tests_n, "too_small": True}
    brier = brier_json(group.figures.brier)
    return {"too_small": False, "brier": brier, **_figures_json(group.figures)}


def _figures_json(figures: Figures) -> dict[str, Any]:
    return {
        "athletes_n": figures.athletes_n,
        "tests_n": figures.tests_n,
        "log_score": _compared_json(figures.log_score),
        "coverage_80": _compared_json(figures.coverage),
    }


def _compared_json(compared: Compared) -> dict[str, Any]:
    return {
        "score": {m: estimate_json(e) for m, e in compared.score.items()},
        "difference": {m: estimate_json(e) for m, e in compared.difference.items()},
    }


def estimate_json(estimate: Estimate) -> dict[str, float | None]:
    """Return the value and the ends of its interval, null where they are not known."""
    return {k: _finite(v) for k, v in asdict(estimate).items()}


def brier_json(brier: Brier) -> dict[str, Any]:
    """Return the scores as JSON, hours as text keys."""
    return {
        "athletes_n": brier.athletes_n,
        "tests_n": brier.tests_n,
        "by_window": {f"{h:.0f}": dict(scores) for h, scores in brier.by_window.items()},
        "score": dict(brier.score),
        "difference": {name: estimate_json(e) for name, e in brier.difference.items()},
    }


def _finite(value: float) -> float | None:
    """JSON has no NaN: with too few athletes an interval has no ends."""
    return value if math.isfinite(value) else None


def beats_baseline(scores: Mapping[str, Any]) -> bool:
    """Return whether the model beats the median by modality beyond the bootstrap's noise."""
    difference = scores["difference"].get(MODALITY)
    return bool(difference) and difference["upper"] is not None and difference["upper"] < 0
