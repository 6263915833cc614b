"""Kernel of sleep: nights as deviations from the athlete's own nights with the same device."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.features.asof import (
    DAY_S,
    HORIZON_S,
    HOUR_S,
    SAME_MOMENT,
    Moments,
    copy_previous,
    fill_missing,
    settled,
    stacked,
)
from nmr_ml.features.families import NIGHT_COLUMNS
from nmr_ml.kernels import inner
from nmr_ml.sorted_rows import running_latest, upper_bound_near

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nmr_ml.history import History

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

QUANTITIES = len(NIGHT_COLUMNS)
WIDTH = 2 * QUANTITIES + 4
MIDPOINT = tuple(NIGHT_COLUMNS).index("midpoint")
FLOORS = np.array([floor for _, floor in NIGHT_COLUMNS.values()])
#: A period in bed shorter than this is a nap: it counts for the debt only.
NIGHT_S = 3 * HOUR_S
LAST_NIGHT_H = 36.0
BASELINE_S, BASELINE_NIGHTS = 28 * DAY_S, 7
NEED_H, DEBT_D, DEBT_DAYS, MIDPOINT_NIGHTS = 8.0, 14, 10, 7


class Nights(NamedTuple):
    """The nights as the kernel sees them; `device` is -1 where it is not known.

    `values` holds the quantities of `NIGHT_COLUMNS`, NaN where missing; `added` the same with 0 for
    missing, and after them 1 for each that is known.
    """

    offsets: Ints
    wake_s: Ints
    known_s: Ints
    latest_s: Ints
    is_night: Bools
    by_day: Floats
    device: Floats
    day: Ints
    asleep_min: Floats
    values: Floats
    added: Floats


def nights_of(history: History) -> Nights:
    """Lay the nights out for the kernel."""
    rows, columns = history.sleep, history.sleep.columns
    by_day, asleep = columns["day_precision"], columns["asleep_min"]
    in_bed_s = rows.at_s - columns["onset_at"]
    # Bed times of day precision are a convention: what was slept tells a nap from a night.
    is_night = np.where(by_day == 1.0, ~(60 * asleep < NIGHT_S), in_bed_s >= NIGHT_S)
    values = stacked(_quantities(columns, np.where(by_day == 1.0, np.nan, in_bed_s)))
    told = ~np.isnan(values)
    return Nights(
        rows.offsets, rows.at_s, rows.known_s, running_latest(rows.offsets, rows.known_s),
        is_night, by_day, np.where(np.isnan(columns["device"]), -1.0, columns["device"]),
        columns["local_day"].astype(np.int64), asleep, values,
        np.concatenate([np.where(told, values, 0.0), told], axis=1),
    )  # fmt: skip


def _quantities(columns: Mapping[str, Floats], in_bed_s: Floats) -> list[Floats]:
    """Return the quantities of `NIGHT_COLUMNS`; of a night without bed times only whole sums."""
    deep, timed = columns["deep_min"], np.where(np.isnan(in_bed_s), np.nan, 1.0)
    early = columns["deep_first3h_min"] * timed
    with np.errstate(divide="ignore", invalid="ignore"):
        by_name = {
            "asleep": columns["asleep_min"],
            "efficiency": np.where(in_bed_s > 0, 6000 * columns["asleep_min"] / in_bed_s, np.nan),
            "latency": columns["latency_min"] * timed,
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
    return [by_name[name] for name in NIGHT_COLUMNS]


@inner
def sleep(
    m: Moments, first: int, last: int, n: Nights, floors: Floats, out: Floats, col: int
) -> None:
    """Write last night, the nights since the clock start and the last fortnight."""
    mean, scale, sums = np.empty(QUANTITIES), np.empty(QUANTITIES), np.empty(2 * QUANTITIES)
    begin, end, eve, dawn = 0, 0, 0, 0
    usual_of = (-1, -1, -1, -1.0)  # what `mean` and `scale` are of
    for q in range(first, last):
        if m.alike[q] == SAME_MOMENT:
            copy_previous(out, q, col, WIDTH)
            continue
        fill_missing(out, q, col, WIDTH)
        out[q, col + WIDTH - 3] = 0.0
        as_of, clock = m.as_of_s[q], min(m.clock_s[q], m.as_of_s[q])
        start, stop = n.offsets[m.athlete[q]], n.offsets[m.athlete[q] + 1]
        begin = upper_bound_near(n.wake_s, start, stop, as_of - HORIZON_S, begin)
        end = upper_bound_near(n.wake_s, begin, stop, as_of, end)
        newest = newest_night(n, begin, end, as_of)
        if newest < begin:
            continue
        dawn = upper_bound_near(n.wake_s, begin, end, clock, dawn)
        eve = upper_bound_near(n.wake_s, begin, dawn, clock - BASELINE_S, eve)
        age = age_h(m, n, q, newest)
        left_out = newest if age < LAST_NIGHT_H and newest < dawn else -1
        wanted = (eve, dawn, left_out, n.device[newest])
        # The same nights known to the last give the same numbers at any moment.
        if usual_of != wanted or not settled(n.latest_s, eve, dawn, as_of):
            baseline(n, eve, dawn, as_of, left_out, n.device[newest], sums, mean, scale, floors)
            usual_of = wanted if settled(n.latest_s, eve, dawn, as_of) else (-1, -1, -1, -1.0)
        if age < LAST_NIGHT_H:
            for c in range(mean.size):
                out[q, col + c] = (n.values[newest, c] - mean[c]) / scale[c]
            out[q, col + WIDTH - 4] = age
        if dawn < end:
            nights_since(n, dawn, end, as_of, newest, mean, scale, sums, out, q, col + QUANTITIES)
        fortnight(n, begin, end, as_of, out, q, col + WIDTH - 2)


@inner
def newest_night(n: Nights, begin: int, end: int, as_of_s: int) -> int:
    """Return the newest night that is known, naps left out; ``begin - 1`` without one."""
    newest = end - 1
    while newest >= begin and not (n.known_s[newest] <= as_of_s and n.is_night[newest]):
        newest -= 1
    return newest


@inner
def age_h(m: Moments, n: Nights, q: int, i: int) -> float:
    """Return the hours from waking to the moment asked about, in whole days for day precision."""
    if n.by_day[i] == 1.0:
        return 24.0 * float(m.as_of_day[q] - n.day[i])
    return float(m.as_of_s[q] - n.wake_s[i]) / HOUR_S


@inner
def baseline(
    n: Nights, eve: int, dawn: int, as_of_s: int, left_out: int, device: float,
    sums: Floats, mean: Floats, scale: Floats, floors: Floats,
) -> None:  # fmt: skip
    """Fill `mean` and `scale` from the nights ``eve:dawn`` of the newest night's device.

    The smallest SD that is divided by keeps the digits that a sum of squares loses out of sight.
    """
    sums[:], scale[:] = 0.0, 0.0  # values and their numbers; squares
    for i in range(dawn - 1, eve - 1, -1):
        if i == left_out or n.known_s[i] > as_of_s or not n.is_night[i] or n.device[i] != device:
            continue
        for c in range(sums.size):
            sums[c] += n.added[i, c]
        for c in range(scale.size):
            scale[c] += n.added[i, c] * n.added[i, c]
    for c in range(QUANTITIES):
        count = sums[QUANTITIES + c]
        if count < BASELINE_NIGHTS:
            mean[c], scale[c] = np.nan, np.nan
            continue
        mean[c] = sums[c] / count
        variance = (scale[c] - sums[c] * mean[c]) / (count - 1)
        scale[c] = max(np.sqrt(max(variance, 0.0)), floors[c])


@inner
def nights_since(
    n: Nights, dawn: int, end: int, as_of_s: int, newest: int, mean: Floats, scale: Floats,
    sums: Floats, out: Floats, q: int, col: int,
) -> None:  # fmt: skip
    """Write the mean deviations of the nights after the clock start, and their number."""
    nights, sums[:] = 0, 0.0
    for i in range(dawn, end):
        if n.known_s[i] > as_of_s or not n.is_night[i]:
            continue
        nights += 1
        if n.device[i] == n.device[newest]:
            for c in range(sums.size):
                sums[c] += n.added[i, c]
    for c in range(QUANTITIES):
        if sums[QUANTITIES + c] > 0:
            out[q, col + c] = (sums[c] / sums[QUANTITIES + c] - mean[c]) / scale[c]
    out[q, col + QUANTITIES + 1] = nights


@inner
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
            asleep += n.asleep_min[i]
            days += 1 if days == 0 or n.day[i] != day else 0
            day = n.day[i]
        midpoint = n.values[i, MIDPOINT]
        if n.is_night[i] and not np.isnan(midpoint):
            if nights == 0:
                first = midpoint
            x = midpoint - first
            total, squares, nights = total + x, squares + x * x, nights + 1
    if days >= DEBT_DAYS:
        out[q, col] = NEED_H * days - asleep / 60
    if nights >= MIDPOINT_NIGHTS:
        variance = (squares - total * total / nights) / (nights - 1)
        out[q, col + 1] = np.sqrt(max(variance, 0.0))
