"""Rolling and exponentially weighted load in mlforecast: one row per athlete and day.

mlforecast knows one regular series per athlete, so there is no moment within a day, no `known_at`
and no missing session: the features of a day are those of the days before it. Its decay starts at
the first day and is not cut at 112 days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.peers.subset import DAY_S

if TYPE_CHECKING:
    from benchmarks.peers.subset import Tables

SPANS_D = (3, 7, 28)
NAMES = ("load_sum_1d_au", "load_sum_3d_au", "load_sum_7d_au", "load_sum_28d_au",
         "load_sd_7d_au", "acute_load_ewma7_au", "chronic_load_ewma28_au")  # fmt: skip


def prepare(tables: Tables) -> pd.DataFrame:
    """Return the load of every athlete and day, 0 where there is none on record."""
    sessions = tables["sessions"]
    day = sessions["at_s"] // DAY_S
    first, days = int(day.min()), int(day.max() - day.min()) + 1
    athletes = int(tables["queries"]["athlete"].max()) + 1
    grid = np.zeros((athletes, days))
    np.add.at(grid, (sessions["athlete"], day - first), np.nan_to_num(sessions["load"]))
    athlete, date = np.indices(grid.shape).reshape(2, -1)
    return pd.DataFrame({"unique_id": athlete, "ds": date + first, "y": grid.ravel()})


def build(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the features of each athlete and day, by `unique_id` and `ds` (days since 1970)."""
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import ExponentiallyWeightedMean, RollingMean, RollingStd

    means = [RollingMean(days) for days in SPANS_D]
    averages = [ExponentiallyWeightedMean(2 / (days + 1)) for days in (7, 28)]
    forecast = MLForecast(
        models=[], freq=1, lags=[1], lag_transforms={1: [*means, RollingStd(7), *averages]}
    )
    whole: pd.DataFrame = forecast.preprocess(frame, static_features=[], dropna=False)
    made = whole.drop(columns="y")
    made.columns = ["unique_id", "ds", *NAMES]
    for days in SPANS_D:
        made[f"load_sum_{days}d_au"] *= days
    return made
