"""Rows that cannot be used, written down as they came with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmr_ml.runtime.home import writing_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

#: What is added to a row; a column of the source with such a name gets the suffix below.
ADDED = ("line", "reason", "sentence")
SUFFIX = "_original"


def quarantined_rows(raw: pd.DataFrame, rejected: pd.DataFrame) -> pd.DataFrame:
    """Return the rejected rows of `raw` as they came, with `line`, `reason` and `sentence`.

    Parameters
    ----------
    raw : DataFrame
        All rows and columns of the source.
    rejected : DataFrame
        Columns `line`, `reason` and `sentence`; indexed by position in `raw`.
    """
    rows = raw.iloc[rejected.index].rename(columns={name: name + SUFFIX for name in ADDED})
    return rows.set_axis(rejected.index).assign(**{name: rejected[name] for name in ADDED})


def write_quarantine(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write ``TABLE.csv`` into `folder` for each table with rows, remove those without.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        For every table that may be quarantined its rows as `quarantined_rows` returns them.

    Raises
    ------
    OutsideError
        ``cannot_write`` where the disk refuses.
    """
    for name, rows in tables.items():
        path = folder / f"{name}.csv"
        if rows.empty:
            # What an earlier run left would be read as this run's.
            path.unlink(missing_ok=True)
            continue
        with writing_file(path) as temporary:
            rows.to_csv(temporary, index=False, encoding="utf-8")
