"""How long injuries and systemic episodes last, by kind and grade: a law of log hours.

``log T = location + athlete + scale · Z``: location and scale of each kind are drawn towards those
of both kinds together, the grades of a kind towards the kind, and every athlete has an offset of
their own. The fit is the mode of the posterior with the athletes' offsets integrated over a grid
(method.md §6), from interval-censored ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.models.availability.interval_likelihood import (
    LOGISTIC,
    NORMAL,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.numeric.arrays import Floats, Objects


FAMILIES = {"lognormal": NORMAL, "loglogistic": LOGISTIC}
#: SD of Z: what turns a variance of log hours into a scale.
SD_OF_Z = {"lognormal": 1.0, "loglogistic": np.pi / np.sqrt(3.0)}
#: The athlete's offset in units of its SD, and its log prior weights.
NODES = np.linspace(-4.0, 4.0, 41)
LOG_PRIOR = -0.5 * NODES**2 - np.log(np.exp(-0.5 * NODES**2).sum())


@dataclass(frozen=True, slots=True)
class DurationLaw:
    """A fitted law.

    Parameters
    ----------
    family : {"lognormal", "loglogistic"}
    location, location_se, scale : mapping of kind to float
        Of log hours; `location_se` is the posterior SD of the location, with the spread of the
        grades in it where they have locations of their own.
    grades : mapping of kind to mapping of grade to (location, SE)
        Empty where the grades say nothing about the length of held-out episodes.
    athlete_sd : float
    """

    family: str
    location: Mapping[str, float]
    location_se: Mapping[str, float]
    scale: Mapping[str, float]
    grades: Mapping[str, Mapping[str, tuple[float, float]]]
    athlete_sd: float

    @property
    def code(self) -> int:
        """The family as the kernels know it."""
        return FAMILIES[self.family]

    @property
    def nodes(self) -> Floats:
        """Possible offsets of an athlete, in log hours; their prior weights are `LOG_PRIOR`."""
        return NODES * self.athlete_sd

    def place(self, kind: Objects, grade: Objects) -> tuple[Floats, Floats]:
        """Return mu and scale of each episode, NaN for a kind that was not fitted.

        The scale holds what is not known of the location. Where the grade is not known or was
        never seen, that is the spread of the grades of the kind.
        """
        found = [self._place(k, g) for k, g in zip(kind, grade, strict=True)]
        mu, scale = np.array(found, np.float64).reshape(-1, 2).T
        return np.ascontiguousarray(mu), np.ascontiguousarray(scale)

    def _place(self, kind: str, grade: str | None) -> tuple[float, float]:
        if kind not in self.location:
            return np.nan, np.nan
        mu, se = self.grades.get(kind, {}).get(
            label(grade), (self.location[kind], self.location_se[kind])
        )
        return mu, float(np.hypot(self.scale[kind], se / SD_OF_Z[self.family]))


def label(grade: str | None) -> str:
    """Return the name under which a law keeps a grade; that of no grade is empty."""
    return grade or ""
