"""Kernels of load: the episode's own session, sums over windows, decays and daily monotony."""

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
    decay_table,
    fill_missing,
    stacked,
)
from nmr_ml.features.families import LOAD_WINDOWS_D, SESSION_COLUMNS, SUMMED_COLUMNS
from nmr_ml.history import upper_bound
from nmr_ml.tables import SESSION_KINDS, SEXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.history import History

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

RINGS = len(LOAD_WINDOWS_D)
RING_ENDS_S = np.array(LOAD_WINDOWS_D) * DAY_S
SUMMED = len(SUMMED_COLUMNS)
#: Banister's constants by position in `SEXES` (domain.md §3.1).
BANISTER_A = np.array([0.86, 0.64, np.nan])
BANISTER_B = np.array([1.67, 1.92, np.nan])
UNKNOWN_SEX = SEXES.index("unknown")
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
    and the local start; `summed` those added up over windows; `match` marks matches and races.
    """

    offsets: Ints
    at_s: Ints
    known_s: Ints
    started_s: Floats
    load: Floats
    day: Ints
    by_day: Floats
    modality: Floats
    match: Floats
    eccentric: Floats
    own: Floats
    summed: Floats


def sessions_of(history: History) -> Sessions:
    """Lay the sessions out for the kernels."""
    rows = history.sessions
    columns = rows.columns
    zones = sum(i * columns[f"hr_zone{i}_min"] for i in range(1, 6))
    start_h = np.where(columns["day_precision"] == 0, columns["start_clock_h"], np.nan)
    kind = columns["kind"]
    match = (kind == SESSION_KINDS.index("match")) | (kind == SESSION_KINDS.index("race"))
    return Sessions(
        rows.offsets, rows.at_s, rows.known_s, columns["started_at"], columns["session_load_au"],
        columns["local_day"].astype(np.int64), columns["day_precision"], columns["modality"],
        match.astype(np.float64), columns["eccentric_reps_n"],
        stacked([*(columns[name] for name in SESSION_COLUMNS), np.asarray(zones), start_h]),
        stacked([columns[name] for name in SUMMED_COLUMNS]),
    )  # fmt: skip


class Pulse(NamedTuple):
    """What Banister's TRIMP needs: the sessions' heart rates and the athletes' own limits."""

    mean_hr: Floats
    duration_min: Floats
    sex: Floats
    hr_max: Floats
    night_offsets: Ints
    wake_s: Ints
    night_known_s: Ints
    resting_hr: Floats


def pulse_of(history: History) -> Pulse:
    """Lay heart rates out for the kernels."""
    columns, nights = history.sessions.columns, history.sleep
    return Pulse(
        columns["mean_hr_bpm"], columns["duration_min"],
        history.person["sex"], history.person["hr_max_bpm"],
        nights.offsets, nights.at_s, nights.known_s, nights.columns["resting_hr_bpm"],
    )  # fmt: skip


@njit(cache=True, nogil=True)
def own_session(m: Moments, s: Sessions, pulse: Pulse, out: Floats, col: int) -> None:
    """Write the features of each episode's own session from column `col` on."""
    copied = s.own.shape[1]
    width = copied + 1
    for q in range(m.athlete.size):
        if m.repeats[q]:
            copy_previous(out, q, col, width)
            continue
        row, as_of = m.session[q], m.as_of_s[q]
        if row < 0 or s.known_s[row] > as_of or s.at_s[row] > as_of:
            fill_missing(out, q, col, width)
            continue
        for c in range(copied):
            out[q, col + c] = s.own[row, c]
        out[q, col + copied] = banister_trimp(pulse, m.athlete[q], row, s.started_s[row], as_of)


@njit(cache=True, nogil=True)
def banister_trimp(pulse: Pulse, athlete: int, row: int, started_s: float, as_of_s: int) -> float:
    """Return Banister's TRIMP of session `row`; NaN where a heart rate is not known."""
    sex = pulse.sex[athlete]
    if np.isnan(sex) or sex == UNKNOWN_SEX or np.isnan(pulse.mean_hr[row]):
        return np.nan
    first, last = pulse.night_offsets[athlete], pulse.night_offsets[athlete + 1]
    total, n = 0.0, 0
    begin = int(started_s)
    for i in range(upper_bound(pulse.wake_s, first, last, begin) - 1, first - 1, -1):
        if pulse.wake_s[i] <= begin - 28 * DAY_S:
            break
        if pulse.night_known_s[i] <= as_of_s and not np.isnan(pulse.resting_hr[i]):
            total += pulse.resting_hr[i]
            n += 1
    if n == 0:
        return np.nan
    rest = total / n
    span = pulse.hr_max[athlete] - rest
    if not span > 0:
        return np.nan
    effort = (pulse.mean_hr[row] - rest) / span
    if not 0 <= effort <= 1:
        return np.nan
    a, b = BANISTER_A[int(sex)], BANISTER_B[int(sex)]
    return float(pulse.duration_min[row] * effort * a * np.exp(b * effort))


@njit(cache=True, nogil=True)
def windows(m: Moments, s: Sessions, ends_s: Ints, out: Floats, col: int) -> None:
    """Write sums and counts over the windows ``(as_of - W, as_of]`` from column `col` on."""
    width = RINGS + 2 * SUMMED + 6
    at_s, known_s, offsets = s.at_s, s.known_s, s.offsets
    sums, counts = np.empty((RINGS, 1 + SUMMED)), np.empty((RINGS, 3 + SUMMED), np.int64)
    for q in range(m.athlete.size):
        if m.repeats[q]:
            copy_previous(out, q, col, width)
            continue
        as_of, first = m.as_of_s[q], offsets[m.athlete[q]]
        record_s = -1  # age of the oldest session looked at
        sums[:], counts[:], ring = 0.0, 0, 0
        last = upper_bound(at_s, first, offsets[m.athlete[q] + 1], as_of)
        for i in range(last - 1, first - 1, -1):
            age = as_of - at_s[i]
            if age >= HORIZON_S:
                break
            if known_s[i] > as_of:
                continue
            record_s = age
            if age >= ends_s[RINGS - 1]:
                break  # one session before the longest window shows that all are on record
            while age >= ends_s[ring]:
                ring += 1
            add_session(s.load, s.match, s.summed, i, ring, sums, counts)
        add_up(sums)
        add_up(counts)
        write_windows(out, q, col, record_s, ends_s, sums, counts)


@njit(cache=True, nogil=True)
def add_session(
    load: Floats, match: Floats, summed: Floats, i: int, ring: int, sums: Floats, counts: Ints
) -> None:
    """Add session `i` to a ring.

    A ring of `sums` holds load and `SUMMED_COLUMNS`; one of `counts` sessions, those of unknown
    load, matches, and how many sessions have each of the summed columns.
    """
    counts[ring, 0] += 1
    if np.isnan(load[i]):
        counts[ring, 1] += 1
    else:
        sums[ring, 0] += load[i]
    counts[ring, 2] += 1 if match[i] == 1.0 else 0
    for c in range(SUMMED):
        x = summed[i, c]
        if not np.isnan(x):
            sums[ring, 1 + c] += x
            counts[ring, 3 + c] += 1


@njit(cache=True, nogil=True)
def add_up(rings: Floats | Ints) -> None:
    """Turn the values of rings into those of windows, each of which holds the shorter ones."""
    for ring in range(1, rings.shape[0]):
        for c in range(rings.shape[1]):
            rings[ring, c] += rings[ring - 1, c]


@njit(cache=True, nogil=True)
def write_windows(
    out: Floats, q: int, col: int, record_s: int, ends_s: Ints, sums: Floats, counts: Ints
) -> None:
    """Write the windows of one query; a sum that is not wholly on record is missing."""
    longest = RINGS - 1
    loads = counts[longest, 0] - counts[longest, 1]
    at = col
    for ring in range(RINGS):
        sessions, known = counts[ring, 0], counts[ring, 0] - counts[ring, 1]
        told = known > 0 or (sessions == 0 and loads > 0)
        out[q, at] = sums[ring, 0] if told and record_s >= ends_s[ring] else np.nan
        at += 1
    for ring in range(RINGS - 2, RINGS):
        covered, sessions = record_s >= ends_s[ring], counts[ring, 0]
        for c in range(SUMMED):
            told = counts[ring, 3 + c] > 0 or (sessions == 0 and counts[longest, 3 + c] > 0)
            out[q, at] = sums[ring, 1 + c] if covered and told else np.nan
            at += 1
    for c in range(3):
        for ring in range(RINGS - 2, RINGS):
            out[q, at] = counts[ring, c]
            at += 1


@njit(cache=True, nogil=True)
def load_state(m: Moments, s: Sessions, weights: Floats, out: Floats, col: int) -> None:
    """Write decays over 112 days and monotony over 7 local days from column `col` on."""
    decays, days = np.empty(4), np.empty(7)
    for q in range(m.athlete.size):
        if m.repeats[q]:
            copy_previous(out, q, col, 8)
            continue
        decays[:], days[:] = 0.0, 0.0
        as_of, first = m.as_of_s[q], s.offsets[m.athlete[q]]
        record_s, known, unknown_in_days, earlier = -1, 0, 0, False
        last = upper_bound(s.at_s, first, s.offsets[m.athlete[q] + 1], as_of)
        for i in range(last - 1, first - 1, -1):
            age = as_of - s.at_s[i]
            if age >= HORIZON_S:
                break
            if s.known_s[i] > as_of:
                continue
            record_s = age
            back = m.as_of_day[q] - s.day[i]
            earlier = earlier or back > 7
            if np.isnan(s.load[i]):
                unknown_in_days += 1 if 1 <= back <= 7 else 0
                continue
            known += 1
            for c in range(4):
                decays[c] += s.load[i] * weights[age // HOUR_S, c]
            if 1 <= back <= 7:
                days[back - 1] += s.load[i]
        write_decays(out, q, col, record_s, known, decays)
        whole = earlier and unknown_in_days == 0
        write_monotony(out, q, col + 5, days, whole)
        out[q, col + 7] = record_s / DAY_S if record_s >= 0 else np.nan


@njit(cache=True, nogil=True)
def write_decays(out: Floats, q: int, col: int, record_s: int, known: int, decays: Floats) -> None:
    """Write acute and chronic load, their log difference, fitness and fatigue."""
    acute, chronic = (1 - ACUTE_KEPT) * decays[0], (1 - CHRONIC_KEPT) * decays[1]
    told = known > 0
    out[q, col] = acute if told and record_s >= COVERED_S[0] else np.nan
    out[q, col + 1] = chronic if told and record_s >= COVERED_S[1] else np.nan
    both = record_s >= COVERED_S[1] and acute > 0 and chronic > 0
    out[q, col + 2] = np.log(acute) - np.log(chronic) if both else np.nan
    out[q, col + 3] = decays[2] if told and record_s >= COVERED_S[2] else np.nan
    out[q, col + 4] = decays[3] if told and record_s >= COVERED_S[3] else np.nan


@njit(cache=True, nogil=True)
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
