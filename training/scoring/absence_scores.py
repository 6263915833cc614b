"""How well the ends of injury and systemic episodes are foretold, by what was observed of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.levels import INTERVAL_LEVEL
from training.scoring.bootstrap import compare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.models.availability.absences import Absences
    from nmr_ml.numeric.arrays import Bools, Floats


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one method foretold of episodes at their onset.

    Parameters
    ----------
    log_p : float64 array, shape (n,)
        Log probability of the interval in which the episode ended.
    quantiles : float64 array, shape (n, 3), h
        At `nmr_ml.levels.LEVELS`.
    """

    log_p: Floats
    quantiles: Floats

    @classmethod
    def empty(cls, n: int) -> Forecast:
        """Return forecasts that are all NaN."""
        return cls(np.full(n, np.nan), np.full((n, 3), np.nan))

    def where(self, own: Bools, other: Forecast) -> Forecast:
        """Return these forecasts for the episodes `own` and those of `other` for the rest."""
        return Forecast(
            np.where(own, self.log_p, other.log_p),
            np.where(own[:, None], self.quantiles, other.quantiles),
        )


def score_absences(
    absences: Absences, forecasts: Mapping[str, Forecast], scored: Bools,
    *, bootstrap: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Return scores of the episodes `scored` as JSON.

    ``icnll`` is minus the mean log probability of the interval of the end (open episodes count:
    theirs has no upper end); smaller is better. ``difference`` is that of the model minus that of
    another method, with its athlete-clustered 95 % interval. ``mae_h``, ``interval_score_h``
    (Gneiting and Raftery 2007: width plus the misses times 2/alpha) and ``coverage_80`` are of the
    resolved episodes alone, so long ones are missing from them.
    """
    losses = {name: -forecast.log_p for name, forecast in forecasts.items()}
    athlete = absences.athlete[scored]
    kinds = sorted(set(absences.kind[scored]))
    ended = scored & absences.resolved
    parts = {name: loss[scored] for name, loss in losses.items()}
    difference = compare(parts, athlete, bootstrap=bootstrap, seed=seed).difference
    return {
        "episodes_n": int(scored.sum()),
        "resolved_n": int(ended.sum()),
        "athletes_n": len(set(athlete)),
        "icnll": {name: float(loss[scored].mean()) for name, loss in losses.items()},
        "icnll_by_kind": {
            kind: {
                name: float(loss[scored & (absences.kind == kind)].mean())
                for name, loss in losses.items()
            }
            for kind in kinds
        },
        "difference": {
            name: {"value": e.value, "lower": e.lower, "upper": e.upper}
            for name, e in difference.items()
        },
        **_of_resolved(
            absences.lasted_h[ended], {n: f.quantiles[ended] for n, f in forecasts.items()}
        ),
    }


def _of_resolved(lasted_h: Floats, quantiles: Mapping[str, Floats]) -> dict[str, dict[str, float]]:
    if not lasted_h.size:
        return {}
    miss = 2.0 / (1.0 - INTERVAL_LEVEL)
    found: dict[str, dict[str, float]] = {"mae_h": {}, "interval_score_h": {}, "coverage_80": {}}
    for name, q in quantiles.items():
        low, middle, high = q.T
        outside = np.maximum(low - lasted_h, 0.0) + np.maximum(lasted_h - high, 0.0)
        found["mae_h"][name] = float(np.abs(lasted_h - middle).mean())
        found["interval_score_h"][name] = float((high - low + miss * outside).mean())
        found["coverage_80"][name] = float((outside == 0).mean())
    return found
