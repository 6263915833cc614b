"""How alike the sleep of two nights a day apart was: what the sleep regularity index is made of.

A cohort may hold a thousand epochs for each night; a history keeps one number for each pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.cohort.tables import STAGES
from nmr_ml.history.local_time import DAY_S, HOUR_S
from nmr_ml.numeric.compiled import inner, kept
from nmr_ml.numeric.sorted_rows import upper_bound

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats, Ints


#: Nights whose waking is so far apart are a day apart.
APART_S = (12 * HOUR_S, 36 * HOUR_S)
#: A period in bed shorter than this is a nap: it counts for the sleep debt only.
NIGHT_S = 3 * HOUR_S
#: Epochs of a known stage fill at least this share of the night (own definition).
COVERED_SHARE = 0.9
ASLEEP = np.array([stage in {"light", "deep", "rem", "asleep"} for stage in STAGES])
UNKNOWN = STAGES.index("unknown")


@kept
def night_pairs(
    offsets: Ints, onset_s: Floats, wake_s: Ints, known_s: Ints, by_day: Floats,
    epoch_offsets: Ints, started_s: Ints, duration_s: Floats, stage: Floats,
) -> tuple[Ints, Ints, Ints, Floats]:  # fmt: skip
    """Return the pairs of nights a day apart that are filled with epochs.

    Parameters
    ----------
    offsets, onset_s, wake_s, known_s, by_day : arrays of the nights, sorted by athlete and waking
        Nights of day precision and naps are left out.
    epoch_offsets, started_s, duration_s, stage : arrays of the epochs, by athlete and start
        They belong to the night in which they start and become known with it. An epoch ends where
        the next one starts.

    Returns
    -------
    offsets, wake_s, known_s : int64 arrays
        Sorted by athlete and the waking of the later night; known once both nights are.
    same_share : float64 array, 0-1
        Share of the 24 h in which the state, asleep or awake, was that of 24 h before. Whoever is
        not in bed is awake.
    """
    asleep = np.zeros(wake_s.size)
    places = np.zeros((wake_s.size, 2), np.int64)
    ends_s = _ends(epoch_offsets, started_s, duration_s)
    later, earlier = [0 for _ in range(0)], [0 for _ in range(0)]
    pair_offsets = np.zeros(offsets.size, np.int64)
    for a in range(offsets.size - 1):
        for i in range(offsets[a], offsets[a + 1]):
            asleep[i] = np.nan
            if by_day[i] == 1.0 or wake_s[i] - onset_s[i] < NIGHT_S:
                continue
            for side, moment in enumerate((int(onset_s[i]) - 1, wake_s[i] - 1)):
                places[i, side] = upper_bound(
                    started_s, epoch_offsets[a], epoch_offsets[a + 1], moment
                )
            asleep[i] = _asleep_s(places[i], started_s, ends_s, stage, onset_s[i], wake_s[i])
            j = i - 1
            while j >= offsets[a] and wake_s[i] - wake_s[j] <= APART_S[1]:
                if wake_s[i] - wake_s[j] >= APART_S[0] and not np.isnan(asleep[i] + asleep[j]):
                    later.append(i)
                    earlier.append(j)
                j -= 1
        pair_offsets[a + 1] = len(later)
    at_s, both_known_s = np.empty(len(later), np.int64), np.empty(len(later), np.int64)
    same = np.empty(len(later))
    for p in range(len(later)):
        i, j = later[p], earlier[p]
        at_s[p], both_known_s[p] = wake_s[i], max(known_s[i], known_s[j])
        both = _both_asleep_s(places[i], places[j], started_s, ends_s, stage, wake_s[i], wake_s[j])
        same[p] = 1.0 - (asleep[i] + asleep[j] - 2.0 * both) / DAY_S
    return pair_offsets, at_s, both_known_s, same


@inner
def _ends(offsets: Ints, started_s: Ints, duration_s: Floats) -> Ints:
    ends_s = np.empty(started_s.size, np.int64)
    for a in range(offsets.size - 1):
        for i in range(offsets[a], offsets[a + 1]):
            ends_s[i] = started_s[i] + int(duration_s[i])
            if i + 1 < offsets[a + 1]:
                ends_s[i] = min(ends_s[i], started_s[i + 1])
    return ends_s


@inner
def _asleep_s(
    place: Ints, started_s: Ints, ends_s: Ints, stage: Floats, onset_s: float, wake_s: int
) -> float:
    """Return how long a night was slept by its epochs; NaN where they do not fill it."""
    asleep, told = 0.0, 0.0
    for e in range(place[0], place[1]):
        if np.isnan(stage[e]) or int(stage[e]) == UNKNOWN:
            continue
        length = min(ends_s[e], wake_s) - started_s[e]
        told += length
        asleep += length if ASLEEP[int(stage[e])] else 0.0
    return asleep if told >= COVERED_SHARE * (wake_s - onset_s) else np.nan


@inner
def _both_asleep_s(
    late: Ints, early: Ints, started_s: Ints, ends_s: Ints, stage: Floats, late_wake_s: int,
    early_wake_s: int,
) -> float:  # fmt: skip
    """Return how long was slept in both nights at the same time of two days."""
    both, j = 0.0, early[0]
    for i in range(late[0], late[1]):
        if not _is_asleep(stage[i]):
            continue
        begin, end = started_s[i] - DAY_S, min(ends_s[i], late_wake_s) - DAY_S
        while j < early[1] and min(ends_s[j], early_wake_s) <= begin:
            j += 1
        k = j
        while k < early[1] and started_s[k] < end:
            if _is_asleep(stage[k]):
                both += max(0, min(ends_s[k], early_wake_s, end) - max(started_s[k], begin))
            k += 1
    return both


@inner
def _is_asleep(stage: float) -> bool:
    return bool(not np.isnan(stage) and ASLEEP[int(stage)])
