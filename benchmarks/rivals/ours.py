"""The project's model, fitted as it is trained and asked as it predicts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.rivals.problem import specs_for
from benchmarks.rivals.scores import LEVELS
from nmr_ml.features.contract import feature_contract
from nmr_ml.labels.followed_tests import no_tests
from nmr_ml.models.component.fit_offsets import fit_team
from nmr_ml.models.component.model import prior_of
from nmr_ml.models.component.offsets import Past, athlete_offsets
from nmr_ml.models.curve.posterior import recovery_quantiles
from nmr_ml.models.curve.read_off import read_off
from training.config import load_config
from training.fitting.component import fit_component
from training.fitting.held_out import earlier_episodes

if TYPE_CHECKING:
    from benchmarks.rivals.method import Answer, Training
    from benchmarks.rivals.problem import Side
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.component.model import ComponentModel
    from nmr_ml.numeric.arrays import Floats, Ints
    from training.data.dataset import ComponentData


def at_start(data: ComponentData) -> ComponentData:
    """Return the episodes of `data` seen at their clock start only."""
    rows = data.starts
    return replace(
        data, X=data.X[rows], landmark_h=data.landmark_h[rows], row_episode=data.row_episode[rows]
    )


#: Of the athlete's earlier episodes.
NOTHING, EVERYTHING = slice(0), slice(None)


def learn(training: Training, *, preset: str = "fast") -> ComponentModel:
    """Fit the component to features at the clock start."""
    settings = ("bootstrap=1", "held_out_time=null", f"seed={training.seed}", f"preset={preset}")
    # Only δ is read from the catalogue; the errors of the tests are in the data.
    return fit_component(
        at_start(training.side.data), specs_for(1.0), feature_contract(),
        load_config(None, settings),
    ).model  # fmt: skip


def quantiles(
    model: ComponentModel, side: Side, delta: float, *, seen: Followed | None = None,
    past: slice = NOTHING,
) -> Floats:  # fmt: skip
    """Return the quantiles of the recovery time at `LEVELS` for each episode.

    Parameters
    ----------
    seen : Followed or None
        Tests of the episodes that are known.
    past : slice
        Which of the athlete's earlier labelled episodes, in order of time, are known.
    """
    X, data = side.X, side.data
    read = model.measurement.read(data.followed)
    earlier = sliced(*earlier_episodes(data), past)
    before = Past(read, model.curve.means(X), np.arange(len(side)), *earlier)
    offsets = athlete_offsets(model.offsets, model.grid, before, read, data.team, data.team)
    known = no_tests(len(side)) if seen is None else seen
    prior = prior_of(model, X, known, offsets, side.facts.sex)
    found, _ = recovery_quantiles(
        read_off(model.grid, delta), prior.means, prior.spreads, prior.seen, LEVELS,
        np.zeros((len(side), 0)),
    )  # fmt: skip
    return found


def sliced(offsets: Ints, rows: Ints, past: slice) -> tuple[Ints, Ints]:
    """Return the slice `past` of each ragged row."""
    kept = [rows[first:end][past] for first, end in pairwise(offsets)]
    counts = [part.size for part in kept]
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), np.concatenate(kept)


def adapted(model: ComponentModel, labelled: Side) -> ComponentModel:
    """Return `model` with the team of `labelled` learnt as `nmr adapt` does, without a refit."""
    data = labelled.data
    team = fit_team(
        model.offsets, model.measurement.read(data.followed), model.grid,
        model.curve.means(labelled.X), data.athlete,
    )  # fmt: skip
    teams = {**model.offsets.teams, str(data.team[0]): team}
    return replace(model, offsets=replace(model.offsets, teams=teams))


def fit_fast(training: Training) -> Answer:
    """Fit the latent-curve model, one booster."""
    model = learn(training)
    return lambda side: quantiles(model, side, training.delta)


def fit_accurate(training: Training) -> Answer:
    """Fit the latent-curve model, a bag of boosters."""
    model = learn(training, preset="accurate")
    return lambda side: quantiles(model, side, training.delta)
