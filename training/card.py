"""The model card: what the model is for, what it learnt from and how well it does, by the run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nmr_ml.posterior import CURVE_H
from training.baselines import MODALITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.config import TrainConfig
    from training.fitting import FittedComponent
    from training.scores import Brier

INTENDED_USE = (
    "Estimates training readiness for healthy athletes; general wellness and performance use; not "
    "a medical device; does not diagnose, treat or prevent disease, injury or overtraining "
    "syndrome; do not use to clear return to play after injury or concussion."
)
LIMITS = (
    "Intervals are model-based and not yet calibrated on held-out athletes.",
    "Injury and systemic episodes are not learnt; the model abstains.",
    "Drivers are associations in the training data, not causes.",
)


def write_card(
    fitted: Mapping[str, FittedComponent],
    trained_on: Sequence[Mapping[str, Any]],
    config: TrainConfig,
    package_version: str,
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
                "held_out_brier": brier_json(component.brier),
                "baselines": component.baselines.as_json(),
            }
            for name, component in fitted.items()
        },
    }


def brier_json(brier: Brier) -> dict[str, Any]:
    """Return the scores as JSON, hours as text keys."""
    return {
        "athletes_n": brier.athletes_n,
        "tests_n": brier.tests_n,
        "by_window": {f"{h:.0f}": dict(scores) for h, scores in brier.by_window.items()},
        "score": dict(brier.score),
        "difference": {
            name: {k: _finite(getattr(e, k)) for k in ("value", "lower", "upper")}
            for name, e in brier.difference.items()
        },
    }


def _finite(value: float) -> float | None:
    """JSON has no NaN: with too few athletes an interval has no ends."""
    return value if math.isfinite(value) else None


def beats_baseline(scores: Mapping[str, Any]) -> bool:
    """Return whether the model beats the median by modality beyond the bootstrap's noise."""
    difference = scores["difference"].get(MODALITY)
    return bool(difference) and difference["upper"] is not None and difference["upper"] < 0
