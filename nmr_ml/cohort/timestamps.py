"""Times as they come to UTC: offsets, naive local times, and the two hours a year that lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from nmr_ml.cohort.parsing import Parsed, given, matching, words
from nmr_ml.errors import DataError
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    import pyarrow as pa

    from nmr_ml.cohort.parsing import Mask

#: What the canonical frames hold: microseconds are what Python, Parquet and pandas share.
UTC_TIME = pd.DatetimeTZDtype("us", "UTC")
LOCAL_DATE = np.dtype("datetime64[us]")

_DAY = r"^[0-9]{4}(-[0-9]{2}-[0-9]{2}|[0-9]{4})"
_CLOCK = r"[T ][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}(\.[0-9]+)?)?)?"
_OFFSET = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
_MIDNIGHT = r"([T ]00:?00(:?00(\.0+)?)?)?$"
#: Finer than a microsecond nothing is kept, and pandas would switch the whole column to it.
_TOO_FINE = r"(\.[0-9]{6})[0-9]+"


def zone(name: str) -> ZoneInfo | None:
    """Return the time zone `name`, None for the empty name.

    Raises
    ------
    DataError
        ``timezone_unknown`` for a name that is no IANA time zone.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DataError(
            "timezone_unknown",
            f"{name!r} is not the name of a time zone.",
            "Write an IANA name such as Europe/Oslo as timezone in cohort.yaml.",
        ) from error


def times(raw: pd.Series, local: ZoneInfo | None) -> Parsed:
    """Return the cells as UTC times; a naive one is read in the time zone `local`.

    Parameters
    ----------
    raw : Series
        ISO-8601 text with date and clock, with or without offsets, mixed as they come; or
        timestamps, naive or not.
    local : ZoneInfo or None
        The cohort's time zone; without one a naive time is a problem.
    """
    unread: Mask = np.zeros(len(raw), dtype=np.bool_)
    if isinstance(raw.dtype, pd.DatetimeTZDtype):
        return Parsed(pd.DatetimeIndex(raw).as_unit("us").tz_convert("UTC").array)
    if raw.dtype.kind == "M":
        naive = pd.DatetimeIndex(raw).as_unit("us")
        return _placed(pd.DatetimeIndex([pd.NaT] * len(raw), dtype=UTC_TIME), naive, local, unread)
    text = pc.replace_substring_regex(words(raw), _TOO_FINE, r"\1")
    aware = _read(text, matching(text, _DAY + _CLOCK + _OFFSET), utc=True)
    naive = _read(text, matching(text, _DAY + _CLOCK + "$"), utc=False)
    unread = given(text) & np.asarray(aware.isna()) & np.asarray(naive.isna())
    return _placed(aware, naive, local, unread)


def dates(raw: pd.Series) -> Parsed:
    """Return the cells as local days: naive midnights."""
    if raw.dtype.kind == "M" and not isinstance(raw.dtype, pd.DatetimeTZDtype):
        days = pd.DatetimeIndex(raw).as_unit("us")
        broken = np.asarray(days.notna()) & np.asarray(days != days.normalize())
        return Parsed(days.where(~broken).array, ((Quarantine.NOT_A_TIME, broken),))
    text = words(raw)
    days = _read(text, matching(text, _DAY + _MIDNIGHT), utc=False)
    return Parsed(days.array, ((Quarantine.NOT_A_TIME, given(text) & np.asarray(days.isna())),))


def day_bounds(days: pd.Series, local: ZoneInfo) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """Return when each local day begins and ends, in UTC.

    Where the clock skips midnight the day begins at the first time there is; where midnight
    happens twice it begins at the first.
    """
    midnights = pd.DatetimeIndex(days)
    return _begin(midnights, local), _begin(midnights + pd.Timedelta(days=1), local)


def _begin(midnights: pd.DatetimeIndex, local: ZoneInfo) -> pd.DatetimeIndex:
    first = np.ones(len(midnights), dtype=np.bool_)
    there = midnights.tz_localize(local, ambiguous=first, nonexistent="shift_forward")
    return there.tz_convert("UTC").as_unit("us")


def _read(text: pa.Array, which: Mask, *, utc: bool) -> pd.DatetimeIndex:
    """Return the cells `which` as times, NaT elsewhere and where they are no times after all."""
    none = np.full(len(text), "NaT", dtype=LOCAL_DATE)
    found = pd.DatetimeIndex(none, tz="UTC" if utc else None)
    if not which.any():
        return found
    cells: Any = np.where(which, text.to_numpy(zero_copy_only=False), None)
    read: pd.DatetimeIndex = pd.to_datetime(cells, format="ISO8601", utc=utc, errors="coerce")
    return read.as_unit("us")


def _placed(
    aware: pd.DatetimeIndex, naive: pd.DatetimeIndex, local: ZoneInfo | None, unread: Mask
) -> Parsed:
    """Put the naive times where `aware` has none, and say which of them have no place."""
    local_time = np.asarray(naive.notna())
    problems = ((Quarantine.NOT_A_TIME, unread),)
    if not local_time.any():
        return Parsed(aware.array, problems)
    if local is None:
        return Parsed(aware.array, (*problems, (Quarantine.NAIVE_TIME, local_time)))
    early = np.ones(len(naive), dtype=np.bool_)
    there = naive.tz_localize(local, ambiguous=early, nonexistent="NaT")
    unique = naive.tz_localize(local, ambiguous="NaT", nonexistent="NaT").tz_convert("UTC")
    skipped = local_time & np.asarray(there.isna())
    twice = local_time & np.asarray(unique.isna()) & ~skipped
    return Parsed(
        aware.where(~local_time, unique).array,
        (
            *problems,
            (Quarantine.TIME_DOES_NOT_EXIST, skipped),
            (Quarantine.TIME_AMBIGUOUS, twice),
        ),
    )
