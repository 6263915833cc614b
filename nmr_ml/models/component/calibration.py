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

from nmr_ml.models.curve.likelihood import normal_weights
from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nmr_ml.models.curve.likelihood import CurveGrid

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Objects = NDArray[np.object_]

#: Log scales of the spread that are tried.
LOG_SCALES = np.linspace(-0.45, 0.45, 13)
#: Spread of the log of the pooled scale around 0, and of those of groups around that.
PRIOR_POOLED, PRIOR_GROUP = 0.15, 0.08
#: Spreads of log amplitude, log tau and slow share added for what no test inside the follow-up can
#: show: no athlete's curve is quite of the family. Chosen in simulation (300 athletes, seeds 9031,
#: 9033, 9034, 9043 and 9051-9053) for intervals of 80 % that hold the true times of new athletes so
#: often; from 0.1 to 0.2 for log amplitude the CRPS moves by less than 0.4 %.
DISCREPANCY = np.array([0.13, 0.15, 0.0])
#: Groups of fewer athletes are not calibrated by themselves.
LEAST_ATHLETES = 20
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

    def correct(self, spreads: Floats, groups: Objects) -> tuple[Floats, NDArray[np.bool_]]:
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


@kept
def _log_evidence(
    table: NDArray[np.float32], log_amplitude: Floats, log_tau: Floats, share: Floats,
    means: Floats, spreads: Floats, scales: Floats,
) -> Floats:  # fmt: skip
    """Return log p(tests) for every scale, shape (n, n_scales)."""
    n, n_w, n_a, n_b = table.shape
    mixed, over_a = np.empty((n_a, n_b)), np.empty(n_b)
    evidence = np.empty((n, scales.size))
    for q in range(n):
        ww = normal_weights(share, means[q, 2], spreads[q, 2])
        mixed[:] = 0.0
        for w in range(n_w):
            mixed += ww[w] * table[q, w]
        for c in range(scales.size):
            wa = normal_weights(log_amplitude, means[q, 0], scales[c] * spreads[q, 0])
            wb = normal_weights(log_tau, means[q, 1], scales[c] * spreads[q, 1])
            over_a[:] = 0.0
            for i in range(n_a):
                if wa[i] > 1e-9:
                    for j in range(n_b):
                        over_a[j] += wa[i] * mixed[i, j]
            evidence[q, c] = np.log(max((wb * over_a).sum(), 1e-290))
    return evidence


def fit_calibration(
    table: NDArray[np.float32], grid: CurveGrid, means: Floats, spreads: Floats, groups: Objects,
    athlete: Objects, unknown: tuple[Floats, Floats, Objects] | None = None,
) -> Calibration:  # fmt: skip
    """Fit the scale of all episodes together, then that of each group around it.

    Parameters
    ----------
    table : float32 array, shape (n, n_w, n_a, n_b)
        Likelihood of each episode's tests, from `nmr_ml.models.curve.likelihood.likelihood_tables`.
    means, spreads : float64 arrays, shape (n, 3)
        Priors from folds without the athlete.
    groups : object array of str, shape (n,)
        From `group_names`.
    athlete : object array of str, shape (n,)
    unknown : means, spreads and groups, or None
        The same where no earlier episode of the athlete is known. They are fitted to as well:
        athletes without a past whom the folds hold are few.
    """

    def evidence(means: Floats, spreads: Floats) -> Floats:
        return _log_evidence(
            table, grid.log_amplitude, grid.log_tau, grid.share, means, spreads, np.exp(LOG_SCALES)
        )

    heights, named = evidence(means, spreads), groups
    pooled, k = _best(heights, athlete, 0.0, PRIOR_POOLED)
    found = {EVERYONE: _correction(pooled, k)}
    if unknown is not None:
        heights = np.concatenate([heights, evidence(*unknown[:2])])
        named, athlete = np.concatenate([groups, unknown[2]]), np.tile(athlete, 2)
    for name in sorted(set(named.tolist())):
        rows = named == name
        own, k = _best(heights[rows], athlete[rows], pooled, PRIOR_GROUP)
        found[name] = _correction(own if k >= LEAST_ATHLETES else pooled, k)
    return Calibration(found)


def _best(evidence: Floats, athlete: Objects, centre: float, prior: float) -> tuple[float, int]:
    """Return the most likely log scale, and the number of athletes."""
    names, who = np.unique(athlete.astype(str), return_inverse=True)
    weight = 1.0 / np.bincount(who)[who]
    weight *= evidence.shape[0] / weight.sum()
    height = weight @ evidence - 0.5 * ((LOG_SCALES - centre) / prior) ** 2
    return _peak(LOG_SCALES, height, int(np.argmax(height))), int(names.size)


def _peak(values: Floats, height: Floats, best: int) -> float:
    """Return where the parabola through the highest of evenly spaced `values` peaks."""
    if not 0 < best < values.size - 1:
        return float(values[best])
    left, middle, right = height[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return float(values[best] + 0.5 * (values[1] - values[0]) * (left - right) / bend)


def _correction(log_scale: float, athletes_n: int) -> Correction:
    status: Status = "calibrated" if athletes_n >= LEAST_ATHLETES else "model_based"
    return Correction(float(np.exp(max(log_scale, 0.0))), athletes_n, status)
