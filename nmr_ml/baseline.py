"""The rested baseline of a test: what the athlete scores when nothing is left to recover from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from nmr_ml.history import NEVER_S, upper_bound
from nmr_ml.loading import LOADING_SHARE, loading_flags
from nmr_ml.testspec import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nmr_ml.history import History
    from nmr_ml.queries import Queries
    from nmr_ml.testspec import TestSpec

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

#: Contract §1: the last 6 rested tests, at most 120 days old, at least 3.
KEPT_TESTS = 6
NEEDED_TESTS = 3
MAX_AGE_S = 120 * 86_400
#: No session lasts longer (its plausible range in `nmr_ml.tables`), so one that a test was taken
#: in ends within this time of the test.
LONGEST_SESSION_S = 3000 * 60
#: Hours after the last loading session from which a test counts as rested.
REST_S = {"power": 72 * 3600, "coordination": 72 * 3600, "central": 72 * 3600,
          "perceptual": 36 * 3600}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Baselines:
    """One baseline per query; all arrays have shape (n_queries,).

    Parameters
    ----------
    mean, se : float64 array, unit of the test
        Mean of the rested tests and its standard error from the test's typical error; NaN where
        fewer than `NEEDED_TESTS` tests are known.
    tests_n : int64 array
        Rested tests found, at most `KEPT_TESTS`.
    newest_s : int64 array, s since 1970 UTC
        Time of the newest of them; with athlete, test and `tests_n` it identifies the baseline.
    """

    mean: Floats
    se: Floats
    tests_n: Ints
    newest_s: Ints


@njit(cache=True, nogil=True)
def is_rested(
    at_s: int, declared: float, rest_s: int, started_s: Floats, ended_s: Ints, loading: Bools,
    first: int,
) -> bool:  # fmt: skip
    """Return whether a test at `at_s` counts as rested.

    `declared` is 1 where the row is flagged as rested; a row that is not may still be. `loading`
    holds the flags of the sessions ``first, first + 1, …`` of the athlete. Before the first session
    on record a test is rested only if declared.
    """
    if declared == 1.0:
        return True
    last = upper_bound(ended_s, first, first + loading.size, at_s + LONGEST_SESSION_S)
    for i in range(last - first - 1, -1, -1):
        if loading[i] and started_s[first + i] < at_s:
            return bool(at_s - ended_s[first + i] >= rest_s)
    return False


@njit(cache=True, nogil=True)
def running_latest(offsets: Ints, known_s: Ints) -> Ints:
    """Return for each row the latest `known_s` among the athlete's rows up to it."""
    latest = known_s.copy()
    for a in range(offsets.size - 1):
        for i in range(offsets[a] + 1, offsets[a + 1]):
            latest[i] = max(latest[i], latest[i - 1])
    return latest


@njit(cache=True, nogil=True)
def begun(started_s: Floats, ended_s: Ints, first: int, last: int, moment_s: int) -> int:
    """Return the end of the rows ``first:…`` that hold every session begun before `moment_s`."""
    end = upper_bound(ended_s, first, last, moment_s)
    for i in range(end, upper_bound(ended_s, end, last, moment_s + LONGEST_SESSION_S)):
        if started_s[i] < moment_s:
            end = i + 1
    return int(end)


@njit(cache=True, nogil=True)
def _baseline(
    test: int, clock_s: int, as_of_s: int, rest_s: int,
    at_s: Ints, known_s: Ints, code: Floats, value: Floats, error: Floats, declared: Floats,
    first: int, last: int,
    started_s: Floats, ended_s: Ints, loading: Bools, first_session: int,
) -> tuple[float, float, int, int]:  # fmt: skip
    total = 0.0
    variance = 0.0
    n = 0
    newest = 0
    for i in range(upper_bound(at_s, first, last, clock_s - 1) - 1, first - 1, -1):
        if clock_s - at_s[i] > MAX_AGE_S or n == KEPT_TESTS:
            break
        if known_s[i] > as_of_s or code[i] != test:
            continue
        if is_rested(at_s[i], declared[i], rest_s, started_s, ended_s, loading, first_session):
            total += value[i]
            variance += error[i] ** 2
            newest = max(newest, at_s[i])
            n += 1
    if n < NEEDED_TESTS:
        return np.nan, np.nan, n, newest
    return total / n, np.sqrt(variance) / n, n, newest


@njit(cache=True, nogil=True)
def _baselines(
    athlete: Ints, test: Ints, clock_s: Ints, as_of_s: Ints, rest_s: Ints,
    test_offsets: Ints, at_s: Ints, known_s: Ints, code: Floats, value: Floats, error: Floats,
    declared: Floats,
    session_offsets: Ints, started_s: Floats, ended_s: Ints, session_known_s: Ints, load_au: Floats,
) -> tuple[Floats, Floats, Ints, Ints]:  # fmt: skip
    n = athlete.size
    mean, se = np.full(n, np.nan), np.full(n, np.nan)
    tests_n, newest = np.zeros(n, np.int64), np.zeros(n, np.int64)
    flags_of = -1  # the athlete whose flags, with every session known, are at hand
    complete = np.zeros(0, np.bool_)
    latest_known = running_latest(session_offsets, session_known_s)
    for q in range(n):
        if test[q] < 0:
            continue
        a = athlete[q]
        first, last = session_offsets[a], session_offsets[a + 1]
        if flags_of != a:
            complete = loading_flags(session_known_s, load_au, first, last, NEVER_S, LOADING_SHARE)
            flags_of = a
        loading = complete
        # Flags depend on earlier sessions only, so they differ only where one that began before
        # the clock start was not yet known.
        end = begun(started_s, ended_s, first, last, clock_s[q])
        if end > first and latest_known[end - 1] > as_of_s[q]:
            loading = loading_flags(session_known_s, load_au, first, end, as_of_s[q], LOADING_SHARE)
        mean[q], se[q], tests_n[q], newest[q] = _baseline(
            test[q], clock_s[q], as_of_s[q], rest_s[q],
            at_s, known_s, code, value, error, declared, test_offsets[a], test_offsets[a + 1],
            started_s, ended_s, loading, first,
        )  # fmt: skip
    return mean, se, tests_n, newest


def test_errors(history: History, specs: Mapping[str, TestSpec]) -> Floats:
    """Return the typical error of each row of ``history.tests``, in % or points by its scale."""
    code, trials = history.tests.columns["test"], history.tests.columns["trials_n"]
    errors = np.full(code.size, np.nan)
    for position, name in enumerate(history.test_names):
        rows = code == position
        errors[rows] = specs[name].typical_error(trials[rows])
    return errors


def rested_baselines(
    history: History, queries: Queries, specs: Mapping[str, TestSpec]
) -> Baselines:
    """Return each query's baseline from the tests known at its `as_of`."""
    tests, sessions = history.tests, history.sessions
    error = test_errors(history, specs)
    in_pct = np.array([specs[name].scale == "pct" for name in history.test_names] or [False])
    codes = np.nan_to_num(tests.columns["test"]).astype(np.int64)
    in_units = np.where(in_pct[codes], error / 100 * tests.columns["value"], error)
    rest_s = np.array([*(REST_S[name] for name in COMPONENTS), 0], np.int64)[queries.component]
    return Baselines(
        *_baselines(
            queries.athlete, queries.test, queries.clock_start_s, queries.as_of_s, rest_s,
            tests.offsets, tests.at_s, tests.known_s, tests.columns["test"],
            tests.columns["value"], in_units, tests.columns["rested"],
            sessions.offsets, sessions.columns["started_at"], sessions.at_s, sessions.known_s,
            sessions.columns["session_load_au"],
        )
    )  # fmt: skip
