"""How long injuries and systemic episodes last, by what they are: a law of log hours.

``log T = location + shift + athlete + scale · Z``: location and scale of each kind are drawn
towards those of both kinds together, the grades of a kind towards the kind, its body regions,
diagnoses and pairs of them towards the average episode, and every athlete has an offset of their
own. The fit is the mode of the posterior with the athletes' offsets integrated over a grid
(method.md §6), from interval-censored ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
#: Stands among regions and diagnoses for those that training held none of.
UNSEEN = ""
#: A region or diagnosis that the record does not name.
UNKNOWN = "unknown"
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
    shifts : mapping of kind to mapping of body region to mapping of diagnosis to (shift, variance)
        What region and diagnosis add to the location, and to the square of its SE; that can be
        negative. Empty where they say nothing.
    spread : mapping of str to float
        SD of the shifts of regions, of diagnoses and of pairs of them, as far as they differ.
    """

    family: str
    location: Mapping[str, float]
    location_se: Mapping[str, float]
    scale: Mapping[str, float]
    grades: Mapping[str, Mapping[str, tuple[float, float]]]
    athlete_sd: float
    shifts: Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]] = field(
        default_factory=dict
    )
    spread: Mapping[str, float] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """The family as the kernels know it."""
        return FAMILIES[self.family]

    @property
    def nodes(self) -> Floats:
        """Possible offsets of an athlete, in log hours; their prior weights are `LOG_PRIOR`."""
        return NODES * self.athlete_sd

    def place(
        self, kind: Objects, grade: Objects, region: Objects, diagnosis: Objects
    ) -> tuple[Floats, Floats]:
        """Return mu and scale of each episode, NaN for a kind that was not fitted.

        The scale holds what is not known of the location. Where the grade is not known or was
        never seen, that is the spread of the grades of the kind; of a region or diagnosis that was
        never seen it is how much those differ.
        """
        cells = zip(kind, grade, region, diagnosis, strict=True)
        found = [self._place(*cell) for cell in cells]
        mu, scale = np.array(found, np.float64).reshape(-1, 2).T
        return np.ascontiguousarray(mu), np.ascontiguousarray(scale)

    def _place(
        self, kind: str, grade: str | None, region: str, diagnosis: str
    ) -> tuple[float, float]:
        if kind not in self.location:
            return np.nan, np.nan
        mu, se = self.grades.get(kind, {}).get(
            label(grade), (self.location[kind], self.location_se[kind])
        )
        shift, variance = self._shift(kind, region, diagnosis)
        unsure = np.sqrt(max(se**2 + variance, 0.0)) / SD_OF_Z[self.family]
        return mu + shift, float(np.hypot(self.scale[kind], unsure))

    def _shift(self, kind: str, region: str, diagnosis: str) -> tuple[float, float]:
        if kind not in self.shifts:
            return 0.0, 0.0
        by_diagnosis = self.shifts[kind].get(region, self.shifts[kind][UNSEEN])
        return by_diagnosis.get(diagnosis, by_diagnosis[UNSEEN])

    def is_strange(self, kind: str, grade: str | None, region: str, diagnosis: str) -> bool:
        """Return whether a grade, region or diagnosis that counts was never seen in training."""
        if grade is not None and kind in self.grades and grade not in self.grades[kind]:
            return True
        regions = self.shifts.get(kind, {UNSEEN: {}})
        of_words = (region, regions), (diagnosis, regions[UNSEEN])
        return any(len(seen) > 1 and told not in {UNKNOWN, *seen} for told, seen in of_words)


def label(grade: str | None) -> str:
    """Return the name under which a law keeps a grade; that of no grade is empty."""
    return grade or ""
