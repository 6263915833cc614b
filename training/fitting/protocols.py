"""Scores on what a model was not fitted to: athletes left out, and the time after a cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.features.contract import feature_contract
from nmr_ml.models.component.calibration import group_names
from nmr_ml.models.component.offsets import Past, athlete_offsets
from nmr_ml.models.curve.boosted import BoostedCurve, grow
from nmr_ml.models.curve.target import OUTPUTS, CurveTarget
from nmr_ml.numeric.arrays import RowWise
from training.baselines.curves import ANY, PERSISTENCE, Starts, fit_baselines
from training.baselines.empirical_bayes import grow_on_means, posterior_means, profile_spread
from training.fitting.held_out import earlier_episodes, sexes
from training.scoring.bootstrap import MODEL
from training.scoring.forecast_scores import score_forecasts
from training.scoring.forecasts import (
    CurvePriors,
    Forecasts,
    ForetoldTests,
    from_curves,
    from_normal,
    rounding_step,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.models.curve.fit import CurveFit
    from nmr_ml.numeric.arrays import Floats, Ints, Objects, Singles
    from nmr_ml.recovery_tests import TestSpec
    from training.baselines.curves import RivalCurves
    from training.config import TrainConfig
    from training.data.dataset import ComponentData
    from training.fitting.held_out import HeldOut
    from training.scoring.forecast_scores import Scores


EB_L2 = "eb_l2"


@dataclass(frozen=True, slots=True)
class Labelled(RowWise):
    """Labelled episodes as methods are fitted to them and scored on them.

    Parameters
    ----------
    starts : Starts
    readings : ForetoldTests
    table, top
        From `nmr_ml.models.curve.likelihood.likelihood_tables`.
    athlete : object array of str, shape (n_episodes,)
    groups : mapping of what scores are split by to object array of str, shape (n_episodes,)
    """

    starts: Starts
    readings: ForetoldTests
    table: Singles
    top: Floats
    athlete: Objects
    groups: Mapping[str, Objects]

    @classmethod
    def of(cls, data: ComponentData, fit: CurveFit, spec: TestSpec) -> Labelled:
        """Return the episodes of `data`, their tests read as `fit` reads them."""
        step = rounding_step(data.followed, spec)
        return cls(
            Starts.of(data, feature_contract()),
            ForetoldTests(data.followed, fit.grid, fit.measurement, spec.delta, step),
            fit.table,
            fit.top,
            data.athlete,
            groups_of(data),
        )

    def fit_baselines(self) -> RivalCurves:
        """Fit the baselines to these episodes."""
        r = self.readings
        return fit_baselines(self.starts, self.table, self.top, r.grid, r.followed, self.athlete)

    def score(self, forecasts: Mapping[str, Forecasts], config: TrainConfig) -> Scores:
        """Score what was said of the tests of these episodes."""
        return score_forecasts(
            self.readings, forecasts, self.athlete, self.groups,
            bootstrap=config.bootstrap, seed=config.seed,
        )  # fmt: skip


def groups_of(data: ComponentData) -> dict[str, Objects]:
    """Return what the scores of `data` are split by."""
    known = {} if data.facts is None else {n: getattr(data.facts, n) for n in ("sex", "confidence")}
    return {**known, "modality": data.modality}


def foretell(
    readings: ForetoldTests, starts: Starts, model: CurvePriors, baselines: RivalCurves
) -> dict[str, Forecasts]:
    """Return what the model, first, and the baselines say of the tests."""
    priors = {MODEL: model, **baselines.priors(starts)}
    said = {method: from_curves(readings, prior) for method, prior in priors.items()}
    centre = starts.last_deficit[readings.followed.owner]
    return said | {PERSISTENCE: from_normal(readings, centre, baselines.persistence_sd)}


def forecasts_by_athlete(
    episodes: Labelled, fit: CurveFit, model: CurvePriors, config: TrainConfig
) -> tuple[dict[str, Forecasts], Floats]:
    """Foretell every episode by what was fitted to the other folds of athletes.

    Parameters
    ----------
    model : CurvePriors
        Of each episode, from the fold that left its athlete out.

    Returns
    -------
    forecasts : mapping of method to Forecasts, the model first
    spread : float64 array, shape (3,)
        Of the trees on empirical-Bayes labels: like the model's, from the tests of athletes left
        out.
    """
    readings, fold = episodes.readings, fit.fold
    owner_fold, means = fold[readings.followed.owner], np.empty((len(fold), OUTPUTS))
    said: dict[str, Forecasts] = {}
    for k in np.unique(fold):
        held = np.flatnonzero(fold == k)
        train, rest = episodes.take(np.flatnonzero(fold != k)), episodes.take(held)
        baselines = train.fit_baselines()
        means[held] = _label_means(train, baselines, rest.starts, fit, config)
        found = foretell(rest.readings, rest.starts, model.take(held), baselines)
        for method, one in found.items():
            said.setdefault(method, Forecasts.unknown(owner_fold.size)).put(owner_fold == k, one)
    spread = profile_spread(fit.table, fit.grid, means, fit.boosted.model.spread)
    said[EB_L2] = from_curves(readings, CurvePriors.of(means, spread))
    return said, spread


def by_time(
    data: ComponentData, episodes: Labelled, fit: CurveFit, told: HeldOut, rival_spread: Floats,
    config: TrainConfig,
) -> Scores | None:  # fmt: skip
    """Score the last episodes of each cohort by what was fitted to the first of the same athletes.

    Episodes whose last test or landmark lies before the cut are learnt from, those that start after
    it are scored, each with what its athlete has shown until then. Rounds, spreads, adaptation,
    calibration, curve family and test error (a handful of numbers) are those of the whole fit.

    Parameters
    ----------
    told : HeldOut
        Its adaptation and calibration are used.
    rival_spread : float64 array, shape (3,)
        Of the trees on empirical-Bayes labels, from `forecasts_by_athlete`.

    Returns
    -------
    Scores, or None where this is switched off or too little lies on a side of the cut.
    """
    if config.held_out_time is None or data.facts is None:
        return None
    early = np.flatnonzero(data.facts.closed <= config.held_out_time)
    late = np.flatnonzero(data.facts.opened > config.held_out_time)
    athletes_n = np.unique(data.athlete[early].astype(str)).size
    if early.size < config.least_episodes or athletes_n < config.least_athletes or not late.size:
        return None
    train, rest = episodes.take(early), episodes.take(late)
    baselines = train.fit_baselines()
    curve = _regrown(data, early, fit, baselines.by_modality[ANY][0], config)
    model = _adapted(data, fit, curve.means(episodes.starts.X), told).take(late)
    said = foretell(rest.readings, rest.starts, model, baselines)
    means = _label_means(train, baselines, rest.starts, fit, config)
    said[EB_L2] = from_curves(rest.readings, CurvePriors.of(means, rival_spread))
    return rest.score(said, config)


def _regrown(
    data: ComponentData, episodes: Ints, fit: CurveFit, offset: Floats, config: TrainConfig
) -> BoostedCurve:
    """Return the model of `fit` grown again on the rows of some of the episodes."""
    rows = np.flatnonzero(np.isin(data.row_episode, episodes))
    of_rows = data.row_episode[rows]
    weight = 1.0 / np.bincount(of_rows)[of_rows]
    target = CurveTarget(fit.grid, fit.table, of_rows, weight / weight.mean())
    spread = fit.boosted.model.spread
    booster = grow(
        data.X[rows], target, offset, spread, config.trees(),
        rounds=fit.boosted.rounds, names=feature_contract().names,
    )  # fmt: skip
    return BoostedCurve((booster,), offset, spread)


def _adapted(data: ComponentData, fit: CurveFit, means: Floats, told: HeldOut) -> CurvePriors:
    """Return the calibrated prior of each episode given the athlete's earlier ones."""
    read = fit.measurement.read(data.followed)
    past = Past(read, means, np.arange(len(means)), *earlier_episodes(data))
    offsets = athlete_offsets(told.offsets, fit.grid, past, read, data.team, data.team)
    spreads = np.hypot(told.offsets.within, offsets.spread)
    record_d = fit.boosted.model.record_d(data.X[data.starts])
    groups = group_names(sexes(data), offsets.episodes_n, record_d)
    return CurvePriors(means + offsets.mean, told.calibration.correct(spreads, groups)[0])


def _label_means(
    train: Labelled, baselines: RivalCurves, held: Starts, fit: CurveFit, config: TrainConfig
) -> Floats:
    """Return means for `held` from trees on empirical-Bayes labels under the modality's curve."""
    prior = baselines.of_modality(train.starts.modality)
    centre, _ = posterior_means(train.table, fit.grid, prior)
    trees = grow_on_means(train.starts.X, centre, config.trees(), fit.boosted.rounds)
    return trees.means(held.X)
