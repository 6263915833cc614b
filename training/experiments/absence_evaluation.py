"""Score the availability model on a cohort: against ends on record, and against simulated truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.models.availability.model import expect
from nmr_ml.recovery_tests import AVAILABILITY
from training.baselines.durations import BY_KIND, DurationBaselines
from training.fitting.availability import absence_data, forecast_at_onset, informative
from training.scoring.absence_scores import score_absences
from training.scoring.bootstrap import MODEL
from training.scoring.scores import time_scores

if TYPE_CHECKING:
    import pandas as pd

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.models.availability.absences import Absences
    from nmr_ml.numeric.arrays import Floats


def evaluate_absences(
    bundle: Bundle, cohort: Cohort, truth: pd.DataFrame, levels: Floats, *, bootstrap: int
) -> dict[str, Any] | None:
    """Return scores at the onset of every episode of a learnt kind; None without any.

    They are those of `training.scoring.absence_scores.score_absences`; with simulated truth,
    ``truth`` holds those of the recovery times themselves.

    Parameters
    ----------
    levels : float64 array
        Quantiles that are compared with the truth, as `training.scoring.scores.time_scores` takes
        them.
    """
    model = bundle.availability
    data = absence_data(cohort, bundle.specs)
    absences = data.absences
    learnt = np.array([model.learnt(kind) for kind in absences.kind], dtype=bool)
    scored = learnt & informative(absences)
    if model.law is None or not scored.any():
        return None
    offset = np.zeros(len(absences))
    if model.trees is not None:
        offset = np.asarray(model.trees.booster.predict(data.X, raw_score=True), np.float64)
    baselines = DurationBaselines.from_json(bundle.card[AVAILABILITY]["baselines"])
    medians = np.array([model.by_median(kind) for kind in absences.kind], np.bool_)
    forecasts = baselines.forecasts(absences)
    of_law = forecast_at_onset(model.law, absences, offset)
    forecasts = {MODEL: of_law.where(~medians, forecasts[BY_KIND]), **forecasts}
    scores = score_absences(absences, forecasts, scored, bootstrap=bootstrap, seed=0)
    true_h = _true_hours(absences, truth)
    told = learnt & np.isfinite(true_h)
    if told.any():
        found = baselines.quantiles(absences, levels)
        answered = found[BY_KIND].copy()
        rows = np.flatnonzero(told & ~medians)
        expected = expect(model.law, absences, rows, absences.onset_s[rows], offset)
        answered[rows] = expected.quantiles(levels)
        scores["truth"] = {
            name: _scores(quantiles[told], levels, true_h[told])
            for name, quantiles in {MODEL: answered, **found}.items()
        }
    return scores


def _true_hours(absences: Absences, truth: pd.DataFrame) -> Floats:
    told = truth[truth["component"] == AVAILABILITY].set_index("episode_id")["recovery_h"]
    return told.reindex(absences.episode_id).to_numpy(np.float64)


def _scores(quantiles: Floats, levels: Floats, true_h: Floats) -> dict[str, float]:
    """Leave out what cannot be told, such as an order of equal times; JSON has no NaN."""
    found = time_scores(quantiles, levels, true_h)
    return {name: value for name, value in found.items() if np.isfinite(value)}
