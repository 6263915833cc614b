"""The feature engine: one function for one row of a request and for millions of training."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.features import earlier_sessions as before
from nmr_ml.features import endocrine, labs, load, nutrition, person, sleep
from nmr_ml.features import past_tests as record
from nmr_ml.features.catalogue import GROUPS, blocks
from nmr_ml.features.contract import FeatureContract, feature_contract
from nmr_ml.features.measured import ITEMS
from nmr_ml.features.moments import AskedArrays, Clock, asked, clock_of, moments
from nmr_ml.history.history import part_of
from nmr_ml.history.loading_sessions import Loading, loading_of
from nmr_ml.history.rested_baseline import Trials, trials_of
from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.numeric.arrays import Bools, Floats, Ints
    from nmr_ml.recovery_tests import TestSpec


#: Queries and rows on record that are worked on at a time (`parts_of`), queries that go through the
#: kernel at a time, and those whose rows of features stay in the cache of a core.
PART, CHUNK, BLOCK = 32_768, 8192, 64
#: Queries of a thread below which starting it costs more than it brings.
LEAST_SHARED = 256


def build_features(
    history: History, queries: Queries, specs: Mapping[str, TestSpec], *, threads: int = 1
) -> Floats:
    """Return the features of each query as they were known at its `as_of`.

    A row of a table counts only if its event time and its `known_at` are not after `as_of`. The
    row of a query depends on nothing but its athlete's rows of that time, so one-row, batch and
    partitioned builds agree in every bit, whatever the number of threads.

    Parameters
    ----------
    history : History
    queries : Queries
        Those of one athlete and moment beside one another are computed once.
    specs : mapping of str to TestSpec
        For every name in ``history.test_names``.
    threads : int
        Threads to share the queries among; the kernels release the interpreter's lock.

    Returns
    -------
    float64 array, shape (n_queries, n_features)
        C-contiguous, in the order of `feature_contract`; NaN is missing.
    """
    out = np.empty((len(queries), len(feature_contract().names)), np.float64)
    constants, columns = _constants(), _first_columns()
    clock, athlete, order = clock_of(history.timezone), queries.athlete, None
    if (np.diff(athlete) < 0).any():
        order = np.argsort(athlete, kind="stable")
        athlete = athlete[order]

    def fill(part: Part) -> None:
        tables = tables_of(part_of(history, part.athlete, part.end), specs)
        session = int(history.sessions.offsets[part.athlete])
        for first in range(part.first, part.last, CHUNK):
            chunk = slice(first, min(first + CHUNK, part.last))
            rows = chunk if order is None else order[chunk]
            target = out[rows]  # a copy unless it is a slice
            _fill(asked(queries, rows, part.athlete, session), clock, tables, constants, columns,
                  target)  # fmt: skip
            if order is not None:
                out[rows] = target

    if threads == 1 or len(queries) < 2 * LEAST_SHARED:
        for part in parts_of(history, athlete, PART):
            fill(part)
        return out
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, parts_of(history, athlete, min(PART, len(queries) // threads))))
    return out


class Part(NamedTuple):
    """The athletes ``athlete:end``, and the queries about them: ``first:last``."""

    athlete: int
    end: int
    first: int
    last: int


def parts_of(history: History, athlete: Ints, size: int) -> list[Part]:
    """Divide the athletes into parts of about `size` queries and rows on record together.

    What the kernels need of a history takes more memory than the history: it is laid out for one
    part at a time, and then is in the cache of a core when it is read.

    Parameters
    ----------
    athlete : int64 array
        Of each query, sorted.
    size : int
        A part has at least one athlete however many rows there are; athletes nobody asks about may
        be left out.
    """
    athletes = len(history.athlete_ids)
    if athletes == 1:  # a request: what follows takes longer than one row of features
        return [Part(0, 1, 0, athlete.size)]
    until = np.searchsorted(athlete, np.arange(athletes), side="right")
    tables = (history.sessions, history.sleep, history.labs, history.tests, history.nutrition)
    share = (until + sum(rows.offsets[1:] for rows in tables)) // max(size, 1)
    ends = np.append(np.flatnonzero(np.diff(share)) + 1, athletes)
    last = until[ends - 1]
    bounds = (np.append(0, ends[:-1]), ends, np.append(0, last[:-1]), last)
    parts = (Part(*row) for row in np.column_stack(bounds).tolist())
    return [part for part in parts if part.first < part.last]


class Tables(NamedTuple):
    """The tables of a history as the kernels read them."""

    sessions: load.Sessions
    loading: Loading
    pulse: load.Pulse
    nights: sleep.Nights
    pairs: sleep.Pairs
    labs: labs.Labs
    food: nutrition.Food
    people: person.People
    trials: Trials
    tests: record.Tests
    events: record.Events


def tables_of(history: History, specs: Mapping[str, TestSpec]) -> Tables:
    """Lay the tables of `history` out for the kernels."""
    loading, trials = loading_of(history), trials_of(history, specs)
    return Tables(
        load.sessions_of(history), loading, load.pulse_of(history), sleep.nights_of(history),
        sleep.pairs_of(history), labs.labs_of(history), nutrition.food_of(history),
        person.people_of(history), trials, record.tests_of(history, trials, specs),
        record.events_of(history),
    )  # fmt: skip


class Constants(NamedTuple):
    """Tables that are the same for every history."""

    weights: Floats
    ring_ends_s: Ints
    floors: Floats
    halving: Floats


class Columns(NamedTuple):
    """The first column of each kernel."""

    own_session: int
    loads: int
    before_session: int
    sleep: int
    endocrine: int
    nutrition: int
    person: int
    index_tests: int
    questionnaires: int
    events: int


@kept
def _fill(a: AskedArrays, clock: Clock, t: Tables, k: Constants, col: Columns, out: Floats) -> None:
    """Run all kernels; one compiled function, so that a call of Python is paid once."""
    m = moments(a, clock)
    for i in range(0, a.athlete.size, BLOCK):  # so that a row is written while it is at hand
        j = min(i + BLOCK, a.athlete.size)
        load.own_session(m, i, j, t.sessions, t.pulse, out, col.own_session)
        load.loads(m, i, j, t.sessions, k.weights, k.ring_ends_s, out, col.loads)
        before.before_session(m, i, j, t.sessions, t.loading, out, col.before_session)
        sleep.sleep(m, i, j, t.nights, t.pairs, k.floors, out, col.sleep)
        endocrine.endocrine(m, i, j, t.labs, t.people.pill, out, col.endocrine)
        nutrition.nutrition(m, i, j, t.food, t.sessions, out, col.nutrition)
        person.person(m, i, j, t.people, out, col.person)
        record.index_test_columns(m, a, i, j, t.trials, t.tests, t.loading, out, col.index_tests)
        record.questionnaires(m, i, j, t.trials, t.tests, k.halving, out, col.questionnaires)
        record.earlier_events(m, i, j, t.events, out, col.events)


def _constants() -> Constants:
    return Constants(load.WEIGHTS, load.RING_ENDS_S, sleep.FLOORS, record.HALVING)


@cache
def _first_columns() -> Columns:
    sizes = [len(features) for features in blocks().values()]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    first = dict(zip(blocks(), map(int, starts), strict=True))
    items = first["record"] + record.INDEX_WIDTH
    return Columns(
        first["own_session"], first["windows"], first["before_session"], first["sleep"],
        first["endocrine"], first["nutrition"], first["person"], first["record"], items,
        items + record.ITEM_WIDTH * len(ITEMS),
    )  # fmt: skip


def completeness(matrix: Floats, contract: FeatureContract) -> Floats:
    """Return for each row the share of feature groups with at least one value.

    Values that are there whatever is known, such as counts, do not make a group complete. A value
    older than its maximum age is missing from the matrix and so does not count either.

    Returns
    -------
    float64 array, shape (n_rows,), from 0 to 1
    """
    groups, always = np.array(contract.groups), np.array(contract.always)
    told = [~np.isnan(matrix[:, (groups == group) & ~always]).all(axis=1) for group in GROUPS]
    return np.asarray(np.mean(told, axis=0), np.float64)


def hide_endocrine(matrix: Floats, rows_mask: Bools, contract: FeatureContract) -> None:
    """Make the endocrine group missing in the rows of `rows_mask` (minors), in place."""
    if rows_mask.any():
        matrix[np.ix_(rows_mask, np.array(contract.groups) == "endocrine")] = np.nan
