"""Calibration on what can be observed: the tests of held-out athletes inside the follow-up.

The prior of an episode's curve is moved along log tau and its spread scaled, by group of athletes,
so that the tests of athletes whom the model did not see are most likely; each athlete counts once.
Where a group has too few athletes the correction of all groups is used and the group is marked
``model_based``. Beyond the follow-up nothing is observed and the curve's family alone speaks, which
is never quite right: `DISCREPANCY` stands for that, and nothing observed makes a spread narrower.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nmr_ml.curve import normal_weights
from nmr_ml.kernels import kept
from nmr_ml.latent import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nmr_ml.curve import CurveGrid

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Objects = NDArray[np.object_]

#: Shifts of log tau and log scales of the spread that are tried.
SHIFTS = np.linspace(-0.3, 0.3, 13)
LOG_SCALES = np.linspace(-0.45, 0.45, 13)
#: Spread of the prior around no correction of the pooled group, and around that of the others.
PRIOR_POOLED, PRIOR_GROUP = 0.15, 0.08
#: Spreads of log amplitude, log tau and slow share added for what no test inside the follow-up can
#: show: no athlete's curve is quite of the family. Chosen in simulation (300 athletes, seeds 103,
#: 9011-9013, 9021, 9022): against 0.25 for log tau alone, 80 % intervals hold the true times of new
#: athletes 2-4 points more often and those of their first sessions 5-7, at the same CRPS. Some for
#: the share as well brings nothing more.
DISCREPANCY = np.array([0.2, 0.15, 0.0])
#: Groups of fewer athletes are not calibrated by themselves.
LEAST_ATHLETES = 20
#: Group that stands for all athletes.
EVERYONE = "all"
COLD, KNOWN = "cold_start", "known"

Status = Literal["calibrated", "model_based"]


@dataclass(frozen=True, slots=True)
class Correction:
    """What is done to the prior of an episode.

    Parameters
    ----------
    shift : float, log h
        Added to the mean of log tau.
    scale : float
        What the spreads of log amplitude and log tau are multiplied by, 1 or more: tests inside the
        follow-up that ask for narrower curves do not speak for the hours beyond it. In simulation
        narrower ones held the true times of athletes with a past 3 % less often (seeds 102, 103).
    athletes_n : int
        Athletes behind it.
    status : "calibrated" or "model_based"
        The latter where too few athletes are behind it, so that the pooled correction is used.
    """

    shift: float = 0.0
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
        unlisted = Correction(everyone.shift, everyone.scale, 0, "model_based")
        return [self.groups.get(str(group), unlisted) for group in groups]

    def correct(
        self, means: Floats, spreads: Floats, groups: Objects
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Return corrected means and spreads, of shape (n, 3), and who is calibrated.

        The spreads hold the `DISCREPANCY`.
        """
        of = self.of(groups)
        shift = np.array([[0.0, c.shift, 0.0] for c in of]).reshape(-1, OUTPUTS)
        scale = np.array([c.scale for c in of])
        calibrated = np.array([c.status == "calibrated" for c in of], np.bool_)
        scaled = spreads * np.column_stack([scale, scale, np.ones(scale.size)])
        return means + shift, np.hypot(scaled, DISCREPANCY), calibrated

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: asdict(correction) for name, correction in self.groups.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Calibration:
        """Read what `as_json` returned."""
        return cls({name: Correction(**values) for name, values in content.items()})


def group_names(sex: Objects, episodes_n: Ints) -> Objects:
    """Return each query's group: sex, and whether any earlier episode of the athlete is known."""
    known = np.where(episodes_n > 0, KNOWN, COLD)
    names = [f"{s}/{k}" for s, k in zip(sex, known, strict=True)]
    return np.array(names, dtype=object)


@kept
def _log_evidence(
    table: NDArray[np.float32], log_amplitude: Floats, log_tau: Floats, share: Floats,
    means: Floats, spreads: Floats, shifts: Floats, scales: Floats,
) -> Floats:  # fmt: skip
    """Return log p(tests) for every shift and scale, shape (n, n_shifts, n_scales)."""
    n, n_w, n_a, n_b = table.shape
    mixed = np.empty((n_a, n_b))
    evidence = np.empty((n, shifts.size, scales.size))
    over_a = np.empty(n_b)
    for q in range(n):
        ww = normal_weights(share, means[q, 2], spreads[q, 2])
        mixed[:] = 0.0
        for w in range(n_w):
            mixed += ww[w] * table[q, w]
        for c in range(scales.size):
            wa = np.exp(-0.5 * ((log_amplitude - means[q, 0]) / (scales[c] * spreads[q, 0])) ** 2)
            wa /= max(wa.sum(), 1e-300)
            over_a[:] = 0.0
            for i in range(n_a):
                if wa[i] > 1e-9:
                    for j in range(n_b):
                        over_a[j] += wa[i] * mixed[i, j]
            for b in range(shifts.size):
                centre = means[q, 1] + shifts[b]
                wb = np.exp(-0.5 * ((log_tau - centre) / (scales[c] * spreads[q, 1])) ** 2)
                total = (wb * over_a).sum() / max(wb.sum(), 1e-300)
                evidence[q, b, c] = np.log(max(total, 1e-290))
    return evidence


def fit_calibration(
    table: NDArray[np.float32], grid: CurveGrid, means: Floats, spreads: Floats, groups: Objects,
    athlete: Objects, unknown: tuple[Floats, Floats] | None = None,
) -> Calibration:  # fmt: skip
    """Fit the correction of all episodes together, then that of each group around it.

    Parameters
    ----------
    table : float32 array, shape (n, n_w, n_a, n_b)
        Likelihood of each episode's tests, from `nmr_ml.curve.likelihood_tables`.
    means, spreads : float64 arrays, shape (n, 3)
        Priors from folds without the athlete.
    groups : object array of str, shape (n,)
        From `group_names`.
    athlete : object array of str, shape (n,)
    unknown : means and spreads, or None
        The same priors where nothing of the athlete is known. The shift of athletes without a past
        is that of all episodes seen so: first episodes are few and fall at the start of a season,
        when the level is another; their spread is what these ask for.
    """

    def evidence(means: Floats, spreads: Floats) -> Floats:
        return _log_evidence(
            table, grid.log_amplitude, grid.log_tau, grid.share, means, spreads, SHIFTS,
            np.exp(LOG_SCALES),
        )  # fmt: skip

    told = evidence(means, spreads)
    untold = told if unknown is None else evidence(*unknown)
    shift, log_scale, k = _best(told, athlete, (0.0, 0.0), PRIOR_POOLED)
    found = {EVERYONE: _correction(shift, log_scale, k)}
    for name in sorted(set(groups.tolist())):
        rows = groups == name
        own = _best(told[rows], athlete[rows], (shift, log_scale), PRIOR_GROUP)
        if unknown is not None and name.endswith(COLD):
            same = np.char.startswith(groups.astype(str), name.removesuffix(COLD))
            level, _, _ = _best(untold[same], athlete[same], (shift, log_scale), PRIOR_GROUP)
            own = (level, *own[1:])
        enough = own[2] >= LEAST_ATHLETES
        found[name] = _correction(*own) if enough else _correction(shift, log_scale, own[2])
    return Calibration(found)


def _best(
    evidence: Floats, athlete: Objects, centre: tuple[float, float], prior: float
) -> tuple[float, float, int]:
    """Return the most likely shift and log scale, and the number of athletes."""
    names, who = np.unique(athlete.astype(str), return_inverse=True)
    weight = 1.0 / np.bincount(who)[who]
    weight *= evidence.shape[0] / weight.sum()
    height = np.tensordot(weight, evidence, axes=1)
    height -= 0.5 * ((SHIFTS - centre[0]) / prior)[:, None] ** 2
    height -= 0.5 * ((LOG_SCALES - centre[1]) / prior) ** 2
    b, c = np.unravel_index(int(np.argmax(height)), height.shape)
    return (
        _peak(SHIFTS, height[:, c], int(b)), _peak(LOG_SCALES, height[b], int(c)), int(names.size)
    )  # fmt: skip


def _peak(values: Floats, height: Floats, best: int) -> float:
    """Return where the parabola through the highest of evenly spaced `values` peaks."""
    if not 0 < best < values.size - 1:
        return float(values[best])
    left, middle, right = height[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return float(values[best] + 0.5 * (values[1] - values[0]) * (left - right) / bend)


def _correction(shift: float, log_scale: float, athletes_n: int) -> Correction:
    status: Status = "calibrated" if athletes_n >= LEAST_ATHLETES else "model_based"
    return Correction(shift, float(np.exp(max(log_scale, 0.0))), athletes_n, status)
