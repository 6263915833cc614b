"""Kernel of what came before the clock start: earlier sessions and the same kind of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.features.moments import (
    FEATURES_BACK_S,
    SAME_EPISODE,
    SAME_MOMENT,
    Moments,
    copy_previous,
    settled,
)
from nmr_ml.history.loading_sessions import LOADING_SHARE, Loading
from nmr_ml.history.local_time import DAY_S, HOUR_S
from nmr_ml.numeric.compiled import inner
from nmr_ml.numeric.running_median import median, put, words
from nmr_ml.numeric.sorted_rows import upper_bound_near

if TYPE_CHECKING:
    from nmr_ml.features.load import Sessions
    from nmr_ml.numeric.arrays import Bits, Floats


WIDTH = 9
#: Known loads that a median needs before the session's own load is compared with it.
COMPARED_LOADS = 3


@inner
def before_session(
    m: Moments, first: int, last: int, s: Sessions, rank: Loading, out: Floats, col: int
) -> None:
    """Write the features of the sessions before each clock start from column `col` on."""
    whose, begin, end, bits = -1, 0, 0, np.zeros(0, np.uint64)
    for q in range(first, last):
        athlete, as_of, own = m.athlete[q], m.as_of_s[q], m.session[q]
        start, stop, above = s.offsets[athlete], s.offsets[athlete + 1], begin
        begin = upper_bound_near(s.at_s, start, stop, as_of - FEATURES_BACK_S, begin)
        end = upper_bound_near(s.at_s, begin, stop, min(m.clock_s[q], as_of), end)
        same = m.alike[q] == SAME_EPISODE and q > first and begin == above
        if m.alike[q] == SAME_MOMENT or (
            same and settled(rank.latest_s, start, end, m.as_of_s[q - 1])
        ):
            copy_previous(out, q, col, WIDTH)
            continue
        if athlete != whose:
            whose, bits = athlete, np.zeros(words(stop - start), np.uint64)
        told = own >= 0 and s.known_s[own] <= as_of and s.at_s[own] <= as_of
        known = known_loads(s, rank, begin, end, own, as_of, bits)
        middle = median(bits, known, start, rank.ordered) if known > 0 else 0.0
        compared = told and known >= COMPARED_LOADS and s.load[own] > 0 and middle > 0
        out[q, col] = np.log(s.load[own] / middle) if compared else np.nan
        whole_days = told and s.by_day[own] == 1.0
        newest = newest_load(s, begin, end, own, as_of, -np.inf)
        write_session(m, s, q, newest, whole_days, out, col + 1)
        loading = newest_load(s, begin, end, own, as_of, LOADING_SHARE * middle)
        write_session(m, s, q, loading, whole_days, out, col + 3)
        modality = s.modality[own] if told else np.nan
        write_recent(m, s, q, begin, end, modality, whole_days, out, col + 5)


@inner
def known_loads(
    s: Sessions, rank: Loading, begin: int, end: int, own: int, as_of_s: int, bits: Bits
) -> int:
    """Put the known loads before the clock start into `bits`; return how many there are."""
    bits[:] = np.uint64(0)
    known = 0
    for i in range(begin, end):
        if s.known_s[i] <= as_of_s and rank.rank[i] >= 0 and i != own:
            put(bits, rank.rank[i])
            known += 1
    return known


@inner
def newest_load(s: Sessions, begin: int, end: int, own: int, as_of_s: int, needed: float) -> int:
    """Return the newest session of unknown load or of at least `needed`, -1 without one."""
    for i in range(end - 1, begin - 1, -1):
        if i != own and s.known_s[i] <= as_of_s and not s.load[i] < needed:
            return i
    return -1


@inner
def write_session(
    m: Moments, s: Sessions, q: int, i: int, whole_days: bool, out: Floats, col: int
) -> None:
    """Write how long before the clock start session `i` was, and its load."""
    out[q, col] = gap_h(m, s, q, i, whole_days)
    out[q, col + 1] = s.load[i] if i >= 0 else np.nan


@inner
def write_recent(
    m: Moments, s: Sessions, q: int, begin: int, end: int, modality: float, whole_days: bool,
    out: Floats, col: int,
) -> None:  # fmt: skip
    """Write what there was of the same modality, of eccentric work and on the same day."""
    since, own, as_of = m.clock_s[q] - 28 * DAY_S, m.session[q], m.as_of_s[q]
    alike, alike_n, same_day, eccentric, told = -1, 0, 0, 0.0, False
    i = end - 1
    while i >= begin and s.at_s[i] > since:
        if i != own and s.known_s[i] <= as_of:
            same_day += 1 if s.day[i] == m.clock_day[q] else 0
            if s.modality[i] == modality:
                alike = i if alike < 0 else alike
                alike_n += 1
            if not np.isnan(s.eccentric[i]):
                eccentric, told = eccentric + s.eccentric[i], True
        i -= 1
    while alike < 0 and i >= begin:
        if s.modality[i] == modality and i != own and s.known_s[i] <= as_of:
            alike = i
        i -= 1
    out[q, col] = gap_h(m, s, q, alike, whole_days)
    out[q, col + 1] = np.nan if np.isnan(modality) else alike_n
    out[q, col + 2] = eccentric if told else np.nan
    out[q, col + 3] = same_day


@inner
def gap_h(m: Moments, s: Sessions, q: int, i: int, whole_days: bool) -> float:
    """Return the hours from session `i` to the clock start, in whole days where only days count."""
    if i < 0:
        return np.nan
    if whole_days or s.by_day[i] == 1.0:
        return 24.0 * float(m.clock_day[q] - s.day[i])
    return float(m.clock_s[q] - s.at_s[i]) / HOUR_S
