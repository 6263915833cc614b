"""The folder layout of PMData: one folder a person, the same files in each, some missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from nmr_ml.ingest import sources
from nmr_ml.ingest.account import Accounted, tally, unusable_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nmr_ml.ingest.sources import Cells

PEOPLE: Final = "p[0-9][0-9]"


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of file over all people: its rows with `athlete_id`, and who lacks it."""

    pattern: str
    rows: pd.DataFrame
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What one kind of file adds to the account, and its quarantined rows."""

    account: tuple[Accounted, ...]
    unusable: tuple[pd.DataFrame, ...] = ()


def people(root: Path) -> list[str]:
    """Return the names of the people's folders in order."""
    return sorted(folder.name for folder in root.glob(PEOPLE) if folder.is_dir())


def read(root: Path, name: str, columns: Sequence[str]) -> Part:
    """Read the file `name`, CSV or JSON, of everybody who has it.

    Raises
    ------
    DataError
        ``source_unreadable`` where a file is broken or a CSV file lacks one of `columns`.
    """
    everybody = people(root)
    there = [person for person in everybody if (root / person / name).is_file()]
    frames = []
    for person in there:
        path = root / person / name
        frame = (
            sources.read_csv(path, root, columns)
            if name.endswith(".csv")
            # A key that no record has is a value that nobody has, not a broken file.
            else sources.read_json(path, root).reindex(columns=[*columns, "file", "line"])
        )
        frames.append(frame.assign(athlete_id=person))
    empty = pd.DataFrame({key: pd.Series(dtype=object) for key in (*columns, "file", "line")})
    rows = pd.concat(frames or [empty.assign(athlete_id="")], ignore_index=True)
    return Part(f"{PEOPLE}/{name}", rows, tuple(p for p in everybody if p not in there))


def keep(
    part: Part,
    outcome: pd.Series[str],
    *,
    cells: Mapping[str, Cells] | None = None,
    no_place: Mapping[str, Sequence[str]] | None = None,
    leave_out: Sequence[str] = (),
    note: str = "",
) -> Kept:
    """Account for a kind of file.

    Parameters
    ----------
    part : Part
        The rows.
    outcome : Series of str
        One outcome a row.
    cells : mapping of str to Cells
        The columns that are accounted for cell by cell, of the rows that are not quarantined.
    no_place : mapping of str to sequence of str
        Columns without a place by the sentence that says why.
    leave_out : sequence of str
        Columns too large for the text of a quarantined row.
    note : str
        What a reader of the account should know.
    """
    lacking = f"no file for {', '.join(part.missing)}" if part.missing else ""
    whole = tally(part.pattern, outcome, note="; ".join(filter(None, (note, lacking))))
    usable = whole.rows_in - sum(whole.quarantined.values())
    entries = [whole]
    unusable = [unusable_rows(part.rows.drop(columns=list(leave_out)), outcome)]
    if cells:
        outcomes = pd.concat([cell.outcome for cell in cells.values()], ignore_index=True)
        entries.append(tally(f"{part.pattern}: {', '.join(cells)}", outcomes, counts="cells"))
        for name, cell in cells.items():
            unusable.append(
                unusable_rows(part.rows.loc[cell.outcome.index], cell.outcome, item=name)
            )
    for why, columns in (no_place or {}).items():
        total = usable * len(columns)
        entries.append(
            Accounted(
                f"{part.pattern}: {', '.join(columns)}", total, 0,
                no_place={why: total} if total else {}, counts="cells",
            )
        )  # fmt: skip
    return Kept(tuple(entries), tuple(unusable))
