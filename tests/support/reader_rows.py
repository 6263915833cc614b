"""One good row of each table, and the moment at which it is read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from nmr_ml.cohort.reader import canonical_cohort

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.cohort.cohort import Cohort

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
Row = dict[str, Any]

ATHLETE: Row = {"athlete_id": "007", "sex": "male"}
#: One good row of each table.
GOOD: dict[str, Row] = {
    "athletes": ATHLETE,
    "sessions": {
        "session_id": "s1",
        "athlete_id": "007",
        "started_at": "2026-03-01T17:00:00+01:00",
        "ended_at": "2026-03-01T18:30:00+01:00",
    },
    "sleep": {
        "athlete_id": "007",
        "onset_at": "2026-03-01T23:00:00+01:00",
        "wake_at": "2026-03-02T07:00:00+01:00",
    },
    "sleep_epochs": {
        "athlete_id": "007",
        "started_at": "2026-03-01T23:00:00+01:00",
        "duration_s": "30",
        "stage": "deep",
    },
    "labs": {
        "athlete_id": "007",
        "drawn_at": "2026-03-02T08:00:00+01:00",
        "analyte": "cortisol",
        "value": "12",
        "unit": "ug/dL",
        "specimen": "serum",
    },
    "tests": {
        "athlete_id": "007",
        "measured_at": "2026-03-02T09:00:00+01:00",
        "test": "cmj_height",
        "value": "0.35",
        "unit": "m",
    },
    "nutrition": {"athlete_id": "007", "date": "2026-03-01"},
    "episodes": {
        "episode_id": "e1",
        "athlete_id": "007",
        "kind": "injury",
        "onset_at": "2026-03-01T18:00:00+01:00",
    },
}


def read_rows(
    timezone: str = "Europe/Oslo", **rows: list[Row]
) -> tuple[Cohort, Mapping[str, pd.DataFrame]]:
    """Return the cohort of these rows, with an athlete unless `athletes` is given, and the rest."""
    return read_tables(rows, timezone)


def read_tables(
    rows: Mapping[str, list[Row]], timezone: str = "Europe/Oslo"
) -> tuple[Cohort, Mapping[str, pd.DataFrame]]:
    """Return the same of rows by table."""
    raw = {"athletes": [ATHLETE], **rows}
    return canonical_cohort(
        "squad", timezone, {name: pd.DataFrame(of) for name, of in raw.items()}, now=NOW
    )
