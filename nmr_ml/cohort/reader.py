"""A cohort folder to the checked, canonical `Cohort`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

import pandas as pd

from nmr_ml.cohort.canonical import Checked, Setting, canonical_table, empty_table
from nmr_ml.cohort.cohort import Cohort, TableCount, Warned
from nmr_ml.cohort.folder import empty, find_tables, line_numbers, read_description, read_rows
from nmr_ml.cohort.injury_words import unrecognised
from nmr_ml.cohort.quarantine import quarantined_rows, write_quarantine
from nmr_ml.cohort.row_rules import rejected
from nmr_ml.cohort.tables import TABLES, TRUTH
from nmr_ml.cohort.timestamps import zone
from nmr_ml.errors import DataError
from nmr_ml.reasons import Notice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from nmr_ml.cohort.tables import Table

#: Where `read_cohort` and ``nmr validate --out`` put the quarantined rows.
QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Examined:
    """A cohort, and for each of its tables the source, the rows as they came and the unusable ones.

    `rejected` has the columns `line`, `reason`, `sentence` and `column`, and is indexed by the
    position of the row in `raw`.
    """

    cohort: Cohort
    sources: Mapping[str, Path]
    raw: Mapping[str, pd.DataFrame]
    rejected: Mapping[str, pd.DataFrame]


def read_cohort(
    path: Path,
    *,
    now: datetime | None = None,
    quarantine: Path | None = None,
    required: Sequence[str] = ("athletes", "sessions"),
) -> Cohort:
    """Read, check and canonicalise the cohort folder `path`.

    Parameters
    ----------
    path : Path
        A folder with ``cohort.yaml`` and tables.
    now : datetime, optional
        The clock, with time zone; events after it are quarantined. By default the machine's.
    quarantine : Path, optional
        The rows that cannot be used are written to ``quarantine/TABLE.csv`` in this folder.
    required : sequence of str
        The tables that must be there and have rows.

    Raises
    ------
    DataError
        ``cohort_not_found``, ``not_a_cohort``, ``cohort_yaml_invalid``, ``timezone_unknown``,
        ``table_missing``, ``table_empty``, ``table_unreadable``, ``table_twice`` or
        ``column_missing``.
    OutsideError
        ``cannot_write`` where the quarantine cannot be written.
    """
    examined = examine_cohort(path, now=now, required=required)
    if quarantine is not None:
        keep_quarantine(examined, quarantine)
    return examined.cohort


def examine_cohort(
    path: Path,
    *,
    now: datetime | None = None,
    required: Sequence[str] = ("athletes", "sessions"),
) -> Examined:
    """Return what `read_cohort` does, with the rows that cannot be used; writes nothing."""
    description = read_description(path)
    sources, strangers = find_tables(path)
    sources.pop(TRUTH.name, None)
    _require(path, sources, required)
    raw = {name: _rows(name, source, required) for name, source in sources.items()}
    cohort, unusable = canonical_cohort(
        description.name, description.timezone, raw, now=now or datetime.now(UTC)
    )
    warnings = (*strangers, *cohort.warnings)
    return Examined(
        Cohort(cohort.name, cohort.timezone, cohort.tables, cohort.counts, warnings),
        sources,
        raw,
        {
            name: rows.assign(line=line_numbers(sources[name], rows.index.to_numpy()))
            for name, rows in unusable.items()
        },
    )


def keep_quarantine(examined: Examined, out: Path) -> None:
    """Write the rows that cannot be used to ``quarantine/TABLE.csv`` in the folder `out`."""
    rows = {
        name: quarantined_rows(examined.raw[name], unusable)
        for name, unusable in examined.rejected.items()
    }
    write_quarantine(out / QUARANTINE, rows)


def _require(path: Path, sources: Mapping[str, Path], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in sources]
    if missing:
        raise DataError(
            "table_missing",
            f"{path} has no table {missing[0]}; found: {', '.join(sources) or 'none'}.",
            f"Add {missing[0]}.csv or {missing[0]}.parquet.",
        )


def _rows(name: str, source: Path, required: Sequence[str]) -> pd.DataFrame:
    rows = read_rows(source)
    _check_columns(TABLES[name], rows.columns, str(source))
    if rows.empty and name in required:
        raise empty(source)
    return rows


def _check_columns(table: Table, found: Iterable[str], where: str) -> None:
    names = [str(name) for name in found]
    needed = [column.name for column in table.columns if column.required]
    if table.name == "sessions" and not {"ended_at", "duration_min"} & set(names):
        needed.append("duration_min")
    for column in needed:
        if column in names:
            continue
        likely = get_close_matches(column, [name for name in names if name not in table.names], n=1)
        raise DataError(
            "column_missing",
            f"{where} has no column {column}; found: {', '.join(names) or 'none'}.",
            f"Rename {likely[0]!r} to {column}." if likely else f"Add the column {column}.",
        )


def canonical_cohort(
    name: str, timezone: str, raw: Mapping[str, pd.DataFrame], *, now: datetime
) -> tuple[Cohort, Mapping[str, pd.DataFrame]]:
    """Return the canonical cohort of raw frames, and the rows of each that cannot be used.

    Parameters
    ----------
    name : str
        The cohort's name.
    timezone : str
        IANA name for naive times and local days; empty for none.
    raw : mapping of str to DataFrame
        Frames by table, of any dtypes: text as from CSV, typed as from Parquet, mixed as from JSON.
    now : datetime
        The clock, with time zone; events more than an hour after it are quarantined.

    Returns
    -------
    Cohort
        With every table of `nmr_ml.cohort.tables.TABLES`.
    mapping of str to DataFrame
        For each table of `raw`, indexed by the position of the row in it: `reason`, `sentence` and
        `column` (empty where the row as a whole is to blame).

    Raises
    ------
    DataError
        ``timezone_unknown``, ``table_unknown`` or ``column_missing``.
    """
    unknown = sorted(raw.keys() - TABLES.keys())
    if unknown:
        raise DataError(
            "table_unknown",
            f"{unknown[0]!r} is no table of a cohort.",
            f"The tables are {', '.join(TABLES)}.",
        )
    checked = _checked(raw, Setting(zone(timezone), now, None))
    tables = {
        table: checked[table].frame if table in checked else empty_table(TABLES[table])
        for table in TABLES
    }
    warnings = [warned for table, frame in raw.items() for warned in _unknown_columns(table, frame)]
    cohort = Cohort(
        name,
        timezone,
        tables,
        {table: _count(rows) for table, rows in checked.items()},
        (*warnings, *unrecognised({str(n): c for n, c in tables["episodes"].items()}, "episodes")),
    )
    return cohort, {table: rows.rejected for table, rows in checked.items()}


def _checked(raw: Mapping[str, pd.DataFrame], setting: Setting) -> dict[str, Checked]:
    """Check the tables in order: the athletes first, for the others need them."""
    checked = {}
    nobody = pd.Series([], index=pd.Index([], dtype="str"), dtype="str")
    for name, table in TABLES.items():
        if name in raw and len(raw[name]):
            _check_columns(table, raw[name].columns, name)
            checked[name] = canonical_table(table, raw[name], setting)
        elif name in raw:
            checked[name] = Checked(empty_table(table), rejected([], 0))
        if name == "athletes":
            known = checked.get(name)
            sex = nobody if known is None else known.frame.set_index("athlete_id")["sex"]
            setting = Setting(setting.local, setting.now, sex)
    return checked


def _count(checked: Checked) -> TableCount:
    used, quarantined = len(checked.frame), len(checked.rejected)
    return TableCount(used + quarantined, used, dict(Counter(checked.rejected["reason"])))


def _unknown_columns(table: str, frame: pd.DataFrame) -> list[Warned]:
    known = TABLES[table].names
    unknown = [str(name) for name in frame.columns if name not in known]
    if not unknown:
        return []
    likely = {name: get_close_matches(name, known, n=1) for name in unknown}
    said = [f"{name} (meant {likely[name][0]}?)" if likely[name] else name for name in unknown]
    message = f"{table}: columns that are not known are kept out: {', '.join(said)}."
    return [Warned(Notice.UNKNOWN_COLUMN, message, table)]


def read_truth(path: Path) -> pd.DataFrame:
    """Return the `truth` table of a simulated cohort; no rows where it has none.

    Apart from `read_cohort`, because training must never see it.

    Returns
    -------
    DataFrame
        The columns of `nmr_ml.cohort.tables.TRUTH`, in canonical dtypes; recovery in hours.

    Raises
    ------
    DataError
        As `read_cohort`, and ``truth_invalid`` where a row cannot be used.
    """
    read_description(path)
    source = find_tables(path)[0].get(TRUTH.name)
    if source is None:
        return empty_table(TRUTH)
    raw = read_rows(source)
    _check_columns(TRUTH, raw.columns, str(source))
    checked = canonical_table(TRUTH, raw, Setting(None, datetime.now(UTC), None))
    if not checked.rejected.empty:
        raise DataError(
            "truth_invalid",
            f"{source} has {len(checked.rejected)} rows that cannot be used; the first: "
            f"{checked.rejected['sentence'].iloc[0]}",
            "Simulate the cohort again.",
        )
    return checked.frame
