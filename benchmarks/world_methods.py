"""What is compared on worlds: methods that learn from a cohort and answer about another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.rivals.method import first_recovered, middles
from nmr_ml.cohort.cohort import Cohort
from nmr_ml.history.history import build_history
from nmr_ml.labels.index_tests import index_tests
from nmr_ml.levels import INTERVAL_LEVEL
from nmr_ml.models.component.fit_roles import roles
from nmr_ml.models.component.streams import family_of, streams_of
from nmr_ml.models.impulse.fit import fit_impulse
from nmr_ml.models.impulse.forecast import Asked, chances, forecast
from nmr_ml.predictions.options import Options
from nmr_ml.predictions.predict import predict
from nmr_ml.recovery_tests import shipped_testspecs
from training.config import load_config
from training.data.dataset import component_data
from training.experiments.experiment import assemble, collect, fit_components
from training.fitting.availability import absence_data, fit_availability
from training.fitting.readings import fit_readings

if TYPE_CHECKING:
    from nmr_ml.history.history import History
    from nmr_ml.models.impulse.model import ImpulseModel
    from nmr_ml.models.impulse.stream import Stream
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


#: Hours at which an answer has chances and deficits.
CHANCE_H, DEFICIT_H = np.array([24.0, 48.0, 72.0, 96.0]), np.array([24.0, 48.0, 72.0])


def impulse(train: Cohort, deltas: Mapping[str, float]) -> Answer:
    """Fit sessions as impulses, each component by itself but for coordination, and draw curves."""
    specs = shipped_testspecs()
    history = build_history(train, tuple(sorted(specs)))
    chosen = index_tests(history, specs)
    families = {c: family_of(history, specs, chosen[c]) for c in chosen if c in deltas}
    streams = streams_of(history, specs, list(families.values()))
    models: dict[str, ImpulseModel] = {}
    for (name, family), stream in zip(families.items(), streams, strict=True):
        alike = models.get("power") if name == "coordination" else None
        models[name] = fit_impulse(
            stream, roles(specs[family[0]].component, specs), [specs[f].delta for f in family],
            [specs[f].scale == "pct" for f in family], alike,
        )  # fmt: skip

    def answer(asked: Cohort) -> pd.DataFrame:
        history = build_history(asked, tuple(sorted(specs)))
        streams = streams_of(history, specs, list(families.values()))
        parts = [
            _foretold(history, name, models[name], stream, deltas[name])
            for name, stream in zip(families, streams, strict=True)
        ]
        return pd.concat(parts, ignore_index=True)

    return answer


def _foretold(
    history: History, component: str, model: ImpulseModel, stream: Stream, delta: float
) -> pd.DataFrame:
    sessions = stream.sessions
    n = sessions.end_h.size
    found = forecast(
        model, stream, Asked(sessions.owner, np.arange(n), sessions.end_h), delta, DEFICIT_H
    )
    shares = np.array([0.5 * (1.0 - INTERVAL_LEVEL), 0.5, 0.5 * (1.0 + INTERVAL_LEVEL)])
    lower, median, upper = np.quantile(found.recovery_h, shares, axis=1)
    p = chances(found.recovery_h, np.tile(CHANCE_H, (n, 1)))
    deficits = np.median(found.deficit, axis=2)
    ended = pd.to_datetime(history.sessions.at_s, unit="s", utc=True)
    earlier = np.searchsorted([1, 5], np.arange(n) - sessions.offsets[sessions.owner], "right")
    return pd.DataFrame(
        {
            "athlete_id": np.array(history.athlete_ids, object)[sessions.owner],
            "episode_id": history.session_ids, "component": component, "clock_start": ended,
            "as_of": ended, "status": "ok", "reason": None, "lower_h": lower,
            "recovery_h": median, "upper_h": upper, "interval_level": INTERVAL_LEVEL,
            **{f"p_{h:.0f}h": p[:, i] for i, h in enumerate(CHANCE_H)},
            **{f"deficit_{h:.0f}h": deficits[:, i] for i, h in enumerate(DEFICIT_H)},
            "delta": delta,
            "confidence": np.array(["first", "early", "later"], object)[earlier],
        }
    )  # fmt: skip


#: By the name that the command line knows them by.
METHODS: Mapping[str, Method] = {"today": today, "impulse": impulse, "labels": label_medians}
