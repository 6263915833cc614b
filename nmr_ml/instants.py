"""Moments written as text, read by the hundred: a request holds three for each of its rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.kernels import kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bytes = NDArray[np.uint8]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Days before each month of a year that begins in March, so that February is the last.
_DAYS_BEFORE = np.array([0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337])
_ZERO, _DASH, _COLON, _POINT, _PLUS, _T, _Z, _BLANK = map(ord, "0-:.+TZ ")


def seconds_of(texts: Sequence[str | None]) -> Floats:
    """Return ISO-8601 moments as whole seconds since 1970 UTC (fractions cut off), None as NaN.

    Raises
    ------
    ValueError
        Where a text is no moment, or has no offset from UTC.
    """
    if not texts:
        return np.empty(0)
    try:
        cells = np.array(texts, dtype=np.bytes_)
    except UnicodeEncodeError:  # not ISO-8601; reading them one by one tells which
        return np.array([_second(text) for text in texts])
    found = _read(cells.view(np.uint8).reshape(len(texts), cells.dtype.itemsize))
    for i in np.flatnonzero(np.isnan(found)).tolist():
        found[i] = _second(texts[i])
    return found


def _second(text: str | None) -> float:
    """Read one moment of any form that Python knows."""
    if text is None:
        return np.nan
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return float((moment - _EPOCH).total_seconds() // 1)


@kept
def _read(cells: Bytes) -> Floats:
    """Read moments of the usual form, ``2026-03-01T17:30:00[.123](Z|+01:00)``; NaN for others."""
    found = np.full(cells.shape[0], np.nan)
    for i in range(cells.shape[0]):
        found[i] = _usual(cells[i])
    return found


@kept
def _number(text: Bytes, first: int, digits: int) -> int:
    """Return a number of so many digits, a very negative one where they are no digits."""
    total = 0
    for k in range(first, first + digits):
        digit = int(text[k]) - _ZERO
        if not 0 <= digit < 10:
            return -(10**9)
        total = 10 * total + digit
    return total


@kept
def _usual(text: Bytes) -> float:
    if text.size < 20 or text[4] != _DASH or text[7] != _DASH:
        return np.nan
    if text[13] != _COLON or text[16] != _COLON or (text[10] != _T and text[10] != _BLANK):
        return np.nan
    year, month, day = _number(text, 0, 4), _number(text, 5, 2), _number(text, 8, 2)
    hour, minute, second = _number(text, 11, 2), _number(text, 14, 2), _number(text, 17, 2)
    if not (1 <= year and 1 <= month <= 12 and 1 <= day <= _last_day(year, month)):
        return np.nan
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        return np.nan
    end = 19
    if text[end] == _POINT and _number(text, end + 1, 1) >= 0:
        end += 2
        while end < text.size and _number(text, end, 1) >= 0:
            end += 1
    shift_s = _offset_s(text, end)
    if np.isnan(shift_s):
        return np.nan
    march_year = year - (1 if month <= 2 else 0)
    days = 365 * march_year + march_year // 4 - march_year // 100 + march_year // 400
    days += _DAYS_BEFORE[(month + 9) % 12] + day - 719_469
    return float(86_400 * days + 3600 * hour + 60 * minute + second) - shift_s


@kept
def _last_day(year: int, month: int) -> int:
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return 29 if leap else 28
    return 30 if month in (4, 6, 9, 11) else 31


@kept
def _offset_s(text: Bytes, first: int) -> float:
    """Return the offset that a text ends with; NaN where it ends with something else."""
    end = text.size
    while end > first and text[end - 1] == 0:  # shorter texts are padded
        end -= 1
    if end - first == 1 and text[first] == _Z:
        return 0.0
    if end - first != 6 or text[first + 3] != _COLON:
        return np.nan
    if text[first] != _PLUS and text[first] != _DASH:
        return np.nan
    hours, minutes = _number(text, first + 1, 2), _number(text, first + 4, 2)
    if not (0 <= hours < 24 and 0 <= minutes < 60):
        return np.nan
    size = 3600.0 * hours + 60.0 * minutes
    return size if text[first] == _PLUS else -size
