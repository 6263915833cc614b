"""Other tests of a component's family: jumps for power by their height, and sprints beside them.

A test of the family says something of the curve that the index test measures, once a fitted scale
(`nmr_ml.models.curve.family_scale`) turns its deficit into one of the index test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nmr_ml.numeric.arrays import Ragged
from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Bools, Floats, Ints


#: Tests of one episode closer than this were taken together: what makes the athlete jump or answer
#: low that morning is in all of them, so only one of them counts.
TOGETHER_H = 2.0


@dataclass(frozen=True, slots=True)
class FamilyTests(Ragged):
    """The other tests of each query's episode, each on its own scale.

    Parameters
    ----------
    names : tuple of str
        What `code` counts.
    offsets : int64 array, shape (n_queries + 1,)
        The tests of query ``q`` are ``offsets[q]:offsets[q + 1]``.
    hours : float64 array, shape (n_tests,), h
        Hours from the clock start.
    deficit, error : float64 arrays, shape (n_tests,)
        Deficit from the test's own rested baseline and the error of both, on the test's own scale.
    code : int64 array, shape (n_tests,)
    """

    SHARED: ClassVar[frozenset[str]] = frozenset({"names"})
    ITEMS: ClassVar[frozenset[str]] = frozenset({"hours", "deficit", "error", "code"})

    names: tuple[str, ...]
    offsets: Ints
    hours: Floats
    deficit: Floats
    error: Floats
    code: Ints

    @classmethod
    def gathered(
        cls, names: tuple[str, ...], n: int, owner: Ints, hours: Floats, deficit: Floats,
        error: Floats, code: Ints,
    ) -> FamilyTests:  # fmt: skip
        """Return the tests, in any order, of the queries `owner` among `n`."""
        order = np.lexsort((code, hours, owner))
        counts = np.bincount(owner, minlength=n)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(names, offsets, hours[order], deficit[order], error[order], code[order])

    @classmethod
    def none(cls, names: tuple[str, ...], n: int) -> FamilyTests:
        """Return `n` queries without another test."""
        nothing, nobody = np.empty(0), np.empty(0, np.int64)
        return cls(names, np.zeros(n + 1, np.int64), nothing, nothing, nothing, nobody)


@kept
def apart(
    offsets: Ints, hours: Floats, others: Ints, other_h: Floats, error: Floats, together_h: float
) -> Bools:
    """Return which of the other tests count: none taken with an index test or a better one.

    Parameters
    ----------
    offsets, hours : arrays
        The index tests of each query, ragged.
    others, other_h, error : arrays
        The other tests of each query, ragged, and their errors on one scale.
    """
    counts = np.ones(other_h.size, np.bool_)
    for q in range(offsets.size - 1):
        for i in range(others[q], others[q + 1]):
            for k in range(offsets[q], offsets[q + 1]):
                if abs(hours[k] - other_h[i]) < together_h:
                    counts[i] = False
        order = np.argsort(error[others[q] : others[q + 1]], kind="mergesort") + others[q]
        for place in range(order.size):
            i = order[place]
            for before in range(place):
                k = order[before]
                if counts[k] and abs(other_h[k] - other_h[i]) < together_h:
                    counts[i] = False
    return counts
