"""Values at which no hours are given: the reader is referred to a clinician instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmr_ml.cohort.tables import ANALYTES, SEXES, SPECIMENS

if TYPE_CHECKING:
    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Bools, Ints

    #: Athlete, time drawn and time known of some samples.
    Samples = tuple[Ints, Ints, Ints]

BLOOD = ("serum", "plasma", "capillary")
# Thresholds: domain knowledge as stated for wellness use (refer, do not alarm). CK: 10,000 U/L;
# CRP: 10 mg/L for more than 72 h; testosterone of men: 8 nmol/L in two morning samples.
CK_U_L = 10_000.0
CRP_MG_L = 10.0
CRP_LASTING_S = 72 * 3600
TESTOSTERONE_NMOL_L = 8.0
MORNING_H = (5, 11)
#: How long a flag stands after the sample that raised it.
STANDS_S = 7 * 86_400
TESTOSTERONE_STANDS_S = 90 * 86_400


def red_flagged(history: History, athlete: Ints, as_of_s: Ints) -> Bools:
    """Return for each (athlete, `as_of`) whether a red flag stands, from the samples known then.

    Parameters
    ----------
    athlete, as_of_s : int64 arrays, shape (n,)
    """
    flagged = np.zeros(athlete.size, dtype=bool)
    for owner, from_s, until_s in _flags(history):
        flagged |= (athlete == owner) & (as_of_s >= from_s) & (as_of_s <= until_s)
    return flagged


def _flags(history: History) -> list[tuple[int, int, int]]:
    """Return (athlete, known from, stands until) of every flag."""
    labs = history.labs
    value, analyte = labs.columns["value"], labs.columns["analyte"]
    owner = np.repeat(np.arange(labs.offsets.size - 1), np.diff(labs.offsets))
    blood = np.isin(labs.columns["specimen"], [SPECIMENS.index(s) for s in BLOOD])

    def rows(name: str, telling: Bools) -> Samples:
        picked = blood & (analyte == ANALYTES.index(name)) & telling
        return owner[picked], labs.at_s[picked], labs.known_s[picked]

    man = (history.person["sex"] == SEXES.index("male"))[owner]
    hour = _local_hour(labs.at_s, history.timezone)
    morning = man & (hour >= MORNING_H[0]) & (hour <= MORNING_H[1])
    two_mornings = (43_200, TESTOSTERONE_STANDS_S)
    return [
        *_single(rows("ck", value > CK_U_L)),
        *_repeated(rows("crp", value > CRP_MG_L), (CRP_LASTING_S, 2 * STANDS_S), STANDS_S),
        *_repeated(
            rows("testosterone", morning & (value < TESTOSTERONE_NMOL_L)),
            two_mornings,
            TESTOSTERONE_STANDS_S,
        ),
    ]


def _single(samples: Samples) -> list[tuple[int, int, int]]:
    """Return a flag for every sample."""
    return [(int(a), int(known), int(at) + STANDS_S) for a, at, known in zip(*samples, strict=True)]


def _repeated(
    samples: Samples, apart_s: tuple[int, int], stands_s: int
) -> list[tuple[int, int, int]]:
    """Return a flag for every sample with an earlier one of the athlete `apart_s` before it."""
    owner, at, known = samples
    flags = []
    for i in range(owner.size):
        gap = at[i] - at
        earlier = (owner == owner[i]) & (gap >= apart_s[0]) & (gap <= apart_s[1])
        if earlier.any():
            both = max(int(known[i]), int(known[earlier].min()))
            flags.append((int(owner[i]), both, int(at[i]) + stands_s))
    return flags


def _local_hour(at_s: Ints, timezone: str) -> Ints:
    utc = pd.DatetimeIndex(at_s.astype("datetime64[s]"), tz="UTC")
    return np.asarray(utc.tz_convert(timezone or "UTC").hour, np.int64)
