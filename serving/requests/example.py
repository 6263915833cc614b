"""A request made of the rows of a cohort: for the demonstration and for comparing both ways in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from nmr_ml.cohort.tables import TABLES
from nmr_ml.errors import DataError

if TYPE_CHECKING:
    from datetime import datetime

    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.cohort.tables import Table


def request_of(cohort: Cohort, athlete_id: str, as_of: datetime) -> dict[str, Any]:
    """Return the body of a request about one athlete with all that was known at `as_of`.

    Parameters
    ----------
    cohort : Cohort
    athlete_id : str
    as_of : datetime with zone
    """
    body: dict[str, Any] = {"timezone": cohort.timezone, "as_of": as_of.isoformat()}
    for name, table in TABLES.items():
        frame = cohort[name]
        rows = frame[frame["athlete_id"] == athlete_id]
        if "known_at" in rows:
            rows = rows[rows["known_at"] <= as_of]
        body[name] = [_row(record, table) for record in rows.to_dict("records")]
    (body["athlete"],) = body.pop("athletes")
    return body


def eligible(cohort: Cohort, history_days: int = 28, recent_days: int = 3) -> tuple[str, datetime]:
    """Return an athlete about whom much is measured, and the end of the last session.

    The athlete has sleep, laboratory values and tests, that many days of sessions behind the last
    one, and that one in the last days of the cohort; among several, it was the hardest one.

    Raises
    ------
    DataError
        ``nobody_eligible``.
    """
    sessions = cohort["sessions"].sort_values("known_at")
    last = sessions.groupby("athlete_id").last()
    behind = last["known_at"] - sessions.groupby("athlete_id")["known_at"].first()
    recent = last["known_at"] >= last["known_at"].max() - pd.Timedelta(days=recent_days)
    chosen = last[recent & (behind >= pd.Timedelta(days=history_days))]
    for name in ("sleep", "labs", "tests"):
        chosen = chosen[chosen.index.isin(cohort[name]["athlete_id"])]
    if chosen.empty:
        raise DataError(
            "nobody_eligible",
            f"No athlete has {history_days} days of sessions with sleep, labs and tests.",
            "Simulate more athletes or days.",
        )
    hardest = chosen["session_load_au"].fillna(0).idxmax()
    return str(hardest), chosen.loc[hardest, "known_at"].to_pydatetime()


def _row(record: dict[Any, Any], table: Table) -> dict[str, Any]:
    return {
        column.name: _plain(record[column.name], column.kind)
        for column in table.columns
        if not pd.isna(record[column.name])
    }


def _plain(value: Any, kind: str) -> object:  # noqa: ANN401  a cell of any kind
    if kind == "date":
        return value.date().isoformat()
    if kind == "time":
        return value.isoformat()
    return {"number": float, "bool": bool}.get(kind, str)(value)
