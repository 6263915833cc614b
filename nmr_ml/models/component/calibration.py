"""Calibration on what can be observed: the tests of held-out athletes inside the follow-up.

The spread of an episode's curve is scaled, by group of athletes, so that the tests of athletes whom
the model did not see are most likely; each athlete counts once. Where a group has too few athletes
the scale of all groups is used and the group is marked ``model_based``. Nothing is observed beyond
the follow-up. There the curve's family alone speaks, which is never quite right: `DISCREPANCY`
stands for that, and nothing observed makes a spread narrower. The level of the curves is the
model's, as shifts of log tau by group made the true times of new athletes worse in simulation (CRPS
by 0.4 % on average over the seeds 9031, 9033, 9034, 9043 and 9051-9053, by 2.7 % at most).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.numeric.arrays import Bools, Floats, Ints, Objects


#: Spreads of log amplitude, log tau and slow share added for what no test inside the follow-up can
#: show: no athlete's curve is quite of the family. Chosen in simulation (300 athletes, seeds 9031,
#: 9033, 9034, 9043 and 9051-9053) for intervals of 80 % that hold the true times of new athletes so
#: often; from 0.1 to 0.2 for log amplitude the CRPS moves by less than 0.4 %.
DISCREPANCY = np.array([0.13, 0.15, 0.0])
#: Group that stands for all athletes.
EVERYONE = "all"
#: What is known of an athlete: earlier labelled episodes; none of these; no more than a few days.
KNOWN, COLD, NEW = "known", "cold_start", "new"
#: An athlete without a labelled episode is new up to this many days after the first session on
#: record. Seasons start rested, which features tell only after some days.
NEW_D = 7.0
#: Of new athletes, chosen likewise: 0.1 more for log amplitude holds their true times 4 points more
#: often, at the same CRPS.
NEW_DISCREPANCY = np.array([0.3, 0.15, 0.0])

Status = Literal["calibrated", "model_based"]


@dataclass(frozen=True, slots=True)
class Correction:
    """What is done to the prior of an episode.

    Parameters
    ----------
    scale : float
        What the spreads of log amplitude and log tau are multiplied by, 1 or more: tests inside the
        follow-up that ask for narrower curves do not speak for the hours beyond it. In simulation
        narrower ones held the true times of athletes with a past 3 % less often (seeds 102, 103).
    athletes_n : int
        Athletes behind it.
    status : "calibrated" or "model_based"
        The latter where too few athletes are behind it, so that the pooled correction is used.
    """

    scale: float = 1.0
    athletes_n: int = 0
    status: Status = "model_based"


@dataclass(frozen=True, slots=True)
class Calibration:
    """The correction of each group; `EVERYONE` stands for those that are not listed."""

    groups: Mapping[str, Correction]

    def of(self, groups: Objects) -> list[Correction]:
        """Return the correction of each entry of `groups`."""
        everyone = self.groups[EVERYONE]
        unlisted = Correction(everyone.scale, 0, "model_based")
        return [self.groups.get(str(group), unlisted) for group in groups]

    def correct(self, spreads: Floats, groups: Objects) -> tuple[Floats, Bools]:
        """Return corrected spreads, of shape (n, 3), and who is calibrated.

        The spreads hold the `DISCREPANCY`.
        """
        of = self.of(groups)
        scale = np.array([c.scale for c in of])
        calibrated = np.array([c.status == "calibrated" for c in of], np.bool_)
        scaled = spreads * np.column_stack([scale, scale, np.ones(scale.size)])
        new = np.array([str(group).endswith(NEW) for group in groups], np.bool_)
        return np.hypot(scaled, np.where(new[:, None], NEW_DISCREPANCY, DISCREPANCY)), calibrated

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: asdict(correction) for name, correction in self.groups.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Calibration:
        """Read what `as_json` returned."""
        return cls({name: Correction(**values) for name, values in content.items()})


def group_names(sex: Objects, episodes_n: Ints, record_d: Floats) -> Objects:
    """Return each query's group: sex, and what is known of the athlete.

    Parameters
    ----------
    episodes_n : int64 array, shape (n,)
        Earlier labelled episodes.
    record_d : float64 array, shape (n,), d
        Since the athlete's first session on record; NaN without one.
    """
    known = np.where(episodes_n > 0, KNOWN, np.where(record_d >= NEW_D, COLD, NEW))
    names = [f"{s}/{k}" for s, k in zip(sex, known, strict=True)]
    return np.array(names, dtype=object)
