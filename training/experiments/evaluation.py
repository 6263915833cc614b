"""Score a model on a cohort: against the tests observed there, and against simulated truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.bundle.bundle import load_bundle
from nmr_ml.bundle.registry import resolve
from nmr_ml.cohort.folder import fingerprint
from nmr_ml.cohort.reader import read_cohort, read_truth
from nmr_ml.errors import DataError
from nmr_ml.history.episodes import EXERTION, find_episodes
from nmr_ml.history.history import build_history
from nmr_ml.history.queries import Targets, expand
from nmr_ml.labels.followed_tests import followed_tests
from nmr_ml.models.component.known_offsets import known_offsets
from nmr_ml.models.component.model import prior_of
from training.baselines.curves import RivalCurves, Starts
from training.data.dataset import component_data
from training.experiments.absence_evaluation import evaluate_absences
from training.fitting.held_out import sexes
from training.fitting.protocols import foretell, groups_of
from training.scoring.as_json import brier_json, scores_json
from training.scoring.bootstrap import MODEL
from training.scoring.forecast_scores import score_forecasts
from training.scoring.forecasts import CurvePriors, ForetoldTests, rounding_step, time_quantiles
from training.scoring.scores import Brier
from training.scoring.truth import TIME_LEVELS, score_times

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.numeric.arrays import Floats
    from training.data.dataset import ComponentData


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
        ``brier`` and, where there are tests, the other scores as in the card, and ``truth`` by
        method where the cohort is simulated.
    held_out, held_out_scores, held_out_time : mapping of component to JSON
        Of the card: the Brier score and the other scores on athletes that training left out, and
        the scores on the time it left out (null where it left none out).
    availability : JSON or None
        Scores of injury and systemic episodes; None where the model or the cohort has none.
    """

    model_version: str
    cohort: str
    in_sample: bool
    components: dict[str, Any]
    held_out: dict[str, Any]
    held_out_scores: dict[str, Any]
    held_out_time: dict[str, Any]
    availability: dict[str, Any] | None


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
    priors = start_priors(bundle, cohort, data)
    components = {n: _score(bundle, part, priors[n], truth) for n, part in data.items()}
    absences = evaluate_absences(bundle, cohort, truth, TIME_LEVELS, bootstrap=BOOTSTRAP)
    if absences is None and not any(s["brier"]["tests_n"] for s in components.values()):
        raise DataError(
            "nothing_to_score",
            f"{cohort.name} has no test within 12 h of 24, 48 or 72 h after a session, with 3 "
            "rested tests before it, of a component that the model learnt.",
            f"The model's tests are {', '.join(chosen.values())}.",
        )
    known = {entry["fingerprint"] for entry in bundle.card["trained_on"]}
    return Evaluation(
        bundle.version,
        cohort.name,
        fingerprint(path) in known,
        components,
        _of_card(bundle, "held_out_brier"),
        _of_card(bundle, "held_out"),
        _of_card(bundle, "held_out_time"),
        absences,
    )


def _of_card(bundle: Bundle, part: str) -> dict[str, Any]:
    return {name: entry[part] for name, entry in bundle.card["components"].items()}


def _score(
    bundle: Bundle, data: ComponentData, prior: CurvePriors, truth: pd.DataFrame
) -> dict[str, Any]:
    model, spec = bundle.components[data.component], bundle.specs[data.index_test]
    baselines = RivalCurves.from_json(bundle.card["components"][data.component]["baselines"])
    starts, groups = Starts.of(data, bundle.contract), groups_of(data)
    step = rounding_step(data.followed, spec)
    readings = ForetoldTests(data.followed, model.grid, model.measurement, spec.delta, step)
    scores: dict[str, Any] = {"brier": brier_json(Brier(0, 0, {}, {}, {}))}
    if data.followed.deficit.size:
        said = foretell(readings, starts, prior, baselines)
        found = score_forecasts(readings, said, data.athlete, groups, bootstrap=BOOTSTRAP, seed=0)
        scores = {"brier": brier_json(found.figures.brier), **scores_json(found)}
    true_h = _true_hours(data, truth, spec.delta)
    if np.isfinite(true_h).any():
        priors = {MODEL: prior, **baselines.priors(starts)}
        hours = {
            method: time_quantiles(model.grid, spec.delta, of_method, TIME_LEVELS)
            for method, of_method in priors.items()
        }
        scores["truth"] = score_times(
            hours, true_h, data.athlete, groups, bootstrap=BOOTSTRAP, seed=0
        )
    return scores


def start_priors(
    bundle: Bundle, cohort: Cohort, data: Mapping[str, ComponentData]
) -> dict[str, CurvePriors]:
    """Return what a prediction at its clock start says of each episode's curve, by component."""
    history = build_history(cohort, tuple(sorted(bundle.specs)))
    episodes = find_episodes(history)
    place = {name: i for i, name in enumerate(episodes.ids) if episodes.kinds[i] == EXERTION}
    found = {}
    for name, part in data.items():
        model = bundle.components[name]
        chosen = np.array([place[episode] for episode in part.episode_id])
        targets = Targets(chosen, episodes.clock_start_s[chosen])
        queries = expand(targets, episodes, history, {name: part.index_test})
        seen = followed_tests(history, queries, bundle.specs, others=bundle.other_tests)
        offsets = known_offsets(model, history, episodes, queries, seen, bundle.specs)
        prior = prior_of(model, part.X[part.starts], seen, offsets, sexes(part))
        found[name] = CurvePriors(prior.means, prior.spreads)
    return found


def _true_hours(data: ComponentData, truth: pd.DataFrame, delta: float) -> Floats:
    """Return the simulated recovery time of each episode for this δ; NaN where there is none."""
    told = truth[(truth["component"] == data.component) & np.isclose(truth["delta"], delta)]
    hours = told.set_index("episode_id")["recovery_h"]
    return hours.reindex(data.episode_id).to_numpy(np.float64)
