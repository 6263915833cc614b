"""Kernel of hormones and of markers of damage and inflammation: last values as of a moment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from nmr_ml.features.asof import DAY_S, Moments, copy_previous, fill_missing
from nmr_ml.features.families import ANALYTE_SERIES, LAB_SERIES
from nmr_ml.features.labs import NAMES, SALIVA, Labs
from nmr_ml.history import upper_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

SERIES, ANALYTES_N = len(LAB_SERIES), len(ANALYTE_SERIES)
MAX_AGE_S = np.array([series.max_age_d * DAY_S for series in LAB_SERIES])
RESTING = np.array([series.resting for series in LAB_SERIES])
#: Oral contraceptives move these in blood two-fold (domain.md §3.3).
MOVED_BY_PILL = np.array([name in {"testosterone", "cortisol", "shbg"} for name in NAMES])
TESTOSTERONE, CORTISOL = NAMES.index("testosterone"), NAMES.index("cortisol")
BASELINE_S, BASELINE_MOST, BASELINE_LEAST = 365 * DAY_S, 12, 3
#: SD of ln(T:C) within a resting person (domain.md §3.3), and with cortisol's diurnal swing left
#: in where waking is unknown (√(0.24² + 0.25²); assumption). Prior SD of a true change: assumption.
RATIO_SD, UNCORRECTED_RATIO_SD, TRUE_CHANGE_SD = 0.24, 0.35, 0.25
DROP_LN = math.log(0.7)
WIDTH = 3 * SERIES + 1


@njit(cache=True, nogil=True)
def endocrine(m: Moments, labs: Labs, pill: Floats, out: Floats, col: int) -> None:
    """Write all series, three columns each, and whether the newest sample followed exercise."""
    at_s, known_s, after_s = labs.at_s, labs.known_s, labs.after_s
    for q in range(m.athlete.size):
        if m.repeats[q]:
            copy_previous(out, q, col, WIDTH)
            continue
        athlete, as_of = m.athlete[q], m.as_of_s[q]
        clock = min(m.clock_s[q], as_of)
        if labs.starts[athlete * SERIES] == labs.starts[(athlete + 1) * SERIES]:
            fill_missing(out, q, col, WIDTH)
            continue
        for k in range(SERIES):
            first, end = labs.starts[athlete * SERIES + k], labs.starts[athlete * SERIES + k + 1]
            at = col + 3 * k
            i = last_sample(at_s, known_s, after_s, first, end, as_of, MAX_AGE_S[k], RESTING[k])
            if i < 0:
                fill_missing(out, q, at, 3)
                continue
            usual, n = usual_ln(labs, first, i, clock, as_of)
            blood = 0 <= labs.specimen[i] < SALIVA
            hidden = blood and pill[athlete] == 1.0
            out[q, at + 2] = (as_of - labs.at_s[i]) / DAY_S
            if k < ANALYTES_N:
                level = blood and not (hidden and MOVED_BY_PILL[k])
                out[q, at] = labs.ln[i] if level else np.nan
                out[q, at + 1] = labs.ln[i] - usual
            elif hidden:
                fill_missing(out, q, at, 3)
            else:
                out[q, at] = labs.ln[i] - usual
                out[q, at + 1] = drop_probability(labs.ln[i] - usual, n, labs.uncorrected[i])
        out[q, col + WIDTH - 1] = newest_after_exercise(labs, athlete, as_of)


@njit(cache=True, nogil=True)
def last_sample(
    at_s: Ints, known_s: Ints, after_s: Ints, first: int, end: int, as_of_s: int, max_age_s: int,
    resting: bool,
) -> int:  # fmt: skip
    """Return the newest sample that counts as of a moment, -1 where there is none."""
    for i in range(upper_bound(at_s, first, end, as_of_s) - 1, first - 1, -1):
        if as_of_s - at_s[i] >= max_age_s:
            return -1
        if known_s[i] <= as_of_s and not (resting and after_s[i] <= as_of_s):
            return i
    return -1


@njit(cache=True, nogil=True)
def usual_ln(labs: Labs, first: int, newest: int, clock_s: int, as_of_s: int) -> tuple[float, int]:
    """Return the mean of the samples before `newest` that make its baseline, and their number."""
    total, n = 0.0, 0
    for i in range(newest - 1, first - 1, -1):
        if labs.at_s[newest] - labs.at_s[i] >= BASELINE_S or n == BASELINE_MOST:
            break
        if labs.at_s[i] == labs.at_s[newest] or labs.at_s[i] > clock_s:
            continue
        if labs.known_s[i] > as_of_s or labs.after_s[i] <= as_of_s or labs.censored[i] == 1.0:
            continue
        if labs.specimen[i] == labs.specimen[newest]:
            total += labs.ln[i]
            n += 1
    if n < BASELINE_LEAST:
        return np.nan, n
    return total / n, n


@njit(cache=True, nogil=True)
def drop_probability(deviation: float, n: int, uncorrected: float) -> float:
    """Return P(true change ≤ ln 0.7) given the observed deviation from `n` baseline pairs."""
    if np.isnan(deviation):
        return np.nan
    sd = UNCORRECTED_RATIO_SD if uncorrected == 1.0 else RATIO_SD
    noise = sd * sd * (1 + 1 / n)
    kept = TRUE_CHANGE_SD**2 / (TRUE_CHANGE_SD**2 + noise)
    z = (DROP_LN - kept * deviation) / math.sqrt(kept * noise)
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@njit(cache=True, nogil=True)
def newest_after_exercise(labs: Labs, athlete: int, as_of_s: int) -> float:
    """Return 1 where the newest testosterone or cortisol sample followed exercise, else 0."""
    newest_s, after = -1, np.nan
    for k in (TESTOSTERONE, CORTISOL):
        first, end = labs.starts[athlete * SERIES + k], labs.starts[athlete * SERIES + k + 1]
        i = last_sample(
            labs.at_s, labs.known_s, labs.after_s, first, end, as_of_s, MAX_AGE_S[k], False
        )
        if i >= 0 and labs.at_s[i] > newest_s:
            newest_s = labs.at_s[i]
            after = 1.0 if labs.after_s[i] <= as_of_s else 0.0
    return after
