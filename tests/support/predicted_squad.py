"""One athlete with a month behind them, and what a model says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from nmr_ml.predictions.options import Options
from nmr_ml.predictions.predict import predict
from tests.support.small_cohorts import at, measured, person, rested, session, small_cohort

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort


def squad(**tables: Any) -> Cohort:
    """Return one athlete with a month of sessions and tests, the last session at 0 h."""
    sessions = [session(-48.0 * i, 400.0 + 20 * (i % 3), name=f"s{i}") for i in range(14)]
    tests = [
        *rested([40.0, 40.5, 39.5]),
        *(measured(-48.0 * i + 20, 39.0, known_h=-48.0 * i + 20) for i in range(1, 14)),
    ]
    given = {"sessions": sessions, "tests": tests, "athletes": [person("a", sex="male")], **tables}
    return small_cohort(given.pop("sessions"), given.pop("tests"), **given)


def rows(bundle: Bundle, cohort: Cohort, hour: float | None = 24.0, **more: Any) -> pd.DataFrame:
    moment = None if hour is None else at(hour).to_pydatetime()
    return predict(bundle, cohort, Options(as_of=moment, **more)).frame


def lab(hour: float, analyte: str, value: float) -> dict[str, Any]:
    return {"athlete_id": "a", "drawn_at": at(hour), "analyte": analyte, "value": value,
            "unit": "1", "specimen": "serum", "known_at": at(hour)}  # fmt: skip


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Fail unless two tables of predictions are equal in every bit."""
    pd.testing.assert_frame_equal(
        one.reset_index(drop=True), other.reset_index(drop=True), check_exact=True
    )
