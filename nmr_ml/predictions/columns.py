"""The columns of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmr_ml.levels import INTERVAL_LEVEL
from nmr_ml.recovery_tests import AVAILABILITY, COMPONENTS

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.history.episodes import Episodes
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.numeric.arrays import Ints


#: Hours after the clock start of the `p_*` and `deficit_*` columns.
P_H = (24.0, 48.0, 72.0, 96.0)


DEFICIT_H = (24.0, 48.0, 72.0)


NUMBERS = (
    "recovery_h", "lower_h", "upper_h", "remaining_h", "p_now",
    *(f"p_{h:.0f}h" for h in P_H), *(f"deficit_{h:.0f}h" for h in DEFICIT_H), "delta",
)  # fmt: skip


#: The columns of contract §4, in its order.
COLUMNS = (
    "athlete_id", "episode_id", "kind", "component", "index_test", "clock_start", "as_of",
    "status", "reason", "recovery_h", "lower_h", "upper_h", "interval_level", "upper_unbounded",
    "remaining_h", "recovered_at", "p_now", "p_24h", "p_48h", "p_72h", "p_96h",
    "deficit_24h", "deficit_48h", "deficit_72h", "delta", "delta_unit", "limiting", "extrapolated",
    "out_of_distribution", "evidence", "confidence", "completeness", "drivers",
    "model_name", "model_version", "contract_hash",
)  # fmt: skip


#: Added where a risk is asked for.
CLEARANCE = "clearance_h"


def identity(
    bundle: Bundle, history: History, episodes: Episodes, queries: Queries
) -> dict[str, Any]:
    """Return the columns that say what a row is about and who answers."""
    names = np.array([*COMPONENTS, AVAILABILITY], dtype=object)
    tests = np.array([*history.test_names, None], dtype=object)
    perceptual = names[queries.component] == "perceptual"
    return {
        "athlete_id": np.array(history.athlete_ids, dtype=object)[queries.athlete],
        "episode_id": episodes.ids[queries.episode],
        "kind": episodes.kinds[queries.episode],
        "component": names[queries.component],
        "index_test": tests[queries.test],
        "clock_start": _utc(queries.clock_start_s),
        "as_of": _utc(queries.as_of_s),
        "evidence": np.where(perceptual, "ratings_only", "tests").astype(object),
        "interval_level": INTERVAL_LEVEL,
        "model_name": bundle.model_name,
        "model_version": bundle.model_version,
        "contract_hash": bundle.contract_hash,
    }


def _utc(at_s: Ints) -> pd.Series[pd.Timestamp]:
    return pd.Series(at_s.astype("datetime64[s]").astype("datetime64[us]")).dt.tz_localize("UTC")
