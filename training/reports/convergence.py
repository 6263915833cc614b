"""How the searches of a training ended: counts for the card and the run, a line for a person."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.numeric.convergence import Search


def convergence_json(searches: Sequence[Search]) -> dict[str, dict[str, Any]]:
    """Return by name how the searches ended.

    ``searches`` counts them, ``not_converged`` those that ended at their limit; ``most_steps`` is
    of all, ``last_move`` the largest last move of the latter, null where that is not known.
    """
    names = sorted({search.name for search in searches})
    return {name: _counts([one for one in searches if one.name == name]) for name in names}


def _counts(searches: Sequence[Search]) -> dict[str, Any]:
    limited = [search for search in searches if not search.converged]
    moves = [one.moved for one in limited if one.moved is not None and math.isfinite(one.moved)]
    return {
        "searches": len(searches),
        "not_converged": len(limited),
        "most_steps": max(search.steps for search in searches),
        "last_move": max(moves, default=None),
    }


def not_converged(card: Mapping[str, Any]) -> dict[str, int]:
    """Return by part of the model how many of its searches ended at their limit."""
    return {
        part: sum(counts["not_converged"] for counts in searches.values())
        for part, searches in _parts(card).items()
    }


def not_converged_line(card: Mapping[str, Any]) -> str:
    """Return how many searches of each part ended at their limit, in a line; empty if none did.

    As in ``power 3 of 51, mostly population``.
    """
    return "; ".join(
        f"{part} {_told(searches)}"
        for part, searches in _parts(card).items()
        if any(counts["not_converged"] for counts in searches.values())
    )


def _told(searches: Mapping[str, Mapping[str, Any]]) -> str:
    limited = {name: counts["not_converged"] for name, counts in searches.items()}
    total = sum(counts["searches"] for counts in searches.values())
    most = max(limited, key=lambda name: limited[name])
    return f"{sum(limited.values())} of {total}, mostly {most}"


def _parts(card: Mapping[str, Any]) -> Mapping[str, Any]:
    # Cards of earlier versions do not tell.
    parts: Mapping[str, Any] = card.get("convergence", {})
    return parts
