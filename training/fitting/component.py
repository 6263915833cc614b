"""Fit one component: curve family, boosted curve on athlete folds, baselines, held-out scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.models.component.model import ComponentModel
from nmr_ml.models.curve.fit import fit_curve
from nmr_ml.numeric.convergence import gathering
from training.fitting.credit import group_credit
from training.fitting.held_out import held_out
from training.fitting.protocols import Labelled, by_time, forecasts_by_athlete
from training.scoring.forecasts import CurvePriors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.features.contract import FeatureContract
    from nmr_ml.models.curve.fit import CurveFit
    from nmr_ml.numeric.arrays import Floats
    from nmr_ml.numeric.convergence import Search
    from nmr_ml.recovery_tests import TestSpec
    from training.baselines.curves import RivalCurves
    from training.config import TrainConfig
    from training.data.dataset import ComponentData
    from training.fitting.credit import Credit
    from training.fitting.held_out import HeldOut
    from training.scoring.forecast_scores import Scores


#: Hours of follow-up that the model is said to have learnt from: all but the last tests.
FOLLOW_UP_QUANTILE = 0.99
#: A feature's training range is widened by this share of itself before a value counts as outside.
RANGE_MARGIN = 0.25


@dataclass(frozen=True, slots=True)
class FittedComponent:
    """A component with what its held-out athletes say.

    Parameters
    ----------
    model : ComponentModel
    baselines : Baselines
        Refitted on every episode.
    held_out : Scores
        On athletes that neither the model nor the baselines were fitted to. Rounds, spread and
        curve family (a handful of numbers) were chosen on all athletes.
    held_out_time : Scores or None
        The same on episodes after a cut, of what was fitted to those before it; None where that
        is switched off or too little lies before or after the cut.
    credit : mapping of feature group to Credit
    figures : mapping of str to float
        Rounds, spreads, evidence, weight of the curve shapes at the edge of their grid.
    held_out_means : float64 array, shape (n_rows, 3)
        Prior means of each row's curve from the fold without its athlete.
    searches : sequence of Search
        How every search of the fit, and of the baselines, ended.
    """

    model: ComponentModel
    baselines: RivalCurves
    held_out: Scores
    held_out_time: Scores | None
    credit: Mapping[str, Credit]
    figures: Mapping[str, float]
    held_out_means: Floats
    searches: Sequence[Search] = ()


def fit_component(
    data: ComponentData, specs: Mapping[str, TestSpec], contract: FeatureContract,
    config: TrainConfig,
) -> FittedComponent:  # fmt: skip
    """Fit `data`, whose columns are those of `contract`."""
    with gathering() as searches:
        fitted = _fit_component(data, specs, contract, config)
    return replace(fitted, searches=tuple(searches))


def _fit_component(
    data: ComponentData, specs: Mapping[str, TestSpec], contract: FeatureContract,
    config: TrainConfig,
) -> FittedComponent:  # fmt: skip
    fit = fit_curve(
        data.X, data.row_episode, data.followed, data.athlete, data.modality, config.trees(),
        contract.names,
    )  # fmt: skip
    spec = specs[data.index_test]
    told = held_out(data, fit, spec.delta, config.seed)
    episodes = Labelled.of(data, fit, spec)
    prior = CurvePriors(told.means, told.spreads)
    said, rival_spread = forecasts_by_athlete(episodes, fit, prior, config)
    return FittedComponent(
        model=_component_model(data, fit, told),
        baselines=episodes.fit_baselines(),
        held_out=episodes.score(said, config),
        held_out_time=by_time(data, episodes, fit, told, rival_spread, config),
        credit=group_credit(
            data, fit, contract.groups, bootstrap=config.bootstrap, seed=config.seed
        ),
        figures=_figures(data, fit),
        held_out_means=fit.boosted.held_out_means,
    )


def _component_model(data: ComponentData, fit: CurveFit, told: HeldOut) -> ComponentModel:
    seen = ~np.isnan(data.X).all(axis=0)
    low, high = np.full(seen.size, np.nan), np.full(seen.size, np.nan)
    low[seen], high[seen] = np.nanmin(data.X[:, seen], axis=0), np.nanmax(data.X[:, seen], axis=0)
    margin = RANGE_MARGIN * (high - low)
    return ComponentModel(
        component=data.component,
        index_test=data.index_test,
        curve=fit.boosted.model,
        grid=fit.grid,
        measurement=fit.measurement,
        offsets=told.offsets,
        calibration=told.calibration,
        clearance=told.clearance,
        follow_up_h=float(np.quantile(data.followed.hours, FOLLOW_UP_QUANTILE)),
        seen_low=low - margin,
        seen_high=high + margin,
        athletes_n=int(np.unique(data.athlete.astype(str)).size),
        episodes_n=len(data.athlete),
    )


def _figures(data: ComponentData, fit: CurveFit) -> dict[str, float]:
    return {
        "athletes": float(np.unique(data.athlete.astype(str)).size),
        "episodes": float(len(data.athlete)),
        "tests": float(data.followed.hours.size),
        "tests_per_episode": float(data.followed.hours.size / len(data.athlete)),
        **fit.figures(),
    }
