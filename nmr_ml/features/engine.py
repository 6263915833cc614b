"""The feature engine: one function for one row of a request and for millions of training."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from nmr_ml.cohort import Cohort
from nmr_ml.features import before, endocrine, labs, load, nutrition, record, sleep
from nmr_ml.features.asof import Moments, moments
from nmr_ml.features.catalogue import GROUPS, blocks
from nmr_ml.features.contract import FeatureContract, feature_contract
from nmr_ml.history import History, build_history
from nmr_ml.queries import Queries
from nmr_ml.tables import SEXES, TABLES
from nmr_ml.testspec import TestSpec, shipped_testspecs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


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
    tables = _tables(history, specs)
    if threads == 1:
        _fill(history, tables, queries, specs, out)
        return out
    cuts = np.linspace(0, len(queries), threads + 1).astype(np.int64)

    def fill(a: int, b: int) -> None:
        _fill(history, tables, queries.take(np.arange(a, b)), specs, out[a:b])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, cuts[:-1], cuts[1:]))
    return out


class _Tables(NamedTuple):
    """The tables of a history as the kernels read them."""

    sessions: load.Sessions
    pulse: load.Pulse
    nights: sleep.Nights
    labs: labs.Labs
    food: nutrition.Food
    tests: record.Tests
    events: record.Events


def _tables(history: History, specs: Mapping[str, TestSpec]) -> _Tables:
    return _Tables(
        load.sessions_of(history), load.pulse_of(history), sleep.nights_of(history),
        labs.labs_of(history), nutrition.food_of(history), record.tests_of(history, specs),
        record.events_of(history),
    )  # fmt: skip


def _fill(
    history: History, t: _Tables, queries: Queries, specs: Mapping[str, TestSpec], out: Floats
) -> None:
    """Run every kernel on its columns of `out`."""
    m, first = moments(history, queries), _first_columns()
    load.own_session(m, t.sessions, t.pulse, out, first["own_session"])
    load.windows(m, t.sessions, load.RING_ENDS_S, out, first["windows"])
    load.load_state(m, t.sessions, load.WEIGHTS, out, first["load_state"])
    before.before_session(m, t.sessions, out, first["before_session"])
    sleep.sleep(m, t.nights, sleep.FLOORS, out, first["sleep"])
    pill = history.person["hormonal_contraception"]
    endocrine.endocrine(m, t.labs, pill, out, first["endocrine"])
    nutrition.nutrition(m, t.food, t.sessions, out, first["nutrition"])
    _person(history, m, out, first["person"])
    col = first["record"]
    record.index_tests(m, t.tests, record.index_of(history, queries, specs), out, col)
    col += record.INDEX_WIDTH
    record.questionnaires(m, t.tests, record.HALVING, out, col)
    col += record.ITEM_WIDTH * t.tests.items.size
    record.earlier_events(m, t.events, out, col)


@cache
def _first_columns() -> dict[str, int]:
    sizes = [len(features) for features in blocks().values()]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return dict(zip(blocks(), map(int, starts), strict=True))


def _person(history: History, m: Moments, out: Floats, col: int) -> None:
    person = history.person
    sex = np.where(person["sex"] == SEXES.index("unknown"), np.nan, person["sex"])
    share = person["fat_free_mass_kg"] / person["body_mass_kg"]
    year = m.as_of_day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    columns = (
        sex[m.athlete],
        year - person["birth_year"][m.athlete],
        person["training_tier"][m.athlete],
        person["body_mass_kg"][m.athlete],
        np.where(share <= 1, share, np.nan)[m.athlete],
        person["stature_cm"][m.athlete],
        person["hormonal_contraception"][m.athlete],
    )
    for c, column in enumerate(columns):
        out[:, col + c] = column


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


def hide_endocrine(
    matrix: Floats, rows_mask: NDArray[np.bool_], contract: FeatureContract
) -> Floats:
    """Return a copy with the endocrine group missing in the rows of `rows_mask` (minors)."""
    hidden = matrix.copy()
    hidden[np.ix_(rows_mask, np.array(contract.groups) == "endocrine")] = np.nan
    return hidden


def warm_up() -> None:
    """Compile the kernels, or load them from the cache, by building the features of one query."""
    cohort = _smallest_cohort()
    specs = shipped_testspecs()
    zero, none, moment = np.zeros(1, np.int64), np.full(1, -1), np.full(1, 86_400)
    queries = Queries(zero, zero, zero, none, zero, moment, moment)
    build_features(build_history(cohort, tuple(specs)), queries, specs)


def _smallest_cohort() -> Cohort:
    """Return one athlete with nothing on record."""
    frames = {name: _empty(name) for name in TABLES}
    frames["athletes"] = pd.DataFrame({"athlete_id": ["a"], "sex": ["unknown"]}).reindex(
        columns=list(TABLES["athletes"].names)
    )
    frames["athletes"] = frames["athletes"].astype(_dtypes("athletes"))
    return Cohort("warm-up", "UTC", frames)


_DTYPES = {"time": "datetime64[us, UTC]", "date": "datetime64[us]", "number": "float64",
           "bool": "boolean"}  # fmt: skip


def _dtypes(table: str) -> dict[str, str]:
    return {column.name: _DTYPES.get(column.kind, "str") for column in TABLES[table].columns}


def _empty(table: str) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in _dtypes(table).items()})
