"""What was learnt for one component, and the numbers it gives for a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.levels import LEAST_RATIO, LEVELS, MOST_DRIVERS
from nmr_ml.models.component.calibration import group_names
from nmr_ml.models.curve.posterior import read_off_curves, recovery_quantiles

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.component.calibration import Calibration
    from nmr_ml.models.component.clearance import Clearance
    from nmr_ml.models.component.offsets import OffsetPrior, Offsets
    from nmr_ml.models.curve.boosted import BoostedCurve
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.models.curve.measurement import Measurement
    from nmr_ml.models.curve.read_off import ReadOff
    from nmr_ml.numeric.arrays import Bools, Floats, Objects
    from nmr_ml.recovery_tests import Component


@dataclass(frozen=True, slots=True)
class ComponentModel:
    """A fitted component.

    Parameters
    ----------
    component : str
    index_test : str
        The test whose scale its deficits are on.
    curve : BoostedCurve
    grid : CurveGrid
    measurement : Measurement
        How its tests are to be read.
    offsets : OffsetPrior
        How athletes and teams differ.
    calibration : Calibration
    clearance : Clearance
    follow_up_h : float, h
        The tests it learnt from lie within these hours of the clock start.
    seen_low, seen_high : float64 arrays, shape (n_features,)
        Range of each feature in training, widened; NaN where it was never present.
    athletes_n, episodes_n : int
        Labelled athletes and episodes it learnt from.
    """

    component: Component
    index_test: str
    curve: BoostedCurve
    grid: CurveGrid
    measurement: Measurement
    offsets: OffsetPrior
    calibration: Calibration
    clearance: Clearance
    follow_up_h: float
    seen_low: Floats
    seen_high: Floats
    athletes_n: int
    episodes_n: int

    def out_of_distribution(self, X: Floats, watched: Bools) -> Bools:
        """Return for each row whether a `watched` feature lies outside what training held."""
        never_seen = np.isnan(self.seen_low) & ~np.isnan(X)
        outside = (X < self.seen_low) | (X > self.seen_high) | never_seen
        return np.asarray((outside & watched).any(axis=1))


@dataclass(frozen=True, slots=True)
class Answers:
    """Numbers for a batch of queries of one component; shapes start with (n,).

    Parameters
    ----------
    recovery : (n, 3)
        Quantiles `LEVELS` of the recovery time in h after the clock start.
    probability : (n, n_hours)
        Probability of having recovered at the hours asked for.
    deficit : (n, n_hours, 3)
        Quantiles `LEVELS` of the latent deficit at ``table.at_h``.
    """

    recovery: Floats
    probability: Floats
    deficit: Floats


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of the curves of a batch of episodes before their own tests, and the tests.

    Parameters
    ----------
    means, spreads : float64 arrays, shape (n, 3)
        Of log amplitude, log tau and slow share.
    seen : Followed
        The tests known so far, as they are to be read.
    calibrated : bool array, shape (n,)
        Whether enough held-out athletes like this one have checked the interval.
    """

    means: Floats
    spreads: Floats
    seen: Followed
    calibrated: Bools


def prior_of(
    model: ComponentModel, X: Floats, seen: Followed, offsets: Offsets, sex: Objects
) -> Prior:
    """Return the prior from features, the athlete's earlier episodes and calibration.

    Parameters
    ----------
    X : float64 array, shape (n, n_features)
    seen : Followed
        The tests of each episode known so far.
    offsets : Offsets
        From `nmr_ml.models.component.offsets.athlete_offsets`.
    sex : object array of str, shape (n,)
    """
    spreads, calibrated = model.calibration.correct(
        np.hypot(offsets.within, offsets.spread),
        group_names(sex, offsets.episodes_n, model.curve.record_d(X)),
    )
    means = model.curve.means(X) + offsets.mean
    return Prior(means, spreads, offsets.read(model.measurement.read(seen)), calibrated)


def answers_of(prior: Prior, table: ReadOff, at_h: Floats) -> Answers:
    """Return recovery times, probabilities at `at_h` (n, n_hours) and deficits by row."""
    return Answers(
        *read_off_curves(table, prior.means, prior.spreads, prior.seen, LEVELS, at_h, LEVELS)
    )


def clearance_hours(model: ComponentModel, prior: Prior, table: ReadOff, risk: float) -> Floats:
    """Return when each episode is cleared at `risk`, shape (n,), h; see `clearance`.

    NaN where no level holds that risk. The guarantee is for the clock start; once tests of the
    episode are seen the same level is used on what they leave.
    """
    level = model.clearance.level(risk)
    if level is None:
        return np.full(len(prior.means), np.nan)
    none = np.zeros((len(prior.means), 0))
    hours, _ = recovery_quantiles(
        table, prior.means, prior.spreads, prior.seen, np.array([level]), none
    )
    return hours[:, 0]


def drivers(
    model: ComponentModel, table: ReadOff, x: Floats, prior: Prior, k: int, median_h: float
) -> list[tuple[int, float]]:
    """Return (feature, ratio of hours) of the features that move prediction `k` most.

    The ratio is the median over what it would be with the feature's exact tree contribution to
    the curve taken away; the tests seen stay as they are. A feature without which
    the median is zero or unbounded has no ratio and is left out.

    Parameters
    ----------
    x : float64 array, shape (1, n_features)
        Row `k` of what `prior` was made from.
    """
    if not 0 < median_h < np.inf:
        return []
    parts = model.curve.contributions(x)[0]
    moved = np.flatnonzero(np.abs(parts).sum(axis=1) > 0)
    if not moved.size:
        return []
    same = np.full(moved.size, k)
    without, _ = recovery_quantiles(
        table,
        prior.means[same] - parts[moved],
        prior.spreads[same],
        prior.seen.take(same),
        np.array([0.5]),
        np.zeros((moved.size, 0)),
    )
    found = [
        (int(feature), median_h / hours)
        for feature, hours in zip(moved, without[:, 0], strict=True)
        if 0 < hours < np.inf
    ]
    telling = [pair for pair in found if abs(np.log(pair[1])) > np.log(LEAST_RATIO)]
    return sorted(telling, key=lambda pair: -abs(np.log(pair[1])))[:MOST_DRIVERS]
