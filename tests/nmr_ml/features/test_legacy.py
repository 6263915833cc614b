"""What is computed beside the features for comparison with older work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from nmr_ml.cli.main import run
from nmr_ml.cohort.writer import write_cohort
from nmr_ml.features.contract import feature_contract
from nmr_ml.features.legacy import ACUTE, CHRONIC, acwr
from tests.support.small_cohorts import measured, session, small_cohort

if TYPE_CHECKING:
    from pathlib import Path

NAMES = feature_contract().names


def rows(*loads: tuple[float, float]) -> np.ndarray:
    """Return features that hold the acute and the chronic load alone."""
    features = np.full((len(loads), len(NAMES)), np.nan)
    features[:, [NAMES.index(ACUTE), NAMES.index(CHRONIC)]] = loads
    return features


def test_ratio_is_that_of_daily_means() -> None:
    assert acwr(rows((700, 2800), (1400, 2800), (0, 2800))).tolist() == [1.0, 2.0, 0.0]


def test_ratio_is_missing_without_either_load_and_after_four_weeks_of_rest() -> None:
    assert np.isnan(acwr(rows((np.nan, 2800), (700, np.nan), (0, 0)))).all()


def test_no_feature_is_a_ratio_of_them() -> None:
    assert not [name for name in NAMES if "acwr" in name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two months of a session every other day."""
    path, sessions = tmp_path / "two_months", [session(48.0 * day + 18) for day in range(30)]
    tables = small_cohort(sessions, [measured(48.0 * day, 30) for day in range(30)]).tables
    write_cohort(path, name="two_months", timezone="UTC", tables=tables)
    return path


def test_only_who_asks_gets_it(folder: Path, tmp_path: Path) -> None:
    without, beside = tmp_path / "without.parquet", tmp_path / "beside.parquet"
    assert run(["features", str(folder), str(without)]) == 0
    assert run(["features", str(folder), str(beside), "--with", "acwr"]) == 0
    plain, more = pd.read_parquet(without), pd.read_parquet(beside)
    assert list(more.columns) == [*plain.columns, "acwr"]
    assert more["acwr"].notna().any()
    pd.testing.assert_series_equal(
        more["acwr"], 4 * plain[ACUTE] / plain[CHRONIC], check_names=False
    )


def test_unknown_quantity_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.parquet"
    assert run(["features", str(folder), str(out), "--with", "tsb"]) == 2
    assert "'tsb' is not known, expected acwr" in capsys.readouterr().err
    assert not out.exists()
