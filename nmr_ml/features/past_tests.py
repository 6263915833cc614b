"""Kernels of the record: tests before the clock start, earlier injuries, the landmark itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.features.measured import ITEMS
from nmr_ml.features.moments import (
    SAME_EPISODE,
    SAME_MOMENT,
    AskedArrays,
    Moments,
    copy_previous,
    decay_table,
    fill_missing,
    settled,
)
from nmr_ml.history.local_time import DAY_S, HOUR_S
from nmr_ml.history.rested_baseline import (
    KEPT_TESTS,
    REST_H,
    REST_OF,
    Trials,
    begun,
    rested_baseline,
)
from nmr_ml.numeric.compiled import inner
from nmr_ml.numeric.sorted_rows import running_latest, upper_bound, upper_bound_near

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.history.history import History
    from nmr_ml.history.loading_sessions import Loading
    from nmr_ml.numeric.arrays import Bools, Floats, Ints
    from nmr_ml.recovery_tests import TestSpec


INDEX_WIDTH, ITEM_WIDTH, EVENT_WIDTH = 6, 4, 6
TESTS_BACK_S, WEEK_S, ITEM_STALE_S = 28 * DAY_S, 7 * DAY_S, 72 * HOUR_S
ITEM_VALUES = 5
EVENTS_S = 365 * DAY_S
#: Weights of a half-life of 7 days by whole hours, over the 28 days looked back on.
HALVING = decay_table(0.5 ** (1 / 7), 28)
INJURY = 0.0


class Tests(NamedTuple):
    """What the kernels need of the tests beside `Trials`, in the same order.

    `higher` and `in_pct` say for each code whether more is better and whether deficits are in %;
    `items` are the codes of the questionnaire items, -1 for those the cohort has none of.
    """

    by_day: Floats
    day: Ints
    latest_s: Ints
    higher: Bools
    in_pct: Bools
    items: Ints


def tests_of(history: History, trials: Trials, specs: Mapping[str, TestSpec]) -> Tests:
    """Lay the tests out for the kernels."""
    columns, names, order = history.tests.columns, history.test_names, trials.order
    items = [names.index(item) if item in names else -1 for item in ITEMS]
    return Tests(
        columns["day_precision"][order], columns["local_day"][order].astype(np.int64),
        running_latest(trials.starts, trials.known_s),
        np.array([specs[name].direction == "higher" for name in names], np.bool_),
        np.array([specs[name].scale == "pct" for name in names], np.bool_),
        np.array(items, np.int64),
    )  # fmt: skip


@inner
def clock_gap_h(m: Moments, t: Trials, x: Tests, q: int, i: int) -> float:
    """Return the hours from test `i` to the clock start, in whole days for day precision."""
    if x.by_day[i] == 1.0:
        return 24.0 * float(m.clock_day[q] - x.day[i])
    return float(m.clock_s[q] - t.at_s[i]) / HOUR_S


@inner
def index_test_columns(
    m: Moments, a: AskedArrays, first: int, last: int, t: Trials, x: Tests, s: Loading, out: Floats,
    col: int,
) -> None:  # fmt: skip
    """Write the deficits of the component's index test before the clock start."""
    ended, taken, rest = 0, 0, np.empty(REST_H.size)
    times_s = np.empty(KEPT_TESTS, np.int64)
    for q in range(first, last):
        athlete, code, clock, as_of = m.athlete[q], a.test[q], m.clock_s[q], m.as_of_s[q]
        if code < 0:
            fill_missing(out, q, col, INDEX_WIDTH)
            continue
        begin, stop = s.offsets[athlete], s.offsets[athlete + 1]
        ended = upper_bound_near(s.ended_s, begin, stop, clock, ended)
        start, over = t.starts[athlete * t.codes + code], t.starts[athlete * t.codes + code + 1]
        taken = upper_bound_near(t.at_s, start, over, clock - 1, taken)
        if m.alike[q] == SAME_EPISODE and same_test(a, q):
            above_s, end = m.as_of_s[q - 1], begun(s, ended, stop, clock)
            if settled(s.latest_s, begin, end, above_s) and settled(
                x.latest_s, start, taken, above_s
            ):
                copy_previous(out, q, col, INDEX_WIDTH)
                continue
        fill_missing(out, q, col, INDEX_WIDTH)
        mean, se, tests_n, _ = rested_baseline(
            t, s, athlete, code, REST_OF[a.component[q]], clock, as_of, ended, taken, rest, times_s
        )
        scale = 1.0 if x.higher[code] else -1.0
        if x.in_pct[code]:
            scale *= 100.0 / mean if mean > 0 else np.nan
        out[q, col + 4] = tests_n
        out[q, col + 5] = se * abs(scale)
        last_i, week, n = deficits(t.at_s, t.known_s, t.value, start, taken, clock, as_of, mean)
        if last_i >= 0:
            out[q, col] = (mean - t.value[last_i]) * scale
            out[q, col + 2] = clock_gap_h(m, t, x, q, last_i)
        out[q, col + 1] = week * scale
        out[q, col + 3] = n


@inner
def same_test(a: AskedArrays, q: int) -> bool:
    """Return whether query `q` is about the same component and test as the one above."""
    return bool(a.test[q] == a.test[q - 1] and a.component[q] == a.component[q - 1])


@inner
def deficits(
    at_s: Ints, known_s: Ints, value: Floats, start: int, end: int, clock_s: int, as_of_s: int,
    mean: float,
) -> tuple[int, float, int]:  # fmt: skip
    """Return the last of the tests (-1: none), the mean fall of a week and the number of tests."""
    week, week_n, n, last, i = 0.0, 0, 0, -1, end - 1
    while i >= start and clock_s - at_s[i] < TESTS_BACK_S:
        if max(at_s[i], known_s[i]) <= as_of_s:
            last = i if n == 0 else last
            n += 1
            if clock_s - at_s[i] < WEEK_S:
                week, week_n = week + (mean - value[i]), week_n + 1
        i -= 1
    return last, week / week_n if week_n > 0 else np.nan, n


@inner
def questionnaires(
    m: Moments, first: int, last: int, t: Trials, x: Tests, halving: Floats, out: Floats, col: int
) -> None:
    """Write each item's last value before the clock start against the 28 days before it."""
    width = ITEM_WIDTH * x.items.size
    ends = np.zeros(x.items.size, np.int64)
    for q in range(first, last):
        if m.alike[q] == SAME_MOMENT:
            copy_previous(out, q, col, width)
            continue
        for k in range(x.items.size):
            at = col + ITEM_WIDTH * k
            if x.items[k] < 0:
                fill_missing(out, q, at, ITEM_WIDTH)
                continue
            group = m.athlete[q] * t.codes + x.items[k]
            start, stop = t.starts[group], t.starts[group + 1]
            moment = min(m.clock_s[q] - 1, m.as_of_s[q])
            ends[k] = upper_bound_near(t.at_s, start, stop, moment, ends[k])
            same = m.alike[q] == SAME_EPISODE
            if same and settled(x.latest_s, start, ends[k], m.as_of_s[q - 1]):
                copy_previous(out, q, at, ITEM_WIDTH)
                continue
            fill_missing(out, q, at, ITEM_WIDTH)
            write_item(m, t, x, halving, q, start, ends[k], out, at)


@inner
def write_item(
    m: Moments, t: Trials, x: Tests, halving: Floats, q: int, first: int, end: int, out: Floats,
    col: int,
) -> None:  # fmt: skip
    """Write deviation from the mean, from the weighted mean, change and age of one item."""
    last, n = -1, 0
    total, weighted, weights = 0.0, 0.0, 0.0
    for i in range(end - 1, first - 1, -1):
        if t.known_s[i] > m.as_of_s[q]:
            continue
        if last < 0:
            if m.clock_s[q] - t.at_s[i] >= ITEM_STALE_S:
                return
            last = i
            out[q, col + 3] = clock_gap_h(m, t, x, q, i)
            continue
        age = t.at_s[last] - t.at_s[i]
        if age >= TESTS_BACK_S:
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


@inner
def earlier_events(m: Moments, first: int, last: int, e: Events, out: Floats, col: int) -> None:
    """Write the injuries and systemic episodes before the clock start, landmark and weekday."""
    for q in range(first, last):
        if m.alike[q] == SAME_MOMENT:
            copy_previous(out, q, col, EVENT_WIDTH)
            continue
        as_of, clock = m.as_of_s[q], m.clock_s[q]
        begin = e.offsets[m.athlete[q]]
        end = upper_bound(e.at_s, begin, e.offsets[m.athlete[q] + 1], min(clock - 1, as_of))
        injuries, systemic, still_open, resolved = 0, 0, 0, -np.inf
        for i in range(end - 1, begin - 1, -1):
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
