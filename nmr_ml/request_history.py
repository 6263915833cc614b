"""From the canonical rows of a request to a history, without a frame in between.

A frame costs about a tenth of a millisecond for each column; a request of one athlete has more
columns than rows.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.columns import READ_TABLES, codes_of, read_columns
from nmr_ml.history import History, history_of_columns
from nmr_ml.instants import seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from nmr_ml.columns import Columns
    from nmr_ml.tables import Column

    Row = Mapping[str, object]
    Cells = list[object]
    Array = NDArray[np.float64] | NDArray[np.object_]


def history_of_rows(
    tables: Mapping[str, Sequence[Row]], timezone: str, test_names: Sequence[str]
) -> History:
    """Return the history that `nmr_ml.history.build_history` gives for the same rows.

    Parameters
    ----------
    tables : mapping of str to sequence of rows
        Tables that are left out are empty; ``athletes`` is needed. A row maps columns of its table
        to what JSON has for them: numbers, bools, texts, moments and dates as ISO-8601, moments
        with an offset; None or absence where missing, other keys are not looked at. Rows are
        canonical: `known_at` and the event time are filled in, values are in canonical units and
        have been checked.
    timezone : str
        IANA name; empty means UTC.
    test_names : sequence of str
        Fixes the codes of the tests.

    Raises
    ------
    ValueError
        Where a moment or a date is none, or a moment has no offset.
    """
    names = tuple(test_names)
    columns = {table: columns_of_rows(table, tables.get(table, ()), names) for table in READ_TABLES}
    return history_of_columns(columns, timezone, names)


def columns_of_rows(table: str, rows: Sequence[Row], test_names: tuple[str, ...]) -> Columns:
    """Return the rows of one table as `nmr_ml.columns.Columns`."""
    named = set().union(*rows)
    missing = np.full(len(rows), np.nan)
    return {
        name: read([row.get(name) for row in rows]) if name in named else missing
        for name, read in _readers(table, test_names)
    }


@cache
def _readers(
    table: str, test_names: tuple[str, ...]
) -> tuple[tuple[str, Callable[[Cells], Array]], ...]:
    return tuple((c.name, _reader(c, test_names)) for c in read_columns(table))


def _reader(column: Column, test_names: tuple[str, ...]) -> Callable[[Cells], Array]:
    match column.kind:
        case "id" | "text":
            return _texts
        case "time":
            return seconds_of  # type: ignore[return-value]
        case "date":
            return _days
        case "category":
            codes: dict[object, float] = {
                name: float(i) for i, name in enumerate(codes_of(column, test_names))
            }
            return lambda cells: np.array([codes.get(cell, np.nan) for cell in cells])
        case _:
            return _numbers


def _numbers(cells: Cells) -> Array:
    return np.array(cells, np.float64)  # None becomes NaN, True becomes 1


def _texts(cells: Cells) -> Array:
    texts = np.empty(len(cells), object)
    texts[:] = cells
    return texts


def _days(cells: Cells) -> Array:
    return np.array(cells, "datetime64[D]").astype(np.float64)
