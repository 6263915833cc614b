"""Scores as plain values, for the card and the tracked run."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.scoring.bootstrap import Compared, Estimate
    from training.scoring.forecast_scores import Figures, Group, Scores
    from training.scoring.scores import Brier


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
