"""A cohort folder on disk: its description, its table files, and their rows as they come."""

from __future__ import annotations

import csv
import gzip
import hashlib
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from nmr_ml.cohort.cohort import Warned
from nmr_ml.cohort.tables import TABLES, TRUTH
from nmr_ml.errors import DataError
from nmr_ml.reasons import Notice
from nmr_ml.runtime.replacement import restored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from nmr_ml.numeric.arrays import Ints

#: What describes a cohort, and thereby makes a folder one.
DESCRIPTION = "cohort.yaml"
_SUFFIXES = (".parquet", ".csv", ".csv.gz")
_KNOWN = (*TABLES, TRUTH.name)


@dataclass(frozen=True, slots=True)
class Description:
    """What ``cohort.yaml`` says; `timezone` is empty where it says none."""

    name: str
    timezone: str


def read_description(path: Path) -> Description:
    """Read ``cohort.yaml`` of the cohort folder `path`.

    Raises
    ------
    DataError
        ``cohort_not_found``, ``not_a_cohort`` or ``cohort_yaml_invalid``.
    """
    if not restored(path).is_dir():
        raise DataError(
            "cohort_not_found", f"There is no folder {path}.", "Give the folder of a cohort."
        )
    file = path / DESCRIPTION
    if not file.is_file():
        raise DataError(
            "not_a_cohort",
            f"{path} is a folder that is not a cohort: it has no {DESCRIPTION}.",
            f"Write a {DESCRIPTION} with name and timezone into it, or give another folder.",
        )
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _invalid(file, f"it cannot be read ({_one_line(error)})") from error
    return _description(file, content)


def _description(file: Path, content: object) -> Description:
    if not isinstance(content, dict):
        raise _invalid(file, "it is no mapping of keys to values")
    name, timezone = content.get("name"), content.get("timezone")
    if name is None or str(name).strip() == "":
        raise _invalid(file, "name is missing")
    if timezone is not None and not isinstance(timezone, str):
        raise _invalid(file, f"timezone is {timezone!r}, expected an IANA name")
    return Description(str(name), (timezone or "").strip())


def _invalid(file: Path, fact: str) -> DataError:
    return DataError(
        "cohort_yaml_invalid",
        f"{file}: {fact}.",
        "Write for example: name: My squad, and on the next line timezone: Europe/Oslo.",
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def find_tables(path: Path) -> tuple[dict[str, Path], tuple[Warned, ...]]:
    """Return the file or folder of each table that is there, and a warning for what is no table.

    Raises
    ------
    DataError
        ``table_twice`` where one table is there in two forms.
    """
    found: dict[str, Path] = {}
    strangers = []
    for entry in sorted(path.iterdir()):
        name = _table_name(entry)
        if name is None or entry.name.startswith("."):
            continue
        if name not in _KNOWN:
            strangers.append(_stranger(entry, name))
            continue
        if name in found:
            raise DataError(
                "table_twice",
                f"{path} has the table {name} twice: {found[name].name} and {entry.name}.",
                "Keep one of them.",
            )
        found[name] = entry
    return found, tuple(strangers)


def _table_name(entry: Path) -> str | None:
    if entry.is_dir():
        return entry.name if entry.name in _KNOWN or any(entry.glob("*.parquet")) else None
    # The longest suffix first, or `labs.csv.gz` would be nothing.
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if entry.name.endswith(suffix):
            return entry.name.removesuffix(suffix)
    return None


def _stranger(entry: Path, name: str) -> Warned:
    likely = get_close_matches(name, _KNOWN, n=1)
    hint = f" Is it meant to be {likely[0]}?" if likely else ""
    return Warned(
        Notice.UNKNOWN_TABLE, f"{entry.name} is no table of a cohort and is not read.{hint}", name
    )


def is_csv(path: Path) -> bool:
    """Return whether the table `path` is text with lines."""
    return path.name.endswith((".csv", ".csv.gz"))


def read_rows(path: Path) -> pd.DataFrame:
    """Read a table file or a folder of Parquet parts: text from CSV, typed from Parquet.

    Raises
    ------
    DataError
        ``table_unreadable``, or ``table_empty`` for a file without even a header.
    """
    with _readable(path):
        return _csv(path) if is_csv(path) else _parquet(path)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except pd.errors.EmptyDataError as error:
        raise empty(path) from error
    except (
        OSError,
        EOFError,
        zlib.error,
        UnicodeDecodeError,
        csv.Error,
        pd.errors.ParserError,
        pd.errors.ParserWarning,
        pa.ArrowException,
    ) as error:
        raise unreadable(path, _one_line(error)) from error


def empty(path: Path) -> DataError:
    """Return the error for a table without rows."""
    return DataError(
        "table_empty", f"{path} has no rows, expected at least one.", "Export the table again."
    )


def unreadable(path: Path, fact: str) -> DataError:
    """Return the error for a table that is no table."""
    return DataError(
        "table_unreadable",
        f"{path} cannot be read: {fact.rstrip('.')}.",
        "Export it again as UTF-8 CSV with commas, or as Parquet.",
    )


def _csv(path: Path) -> pd.DataFrame:
    header: list[str] = next(_records(path), (0, []))[1]
    _refuse_repeated(path, header)
    with warnings.catch_warnings():
        # Rows longer than the header: pandas would only warn and drop the end of each.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            path, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig"
        )


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record of a CSV begins, and the record; blank lines are none."""
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        before = 0
        for record in reader:
            if record:
                yield before + 1, record
            before = reader.line_num


def _refuse_repeated(path: Path, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise unreadable(path, f"it has the column {repeated[0]!r} more than once")


def _parquet(path: Path) -> pd.DataFrame:
    parts = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not parts:
        raise empty(path)
    # Not `read_table`: it would read columns out of the names of the folders.
    tables = [pq.ParquetFile(part).read() for part in parts]
    table = (
        tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="permissive")
    )
    _refuse_repeated(path, table.column_names)
    # Integers with gaps stay integers: as floats, ids above 2^53 would change.
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True, integer_object_nulls=True)
    return frame


def line_numbers(path: Path, positions: NDArray[np.intp]) -> Ints:
    """Return where rows stand in their file: the line in a CSV, the row in Parquet; both from 1.

    Parameters
    ----------
    positions : array of int
        Positions of rows as `read_rows` returned them, ascending.
    """
    if not is_csv(path) or not len(positions):
        return positions.astype(np.int64) + 1
    with _readable(path):
        lines = np.fromiter((line for line, _ in _records(path)), dtype=np.int64)
    return lines[positions + 1]


def fingerprint(path: Path) -> str:
    """Return the SHA-256 over the names and contents of the files that are read from `path`.

    `truth` and the quarantine are not among them.
    """
    total = hashlib.sha256()
    tables, _ = find_tables(path)
    read = [table for name, table in tables.items() if name in TABLES]
    parts = [part for table in read for part in (table.rglob("*") if table.is_dir() else [table])]
    for file in sorted([path / DESCRIPTION, *(part for part in parts if part.is_file())]):
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        total.update(f"{file.relative_to(path).as_posix()} {digest}\n".encode())
    return total.hexdigest()
