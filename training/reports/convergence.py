"""How the searches of a training ended: counts for the card and the run, a line for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nmr_ml.numeric.convergence import Search


def convergence_json(searches: Iterable[Search]) -> dict[str, dict[str, int]]:
    """Return by name how many searches there were, how many ended at their limit, and the steps."""
    found: dict[str, dict[str, int]] = {}
    for one in searches:
        counts = found.setdefault(one.name, {"searches": 0, "not_converged": 0, "most_steps": 0})
        counts["searches"] += 1
        counts["not_converged"] += not one.converged
        counts["most_steps"] = max(counts["most_steps"], one.steps)
    return dict(sorted(found.items()))


def not_converged(card: Mapping[str, Any]) -> dict[str, int]:
    """Return by part of the model how many of its searches ended at their limit."""
    return {
        part: sum(counts["not_converged"] for counts in searches.values())
        for part, searches in _parts(card).items()
    }


def not_converged_line(card: Mapping[str, Any]) -> str:
    """Return which searches ended at their limit, as ``power: team_spread 1 of 1``; empty if none.

    Parts stand with semicolons between them.
    """
    lines = []
    for part, searches in _parts(card).items():
        named = [
            f"{name} {counts['not_converged']} of {counts['searches']}"
            for name, counts in searches.items()
            if counts["not_converged"]
        ]
        if named:
            lines.append(f"{part}: {', '.join(named)}")
    return "; ".join(lines)


def _parts(card: Mapping[str, Any]) -> Mapping[str, Any]:
    # Cards of earlier versions do not tell.
    parts: Mapping[str, Any] = card.get("convergence", {})
    return parts
