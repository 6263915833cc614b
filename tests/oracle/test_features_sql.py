"""DuckDB computes every feature again from the frames, knowing nothing of the kernels.

Both add up the same numbers in a different order, so they differ by rounding: a sum of n terms by
at most n · 1.1e-16 of its size, which for the largest sums here (a few hundred terms) and the
cancellation in a standard deviation stays below 1e-9 relative to max(1, |x|).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from nmr_ml.cohort.tables import MODALITIES, SESSION_KINDS, SEXES, SPECIMENS, TABLES
from nmr_ml.features.contract import feature_contract
from nmr_ml.features.engine import build_features
from nmr_ml.features.measured import ANALYTE_SERIES, ITEMS, LAB_SERIES, NIGHT_COLUMNS
from nmr_ml.history.rested_baseline import rested_baselines
from nmr_ml.recovery_tests import shipped_testspecs
from tests.support.feature_cohorts import history_of, random_cohort, random_queries

if TYPE_CHECKING:
    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries

ORACLE = Path(__file__).parent
TOLERANCE = 1e-9
SPECS = shipped_testspecs()


@pytest.mark.parametrize(("seed", "days", "rate"), [(11, 60, 1.2), (12, 150, 0.6)])
def test_engine_agrees_with_sql(seed: int, days: int, rate: float) -> None:
    cohort = random_cohort(seed, athletes=3, days=days, rate=rate)
    history = history_of(cohort)
    queries = random_queries(history, seed, landmarks=(0, 25))
    queries = queries.take(np.random.default_rng(seed).permutation(len(queries))[:400])
    names = feature_contract().names
    given = pd.DataFrame(build_features(history, queries, SPECS), columns=list(names))
    expected = _expected(cohort, history, queries)
    assert set(expected) == set(names)
    told = [name for name in names if given[name].notna().any()]
    assert len(told) > 150
    wrong = {name: n for name in names if (n := _differing(given[name], expected[name]))}
    assert wrong == {}


def _differing(given: pd.Series, expected: pd.Series) -> int:
    x, y = given.to_numpy(np.float64), expected.to_numpy(np.float64)
    close = np.abs(x - y) <= TOLERANCE * np.maximum(1, np.abs(y))
    return int((~(close | (np.isnan(x) & np.isnan(y)))).sum())


def _expected(cohort: Cohort, history: History, queries: Queries) -> pd.DataFrame:
    with duckdb.connect() as sql:
        _load(sql, cohort, history, queries)
        parts = [
            _ask(sql, "own_session", modalities=list(MODALITIES), kinds=list(SESSION_KINDS)),
            _ask(sql, "sessions"),
            _ask(sql, "sleep"),
            _ask(sql, "record", sexes=list(SEXES), items=list(ITEMS)),
        ]
        labs = _ask(sql, "endocrine", specimens=list(SPECIMENS))
    endocrine = _endocrine(labs, len(queries))
    return pd.concat([*(part.drop(columns="q_id") for part in parts), endocrine], axis=1).astype(
        np.float64
    )


def _load(
    sql: duckdb.DuckDBPyConnection, cohort: Cohort, history: History, queries: Queries
) -> None:
    found = rested_baselines(history, queries, SPECS)  # tested on its own, by hand
    frames = {
        **{name: cohort[name] for name in TABLES},
        "asked": _asked(history, queries),
        "floors": pd.DataFrame([(n, f) for n, (_, f) in NIGHT_COLUMNS.items()],
                               columns=["name", "floor"]),
        "series": pd.DataFrame([(s.name, s.max_age_d, s.resting) for s in LAB_SERIES],
                               columns=["name", "max_age_d", "resting"]),
        "directions": pd.DataFrame([(n, SPECS[n].direction == "lower", SPECS[n].scale == "pct")
                                    for n in history.test_names],
                                   columns=["test", "lower", "in_pct"]),
    }  # fmt: skip
    for name, frame in frames.items():
        sql.register(f"{name}_frame", frame)
        sql.table(f"{name}_frame").create(name)
    baselines = pd.DataFrame({"mean": found.mean, "se": found.se, "tests_n": found.tests_n})
    sql.register("baselines_frame", baselines.rename_axis("q_id").reset_index())
    sql.execute("SET TimeZone = 'UTC'")
    sql.execute("SET VARIABLE zone = $zone", {"zone": cohort.timezone})
    sql.execute((ORACLE / "views.sql").read_text(encoding="utf-8"))
    sql.execute(
        "CREATE TABLE baselines AS SELECT q_id, nn(mean) AS mean, nn(se) AS se, tests_n "
        "FROM baselines_frame"
    )


def _asked(history: History, queries: Queries) -> pd.DataFrame:
    own = [history.session_ids[row] if row >= 0 else None for row in queries.session]
    index = [history.test_names[code] if code >= 0 else None for code in queries.test]
    return pd.DataFrame({
        "q_id": np.arange(len(queries)),
        "athlete_id": [history.athlete_ids[a] for a in queries.athlete],
        "session_id": pd.Series(own, dtype="str"), "index_test": pd.Series(index, dtype="str"),
        "clock_s": queries.clock_start_s, "as_of_s": queries.as_of_s,
    })  # fmt: skip


def _ask(sql: duckdb.DuckDBPyConnection, name: str, **parameters: object) -> pd.DataFrame:
    found = sql.execute((ORACLE / f"{name}.sql").read_text(encoding="utf-8"), parameters).df()
    if "many" not in found:
        return found
    many = [row if isinstance(row, dict) else {} for row in found.pop("many")]
    return pd.concat([found, pd.DataFrame(many, index=found.index)], axis=1)


def _endocrine(rows: pd.DataFrame, n: int) -> pd.DataFrame:
    """Spread the series over columns; DuckDB has no normal distribution for the probability."""
    columns: dict[str, pd.Series] = {}
    for key, some in rows.set_index("q_id").groupby("name"):
        name = str(key)
        pill = some["blood"] & some["pill"]
        deviation = some["ln"] - some["mean"]
        if name == "after_exercise":
            columns["hormone_after_exercise"] = some["ln"]
        elif name in {series.name for series in ANALYTE_SERIES}:
            hidden = pill & (name in {"testosterone", "free_testosterone", "cortisol", "shbg"})
            columns[f"{name}_ln"] = some["ln"].where(some["blood"] & ~hidden)
            columns[f"{name}_dev_ln"] = deviation
            columns[f"{name}_age_d"] = some["age_d"]
        else:
            noise = np.where(some["uncorrected"], 0.35, 0.24) ** 2 * (1 + 1 / some["n"])
            kept = 0.25**2 / (0.25**2 + noise)
            below = norm.cdf((np.log(0.7) - kept * deviation) / np.sqrt(kept * noise))
            columns[f"{name}_dev_ln"] = deviation.where(~pill)
            columns[f"{name}_drop_30pct_p"] = pd.Series(below, some.index).where(~pill)
            columns[f"{name}_age_d"] = some["age_d"].where(~pill)
    contract = feature_contract()
    groups = zip(contract.names, contract.groups, strict=True)
    wanted = [name for name, group in groups if group == "endocrine"]
    return pd.DataFrame(columns).reindex(index=range(n), columns=wanted)
