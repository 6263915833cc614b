"""Fit one component: curve family, boosted curve on athlete folds, baselines, held-out scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.component import ComponentModel
from nmr_ml.curve import curve_grid, likelihood_tables
from nmr_ml.latent import TrainingSet, fit_boosted_curve
from nmr_ml.measurement import profile_measurement
from nmr_ml.population import choose_shapes, fit_population
from nmr_ml.posterior import probability_below
from training.baselines import fit_baselines, probabilities_below
from training.dataset import athlete_folds
from training.scores import brier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nmr_ml.curve import CurveGrid
    from nmr_ml.latent import Fit
    from nmr_ml.measurement import Measurement
    from nmr_ml.testspec import TestSpec
    from training.baselines import Baselines
    from training.config import TrainConfig
    from training.dataset import ComponentData
    from training.scores import Brier

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

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
    brier : Brier
        On athletes that neither the model nor the baselines were fitted to. Rounds, spread and
        curve family (a handful of numbers) were chosen on all athletes.
    figures : mapping of str to float
        Rounds, spreads, evidence, weight of the curve shapes at the edge of their grid.
    """

    model: ComponentModel
    baselines: Baselines
    brier: Brier
    figures: Mapping[str, float]


def fit_component(
    data: ComponentData, specs: Mapping[str, TestSpec], names: tuple[str, ...], config: TrainConfig
) -> FittedComponent:
    """Fit `data`; `names` are the features in contract order."""
    grid, measurement = _family(data, config.seed)
    table, top = likelihood_tables(measurement.read(data.followed), grid)
    fold = athlete_folds(data.athlete, config.folds, config.seed)
    everyone = fit_population(table, top, grid, np.zeros(len(data.athlete), np.int64))
    weight = 1.0 / np.bincount(data.row_episode)[data.row_episode]
    fit = fit_boosted_curve(
        TrainingSet(data.X, data.row_episode, table, weight / weight.mean()),
        grid, fold[data.row_episode], everyone.mean[0], everyone.spread[0], config.trees(), names,
    )  # fmt: skip
    model = _component_model(data, fit, grid, measurement)
    delta = specs[data.index_test].delta
    last = last_deficits(data, names)
    held_out = _held_out_below(data, model, fit.held_out_means, delta, table, top, fold, last)
    return FittedComponent(
        model=model,
        baselines=fit_baselines(table, top, grid, data.modality, data.followed, last),
        brier=brier(
            data.followed, delta, held_out, data.athlete,
            bootstrap=config.bootstrap, seed=config.seed,
        ),
        figures=_figures(data, fit, model, everyone.evidence),
    )  # fmt: skip


def _family(data: ComponentData, seed: int) -> tuple[CurveGrid, Measurement]:
    """Return the curve shapes and the reading of the tests that the tests speak for.

    Each is fitted given the other, shapes last.
    """
    full = curve_grid(float(np.median(data.followed.error)))
    grid = choose_shapes(data.followed, full, seed=seed)
    _, group = np.unique(data.modality.astype(str), return_inverse=True)
    measurement = profile_measurement(data.followed, grid, group.astype(np.int64), seed=seed)
    return choose_shapes(measurement.read(data.followed), full, seed=seed), measurement


def last_deficits(data: ComponentData, names: tuple[str, ...]) -> Floats:
    """Return the deficit of the last test before each episode, as the features hold it."""
    return np.asarray(data.X[data.starts, names.index("index_deficit_last")])


def _held_out_below(
    data: ComponentData, model: ComponentModel, means: Floats, delta: float,
    table: NDArray[np.float32], top: Floats, fold: Ints, last: Floats,
) -> dict[str, Floats]:  # fmt: skip
    """Return, from the fold that left each athlete out, the probability of reading below δ."""
    grid, measurement = model.grid, model.measurement
    means = np.ascontiguousarray(means[data.starts])
    read, limit = measurement.read(data.followed), delta + measurement.residual_deficit
    below = {"model": probability_below(grid, means, model.curve.spread, read, limit)}
    owner_fold = np.repeat(fold, np.diff(data.followed.offsets))
    for k in np.unique(fold):
        train, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        baselines = fit_baselines(
            table[train], top[train], grid, data.modality[train],
            data.followed.take(train), last[train],
        )  # fmt: skip
        found = probabilities_below(
            baselines, grid, data.followed.take(held), data.modality[held], last[held],
            delta, measurement,
        )  # fmt: skip
        for name, p in found.items():
            below.setdefault(name, np.empty(owner_fold.size))[owner_fold == k] = p
    return below


def _component_model(
    data: ComponentData, fit: Fit, grid: CurveGrid, measurement: Measurement
) -> ComponentModel:
    seen = ~np.isnan(data.X).all(axis=0)
    low, high = np.full(seen.size, np.nan), np.full(seen.size, np.nan)
    low[seen], high[seen] = np.nanmin(data.X[:, seen], axis=0), np.nanmax(data.X[:, seen], axis=0)
    margin = RANGE_MARGIN * (high - low)
    return ComponentModel(
        component=data.component,
        index_test=data.index_test,
        curve=fit.model,
        grid=grid,
        measurement=measurement,
        follow_up_h=float(np.quantile(data.followed.hours, FOLLOW_UP_QUANTILE)),
        seen_low=low - margin,
        seen_high=high + margin,
        athletes_n=int(np.unique(data.athlete.astype(str)).size),
        episodes_n=len(data.athlete),
    )


def _figures(
    data: ComponentData, fit: Fit, model: ComponentModel, null_evidence: float
) -> dict[str, float]:
    grid = model.grid
    edge = (grid.slow <= 0.25) | (grid.power >= 3.0) | (grid.power <= 0.7)
    return {
        "athletes": float(np.unique(data.athlete.astype(str)).size),
        "episodes": float(len(data.athlete)),
        "tests": float(data.followed.hours.size),
        "tests_per_episode": float(data.followed.hours.size / len(data.athlete)),
        "rounds": float(fit.rounds),
        "spread_log_amplitude": float(fit.model.spread[0]),
        "spread_log_tau": float(fit.model.spread[1]),
        "held_out_evidence_gain": fit.evidence - fit.null_evidence,
        "error_scale": model.measurement.error_scale,
        "residual_deficit": model.measurement.residual_deficit,
        "population_evidence": null_evidence,
        "curve_shapes": float(grid.slow.size),
        "curve_weight_at_edge": float(grid.weights[edge].sum()),
    }
