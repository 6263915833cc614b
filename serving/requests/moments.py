"""Moments written as text, read by the hundred: a request holds three for each of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmr_ml.numeric.arrays import Bytes, Floats


SECOND_US = 1e6
#: Days before each month of a year that begins in March, so that February is the last.
_DAYS_BEFORE = np.array([0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337])
_ZERO, _DASH, _COLON, _POINT, _PLUS, _T, _Z, _BLANK = map(ord, "0-:.+TZ ")
_BETWEEN = "\n"
_END = ord(_BETWEEN)
#: No clock is further from UTC than this.
_FURTHEST_S = 15 * 3600.0


def microseconds_of(texts: Sequence[str | None]) -> Floats:
    """Return moments as whole microseconds since 1970 UTC, finer digits cut off, None as NaN.

    A float64 holds every microsecond until the year 2255.

    Raises
    ------
    ValueError
        Where a text is not of the usual form ``2026-03-01T17:30:00[.123](Z|+01:00)``.
    """
    joined = bytearray(_BETWEEN.join([text or "" for text in texts]), "ascii")
    found = _read(np.frombuffer(joined, np.uint8), len(texts))
    missing = np.isnan(found)
    if missing.any() and any(texts[i] is not None for i in np.flatnonzero(missing).tolist()):
        raise ValueError("a moment is not of the usual form")
    return found


@kept
def _read(text: Bytes, count: int) -> Floats:
    """Read moments between line feeds; NaN for those of another form."""
    found, first = np.full(count, np.nan), 0
    for i in range(count):
        end = first
        while end < text.size and text[end] != _END:
            end += 1
        found[i] = _usual(text[first:end])
        first = end + 1
    if first <= text.size:  # a text had a line feed in it
        found[:] = np.nan
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
    end, part_us, digit_us = 19, 0, 100_000
    if text[end] == _POINT and _number(text, end + 1, 1) >= 0:
        end += 1
        while end < text.size and _number(text, end, 1) >= 0:
            part_us += digit_us * _number(text, end, 1)
            digit_us //= 10
            end += 1
    shift_s = _offset_s(text, end)
    march_year = year - (1 if month <= 2 else 0)
    days = 365 * march_year + march_year // 4 - march_year // 100 + march_year // 400
    days += _DAYS_BEFORE[(month + 9) % 12] + day - 719_469
    at_s = float(86_400 * days + 3600 * hour + 60 * minute + second) - shift_s
    return SECOND_US * at_s + part_us


@kept
def _last_day(year: int, month: int) -> int:
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return 29 if leap else 28
    return 30 if month in (4, 6, 9, 11) else 31


@kept
def _offset_s(text: Bytes, first: int) -> float:
    """Return the offset that a text ends with; NaN where it ends with something else."""
    if text.size - first == 1 and text[first] == _Z:
        return 0.0
    if text.size - first != 6 or text[first + 3] != _COLON:
        return np.nan
    if text[first] != _PLUS and text[first] != _DASH:
        return np.nan
    hours, minutes = _number(text, first + 1, 2), _number(text, first + 4, 2)
    size = 3600.0 * hours + 60.0 * minutes
    if not (hours >= 0 and 0 <= minutes < 60 and size <= _FURTHEST_S):
        return np.nan
    return size if text[first] == _PLUS else -size
