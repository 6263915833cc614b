"""lifelines' log-normal accelerated failure time model of T + 24 h on hard intervals."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from lifelines import LogNormalAFTFitter

from benchmarks.rivals.method import Answer, Columns, Training, middles, strongest
from benchmarks.rivals.normal import SHIFT_H, quantiles, warp

if TYPE_CHECKING:
    from benchmarks.rivals.problem import Side
    from nmr_ml.numeric.arrays import Floats


#: A linear model of all 200 features is unstable; these are chosen by LightGBM's gain.
FEATURES = 40
EPISODES = 6000


def fit(training: Training) -> Answer:
    """Fit location and spread, the location linear in the strongest features."""
    lower, upper = training.intervals()
    middle, _ = middles(lower, upper)
    chosen = strongest(training.X, warp(middle), training.seed, FEATURES)
    columns = Columns.of(training.X, chosen)
    rows = training.subset(EPISODES)
    frame = _frame(columns.dense(training.X[rows]))
    frame["lower"], frame["upper"] = lower[rows] + SHIFT_H, upper[rows] + SHIFT_H
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogNormalAFTFitter(penalizer=0.01).fit_interval_censoring(frame, "lower", "upper")

    def answer(side: Side) -> Floats:
        asked = _frame(columns.dense(side.X))
        location = model.params_["mu_"]
        mean = asked.to_numpy() @ location[asked.columns].to_numpy() + location["Intercept"]
        spread = float(np.exp(model.params_["sigma_"]["Intercept"]))
        return quantiles(mean, spread)

    return answer


def _frame(dense: Floats) -> pd.DataFrame:
    return pd.DataFrame(dense, columns=[f"x{i}" for i in range(dense.shape[1])])
