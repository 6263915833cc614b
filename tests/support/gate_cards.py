"""Report cards that the promotion gate passes or refuses."""

from __future__ import annotations

from typing import Any

OTHERS = {"overall_median": 0.22, "persistence": 0.24}


def card(**components: tuple[float, float, float] | None) -> dict[str, Any]:
    """Return a card by component: difference to the median by modality with its interval."""
    return {"components": {name: {"held_out_brier": _scores(d)} for name, d in components.items()}}


def _scores(difference: tuple[float, float, float] | None) -> dict[str, Any]:
    if difference is None:
        return {"athletes_n": 0, "tests_n": 0, "by_window": {}, "score": {}, "difference": {}}
    value, lower, upper = difference
    ends = {"value": value, "lower": lower, "upper": upper}
    score = {"model": 0.2 + value, "modality_median": 0.2, **OTHERS}
    return {"athletes_n": 9, "tests_n": 99, "score": score, "difference": {"modality_median": ends}}


GOOD, WEAK, BAD = (-0.02, -0.03, -0.01), (-0.001, -0.01, 0.01), (0.002, -0.01, 0.02)


METHODS = {
    "model", "modality_median", "overall_median", "load_lookup", "banister_decay", "linear",
    "eb_l2", "persistence",
}  # fmt: skip
