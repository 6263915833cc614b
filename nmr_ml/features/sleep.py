"""Kernel of sleep: nights as deviations from the athlete's own nights with the same device."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from nmr_ml.features.asof import (
    DAY_S,
    HORIZON_S,
    HOUR_S,
    Moments,
    copy_previous,
    stacked,
)
from nmr_ml.features.families import NIGHT_COLUMNS
from nmr_ml.history import upper_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.history import History

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

QUANTITIES = len(NIGHT_COLUMNS)
MIDPOINT = tuple(NIGHT_COLUMNS).index("midpoint")
FLOORS = np.array([floor for _, floor in NIGHT_COLUMNS.values()])
#: A period in bed shorter than this is a nap: it counts for the debt only.
NIGHT_S = 3 * HOUR_S
LAST_NIGHT_S = 36 * HOUR_S
BASELINE_S, BASELINE_NIGHTS = 28 * DAY_S, 7
NEED_H, DEBT_D, DEBT_DAYS, MIDPOINT_NIGHTS = 8.0, 14, 10, 7


class Nights(NamedTuple):
    """The nights as the kernel sees them; `device` is -1 where it is not known."""

    offsets: Ints
    wake_s: Ints
    known_s: Ints
    is_night: Bools
    device: Floats
    day: Ints
    asleep_min: Floats
    values: Floats


def nights_of(history: History) -> Nights:
    """Lay the nights out for the kernel, with `NIGHT_COLUMNS` as the columns of `values`."""
    rows, columns = history.sleep, history.sleep.columns
    in_bed_s = rows.at_s - columns["onset_at"]
    deep, early = columns["deep_min"], columns["deep_first3h_min"]
    with np.errstate(divide="ignore", invalid="ignore"):
        by_name = {
            "asleep": columns["asleep_min"],
            "efficiency": np.where(in_bed_s > 0, 6000 * columns["asleep_min"] / in_bed_s, np.nan),
            "latency": columns["latency_min"],
            "awake": columns["awake_min"],
            "light": columns["light_min"],
            "deep": deep,
            "rem": columns["rem_min"],
            "deep_first3h": early,
            "deep_first3h_share": np.where(deep > 0, early / deep, np.nan),
            "midpoint": columns["wake_clock_h"] - in_bed_s / (2 * HOUR_S),
            "ln_rmssd": np.log(columns["hrv_rmssd_ms"]),
            "resting_hr": columns["resting_hr_bpm"],
        }
    return Nights(
        rows.offsets, rows.at_s, rows.known_s, in_bed_s >= NIGHT_S,
        np.where(np.isnan(columns["device"]), -1.0, columns["device"]),
        columns["local_day"].astype(np.int64), columns["asleep_min"],
        stacked([by_name[name] for name in NIGHT_COLUMNS]),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def sleep(m: Moments, n: Nights, floors: Floats, out: Floats, col: int) -> None:
    """Write last night, the nights since the clock start and the last fortnight."""
    width = 2 * QUANTITIES + 4
    wake_s, known_s, offsets, is_night = n.wake_s, n.known_s, n.offsets, n.is_night
    mean, scale, work = np.empty(QUANTITIES), np.empty(QUANTITIES), np.empty((3, QUANTITIES))
    for q in range(m.athlete.size):
        if m.repeats[q]:
            copy_previous(out, q, col, width)
            continue
        fill_all(out, q, col, width)
        as_of, last = m.as_of_s[q], offsets[m.athlete[q] + 1]
        begin = upper_bound(wake_s, offsets[m.athlete[q]], last, as_of - HORIZON_S)
        end = upper_bound(wake_s, begin, last, as_of)
        newest = end - 1
        while newest >= begin and not (known_s[newest] <= as_of and is_night[newest]):
            newest -= 1
        if newest < begin:
            continue
        clock = min(m.clock_s[q], as_of)
        dawn = upper_bound(wake_s, begin, end, clock)
        eve = upper_bound(wake_s, begin, dawn, clock - BASELINE_S)
        age = as_of - wake_s[newest]
        left_out = newest if age < LAST_NIGHT_S else -1
        baseline(n, eve, dawn, as_of, newest, left_out, work, mean, scale, floors)
        if age < LAST_NIGHT_S:
            for c in range(QUANTITIES):
                out[q, col + c] = (n.values[newest, c] - mean[c]) / scale[c]
            out[q, col + 2 * QUANTITIES] = age / HOUR_S
        nights_since(n, dawn, end, as_of, newest, mean, scale, work, out, q, col + QUANTITIES)
        fortnight(n, begin, end, as_of, out, q, col + 2 * QUANTITIES + 2)


@njit(cache=True, nogil=True)
def fill_all(out: Floats, q: int, col: int, width: int) -> None:
    """Mark all as missing but the number of nights, which is 0 until one is found."""
    for c in range(col, col + width):
        out[q, c] = np.nan
    out[q, col + 2 * QUANTITIES + 1] = 0.0


@njit(cache=True, nogil=True)
def baseline(
    n: Nights, eve: int, dawn: int, as_of_s: int, newest: int, left_out: int,
    work: Floats, mean: Floats, scale: Floats, floors: Floats,
) -> None:  # fmt: skip
    """Fill `mean` and `scale` from the nights ``eve:dawn`` of the newest night's device."""
    values, work[:] = n.values, 0.0  # number, sum and sum of squares
    for i in range(dawn - 1, eve - 1, -1):
        if i == left_out or n.known_s[i] > as_of_s or not n.is_night[i]:
            continue
        if n.device[i] != n.device[newest]:
            continue
        for c in range(QUANTITIES):
            # From the newest night's value, so that no digits are lost where nights are alike.
            x = values[i, c] - (0.0 if np.isnan(values[newest, c]) else values[newest, c])
            told = not np.isnan(x)
            work[0, c] += 1.0 if told else 0.0
            work[1, c] += x if told else 0.0
            work[2, c] += x * x if told else 0.0
    for c in range(QUANTITIES):
        count, total = work[0, c], work[1, c]
        if count < BASELINE_NIGHTS:
            mean[c], scale[c] = np.nan, np.nan
            continue
        mean[c] = (0.0 if np.isnan(values[newest, c]) else values[newest, c]) + total / count
        variance = (work[2, c] - total * total / count) / (count - 1)
        scale[c] = max(np.sqrt(max(variance, 0.0)), floors[c])


@njit(cache=True, nogil=True)
def nights_since(
    n: Nights, dawn: int, end: int, as_of_s: int, newest: int, mean: Floats, scale: Floats,
    work: Floats, out: Floats, q: int, col: int,
) -> None:  # fmt: skip
    """Write the mean deviations of the nights after the clock start, and their number."""
    nights, work[:] = 0, 0.0
    for i in range(dawn, end):
        if n.known_s[i] > as_of_s or not n.is_night[i]:
            continue
        nights += 1
        if n.device[i] != n.device[newest]:
            continue
        for c in range(QUANTITIES):
            x = n.values[i, c]
            if not np.isnan(x):
                work[0, c] += 1.0
                work[1, c] += (x - mean[c]) / scale[c]
    for c in range(QUANTITIES):
        if work[0, c] > 0:
            out[q, col + c] = work[1, c] / work[0, c]
    out[q, col + QUANTITIES + 1] = nights


@njit(cache=True, nogil=True)
def fortnight(n: Nights, begin: int, end: int, as_of_s: int, out: Floats, q: int, col: int) -> None:
    """Write the sleep debt and the spread of the midpoint over 14 days."""
    asleep, days, day = 0.0, 0, 0
    first, total, squares, nights = 0.0, 0.0, 0.0, 0
    for i in range(end - 1, begin - 1, -1):
        if as_of_s - n.wake_s[i] >= DEBT_D * DAY_S:
            break
        if n.known_s[i] > as_of_s:
            continue
        if not np.isnan(n.asleep_min[i]):
            asleep += n.asleep_min[i] / 60
            days += 1 if days == 0 or n.day[i] != day else 0
            day = n.day[i]
        if n.is_night[i]:
            if nights == 0:
                first = n.values[i, MIDPOINT]
            x = n.values[i, MIDPOINT] - first
            total, squares, nights = total + x, squares + x * x, nights + 1
    if days >= DEBT_DAYS:
        out[q, col] = NEED_H * days - asleep
    if nights >= MIDPOINT_NIGHTS:
        variance = (squares - total * total / nights) / (nights - 1)
        out[q, col + 1] = np.sqrt(max(variance, 0.0))
