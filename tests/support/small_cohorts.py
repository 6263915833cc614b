"""Hand-made cohorts: rows at hours after an origin, so that expected labels are arithmetic."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmr_ml.history.history import History, build_history
from nmr_ml.history.rested_baseline import KEPT_TESTS, REST_H, TYPICAL_REST, Baselines
from nmr_ml.labels.followed_tests import Followed
from nmr_ml.recovery_tests import shipped_testspecs
from tests.support.feature_cohorts import cohort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.numeric.arrays import Floats

START = pd.Timestamp("2026-03-02T00:00:00Z")
START_S = int(START.timestamp())
SPECS = shipped_testspecs()
NAMES = tuple(sorted(SPECS))
Row = dict[str, Any]
_numbers = count()


def at(hours: float) -> pd.Timestamp:
    """Return the moment `hours` after the origin."""
    return START + pd.Timedelta(seconds=round(hours * 3600))


def at_s(hours: float) -> int:
    """Return the same in seconds since 1970."""
    return START_S + round(hours * 3600)


def session(
    ends_h: float, load: float = 400.0, *, hours: float = 1.5, athlete: str = "a",
    name: str | None = None, known_h: float | None = None, modality: str | None = "soccer",
    **more: Any,
) -> Row:  # fmt: skip
    """Return a session by its end; `load` in arbitrary units (NaN: not reported)."""
    return {
        "session_id": f"s{next(_numbers)}" if name is None else name,
        "athlete_id": athlete,
        "started_at": at(ends_h - hours),
        "ended_at": at(ends_h),
        "session_load_au": load,
        "modality": modality,
        "time_precision": "minute",
        "known_at": at(ends_h if known_h is None else known_h),
        **more,
    }


def measured(
    hour: float, value: float, *, test: str = "cmj_height", athlete: str = "a",
    rested: bool | None = None, trials_n: float = 3, known_h: float | None = None,
) -> Row:  # fmt: skip
    """Return a test; `value` in the canonical unit of `test`."""
    return {
        "athlete_id": athlete,
        "measured_at": at(hour),
        "test": test,
        "value": value,
        "unit": SPECS[test].unit,
        "trials_n": trials_n,
        "rested": rested,
        "time_precision": "minute",
        "known_at": at(hour if known_h is None else known_h),
    }


def rested(values: Sequence[float], *, test: str = "cmj_height", athlete: str = "a") -> list[Row]:
    """Return tests declared rested, a day apart, the last one 24 h before the origin."""
    return [
        measured(-24.0 * (len(values) - i), value, test=test, athlete=athlete, rested=True)
        for i, value in enumerate(values)
    ]


def small_cohort(
    sessions: Sequence[Row], tests: Sequence[Row] = (), *, timezone: str = "UTC", **tables: Any
) -> Cohort:
    """Return a cohort of these rows and, unless `athletes` is given, an adult for each id."""
    ids = dict.fromkeys(
        row["athlete_id"] for row in (*sessions, *tests, *tables.get("episodes", ()))
    )
    athletes = tables.pop("athletes", [person(name) for name in ids])
    given = {**tables, "athletes": athletes, "sessions": list(sessions), "tests": list(tests)}
    return cohort(timezone, **{name: rows for name, rows in given.items() if rows})


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a table, to make another cohort of."""
    return [{str(name): x for name, x in row.items()} for row in frame.to_dict("records")]


def person(athlete: str, **more: Any) -> Row:
    """Return an athlete, a woman born in 1995 unless said otherwise."""
    return {"athlete_id": athlete, "sex": "female", "birth_year": 1995, **more}


def history_of(some: Cohort) -> History:
    """Return the history with every shipped test."""
    return build_history(some, NAMES)


def followed_of(
    episodes: Sequence[Sequence[tuple[float, float, float]]],
    shared: Sequence[float] | Floats | float = 1.0,
) -> Followed:
    """Return episodes from their tests as (hours, deficit, error)."""
    flat = np.array([test for tests in episodes for test in tests], np.float64).reshape(-1, 3).T
    hours, deficit, error = np.ascontiguousarray(flat)
    n = len(episodes)
    ones = np.ones(n)
    offsets = np.concatenate([[0], np.cumsum([len(tests) for tests in episodes])])
    taken_s = np.tile(-86_400 * np.arange(KEPT_TESTS), (n, 1))  # one baseline for all
    rest = np.zeros((n, REST_H.size))
    rest[:, TYPICAL_REST] = 1.0
    baselines = Baselines(
        ones * 40.0, ones * 0.4, np.full(n, KEPT_TESTS), taken_s, rest, ones * 0.0
    )
    return Followed(
        offsets.astype(np.int64), hours, deficit, error, np.broadcast_to(shared, n) * ones,
        baselines,
    )  # fmt: skip
