"""One raw table to its canonical frame: parsed, completed, checked, converted, sorted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmr_ml.cohort import parsing, row_rules, table_checks
from nmr_ml.cohort.quantities import Converted, canonical_labs, canonical_tests
from nmr_ml.cohort.row_rules import Finding
from nmr_ml.cohort.timestamps import UTC_TIME, dates, day_bounds, times
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from nmr_ml.cohort.tables import Column, Table

#: Numbers that are computed where the source has none, and may come out impossible. A completed
#: time needs no check of its own: it is another one, or lies a possible duration after it.
_COMPLETED = ("duration_min", "session_load_au")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a table is read against: the local time zone, the clock, and the sex of each athlete.

    `sex` is indexed by the athletes that can be used; None while the athletes themselves are read.
    """

    local: ZoneInfo | None
    now: datetime
    sex: pd.Series | None


@dataclass(frozen=True, slots=True)
class Checked:
    """The usable rows of a table in canonical form, and the others with their reasons."""

    frame: pd.DataFrame
    rejected: pd.DataFrame


def canonical_table(table: Table, raw: pd.DataFrame, setting: Setting) -> Checked:
    """Return the canonical frame of `table` and the rows of `raw` that cannot be used.

    Parameters
    ----------
    raw : DataFrame
        Columns of `table`, others are ignored; text as in CSV or typed as in Parquet.

    Returns
    -------
    Checked
        `rejected` is indexed by the position of the row in `raw`.
    """
    parsed, findings = _parsed(table, raw, setting.local)
    frame = pd.DataFrame(
        {
            column.name: (
                parsed[column.name] if column.name in parsed else _missing(column, len(raw))
            )
            for column in table.columns
        }
    )
    if table.name == "sessions":
        frame = _session_completed(table, frame, findings)
    if table.name == "labs":
        no_unit = frame["unit"].isna().to_numpy()
        findings.append(Finding(no_unit, Quarantine.UNIT_MISSING, "unit"))
    frame, begins = _known(table, frame, findings, setting.local)
    findings += row_rules.of_one_row(table, frame, begins, setting.now)
    filled = [name for name in table.names if name in parsed or name in _COMPLETED]
    findings += table_checks.violations(table, frame[filled])
    if setting.sex is not None:
        findings.append(row_rules.orphans(frame, setting.sex.index))
    converted = _converted(table, frame, row_rules.survivors(findings, len(raw)), setting.sex)
    if converted is not None:
        frame = frame.assign(value=converted.value, unit=converted.unit)
        findings += converted.findings
    # A row that cannot be used must not take a usable one with it, so these come last.
    findings += row_rules.duplicates(table, frame, row_rules.survivors(findings, len(raw)))
    findings += row_rules.overlaps(table, frame, row_rules.survivors(findings, len(raw)))
    used = frame.loc[row_rules.survivors(findings, len(raw))]
    return Checked(_sorted(table, used), row_rules.rejected(findings, len(raw)))


def empty_table(table: Table) -> pd.DataFrame:
    """Return the canonical frame of `table` without rows."""
    return pd.DataFrame({column.name: _missing(column, 0) for column in table.columns})


def _parsed(
    table: Table, raw: pd.DataFrame, local: ZoneInfo | None
) -> tuple[dict[str, parsing.Values], list[Finding]]:
    parsed, findings = {}, []
    for column in table.columns:
        if column.name not in raw:
            continue
        cell = _parse(column, raw[column.name], local)
        parsed[column.name] = cell.column
        findings += [
            Finding(where, reason, column.name) for reason, where in cell.problems if where.any()
        ]
    return parsed, findings


def _parse(column: Column, raw: pd.Series, local: ZoneInfo | None) -> parsing.Parsed:
    match column.kind:
        case "number":
            return parsing.numbers(raw)
        case "time":
            return times(raw, local)
        case "date":
            return dates(raw)
        case "bool":
            return parsing.bools(raw)
        case "id":
            return parsing.ids(raw)
        case _:
            return parsing.strings(raw)


def _missing(column: Column, n: int) -> parsing.Values:
    dtype = table_checks.DTYPES[column.kind]
    if isinstance(dtype, np.dtype):
        return np.full(n, np.nan if column.kind == "number" else "NaT", dtype=dtype)
    missing: parsing.Values = pd.array([None] * n, dtype=dtype)
    return missing


def _session_completed(table: Table, frame: pd.DataFrame, findings: list[Finding]) -> pd.DataFrame:
    """Fill end, duration and load where the other parts give them; add a finding where none do."""
    start, end, minutes = frame["started_at"], frame["ended_at"], frame["duration_min"]
    neither = (end.isna() & minutes.isna()).to_numpy()
    findings.append(Finding(neither, Quarantine.MISSING_VALUE, "ended_at", "Or give duration_min."))
    # A duration that no session has is left for the schema to refuse; it could overflow here.
    column = table.column("duration_min")
    possible = minutes.between(column.lower or 0.0, column.upper or np.inf).to_numpy()
    lasted = np.where(possible, np.round(minutes.to_numpy() * 60e6), 0).astype("timedelta64[us]")
    end = end.fillna((start + pd.Series(lasted)).where(possible))
    minutes = minutes.fillna((end - start).dt.total_seconds() / 60)
    load = frame["session_load_au"].fillna(frame["session_rpe"] * minutes)
    return frame.assign(ended_at=end, duration_min=minutes, session_load_au=load)


def _known(
    table: Table, frame: pd.DataFrame, findings: list[Finding], local: ZoneInfo | None
) -> tuple[pd.DataFrame, pd.Series | None]:
    """Fill `known_at` with its default; return also the time before which no row can be known."""
    if table.event_time is None:
        return frame, None
    begins = ends = frame[table.event_time]
    if table.column(table.event_time).kind == "date":
        begins, ends = _day(begins, findings, local)
    if "known_at" not in frame:
        return frame, begins
    known = frame["known_at"].fillna(ends)
    by_rounding = (known < begins) & (known >= begins - row_rules.ROUNDING)
    return frame.assign(known_at=known.mask(by_rounding, begins)), begins


def _day(
    days: pd.Series, findings: list[Finding], local: ZoneInfo | None
) -> tuple[pd.Series, pd.Series]:
    if local is None:
        findings.append(Finding(days.notna().to_numpy(), Quarantine.NAIVE_TIME, str(days.name)))
        nowhere = pd.Series(pd.NaT, index=days.index, dtype=UTC_TIME)
        return nowhere, nowhere
    begins, ends = day_bounds(days, local)
    return pd.Series(begins), pd.Series(ends)


def _converted(
    table: Table, frame: pd.DataFrame, alive: parsing.Mask, sex: pd.Series | None
) -> Converted | None:
    if table.name == "tests":
        return canonical_tests(frame, alive)
    if table.name == "labs" and sex is not None:
        return canonical_labs(frame, sex, alive)
    return None


def _sorted(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    order = ["athlete_id", table.event_time] if table.event_time else ["athlete_id"]
    return frame.sort_values(order, kind="stable", ignore_index=True)
