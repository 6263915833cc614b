"""Fit the availability model: a law of the lengths of episodes, and trees, only where they help."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.features.contract import feature_contract
from nmr_ml.history.history import build_history
from nmr_ml.levels import LEVELS
from nmr_ml.models.availability.absences import Absences, absence_inputs, absences_of, bounds_ln
from nmr_ml.models.availability.fit import fit_law, grow_trees
from nmr_ml.models.availability.law import FAMILIES
from nmr_ml.models.availability.model import (
    KINDS,
    TREE_COLUMNS,
    AvailabilityModel,
    Counted,
    DurationTrees,
    expect,
)
from nmr_ml.numeric.convergence import gathering
from nmr_ml.numeric.folds import athlete_folds
from training.baselines.durations import BY_KIND, DurationBaselines, fit_duration_baselines
from training.scoring.absence_scores import Forecast, score_absences
from training.scoring.bootstrap import MODEL, Estimate, compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.models.availability.law import DurationLaw
    from nmr_ml.numeric.arrays import Bools, Floats, Ints
    from nmr_ml.numeric.convergence import Search
    from nmr_ml.recovery_tests import TestSpec
    from training.config import TrainConfig


#: What the law is called beside the model, which answers with the median where that is as good.
LAW = "law"
#: Pairs tried for the number of trees; few and small, because episodes are few.
TREES_TRIED = (10, 20, 40, 80)


@dataclass(frozen=True, slots=True)
class AbsenceData:
    """Episodes with the features `TREE_COLUMNS` at their onset."""

    absences: Absences
    X: Floats


@dataclass(frozen=True, slots=True)
class FittedAvailability:
    """The model with what its held-out athletes say.

    Parameters
    ----------
    model : AvailabilityModel
    baselines : DurationBaselines or None
        Refitted on every episode; None where no kind is learnt.
    held_out : mapping or None
        Scores as `training.scoring.absence_scores.score_absences` gives them, of what the model
        answers and of the law alone. The law's family, whether it has grades, the number of trees
        and the kinds that it answers for (four choices) were made on all athletes.
    gain : mapping of kind to Estimate
        Held-out minus log P by the law minus that by the median of the kind, which answers where
        this is not below 0 beyond noise.
    searches : sequence of Search
        How every search of the fit, and of the baselines, ended.
    """

    model: AvailabilityModel
    baselines: DurationBaselines | None
    held_out: Mapping[str, Any] | None
    gain: Mapping[str, Estimate] = field(default_factory=dict)
    searches: Sequence[Search] = ()


def absence_data(cohort: Cohort, specs: Mapping[str, TestSpec]) -> AbsenceData:
    """Return the injury and systemic episodes of `cohort`."""
    history = build_history(cohort, tuple(sorted(specs)))
    names = feature_contract().names
    X = absence_inputs(history, specs)[:, [names.index(column) for column in TREE_COLUMNS]]
    return AbsenceData(absences_of(history, cohort.name), np.ascontiguousarray(X))


def fit_availability(parts: Sequence[AbsenceData], config: TrainConfig) -> FittedAvailability:
    """Fit the episodes of several cohorts; a kind with too few of them is left out, and counted."""
    with gathering() as searches:
        fitted = _fit_availability(parts, config)
    return replace(fitted, searches=tuple(searches))


def _fit_availability(parts: Sequence[AbsenceData], config: TrainConfig) -> FittedAvailability:
    absences = Absences.concatenate([part.absences for part in parts])
    X = np.concatenate([part.X for part in parts])
    counted = {kind: _count(absences, kind) for kind in KINDS}
    needed = config.least_resolved, config.least_resolved_athletes
    enough = [
        k for k, c in counted.items() if c.resolved_n >= needed[0] and c.athletes_n >= needed[1]
    ]
    if not enough:
        return FittedAvailability(AvailabilityModel(None, None, None, counted, *needed), None, None)
    fold = athlete_folds(absences.athlete, config.folds, config.seed)
    scored = np.isin(absences.kind, enough) & informative(absences)
    family, graded = _choose_law(absences, fold, scored)
    law = fit_law(absences, family=family, graded=graded)
    forecast = _held_out_law(absences, fold, family=family, graded=graded)
    trees = None
    if np.sum(absences.resolved & scored) >= config.least_resolved_for_trees:
        law, trees, forecast = _with_trees(absences, X, fold, scored, law, forecast, config)
    forecasts = {LAW: forecast, **_held_out_baselines(absences, fold)}
    gain = _gains(absences, forecasts, scored, config)
    # Beyond noise: one that is no better is better by chance in every second training.
    losing = [kind for kind, found in gain.items() if not found.upper < 0]
    answered = forecast.where(~np.isin(absences.kind, losing), forecasts[BY_KIND])
    baselines = fit_duration_baselines(absences)
    return FittedAvailability(
        AvailabilityModel(law, baselines.law_of(losing), trees, counted, *needed),
        baselines,
        score_absences(
            absences, {MODEL: answered, **forecasts}, scored, bootstrap=config.bootstrap,
            seed=config.seed,
        ),
        gain,
    )  # fmt: skip


def _gains(
    absences: Absences, forecasts: Mapping[str, Forecast], scored: Bools, config: TrainConfig
) -> dict[str, Estimate]:
    """Return by kind the loss of the law minus that of the median by kind."""
    found = {}
    for kind in sorted(set(absences.kind[scored])):
        own = scored & (absences.kind == kind)
        losses = {name: -forecasts[name].log_p[own] for name in (LAW, BY_KIND)}
        compared = compare(
            losses, absences.athlete[own], bootstrap=config.bootstrap, seed=config.seed
        )
        found[kind] = compared.difference[BY_KIND]
    return found


def _count(absences: Absences, kind: str) -> Counted:
    own = absences.kind == kind
    ended = own & absences.resolved
    followed = np.where(ended, absences.resolved_s, absences.last_s) - absences.onset_s
    return Counted(
        episodes_n=int(own.sum()),
        resolved_n=int(ended.sum()),
        athletes_n=len(set(absences.athlete[ended])),
        longest_h=float(followed[own].max() / 3600.0) if own.any() else 0.0,
    )


def informative(absences: Absences) -> Bools:
    """Return which episodes say anything of their length."""
    lower, upper = bounds_ln(absences)
    return np.isfinite(lower) | np.isfinite(upper)


def _choose_law(absences: Absences, fold: Ints, scored: Bools) -> tuple[str, bool]:
    """Return the family, and whether with grades, that held-out athletes speak for.

    Without words, whose share the fit finds by itself: to try them with each would take ten times
    as long.
    """
    grades = (False, True) if any(g is not None for g in absences.grade) else (False,)
    choices = [(family, graded) for family in FAMILIES for graded in grades]
    gains = [
        _held_out_law(absences, fold, family=f, graded=g, words=False).log_p[scored].mean()
        for f, g in choices
    ]
    return choices[int(np.argmax(gains))]


def _held_out_law(
    absences: Absences, fold: Ints, *, family: str, graded: bool, words: bool = True
) -> Forecast:
    """Return the forecasts of each athlete by a law that was fitted without that athlete."""
    found = Forecast.empty(len(absences))
    for k in np.unique(fold):
        train = absences.take(np.flatnonzero(fold != k))
        law = fit_law(train, family=family, graded=graded, words=words)
        _fill(found, law, absences, np.flatnonzero(fold == k), np.zeros(len(absences)))
    return found


def _fill(
    found: Forecast, law: DurationLaw, absences: Absences, held: Ints, offset: Floats
) -> None:
    part = forecast_at_onset(law, absences.take(held), offset[held])
    found.log_p[held], found.quantiles[held] = part.log_p, part.quantiles


def forecast_at_onset(law: DurationLaw, absences: Absences, offset: Floats) -> Forecast:
    """Return what is foretold of each episode at its onset; NaN for a kind that is not fitted."""
    found = Forecast.empty(len(absences))
    mu, _ = law.place(*absences.labels)
    rows = np.flatnonzero(~np.isnan(mu))
    expected = expect(law, absences, rows, absences.onset_s[rows], offset)
    lower, upper = bounds_ln(absences)
    found.log_p[rows] = expected.log_p(lower[rows], upper[rows])
    found.quantiles[rows] = expected.quantiles(LEVELS)
    return found


def _held_out_baselines(absences: Absences, fold: Ints) -> dict[str, Forecast]:
    found: dict[str, Forecast] = {}
    for k in np.unique(fold):
        held = np.flatnonzero(fold == k)
        baselines = fit_duration_baselines(absences.take(np.flatnonzero(fold != k)))
        for name, part in baselines.forecasts(absences.take(held)).items():
            whole = found.setdefault(name, Forecast.empty(len(absences)))
            whole.log_p[held], whole.quantiles[held] = part.log_p, part.quantiles
    return found


def _with_trees(
    absences: Absences, X: Floats, fold: Ints, scored: Bools, law: DurationLaw, without: Forecast,
    config: TrainConfig,
) -> tuple[DurationLaw, DurationTrees | None, Forecast]:  # fmt: skip
    """Return law, trees and forecasts with trees where they help held-out athletes beyond noise."""
    params = config.trees().params() | {"num_class": 1, "num_tree_per_iteration": 1}
    params |= {"num_leaves": 4, "max_bin": 31}
    graded = bool(law.grades)
    offsets = np.zeros((len(TREES_TRIED), len(absences)))
    forecasts = [Forecast.empty(len(absences)) for _ in TREES_TRIED]
    for k in np.unique(fold):
        train, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        own = fit_law(absences.take(train), family=law.family, graded=graded)
        booster = grow_trees(X[train], absences.take(train), own, params, TREES_TRIED[-1])
        for i, rounds in enumerate(TREES_TRIED):
            offsets[i, held] = booster.predict(X[held], num_iteration=rounds, raw_score=True)
            _fill(forecasts[i], own, absences, held, offsets[i])
    best = int(np.argmax([forecast.log_p[scored].mean() for forecast in forecasts]))
    losses = {"with": -forecasts[best].log_p, "without": -without.log_p}
    compared = compare(
        {name: loss[scored] for name, loss in losses.items()}, absences.athlete[scored],
        bootstrap=config.bootstrap, seed=config.seed,
    )  # fmt: skip
    if not compared.difference["without"].upper < 0:
        return law, None, without
    booster = grow_trees(X, absences, law, params, TREES_TRIED[best])
    # Offsets of athletes the trees have not seen: those of training would make the scale too small.
    refitted = fit_law(absences, family=law.family, graded=graded, offset=offsets[best])
    return refitted, DurationTrees(booster, TREE_COLUMNS), forecasts[best]
