"""What the availability model has to beat: the median length overall and that of the kind."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import ndtri

from nmr_ml.levels import LEVELS
from nmr_ml.models.availability.absences import bounds_ln
from nmr_ml.models.availability.interval_likelihood import NORMAL, interval_terms, rough_median
from nmr_ml.models.availability.law import DurationLaw
from nmr_ml.numeric.convergence import tell
from training.baselines.curves import OVERALL
from training.scoring.absence_scores import Forecast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.models.availability.absences import Absences
    from nmr_ml.numeric.arrays import Floats


BY_KIND = "kind_median"
#: With fewer resolved episodes than this the median of a kind is that of both.
LEAST_OF_KIND = 5


@dataclass(frozen=True, slots=True)
class DurationBaselines:
    """Log-normal laws without athletes, grades or pooling: (mean, SD) of log hours.

    Parameters
    ----------
    overall : tuple of float
    by_kind : mapping of kind to tuple of float
        Kinds with at least `LEAST_OF_KIND` resolved episodes.
    """

    overall: tuple[float, float]
    by_kind: Mapping[str, tuple[float, float]]

    def as_json(self) -> dict[str, Any]:
        """Return plain lists and numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> DurationBaselines:
        """Read what `as_json` returned."""
        by_kind = {kind: tuple(pair) for kind, pair in content["by_kind"].items()}
        return cls(tuple(content["overall"]), by_kind)

    def law_of(self, kinds: Sequence[str]) -> DurationLaw | None:
        """Return the median by kind as a law of `kinds`; None for none."""
        found = {kind: self.by_kind.get(kind, self.overall) for kind in kinds}
        return None if not found else DurationLaw(
            family="lognormal",
            location={kind: mean for kind, (mean, _) in found.items()},
            location_se=dict.fromkeys(found, 0.0),
            scale={kind: sd for kind, (_, sd) in found.items()},
            grades={},
            athlete_sd=0.0,
        )  # fmt: skip

    def forecasts(self, absences: Absences) -> dict[str, Forecast]:
        """Return what each baseline foretells of the episodes at their onset."""
        quantiles = self.quantiles(absences, LEVELS)
        lower, upper = bounds_ln(absences)
        return {
            name: Forecast(interval_terms(lower, upper, mean, sd, NORMAL).log_p, quantiles[name])
            for name, (mean, sd) in self._laws(absences).items()
        }

    def quantiles(self, absences: Absences, levels: Floats) -> dict[str, Floats]:
        """Return quantiles of T by each baseline, shape (n, n_levels), h."""
        return {
            name: np.exp(mean[:, None] + sd[:, None] * ndtri(levels))
            for name, (mean, sd) in self._laws(absences).items()
        }

    def _laws(self, absences: Absences) -> dict[str, Floats]:
        """Return mean and SD of each episode by each baseline, shape (2, n)."""
        of_kind = [self.by_kind.get(kind, self.overall) for kind in absences.kind]
        anyone = [self.overall] * len(absences)
        return {
            BY_KIND: np.ascontiguousarray(np.array(of_kind).reshape(-1, 2).T),
            OVERALL: np.ascontiguousarray(np.array(anyone).reshape(-1, 2).T),
        }


def fit_duration_baselines(absences: Absences) -> DurationBaselines:
    """Fit the baselines by maximum likelihood."""
    lower, upper = bounds_ln(absences)
    by_kind = {}
    for kind in sorted(set(absences.kind)):
        own = absences.kind == kind
        if np.sum(own & absences.resolved) >= LEAST_OF_KIND:
            by_kind[kind] = _lognormal(lower[own], upper[own])
    return DurationBaselines(_lognormal(lower, upper), by_kind)


def _lognormal(lower_ln: Floats, upper_ln: Floats) -> tuple[float, float]:
    def loss(x: Floats) -> tuple[float, Floats]:
        same = np.ones(lower_ln.size)
        terms = interval_terms(lower_ln, upper_ln, x[0] * same, np.exp(x[1]) * same, NORMAL)
        return -terms.log_p.sum(), np.array([terms.slope.sum(), terms.scale_slope.sum()])

    start = np.array([rough_median(lower_ln, upper_ln), np.log(0.7)])
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-4})
    tell("absence_baseline", int(found.nit), converged=bool(found.success))
    return float(found.x[0]), float(np.exp(found.x[1]))
