"""The peers of the benchmark compute what the engine computes, where both mean the same."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.feature_cohort import START_S, landmark_queries, synthetic
from benchmarks.peers.subset import DAY_S, EWMA_NAMES, NAMES, SUM_NAMES, columns_of, tables_of
from benchmarks.stored import Problem, bytes_of, load, save
from nmr_ml.features.engine import build_features
from nmr_ml.history.history import build_history
from nmr_ml.history.queries import Queries
from nmr_ml.recovery_tests import shipped_testspecs

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.numeric.arrays import Floats

TOLERANCE = 1e-9
#: The event time of each table, the moment a row is known at once.
EVENT = {"sessions": "ended_at", "sleep": "wake_at", "labs": "drawn_at"}


def problem(cohort: Cohort) -> Problem:
    history = build_history(cohort, ("cmj_height", "readiness"))
    return Problem(history, landmark_queries(history, 0, (0.0, 24.0, 48.0)))


def with_ties(cohort: Cohort) -> Cohort:
    """Put every time of a session on a whole hour, so that many coincide."""
    for column in ("started_at", "ended_at", "known_at"):
        cohort.tables["sessions"][column] = cohort.tables["sessions"][column].dt.ceil("h")
    return cohort


def known_at_once(cohort: Cohort) -> Cohort:
    for table, column in EVENT.items():
        cohort.tables[table]["known_at"] = cohort.tables[table][column]
    return cohort


def engine(asked: Problem, names: tuple[str, ...]) -> np.ndarray:
    matrix = build_features(asked.history, asked.queries, shipped_testspecs())
    return matrix[:, columns_of(names)]


def peer(name: str, asked: Problem, names: tuple[str, ...]) -> Floats:
    pytest.importorskip(name)
    module: Any = importlib.import_module(f"benchmarks.peers.{name}_features")
    out = module.build(module.prepare(tables_of(*asked)))[list(names)]
    matrix: Floats = out.to_numpy() if name == "polars" else out.to_numpy(np.float64)
    return matrix


def assert_same(theirs: np.ndarray, ours: np.ndarray, names: tuple[str, ...]) -> None:
    assert theirs.shape == ours.shape
    error = np.abs(theirs - ours) / np.maximum(1.0, np.abs(ours))
    unlike = (np.isnan(theirs) != np.isnan(ours)) | (error > TOLERANCE)
    assert not unlike.any(), {
        n: int(k) for n, k in zip(names, unlike.sum(axis=0), strict=True) if k
    }
    assert (~np.isnan(ours)).any(axis=0).all(), "a feature without a value compares nothing"


@pytest.mark.parametrize("name", ["polars", "duckdb"])
def test_two_clock_peers_agree_with_the_engine(name: str) -> None:
    asked = problem(synthetic(6, 200))
    names = NAMES if name == "duckdb" else tuple(n for n in NAMES if n not in EWMA_NAMES)
    assert_same(peer(name, asked, names), engine(asked, names), names)


@pytest.mark.parametrize("name", ["polars", "duckdb"])
def test_two_clock_peers_agree_where_times_coincide(name: str) -> None:
    # On whole hours the engine's ages in hours and Polars' in seconds are the same.
    asked = problem(with_ties(synthetic(6, 200, seed=2)))
    at_s = asked.history.sessions.at_s
    assert (np.diff(at_s) == 0).any(), "no two sessions end at the same time"
    assert_same(peer(name, asked, NAMES), engine(asked, NAMES), NAMES)


def test_pandas_agrees_where_every_row_is_known_at_once() -> None:
    from benchmarks.peers.pandas_features import OTHERWISE

    names = tuple(n for n in NAMES if n not in OTHERWISE)
    asked = problem(known_at_once(synthetic(6, 200)))
    assert_same(peer("pandas", asked, names), engine(asked, names), names)


def test_pandas_sees_rows_that_were_not_known() -> None:
    asked = problem(synthetic(6, 200))
    names = ("load_sum_7d_au",)
    assert not np.allclose(
        peer("pandas", asked, names), engine(asked, names), rtol=TOLERANCE, equal_nan=True
    )


def test_mlforecast_agrees_at_midnight() -> None:
    pytest.importorskip("mlforecast")
    from benchmarks.peers import mlforecast_features

    asked = problem(known_at_once(synthetic(4, 100)))
    made = mlforecast_features.build(mlforecast_features.prepare(tables_of(*asked)))
    made = made[made["ds"] >= START_S // DAY_S + 40]  # whole windows only
    n, midnight = len(made), made["ds"].to_numpy() * DAY_S
    zero, none = np.zeros(n, np.int64), np.full(n, -1)
    at_midnight = Queries(zero, zero, made["unique_id"].to_numpy(), none, zero, midnight, midnight)
    names = ("load_sum_1d_au", "load_sum_3d_au", "load_sum_7d_au", "load_sum_28d_au")
    ours = engine(Problem(asked.history, at_midnight), names)
    told = ~np.isnan(ours)
    np.testing.assert_allclose(made[list(names)].to_numpy()[told], ours[told], rtol=1e-9, atol=1e-9)
    assert told.mean() > 0.8


def test_a_stored_problem_is_read_as_it_was(tmp_path: Path) -> None:
    asked = problem(synthetic(2, 30))
    save(asked, tmp_path)
    read = load(tmp_path)
    assert read.history.athlete_ids == asked.history.athlete_ids
    assert bytes_of(read.history) == bytes_of(asked.history) > 10_000
    names = (*SUM_NAMES, "last_night_age_h")
    np.testing.assert_array_equal(engine(read, names), engine(asked, names))
