"""What is compared on worlds: methods that learn from a cohort and answer about another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.rivals.method import first_recovered, middles
from nmr_ml.cohort.cohort import Cohort
from nmr_ml.levels import INTERVAL_LEVEL
from nmr_ml.predictions.options import Options
from nmr_ml.predictions.predict import predict
from nmr_ml.recovery_tests import shipped_testspecs
from training.config import load_config
from training.data.dataset import component_data
from training.experiments.experiment import assemble, collect, fit_components
from training.fitting.availability import absence_data, fit_availability
from training.fitting.readings import fit_readings

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats
    from training.data.dataset import ComponentData


#: Answers about the athletes of a cohort, with the columns of a prediction.
Answer = Callable[[Cohort], pd.DataFrame]
#: Learns from a cohort, given δ by component. Learning and answering are apart, so that one
#: training can be asked about a cohort with and without its tests, and each is timed.
Method = Callable[[Cohort, Mapping[str, float]], Answer]
#: The scores of held-out athletes are not looked at here, and cost half of a training.
UNSCORED = ("bootstrap=1", "held_out_time=null")


def today(train: Cohort, deltas: Mapping[str, float]) -> Answer:
    """Train the product as `nmr train` does, and answer as `nmr score` does."""
    specs, config = shipped_testspecs(), load_config(None, UNSCORED)
    data = collect([train], specs, config)
    fitted, _ = fit_components(data, specs, config, progress=lambda _: None)
    availability = fit_availability([absence_data(train, specs)], config)
    readings = fit_readings([train], data, fitted, specs, config)
    bundle = assemble(fitted, specs, config, [], availability, readings)
    return lambda asked: predict(bundle, asked, Options(deltas=deltas)).frame


@dataclass(frozen=True, slots=True)
class _Labels:
    """Hours that a reader of the tests would note, by modality: 10, 50 and 90 % of them."""

    by_modality: Mapping[str, Floats]
    everyone: Floats

    @classmethod
    def of(cls, data: ComponentData, delta: float) -> _Labels:
        noted, _ = middles(*first_recovered(data.followed, delta))
        shares = np.array([0.5 * (1.0 - INTERVAL_LEVEL), 0.5, 0.5 * (1.0 + INTERVAL_LEVEL)])
        modalities = {str(m): np.quantile(noted[data.modality == m], shares) for m in
                      pd.unique(data.modality)}  # fmt: skip
        return cls(modalities, np.quantile(noted, shares))


def label_medians(train: Cohort, deltas: Mapping[str, float]) -> Answer:
    """Note when tests first read below δ, and say the median of the session's modality."""
    data = component_data(train, shipped_testspecs(), (0.0,))
    labels = {name: _Labels.of(part, deltas[name]) for name, part in data.items() if name in deltas}
    return lambda asked: pd.concat(
        [_said(asked, name, told, deltas[name]) for name, told in labels.items()],
        ignore_index=True,
    )


def _said(asked: Cohort, component: str, labels: _Labels, delta: float) -> pd.DataFrame:
    sessions = asked["sessions"]
    told = np.stack([labels.by_modality.get(str(m), labels.everyone) for m in sessions["modality"]])
    return pd.DataFrame(
        {
            "athlete_id": sessions["athlete_id"], "episode_id": sessions["session_id"],
            "component": component, "clock_start": sessions["ended_at"],
            "as_of": sessions["ended_at"], "status": "ok", "reason": None, "lower_h": told[:, 0],
            "recovery_h": told[:, 1], "upper_h": told[:, 2], "interval_level": INTERVAL_LEVEL,
            "deficit_24h": np.nan, "deficit_48h": np.nan, "delta": delta, "confidence": "none",
        }
    )  # fmt: skip


#: By the name that the command line knows them by.
METHODS: Mapping[str, Method] = {"today": today, "labels": label_medians}
