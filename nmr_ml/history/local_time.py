"""What the athletes' clock and calendar show at a moment."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmr_ml.numeric.compiled import kept
from nmr_ml.numeric.sorted_rows import upper_bound_near

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats, Ints


#: Seconds since 1970 of a moment that never comes.
NEVER_S = np.iinfo(np.int64).max


HOUR_S, DAY_S = 3600, 86_400


def local_day(at_s: Ints, timezone: str) -> Ints:
    """Return the day number (days since 1970) of each moment on the calendar of `timezone`."""
    return local_seconds(at_s, timezone) // DAY_S


def local_seconds(at_s: Ints, timezone: str) -> Ints:
    """Return what the clock of `timezone` shows at each moment, in seconds since its 1970."""
    starts_s, shifts_s = clock_changes(timezone)
    return at_s + shifts_s[np.searchsorted(starts_s, at_s, side="right")]


@cache
def clock_changes(timezone: str) -> tuple[Ints, Ints]:
    """Return when the clock of `timezone` is changed (1970-2100) and its shift before and after.

    A look-up takes microseconds where converting a single moment with pandas takes a hundred.
    """
    days = np.arange(0, 130 * 366 * DAY_S, DAY_S)
    shifts = _wall_seconds(days, timezone) - days
    changed = np.flatnonzero(np.diff(shifts))
    before, after = days[changed], days[changed + 1]
    while (after - before > 1).any():
        middle = (before + after) // 2
        early = _wall_seconds(middle, timezone) - middle == shifts[changed]
        before, after = np.where(early, middle, before), np.where(early, after, middle)
    return after, shifts[np.append(changed, days.size - 1)]


def _wall_seconds(at_s: Ints, timezone: str) -> Ints:
    utc = pd.DatetimeIndex(at_s.astype("datetime64[s]"), tz="UTC")
    wall = utc.tz_convert(timezone or "UTC").tz_localize(None)
    return wall.as_unit("s").asi8


def midnights(days: Ints, timezone: str) -> Ints:
    """Return the moment at which each local day begins, in s since 1970 UTC.

    Where the clock skips midnight that is the first time there is; where midnight happens twice,
    the first.
    """
    starts_s, shifts_s = clock_changes(timezone)
    begins_s, ends_s = np.append(-NEVER_S, starts_s), np.append(starts_s, NEVER_S)
    wall_s = days * DAY_S
    era = np.searchsorted(starts_s, wall_s - shifts_s.max(), side="right")
    found = np.maximum(wall_s - shifts_s[era], begins_s[era])
    while (over := found >= ends_s[era]).any():  # the clock is changed before it shows midnight
        era = era + over
        found = np.maximum(wall_s - shifts_s[era], begins_s[era])
    return np.asarray(found, np.int64)


def _local(at_s: Ints, timezone: str) -> tuple[Floats, Floats]:
    """Return day number and clock of moments on the calendar of `timezone`."""
    starts_s, shifts_s = clock_changes(timezone)
    return _days_and_hours(at_s, starts_s, shifts_s)


@kept
def _days_and_hours(at_s: Ints, starts_s: Ints, shifts_s: Ints) -> tuple[Floats, Floats]:
    day, clock_h, era = np.empty(at_s.size), np.empty(at_s.size), 0
    for i in range(at_s.size):
        era = upper_bound_near(starts_s, 0, starts_s.size, at_s[i], era)
        wall_s = at_s[i] + shifts_s[era]
        day[i], clock_h[i] = wall_s // DAY_S, wall_s % DAY_S / 3600.0
    return day, clock_h
