"""Hypnograms of many nights at once: stage epochs to minutes and the deep sleep window.

All nights lie on one flat set of arrays. Times are seconds from the start of a night's record, so
that a change of the clock during the night cannot touch them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from nmr_ml.cohort.tables import STAGES

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Bools, Floats, Ints


#: The deep sleep window: the first three hours after sleep onset, in seconds.
WINDOW_S: Final = 3 * 3600.0
CODE: Final = {name: code for code, name in enumerate(STAGES)}
_SLEEPING: Final = ("light", "deep", "rem", "asleep")
_STAGED: Final = ("light", "deep", "rem")


@dataclass(frozen=True, slots=True)
class Epochs:
    """Epochs of many nights, sorted by night and start.

    Parameters
    ----------
    night : array of int64
        Which night, from 0.
    start_s, end_s : array of float64
        Seconds from the start of the night's record.
    stage : array of int64
        A code of `CODE`.
    """

    night: Ints
    start_s: Floats
    end_s: Floats
    stage: Ints

    def where(self, keep: Bools) -> Epochs:
        """Return the epochs in `keep`."""
        return Epochs(self.night[keep], self.start_s[keep], self.end_s[keep], self.stage[keep])


def epochs(night: Ints, start_s: Floats, duration_s: Floats, stage: Ints) -> Epochs:
    """Return sorted epochs."""
    order = np.lexsort((start_s, night))
    end_s = start_s + duration_s
    return Epochs(night[order], start_s[order], end_s[order], stage[order])


def overlapping(base: Epochs, nights: int) -> Bools:
    """Return which nights have epochs that overlap each other."""
    clash = (base.night[1:] == base.night[:-1]) & (base.start_s[1:] < base.end_s[:-1])
    return np.bincount(base.night[1:][clash], minlength=nights) > 0


def clipped(base: Epochs, length_s: Floats) -> Epochs:
    """Cut the epochs to the first `length_s` seconds of each night's record."""
    limit = length_s[base.night]
    end_s = np.minimum(base.end_s, limit)
    cut = Epochs(base.night, np.maximum(base.start_s, 0.0), end_s, base.stage)
    return cut.where(cut.end_s > cut.start_s)


def with_wakes(base: Epochs, wakes: Epochs) -> Epochs:
    """Lay short awakenings over the epochs, and join neighbours of the same stage.

    Fitbit lists awakenings of up to three minutes apart from the epochs they interrupt.

    Parameters
    ----------
    base : Epochs
        Not overlapping within a night.
    wakes : Epochs
        May overlap anything; only their times count.
    """
    if not len(base.night):
        return base
    # One long line on which every night has its own stretch.
    span = 1.0 + max(float(part.end_s.max()) for part in (base, wakes) if len(part.night))
    starts, ends = _line(base, span)
    wake_starts, wake_ends = (np.sort(times) for times in _line(wakes, span))
    cuts = np.unique(np.concatenate([starts, ends, wake_starts, wake_ends]))
    left = cuts[:-1]
    owner = np.searchsorted(starts, left, side="right") - 1
    covered = (owner >= 0) & (left < ends[np.maximum(owner, 0)])
    depth = np.searchsorted(wake_starts, left, side="right") - np.searchsorted(
        wake_ends, left, side="right"
    )
    stage = np.where(depth > 0, CODE["awake"], base.stage[np.maximum(owner, 0)])
    night = base.night[np.maximum(owner, 0)]
    pieces = Epochs(night, left - night * span, cuts[1:] - night * span, stage)
    return _joined(pieces.where(covered))


def _line(part: Epochs, span: float) -> tuple[Floats, Floats]:
    return part.start_s + part.night * span, part.end_s + part.night * span


def _joined(pieces: Epochs) -> Epochs:
    new = np.ones(len(pieces.night), dtype=bool)
    new[1:] = (
        (pieces.night[1:] != pieces.night[:-1])
        | (pieces.stage[1:] != pieces.stage[:-1])
        | (pieces.start_s[1:] != pieces.end_s[:-1])
    )
    last = np.append(new[1:], True)
    return Epochs(pieces.night[new], pieces.start_s[new], pieces.end_s[last], pieces.stage[new])


def stage_minutes(base: Epochs, from_s: Floats, to_s: Floats) -> Floats:
    """Return minutes in each stage between `from_s` and `to_s` of each night.

    Returns
    -------
    array of float64, shape (nights, len(STAGES))
    """
    inside = np.minimum(base.end_s, to_s[base.night]) - np.maximum(base.start_s, from_s[base.night])
    seconds = np.maximum(np.nan_to_num(inside), 0.0)
    key = base.night * len(STAGES) + base.stage
    total = np.bincount(key, weights=seconds, minlength=len(from_s) * len(STAGES))
    return total.reshape(len(from_s), len(STAGES)) / 60.0


def onset_s(base: Epochs, nights: int) -> Floats:
    """Return the start of the first epoch of sleep of each night; NaN where there is none."""
    asleep = base.where(np.isin(base.stage, [CODE[name] for name in _SLEEPING]))
    first = np.full(nights, np.inf)
    np.minimum.at(first, asleep.night, asleep.start_s)
    return np.where(np.isinf(first), np.nan, first)


def summary(base: Epochs, length_s: Floats) -> pd.DataFrame:
    """Return one row a night, in minutes and counted from sleep onset to the end of the record.

    Parameters
    ----------
    base : Epochs
        With the awakenings laid over, and clipped.
    length_s : array of float64
        How long each night's record is.

    Returns
    -------
    DataFrame
        `onset_s` (NaN for a record without sleep), `latency_min` from the start of the record to
        the onset, `asleep_min`, `awake_min` after the onset, `light_min`, `deep_min`, `rem_min`
        and `deep_first3h_min`. A record that only tells asleep from awake has no stage minutes:
        they are missing, not zero. Where a part of the first three hours is of unknown stage, it
        may have been deep, and `deep_first3h_min` is missing.
    """
    onset = onset_s(base, len(length_s))
    whole = stage_minutes(base, onset, length_s)
    window = stage_minutes(base, onset, onset + WINDOW_S)
    every = np.bincount(base.night * len(STAGES) + base.stage, minlength=whole.size)
    staged = every.reshape(whole.shape)[:, [CODE[name] for name in _STAGED]].any(axis=1)
    slept = ~np.isnan(onset)
    frame = pd.DataFrame({"onset_s": onset, "latency_min": onset / 60.0})
    frame["asleep_min"] = whole[:, [CODE[name] for name in _SLEEPING]].sum(axis=1)
    for name in ("awake", *_STAGED):
        frame[f"{name}_min"] = whole[:, CODE[name]]
    frame["deep_first3h_min"] = window[:, CODE["deep"]]
    frame.loc[~staged, [*(f"{name}_min" for name in _STAGED), "deep_first3h_min"]] = np.nan
    frame.loc[window[:, CODE["unknown"]] > 0, "deep_first3h_min"] = np.nan
    frame.loc[~slept] = np.nan
    return frame
