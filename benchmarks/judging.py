"""Predictions against what was true: error, distribution, coverage and deficits, by component.

The truth of an episode is a row with `recovery_h`, the deficits `d_24` and `d_48` where they are
known, and `arch`, the kind of session. The reference is somebody who knows the true hours of the
training athletes: of each kind of session their median and their empirical distribution; of a kind
that training had none of, those of all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import norm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.numeric.arrays import Bools, Floats


#: Middles of a hundred equal shares: the quantiles that a distribution is judged by.
SHARES = np.arange(0.005, 1.0, 0.01)
#: An interval without an upper end is taken to end here, where a number is needed.
UNBOUNDED_H = 400.0
#: No quantile of an answer is taken for longer: the tails of a log-normal are nobody's opinion.
LONGEST_H = 1000.0
#: A group of fewer episodes is not asked for its coverage: chance alone would make it the worst.
LEAST_N = 50
#: Episodes that begin within so many hours of an athlete's first are their first ones.
FIRST_H = 7 * 24.0
KEYS = ["athlete_id", "episode_id"]
DEFICITS = {24: ("deficit_24h", "d_24"), 48: ("deficit_48h", "d_48")}
#: Ends of an interval are inside it, also after a rounding.
ROUNDING_H = 1e-9


@dataclass(frozen=True, slots=True)
class Reference:
    """The true hours of training athletes by kind of session, and those of all."""

    by_kind: Mapping[str, Floats]
    everyone: Floats

    @classmethod
    def of(cls, truth: pd.DataFrame) -> Reference:
        """Take the truth of one component."""
        groups = truth.groupby("arch")["recovery_h"]
        by_kind = {str(kind): hours.to_numpy(np.float64) for kind, hours in groups}
        return cls(by_kind, truth["recovery_h"].to_numpy(np.float64))

    def quantiles(self, kinds: pd.Series, shares: Floats) -> Floats:
        """Return the quantiles at `shares` of each kind, shape (n_kinds, n_shares)."""
        everyone = np.quantile(self.everyone, shares)
        told = {kind: np.quantile(hours, shares) for kind, hours in self.by_kind.items()}
        return np.stack([told.get(kind, everyone) for kind in kinds])

    def medians(self, kinds: pd.Series) -> Floats:
        """Return the median of each kind."""
        return np.asarray(self.quantiles(kinds, np.array([0.5]))[:, 0])


@dataclass(frozen=True, slots=True)
class Judged:
    """How predictions of one component compare with the truth.

    Parameters
    ----------
    n : int
        Episodes answered.
    answered : float
        Their share.
    reasons : mapping of str to int
        Why the others are not.
    gain, crps_gain : float
        1 − error / error of the reference: of the median, and of the distribution.
    bias_h : float
        Median of said minus true hours.
    covered : float
        Share of the true hours inside the 80 % interval.
    worst_kind, worst_confidence : tuple of str and float
        The kind of session, and the confidence group, whose interval holds least often.
    first_covered : float
        The same of the episodes of an athlete's first week.
    width_h : float
        Mean width of the intervals.
    deficit_bias : mapping of hours to float
        Mean of said minus true deficit.
    """

    n: int
    answered: float
    reasons: Mapping[str, int]
    gain: float = np.nan
    crps_gain: float = np.nan
    bias_h: float = np.nan
    covered: float = np.nan
    worst_kind: tuple[str, float] = ("", np.nan)
    worst_confidence: tuple[str, float] = ("", np.nan)
    first_covered: float = np.nan
    width_h: float = np.nan
    deficit_bias: Mapping[int, float] | None = None


def judge(
    predictions: pd.DataFrame, truth: pd.DataFrame, training_truth: pd.DataFrame, component: str
) -> Judged:
    """Compare the predictions of `component` made at the clock start with the truth.

    Parameters
    ----------
    predictions : DataFrame
        With the columns of an answer.
    truth, training_truth : DataFrame
        Of the athletes asked about, and of those learnt from.

    Raises
    ------
    ValueError
        Where a prediction is for another δ than the truth.
    """
    true = _of(truth, component)
    asked = _of(predictions, component)
    rows = matched(asked, true)
    reasons = Counter(asked.loc[asked["status"] != "ok", "reason"].astype(str))
    if rows.empty:
        return Judged(0, 0.0, reasons)
    _refuse_other_delta(rows)
    hours, said = _numbers(rows, "true_h"), _numbers(rows, "recovery_h")
    reference = Reference.of(_of(training_truth, component))
    held = holds(rows)
    gain = _gain(np.abs(said - hours), np.abs(reference.medians(rows["arch"]) - hours))
    crps_gain = _gain(
        crps(two_piece(rows), hours), crps(reference.quantiles(rows["arch"], SHARES), hours)
    )
    return Judged(
        n=len(rows), answered=len(rows) / len(true), reasons=reasons, gain=gain,
        crps_gain=crps_gain, bias_h=float(np.median(said - hours)), covered=float(held.mean()),
        worst_kind=worst(held, rows["arch"]),
        worst_confidence=worst(held, rows["confidence"]),
        first_covered=_mean(held[is_first(rows)]),
        width_h=float((_upper(rows) - _numbers(rows, "lower_h")).mean()),
        deficit_bias={
            h: _mean(_numbers(rows, told) - _numbers(rows, true_d))
            for h, (told, true_d) in DEFICITS.items()
            if true_d in rows
        },
    )  # fmt: skip


def matched(predictions: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Return the answered row of each episode whose `as_of` is nearest to the clock start.

    The truth stands beside it, its hours as `true_h` and its δ as `true_delta`.
    """
    answered = predictions[predictions["status"] == "ok"]
    true = truth.drop(columns="component").rename(
        columns={"recovery_h": "true_h", "delta": "true_delta"}
    )
    rows = answered.merge(true, on=KEYS)
    away = (rows["as_of"] - rows["clock_start"]).abs()
    nearest = rows.assign(away=away).sort_values("away", kind="stable").drop_duplicates(KEYS)
    return nearest.drop(columns="away").sort_values(KEYS, ignore_index=True)


def crps(quantiles: Floats, hours: Floats) -> Floats:
    """Return the CRPS of each row from its quantiles at `SHARES`: twice the mean pinball loss."""
    over = quantiles - hours[:, None]
    return np.asarray(2.0 * np.maximum((1.0 - SHARES) * over, -SHARES * over).mean(axis=1))


def two_piece(rows: pd.DataFrame) -> Floats:
    """Return the quantiles at `SHARES` of answers that are told by median and interval.

    Half of a normal lies on either side of the median, on the scale log(1 + h), each as wide as
    its end of the interval says. What would lie before the clock start lies on it.
    """
    median = np.log1p(_numbers(rows, "recovery_h"))
    z = norm.ppf(0.5 + 0.5 * _numbers(rows, "interval_level"))
    below = np.maximum(median - np.log1p(_numbers(rows, "lower_h")), 1e-6) / z
    above = np.maximum(np.log1p(_upper(rows)) - median, 1e-6) / z
    units = norm.ppf(SHARES)
    spread = np.where(units < 0.0, below[:, None], above[:, None])
    hours = np.expm1(median[:, None] + spread * units)
    return np.asarray(np.clip(hours, 0.0, LONGEST_H))


def holds(rows: pd.DataFrame) -> Bools:
    """Return whether the interval of each row holds the true hours."""
    hours, upper = _numbers(rows, "true_h"), _numbers(rows, "upper_h")
    upper = np.where(np.isnan(upper), np.inf, upper)
    within = hours >= _numbers(rows, "lower_h") - ROUNDING_H
    return np.asarray(within & (hours <= upper + ROUNDING_H))


def worst(held: Bools, groups: pd.Series) -> tuple[str, float]:
    """Return the group of at least `LEAST_N` rows that is held least, and its share."""
    shares = pd.Series(held).groupby(groups.to_numpy()).agg(["mean", "size"])
    shares = shares[shares["size"] >= LEAST_N]
    if shares.empty:
        return "", np.nan
    return str(shares["mean"].idxmin()), float(shares["mean"].min())


def is_first(rows: pd.DataFrame) -> Bools:
    """Return which rows belong to the first week of their athlete."""
    began = rows.groupby("athlete_id")["clock_start"].transform("min")
    since_h = (rows["clock_start"] - began).dt.total_seconds() / 3600.0
    return np.asarray(since_h < FIRST_H)


def _of(frame: pd.DataFrame, component: str) -> pd.DataFrame:
    return frame[frame["component"] == component]


def _refuse_other_delta(rows: pd.DataFrame) -> None:
    if not np.allclose(_numbers(rows, "delta"), _numbers(rows, "true_delta")):
        raise ValueError("predictions are for another delta than the truth")


def _numbers(rows: pd.DataFrame, name: str) -> Floats:
    return rows[name].to_numpy(np.float64)


def _upper(rows: pd.DataFrame) -> Floats:
    upper = _numbers(rows, "upper_h")
    return np.minimum(np.where(np.isnan(upper), np.inf, upper), UNBOUNDED_H)


def _gain(losses: Floats, reference: Floats) -> float:
    return float(1.0 - losses.mean() / reference.mean())


def _mean(values: Floats | Bools) -> float:
    return float(values.mean()) if values.size else np.nan
