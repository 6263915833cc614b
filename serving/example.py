"""A request made of the rows of a cohort: for the demonstration and for comparing both ways in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from nmr_ml.tables import TABLES

if TYPE_CHECKING:
    from datetime import datetime

    from nmr_ml.cohort import Cohort
    from nmr_ml.tables import Table


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


def eligible(cohort: Cohort, history_days: int = 28) -> tuple[str, datetime]:
    """Return an athlete about whom everything is measured, and the end of the last session.

    The athlete has that many days of sessions behind the last one, and sleep, laboratory values
    and tests; among several, the one whose last session is latest.
    """
    sessions = cohort["sessions"].groupby("athlete_id")["known_at"].agg(["min", "max"])
    long_enough = sessions["max"] - sessions["min"] >= pd.Timedelta(days=history_days)
    chosen = sessions[long_enough].sort_values("max", ascending=False)
    for name in ("sleep", "labs", "tests"):
        chosen = chosen[chosen.index.isin(cohort[name]["athlete_id"])]
    return str(chosen.index[0]), chosen["max"].iloc[0].to_pydatetime()


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
