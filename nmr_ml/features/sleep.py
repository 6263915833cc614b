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
)
from nmr_ml.features.families import NIGHT_COLUMNS
from nmr_ml.kernels import inner, kept
from nmr_ml.sorted_rows import running_latest, upper_bound, upper_bound_near

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.history import History

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

QUANTITIES = len(NIGHT_COLUMNS)
WIDTH = 2 * QUANTITIES + 5
MIDPOINT = tuple(NIGHT_COLUMNS).index("midpoint")
FLOORS = np.array([floor for _, floor in NIGHT_COLUMNS.values()])
#: A period in bed shorter than this is a nap: it counts for the debt only.
NIGHT_S = 3 * HOUR_S
LAST_NIGHT_H = 36.0
BASELINE_S, BASELINE_NIGHTS = 28 * DAY_S, 7
NEED_H, DEBT_D, DEBT_DAYS, MIDPOINT_NIGHTS, PAIRS = 8.0, 14, 10, 7, 7


class Nights(NamedTuple):
    """The nights as the kernel sees them; `device` is -1 where it is not known.

    `added` holds the quantities of `NIGHT_COLUMNS`, 0 where missing, and after them 1 for each that
    is known.
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
    added: Floats


class Pairs(NamedTuple):
    """Pairs of nights a day apart, as `nmr_ml.history.History.night_pairs` has them."""

    offsets: Ints
    wake_s: Ints
    known_s: Ints
    same_share: Floats


def nights_of(history: History) -> Nights:
    """Lay the nights out for the kernel."""
    rows, c = history.sleep, history.sleep.columns
    is_night, added = np.empty(len(rows), np.bool_), np.empty((len(rows), 2 * QUANTITIES))
    _fill_quantities(
        rows.at_s, c["onset_at"], c["day_precision"], c["asleep_min"], c["latency_min"],
        c["awake_min"], c["light_min"], c["deep_min"], c["rem_min"], c["deep_first3h_min"],
        c["wake_clock_h"], np.log(c["hrv_rmssd_ms"]), c["resting_hr_bpm"], is_night, added,
    )  # fmt: skip
    device = np.where(np.isnan(c["device"]), -1.0, c["device"])
    return Nights(
        rows.offsets, rows.at_s, rows.known_s, running_latest(rows.offsets, rows.known_s),
        is_night, c["day_precision"], device, c["local_day"].astype(np.int64),
        c["asleep_min"], added,
    )  # fmt: skip


def pairs_of(history: History) -> Pairs:
    """Lay the pairs of nights out for the kernel."""
    rows = history.night_pairs
    return Pairs(rows.offsets, rows.at_s, rows.known_s, rows.columns["same_share"])


@kept
def _fill_quantities(
    wake_s: Ints, onset_s: Floats, by_day: Floats, asleep: Floats, latency: Floats, awake: Floats,
    light: Floats, deep: Floats, rem: Floats, early: Floats, clock_h: Floats, ln_rmssd: Floats,
    resting_hr: Floats, is_night: Bools, added: Floats,
) -> None:  # fmt: skip
    """Fill in which rows are nights, and `Nights.added`.

    Bed times of day precision are a convention: what was slept tells a nap from a night, and only
    whole sums are left.
    """
    for i in range(wake_s.size):
        timed, in_bed_s = by_day[i] != 1.0, wake_s[i] - onset_s[i]
        is_night[i] = in_bed_s >= NIGHT_S if timed else not 60 * asleep[i] < NIGHT_S
        x = added[i]
        x[0], x[3], x[4], x[5], x[6] = asleep[i], awake[i], light[i], deep[i], rem[i]
        x[1] = 6000 * asleep[i] / in_bed_s if timed and in_bed_s > 0 else np.nan
        x[2] = latency[i] if timed else np.nan
        x[7] = early[i] if timed else np.nan
        x[8] = early[i] / deep[i] if timed and deep[i] > 0 else np.nan
        x[9] = clock_h[i] - in_bed_s / (2 * HOUR_S) if timed else np.nan
        x[10], x[11] = ln_rmssd[i], resting_hr[i]
        for k in range(QUANTITIES):
            x[QUANTITIES + k] = 0.0 if np.isnan(x[k]) else 1.0
            x[k] = 0.0 if np.isnan(x[k]) else x[k]


@inner
def sleep(
    m: Moments, first: int, last: int, n: Nights, pairs: Pairs, floors: Floats, out: Floats,
    col: int,
) -> None:  # fmt: skip
    """Write last night, the nights since the clock start and the last fortnight."""
    mean, scale, sums = np.empty(QUANTITIES), np.empty(QUANTITIES), np.empty(2 * QUANTITIES)
    begin, end, eve, dawn = 0, 0, 0, 0
    usual_of = (-1, -1, -1, -1.0)  # what `mean` and `scale` are of
    for q in range(first, last):
        if m.alike[q] == SAME_MOMENT:
            copy_previous(out, q, col, WIDTH)
            continue
        fill_missing(out, q, col, WIDTH)
        out[q, col + WIDTH - 4] = 0.0
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
            baseline(n, eve, dawn, as_of, left_out, wanted[3], sums, mean, scale,
                     floors)  # fmt: skip
            usual_of = wanted if settled(n.latest_s, eve, dawn, as_of) else (-1, -1, -1, -1.0)
        if age < LAST_NIGHT_H:
            for c in range(mean.size):
                z = (n.added[newest, c] - mean[c]) / scale[c]
                out[q, col + c] = z if n.added[newest, QUANTITIES + c] > 0 else np.nan
            out[q, col + WIDTH - 5] = age
        if dawn < end:
            nights_since(n, dawn, end, as_of, newest, mean, scale, sums, out, q, col + QUANTITIES)
        fortnight(n, begin, end, as_of, out, q, col + WIDTH - 3)
        out[q, col + WIDTH - 1] = regularity(pairs, m.athlete[q], as_of)


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
    n: Nights, eve: int, dawn: int, as_of_s: int, left_out: int, device: float, sums: Floats,
    mean: Floats, scale: Floats, floors: Floats,
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
    nights, device, sums[:] = 0, n.device[newest], 0.0
    for i in range(dawn, end):
        if n.known_s[i] > as_of_s or not n.is_night[i]:
            continue
        nights += 1
        if n.device[i] == device:
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
        if n.is_night[i] and n.added[i, QUANTITIES + MIDPOINT] > 0:
            if nights == 0:
                first = n.added[i, MIDPOINT]
            x = n.added[i, MIDPOINT] - first
            total, squares, nights = total + x, squares + x * x, nights + 1
    if days >= DEBT_DAYS:
        out[q, col] = NEED_H * days - asleep / 60
    if nights >= MIDPOINT_NIGHTS:
        variance = (squares - total * total / nights) / (nights - 1)
        out[q, col + 1] = np.sqrt(max(variance, 0.0))


@inner
def regularity(pairs: Pairs, athlete: int, as_of_s: int) -> float:
    """Return the sleep regularity index of 14 days (Phillips 2017)."""
    first, last = pairs.offsets[athlete], pairs.offsets[athlete + 1]
    total, n = 0.0, 0
    for i in range(upper_bound(pairs.wake_s, first, last, as_of_s) - 1, first - 1, -1):
        if as_of_s - pairs.wake_s[i] >= DEBT_D * DAY_S:
            break
        if pairs.known_s[i] <= as_of_s:
            total, n = total + pairs.same_share[i], n + 1
    return 100.0 * (2.0 * total / n - 1.0) if n >= PAIRS else np.nan
