"""Medians by modality: of the curves that noisy tests speak for, and of the true times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.rivals.scores import LEVELS
from nmr_ml.labels.followed_tests import no_tests
from nmr_ml.models.curve.posterior import recovery_quantiles
from nmr_ml.models.curve.read_off import read_off

if TYPE_CHECKING:
    from benchmarks.rivals.method import Answer, Training
    from benchmarks.rivals.problem import Side
    from nmr_ml.numeric.arrays import Floats


def fit_population(training: Training) -> Answer:
    """Fit the population of curves by modality: the project's own baseline."""
    cells, _, _ = training.cells()
    table = read_off(cells.grid, training.delta)
    by_group = np.concatenate(
        [
            recovery_quantiles(table, mean[None], spread, no_tests(1), LEVELS, np.zeros((1, 0)))[0]
            for mean, spread in zip(cells.population.mean, cells.population.spread, strict=True)
        ]
    )

    def answer(side: Side) -> Floats:
        return np.asarray(by_group[cells.group_of(side.data.modality)])

    return answer


def fit_truth(training: Training) -> Answer:
    """Take the quantiles of the true recovery times by modality, which no user has."""
    modality, truth_h = training.side.data.modality, training.side.truth_h
    everyone = np.quantile(truth_h, LEVELS)
    known = {m: np.quantile(truth_h[modality == m], LEVELS) for m in set(modality.tolist())}

    def answer(side: Side) -> Floats:
        return np.array([known.get(m, everyone) for m in side.data.modality])

    return answer
