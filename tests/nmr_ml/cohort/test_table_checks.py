from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from nmr_ml.cohort.canonical import empty_table
from nmr_ml.cohort.table_checks import schema, violations
from nmr_ml.cohort.tables import ATHLETES, LABS, SESSIONS, TABLES, TRUTH
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from nmr_ml.cohort.tables import Table


@pytest.mark.parametrize("table", [*TABLES.values(), TRUTH], ids=lambda table: table.name)
def test_schema_has_every_column_and_accepts_the_empty_table(table: Table) -> None:
    assert tuple(schema(table.name).columns) == table.names
    schema(table.name).validate(empty_table(table))


def _athletes(**columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"athlete_id": ["a", "b", "c"], "sex": ["male", "female", "unknown"]})
    return frame.astype("str").assign(**columns)


def _found(frame: pd.DataFrame) -> list[tuple[Quarantine, str, list[int]]]:
    return [
        (finding.reason, finding.column, list(np.flatnonzero(finding.rows)))
        for finding in violations(ATHLETES, frame)
    ]


def test_clean() -> None:
    assert _found(_athletes(birth_year=[1999.0, np.nan, 2001.0])) == []


def test_bounds_are_inclusive() -> None:
    assert _found(_athletes(training_tier=[0.0, 5.0, 5.01])) == [
        (Quarantine.OUT_OF_RANGE, "training_tier", [2])
    ]


def test_every_violation_is_found() -> None:
    frame = _athletes(
        athlete_id=pd.Series(["a", None, "c"], dtype="str"),
        sex=pd.Series(["Male", "female", "x"], dtype="str"),
        birth_year=[1.0, 3000.0, 2000.0],
    )
    assert sorted(_found(frame)) == [
        (Quarantine.MISSING_VALUE, "athlete_id", [1]),
        (Quarantine.OUT_OF_RANGE, "birth_year", [0, 1]),
        (Quarantine.UNKNOWN_CATEGORY, "sex", [0, 2]),
    ]


def test_expectations_are_said() -> None:
    (finding,) = violations(ATHLETES, _athletes(training_tier=[9.0, 1.0, 1.0]))
    assert "Expected 0 to 5." in finding.sentence
    labs = pd.DataFrame({"value": [-1.0]})
    (finding,) = violations(LABS, labs)
    assert "Expected 0 or more." in finding.sentence


def test_years_nobody_was_measured_in() -> None:
    times = pd.DatetimeIndex(["0026-03-01T00:00", "2026-03-01T00:00"]).as_unit("us")
    frame = pd.DataFrame({"started_at": times.tz_localize("UTC")})
    (finding,) = violations(SESSIONS, frame)
    assert (finding.reason, list(finding.rows)) == (Quarantine.OUT_OF_RANGE, [True, False])
