"""Frames to a cohort folder, written whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import yaml

from nmr_ml.cohort.folder import DESCRIPTION
from nmr_ml.cohort.tables import TABLES, TRUTH
from nmr_ml.errors import UsageError
from nmr_ml.runtime.home import writing_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_cohort(
    path: Path,
    *,
    name: str,
    timezone: str,
    tables: Mapping[str, pd.DataFrame],
    description: str = "",
    source: str = "",
    fmt: Literal["parquet", "csv"] = "parquet",
    truth: pd.DataFrame | None = None,
) -> None:
    """Write a cohort folder; one that is there already is replaced once all is written.

    Parameters
    ----------
    path : Path
        The folder; if it exists it must be empty or a cohort.
    name, timezone, description, source : str
        For ``cohort.yaml``; empty ones are left out.
    tables : mapping of str to DataFrame
        Frames by table, with the columns of `nmr_ml.cohort.tables` or some of them; times with
        zone.
    fmt : {"parquet", "csv"}
        One file for each table. Both read back to the same canonical frames.
    truth : DataFrame, optional
        What a simulator knows about the recovery times.

    Raises
    ------
    UsageError
        ``out_not_empty`` where `path` holds something else than a cohort.
    OutsideError
        ``cannot_write`` where the disk refuses.
    ValueError
        For a table or a column that the format does not have.
    """
    if path.exists() and not _replaceable(path):
        raise UsageError(
            "out_not_empty",
            f"{path} exists and is not a cohort, expected a new or empty folder.",
            "Give another folder.",
        )
    frames = dict(tables) if truth is None else {**tables, TRUTH.name: truth}
    _refuse_unknown(frames)
    about = {"name": name, "timezone": timezone, "description": description, "source": source}
    with writing_folder(path) as folder:
        text = yaml.safe_dump(
            {key: value for key, value in about.items() if value},
            allow_unicode=True,
            sort_keys=False,
        )
        (folder / DESCRIPTION).write_text(text, encoding="utf-8")
        for table, frame in frames.items():
            if fmt == "parquet":
                frame.to_parquet(folder / f"{table}.parquet", index=False)
            else:
                _plain(frame).to_csv(folder / f"{table}.csv", index=False, encoding="utf-8")


def _replaceable(path: Path) -> bool:
    return path.is_dir() and ((path / DESCRIPTION).is_file() or not any(path.iterdir()))


def _refuse_unknown(frames: Mapping[str, pd.DataFrame]) -> None:
    for table, frame in frames.items():
        known = TRUTH if table == TRUTH.name else TABLES.get(table)
        strangers = ["it"] if known is None else sorted({*frame.columns} - {*known.names})
        if strangers:
            raise ValueError(f"{table}: the format does not have {', '.join(strangers)}")


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with its times as ISO-8601 text in UTC, for CSV."""
    times = {
        name: _iso(frame[name])
        for name in frame.columns
        if isinstance(frame[name].dtype, pd.DatetimeTZDtype)
    }
    return frame.assign(**times)


def _iso(times: pd.Series) -> pd.Series:
    # pandas would put a blank where ISO-8601 has a T, and takes ten times as long.
    utc = times.dt.as_unit("us").dt.tz_convert("UTC").to_numpy(dtype="datetime64[us]")
    text = np.datetime_as_string(utc, unit="us", timezone="UTC")
    return pd.Series(text, index=times.index, dtype="str").where(times.notna())
