"""Kernel of hormones and of markers of damage and inflammation: last values as of a moment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.features.labs import NAMES, SERIES, SINGLE, Labs, is_blood, usual_ln
from nmr_ml.features.measured import LAB_SERIES
from nmr_ml.features.moments import SAME_MOMENT, Moments, copy_previous, fill_missing, unsigned
from nmr_ml.history.local_time import DAY_S, NEVER_S
from nmr_ml.numeric.compiled import inner
from nmr_ml.numeric.sorted_rows import upper_bound_near

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.numeric.arrays import Floats, Ints

    Samples = NDArray[Any]  # records of `nmr_ml.features.labs.SAMPLE`

MAX_AGE_S = np.array([series.max_age_d * DAY_S for series in LAB_SERIES])
RESTING = np.array([series.resting for series in LAB_SERIES])
#: Oral contraceptives move these in blood up to two-fold (domain.md §3.3).
MOVED_BY_PILL = np.array(
    [name in {"testosterone", "free_testosterone", "cortisol", "shbg"} for name in NAMES]
)
TESTOSTERONE, CORTISOL = NAMES.index("testosterone"), NAMES.index("cortisol")
#: SD of ln(T:C) within a resting person (domain.md §3.3), and with cortisol's diurnal swing left
#: in where waking is unknown (√(0.24² + 0.25²); assumption). Prior SD of a true change: assumption.
RATIO_SD, UNCORRECTED_RATIO_SD, TRUE_CHANGE_SD = 0.24, 0.35, 0.25
DROP_LN = math.log(0.7)
WIDTH = 3 * SERIES + 1


#: From when until when a series says the same, its age apart, and the draw of its last sample: it
#: does so for every clock start from then on. A later draw, a sample that becomes known or too old
#: and a session that becomes known end it.
SINCE, UNTIL, DRAWN = 0, 1, 2
Span = tuple[int, int]
ALWAYS: Span = (-NEVER_S, NEVER_S)


@inner
def endocrine(
    m: Moments, first: int, last: int, labs: Labs, pill: Floats, out: Floats, col: int
) -> None:
    """Write all series, three columns each, and whether the newest sample followed exercise."""
    ends, newest = np.zeros(SERIES, np.int64), np.empty(SERIES, np.int64)
    holds, whose = np.empty((SERIES + 1, 3), np.int64), -1
    for q in range(first, last):
        if m.alike[q] == SAME_MOMENT:
            copy_previous(out, q, col, WIDTH)
            continue
        athlete, as_of, clock = m.athlete[q], m.as_of_s[q], min(m.clock_s[q], m.as_of_s[q])
        starts = labs.starts[athlete * SERIES : (athlete + 1) * SERIES + 1]
        if starts[0] == starts[SERIES]:
            fill_missing(out, q, col, WIDTH)
            whose = -1
            continue
        for k in range(SERIES + 1):
            at = col + 3 * k
            if athlete == whose and still_holds(holds, k, as_of, clock):
                copy_previous(out, q, at, 2 if k < SERIES else 1)
            elif k < SERIES:
                newest[k] = write_series(
                    labs, k, starts, ends, pill[athlete] == 1.0, clock, as_of, holds, out, q, at
                )
            else:
                out[q, at], span = newest_after_exercise(labs, starts, ends, as_of)
                hold(holds, k, span, -NEVER_S)
            if k < SERIES:
                out[q, at + 2] = age_d(m, q, labs.samples, newest[k])
        whose = athlete


@inner
def still_holds(holds: Ints, k: int, as_of_s: int, clock_s: int) -> bool:
    """Return whether series `k` says what it said in the row above."""
    return bool(holds[k, SINCE] <= as_of_s < holds[k, UNTIL] and holds[k, DRAWN] <= clock_s)


@inner
def hold(holds: Ints, k: int, span: Span, drawn_s: int) -> None:
    """Keep for how long series `k` says what it says now."""
    holds[k, SINCE], holds[k, UNTIL], holds[k, DRAWN] = span[0], span[1], drawn_s


@inner
def age_d(m: Moments, q: int, samples: Samples, i: int) -> float:
    """Return the days from the draw to the moment asked about, whole ones for day precision."""
    if i < 0:
        return np.nan
    last = samples[unsigned(i)]
    if last.by_day:
        return float(m.as_of_day[q] - last.day)
    return float(m.as_of_s[q] - last.at_s) / DAY_S


@inner
def write_series(
    labs: Labs, k: int, starts: Ints, ends: Ints, pill: bool, clock_s: int, as_of_s: int,
    holds: Ints, out: Floats, q: int, col: int,
) -> int:  # fmt: skip
    """Write what the last sample of series `k` says; return it, -1 where there is none to tell."""
    samples = labs.samples
    out[q, col], out[q, col + 1] = np.nan, np.nan
    i, span = newest_sample(labs, k, starts, ends, as_of_s, RESTING[k])
    if i < 0 or (k >= SINGLE and pill and is_blood(samples[i].specimen)):
        hold(holds, k, span, -NEVER_S)
        return -1
    last = samples[i]
    usual, n = last.usual, last.usual_n
    if last.settled_s > as_of_s or last.at_s > clock_s:
        usual, n = usual_ln(samples, starts[k], i, clock_s, as_of_s)
        hold(holds, k, span, NEVER_S)  # as soon as more is known the baseline is another
    else:
        hold(holds, k, overlap(span, (last.settled_s, NEVER_S)), last.at_s)
    deviation = last.ln - usual
    if k >= SINGLE:
        out[q, col] = deviation
        out[q, col + 1] = drop_probability(deviation, n, last.uncorrected)
    else:
        hidden = not is_blood(last.specimen) or (pill and MOVED_BY_PILL[k])
        out[q, col] = np.nan if hidden else last.ln
        out[q, col + 1] = deviation
    return int(i)


@inner
def overlap(one: Span, other: Span) -> Span:
    """Return when both hold."""
    return max(one[0], other[0]), min(one[1], other[1])


@inner
def newest_sample(
    labs: Labs, k: int, starts: Ints, ends: Ints, as_of_s: int, resting: bool
) -> tuple[int, Span]:
    """Return what `last_sample` returns for series `k`; also a later draw ends it."""
    ends[k] = end = upper_bound_near(labs.at_s, starts[k], starts[k + 1], as_of_s, ends[k])
    i, span = last_sample(labs.samples, starts[k], end, as_of_s, MAX_AGE_S[k], resting)
    return i, span if end == starts[k + 1] else overlap(span, (-NEVER_S, labs.at_s[end]))


@inner
def last_sample(
    samples: Samples, first: int, end: int, as_of_s: int, max_age_s: int, resting: bool
) -> tuple[int, Span]:
    """Return the newest sample before `end` that counts as of a moment (-1: none), and how long."""
    since, until = ALWAYS
    for i in range(end - 1, first - 1, -1):
        row = samples[unsigned(i)]
        if as_of_s - row.at_s >= max_age_s:
            return -1, (max(since, row.at_s + max_age_s), until)
        if row.known_s > as_of_s:
            until = min(until, row.known_s)
        elif resting and row.after_s <= as_of_s:
            since = max(since, row.known_s, row.after_s)
        else:
            until = min(until, row.at_s + max_age_s, row.after_s if resting else NEVER_S)
            return i, (max(since, row.known_s, row.at_s), until)
    return -1, (since, until)


@inner
def drop_probability(deviation: float, n: int, uncorrected: bool) -> float:
    """Return P(true change ≤ ln 0.7) given the observed deviation from `n` baseline pairs."""
    if np.isnan(deviation):
        return np.nan
    sd = UNCORRECTED_RATIO_SD if uncorrected else RATIO_SD
    noise = sd * sd * (1 + 1 / n)
    kept = TRUE_CHANGE_SD**2 / (TRUE_CHANGE_SD**2 + noise)
    z = (DROP_LN - kept * deviation) / math.sqrt(kept * noise)
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@inner
def newest_after_exercise(labs: Labs, starts: Ints, ends: Ints, as_of_s: int) -> tuple[float, Span]:
    """Return 1 where the newest testosterone or cortisol followed exercise, else 0; how long."""
    newest_s, after, span = -1, np.nan, ALWAYS
    for k in (TESTOSTERONE, CORTISOL):
        i, lasts = newest_sample(labs, k, starts, ends, as_of_s, False)
        span = overlap(span, lasts)
        if i < 0:
            continue
        last = labs.samples[i]
        followed = last.after_s <= as_of_s
        span = overlap(span, (last.after_s, NEVER_S) if followed else (-NEVER_S, last.after_s))
        if last.at_s > newest_s:
            newest_s, after = last.at_s, 1.0 if followed else 0.0
    return after, span
