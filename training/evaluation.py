"""Score a model on a cohort: against the tests observed there, and against simulated truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.bundle import load_bundle
from nmr_ml.errors import DataError
from nmr_ml.folder import fingerprint
from nmr_ml.labels import no_tests
from nmr_ml.posterior import probability_below, read_off, recovery_quantiles
from nmr_ml.reader import read_cohort, read_truth
from nmr_ml.registry import resolve
from training.baselines import MODALITY, Baselines, probabilities_below, time_quantiles
from training.card import brier_json
from training.dataset import component_data
from training.fitting import last_deficits
from training.scores import brier, time_scores

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from nmr_ml.bundle import Bundle
    from nmr_ml.component import ComponentModel
    from training.dataset import ComponentData

    Floats = NDArray[np.float64]

#: Levels at which predicted recovery times are compared with the truth.
TIME_LEVELS = np.round(np.arange(0.05, 0.951, 0.05), 2)
BOOTSTRAP = 1000


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a model on a cohort.

    Parameters
    ----------
    model_version, cohort : str
    in_sample : bool
        The model was trained on this very cohort, so its scores here flatter it; the held-out
        scores are those of its card, in `held_out`.
    components : mapping of component to JSON
        ``brier`` as in the card, and ``truth`` by method where the cohort is simulated.
    held_out : mapping of component to JSON
        Scores of the card, from athletes that training left out.
    """

    model_version: str
    cohort: str
    in_sample: bool
    components: dict[str, Any]
    held_out: dict[str, Any]


def evaluate(path: Path, reference: str = "champion") -> Evaluation:
    """Score the model that `reference` names on the cohort at `path`, baselines beside it.

    Raises
    ------
    DataError
        From resolving and reading, or ``nothing_to_score`` where no component that the model
        learnt has a labelled episode.
    """
    bundle = load_bundle(resolve(reference))
    cohort = read_cohort(path, required=("athletes", "sessions", "tests"))
    chosen = {name: model.index_test for name, model in bundle.components.items()}
    truth = read_truth(path)
    data = component_data(cohort, bundle.specs, [0.0], chosen, unlabelled=len(truth) > 0)
    components = {name: _score(bundle, part, truth) for name, part in data.items()}
    if not any(scores["brier"]["tests_n"] for scores in components.values()):
        raise DataError(
            "nothing_to_score",
            f"{cohort.name} has no test within 12 h of 24, 48 or 72 h after a session, with 3 "
            "rested tests before it, of a component that the model learnt.",
            f"The model's tests are {', '.join(chosen.values())}.",
        )
    known = {entry["fingerprint"] for entry in bundle.card["trained_on"]}
    held_out = {n: c["held_out_brier"] for n, c in bundle.card["components"].items()}
    return Evaluation(bundle.version, cohort.name, fingerprint(path) in known, components, held_out)


def _score(bundle: Bundle, data: ComponentData, truth: pd.DataFrame) -> dict[str, Any]:
    model = bundle.components[data.component]
    baselines = Baselines.from_json(bundle.card["components"][data.component]["baselines"])
    delta = bundle.specs[data.index_test].delta
    means = model.curve.means(data.X)
    read, limit = model.measurement.read(data.followed), delta + model.measurement.residual_deficit
    below = {"model": probability_below(model.grid, means, model.curve.spread, read, limit)}
    last = last_deficits(data, bundle.contract.names)
    below |= probabilities_below(
        baselines, model.grid, data.followed, data.modality, last, delta, model.measurement
    )
    scored = brier(data.followed, delta, below, data.athlete, bootstrap=BOOTSTRAP, seed=0)
    scores = {"brier": brier_json(scored)}
    true_h = _true_hours(data, truth, delta)
    if np.isfinite(true_h).any():
        scores["truth"] = _against_truth(model, baselines, data, means, delta, true_h)
    return scores


def _true_hours(data: ComponentData, truth: pd.DataFrame, delta: float) -> Floats:
    """Return the simulated recovery time of each episode for this δ; NaN where there is none."""
    told = truth[(truth["component"] == data.component) & np.isclose(truth["delta"], delta)]
    hours = told.set_index("episode_id")["recovery_h"]
    return hours.reindex(data.episode_id).to_numpy(np.float64)


def _against_truth(
    model: ComponentModel, baselines: Baselines, data: ComponentData, means: Floats,
    delta: float, true_h: Floats,
) -> dict[str, dict[str, float]]:  # fmt: skip
    told = np.isfinite(true_h)
    table = read_off(model.grid, delta)
    quantiles, _ = recovery_quantiles(
        table, means, model.curve.spread, no_tests(len(means)), TIME_LEVELS,
        np.zeros((len(means), 0)),
    )  # fmt: skip
    by_modality = time_quantiles(baselines, model.grid, delta, data.modality, TIME_LEVELS)
    return {
        "model": _told(time_scores(quantiles[told], TIME_LEVELS, true_h[told])),
        MODALITY: _told(time_scores(by_modality[told], TIME_LEVELS, true_h[told])),
        "episodes": {"n": float(told.sum())},
    }


def _told(scores: dict[str, float]) -> dict[str, float]:
    """Leave out what cannot be told, such as an order of equal times; JSON has no NaN."""
    return {name: value for name, value in scores.items() if np.isfinite(value)}
