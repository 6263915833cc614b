"""The rows of a request as columns, without a frame in between.

A frame costs about a tenth of a millisecond for each column, and a call of numpy more than the few
cells that a column has. So the numbers of all tables are read in one call, and so are the moments;
a column is a part of what comes back.
"""

from __future__ import annotations

from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nmr_ml.history.columns import READ_TABLES, codes_of, read_columns
from nmr_ml.history.local_time import DAY_S
from nmr_ml.numeric.compiled import kept
from serving.requests.moments import SECOND_US, microseconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.cohort.tables import Column
    from nmr_ml.numeric.arrays import Floats, Objects

    Array = Floats | Objects
    Row = Mapping[str, object]

_LARGEST = float(np.finfo(np.float64).max)
_MIDNIGHT = "T00:00:00Z"


class _Reader(NamedTuple):
    """How a column is read; `codes` are those of a category, None for other kinds."""

    name: str
    kind: str
    codes: Mapping[object, float | None] | None
    lower: float
    upper: float

    @property
    def is_text(self) -> bool:
        """Whether the column becomes an array of objects."""
        return self.kind in {"id", "text"}


class _Gathered(NamedTuple):
    """The cells of all columns of one kind, and where each column begins."""

    cells: list[object]
    columns: list[tuple[str, _Reader, int]]


class RequestColumns(NamedTuple):
    """Columns as `Columns` has them, by table, and those of times also in microseconds."""

    columns: dict[str, dict[str, Any]]
    exact_us: dict[str, dict[str, Any]]


def request_columns(
    tables: Mapping[str, Sequence[Row]], test_names: tuple[str, ...]
) -> RequestColumns:
    """Return the columns that a history is built from, for every table of `READ_TABLES`.

    Parameters
    ----------
    tables : mapping of str to sequence of rows
        A row maps columns of its table to what JSON has for them; None or absence where missing,
        other keys are not looked at.
    test_names : tuple of str
        Fixes the codes of the tests.

    Raises
    ------
    ValueError, LookupError
        Where a number lies outside the range of its column, a category is not known, or a time or
        date is not of its usual form.
    """
    numbers, times = _Gathered([], []), _Gathered([], [])
    columns = {
        table: _gather(table, tables.get(table, ()), test_names, numbers, times)
        for table in READ_TABLES
    }
    read = np.array(numbers.cells, np.float64)  # None becomes NaN, True becomes 1
    limits = [(start, reader.lower, reader.upper) for _, reader, start in numbers.columns]
    if limits and not _within(read, np.array(limits)):
        raise ValueError("a number is out of range")
    exact = microseconds_of(times.cells)  # type: ignore[arg-type]
    _spread(numbers, read, columns)
    _spread(times, np.floor(exact / SECOND_US), columns)
    exact_us: dict[str, dict[str, Any]] = {table: {} for table in READ_TABLES}
    _spread(times, exact, exact_us)
    for table, reader, _ in times.columns:
        if reader.kind == "date":
            columns[table][reader.name] = columns[table][reader.name] / DAY_S
    return RequestColumns(columns, exact_us)


def _gather(
    table: str, rows: Sequence[Row], test_names: tuple[str, ...], numbers: _Gathered,
    times: _Gathered,
) -> dict[str, Array]:  # fmt: skip
    shapes = {tuple(row) for row in rows}
    named: set[str] = set().union(*shapes)
    out: dict[str, Array] = {}
    missing = np.full(len(rows), np.nan)
    for reader in _readers(table, test_names):
        name = reader.name
        if name not in named:
            out[name] = np.full(len(rows), None, object) if reader.is_text else missing
            continue
        if len(shapes) == 1:
            cells = list(map(itemgetter(name), rows))
        else:
            cells = [row.get(name) for row in rows]
        if reader.codes is not None:
            cells = [reader.codes[cell] for cell in cells]
        elif reader.is_text:
            out[name] = np.empty(len(rows), object)
            out[name][:] = cells
            continue
        elif reader.kind == "date":
            cells = [None if day is None else f"{day}{_MIDNIGHT}" for day in cells]
        into = times if reader.kind in {"time", "date"} else numbers
        into.columns.append((table, reader, len(into.cells)))
        into.cells.extend(cells)
    return out


def _spread(gathered: _Gathered, read: Floats, into: dict[str, dict[str, Any]]) -> None:
    """Give each column its part of `read`."""
    end = read.size
    for table, reader, start in reversed(gathered.columns):
        into[table][reader.name] = read[start:end]
        end = start


@kept
def _within(values: Floats, limits: Floats) -> bool:
    """Return whether all values lie in their range; a row of `limits` is start, lower, upper."""
    for k in range(limits.shape[0]):
        end = int(limits[k + 1, 0]) if k + 1 < limits.shape[0] else values.size
        for i in range(int(limits[k, 0]), end):
            if values[i] < limits[k, 1] or values[i] > limits[k, 2]:
                return False
    return True


@cache
def _readers(table: str, test_names: tuple[str, ...]) -> tuple[_Reader, ...]:
    return tuple(_reader(column, test_names) for column in read_columns(table))


def _reader(column: Column, test_names: tuple[str, ...]) -> _Reader:
    codes: dict[object, float | None] | None = None
    if column.kind == "category":
        codes = {name: float(i) for i, name in enumerate(codes_of(column, test_names))}
        codes[None] = None
    lower = -_LARGEST if column.lower is None else column.lower
    upper = _LARGEST if column.upper is None else column.upper
    return _Reader(column.name, column.kind, codes, lower, upper)
