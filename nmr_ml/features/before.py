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
from nmr_ml.history import upper_bound
from nmr_ml.loading import LOADING_SHARE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.features.load import Sessions

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

WIDTH = 9
#: Known loads that a median needs before the session's own load is compared with it.
COMPARED_LOADS = 3


@njit(cache=True, nogil=True)
def before_session(m: Moments, s: Sessions, out: Floats, col: int) -> None:
    """Write the features of the sessions before each clock start from column `col` on."""
    at_s, known_s, load, offsets = s.at_s, s.known_s, s.load, s.offsets
    day, by_day = s.day, s.by_day
    most = np.max(np.diff(offsets)) if offsets.size > 1 else 0
    rows, loads = np.empty(most, np.int64), np.empty(most)
    for q in range(m.athlete.size):
        if m.repeats[q]:
            copy_previous(out, q, col, WIDTH)
            continue
        as_of, clock, clock_day = m.as_of_s[q], m.clock_s[q], m.clock_day[q]
        own, first = m.session[q], offsets[m.athlete[q]]
        told = own >= 0 and known_s[own] <= as_of and at_s[own] <= as_of
        whole_days = told and by_day[own] == 1.0
        end = upper_bound(at_s, first, offsets[m.athlete[q] + 1], min(clock, as_of))
        n = earlier(at_s, known_s, first, end, own, as_of, rows)
        known, middle = median_load(load, rows, n, loads)
        compared = told and known >= COMPARED_LOADS and load[own] > 0 and middle > 0
        out[q, col] = np.log(load[own] / middle) if compared else np.nan
        newest = rows[0] if n > 0 else -1
        loading = newest_loading(load, rows, n, LOADING_SHARE * middle)
        out[q, col + 1] = gap_h(at_s, day, by_day, newest, clock, clock_day, whole_days)
        out[q, col + 2] = load[newest] if newest >= 0 else np.nan
        out[q, col + 3] = gap_h(at_s, day, by_day, loading, clock, clock_day, whole_days)
        out[q, col + 4] = load[loading] if loading >= 0 else np.nan
        modality = s.modality[own] if told else np.nan
        since = clock - 28 * DAY_S
        alike, alike_n = same_modality(s.modality, at_s, rows, n, modality, since)
        out[q, col + 5] = gap_h(at_s, day, by_day, alike, clock, clock_day, whole_days)
        out[q, col + 6] = np.nan if np.isnan(modality) else alike_n
        out[q, col + 7] = recent_sum(s.eccentric, at_s, rows, n, since)
        same_day = 0
        while same_day < n and day[rows[same_day]] == clock_day:
            same_day += 1
        out[q, col + 8] = same_day


@njit(cache=True, nogil=True)
def earlier(
    at_s: Ints, known_s: Ints, first: int, end: int, own: int, as_of_s: int, rows: Ints
) -> int:
    """Note the sessions before the clock start in `rows`, newest first; return their number."""
    n = 0
    for i in range(end - 1, first - 1, -1):
        if as_of_s - at_s[i] >= HORIZON_S:
            break
        if i != own and known_s[i] <= as_of_s:
            rows[n] = i
            n += 1
    return n


@njit(cache=True, nogil=True)
def median_load(load: Floats, rows: Ints, n: int, loads: Floats) -> tuple[int, float]:
    """Return how many loads are known and their median, 0 where none is; `loads` is scratch."""
    known = 0
    for k in range(n):
        if not np.isnan(load[rows[k]]):
            loads[known] = load[rows[k]]
            known += 1
    return known, median(loads, known) if known > 0 else 0.0


@njit(cache=True, nogil=True)
def newest_loading(load: Floats, rows: Ints, n: int, needed: float) -> int:
    """Return the newest session of unknown load or of at least `needed`, -1 without one."""
    for k in range(n):
        if np.isnan(load[rows[k]]) or load[rows[k]] >= needed:
            return int(rows[k])
    return -1


@njit(cache=True, nogil=True)
def same_modality(
    modality: Floats, at_s: Ints, rows: Ints, n: int, wanted: float, since_s: int
) -> tuple[int, int]:
    """Return the newest session of a modality, -1 without one, and how many are recent."""
    newest, recent = -1, 0
    for k in range(n):
        if modality[rows[k]] == wanted:
            newest = rows[k] if newest < 0 else newest
            recent += 1 if at_s[rows[k]] > since_s else 0
    return newest, recent


@njit(cache=True, nogil=True)
def recent_sum(values: Floats, at_s: Ints, rows: Ints, n: int, since_s: int) -> float:
    """Return the sum of the known values after `since_s`, NaN where none is known."""
    total, known = 0.0, False
    for k in range(n):
        if at_s[rows[k]] <= since_s:
            break
        if not np.isnan(values[rows[k]]):
            total, known = total + values[rows[k]], True
    return total if known else np.nan


@njit(cache=True, nogil=True)
def gap_h(
    at_s: Ints, day: Ints, by_day: Floats, i: int, clock_s: int, clock_day: int, whole_days: bool
) -> float:
    """Return the hours from session `i` to the clock start, in whole days where only days count."""
    if i < 0:
        return np.nan
    if whole_days or by_day[i] == 1.0:
        return 24.0 * float(clock_day - day[i])
    return float(clock_s - at_s[i]) / HOUR_S


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
