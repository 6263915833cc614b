"""Kernel of hormones and of markers of damage and inflammation: last values as of a moment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.features.asof import DAY_S, SAME_MOMENT, Moments, copy_previous, fill_missing
from nmr_ml.features.families import LAB_SERIES
from nmr_ml.features.labs import NAMES, SERIES, SINGLE, Labs, is_blood, usual_ln
from nmr_ml.kernels import inner
from nmr_ml.sorted_rows import upper_bound_near

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
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


@inner
def endocrine(
    m: Moments, first: int, last: int, labs: Labs, pill: Floats, out: Floats, col: int
) -> None:
    """Write all series, three columns each, and whether the newest sample followed exercise."""
    ends = np.zeros(SERIES, np.int64)
    for q in range(first, last):
        if m.alike[q] == SAME_MOMENT:
            copy_previous(out, q, col, WIDTH)
            continue
        athlete, as_of = m.athlete[q], m.as_of_s[q]
        starts = labs.starts[athlete * SERIES : (athlete + 1) * SERIES + 1]
        if starts[0] == starts[SERIES]:
            fill_missing(out, q, col, WIDTH)
            continue
        for k in range(SERIES):
            if starts[k] == starts[k + 1]:
                ends[k] = starts[k]
                fill_missing(out, q, col + 3 * k, 3)
                continue
            ends[k] = upper_bound_near(labs.at_s, starts[k], starts[k + 1], as_of, ends[k])
            i = last_sample(labs.samples, starts[k], ends[k], as_of, MAX_AGE_S[k], RESTING[k])
            if i < 0:
                fill_missing(out, q, col + 3 * k, 3)
            else:
                write_series(
                    labs.samples, k, starts[k], i, m.clock_s[q], as_of, m.as_of_day[q],
                    pill[athlete] == 1.0, out[q, col + 3 * k : col + 3 * k + 3],
                )  # fmt: skip
        out[q, col + WIDTH - 1] = newest_after_exercise(labs.samples, starts, ends, as_of)


@inner
def write_series(
    samples: Samples, k: int, first: int, i: int, clock_s: int, as_of_s: int, as_of_day: int,
    pill: bool, out: Floats,
) -> None:  # fmt: skip
    """Write what the last sample `i` of series `k` says."""
    last = samples[i]
    blood, clock_s = is_blood(last.specimen), min(clock_s, as_of_s)
    if k >= SINGLE and blood and pill:
        out[:] = np.nan
        return
    usual, n = last.usual, last.usual_n
    if last.settled_s > as_of_s or last.at_s > clock_s:
        usual, n = usual_ln(samples, first, i, clock_s, as_of_s)
    deviation = last.ln - usual
    if k >= SINGLE:
        out[0] = deviation
        out[1] = drop_probability(deviation, n, last.uncorrected)
    else:
        out[0] = last.ln if blood and not (pill and MOVED_BY_PILL[k]) else np.nan
        out[1] = deviation
    out[2] = as_of_day - last.day if last.by_day else (as_of_s - last.at_s) / DAY_S


@inner
def last_sample(
    samples: Samples, first: int, end: int, as_of_s: int, max_age_s: int, resting: bool
) -> int:
    """Return the newest sample before `end` that counts as of a moment, -1 where there is none."""
    for i in range(end - 1, first - 1, -1):
        row = samples[i]
        if as_of_s - row.at_s >= max_age_s:
            return -1
        if row.known_s <= as_of_s and not (resting and row.after_s <= as_of_s):
            return i
    return -1


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
def newest_after_exercise(samples: Samples, starts: Ints, ends: Ints, as_of_s: int) -> float:
    """Return 1 where the newest testosterone or cortisol sample followed exercise, else 0."""
    newest_s, after = -1, np.nan
    for k in (TESTOSTERONE, CORTISOL):
        i = last_sample(samples, starts[k], ends[k], as_of_s, MAX_AGE_S[k], False)
        if i >= 0 and samples[i].at_s > newest_s:
            newest_s = samples[i].at_s
            after = 1.0 if samples[i].after_s <= as_of_s else 0.0
    return after
