"""How many labelled past episodes of the athlete stand behind a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.history.rested_baseline import Baselines
    from nmr_ml.numeric.arrays import Floats, Ints, Objects


#: From this many labelled episodes on, more do not raise the tier.
SOLID_N = 5
#: The tiers: no labelled episode, 1 to 4, 5 and more.
CONFIDENCE = ("cold_start", "building", "solid")


@kept
def _followed_before(
    athlete: Ints, test: Ints, clock_s: Ints, as_of_s: Ints,
    offsets: Ints, ended_s: Ints, known_s: Ints,
    test_offsets: Ints, at_s: Ints, test_known_s: Ints, code: Floats,
) -> Ints:  # fmt: skip
    found = np.zeros(athlete.size, np.int64)
    for q in range(athlete.size):
        if test[q] < 0:
            continue
        first, last = offsets[athlete[q]], offsets[athlete[q] + 1]
        low, high = test_offsets[athlete[q]], test_offsets[athlete[q] + 1]
        until = clock_s[q]
        for i in range(first + np.searchsorted(ended_s[first:last], clock_s[q]) - 1, first - 1, -1):
            if known_s[i] > as_of_s[q]:
                continue
            for j in range(low + np.searchsorted(at_s[low:high], ended_s[i]), high):
                if at_s[j] >= until:
                    break
                if code[j] == test[q] and test_known_s[j] <= as_of_s[q]:
                    found[q] += 1
                    break
            until = ended_s[i]
            if found[q] == SOLID_N:
                break
    return found


def labelled_before(history: History, queries: Queries, baselines: Baselines) -> Ints:
    """Return how many earlier episodes of the athlete had a test before the next one, at most 5.

    An athlete without a rested baseline has none: without it a test is no label.
    """
    sessions, tests = history.sessions, history.tests
    found = _followed_before(
        queries.athlete, queries.test, queries.clock_start_s, queries.as_of_s,
        sessions.offsets, sessions.at_s, sessions.known_s,
        tests.offsets, tests.at_s, tests.known_s, tests.columns["test"],
    )  # fmt: skip
    return np.asarray(np.where(np.isnan(baselines.mean), 0, found))


def tier(labelled: Ints) -> Objects:
    """Return cold_start (0), building (1-4) or solid (5 and more)."""
    names = np.array(CONFIDENCE, dtype=object)
    return names[np.digitize(labelled, [1, SOLID_N])]
