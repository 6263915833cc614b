"""Exact medians of changing sets of an athlete's values, by their ranks.

A set is a row of bits, one per rank: adding a value is one instruction, and its median is found by
counting bits, without sorting or moving anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Bits, Floats, Ints


_ONE = np.uint64(1)
_M1, _M2 = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
_M4, _H01 = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)


class Ranked(NamedTuple):
    """Values by athlete.

    Row ``i`` of athlete ``a`` holds the value ``ordered[offsets[a] + rank[i]]``; its rank is -1
    where it has none.
    """

    rank: Ints
    ordered: Floats


@kept
def ranked(offsets: Ints, values: Floats) -> Ranked:
    """Rank the values of each athlete; missing ones get no rank."""
    rank, ordered = np.full(values.size, -1), np.full(values.size, np.nan)
    for a in range(offsets.size - 1):
        first, last = offsets[a], offsets[a + 1]
        order = np.argsort(values[first:last])  # NaN comes last
        for r in range(last - first):
            value = values[first + order[r]]
            if np.isnan(value):
                break
            rank[first + order[r]] = r
            ordered[first + r] = value
    return Ranked(rank, ordered)


@kept
def words(rows_n: int) -> int:
    """Return how many words a set of up to `rows_n` ranks takes."""
    return (rows_n + 63) >> 6


@kept
def put(bits: Bits, rank: int) -> None:
    """Add `rank` to a set."""
    bits[rank >> 6] |= _ONE << np.uint64(rank & 63)


@kept
def drop(bits: Bits, rank: int) -> None:
    """Take `rank`, which is in it, out of a set."""
    bits[rank >> 6] &= ~(_ONE << np.uint64(rank & 63))


@kept
def ones(word: np.uint64) -> int:
    """Return the number of bits that are set (the usual sideways addition)."""
    x = np.uint64(word)
    x -= (x >> np.uint64(1)) & _M1
    x = (x & _M2) + ((x >> np.uint64(2)) & _M2)
    x = (x + (x >> np.uint64(4))) & _M4
    return int((x * _H01) >> np.uint64(56))


@kept
def kth(bits: Bits, k: int) -> int:
    """Return the rank in a set that has `k` lower ones beside it; -1 where there is none."""
    for w in range(bits.size):
        count = ones(bits[w])
        if k < count:
            word = bits[w]
            for _ in range(k):
                word &= word - _ONE  # drops the lowest bit
            return 64 * w + ones((word & (~word + _ONE)) - _ONE)
        k -= count
    return -1


@kept
def median(bits: Bits, n: int, first: int, ordered: Floats) -> float:
    """Return the median of the `n` ranks in a set of the athlete whose rows begin at `first`."""
    low = ordered[first + kth(bits, (n - 1) // 2)]
    return 0.5 * float(low + (low if n % 2 == 1 else ordered[first + kth(bits, n // 2)]))
