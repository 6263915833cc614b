"""The sessions and tests of a history as the impulse model sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.features.model_inputs import model_inputs
from nmr_ml.history.local_time import DAY_S, HOUR_S, local_seconds
from nmr_ml.history.queries import Queries
from nmr_ml.history.rested_baseline import test_errors
from nmr_ml.models.impulse.stream import Sessions, Stream, Tests
from nmr_ml.numeric.arrays import owners
from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Floats, Ints
    from nmr_ml.recovery_tests import TestSpec


#: Tests of one family within this time of the first are one visit (contract §1). Sessions in
#: between and other devices do not part them yet.
VISIT_H = 2.0


def family_of(history: History, specs: Mapping[str, TestSpec], index_test: str) -> tuple[str, ...]:
    """Return the tests on record of the family of `index_test`, which comes first."""
    component, codes = specs[index_test].component, history.tests.columns["test"]
    others = [
        name
        for i, name in enumerate(history.test_names)
        if specs[name].component == component and name != index_test and np.any(codes == i)
    ]
    return (index_test, *others)


def streams_of(
    history: History, specs: Mapping[str, TestSpec], families: Sequence[Sequence[str]]
) -> list[Stream]:
    """Return the stream of each family of tests; they share their sessions.

    Parameters
    ----------
    families : sequence of sequences of str
        The tests of each, the index test first.
    """
    sessions = _sessions(history, specs)
    return [Stream(sessions, _tests(history, specs, family), history.teams) for family in families]


def _sessions(history: History, specs: Mapping[str, TestSpec]) -> Sessions:
    rows = history.sessions
    n, owner = len(rows), owners(rows.offsets)
    every = np.arange(n)
    own_end = Queries(
        episode=every,
        component=np.zeros(n, np.int64),
        athlete=owner,
        session=every,
        test=np.full(n, -1),
        clock_start_s=rows.at_s,
        as_of_s=np.maximum(rows.at_s, rows.known_s),
    )
    return Sessions(
        rows.offsets, rows.at_s / HOUR_S, rows.known_s / HOUR_S, _codes(rows.columns["modality"]),
        _codes(rows.columns["kind"]), model_inputs(history, own_end, specs),
    )  # fmt: skip


def _tests(history: History, specs: Mapping[str, TestSpec], family: Sequence[str]) -> Tests:
    table, columns = history.tests, history.tests.columns
    value = _on_scale(history, specs)
    place = np.full(len(history.test_names) + 1, -1)
    for position, name in enumerate(family):
        place[history.test_names.index(name)] = position
    test = place[_codes(columns["test"])]
    rows = np.flatnonzero((test >= 0) & np.isfinite(value))
    owner = owners(table.offsets)[rows]
    athletes = np.arange(len(history.athlete_ids) + 1)
    offsets = np.searchsorted(owner, athletes).astype(np.int64)
    taken_h = table.at_s[rows] / HOUR_S
    by_day = columns["day_precision"][rows] == 1.0
    clock_s = local_seconds(table.at_s[rows], history.timezone) % DAY_S
    devices = history.test_devices[rows]
    names = sorted({name for name in devices if name is not None})
    device = {name: i for i, name in enumerate(names)}
    return Tests(
        offsets=offsets,
        taken_h=taken_h,
        known_h=table.known_s[rows] / HOUR_S,
        value=value[rows],
        error=test_errors(history, specs)[rows],
        test=test[rows],
        visit=_visits(offsets, taken_h),
        device=np.array([device.get(n, -1) for n in devices], np.int64),
        clock_h=np.where(by_day, np.nan, clock_s / HOUR_S),
        rested=(columns["rested"][rows] == 1.0).astype(np.int64),
        devices=tuple(names),
    )


def _on_scale(history: History, specs: Mapping[str, TestSpec]) -> Floats:
    """Return each test so that higher is better: 100 ln of it where its deficits are in per cent.

    A value in per cent that is not above 0 has no logarithm and is NaN.
    """
    code, value = _codes(history.tests.columns["test"]), history.tests.columns["value"]
    spec = [specs[name] for name in history.test_names]
    sign = np.array([*(1.0 if s.direction == "higher" else -1.0 for s in spec), np.nan])
    in_pct = np.array([*(s.scale == "pct" for s in spec), False])[code]
    logs = 100.0 * np.log(np.where(in_pct & (value > 0), value, np.nan))
    return np.asarray(sign[code] * np.where(in_pct, logs, value))


@kept
def _visits(offsets: Ints, taken_h: Floats) -> Ints:
    """Return the number of each test's visit within the athlete."""
    visit = np.zeros(taken_h.size, np.int64)
    for a in range(offsets.size - 1):
        first = offsets[a]
        for i in range(offsets[a] + 1, offsets[a + 1]):
            apart = taken_h[i] - taken_h[first] > VISIT_H
            visit[i] = visit[i - 1] + (1 if apart else 0)
            first = i if apart else first
    return visit


def _codes(column: Floats) -> Ints:
    return np.nan_to_num(column, nan=-1.0).astype(np.int64)
