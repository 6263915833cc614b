"""Golden rows: predictions a model must reproduce before it may serve.

The athlete is invented and fixed, so a bundle holds nobody's data.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmr_ml.cohort.reader import canonical_cohort
from nmr_ml.errors import DataError
from nmr_ml.predictions.columns import NUMBERS
from nmr_ml.predictions.options import Options
from nmr_ml.predictions.predict import predict

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort

AS_OF = datetime(2026, 3, 31, 12, tzinfo=UTC)
#: Other processors may round the last bits differently; hours are not given to a second.
TOLERANCE = 1e-6


def golden_rows(bundle: Bundle) -> dict[str, Any]:
    """Return what `bundle` predicts for the invented athlete, as plain numbers."""
    frame = predict(bundle, _invented(), Options(as_of=AS_OF)).frame
    rows = frame[["component", "status", *NUMBERS]].to_dict("records")
    return {"rows": [{k: _plain(v) for k, v in row.items()} for row in rows]}


def check_golden(bundle: Bundle) -> None:
    """Refuse a bundle that does not reproduce its golden rows.

    Raises
    ------
    DataError
        ``golden_rows_differ``.
    """
    expected, found = bundle.golden["rows"], golden_rows(bundle)["rows"]
    alike = len(expected) == len(found) and all(
        e.keys() == f.keys() and all(_alike(e[k], f[k]) for k in e)
        for e, f in zip(expected, found, strict=True)
    )
    if not alike:
        raise DataError(
            "golden_rows_differ",
            "The model does not reproduce the predictions it was saved with.",
            "Serve it with the versions of nmr_ml and its libraries that wrote it, or train again.",
        )


def _plain(value: object) -> object:
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else str(float(value))
    return value


def _alike(expected: object, found: object) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return bool(np.isclose(expected, found, rtol=TOLERANCE, atol=TOLERANCE))
    return expected == found


@cache
def _invented() -> Cohort:
    """Return six weeks of an athlete who does not exist."""
    days = pd.date_range("2026-02-15", "2026-03-30", tz="UTC")
    training = days[np.arange(days.size) % 4 < 2]
    evening, morning = pd.Timedelta(hours=17), pd.Timedelta(hours=8)
    rank = np.arange(training.size)
    who = {"athlete_id": "golden"}
    night = np.arange(days.size)
    raw = {
        "athletes": pd.DataFrame(
            [{**who, "sex": "female", "birth_year": 1999, "body_mass_kg": 64, "training_tier": 3}]
        ),
        "sessions": pd.DataFrame(
            {
                **who,
                "session_id": [f"golden-{i}" for i in rank],
                "started_at": training + evening,
                "duration_min": 60.0 + rank % 3 * 15,
                "modality": "soccer",
                "session_rpe": 4.0 + rank % 4,
                "high_speed_distance_m": 200.0 + rank % 5 * 120,
            }
        ),
        "sleep": pd.DataFrame(
            {
                **who,
                "onset_at": days - pd.Timedelta(hours=1),
                "wake_at": days + pd.Timedelta(hours=7),
                "asleep_min": 400.0 + night % 6 * 12,
                "deep_min": 70.0 + night % 4 * 8,
                "deep_first3h_min": 45.0 + night % 5 * 5,
                "hrv_rmssd_ms": 60.0 + night % 7 * 4,
            }
        ),
        "tests": pd.DataFrame(
            {
                **who,
                "measured_at": np.repeat(days + morning, 3),
                "test": np.tile(["cmj_height", "rsi_mod", "readiness"], days.size),
                "value": np.column_stack(
                    [33.0 + night % 5 * 0.4, 0.48 + night % 4 * 0.01, 6.0 + night % 3]
                ).ravel(),
                "unit": np.tile(["cm", "m/s", "1"], days.size),
            }
        ),
        "labs": pd.DataFrame(
            {
                **who,
                "drawn_at": np.repeat(days[::14] + morning, 2),
                "analyte": np.tile(["testosterone", "cortisol"], days[::14].size),
                "value": np.tile([1.1, 420.0], days[::14].size),
                "unit": "nmol/L",
                "specimen": "serum",
            }
        ),
        "episodes": pd.DataFrame(
            {
                **who,
                "episode_id": ["golden-injury", "golden-systemic"],
                "kind": ["injury", "systemic"],
                "onset_at": [training[-4] + pd.Timedelta(hours=18), days[-3] + morning],
            }
        ),
    }
    cohort, _ = canonical_cohort("golden", "UTC", raw, now=AS_OF)
    return cohort
