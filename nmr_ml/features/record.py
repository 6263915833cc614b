"""Kernels of the record: tests before the clock start, earlier injuries, the landmark itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from nmr_ml.baseline import rested_baselines
from nmr_ml.features.asof import (
    DAY_S,
    HOUR_S,
    Moments,
    copy_previous,
    decay_table,
    fill_missing,
    grouped,
)
from nmr_ml.features.families import ITEMS
from nmr_ml.history import upper_bound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nmr_ml.history import History
    from nmr_ml.queries import Queries
    from nmr_ml.testspec import TestSpec

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

INDEX_WIDTH, ITEM_WIDTH, EVENT_WIDTH = 6, 4, 6
LOOK_BACK_S, WEEK_S, ITEM_STALE_S = 28 * DAY_S, 7 * DAY_S, 72 * HOUR_S
ITEM_VALUES = 5
EVENTS_S = 365 * DAY_S
#: Weights of a half-life of 7 days by whole hours, over the 28 days looked back on.
HALVING = decay_table(0.5 ** (1 / 7), 28)
INJURY = 0.0


class Tests(NamedTuple):
    """Test results by athlete, code and time; ``starts`` as in `asof.grouped`.

    `higher` and `in_pct` say for each code whether more is better and whether deficits are in %.
    """

    starts: Ints
    codes: int
    at_s: Ints
    known_s: Ints
    value: Floats
    by_day: Floats
    day: Ints
    higher: NDArray[np.bool_]
    in_pct: NDArray[np.bool_]
    items: Ints


def tests_of(history: History, specs: Mapping[str, TestSpec]) -> Tests:
    """Lay the tests out for the kernels."""
    rows, columns, names = history.tests, history.tests.columns, history.test_names
    code = np.nan_to_num(columns["test"], nan=-1.0).astype(np.int64)
    order, starts = grouped(rows.offsets, code, max(len(names), 1))
    items = [names.index(item) if item in names else -1 for item in ITEMS]
    return Tests(
        starts, max(len(names), 1), rows.at_s[order], rows.known_s[order], columns["value"][order],
        columns["day_precision"][order], columns["local_day"][order].astype(np.int64),
        np.array([specs[name].direction == "higher" for name in names], np.bool_),
        np.array([specs[name].scale == "pct" for name in names], np.bool_),
        np.array(items, np.int64),
    )  # fmt: skip


class Index(NamedTuple):
    """Each query's index test and its rested baseline."""

    test: Ints
    mean: Floats
    se: Floats
    tests_n: Ints


def index_of(history: History, queries: Queries, specs: Mapping[str, TestSpec]) -> Index:
    """Find the rested baseline of each query."""
    found = rested_baselines(history, queries, specs)
    return Index(np.ascontiguousarray(queries.test), found.mean, found.se, found.tests_n)


@njit(cache=True, nogil=True)
def clock_gap_h(m: Moments, t: Tests, q: int, i: int) -> float:
    """Return the hours from test `i` to the clock start, in whole days for day precision."""
    if t.by_day[i] == 1.0:
        return 24.0 * float(m.clock_day[q] - t.day[i])
    return float(m.clock_s[q] - t.at_s[i]) / HOUR_S


@njit(cache=True, nogil=True)
def before_clock(m: Moments, t: Tests, q: int, code: int) -> tuple[int, int]:
    """Return the rows of test `code` before the clock start, known or not, as ``first, end``."""
    group = m.athlete[q] * t.codes + code
    first = t.starts[group]
    moment = min(m.clock_s[q] - 1, m.as_of_s[q])
    return first, upper_bound(t.at_s, first, t.starts[group + 1], moment)


@njit(cache=True, nogil=True)
def index_tests(m: Moments, t: Tests, index: Index, out: Floats, col: int) -> None:
    """Write the deficits of the component's index test before the clock start."""
    for q in range(m.athlete.size):
        fill_missing(out, q, col, INDEX_WIDTH)
        code = index.test[q]
        if code < 0:
            continue
        first, end = before_clock(m, t, q, code)
        sign = 1.0 if t.higher[code] else -1.0
        scale = 1.0
        if t.in_pct[code]:
            scale = 100.0 / index.mean[q] if index.mean[q] > 0 else np.nan
        week, week_n, n = 0.0, 0, 0
        for i in range(end - 1, first - 1, -1):
            before = m.clock_s[q] - t.at_s[i]
            if before >= LOOK_BACK_S:
                break
            if t.known_s[i] > m.as_of_s[q]:
                continue
            deficit = sign * (index.mean[q] - t.value[i]) * scale
            if n == 0:
                out[q, col] = deficit
                out[q, col + 2] = clock_gap_h(m, t, q, i)
            n += 1
            if before < WEEK_S:
                week, week_n = week + deficit, week_n + 1
        if week_n > 0:
            out[q, col + 1] = week / week_n
        out[q, col + 3] = n
        out[q, col + 4] = index.tests_n[q]
        out[q, col + 5] = index.se[q] * scale


@njit(cache=True, nogil=True)
def questionnaires(m: Moments, t: Tests, halving: Floats, out: Floats, col: int) -> None:
    """Write each item's last value before the clock start against the 28 days before it."""
    width = ITEM_WIDTH * t.items.size
    for q in range(m.athlete.size):
        if m.repeats[q]:
            copy_previous(out, q, col, width)
            continue
        fill_missing(out, q, col, width)
        for k in range(t.items.size):
            if t.items[k] >= 0:
                write_item(m, t, halving, q, t.items[k], out, col + ITEM_WIDTH * k)


@njit(cache=True, nogil=True)
def write_item(
    m: Moments, t: Tests, halving: Floats, q: int, code: int, out: Floats, col: int
) -> None:
    """Write deviation from the mean, from the weighted mean, change and age of one item."""
    first, end = before_clock(m, t, q, code)
    last, n = -1, 0
    total, weighted, weights = 0.0, 0.0, 0.0
    for i in range(end - 1, first - 1, -1):
        if t.known_s[i] > m.as_of_s[q]:
            continue
        if last < 0:
            if m.clock_s[q] - t.at_s[i] >= ITEM_STALE_S:
                return
            last = i
            out[q, col + 3] = clock_gap_h(m, t, q, i)
            continue
        age = t.at_s[last] - t.at_s[i]
        if age >= LOOK_BACK_S:
            break
        if n == 0 and age < ITEM_STALE_S:
            out[q, col + 2] = t.value[last] - t.value[i]
        n += 1
        # Differences from the last value, so that a constant answer deviates by exactly 0.
        difference = t.value[last] - t.value[i]
        weight = halving[age // HOUR_S]
        total += difference
        weighted += weight * difference
        weights += weight
    if n >= ITEM_VALUES:
        out[q, col] = total / n
        out[q, col + 1] = weighted / weights


class Events(NamedTuple):
    """Injuries and systemic episodes as the kernel sees them."""

    offsets: Ints
    at_s: Ints
    known_s: Ints
    resolved_s: Floats
    kind: Floats


def events_of(history: History) -> Events:
    """Lay the events out for the kernel."""
    rows = history.events
    return Events(
        rows.offsets, rows.at_s, rows.known_s, rows.columns["resolved_at"], rows.columns["kind"]
    )


@njit(cache=True, nogil=True)
def earlier_events(m: Moments, e: Events, out: Floats, col: int) -> None:
    """Write the injuries and systemic episodes before the clock start, landmark and weekday."""
    for q in range(m.athlete.size):
        if m.repeats[q]:
            copy_previous(out, q, col, EVENT_WIDTH)
            continue
        as_of, clock = m.as_of_s[q], m.clock_s[q]
        first = e.offsets[m.athlete[q]]
        end = upper_bound(e.at_s, first, e.offsets[m.athlete[q] + 1], min(clock - 1, as_of))
        injuries, systemic, still_open, resolved = 0, 0, 0, -np.inf
        for i in range(end - 1, first - 1, -1):
            if e.known_s[i] > as_of:
                continue
            # NaN (not resolved, or not said) and later than as_of both read as still open.
            over = e.resolved_s[i] <= as_of
            if over:
                resolved = max(resolved, e.resolved_s[i])
            if clock - e.at_s[i] < EVENTS_S:
                injuries += 1 if e.kind[i] == INJURY else 0
                systemic += 1 if e.kind[i] != INJURY else 0
                still_open += 0 if over else 1
        out[q, col], out[q, col + 1], out[q, col + 2] = injuries, systemic, still_open
        since = as_of - resolved
        out[q, col + 3] = since / DAY_S if since < EVENTS_S else np.nan
        out[q, col + 4] = (as_of - clock) / HOUR_S
        out[q, col + 5] = (m.clock_day[q] + 3) % 7  # day 0, 1970-01-01, was a Thursday
