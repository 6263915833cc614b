"""DuckDB computes every label again from the tables, knowing nothing of the kernels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd
import pytest

from nmr_ml.history.rested_baseline import REST_S
from nmr_ml.recovery_tests import COMPONENTS, shipped_testspecs
from tests.support.feature_cohorts import random_cohort
from training.data.training_set import training_frame

if TYPE_CHECKING:
    from nmr_ml.cohort.cohort import Cohort

SPECS = shipped_testspecs()
QUERY = (Path(__file__).parent / "labels.sql").read_text(encoding="utf-8")
KEYS = ["episode", "component", "hours"]


def by_sql(cohort: Cohort, chosen: dict[str, str]) -> pd.DataFrame:
    with duckdb.connect() as sql:
        sql.execute("CREATE MACRO nn(x) AS CASE WHEN isnan(x) THEN NULL ELSE x END")
        for name in ("sessions", "tests"):
            sql.register(name, cohort[name])
        parts = [
            sql.execute(
                QUERY,
                {
                    "component": component,
                    "test": test,
                    "rest_s": REST_S[component],
                    "lower": SPECS[test].direction == "lower",
                    "in_pct": SPECS[test].scale == "pct",
                    "between": SPECS[test].between_day_te,
                    "trial": SPECS[test].trial_te,
                    "trials": float(SPECS[test].trials_n),
                    "zone": cohort.timezone,
                    "day": SPECS[test].day_amplitude,
                },
            ).df()
            for component, test in chosen.items()
        ]
    return pd.concat(parts).sort_values(KEYS, ignore_index=True)


def by_kernels(cohort: Cohort) -> tuple[pd.DataFrame, dict[str, str]]:
    frame = training_frame(cohort, SPECS, [0.0])
    frame = frame[frame["kind"] == "exertion"]
    chosen = dict(zip(frame["component"], frame["y_index_test"], strict=True))
    labelled = frame[frame["y_state"] == "labelled"]
    columns = ["episode_id", "component", "y_hours", "y_deficit", "y_error", "y_shared_error"]
    told = labelled[columns].explode(["y_hours", "y_deficit", "y_error"])
    told.columns = pd.Index(["episode", "component", "hours", "deficit", "error", "shared"])
    numbers = dict.fromkeys(["hours", "deficit", "error", "shared"], np.float64)
    return told.astype(numbers).sort_values(KEYS, ignore_index=True), chosen


def agree(cohort: Cohort, *, least: int) -> None:
    found, chosen = by_kernels(cohort)
    expected = by_sql(cohort, chosen)
    assert len(expected) >= least
    assert set(expected["component"]) == set(chosen) <= set(COMPONENTS)
    assert found[["episode", "component"]].to_numpy().tolist() == (
        expected[["episode", "component"]].to_numpy().tolist()
    )
    numbers = ["hours", "deficit", "error", "shared"]
    assert found[numbers].to_numpy() == pytest.approx(
        expected[numbers].to_numpy(np.float64), rel=1e-9, abs=1e-9
    )


def test_labels_of_a_simulated_cohort(sim_cohort: Cohort) -> None:
    agree(sim_cohort, least=500)


@pytest.mark.parametrize("seed", [3, 4])
def test_labels_of_an_awkward_cohort(seed: int) -> None:
    """Gaps, overlapping and late sessions, rows flagged as not rested, unknown loads."""
    agree(random_cohort(seed, athletes=3, days=80), least=100)
