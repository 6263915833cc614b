from __future__ import annotations

from dataclasses import replace

import numpy as np

from nmr_ml.models.impulse.stream import REACH_H, carried, of_day, pairs_of
from tests.support.impulse_streams import drawn_stream


def test_pairs_are_all_sessions_within_reach_before_a_test() -> None:
    stream = drawn_stream(3, 40, seed=1).stream
    pairs = pairs_of(stream)
    sessions, tests = stream.sessions, stream.tests
    for v, owner in enumerate(tests.owner):
        elapsed_h = tests.taken_h[v] - sessions.end_h
        felt = (sessions.owner == owner) & (elapsed_h > 0) & (elapsed_h < REACH_H)
        own = slice(pairs.offsets[v], pairs.offsets[v + 1])
        assert pairs.session[own].tolist() == np.flatnonzero(felt).tolist()
        np.testing.assert_array_equal(pairs.elapsed_h[own], elapsed_h[felt])


def test_a_record_that_begins_rested_carries_nothing_in() -> None:
    stream = drawn_stream(2, 20, seed=1).stream
    assert not carried(stream).any()
    tests = replace(stream.tests, rested=np.zeros_like(stream.tests.rested))
    left = carried(replace(stream, tests=tests))
    assert left[0] == 1.0
    since_h = stream.tests.taken_h - stream.tests.taken_h[0]
    np.testing.assert_allclose(left, 0.5 ** (since_h / 36.0))


def test_the_time_of_day_peaks_late_in_the_afternoon_and_may_be_unknown() -> None:
    day = of_day(np.array([17.5, 5.5, 23.5, np.nan]))
    np.testing.assert_allclose(day, [[1, 0], [-1, 0], [0, 1], [0, 0]], atol=1e-12)
