"""The rested baseline of a test: what the athlete scores when nothing is left to recover from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.history.loading_sessions import Loading, loading_flags, loading_of
from nmr_ml.history.local_time import DAY_S, NEVER_S, local_seconds
from nmr_ml.numeric.arrays import RowWise
from nmr_ml.numeric.compiled import inner, kept
from nmr_ml.numeric.sorted_rows import grouped, upper_bound, upper_bound_near
from nmr_ml.recovery_tests import COMPONENTS, typical_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.numeric.arrays import Bools, Floats, Ints
    from nmr_ml.recovery_tests import TestSpec


#: Contract §1: the last 6 rested tests, at most 120 days old, at least 3.
KEPT_TESTS = 6
NEEDED_TESTS = 3
BASELINE_MAX_AGE_S = 120 * 86_400
#: Stands for a rested test that is not there, among the times of a baseline's tests.
NO_TEST_S = int(np.iinfo(np.int64).min)
#: No session lasts longer (its plausible range in `nmr_ml.cohort.tables`), so one that a test was
#: taken in ends within this time of the test.
LONGEST_SESSION_S = 3000 * 60
#: Hours after the last loading session from which a test counts as rested.
REST_S = {"power": 72 * 3600, "coordination": 72 * 3600, "central": 72 * 3600,
          "perceptual": 36 * 3600}  # fmt: skip
LEAST_REST_S = min(REST_S.values())
#: Bins of the hours from the last loading session to a rested test, and what stands for each.
REST_EDGES_H = np.array([48.0, 72.0, 96.0, 120.0, 168.0, 336.0])
REST_H = np.array([42.0, 60.0, 84.0, 108.0, 144.0, 240.0, np.inf])
#: Where most rested tests of power lie among them.
TYPICAL_REST = 2
#: Local hour at which performance peaks: late in the afternoon (domain.md §1.2 gives jumps 2-4 %
#: more then than in the morning).
PEAK_H = 17.0
#: The same by position in `COMPONENTS`; ``availability``, which no test measures, comes last.
REST_OF = np.array([*(REST_S[name] for name in COMPONENTS), LEAST_REST_S], np.int64)


@dataclass(frozen=True, slots=True)
class Baselines(RowWise):
    """One baseline per query; all arrays have shape (n_queries,).

    Parameters
    ----------
    mean, se : float64 array, unit of the test
        Mean of the rested tests and its standard error from the test's typical error; NaN where
        fewer than `NEEDED_TESTS` tests are known.
    tests_n : int64 array
        Rested tests found, at most `KEPT_TESTS`.
    taken_s : int64 array, shape (n_queries, KEPT_TESTS), s since 1970 UTC
        Times of them, the newest first, then `NO_TEST_S`; with athlete and test they say which
        baselines share how much of their error.
    rest : float64 array, shape (n_queries, len(REST_H))
        Share of them that were taken so long after the last loading session; those declared as
        rested sooner count as just rested, those from before the first session on record not.
    daytime : float64 array
        Mean of their `daytime_of`; NaN where the hour of one is not known.
    """

    mean: Floats
    se: Floats
    tests_n: Ints
    taken_s: Ints
    rest: Floats
    daytime: Floats

    @classmethod
    def unknown(cls, n: int) -> Baselines:
        """Return the baselines of `n` queries without one."""
        nan, none = np.full(n, np.nan), np.full((n, KEPT_TESTS), NO_TEST_S)
        return cls(nan, nan, np.zeros(n, np.int64), none, np.zeros((n, REST_H.size)), nan)


class Trials(NamedTuple):
    """The tests by athlete, code and time.

    `starts` is as in `nmr_ml.numeric.sorted_rows.grouped` and `order` says which row of
    ``history.tests`` each is. `variance` is the square of the typical error in the unit of the
    test. `gap_s` is the time from the last loading session to the test, every session known:
    `NEVER_S` where the test is declared as rested, -1 before the first session; `since_s` is the
    same whatever is declared. `link` is the newest row up to each, of the same athlete and test,
    whose gap may be long enough, -1 without one.
    """

    starts: Ints
    order: Ints
    codes: int
    at_s: Ints
    known_s: Ints
    value: Floats
    variance: Floats
    daytime: Floats
    declared: Floats
    gap_s: Ints
    since_s: Ints
    link: Ints


def trials_of(history: History, specs: Mapping[str, TestSpec]) -> Trials:
    """Return the tests of `history` as the kernels read them; laid out at the first call.

    Parameters
    ----------
    specs : mapping of str to TestSpec
        Not to be changed afterwards.
    """
    # `specs` is kept beside what was made with it, so that its identity stays its own.
    kept_for = ("tests", id(specs))
    laid_out: Trials = history.laid_out.get(kept_for, lambda: (specs, _laid_out(history, specs)))[1]
    return laid_out


def _laid_out(history: History, specs: Mapping[str, TestSpec]) -> Trials:
    sessions = loading_of(history)
    rows, columns, codes = history.tests, history.tests.columns, max(len(history.test_names), 1)
    code = np.where(np.isnan(columns["test"]), -1.0, columns["test"]).astype(np.int64)
    in_pct = np.array([specs[name].scale == "pct" for name in history.test_names] or [False])
    error, value = test_errors(history, specs), columns["value"]
    order, starts = grouped(rows.offsets, code, codes)
    since_s = _since(rows.offsets, rows.at_s, sessions)[order]
    gap_s = np.where(columns["rested"][order] == 1.0, NEVER_S, since_s)
    in_units = np.where(in_pct[code], error / 100 * value, error)
    return Trials(
        starts, order, codes, rows.at_s[order], rows.known_s[order], value[order],
        in_units[order] ** 2, daytime_of(history)[order], columns["rested"][order], gap_s, since_s,
        _links(starts, gap_s),
    )  # fmt: skip


def daytime_of(history: History) -> Floats:
    """Return `daytime` of each row of ``history.tests``; NaN where only the day is known."""
    rows = history.tests
    at_day = daytime(rows.at_s, history.timezone)
    return np.where(rows.columns["day_precision"] == 1.0, np.nan, at_day)


def daytime(at_s: Ints, timezone: str) -> Floats:
    """Return the cosine of the time of day at each moment: 1 at `PEAK_H`, -1 twelve hours away."""
    return np.asarray(_cosine(local_seconds(at_s, timezone)))


@kept
def _cosine(clock_s: Ints) -> Floats:
    cosine = np.empty(clock_s.size)
    for i in range(clock_s.size):
        hour = (clock_s[i] % DAY_S) / 3600.0
        cosine[i] = math.cos(2.0 * math.pi * (hour - PEAK_H) / 24.0)
    return cosine


@inner
def since_loading(s: Loading, at_s: int, first: int, last: int, pending: int, late: Bools) -> int:
    """Return the seconds from the end of the newest loading session begun before `at_s` to it.

    The sessions ``first:last`` are those of one athlete that have ended `LONGEST_SESSION_S` after
    `at_s`; `late` has the flags from `pending` on. Without any it is -1, and below 0 also in a
    session: before the first session on record a test is rested only if declared.
    """
    for i in range(last - 1, first - 1, -1):
        loading = late[i - pending] if i >= pending else s.flags[i]
        if loading and s.started_s[i] < at_s:
            return int(at_s - s.ended_s[i])
    return -1


@kept
def _since(offsets: Ints, at_s: Ints, s: Loading) -> Ints:
    since_s, over, late = np.empty(at_s.size, np.int64), 0, np.empty(0, np.bool_)
    for a in range(offsets.size - 1):
        first, last = s.offsets[a], s.offsets[a + 1]
        for i in range(offsets[a], offsets[a + 1]):
            over = upper_bound_near(s.ended_s, first, last, at_s[i] + LONGEST_SESSION_S, over)
            since_s[i] = since_loading(s, at_s[i], first, over, over, late)
    return since_s


@kept
def _links(starts: Ints, gap_s: Ints) -> Ints:
    link = np.empty(gap_s.size, np.int64)
    for k in range(starts.size - 1):
        newest = -1
        for i in range(starts[k], starts[k + 1]):
            newest = i if gap_s[i] >= LEAST_REST_S else newest
            link[i] = newest
    return link


@inner
def begun(s: Loading, ended: int, last: int, moment_s: int) -> int:
    """Return the end of the rows that hold every session begun before `moment_s`.

    Rows before `ended` are those that have ended by then.
    """
    end = i = ended
    while i < last and s.ended_s[i] <= moment_s + LONGEST_SESSION_S:
        i += 1
        if s.started_s[i - 1] < moment_s:
            end = i
    return int(end)


@inner
def rested_baseline(
    t: Trials, s: Loading, athlete: int, code: int, rest_s: int, clock_s: int, as_of_s: int,
    ended: int, taken: int, rest: Floats, taken_s: Ints,
) -> tuple[float, float, int, float]:  # fmt: skip
    """Return mean, standard error, number and daytime of the rested tests `code`.

    `rest` is filled with the share of them in each bin of `REST_EDGES_H`, `taken_s` with times.
    Sessions before `ended` have ended by the clock start, tests before `taken` were taken before.
    """
    first, rows_n = s.offsets[athlete], s.offsets[athlete + 1] - s.offsets[athlete]
    pending = end = begun(s, ended, first + rows_n, clock_s)
    # The gaps with every session known hold for the tests before the first session that is not.
    sure_s = clock_s
    while pending > first and s.latest_s[pending - 1] > as_of_s:
        pending -= 1
        sure_s = min(sure_s, int(s.started_s[pending]))
    late, start = np.empty(0, np.bool_), t.starts[athlete * t.codes + code]
    total, variance, n, i = 0.0, 0.0, 0, taken - 1
    hours = 0.0
    rest[:], taken_s[:] = 0.0, NO_TEST_S
    while n < KEPT_TESTS and i >= start:
        if t.at_s[i] <= sure_s:
            i = t.link[i]
        if i < start or clock_s - t.at_s[i] > BASELINE_MAX_AGE_S:
            break
        gap_s, since_s = t.gap_s[i], t.since_s[i]
        if t.at_s[i] > sure_s:
            if late.size == 0:
                late = loading_flags(s, first, pending, end, rows_n, as_of_s)
            over = upper_bound(s.ended_s, first, end, t.at_s[i] + LONGEST_SESSION_S)
            since_s = since_loading(s, t.at_s[i], first, over, pending, late)
            gap_s = gap_s if t.declared[i] == 1.0 else since_s
        if gap_s >= rest_s and t.known_s[i] <= as_of_s:
            taken_s[n], hours = t.at_s[i], hours + t.daytime[i]
            total, variance, n = total + t.value[i], variance + t.variance[i], n + 1
            if since_s >= 0:
                # Declared as rested sooner, it holds no more than one that rested by the clock.
                rested_h = max(since_s, rest_s) / 3600.0
                rest[np.searchsorted(REST_EDGES_H, rested_h, side="right")] += 1.0
        i -= 1
    rest /= max(n, 1)
    if n < NEEDED_TESTS:
        return np.nan, np.nan, n, np.nan
    return total / n, np.sqrt(variance) / n, n, hours / n


@kept
def _baselines(
    t: Trials, s: Loading, rest_of: Ints, component: Ints, athlete: Ints, test: Ints, clock_s: Ints,
    as_of_s: Ints,
) -> tuple[Floats, Floats, Ints, Ints, Floats, Floats]:  # fmt: skip
    n, ended, taken = athlete.size, 0, 0
    rest = np.zeros((n, REST_H.size))
    mean, se = np.full(n, np.nan), np.full(n, np.nan)
    tests_n, hours = np.zeros(n, np.int64), np.full(n, np.nan)
    taken_s = np.full((n, KEPT_TESTS), NO_TEST_S)
    for q in range(n):
        if test[q] < 0:
            continue
        a, group = athlete[q], athlete[q] * t.codes + test[q]
        ended = upper_bound_near(s.ended_s, s.offsets[a], s.offsets[a + 1], clock_s[q], ended)
        last = t.starts[group + 1]
        taken = upper_bound_near(t.at_s, t.starts[group], last, clock_s[q] - 1, taken)
        mean[q], se[q], tests_n[q], hours[q] = rested_baseline(
            t, s, a, test[q], rest_of[component[q]], clock_s[q], as_of_s[q], ended, taken,
            rest[q], taken_s[q],
        )  # fmt: skip
    return mean, se, tests_n, taken_s, rest, hours


def test_errors(history: History, specs: Mapping[str, TestSpec]) -> Floats:
    """Return the typical error of each row of ``history.tests``, in % or points by its scale."""
    code, trials = history.tests.columns["test"], history.tests.columns["trials_n"]
    known = np.where(np.isnan(code), -1.0, code).astype(np.int64)
    return typical_errors([specs[name] for name in history.test_names], known, trials)


def rested_baselines(
    history: History, queries: Queries, specs: Mapping[str, TestSpec]
) -> Baselines:
    """Return each query's baseline from the tests known at its `as_of`."""
    return Baselines(
        *_baselines(
            trials_of(history, specs), loading_of(history), REST_OF, queries.component,
            queries.athlete, queries.test, queries.clock_start_s, queries.as_of_s,
        )
    )  # fmt: skip
