"""Laboratory values as series per athlete and analyte, waking-corrected and paired into ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from nmr_ml.features.asof import HOUR_S, grouped
from nmr_ml.features.families import ANALYTE_SERIES, LAB_SERIES, RATIOS
from nmr_ml.history import NEVER_S, upper_bound
from nmr_ml.tables import ANALYTES, SEXES, SPECIMENS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.history import History

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

NAMES = tuple(series.name for series in LAB_SERIES)
SALIVA, URINE = SPECIMENS.index("saliva"), SPECIMENS.index("urine")
#: A value below the limit of quantification stands for LOQ/√2 (Hornung & Reed 1990).
BELOW_LOQ_LN = -0.5 * float(np.log(2.0))
#: Diurnal amplitudes A of ln x and the phase φ (domain.md §3.3), h after waking.
CORTISOL_A, SALIVARY_CORTISOL_A = 0.45, 0.85
TESTOSTERONE_A = {"male": 0.13, "female": 0.06}
PHASE_H, REFERENCE_H = 0.5, 1.0
AFTER_EXERCISE_S = 2 * HOUR_S
PAIR_S = 30 * 60


class Labs(NamedTuple):
    """Samples by athlete, series (position in `LAB_SERIES`) and time.

    `after_s` is when a session that makes the sample one "after exercise" became known, `NEVER_S`
    where there is none; `uncorrected` marks steroid samples of unknown waking time.
    """

    starts: Ints
    at_s: Ints
    known_s: Ints
    ln: Floats
    specimen: Ints
    censored: Floats
    uncorrected: Floats
    after_s: Ints


def labs_of(history: History) -> Labs:
    """Lay the samples, and the ratios of those drawn together, out for the kernel."""
    samples = _samples(history)
    per_athlete = len(LAB_SERIES)
    owner = history.labs.offsets
    columns, group, offsets = _with_ratios(samples, _series(history), owner)
    # Of samples drawn at once the one of blood (the first specimens) shall be the last.
    athlete = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    by_time = np.lexsort((-columns[3], columns[0], athlete))
    order, starts = grouped(offsets, group[by_time], per_athlete)
    rows = by_time[order]
    return Labs(starts, *(np.ascontiguousarray(column[rows]) for column in columns))  # type: ignore[arg-type]


def _samples(history: History) -> tuple[Ints | Floats, ...]:
    """Return the columns of `Labs` but the first, in the order of the table."""
    rows, columns = history.labs, history.labs.columns
    athlete = np.repeat(np.arange(rows.offsets.size - 1), np.diff(rows.offsets))
    awake_h = (rows.at_s - columns["awake_at"]) / HOUR_S
    awake_h = np.where((awake_h >= 0) & (awake_h < 24), awake_h, np.nan)
    amplitude = _amplitude(columns, history.person["sex"][athlete])
    shift = np.cos(2 * np.pi * (awake_h - PHASE_H) / 24) - np.cos(
        2 * np.pi * (REFERENCE_H - PHASE_H) / 24
    )
    censored = (columns["below_loq"] == 1).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ln = np.log(columns["value"]) + censored * BELOW_LOQ_LN
    ln = ln - np.where(np.isnan(shift), 0.0, amplitude * shift)
    after_s = np.full(len(rows), NEVER_S)
    sessions = history.sessions
    _known_after_exercise(
        rows.offsets, rows.at_s, sessions.offsets, sessions.columns["started_at"], sessions.at_s,
        sessions.known_s, sessions.columns["day_precision"], after_s,
    )  # fmt: skip
    uncorrected = ((amplitude > 0) & np.isnan(shift)).astype(np.float64)
    specimen = np.nan_to_num(columns["specimen"], nan=-1.0).astype(np.int64)
    return rows.at_s, rows.known_s, ln, specimen, censored, uncorrected, after_s


def _amplitude(columns: dict[str, Floats], sex: Floats) -> Floats:  # type: ignore[misc]
    """Return the diurnal amplitude of each sample; 0 where none is known."""
    analyte, specimen = columns["analyte"], columns["specimen"]
    cortisol = analyte == ANALYTES.index("cortisol")
    steroid = (analyte == ANALYTES.index("testosterone")) | (
        analyte == ANALYTES.index("free_testosterone")
    )
    unknown = sum(TESTOSTERONE_A.values()) / 2
    by_sex = np.full(sex.size, unknown)
    for name, amplitude in TESTOSTERONE_A.items():
        by_sex[sex == SEXES.index(name)] = amplitude
    whole = np.where(specimen == SALIVA, SALIVARY_CORTISOL_A, CORTISOL_A)
    amplitude = np.where(cortisol, whole, np.where(steroid, by_sex, 0.0))
    return np.where(specimen == URINE, 0.0, amplitude)


def _series(history: History) -> Ints:
    """Return each sample's position in `LAB_SERIES`; -1 for an analyte that is no feature."""
    position = np.full(len(ANALYTES) + 1, -1)
    for i, series in enumerate(ANALYTE_SERIES):
        position[ANALYTES.index(series.name)] = i
    analyte = np.nan_to_num(history.labs.columns["analyte"], nan=len(ANALYTES)).astype(np.int64)
    group = position[analyte]
    value = history.labs.columns["value"]
    # A value of 0 that is not said to be below the LOQ has no logarithm and no meaning.
    return np.where(value > 0, group, -1)


def _with_ratios(
    samples: tuple[Ints | Floats, ...], group: Ints, offsets: Ints
) -> tuple[tuple[Ints | Floats, ...], Ints, Ints]:
    """Append the ratios as samples of their own series, athlete by athlete."""
    at_s, known_s, ln, specimen, censored, uncorrected, after_s = samples
    parts = [samples]
    groups, owners = [group], [np.repeat(np.arange(offsets.size - 1), np.diff(offsets))]
    for position, (_, top, bottom) in enumerate(RATIOS, start=len(ANALYTE_SERIES)):
        a, b = _pairs(
            offsets, at_s, specimen, censored, group, NAMES.index(top), NAMES.index(bottom)
        )
        parts.append(
            (
                np.maximum(at_s[a], at_s[b]), np.maximum(known_s[a], known_s[b]), ln[a] - ln[b],
                specimen[a], censored[a], np.maximum(uncorrected[a], uncorrected[b]),
                np.minimum(after_s[a], after_s[b]),
            )
        )  # fmt: skip
        groups.append(np.full(a.size, position))
        owners.append(owners[0][a])
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    columns = tuple(np.concatenate(column)[order] for column in zip(*parts, strict=True))
    starts = np.searchsorted(owner[order], np.arange(offsets.size)).astype(np.int64)
    return columns, np.concatenate(groups)[order], starts


@njit(cache=True, nogil=True)
def _known_after_exercise(
    offsets: Ints, drawn_s: Ints, session_offsets: Ints, started_s: Floats, ended_s: Ints,
    session_known_s: Ints, by_day: Floats, out: Ints,
) -> None:  # fmt: skip
    """Note for each sample when the first session that it closely follows became known."""
    for a in range(offsets.size - 1):
        first, last = session_offsets[a], session_offsets[a + 1]
        for i in range(offsets[a], offsets[a + 1]):
            j = upper_bound(ended_s, first, last, drawn_s[i] - AFTER_EXERCISE_S)
            while j < last and ended_s[j] <= drawn_s[i] + 24 * HOUR_S:
                if started_s[j] <= drawn_s[i] and by_day[j] == 0.0:
                    out[i] = min(out[i], session_known_s[j])
                j += 1


@njit(cache=True, nogil=True)
def _pairs(
    offsets: Ints, at_s: Ints, specimen: Ints, censored: Floats, group: Ints, top: int, bottom: int
) -> tuple[Ints, Ints]:
    """Return the rows of numerators and denominators drawn within 30 min of one another."""
    tops, bottoms = [0 for _ in range(0)], [0 for _ in range(0)]
    for a in range(offsets.size - 1):
        for i in range(offsets[a], offsets[a + 1]):
            if group[i] != top or censored[i] == 1.0:
                continue
            j = i
            while j > offsets[a] and at_s[j - 1] >= at_s[i] - PAIR_S:
                j -= 1
            while j < offsets[a + 1] and at_s[j] <= at_s[i] + PAIR_S:
                same = specimen[j] == specimen[i] and specimen[i] >= 0
                if group[j] == bottom and same and censored[j] == 0.0:
                    tops.append(i)
                    bottoms.append(j)
                j += 1
    return np.array(tops, np.int64), np.array(bottoms, np.int64)
