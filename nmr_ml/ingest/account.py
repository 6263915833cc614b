"""What an ingester hands back: tables, and where every row of the source went."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from nmr_ml.errors import UsageError
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The outcome of a source row or cell that has become part of the cohort. Every other outcome is
#: a `Quarantine` reason, or the sentence that says why the thing has no place in a cohort.
USED: Final = "used"
_REASONS: Final = frozenset(reason.value for reason in Quarantine)
_UNUSABLE_COLUMNS: Final = ("file", "line", "item", "reason", "sentence", "row")


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """What the caller states about the source.

    Parameters
    ----------
    units : mapping of str to str
        Units that replace the documented ones, by analyte: ``{"cortisol": "ug/dL"}``.
    """

    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accounted:
    """Where the rows, or the cells, of one source file or pattern of files went.

    `rows_in` = `used` + all of `quarantined` + all of `no_place`. Cells are counted for the rows
    that are not quarantined themselves.
    """

    source: str
    rows_in: int
    used: int
    quarantined: Mapping[str, int] = field(default_factory=dict)
    no_place: Mapping[str, int] = field(default_factory=dict)
    counts: Literal["rows", "cells"] = "rows"
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form that ``ingest.json`` holds."""
        return {
            "source": self.source,
            "counts": self.counts,
            "rows_in": self.rows_in,
            "used": self.used,
            "quarantined": dict(self.quarantined),
            "no_place": dict(self.no_place),
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Ingested:
    """A cohort as its source gives it, not yet validated.

    Parameters
    ----------
    name, timezone, description, source : str
        For ``cohort.yaml``.
    tables : mapping of str to DataFrame
        Tables of `nmr_ml.cohort.tables.TABLES` with the columns that the source can fill.
    account : tuple of Accounted
        One entry for each source file or pattern, and for the columns without a place.
    unusable : DataFrame
        The quarantined source rows: file, line, item (the column, where only a cell is
        concerned), reason, sentence and the row as JSON text.
    """

    name: str
    timezone: str
    description: str
    source: str
    tables: Mapping[str, pd.DataFrame]
    account: tuple[Accounted, ...]
    unusable: pd.DataFrame

    def document(self) -> dict[str, Any]:
        """Return the account as ``ingest.json`` holds it."""
        return {
            "name": self.name,
            "timezone": self.timezone,
            "description": self.description,
            "source": self.source,
            "tables": {name: len(frame) for name, frame in self.tables.items()},
            "account": [entry.as_dict() for entry in self.account],
        }


def tally(
    source: str,
    outcome: pd.Series[str],
    *,
    counts: Literal["rows", "cells"] = "rows",
    note: str = "",
) -> Accounted:
    """Count outcomes: `USED`, a `Quarantine` reason, or the sentence why there is no place."""
    numbers = {str(key): int(number) for key, number in outcome.value_counts().items()}
    used = numbers.pop(USED, 0)
    quarantined = {key: number for key, number in numbers.items() if key in _REASONS}
    no_place = {key: number for key, number in numbers.items() if key not in _REASONS}
    return Accounted(source, len(outcome), used, quarantined, no_place, counts, note)


def untouched(source: str, rows: int, why: str, *, note: str = "") -> Accounted:
    """Account for `rows` rows that have no place for one and the same reason."""
    return Accounted(source, rows, 0, no_place={why: rows} if rows else {}, note=note)


def is_quarantined(outcome: pd.Series[str]) -> pd.Series[bool]:
    """Return which outcomes are quarantine reasons."""
    return outcome.isin(_REASONS)


def unusable_rows(rows: pd.DataFrame, outcome: pd.Series[str], *, item: str = "") -> pd.DataFrame:
    """Return the quarantined ones of `rows`, as `Ingested.unusable` holds them.

    Parameters
    ----------
    rows : DataFrame
        Source rows as text, with the columns `file` and `line` (see `nmr_ml.ingest.sources`).
    outcome : Series of str
        One outcome a row, on the same index.
    item : str
        The source column, where a cell and not the row is concerned.
    """
    bad = rows[is_quarantined(outcome)]
    reasons = outcome[bad.index]
    return pd.DataFrame(
        {
            "file": bad["file"],
            "line": bad["line"],
            "item": item,
            "reason": reasons,
            "sentence": [Quarantine(reason).sentence for reason in reasons],
            "row": [_as_text(row) for row in bad.drop(columns=["file", "line"]).to_dict("records")],
        },
        columns=list(_UNUSABLE_COLUMNS),
    )


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the parts of `Ingested.unusable` as one frame."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=list(_UNUSABLE_COLUMNS))
    return pd.concat(filled, ignore_index=True)


def stated_units(documented: Mapping[str, str], options: IngestOptions) -> dict[str, str]:
    """Return the unit of each analyte: as documented, unless the caller states another.

    Raises
    ------
    UsageError
        ``unit_not_applicable`` where a stated analyte is not one of the source, ``unit_unknown``
        where the analyte cannot be converted from the unit.
    """
    for analyte, unit in options.units.items():
        if analyte not in documented:
            known = ", ".join(documented) or "none"
            raise UsageError(
                "unit_not_applicable",
                f"--unit names {analyte!r}, but the analytes of this source are: {known}.",
                "Drop the option or name one of them.",
            )
        # The catalogue takes half a second to load, and most calls state no unit.
        from nmr_ml.cohort.analytes import shipped_analytes

        if shipped_analytes()[analyte].to_canonical(unit) is None:
            usual = ", ".join(shipped_analytes()[analyte].usual)
            raise UsageError(
                "unit_unknown",
                f"--unit gives {unit!r} for {analyte}, which cannot be converted; usual: {usual}.",
                "Write the unit in UCUM.",
            )
    return {**documented, **options.units}


def units_note(documented: Mapping[str, str], options: IngestOptions) -> str:
    """Return the sentence that says which units the caller has stated."""
    changed = [f"{name} {options.units[name]} instead of {documented[name]}" for name in documented
               if name in options.units]  # fmt: skip
    return f" Units as the caller stated them: {', '.join(changed)}." if changed else ""


def _as_text(row: Mapping[Any, Any]) -> str:
    filled = {str(key): value for key, value in row.items() if not pd.isna(value)}
    return json.dumps(filled, ensure_ascii=False, default=str)
