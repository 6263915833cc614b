"""Kernels of load: the episode's own session, sums over windows, decays and daily monotony."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.cohort.tables import SESSION_KINDS
from nmr_ml.features.measured import LOAD_WINDOWS_D, SESSION_COLUMNS, SUMMED_COLUMNS
from nmr_ml.features.moments import (
    FEATURES_BACK_S,
    SAME_EPISODE,
    SAME_MOMENT,
    ZEROS,
    Moments,
    copy_previous,
    decay_table,
    fill_missing,
    plus,
    settled,
    stacked,
    unsigned,
)
from nmr_ml.features.person import UNKNOWN_SEX
from nmr_ml.history.local_time import DAY_S, HOUR_S
from nmr_ml.numeric.compiled import inner, kept
from nmr_ml.numeric.sorted_rows import running_latest, upper_bound_near

if TYPE_CHECKING:
    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Floats, Ints


RINGS = len(LOAD_WINDOWS_D)
RING_ENDS_S = np.array(LOAD_WINDOWS_D) * DAY_S
SUMMED = len(SUMMED_COLUMNS)
#: What is added up over windows: load, `SUMMED_COLUMNS` and matches.
LOAD, MATCHES, ADDED = 0, 1 + SUMMED, 2 + SUMMED
#: What is counted over windows: sessions, those of known load, and the bits of `Sessions.told`.
SESSIONS, LOADS, TOLD, COUNTED = 0, 1, 2, 3
OWN = len(SESSION_COLUMNS) + 3
#: Features of windows, and of decays and monotony.
WINDOWS, STATES = RINGS + 2 * SUMMED + 6, 8
MATCH, RACE = SESSION_KINDS.index("match"), SESSION_KINDS.index("race")
#: Banister's constants by position in `SEXES` (domain.md §3.1).
BANISTER_A = np.array([0.86, 0.64, np.nan])
BANISTER_B = np.array([1.67, 1.92, np.nan])
#: Share kept per day: EWMA with λ = 2 / (N + 1), N = 7 and 28; Banister's τ of 42 and 7 days.
ACUTE_KEPT, CHRONIC_KEPT = 1 - 2 / 8, 1 - 2 / 29
WEIGHTS = stacked(
    [
        decay_table(ACUTE_KEPT),
        decay_table(CHRONIC_KEPT),
        decay_table(float(np.exp(-1 / 42))),
        decay_table(float(np.exp(-1 / 7))),
    ]
)
#: Days of record that each of these decays needs before it is passed off as whole.
COVERED_S = (7 * DAY_S, 28 * DAY_S, 42 * DAY_S, 7 * DAY_S)


class Sessions(NamedTuple):
    """The sessions as the kernels see them.

    `own` has the columns copied from the episode's own session, the last two being Edwards' TRIMP
    and the local start. `added` has what is added up over windows, 0 where it is not known, and
    bit ``c`` of `told` says whether column ``c`` of it is known. A match or a race counts 1, any
    other kind 0.
    """

    offsets: Ints
    at_s: Ints
    known_s: Ints
    started_s: Floats
    load: Floats
    day: Ints
    by_day: Floats
    modality: Floats
    eccentric: Floats
    energy_kcal: Floats
    own: Floats
    added: Floats
    told: Ints


def sessions_of(history: History) -> Sessions:
    """Lay the sessions out for the kernels."""
    rows, columns = history.sessions, history.sessions.columns
    zones = [columns[f"hr_zone{i}_min"] for i in range(1, 6)]
    # numpy asks for huge pages, numba does not; touching a block in small ones takes longer than
    # filling it.
    own, added = np.empty((len(rows), OWN - 1)), np.zeros((len(rows), ADDED))
    told = np.zeros(len(rows), np.int64)
    _fill_own(
        tuple(columns[name] for name in SESSION_COLUMNS), tuple(zones), columns["start_clock_h"],
        columns["day_precision"], own,
    )  # fmt: skip
    load, summed = columns["session_load_au"], [columns[name] for name in SUMMED_COLUMNS]
    _fill_added(load, tuple(summed), columns["kind"], added, told)
    return Sessions(
        rows.offsets, rows.at_s, rows.known_s, columns["started_at"], load,
        columns["local_day"].astype(np.int64), columns["day_precision"], columns["modality"],
        columns["eccentric_reps_n"], columns["energy_kcal"], own,
        added, told,
    )  # fmt: skip


@kept
def _fill_own(
    copied: tuple[Floats, ...], zones: tuple[Floats, ...], start_clock_h: Floats, by_day: Floats,
    own: Floats,
) -> None:  # fmt: skip
    for c in range(len(copied)):
        column = copied[c]
        for i in range(by_day.size):
            own[i, c] = column[i]
    own[:, OWN - 3] = 0.0
    for zone in range(len(zones)):
        column = zones[zone]
        for i in range(by_day.size):
            own[i, OWN - 3] += (zone + 1) * column[i]
    for i in range(by_day.size):
        own[i, OWN - 2] = np.nan if by_day[i] == 1.0 else start_clock_h[i]


@kept
def _fill_added(
    load: Floats, summed: tuple[Floats, ...], kind: Floats, added: Floats, told: Ints
) -> None:
    for c in range(len(summed)):
        column = summed[c]
        for i in range(load.size):
            if not np.isnan(column[i]):
                added[i, 1 + c], told[i] = column[i], told[i] | (1 << (1 + c))
    for i in range(load.size):
        if not np.isnan(load[i]):
            added[i, LOAD], told[i] = load[i], told[i] | (1 << LOAD)
        if not np.isnan(kind[i]):
            told[i] |= 1 << MATCHES
            added[i, MATCHES] = 1.0 if kind[i] == MATCH or kind[i] == RACE else 0.0


class Pulse(NamedTuple):
    """What Banister's TRIMP needs: the sessions' heart rates and the athletes' own limits."""

    mean_hr: Floats
    duration_min: Floats
    sex: Floats
    hr_max: Floats
    night_offsets: Ints
    wake_s: Ints
    night_known_s: Ints
    night_latest_s: Ints
    resting_hr: Floats


def pulse_of(history: History) -> Pulse:
    """Lay heart rates out for the kernels."""
    columns, nights = history.sessions.columns, history.sleep
    return Pulse(
        columns["mean_hr_bpm"], columns["duration_min"],
        history.person["sex"], history.person["hr_max_bpm"], nights.offsets, nights.at_s,
        nights.known_s, running_latest(nights.offsets, nights.known_s),
        nights.columns["resting_hr_bpm"],
    )  # fmt: skip


@inner
def own_session(
    m: Moments, first: int, last: int, s: Sessions, pulse: Pulse, out: Floats, col: int
) -> None:
    """Write the features of each episode's own session from column `col` on."""
    night = 0
    for q in range(first, last):
        if m.alike[q] == SAME_MOMENT:
            copy_previous(out, q, col, OWN)
            continue
        athlete, row, as_of = m.athlete[q], m.session[q], m.as_of_s[q]
        if row < 0 or s.known_s[row] > as_of or s.at_s[row] > as_of:
            fill_missing(out, q, col, OWN)
            continue
        begin, end = pulse.night_offsets[athlete], pulse.night_offsets[athlete + 1]
        night = upper_bound_near(pulse.wake_s, begin, end, int(s.started_s[row]), night)
        above_s = m.as_of_s[q - 1] if m.alike[q] == SAME_EPISODE else -1
        if max(s.known_s[row], s.at_s[row]) <= above_s and settled(
            pulse.night_latest_s, begin, night, above_s
        ):
            copy_previous(out, q, col, OWN)
            continue
        for c in range(s.own.shape[1]):
            out[q, col + c] = s.own[row, c]
        rest = resting_pulse(pulse, begin, night, int(s.started_s[row]), as_of)
        out[q, col + OWN - 1] = banister_trimp(pulse, athlete, row, rest)


@inner
def resting_pulse(pulse: Pulse, first: int, end: int, begin_s: int, as_of_s: int) -> float:
    """Return the mean resting heart rate of the 28 days of nights before ``end``."""
    total, n = 0.0, 0
    for i in range(end - 1, first - 1, -1):
        if pulse.wake_s[i] <= begin_s - 28 * DAY_S:
            break
        if pulse.night_known_s[i] <= as_of_s and not np.isnan(pulse.resting_hr[i]):
            total += pulse.resting_hr[i]
            n += 1
    return total / n if n > 0 else np.nan


@inner
def banister_trimp(pulse: Pulse, athlete: int, row: int, rest: float) -> float:
    """Return Banister's TRIMP of session `row`; NaN where sex or a heart rate is not known."""
    sex, span = pulse.sex[athlete], pulse.hr_max[athlete] - rest
    if np.isnan(sex) or sex == UNKNOWN_SEX or not span > 0:
        return np.nan
    effort = (pulse.mean_hr[row] - rest) / span
    if not 0 <= effort <= 1:
        return np.nan
    a, b = BANISTER_A[int(sex)], BANISTER_B[int(sex)]
    return float(pulse.duration_min[row] * effort * a * np.exp(b * effort))


@inner
def loads(
    m: Moments, first: int, last: int, s: Sessions, weights: Floats, ends_s: Ints, out: Floats,
    col: int,
) -> None:  # fmt: skip
    """Write sums and counts over the windows ``(as_of - W, as_of]``, decays and monotony."""
    windows, counts = np.empty((RINGS, ADDED)), np.empty((RINGS, COUNTED), np.int64)
    days, end = np.empty(7), 0
    for q in range(first, last):
        if m.alike[q] == SAME_MOMENT:
            copy_previous(out, q, col, WINDOWS + STATES)
            continue
        as_of, begin = m.as_of_s[q], s.offsets[m.athlete[q]]
        end = upper_bound_near(s.at_s, begin, s.offsets[m.athlete[q] + 1], as_of, end)
        add_up(s, begin, end, as_of, ends_s, windows, counts)
        oldest, loads_n, decays = decayed(s, weights, begin, end, as_of)
        record_s = as_of - s.at_s[oldest] if oldest >= 0 else -1
        write_windows(out, q, col, record_s, ends_s, windows, counts)
        write_decays(out, q, col + WINDOWS, record_s, loads_n, decays)
        unknown = daily(s.day, s.known_s, s.load, begin, end, as_of, m.as_of_day[q], days)
        whole = oldest >= 0 and m.as_of_day[q] - s.day[oldest] > 7 and unknown == 0
        write_monotony(out, q, col + WINDOWS + 5, days, whole)
        out[q, col + WINDOWS + 7] = record_s / DAY_S if record_s >= 0 else np.nan


@inner
def add_up(
    s: Sessions, begin: int, end: int, as_of_s: int, ends_s: Ints, windows: Floats, counts: Ints
) -> None:
    """Add the sessions of each window up, newest first; a longer window goes on from a shorter."""
    sums, sessions_n, loads_n, told, last = ZEROS, 0, 0, 0, end
    for ring in range(RINGS):
        while last > begin and as_of_s - s.at_s[unsigned(last - 1)] < ends_s[ring]:
            last -= 1
            i = unsigned(last)
            if s.known_s[i] <= as_of_s:
                sums = plus(sums, s.added, i)
                sessions_n += 1
                loads_n += (s.told[i] >> LOAD) & 1
                told |= s.told[i]
        for c in range(ADDED):
            windows[ring, c] = sums[c]
        counts[ring, SESSIONS], counts[ring, LOADS], counts[ring, TOLD] = sessions_n, loads_n, told


@inner
def decayed(
    s: Sessions, weights: Floats, begin: int, end: int, as_of_s: int
) -> tuple[int, int, tuple[float, float, float, float]]:
    """Return the oldest session within the horizon (-1: none), the known loads and the decays."""
    oldest, loads_n = -1, 0
    acute, chronic, fitness, fatigue = 0.0, 0.0, 0.0, 0.0
    for newest in range(end - 1, begin - 1, -1):
        i = unsigned(newest)
        age = as_of_s - s.at_s[i]
        if age >= FEATURES_BACK_S:
            break
        if s.known_s[i] <= as_of_s:
            oldest = newest
            h = np.uint32(age) // np.uint32(HOUR_S)  # sooner than a division of 64 bits
            x = 0.0 if np.isnan(s.load[i]) else s.load[i]
            loads_n += 0 if np.isnan(s.load[i]) else 1
            acute += x * weights[h, 0]
            chronic += x * weights[h, 1]
            fitness += x * weights[h, 2]
            fatigue += x * weights[h, 3]
    return oldest, loads_n, (acute, chronic, fitness, fatigue)


@inner
def daily(
    day: Ints, known_s: Ints, load: Floats, begin: int, end: int, as_of_s: int, today: int,
    days: Floats,
) -> int:  # fmt: skip
    """Add the loads of each of the last 7 whole days up; return how many are unknown."""
    unknown, i = 0, end - 1
    days[:] = 0.0
    while i >= begin and today - day[i] <= 8:
        back = today - day[i]
        if known_s[i] <= as_of_s and 1 <= back <= 7:
            if np.isnan(load[i]):
                unknown += 1
            else:
                days[back - 1] += load[i]
        i -= 1
    return unknown


@inner
def write_windows(
    out: Floats, q: int, col: int, record_s: int, ends_s: Ints, windows: Floats, counts: Ints
) -> None:
    """Write the windows of one query; a sum that is not wholly on record is missing."""
    at = col
    for ring in range(RINGS):
        told = told_in(counts, ring) if record_s >= ends_s[ring] else 0
        out[q, at] = windows[ring, LOAD] if told & (1 << LOAD) else np.nan
        at += 1
    for ring in range(RINGS - 2, RINGS):
        told = told_in(counts, ring) if record_s >= ends_s[ring] else 0
        for c in range(1, 1 + SUMMED):
            out[q, at] = windows[ring, c] if told & (1 << c) else np.nan
            at += 1
    for ring in range(RINGS - 2, RINGS):
        told = told_in(counts, ring)
        out[q, at] = counts[ring, SESSIONS]
        out[q, at + 2] = counts[ring, SESSIONS] - counts[ring, LOADS]
        out[q, at + 4] = windows[ring, MATCHES] if told & (1 << MATCHES) else np.nan
        at += 1


@inner
def told_in(counts: Ints, ring: int) -> int:
    """Return the bits of what a window tells; of one without sessions rest tells that it is 0."""
    return int(counts[ring, TOLD] if counts[ring, SESSIONS] > 0 else counts[RINGS - 1, TOLD])


@inner
def write_decays(
    out: Floats, q: int, col: int, record_s: int, loads_n: int,
    decays: tuple[float, float, float, float],
) -> None:  # fmt: skip
    """Write acute and chronic load, their log difference, fitness and fatigue."""
    acute, chronic = (1 - ACUTE_KEPT) * decays[0], (1 - CHRONIC_KEPT) * decays[1]
    told = loads_n > 0
    out[q, col] = acute if told and record_s >= COVERED_S[0] else np.nan
    out[q, col + 1] = chronic if told and record_s >= COVERED_S[1] else np.nan
    both = record_s >= COVERED_S[1] and acute > 0 and chronic > 0
    out[q, col + 2] = np.log(acute) - np.log(chronic) if both else np.nan
    out[q, col + 3] = decays[2] if told and record_s >= COVERED_S[2] else np.nan
    out[q, col + 4] = decays[3] if told and record_s >= COVERED_S[3] else np.nan


@inner
def write_monotony(out: Floats, q: int, col: int, days: Floats, whole: bool) -> None:
    """Write Foster's monotony and strain of seven daily sums (Foster 1998)."""
    total = 0.0
    for d in range(7):
        total += days[d]
    mean, squares = total / 7, 0.0
    for d in range(7):
        squares += (days[d] - mean) ** 2
    sd = np.sqrt(squares / 6)
    out[q, col] = mean / sd if whole and sd > 1e-6 else np.nan
    out[q, col + 1] = total * (mean / sd) if whole and sd > 1e-6 else np.nan
