"""Elapsed hours, which physiology runs on, and the local clock, which people live by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import ArrayLike, NDArray

    from nmr_ml.numeric.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Clock:
    """Converts between hours since the first local midnight and local days and hours.

    Parameters
    ----------
    zone : ZoneInfo
        The cohort's time zone.
    start : datetime
        The first local midnight, in UTC.
    shifts : array of shape (days,)
        For each local day at noon, how many hours its clock is ahead of the first day's.
    """

    zone: ZoneInfo
    start: datetime
    shifts: Floats

    @classmethod
    def of(cls, timezone: str, first: date, days: int) -> Clock:
        """Make the clock of `days` days from `first` on in the IANA zone `timezone`."""
        zone = ZoneInfo(timezone)
        noons = [
            datetime.combine(first + timedelta(days=day), time(12), tzinfo=zone)
            for day in range(days)
        ]
        offsets = [(noon.utcoffset() or timedelta()).total_seconds() / 3600 for noon in noons]
        start = datetime.combine(first, time(0), tzinfo=zone).astimezone(UTC)
        return cls(zone, start, np.array(offsets, dtype=np.float64) - offsets[0])

    def elapsed(self, day: ArrayLike, hour: ArrayLike) -> Floats:
        """Return the elapsed hours of a local `day` and clock `hour`, to the minute.

        The hour must lie after 3:00, when clocks are changed.
        """
        days = np.asarray(day, dtype=np.int64)
        hours = 24.0 * days + np.asarray(hour, dtype=np.float64) - self.shifts[days]
        return to_minute(hours)

    def local(self, elapsed: ArrayLike) -> tuple[Ints, Floats]:
        """Return the local day and clock hour of `elapsed` hours."""
        hours = np.asarray(elapsed, dtype=np.float64)
        day = np.clip(hours // 24.0, 0, self.shifts.size - 1).astype(np.int64)
        shown = hours + self.shifts[day]
        return (shown // 24.0).astype(np.int64), shown % 24.0

    def stamps(self, elapsed: Floats) -> pd.Series:
        """Return zoned timestamps to the minute; NaN becomes NaT."""
        known = np.isfinite(elapsed)
        minutes = np.round(np.where(known, elapsed, 0.0) * 60.0).astype("timedelta64[m]")
        start = np.datetime64(self.start.replace(tzinfo=None), "us")
        moments = np.where(known, start + minutes, np.datetime64("NaT", "us"))
        return pd.Series(pd.DatetimeIndex(moments, tz="UTC").tz_convert(self.zone.key))

    def dates(self, day: Ints) -> NDArray[np.datetime64]:
        """Return the calendar dates of local days."""
        first = np.datetime64(self.start.astimezone(self.zone).date(), "D")
        return (first + day.astype("timedelta64[D]")).astype("datetime64[us]")


def to_minute(hours: Floats) -> Floats:
    """Return `hours` rounded to whole minutes."""
    return np.round(hours * 60.0) / 60.0
