"""Laboratory values as series per athlete and analyte, waking-corrected and paired into ratios."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nmr_ml.cohort.tables import ANALYTES, SEXES, SPECIMENS
from nmr_ml.features.measured import ANALYTE_SERIES, LAB_SERIES, RATIOS
from nmr_ml.history.local_time import DAY_S, HOUR_S, NEVER_S
from nmr_ml.numeric.compiled import inner, kept
from nmr_ml.numeric.sorted_rows import upper_bound_near

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Floats, Ints

    #: Records of `SAMPLE`, and one of them.
    Samples = NDArray[Any]
    Sample = Any

NAMES = tuple(series.name for series in LAB_SERIES)
SALIVA, URINE = SPECIMENS.index("saliva"), SPECIMENS.index("urine")
#: A value below the limit of quantification stands for LOQ/√2 (Hornung & Reed 1990).
BELOW_LOQ_LN = -0.5 * float(np.log(2.0))
#: Diurnal amplitudes A of ln x and the phase φ (domain.md §3.3), h after waking; of testosterone by
#: position in `SEXES`, the mean of both where the sex is not known.
CORTISOL_A, SALIVARY_CORTISOL_A = 0.45, 0.85
TESTOSTERONE_A = np.array([{"male": 0.13, "female": 0.06}.get(sex, 0.095) for sex in SEXES])
PHASE_H, REFERENCE_H = 0.5, 1.0
AFTER_EXERCISE_S = 2 * HOUR_S
PAIR_S = 30 * 60
BASELINE_S, BASELINE_MOST, BASELINE_LEAST = 365 * DAY_S, 12, 3

#: Added to the specimen of a ratio whose free testosterone is calculated: it is never in a baseline
#: of measured ones, nor taken for the last where a measured one is there.
CALCULATED = len(SPECIMENS)
#: Vermeulen 1999: association constants of testosterone with albumin and SHBG, L/mol, albumin at
#: 43 g/L with 69 kg/mol; here as dimensionless excess over free and per nmol/L.
ALBUMIN_BOUND = 1 + 3.6e4 * 43 / 69_000
SHBG_PER_NMOL_L = 1e9 * 1e-9

SERIES, SINGLE = len(LAB_SERIES), len(ANALYTE_SERIES)
#: Position in `LAB_SERIES` by position in `ANALYTES`; -1 for an analyte that is no feature.
SERIES_OF = np.array([NAMES.index(name) if name in NAMES else -1 for name in ANALYTES])
TOPS = np.array([NAMES.index(top) for _, top, _ in RATIOS])
BOTTOMS = np.array([NAMES.index(bottom) for _, _, bottom in RATIOS])
CORTISOL, SHBG = NAMES.index("cortisol"), NAMES.index("shbg")
TESTOSTERONE, FREE_RATIO = NAMES.index("testosterone"), NAMES.index("free_tc")
TOP_SERIES = tuple(int(k) for k in TOPS)
TESTOSTERONES = (NAMES.index("testosterone"), NAMES.index("free_testosterone"))


#: One sample, or a ratio of two. `after_s` is when a session that makes the sample one "after
#: exercise" became known, `NEVER_S` where there is none; `uncorrected` marks steroid samples of
#: unknown waking time. `usual` is the mean of the `usual_n` samples that make its baseline where
#: all is known, which is from `settled_s` on. As records, since a kernel reads whole samples of
#: many series, which then lie in few lines of the cache.
SAMPLE = np.dtype(
    [
        ("at_s", np.int64), ("known_s", np.int64), ("after_s", np.int64), ("settled_s", np.int64),
        ("ln", np.float64), ("usual", np.float64), ("usual_n", np.int64), ("day", np.int64),
        ("specimen", np.int64), ("by_day", np.bool_), ("censored", np.bool_),
        ("uncorrected", np.bool_),
    ],
    align=True,
)  # fmt: skip


class Labs(NamedTuple):
    """Samples in the order of athlete, series (position in `LAB_SERIES`) and time.

    Those of athlete ``a`` and series ``k`` begin at ``starts[a * SERIES + k]``; `at_s` is apart to
    be searched, too.
    """

    starts: Ints
    at_s: Ints
    samples: Samples


class Exercise(NamedTuple):
    """The sessions that a sample may have been drawn after."""

    offsets: Ints
    started_s: Floats
    ended_s: Ints
    known_s: Ints
    by_day: Floats


def labs_of(history: History) -> Labs:
    """Lay the samples, and the ratios of those drawn together, out for the kernel."""
    rows, columns, sessions = history.labs, history.labs.columns, history.sessions
    exercise = Exercise(
        sessions.offsets, sessions.columns["started_at"], sessions.at_s, sessions.known_s,
        sessions.columns["day_precision"],
    )  # fmt: skip
    series, samples = np.full(len(rows), -1), np.empty(len(rows), SAMPLE)
    _fill_drawn(
        rows.offsets, rows.at_s, rows.known_s, columns["local_day"], columns["day_precision"],
        columns["analyte"], columns["value"], columns["specimen"], columns["awake_at"],
        columns["below_loq"], history.person["sex"], exercise, series, samples,
    )  # fmt: skip
    return _laid_out(rows.offsets, rows.at_s, columns["value"], series, samples)


@kept
def _fill_drawn(
    offsets: Ints, at_s: Ints, known_s: Ints, day: Floats, by_day: Floats, analyte: Floats,
    value: Floats, specimen: Floats, awake_s: Floats, below_loq: Floats, sex: Floats, e: Exercise,
    series: Ints, samples: Samples,
) -> None:  # fmt: skip
    """Fill in the series of each row of the table (-1: no feature) and its corrected sample."""
    j = 0
    for a in range(offsets.size - 1):
        for i in range(offsets[a], offsets[a + 1]):
            # A value of 0 that is not said to be below the LOQ has no logarithm and no meaning.
            if not value[i] > 0 or np.isnan(analyte[i]):
                continue
            series[i] = SERIES_OF[int(analyte[i])]
            row, timed = samples[i], by_day[i] != 1.0
            row.at_s, row.known_s, row.day = at_s[i], known_s[i], np.int64(day[i])
            row.by_day, row.censored = not timed, below_loq[i] == 1.0
            row.specimen = -1 if np.isnan(specimen[i]) else np.int64(specimen[i])
            amplitude = _amplitude(series[i], row.specimen, sex[a])
            shift = _diurnal_shift(at_s[i] - awake_s[i]) if timed else np.nan
            row.ln = np.log(value[i]) + (BELOW_LOQ_LN if row.censored else 0.0)
            row.ln -= 0.0 if np.isnan(shift) else amplitude * shift
            row.uncorrected = amplitude > 0 and np.isnan(shift)
            moment = at_s[i] - AFTER_EXERCISE_S
            j = upper_bound_near(e.ended_s, e.offsets[a], e.offsets[a + 1], moment, j)
            row.after_s = _after_exercise(e, a, j, at_s[i]) if timed else NEVER_S


@inner
def _diurnal_shift(awake_s: float) -> float:
    """Return how far the diurnal cosine stands above its value 1 h after waking, NaN if unknown."""
    awake_h = awake_s / HOUR_S
    if not 0 <= awake_h < 24:
        return np.nan
    reference = np.cos(2 * np.pi * (REFERENCE_H - PHASE_H) / 24)
    return float(np.cos(2 * np.pi * (awake_h - PHASE_H) / 24) - reference)


@inner
def _amplitude(series: int, specimen: int, sex: float) -> float:
    """Return the diurnal amplitude of a sample; 0 where none is known."""
    if specimen == URINE:
        return 0.0
    if series == CORTISOL:
        return SALIVARY_CORTISOL_A if specimen == SALIVA else CORTISOL_A
    if series in TESTOSTERONES:
        return float(TESTOSTERONE_A[-1 if np.isnan(sex) else int(sex)])
    return 0.0


@inner
def _after_exercise(e: Exercise, athlete: int, first: int, drawn_s: int) -> int:
    """Return when the first session that a sample closely follows became known.

    Session `first` is the first to end less than `AFTER_EXERCISE_S` before the draw, or after it.
    """
    known_s, j = NEVER_S, first
    while j < e.offsets[athlete + 1] and e.ended_s[j] <= drawn_s + 24 * HOUR_S:
        if e.started_s[j] <= drawn_s and e.by_day[j] == 0.0:
            known_s = min(known_s, e.known_s[j])
        j += 1
    return known_s


@kept
def _laid_out(offsets: Ints, at_s: Ints, value: Floats, series: Ints, drawn: Samples) -> Labs:
    """Order the samples by athlete and series, with the ratios as series of their own."""
    starts = np.zeros((offsets.size - 1) * SERIES + 1, np.int64)
    top, bottom, group = _ratios(offsets, at_s, value, series, drawn)
    for a in range(offsets.size - 1):
        for i in range(offsets[a], offsets[a + 1]):
            if series[i] >= 0:
                starts[a * SERIES + series[i] + 1] += 1
    for g in group:
        starts[g + 1] += 1
    for k in range(1, starts.size):
        starts[k] += starts[k - 1]
    samples, place = np.empty(starts[-1], SAMPLE), starts[:-1].copy()
    for a in range(offsets.size - 1):
        for i in range(offsets[a], offsets[a + 1]):
            if series[i] >= 0:
                k = a * SERIES + series[i]
                samples[place[k]] = drawn[i]
                place[k] += 1
    for p in range(group.size):
        k = group[p]
        _put_ratio(samples, starts[k], place[k], top[p], drawn[bottom[p]])
        place[k] += 1
    _settle(starts, samples)
    return Labs(starts, samples["at_s"].copy(), samples)


@inner
def _put_ratio(samples: Samples, first: int, at: int, top: Sample, bottom: Sample) -> None:
    """Write a ratio among those of the rows ``first:at``, in order of time.

    Of equal times blood comes last, as in the table, and measured free testosterone after
    calculated.
    """
    later = top if top.at_s >= bottom.at_s else bottom
    while at > first and (
        samples[at - 1].at_s > later.at_s
        or (samples[at - 1].at_s == later.at_s and samples[at - 1].specimen < top.specimen)
    ):
        samples[at] = samples[at - 1]
        at -= 1
    samples[at] = later
    row = samples[at]
    row.known_s = max(top.known_s, bottom.known_s)
    row.after_s = min(top.after_s, bottom.after_s)
    row.ln, row.specimen = top.ln - bottom.ln, top.specimen
    row.uncorrected = top.uncorrected or bottom.uncorrected


@inner
def _settle(starts: Ints, samples: Samples) -> None:
    """Fill in the baselines with all known, and when that is."""
    for k in range(starts.size - 1):
        latest = np.iinfo(np.int64).min
        for i in range(starts[k], starts[k + 1]):
            row = samples[i]
            latest = max(latest, row.known_s)
            if row.after_s != NEVER_S:
                latest = max(latest, row.after_s)
            row.settled_s = latest
            row.usual, row.usual_n = usual_ln(samples, starts[k], i, row.at_s, NEVER_S - 1)


@inner
def usual_ln(
    samples: Samples, first: int, newest: int, clock_s: int, as_of_s: int
) -> tuple[float, int]:
    """Return the mean of the samples before `newest` that make its baseline, and their number."""
    total, n, last = 0.0, 0, samples[newest]
    for i in range(newest - 1, first - 1, -1):
        row = samples[i]
        if last.at_s - row.at_s >= BASELINE_S or n == BASELINE_MOST:
            break
        if row.at_s == last.at_s or row.at_s > clock_s or row.specimen != last.specimen:
            continue
        if row.known_s <= as_of_s < row.after_s and not row.censored:
            total += row.ln
            n += 1
    if n < BASELINE_LEAST:
        return np.nan, n
    return total / n, n


@inner
def _ratios(
    offsets: Ints, at_s: Ints, value: Floats, series: Ints, drawn: Samples
) -> tuple[Samples, Ints, Ints]:
    """Return numerators, the rows of their denominators, and the groups of the ratios.

    Drawn together are samples within 30 min of one another; of day precision those of one day: they
    come from one visit.
    """
    found = [(0, 0, 0, 0) for _ in range(0)]  # numerator, SHBG or -1, denominator, group
    for a in range(offsets.size - 1):
        for i in range(offsets[a], offsets[a + 1]):
            if series[i] in TOP_SERIES and not drawn[i].censored and drawn[i].specimen >= 0:
                begin, end = _together(at_s, offsets[a], offsets[a + 1], i)
                _find_ratios(found, a, i, begin, end, series, drawn)
    tops, bottoms = np.empty(len(found), SAMPLE), np.empty(len(found), np.int64)
    groups = np.empty(len(found), np.int64)
    for p in range(len(found)):
        i, j, bottoms[p], groups[p] = found[p]
        tops[p] = drawn[i]
        if j >= 0:
            _calculate_free(tops, p, drawn[j], value[i], value[j])
    return tops, bottoms, groups


@inner
def _find_ratios(
    found: list[tuple[int, int, int, int]], a: int, i: int, begin: int, end: int, series: Ints,
    drawn: Samples,
) -> None:  # fmt: skip
    """Append the ratios with the numerator `i`; the rows ``begin:end`` were drawn with it."""
    total = series[i] == TESTOSTERONE and is_blood(drawn[i].specimen)
    for j in range(begin, end):
        if not _paired(drawn[i], drawn[j]):
            continue
        for r in range(TOPS.size):
            if series[i] == TOPS[r] and series[j] == BOTTOMS[r]:
                found.append((i, -1, j, a * SERIES + SINGLE + r))  # noqa: PERF401
        for k in range(begin, end if total and series[j] == SHBG else begin):
            if series[k] == CORTISOL and _paired(drawn[i], drawn[k]):
                found.append((i, j, k, a * SERIES + FREE_RATIO))  # noqa: PERF401


@inner
def _calculate_free(tops: Samples, p: int, shbg: Sample, total: float, bound: float) -> None:
    """Make free testosterone of the testosterone in row `p`.

    Its correction for waking is that of testosterone.
    """
    row = tops[p]
    row.ln += np.log(free_nmol_l(total, bound)) - np.log(total)
    row.specimen += CALCULATED
    row.known_s, row.after_s = max(row.known_s, shbg.known_s), min(row.after_s, shbg.after_s)
    if shbg.at_s > row.at_s:
        row.at_s, row.day = shbg.at_s, shbg.day


@inner
def free_nmol_l(testosterone: float, shbg: float) -> float:
    """Return free testosterone from total testosterone and SHBG, all in nmol/L (Vermeulen 1999)."""
    n, k = ALBUMIN_BOUND, SHBG_PER_NMOL_L
    b = n + k * (shbg - testosterone)
    return float(2 * testosterone / (b + math.sqrt(b * b + 4 * n * k * testosterone)))


@inner
def is_blood(specimen: int) -> bool:
    """Return whether a sample, or what was calculated from it, is of blood."""
    return bool(0 <= specimen < SALIVA or specimen >= CALCULATED)


@inner
def _together(at_s: Ints, first: int, last: int, i: int) -> tuple[int, int]:
    """Return which of the rows ``first:last`` were drawn at most 30 min from row `i`."""
    begin, end = i, i + 1
    while begin > first and at_s[begin - 1] >= at_s[i] - PAIR_S:
        begin -= 1
    while end < last and at_s[end] <= at_s[i] + PAIR_S:
        end += 1
    return begin, end


@inner
def _paired(top: Sample, bottom: Sample) -> bool:
    """Return whether two samples drawn at once make a ratio."""
    same = top.specimen == bottom.specimen and top.by_day == bottom.by_day
    return bool(same and not bottom.censored)
