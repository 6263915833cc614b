"""The rows of a table as plain arrays: what a history is built from, whatever they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmr_ml.cohort.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.cohort.tables import Column
    from nmr_ml.numeric.arrays import Floats, Objects

    #: One array per column of a table, all of shape (n_rows,), by kind: numbers as float64; times
    #: as float64, whole seconds since 1970 UTC; dates as float64, days since 1970; bools as 0 and
    #: 1; categories as positions in their tuple of `nmr_ml.cohort.tables` (``test``: in the test
    #: names); all of them NaN where missing. Ids and texts are object arrays, None where missing.
    Columns = Mapping[str, Floats | Objects]

#: The tables that a history is built from.
READ_TABLES = (
    "athletes", "sessions", "sleep", "sleep_epochs", "labs", "tests", "nutrition", "episodes"
)  # fmt: skip
#: Columns that no number is computed from.
_UNREAD = frozenset({"sport", "unit", "assay"})
#: Texts that are told apart, by table.
_TOLD_APART = {
    "athletes": {"team"}, "sleep": {"device"}, "tests": {"device", "method"},
    "episodes": {"grade", "body_region", "diagnosis"},
}  # fmt: skip


def read_columns(table: str) -> tuple[Column, ...]:
    """Return the columns of `table` that a history is built from."""
    told_apart = _TOLD_APART.get(table, set())
    return tuple(
        c
        for c in TABLES[table].columns
        if c.name not in _UNREAD and (c.kind != "text" or c.name in told_apart)
    )


def codes_of(column: Column, test_names: Sequence[str]) -> Sequence[str]:
    """Return what the codes of a category stand for."""
    return test_names if column.name == "test" else column.categories


def recoded(
    tables: Mapping[str, Columns], known: tuple[str, ...], test_names: tuple[str, ...]
) -> Mapping[str, Columns]:
    """Return `tables`, whose tests are coded by `known`, with them coded by `test_names`."""
    if known == test_names:
        return tables
    code = {name: float(i) for i, name in enumerate(test_names)}
    of = np.array([*(code.get(name, np.nan) for name in known), np.nan])
    old = np.nan_to_num(np.asarray(tables["tests"]["test"], np.float64), nan=len(known)).astype(
        np.int64
    )
    return {**tables, "tests": {**tables["tests"], "test": of[old.astype(np.int64)]}}


def cohort_columns(cohort: Cohort, test_names: Sequence[str]) -> dict[str, Columns]:
    """Return the tables of `cohort` as arrays."""
    return {
        table: {c.name: _array(cohort[table], c, test_names) for c in read_columns(table)}
        for table in READ_TABLES
    }


def _array(frame: pd.DataFrame, column: Column, test_names: Sequence[str]) -> Floats | Objects:
    cells = frame[column.name]
    match column.kind:
        case "id" | "text":
            return np.array(cells.astype(object).where(cells.notna(), None), object)
        case "time":
            return seconds(cells)
        case "date":
            return cells.to_numpy("datetime64[D]").astype(np.float64)
        case "category":
            names = pd.Index(np.array(codes_of(column, test_names), object))
            codes: Floats = names.get_indexer(pd.Index(cells.astype(object))).astype(np.float64)
            codes[codes < 0] = np.nan
            return codes
        case _:
            # pandas lends its memory read-only, which is another type to the kernels.
            numbers = cells.to_numpy(np.float64, na_value=np.nan)
            return np.require(numbers, requirements=["C", "W"])


def seconds(times: pd.Series[pd.Timestamp]) -> Floats:
    """Return whole seconds since 1970 UTC, NaN for a missing time."""
    ticks = times.dt.as_unit("s").to_numpy("datetime64[s]")
    return np.where(np.isnat(ticks), np.nan, ticks.astype(np.int64).astype(np.float64))
