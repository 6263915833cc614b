"""What a component's model sees of athletes: their sessions and tests, in order of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.numeric.arrays import owners
from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats, Ints, Objects


#: A session older than this leaves nothing that a test could tell: the follow-up of contract §1.
REACH_H = 336.0
#: Half-life of what sessions before the record left, when its first test is not of a rested day.
CARRIED_HALF_LIFE_H = 36.0
#: Local hour at which performance peaks, between the 17:00 and 18:00 of domain.md §1.2.
PEAK_CLOCK_H = 17.5


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of some athletes, sorted by athlete, then end.

    Parameters
    ----------
    offsets : int64 array, shape (n_athletes + 1,)
        The sessions of athlete ``a`` are ``offsets[a]:offsets[a + 1]``.
    end_h, known_h : float64 arrays, shape (n_sessions,), h since 1970 UTC
        When each ended, and when that was known.
    modality, kind : int64 arrays, shape (n_sessions,)
        Codes; -1 where not known.
    X : float64 array, shape (n_sessions, n_features)
        What was known at the end of each session; NaN where missing.
    """

    offsets: Ints
    end_h: Floats
    known_h: Floats
    modality: Ints
    kind: Ints
    X: Floats

    @property
    def owner(self) -> Ints:
        """The athlete of each session."""
        return owners(self.offsets)


@dataclass(frozen=True, slots=True)
class Tests:
    """The tests of one family, sorted by athlete, then time; arrays have shape (n_tests,).

    Parameters
    ----------
    offsets : int64 array, shape (n_athletes + 1,)
    taken_h, known_h : float64 arrays, h since 1970 UTC
        When each was taken, and when it was known.
    value : float64 array
        Higher is better: 100 ln of the value for a test in per cent, else the value in points;
        turned round where lower is better.
    error : float64 array
        Typical error on the same scale.
    test : int64 array
        Position in the family; 0 is the index test.
    visit : int64 array
        Number of the visit within the athlete: tests of one visit share error.
    device : int64 array
        Position of device and method in `devices`; -1 where they are not told.
    clock_h : float64 array, h
        Local time of day; NaN where only the day is known.
    rested : int64 array
        1 where declared as taken on a rested day, else 0.
    devices : tuple of str
        Names of devices and methods.
    """

    offsets: Ints
    taken_h: Floats
    known_h: Floats
    value: Floats
    error: Floats
    test: Ints
    visit: Ints
    device: Ints
    clock_h: Floats
    rested: Ints
    devices: tuple[str, ...] = ()

    @property
    def owner(self) -> Ints:
        """The athlete of each test."""
        return owners(self.offsets)


@dataclass(frozen=True, slots=True)
class Stream:
    """Sessions and tests of the same athletes.

    Parameters
    ----------
    sessions : Sessions
    tests : Tests
    team : object array of str or None, shape (n_athletes,)
    """

    sessions: Sessions
    tests: Tests
    team: Objects

    @property
    def athletes_n(self) -> int:
        """How many athletes there are."""
        return int(self.sessions.offsets.size) - 1

    @property
    def began_h(self) -> Floats:
        """When each athlete's record begins, shape (n_athletes,), h; +inf without any row."""
        return np.minimum(
            _first(self.sessions.offsets, self.sessions.end_h),
            _first(self.tests.offsets, self.tests.taken_h),
        )


def _first(offsets: Ints, at_h: Floats) -> Floats:
    padded = np.append(at_h, np.inf)
    return np.where(np.diff(offsets) > 0, padded[offsets[:-1]], np.inf)


class Pairs(NamedTuple):
    """Which session may still be felt in which test, sorted by test.

    Parameters
    ----------
    offsets : int64 array, shape (n_tests + 1,)
        The pairs of test ``v`` are ``offsets[v]:offsets[v + 1]``.
    session : int64 array, shape (n_pairs,)
    elapsed_h : float64 array, shape (n_pairs,), h
        From the end of the session to the test.
    """

    offsets: Ints
    session: Ints
    elapsed_h: Floats


def pairs_of(stream: Stream) -> Pairs:
    """Return every session that ended within `REACH_H` before each test."""
    sessions, tests = stream.sessions, stream.tests
    return Pairs(*_pairs(sessions.offsets, sessions.end_h, tests.offsets, tests.taken_h))


@kept
def _pairs(
    sessions: Ints, end_h: Floats, tests: Ints, taken_h: Floats
) -> tuple[Ints, Ints, Floats]:
    bounds = np.zeros(taken_h.size + 1, np.int64)
    first = np.zeros(taken_h.size, np.int64)
    for a in range(tests.size - 1):
        begin = end = sessions[a]
        for v in range(tests[a], tests[a + 1]):
            while end < sessions[a + 1] and end_h[end] < taken_h[v]:
                end += 1
            while begin < end and end_h[begin] <= taken_h[v] - REACH_H:
                begin += 1
            first[v], bounds[v + 1] = begin, bounds[v] + end - begin
    session, elapsed_h = np.empty(bounds[-1], np.int64), np.empty(bounds[-1])
    for v in range(taken_h.size):
        for k in range(bounds[v], bounds[v + 1]):
            session[k] = first[v] + k - bounds[v]
            elapsed_h[k] = taken_h[v] - end_h[session[k]]
    return bounds, session, elapsed_h


def carried(stream: Stream) -> Floats:
    """Return how much is left, at each test, of what came before the athlete's record.

    1 at its beginning and halved every `CARRIED_HALF_LIFE_H`; 0 for an athlete whose first test is
    declared as rested.
    """
    tests, owner = stream.tests, stream.tests.owner
    since_h = tests.taken_h - stream.began_h[owner]
    padded = np.append(tests.rested, 0)
    rested = padded[np.minimum(tests.offsets[:-1], tests.rested.size)] == 1
    left = np.exp2(-since_h / CARRIED_HALF_LIFE_H)
    return np.where(rested[owner], 0.0, left)


def of_day(clock_h: Floats) -> Floats:
    """Return cosine and sine of the time of day about its peak, shape (n_tests, 2).

    Both are 0 where only the day is known: such tests are read as at no hour in particular.
    """
    angle = 2.0 * np.pi * (clock_h - PEAK_CLOCK_H) / 24.0
    return np.asarray(np.nan_to_num(np.column_stack([np.cos(angle), np.sin(angle)])))
