"""The pandera schemas of the canonical tables, derived from `nmr_ml.cohort.tables`."""

from __future__ import annotations

import sys
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from nmr_ml.cohort.parsing import STR
from nmr_ml.cohort.row_rules import Finding
from nmr_ml.cohort.tables import TABLES, TRUTH
from nmr_ml.cohort.timestamps import LOCAL_DATE, UTC_TIME
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from nmr_ml.cohort.tables import Column, Kind, Table

#: The dtype of each kind of column in a canonical frame.
DTYPES: dict[Kind, Any] = {
    "id": STR,
    "text": STR,
    "category": STR,
    "number": np.dtype("float64"),
    "bool": pd.BooleanDtype(),
    "time": UTC_TIME,
    "date": LOCAL_DATE,
}
#: No athlete of today was measured before: an earlier year is a typo (0026) or an empty date.
EARLIEST = pd.Timestamp("1900-01-01", tz="UTC")
_REASONS = {
    "not_nullable": Quarantine.MISSING_VALUE,
    "in_range": Quarantine.OUT_OF_RANGE,
    "greater_than_or_equal_to": Quarantine.OUT_OF_RANGE,
    "isin": Quarantine.UNKNOWN_CATEGORY,
}


def schema(table: str) -> pa.DataFrameSchema:
    """Return the schema of a whole canonical table."""
    return _schema(table, _table(table).names)


@cache
def _table(name: str) -> Table:
    return TRUTH if name == TRUTH.name else TABLES[name]


# Bounded: which columns are filled is up to whoever sends a request.
@lru_cache(maxsize=256)
def _schema(table: str, columns: tuple[str, ...]) -> pa.DataFrameSchema:
    return pa.DataFrameSchema({name: _column(_table(table).column(name)) for name in columns})


def _column(column: Column) -> pa.Column:
    checks = []
    if column.kind == "number":
        checks.append(pa.Check.in_range(*_bounds(column)))
    if column.kind == "time":
        checks.append(pa.Check.ge(EARLIEST))
    if column.kind == "date":
        checks.append(pa.Check.ge(EARLIEST.tz_localize(None)))
    if column.categories:
        checks.append(pa.Check.isin(column.categories))
    return pa.Column(DTYPES[column.kind], checks=checks, nullable=not column.required)


def _bounds(column: Column) -> tuple[float, float]:
    largest = sys.float_info.max
    return (
        -largest if column.lower is None else column.lower,
        largest if column.upper is None else column.upper,
    )


def violations(table: Table, frame: pd.DataFrame) -> list[Finding]:
    """Return the rows of `frame` that break the schema of `table`.

    Parameters
    ----------
    frame : DataFrame
        Canonical dtypes, the columns of `table` or some of them, rows indexed 0, 1, 2 ...
    """
    try:
        _schema(table.name, tuple(frame.columns)).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
    else:
        return []
    return [
        _finding(table.column(str(name)), str(check), rows, len(frame))
        for (name, check), rows in cases.groupby(["column", "check"], sort=False)["index"]
    ]


def _finding(column: Column, check: str, rows: pd.Series, n: int) -> Finding:
    reason = _REASONS[check.partition("(")[0]]
    found = np.zeros(n, dtype=np.bool_)
    found[rows.to_numpy(dtype=np.intp)] = True
    return Finding(found, reason, column.name, _expected(column, reason))


def _expected(column: Column, reason: Quarantine) -> str:
    if reason is Quarantine.UNKNOWN_CATEGORY:
        return f"Known: {', '.join(column.categories)}."
    if reason is Quarantine.OUT_OF_RANGE and column.kind == "number":
        low, high = column.lower, column.upper
        if high is None:
            return f"Expected {low:g} or more." if low is not None else ""
        return f"Expected {low:g} to {high:g}."
    return ""
