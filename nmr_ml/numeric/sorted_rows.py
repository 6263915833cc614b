"""Kernels on rows sorted by athlete and time: searching, grouping, and what is known when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Ints


@kept
def upper_bound(at_s: Ints, first: int, last: int, moment_s: int) -> int:
    """Return the first of the sorted rows ``first:last`` that lies after `moment_s`."""
    while first < last:
        middle = (first + last) // 2
        if at_s[middle] <= moment_s:
            first = middle + 1
        else:
            last = middle
    return first


@kept
def upper_bound_near(at_s: Ints, first: int, last: int, moment_s: int, guess: int) -> int:
    """Return the same as `upper_bound`, sooner where `guess` is close; it may be any number."""
    low = min(max(guess, first), last)
    high, step = low, 1
    if low < last and at_s[low] <= moment_s:
        while high < last and at_s[high] <= moment_s:
            low = high + 1
            high = min(high + step, last)
            step *= 2
    else:
        while low > first and at_s[low - 1] > moment_s:
            high = low - 1
            low = max(low - step, first)
            step *= 2
    return upper_bound(at_s, low, high, moment_s)


@kept
def running_latest(offsets: Ints, known_s: Ints) -> Ints:
    """Return for each row the latest `known_s` among the rows of its group up to it."""
    latest = known_s.copy()
    for a in range(offsets.size - 1):
        for i in range(offsets[a] + 1, offsets[a + 1]):
            latest[i] = max(latest[i], latest[i - 1])
    return latest


@kept
def grouped(offsets: Ints, group: Ints, groups_n: int) -> tuple[Ints, Ints]:
    """Order rows by athlete and `group`, keeping their order within, and find where each starts.

    Parameters
    ----------
    offsets : int64 array, shape (n_athletes + 1,)
        Of rows that are sorted by athlete.
    group : int64 array, shape (n_rows,)
        From 0 to ``groups_n - 1``; -1 drops the row.

    Returns
    -------
    order : int64 array
    starts : int64 array, shape (n_athletes * groups_n + 1,)
        Rows of athlete ``a`` and group ``g`` are ``order[starts[k]:starts[k + 1]]`` with
        ``k = a * groups_n + g``.
    """
    athletes_n = offsets.size - 1
    starts = np.zeros(athletes_n * groups_n + 1, np.int64)
    for a in range(athletes_n):
        for i in range(offsets[a], offsets[a + 1]):
            if group[i] >= 0:
                starts[a * groups_n + group[i] + 1] += 1
    for k in range(1, starts.size):
        starts[k] += starts[k - 1]
    order, place = np.empty(starts[-1], np.int64), starts[:-1].copy()
    for a in range(athletes_n):
        for i in range(offsets[a], offsets[a + 1]):
            if group[i] >= 0:
                k = a * groups_n + group[i]
                order[place[k]] = i
                place[k] += 1
    return order, starts
