"""Kernel of sleep: nights as deviations from the athlete's own nights with the same device."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.features.measured import NIGHT_COLUMNS
from nmr_ml.features.moments import (
    FEATURES_BACK_S,
    SAME_MOMENT,
    ZEROS,
    Moments,
    Sums,
    copy_previous,
    fill_missing,
    plus,
    plus_squares,
    settled,
    unsigned,
)
from nmr_ml.history.local_time import DAY_S, HOUR_S, NEVER_S
from nmr_ml.history.sleep_regularity import NIGHT_S
from nmr_ml.numeric.compiled import inner, kept
from nmr_ml.numeric.sorted_rows import running_latest, upper_bound, upper_bound_near

if TYPE_CHECKING:
    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Bools, Floats, Ints


QUANTITIES = len(NIGHT_COLUMNS)
#: Bits of a count of nights, of which a number holds those of half the quantities: 1023 nights of
#: 3 h fill more than the 112 days looked back on.
COUNT_BITS, HALF = 10, QUANTITIES // 2
WIDTH = 2 * QUANTITIES + 5
MIDPOINT = tuple(NIGHT_COLUMNS).index("midpoint")
FLOORS = np.array([floor for _, floor in NIGHT_COLUMNS.values()])
LAST_NIGHT_H = 36.0
BASELINE_S, BASELINE_NIGHTS = 28 * DAY_S, 7
#: Sums of the quantities and of their squares, and how many are known; of no nights.
Summed = tuple[Sums, Sums, int, int]
NO_NIGHTS: Summed = (ZEROS, ZEROS, 0, 0)
#: First and last row, row left out and device of no nights.
NOTHING = (-1, -1, -1, -1.0)
NEED_H, DEBT_D, DEBT_DAYS, MIDPOINT_NIGHTS, PAIRS = 8.0, 14, 10, 7, 7


class Nights(NamedTuple):
    """The nights as the kernel sees them.

    `device` is -1 where it is not known, `midpoint_h` missing for a nap. `added` holds the
    quantities of `NIGHT_COLUMNS`, 0 where missing. `told` counts those that are known: that of
    column ``c`` is ``told_n(told[i, 0], told[i, 1], c)``, also where rows are added.
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
    midpoint_h: Floats
    added: Floats
    told: Ints


class Pairs(NamedTuple):
    """Pairs of nights a day apart, as `nmr_ml.history.history.History.night_pairs` has them."""

    offsets: Ints
    wake_s: Ints
    known_s: Ints
    same_share: Floats


def nights_of(history: History) -> Nights:
    """Lay the nights out for the kernel."""
    rows, c = history.sleep, history.sleep.columns
    is_night, added = np.empty(len(rows), np.bool_), np.empty((len(rows), QUANTITIES))
    midpoint_h, told = np.empty(len(rows)), np.zeros((len(rows), 2), np.int64)
    _fill_quantities(
        rows.at_s, c["onset_at"], c["day_precision"], c["asleep_min"], c["latency_min"],
        c["awake_min"], c["light_min"], c["deep_min"], c["rem_min"], c["deep_first3h_min"],
        c["wake_clock_h"], np.log(c["hrv_rmssd_ms"]), c["resting_hr_bpm"], is_night,
        midpoint_h, added, told,
    )  # fmt: skip
    device = np.where(np.isnan(c["device"]), -1.0, c["device"])
    return Nights(
        rows.offsets, rows.at_s, rows.known_s, running_latest(rows.offsets, rows.known_s),
        is_night, c["day_precision"], device, c["local_day"].astype(np.int64),
        c["asleep_min"], midpoint_h, added, told,
    )  # fmt: skip


def pairs_of(history: History) -> Pairs:
    """Lay the pairs of nights out for the kernel."""
    rows = history.night_pairs
    return Pairs(rows.offsets, rows.at_s, rows.known_s, rows.columns["same_share"])


@kept
def _fill_quantities(
    wake_s: Ints, onset_s: Floats, by_day: Floats, asleep: Floats, latency: Floats, awake: Floats,
    light: Floats, deep: Floats, rem: Floats, early: Floats, clock_h: Floats, ln_rmssd: Floats,
    resting_hr: Floats, is_night: Bools, midpoint_h: Floats, added: Floats, told: Ints,
) -> None:  # fmt: skip
    """Fill in which rows are nights, their `Nights.midpoint_h`, `Nights.added` and `Nights.told`.

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
        midpoint_h[i] = x[MIDPOINT] if is_night[i] else np.nan
        for k in range(QUANTITIES):
            told[i, k // HALF] += 0 if np.isnan(x[k]) else 1 << (COUNT_BITS * (k % HALF))
            x[k] = 0.0 if np.isnan(x[k]) else x[k]


@inner
def told_n(low: int, high: int, c: int) -> int:
    """Return the count of quantity `c` in the two numbers that hold those of all."""
    return ((low if c < HALF else high) >> (COUNT_BITS * (c % HALF))) & ((1 << COUNT_BITS) - 1)


@inner
def sleep(
    m: Moments, first: int, last: int, n: Nights, pairs: Pairs, floors: Floats, out: Floats,
    col: int,
) -> None:  # fmt: skip
    """Write last night, the nights since the clock start and the last fortnight."""
    mean, per_sd = np.empty(QUANTITIES), np.empty(QUANTITIES)
    begin, end, eve, dawn = 0, 0, 0, 0
    summed, summed_of, usual_of = NO_NIGHTS, NOTHING, NOTHING  # what `mean` and `per_sd` are of
    for q in range(first, last):
        if m.alike[q] == SAME_MOMENT:
            copy_previous(out, q, col, WIDTH)
            continue
        fill_missing(out, q, col, WIDTH)
        out[q, col + WIDTH - 4] = 0.0
        as_of, clock = m.as_of_s[q], min(m.clock_s[q], m.as_of_s[q])
        start, stop = n.offsets[m.athlete[q]], n.offsets[m.athlete[q] + 1]
        begin = upper_bound_near(n.wake_s, start, stop, as_of - FEATURES_BACK_S, begin)
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
        whole = settled(n.latest_s, eve, dawn, as_of)
        if usual_of != wanted or not whole:
            # At later moments the night left out is among the others: add up to it, then go on.
            until = left_out if left_out >= 0 else dawn
            if not (whole and summed_of[0] == eve and summed_of[1] <= until
                    and summed_of[3] == wanted[3]):  # fmt: skip
                summed = add_nights(n, eve, until, as_of, -1, wanted[3], NO_NIGHTS)
                summed_of = (eve, until, -1, wanted[3])
            nights = add_nights(n, summed_of[1], dawn, as_of, left_out, wanted[3], summed)
            summed_of = summed_of if whole else NOTHING
            write_usual(nights, floors, mean, per_sd)
            usual_of = wanted if whole else NOTHING
        if age < LAST_NIGHT_H:
            low, high = n.told[newest, 0], n.told[newest, 1]
            for c in range(mean.size):
                z = (n.added[newest, c] - mean[c]) * per_sd[c]
                out[q, col + c] = z if told_n(low, high, c) > 0 else np.nan
            out[q, col + WIDTH - 5] = age
        if dawn < end:
            nights_since(n, dawn, end, as_of, newest, mean, per_sd, out, q, col + QUANTITIES)
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
def add_nights(
    n: Nights, first: int, end: int, as_of_s: int, left_out: int, device: float, to: Summed
) -> Summed:
    """Return `to` with the nights ``first:end`` of a device added that are known."""
    sums, squares, low, high = to
    for night in range(first, end):
        i = unsigned(night)
        if night == left_out or n.known_s[i] > as_of_s:
            continue
        if not n.is_night[i] or n.device[i] != device:
            continue
        sums, squares = plus(sums, n.added, i), plus_squares(squares, n.added, i)
        low, high = low + n.told[i, 0], high + n.told[i, 1]
    return sums, squares, low, high


@inner
def write_usual(nights: Summed, floors: Floats, mean: Floats, per_sd: Floats) -> None:
    """Fill in the mean of the nights and one over their SD.

    The smallest SD that is divided by keeps the digits that a sum of squares loses out of sight.
    """
    sums, squares, low, high = nights
    for c in range(QUANTITIES):
        count = told_n(low, high, c)
        mean[c] = sums[c] / count if count >= BASELINE_NIGHTS else np.nan
        variance = (squares[c] - sums[c] * mean[c]) / (count - 1)
        per_sd[c] = 1.0 / max(np.sqrt(max(variance, 0.0)), floors[c])


@inner
def nights_since(
    n: Nights, dawn: int, end: int, as_of_s: int, newest: int, mean: Floats, per_sd: Floats,
    out: Floats, q: int, col: int,
) -> None:  # fmt: skip
    """Write the mean deviations of the nights after the clock start, and their number."""
    nights, device, sums, low, high = 0, n.device[newest], ZEROS, 0, 0
    for night in range(dawn, end):
        i = unsigned(night)
        if n.known_s[i] > as_of_s or not n.is_night[i]:
            continue
        nights += 1
        if n.device[i] == device:
            sums = plus(sums, n.added, i)
            low, high = low + n.told[i, 0], high + n.told[i, 1]
    for c in range(QUANTITIES):
        count = told_n(low, high, c)
        out[q, col + c] = (sums[c] / count - mean[c]) * per_sd[c] if count > 0 else np.nan
    out[q, col + QUANTITIES + 1] = nights


@inner
def fortnight(n: Nights, begin: int, end: int, as_of_s: int, out: Floats, q: int, col: int) -> None:
    """Write the sleep debt and the spread of the midpoint over 14 days."""
    asleep, days, day = 0.0, 0, NEVER_S
    origin, total, squares, nights = 0.0, 0.0, 0.0, 0
    for night in range(end - 1, begin - 1, -1):
        i = unsigned(night)
        if as_of_s - n.wake_s[i] >= DEBT_D * DAY_S:
            break
        seen = n.known_s[i] <= as_of_s
        # Without branches: which nights are known is past guessing.
        told = seen & ~np.isnan(n.asleep_min[i])
        asleep += n.asleep_min[i] if told else 0.0
        days += 1 if told & (n.day[i] != day) else 0
        day = n.day[i] if told else day
        told = seen & ~np.isnan(n.midpoint_h[i])
        origin = n.midpoint_h[i] if told & (nights == 0) else origin
        x = n.midpoint_h[i] - origin if told else 0.0
        total, squares, nights = total + x, squares + x * x, nights + (1 if told else 0)
    if days >= DEBT_DAYS:
        out[q, col] = NEED_H * days - asleep / 60
    if nights >= MIDPOINT_NIGHTS:
        variance = (squares - total * total / nights) / (nights - 1)
        out[q, col + 1] = np.sqrt(max(variance, 0.0))


@inner
def regularity(pairs: Pairs, athlete: int, as_of_s: int) -> float:
    """Return the sleep regularity index of 14 days (Phillips 2017)."""
    first, last = pairs.offsets[athlete], pairs.offsets[athlete + 1]
    if first == last:
        return np.nan
    total, n = 0.0, 0
    for i in range(upper_bound(pairs.wake_s, first, last, as_of_s) - 1, first - 1, -1):
        if as_of_s - pairs.wake_s[i] >= DEBT_D * DAY_S:
            break
        if pairs.known_s[i] <= as_of_s:
            total, n = total + pairs.same_share[i], n + 1
    return 100.0 * (2.0 * total / n - 1.0) if n >= PAIRS else np.nan
