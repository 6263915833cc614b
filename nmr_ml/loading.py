"""Which sessions count as loading, as far as was known at a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

#: A loading session carries at least this share of the athlete's median session load so far.
LOADING_SHARE = 0.5


@njit(cache=True, nogil=True)
def loading_flags(
    known_s: Ints, load_au: Floats, first: int, last: int, as_of_s: int, share: float
) -> Bools:
    """Return for the sessions ``first:last`` of one athlete whether they count as loading.

    Only sessions known at `as_of_s` are looked at; the others are not loading. The median is that
    of the known loads of the *earlier* sessions. A session of unknown load counts as loading, and
    so does one with no earlier load to compare with.

    Parameters
    ----------
    known_s : int64 array, s
    load_au : float64 array, arbitrary units (RPE x min); NaN is unknown
    share : float
        Share of the median that makes a session loading, `LOADING_SHARE` by default.
    """
    flags = np.zeros(last - first, dtype=np.bool_)
    seen = np.empty(last - first, dtype=np.float64)  # sorted loads of the earlier sessions
    n = 0
    for i in range(first, last):
        if known_s[i] > as_of_s:
            continue
        load = load_au[i]
        if np.isnan(load) or n == 0:
            flags[i - first] = True
        else:
            middle = 0.5 * (seen[(n - 1) // 2] + seen[n // 2])
            flags[i - first] = load >= share * middle
        if not np.isnan(load):
            place = n
            while place > 0 and seen[place - 1] > load:
                seen[place] = seen[place - 1]
                place -= 1
            seen[place] = load
            n += 1
    return flags
