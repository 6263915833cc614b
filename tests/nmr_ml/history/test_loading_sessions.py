"""What counts as a loading session, case by case."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.history.loading_sessions import Loading, _loading, loading_flags, loading_of
from nmr_ml.numeric.arrays import owners
from nmr_ml.numeric.compiled import kept
from tests.support.plain_rules import loading_rule
from tests.support.small_cohorts import history_of, session, small_cohort

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Bools, Floats, Ints

NAN = np.nan


@kept
def compiled(s: Loading, first: int, pending: int, end: int, rows_n: int, as_of_s: int) -> Bools:
    return loading_flags(s, first, pending, end, rows_n, as_of_s)


def laid_out(offsets: Ints, ended_s: Ints, known_s: Ints, loads: Floats) -> Loading:
    owner = owners(offsets)
    by_known = np.lexsort((known_s, owner))
    return _loading(offsets, ended_s.astype(np.float64), ended_s, known_s, loads, by_known)


def flags(loads: list[float], known_s: list[int] | None = None, as_of_s: int = 100) -> list[bool]:
    n = len(loads)
    known = np.array(known_s or [0] * n, np.int64)
    sessions = laid_out(np.array([0, n]), np.arange(n), known, np.array(loads))
    found: list[bool] = compiled(sessions, 0, 0, n, n, as_of_s).tolist()
    return found


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        ([10.0], [True]),  # the first session on record
        ([400.0, 200.0, 149.0], [True, True, False]),  # at least half the median of the earlier
        ([400.0, NAN, 150.0], [True, True, False]),  # unknown load counts, and moves no median
        ([NAN, NAN, 5.0], [True, True, True]),  # nothing earlier to compare with
        ([0.0, 0.0, 0.0], [True, True, True]),  # half of a median of 0
        ([100.0, 300.0, 500.0, 149.0], [True, True, True, False]),  # median 300
        ([100.0, 300.0, 99.0, 100.0], [True, True, False, True]),  # even number: middle of two
    ],
)
def test_rule(loads: list[float], expected: list[bool]) -> None:
    assert flags(loads) == expected


def test_session_known_later_is_neither_loading_nor_part_of_the_median() -> None:
    assert flags([1000.0, 100.0, 90.0], [101, 0, 0]) == [False, True, True]
    assert flags([1000.0, 100.0, 90.0], [100, 0, 0]) == [True, False, False]


def test_only_the_athletes_own_rows_are_looked_at() -> None:
    loads = np.array([9000.0, 9000.0, 100.0, 60.0])
    zeros = np.zeros(4, np.int64)
    sessions = laid_out(np.array([0, 2, 4]), zeros, zeros, loads)
    assert compiled(sessions, 2, 2, 4, 2, 0).tolist() == [True, True]
    assert sessions.flags.tolist() == [True] * 4


def test_agrees_with_the_rule_on_random_loads() -> None:
    rng = np.random.default_rng(5)
    loads = np.where(rng.random(200) < 0.2, np.nan, rng.gamma(2, 150, 200).round())
    known = rng.integers(0, 120, 200)
    assert flags(loads.tolist(), known.tolist()) == loading_rule(known, loads, 100).tolist()


def random_sessions() -> Loading:
    """Return 40 and 50 sessions, of which some become known late."""
    rng = np.random.default_rng(6)
    loads = np.where(rng.random(90) < 0.2, np.nan, rng.gamma(2, 150, 90).round())
    ended = np.concatenate([np.sort(rng.integers(0, 100, n)) for n in (40, 50)])
    known = ended + rng.integers(0, 20, 90) * (rng.random(90) < 0.3)
    return laid_out(np.array([0, 40, 90]), ended, known, loads)


def test_flags_from_the_first_unknown_session_on_agree_with_the_rule() -> None:
    s = random_sessions()
    compared = 0
    for first, last in ((0, 40), (40, 90)):
        for as_of in range(0, 110, 3):
            end = int(np.searchsorted(s.ended_s[first:last], as_of, side="right")) + first
            unknown = np.flatnonzero(s.known_s[first:end] > as_of)
            if not unknown.size:
                continue
            pending = first + int(unknown[0])
            expected = loading_rule(s.known_s[first:end], s.load_au[first:end], as_of)
            found = compiled(s, first, pending, end, last - first, as_of)
            assert found.tolist() == expected[pending - first :].tolist()
            assert s.flags[first:pending].tolist() == expected[: pending - first].tolist()
            compared += 1
    assert compared > 20


def test_the_next_flagged_row_is_found_by_one_look() -> None:
    s = random_sessions()
    for first, last in ((0, 40), (40, 90)):
        flagged = np.flatnonzero(s.flags[first:last]) + first
        for i in range(first, last):
            later = flagged[flagged >= i]
            assert s.upcoming[i] == (later[0] if later.size else last)
    assert not s.flags.all()


def test_the_record_is_laid_out_once() -> None:
    history = history_of(small_cohort([session(0), session(48)]))
    assert loading_of(history) is loading_of(history)
    assert loading_of(replace(history)) is not loading_of(history)
