"""The engine sees nothing of the future, and gives the same bits however it is asked."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.features.catalogue import GROUPS
from nmr_ml.features.contract import feature_contract
from nmr_ml.features.engine import (
    build_features,
    completeness,
    hide_endocrine,
    parts_of,
)
from nmr_ml.history.queries import Queries
from nmr_ml.recovery_tests import shipped_testspecs
from tests.support.feature_cohorts import frame, history_of, random_cohort, random_queries

if TYPE_CHECKING:
    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.history.history import History

SPECS = shipped_testspecs()
NAMES = feature_contract().names


@cache
def example() -> tuple[Cohort, History, Queries, np.ndarray]:
    cohort = random_cohort(8, athletes=3, days=50)
    history = history_of(cohort)
    queries = random_queries(history, 0)
    return cohort, history, queries, build_features(history, queries, SPECS)


@cache
def other() -> Cohort:
    """Return the cohort that the new rows are taken from."""
    return random_cohort(7, athletes=3, days=50)


def asked_of(queries: Queries, before: History, after: History, rows: np.ndarray) -> Queries:
    """Return the queries at `rows`, put to `after` in place of `before`."""
    some = queries.take(rows)
    position = {session: i for i, session in enumerate(after.session_ids)}
    session = [-1 if row < 0 else position[before.session_ids[row]] for row in some.session]
    owner = [after.athlete_ids.index(before.athlete_ids[a]) for a in some.athlete]
    return replace(some, session=np.array(session), athlete=np.array(owner))


def test_example_exercises_every_feature() -> None:
    _, _, _, matrix = example()
    told = dict(zip(NAMES, (~np.isnan(matrix)).sum(axis=0), strict=True))
    assert [name for name, n in told.items() if n == 0] == []
    assert not np.isinf(matrix).any()


def test_matrix_is_in_contract_order_and_contiguous() -> None:
    _, _, queries, matrix = example()
    assert matrix.shape == (len(queries), len(NAMES))
    assert matrix.dtype == np.float64
    assert matrix.flags.c_contiguous


def test_one_row_equals_batch_in_every_bit() -> None:
    _, history, queries, matrix = example()
    rows = np.arange(0, len(queries), 11)
    alone = [
        build_features(history, queries.take(rows[i : i + 1]), SPECS) for i in range(rows.size)
    ]
    assert np.vstack(alone).tobytes() == matrix[rows].tobytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_order_of_queries_changes_no_bit(threads: int) -> None:
    _, history, queries, matrix = example()
    mixed = np.random.default_rng(3).permutation(len(queries))
    again = build_features(history, queries.take(mixed), SPECS, threads=threads)
    assert again.tobytes() == matrix[mixed].tobytes()


@pytest.mark.parametrize("size", [1, 500, 10**9])
def test_parts_hold_every_query_once_with_its_athlete(size: int) -> None:
    _, history, queries, _ = example()
    athlete = np.sort(queries.athlete[queries.athlete != 1])  # nobody asks about the second
    parts = parts_of(history, athlete, size)
    assert [p.first for p in parts] == [0, *(p.last for p in parts[:-1])]
    assert parts[-1].last == athlete.size
    assert all(set(athlete[p.first : p.last]) <= {*range(p.athlete, p.end)} for p in parts)
    assert len(parts) == (1 if size > 500 else 2)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_bit(threads: int) -> None:
    _, history, queries, matrix = example()
    assert build_features(history, queries, SPECS, threads=threads).tobytes() == matrix.tobytes()


def test_partition_by_athlete_changes_no_bit() -> None:
    cohort, history, queries, matrix = example()
    for a, athlete in enumerate(history.athlete_ids):
        own = {name: t[t["athlete_id"] == athlete] for name, t in cohort.tables.items()}
        part = history_of(replace(cohort, tables=own))
        rows = np.flatnonzero(queries.athlete == a)
        rebuilt = build_features(part, asked_of(queries, history, part, rows), SPECS)
        assert rebuilt.tobytes() == matrix[rows].tobytes()


def test_history_older_than_the_horizons_is_not_needed() -> None:
    cohort = random_cohort(21, athletes=1, days=200)
    history = history_of(cohort)
    queries = random_queries(history, 1)
    rows = np.flatnonzero(queries.as_of_s > history.sessions.at_s.max() - 20 * 86_400)
    whole = build_features(history, queries.take(rows), SPECS)
    cut = pd.Timestamp(int(queries.as_of_s[rows].min()) - 112 * 86_400, unit="s", tz="UTC")
    tables = dict(cohort.tables)
    for name, time in (("sessions", "ended_at"), ("sleep", "wake_at"), ("nutrition", "known_at")):
        tables[name] = tables[name][tables[name][time] > cut]
    short = history_of(replace(cohort, tables=tables))
    assert len(short.sessions) < len(history.sessions)
    again = build_features(short, asked_of(queries, history, short, rows), SPECS)
    # Which tests are rested is a matter of the whole record (contract §1), and which laboratory
    # samples of the last 365 days followed exercise one of the sessions of that time.
    longer = np.array([n.startswith(("index_", "baseline_")) for n in NAMES])
    longer |= np.array(feature_contract().groups) == "endocrine"
    assert again[:, ~longer].tobytes() == whole[:, ~longer].tobytes()


EVENT_TIMES = {
    "sessions": ("started_at", "ended_at"), "sleep": ("onset_at", "wake_at"),
    "labs": ("drawn_at", "awake_at"), "tests": ("measured_at",), "nutrition": ("date",),
    "episodes": ("onset_at", "resolved_at"),
}  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(
    table=st.sampled_from(sorted(EVENT_TIMES)),
    pick=st.integers(0, 10_000),
    shift_d=st.floats(-60, 60),
    delay_s=st.integers(1, 200_000),
    cut=st.floats(0, 1),
)
def test_row_known_later_changes_no_vector(
    table: str, pick: int, shift_d: float, delay_s: int, cut: float
) -> None:
    cohort, history, queries, matrix = example()
    as_of_s = int(np.quantile(queries.as_of_s, cut))
    known_at = pd.Timestamp(as_of_s + delay_s, unit="s", tz="UTC")
    new = other()[table]
    new = new.iloc[[pick % len(new)]].assign(known_at=known_at)
    for time in EVENT_TIMES[table]:
        days = round(shift_d) if time == "date" else shift_d
        new[time] = new[time] + pd.Timedelta(seconds=round(days * 86_400))
    for key in ("session_id", "episode_id"):
        if key in new:
            new[key] = "new"
    rows = pd.concat([cohort[table], new.astype(cohort[table].dtypes)], ignore_index=True)
    later = history_of(replace(cohort, tables={**cohort.tables, table: rows}))
    asked = np.flatnonzero(queries.as_of_s <= as_of_s)
    again = build_features(later, asked_of(queries, history, later, asked), SPECS)
    changed = (again != matrix[asked]) & ~(np.isnan(again) & np.isnan(matrix[asked]))
    assert [NAMES[c] for c in np.flatnonzero(changed.any(axis=0))] == []


@pytest.mark.parametrize("table", sorted(EVENT_TIMES))
def test_row_known_in_time_does_change_vectors(table: str) -> None:
    """The property above could be kept by looking at nothing."""
    cohort, history, queries, matrix = example()
    some = cohort[table].iloc[: len(cohort[table]) // 2]
    rows = {**cohort.tables, table: some}
    keep = np.isin(history.session_ids, some["session_id"]) if table == "sessions" else None
    asked = np.arange(len(queries))
    if keep is not None:
        asked = np.flatnonzero((queries.session < 0) | keep[queries.session])
    fewer = history_of(replace(cohort, tables=rows))
    again = build_features(fewer, asked_of(queries, history, fewer, asked), SPECS)
    assert again.tobytes() != matrix[asked].tobytes()


def test_resolution_after_as_of_is_not_seen() -> None:
    cohort, _, queries, matrix = example()
    as_of_s = int(np.median(queries.as_of_s))
    as_of = pd.Timestamp(as_of_s, unit="s", tz="UTC")
    told = cohort["episodes"].copy()
    told.loc[told["resolved_at"] > as_of, "resolved_at"] += pd.Timedelta(days=9)
    later = history_of(replace(cohort, tables={**cohort.tables, "episodes": told}))
    asked = np.flatnonzero(queries.as_of_s <= as_of_s)
    again = build_features(later, queries.take(asked), SPECS)
    assert again.tobytes() == matrix[asked].tobytes()


def test_tests_inside_the_episode_are_not_seen() -> None:
    cohort, _, queries, matrix = example()
    one = np.flatnonzero((queries.session >= 0) & (queries.as_of_s > queries.clock_start_s))[200]
    clock = pd.Timestamp(int(queries.clock_start_s[one]), unit="s", tz="UTC")
    tests = cohort["tests"]
    before = tests[(tests["measured_at"] < clock)]
    fewer = history_of(replace(cohort, tables={**cohort.tables, "tests": before}))
    again = build_features(fewer, queries.take(np.array([one])), SPECS)
    assert len(before) < len(tests)
    assert again.tobytes() == matrix[[one]].tobytes()


def test_completeness_counts_groups_with_data() -> None:
    contract = feature_contract()
    matrix = np.full((3, len(NAMES)), np.nan)
    matrix[:, np.array(contract.always)] = 0.0  # counts alone make nothing complete
    matrix[1, NAMES.index("session_load_au")] = 300
    matrix[2, [contract.groups.index(group) for group in GROUPS]] = 1.0
    assert completeness(matrix, contract).tolist() == [0.0, 1 / 6, 1.0]


def test_hide_endocrine_hides_that_group_of_those_rows() -> None:
    _, _, _, matrix = example()
    mask = np.zeros(len(matrix), np.bool_)
    mask[::2] = True
    hidden = matrix.copy()
    hide_endocrine(hidden, mask, feature_contract())
    endocrine = np.array(feature_contract().groups) == "endocrine"
    assert np.isnan(hidden[np.ix_(mask, endocrine)]).all()
    assert hidden[~mask].tobytes() == matrix[~mask].tobytes()
    assert hidden[:, ~endocrine].tobytes() == matrix[:, ~endocrine].tobytes()
    assert not np.isnan(matrix[:, endocrine]).all()


def test_no_queries_give_no_rows() -> None:
    _, history, queries, _ = example()
    assert build_features(history, queries.take(np.arange(0)), SPECS).shape == (0, len(NAMES))


def test_queries_hold_what_the_engine_reads() -> None:
    assert [field.name for field in fields(Queries)][2:] == [
        "athlete", "session", "test", "clock_start_s", "as_of_s"
    ]  # fmt: skip


def test_frames_of_the_examples_are_canonical() -> None:
    assert str(frame("nutrition", {})["date"].dtype) == "datetime64[us]"
