"""Reading foreign files as text, so that nothing is coerced before it has been looked at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zipfile import BadZipFile
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from nmr_ml.cohort import parsing, timestamps
from nmr_ml.errors import DataError
from nmr_ml.ingest.account import USED
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from nmr_ml.cohort.parsing import Parsed

EMPTY: Final = "empty in the source"


def folder(path: Path, file: str) -> Path:
    """Return the folder of a source that may also be given by its one `file`."""
    return path.parent if path.is_file() and path.name == file else path


def require(root: Path, expected: Sequence[str], *, source: str) -> None:
    """Check that `root` is a folder with the `expected` files; glob patterns need one match.

    Raises
    ------
    DataError
        ``source_not_found`` with what was expected.
    """
    missing = [name for name in expected if not root.is_dir() or not any(root.glob(name))]
    if missing:
        raise DataError(
            "source_not_found",
            f"{root} has no {', '.join(missing)}, and `{source}` expects a folder with "
            f"{', '.join(expected)}.",
            "Give the folder that holds the files of the source.",
        )


def read_csv(path: Path, root: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a CSV file as text and add `file` (relative to `root`) and `line` (1 is the header).

    Raises
    ------
    DataError
        ``source_unreadable`` where it is no CSV file or lacks one of `columns`.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise unreadable(path, f"cannot be read as CSV ({type(error).__name__})") from error
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise unreadable(path, f"has no column {', '.join(missing)}")
    return frame.assign(file=path.relative_to(root).as_posix(), line=np.arange(len(frame)) + 2)


def read_json(path: Path, root: Path) -> pd.DataFrame:
    """Read a JSON list of objects: one row each, with `file` and `line` (1 is the first).

    Raises
    ------
    DataError
        ``source_unreadable`` where it is no JSON list of objects.
    """
    try:
        records: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable(path, f"cannot be read as JSON ({type(error).__name__})") from error
    if not isinstance(records, list) or not all(isinstance(entry, dict) for entry in records):
        raise unreadable(path, "is no JSON list of objects")
    frame = pd.DataFrame(records, dtype=object)
    return frame.assign(file=path.relative_to(root).as_posix(), line=np.arange(len(frame)) + 1)


def sheet_rows(path: Path) -> dict[str, list[tuple[int, tuple[Any, ...]]]]:
    """Return the non-empty rows of each sheet of a workbook with their row numbers.

    Raises
    ------
    DataError
        ``source_unreadable`` where it is no workbook.
    """
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, data_only=True, read_only=True)
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise unreadable(path, f"cannot be read as a workbook ({type(error).__name__})") from error
    try:
        return {
            sheet.title: [
                (number, row)
                for number, row in enumerate(sheet.iter_rows(values_only=True), start=1)
                if any(cell is not None and str(cell).strip() for cell in row)
            ]
            for sheet in book
        }
    finally:
        book.close()


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one source column: the values `found`, missing unless `outcome` is `USED`."""

    found: pd.Series
    outcome: pd.Series[str]

    def loc(self, index: pd.Index) -> Cells:
        """Return the cells of the rows in `index`."""
        return Cells(self.found[index], self.outcome[index])

    def no_place(self, where: pd.Series[bool], why: str) -> Cells:
        """Return the cells with those that are used and in `where` set aside as `why`."""
        aside = where & (self.outcome == USED)
        return Cells(self.found.mask(aside), self.outcome.mask(aside, why))


def numbers(raw: pd.Series, bounds: tuple[float, float], *, empty: str = EMPTY) -> Cells:
    """Read cells as numbers within inclusive `bounds`.

    The outcome is `USED`, `empty` for an empty cell, ``not_a_number`` or ``out_of_range``.
    """
    read = _outcomes(raw, parsing.numbers(raw), empty)
    outside = (read.outcome == USED) & ~read.found.between(*bounds)
    outcome = read.outcome.mask(outside, Quarantine.OUT_OF_RANGE.value)
    return Cells(read.found.mask(outside), outcome)


def times(raw: pd.Series, timezone: str) -> Cells:
    """Read cells as times in UTC; those without an offset are local to `timezone`.

    The outcome is `USED`, ``missing_value``, ``not_a_time``, ``time_does_not_exist`` or
    ``time_ambiguous``.
    """
    parsed = timestamps.times(raw, ZoneInfo(timezone))
    return _outcomes(raw, parsed, Quarantine.MISSING_VALUE.value)


def _outcomes(raw: pd.Series, parsed: Parsed, empty: str) -> Cells:
    values = pd.Series(parsed.column, index=raw.index)
    outcome = pd.Series(USED, index=raw.index, dtype=object)
    outcome[values.isna()] = empty
    for reason, where in parsed.problems:
        outcome[where] = reason.value
    return Cells(values.where(outcome == USED), outcome)


def unknown_files(root: Path, known: Iterable[str]) -> list[str]:
    """Return the files under `root` that match none of the `known` patterns, in order."""
    patterns = tuple(known)
    names = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    return sorted(
        name.as_posix() for name in names if not any(name.match(pattern) for pattern in patterns)
    )


def unreadable(path: Path, what: str) -> DataError:
    """Return the error for a file that is not as its source publishes it."""
    return DataError(
        "source_unreadable",
        f"{path} {what}, expected a file as its source publishes it.",
        "Download the file again.",
    )
