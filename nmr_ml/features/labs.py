"""Laboratory values as series per athlete and analyte, waking-corrected and paired into ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from nmr_ml.features.asof import HOUR_S
from nmr_ml.features.families import ANALYTE_SERIES, LAB_SERIES, RATIOS
from nmr_ml.history import NEVER_S, upper_bound
from nmr_ml.tables import ANALYTES, SEXES, SPECIMENS

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """Samples in the order of athlete, series (position in `LAB_SERIES`) and time.

    `starts` says where the samples of each athlete and series begin. `after_s` is when a session
    that makes the sample one "after exercise" became known, `NEVER_S` where there is none;
    `uncorrected` marks steroid samples of unknown waking time.
    """

    starts: Ints
    at_s: Ints
    known_s: Ints
    ln: Floats
    specimen: Ints
    censored: Floats
    uncorrected: Floats
    after_s: Ints


class Samples(NamedTuple):
    """Samples, or ratios of two, in any order; `series` is -1 for what is no feature."""

    athlete: Ints
    series: Ints
    at_s: Ints
    known_s: Ints
    ln: Floats
    specimen: Ints
    censored: Floats
    uncorrected: Floats
    after_s: Ints


def labs_of(history: History) -> Labs:
    """Lay the samples, and the ratios of those drawn together, out for the kernel."""
    single = _samples(history)
    offsets = history.labs.offsets
    ratios = [_ratio(single, offsets, position) for position in range(len(RATIOS))]
    samples = Samples(*map(np.concatenate, zip(single, *ratios, strict=True)))
    group = samples.athlete * len(LAB_SERIES) + samples.series
    # Of samples drawn at once the one of blood (the first specimens) shall be the last.
    order = np.lexsort((-samples.specimen, samples.at_s, group))
    order = order[samples.series[order] >= 0]
    groups = np.arange(len(history.athlete_ids) * len(LAB_SERIES) + 1)
    starts = np.searchsorted(group[order], groups).astype(np.int64)
    s = samples
    return Labs(
        starts, s.at_s[order], s.known_s[order], s.ln[order], s.specimen[order], s.censored[order],
        s.uncorrected[order], s.after_s[order],
    )  # fmt: skip


def _samples(history: History) -> Samples:
    rows, columns = history.labs, history.labs.columns
    athlete = np.repeat(np.arange(rows.offsets.size - 1), np.diff(rows.offsets))
    amplitude = _amplitude(columns, history.person["sex"][athlete])
    shift = _diurnal_shift(rows.at_s, columns["awake_at"])
    censored = (columns["below_loq"] == 1).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ln = np.log(columns["value"]) + censored * BELOW_LOQ_LN
    sessions, after_s = history.sessions, np.full(len(rows), NEVER_S)
    _known_after_exercise(
        rows.offsets, rows.at_s, sessions.offsets, sessions.columns["started_at"], sessions.at_s,
        sessions.known_s, sessions.columns["day_precision"], after_s,
    )  # fmt: skip
    return Samples(
        athlete, _series(columns), rows.at_s, rows.known_s,
        ln - np.where(np.isnan(shift), 0.0, amplitude * shift),
        np.nan_to_num(columns["specimen"], nan=-1.0).astype(np.int64), censored,
        ((amplitude > 0) & np.isnan(shift)).astype(np.float64), after_s,
    )  # fmt: skip


def _diurnal_shift(at_s: Ints, awake_s: Floats) -> Floats:
    """Return how far the diurnal cosine stands above its value 1 h after waking."""
    awake_h = (at_s - awake_s) / HOUR_S
    awake_h = np.where((awake_h >= 0) & (awake_h < 24), awake_h, np.nan)
    reference = np.cos(2 * np.pi * (REFERENCE_H - PHASE_H) / 24)
    return np.asarray(np.cos(2 * np.pi * (awake_h - PHASE_H) / 24) - reference)


def _amplitude(columns: Mapping[str, Floats], sex: Floats) -> Floats:
    """Return the diurnal amplitude of each sample; 0 where none is known."""
    analyte, specimen = columns["analyte"], columns["specimen"]
    cortisol = analyte == ANALYTES.index("cortisol")
    steroids = [ANALYTES.index("testosterone"), ANALYTES.index("free_testosterone")]
    by_sex = np.full(sex.size, sum(TESTOSTERONE_A.values()) / 2)
    for name, male_or_female in TESTOSTERONE_A.items():
        by_sex[sex == SEXES.index(name)] = male_or_female
    of_cortisol = np.where(specimen == SALIVA, SALIVARY_CORTISOL_A, CORTISOL_A)
    amplitude = np.where(cortisol, of_cortisol, np.where(np.isin(analyte, steroids), by_sex, 0.0))
    return np.where(specimen == URINE, 0.0, amplitude)


def _series(columns: Mapping[str, Floats]) -> Ints:
    """Return each sample's position in `LAB_SERIES`; -1 for an analyte that is no feature."""
    position = np.full(len(ANALYTES) + 1, -1)
    for i, series in enumerate(ANALYTE_SERIES):
        position[ANALYTES.index(series.name)] = i
    analyte = np.nan_to_num(columns["analyte"], nan=len(ANALYTES)).astype(np.int64)
    # A value of 0 that is not said to be below the LOQ has no logarithm and no meaning.
    return np.where(columns["value"] > 0, position[analyte], -1)


def _ratio(samples: Samples, offsets: Ints, position: int) -> Samples:
    """Return the pairs of ratio `position` as samples of a series of their own."""
    _, top, bottom = RATIOS[position]
    a, b = _pairs(
        offsets, samples.at_s, samples.specimen, samples.censored, samples.series,
        NAMES.index(top), NAMES.index(bottom),
    )  # fmt: skip
    return Samples(
        samples.athlete[a], np.full(a.size, len(ANALYTE_SERIES) + position),
        np.maximum(samples.at_s[a], samples.at_s[b]),
        np.maximum(samples.known_s[a], samples.known_s[b]),
        samples.ln[a] - samples.ln[b], samples.specimen[a], samples.censored[a],
        np.maximum(samples.uncorrected[a], samples.uncorrected[b]),
        np.minimum(samples.after_s[a], samples.after_s[b]),
    )  # fmt: skip


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
    offsets: Ints, at_s: Ints, specimen: Ints, censored: Floats, series: Ints, top: int, bottom: int
) -> tuple[Ints, Ints]:
    """Return the rows of numerators and denominators drawn within 30 min of one another."""
    tops, bottoms = [0 for _ in range(0)], [0 for _ in range(0)]
    for a in range(offsets.size - 1):
        for i in range(offsets[a], offsets[a + 1]):
            if series[i] != top or censored[i] == 1.0:
                continue
            j = i
            while j > offsets[a] and at_s[j - 1] >= at_s[i] - PAIR_S:
                j -= 1
            while j < offsets[a + 1] and at_s[j] <= at_s[i] + PAIR_S:
                same = specimen[j] == specimen[i] and specimen[i] >= 0
                if series[j] == bottom and same and censored[j] == 0.0:
                    tops.append(i)
                    bottoms.append(j)
                j += 1
    return np.array(tops, np.int64), np.array(bottoms, np.int64)
