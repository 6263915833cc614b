"""Values at which no hours are given: the reader is referred to a clinician instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.cohort.tables import ANALYTES, SEXES, SPECIMENS
from nmr_ml.history.local_time import DAY_S, NEVER_S, local_seconds
from nmr_ml.numeric.arrays import owners
from nmr_ml.numeric.compiled import kept
from nmr_ml.numeric.sorted_rows import running_latest, upper_bound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Bools, Ints

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


class Samples(NamedTuple):
    """Athlete, time drawn and time known of some samples, sorted by athlete and time drawn."""

    owner: Ints
    at_s: Ints
    known_s: Ints


class Flags(NamedTuple):
    """Flags by athlete and the moment each is known: shape (n_flags,), `offsets` (n_athletes + 1,).

    `until_s` is the latest end of those up to each: what stands at a moment is known by then.
    """

    offsets: Ints
    from_s: Ints
    until_s: Ints


def red_flagged(history: History, athlete: Ints, as_of_s: Ints) -> Bools:
    """Return for each (athlete, `as_of`) whether a red flag stands, from the samples known then.

    Parameters
    ----------
    athlete, as_of_s : int64 arrays, shape (n,)
    """
    return _stands(_flags(history), athlete, as_of_s)


@kept
def _stands(flags: Flags, athlete: Ints, as_of_s: Ints) -> Bools:
    flagged = np.zeros(athlete.size, np.bool_)
    for q in range(athlete.size):
        first, last = flags.offsets[athlete[q]], flags.offsets[athlete[q] + 1]
        told = upper_bound(flags.from_s, first, last, as_of_s[q])
        flagged[q] = told > first and flags.until_s[told - 1] >= as_of_s[q]
    return flagged


def _flags(history: History) -> Flags:
    labs = history.labs
    value, analyte = labs.columns["value"], labs.columns["analyte"]
    owner = owners(labs.offsets)
    blood = np.isin(labs.columns["specimen"], [SPECIMENS.index(s) for s in BLOOD])

    def rows(name: str, telling: Bools) -> Samples:
        picked = blood & (analyte == ANALYTES.index(name)) & telling
        return Samples(owner[picked], labs.at_s[picked], labs.known_s[picked])

    man = (history.person["sex"] == SEXES.index("male"))[owner]
    hour = local_seconds(labs.at_s, history.timezone) % DAY_S // 3600
    morning = man & (hour >= MORNING_H[0]) & (hour <= MORNING_H[1])
    ck, crp = rows("ck", value > CK_U_L), rows("crp", value > CRP_MG_L)
    low = rows("testosterone", morning & (value < TESTOSTERONE_NMOL_L))
    return _by_athlete(
        [
            (ck, ck.known_s, STANDS_S),
            (crp, _both_known(crp, CRP_LASTING_S, 2 * STANDS_S), STANDS_S),
            (low, _both_known(low, DAY_S // 2, TESTOSTERONE_STANDS_S), TESTOSTERONE_STANDS_S),
        ],
        labs.offsets.size - 1,
    )


@kept
def _both_known(samples: Samples, least_s: int, most_s: int) -> Ints:
    """Return when each sample and an earlier one, `least_s` to `most_s` before it, are both known.

    `NEVER_S` where there is no earlier one.
    """
    owner, at_s, known_s = samples.owner, samples.at_s, samples.known_s
    both, first, end = np.full(at_s.size, NEVER_S), 0, 0
    # Of the rows first:end those that no later one was known before: the first is the least.
    line, head, tail = np.empty(at_s.size, np.int64), 0, 0
    for i in range(at_s.size):
        while end < i and (owner[end] != owner[i] or at_s[i] - at_s[end] >= least_s):
            while tail > head and known_s[line[tail - 1]] >= known_s[end]:
                tail -= 1
            line[tail] = end
            tail, end = tail + 1, end + 1
        while first < end and (owner[first] != owner[i] or at_s[i] - at_s[first] > most_s):
            first += 1
        while head < tail and line[head] < first:
            head += 1
        if head < tail:
            both[i] = max(known_s[i], known_s[line[head]])
    return both


def _by_athlete(raised: Sequence[tuple[Samples, Ints, int]], athletes_n: int) -> Flags:
    """Return flags from samples, when each was known, and how long a flag stands after it."""
    owner = np.concatenate([samples.owner for samples, _, _ in raised])
    from_s = np.concatenate([known_s for _, known_s, _ in raised])
    until_s = np.concatenate([samples.at_s + stands_s for samples, _, stands_s in raised])
    order = np.lexsort((from_s, owner))
    offsets = np.searchsorted(owner[order], np.arange(athletes_n + 1))
    return Flags(offsets, from_s[order], running_latest(offsets, until_s[order]))
