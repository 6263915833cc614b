"""Kernel of what came before the clock start: earlier sessions and the same kind of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from nmr_ml.features.asof import (
    DAY_S,
    HORIZON_S,
    HOUR_S,
    Moments,
    copy_previous,
)
from nmr_ml.features.load import Sessions
from nmr_ml.loading import LOADING_SHARE
from nmr_ml.history import upper_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

WIDTH = 9
#: Known loads that a median needs before the session's own load is compared with it.
COMPARED_LOADS = 3


@njit(cache=True, nogil=True)
def before_session(m: Moments, s: Sessions, out: Floats, col: int) -> None:
    """Write the features of the sessions before each clock start from column `col` on."""
    longest = 0
    for a in range(s.offsets.size - 1):
        longest = max(longest, s.offsets[a + 1] - s.offsets[a])
    loads, rows = np.empty(longest), np.empty(longest, np.int64)
    for q in range(m.athlete.size):
        if m.repeats[q]:
            copy_previous(out, q, col, WIDTH)
            continue
        as_of, own = m.as_of_s[q], m.session[q]
        first, last = s.offsets[m.athlete[q]], s.offsets[m.athlete[q] + 1]
        end = upper_bound(s.at_s, first, last, min(m.clock_s[q], as_of))
        found, known = 0, 0
        for i in range(end - 1, first - 1, -1):
            if as_of - s.at_s[i] >= HORIZON_S:
                break
            if i == own or s.known_s[i] > as_of:
                continue
            rows[found] = i
            found += 1
            if not np.isnan(s.load[i]):
                loads[known] = s.load[i]
                known += 1
        middle = median(loads, known) if known > 0 else 0.0
        told = own >= 0 and s.known_s[own] <= as_of and s.at_s[own] <= as_of
        load = s.load[own] if told and known >= COMPARED_LOADS else np.nan
        out[q, col] = np.log(load / middle) if load > 0 and middle > 0 else np.nan
        by_day = told and s.by_day[own] == 1.0
        write_previous(m, s, q, rows[:found], LOADING_SHARE * middle, by_day, out, col + 1)
        write_familiar(m, s, q, rows[:found], by_day, told, out, col + 5)


@njit(cache=True, nogil=True)
def median(values: Floats, n: int) -> float:
    """Return the median of the first `n` values, which it puts into another order."""
    low, high, middle = 0, n - 1, n // 2
    while low < high:  # Hoare's selection: no allocation, unlike np.median
        pivot, i, j = values[(low + high) // 2], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if middle <= j:
            high = j
        elif middle >= i:
            low = i
        else:
            break
    if n % 2 == 1:
        return float(values[middle])
    below = values[0]
    for i in range(1, middle):
        below = max(below, values[i])
    return 0.5 * float(below + values[middle])


@njit(cache=True, nogil=True, inline="always")
def gap_h(m: Moments, s: Sessions, q: int, i: int, by_day: bool) -> float:
    """Return the hours from session `i` to the clock start, in whole days where only days count."""
    if by_day or s.by_day[i] == 1.0:
        return 24.0 * (m.clock_day[q] - s.day[i])
    return (m.clock_s[q] - s.at_s[i]) / HOUR_S


@njit(cache=True, nogil=True, inline="always")
def write_previous(
    m: Moments, s: Sessions, q: int, rows: Ints, needed: float, by_day: bool, out: Floats, col: int
) -> None:
    """Write gap and load of the previous session and of the previous loading session."""
    for c in range(4):
        out[q, col + c] = np.nan
    if rows.size > 0:
        out[q, col] = gap_h(m, s, q, rows[0], by_day)
        out[q, col + 1] = s.load[rows[0]]
    for i in rows:
        if np.isnan(s.load[i]) or s.load[i] >= needed:
            out[q, col + 2] = gap_h(m, s, q, i, by_day)
            out[q, col + 3] = s.load[i]
            break


@njit(cache=True, nogil=True, inline="always")
def write_familiar(
    m: Moments, s: Sessions, q: int, rows: Ints, by_day: bool, told: bool, out: Floats, col: int
) -> None:
    """Write how familiar the stimulus is: same modality, eccentric work, sessions of the day."""
    modality = s.modality[m.session[q]] if told else np.nan
    gap, same, eccentric, counted, same_day = np.nan, 0, 0.0, False, 0
    for i in rows:
        recent = m.clock_s[q] - s.at_s[i] < 28 * DAY_S
        if s.modality[i] == modality:
            gap = gap_h(m, s, q, i, by_day) if np.isnan(gap) else gap
            same += 1 if recent else 0
        if recent and not np.isnan(s.eccentric[i]):
            eccentric += s.eccentric[i]
            counted = True
        same_day += 1 if s.day[i] == m.clock_day[q] else 0
    out[q, col] = gap
    out[q, col + 1] = same if not np.isnan(modality) else np.nan
    out[q, col + 2] = eccentric if counted else np.nan
    out[q, col + 3] = same_day
