"""The latent-curve model: one LightGBM with the log amplitude, log tau and slow share of a curve.

Its objective is the exact likelihood of the tests with the episode's own amplitude, time constant
and share integrated over the grid, so noisy tests pull on the curve as far as their error allows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import lightgbm as lgb
import numpy as np

from nmr_ml.models.curve.target import (
    OUTPUTS,
    STEP_CYCLES,
    CurveTarget,
    refine_level,
    refine_spread,
)
from nmr_ml.numeric.convergence import tell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.numeric.arrays import Floats, Ints


#: The exact Hessian is negative for a fifth of the rows; Newton steps need a floor, for each
#: output, which also says how fast it is learnt beside the others. Tests say much of the size of a
#: deficit and little of how it shrinks: with 0.1 for log tau and 0.05 for the share these were
#: overfitted. Higher floors lower the CRPS of new athletes (seeds 9031, 9034, 9043 and 9053: by
#: 3.1, 2.7, -0.4 and 0.5 %) and leave fewer light sessions outside their intervals. With 0.8 for
#: log tau it is 1 % lower still, but what hormones do to it is no longer found.
LEAST_CURVATURE = np.array([0.1, 0.3, 0.12])
#: Rounds between two looks at the held-out athletes, and looks without a gain before growing ends.
STEP_ROUNDS = 10
PATIENCE = 3

#: Boosters of the preset "accurate". Over 3 components of a simulated cohort (150 athletes x 90
#: days) five lower the CRPS of the true recovery time by 0.4-1 %; averaging the boosters of the
#: folds instead raises it by 3-10 %, since these are grown with the population's wider spread.
BAG = 5

#: Feature that tells since when an athlete is on record.
RECORD = "load_record_d"

Preset = Literal["fast", "accurate"]


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """How the trees are grown; the defaults are those of the shipped ``configs/train.yaml``.

    Parameters
    ----------
    preset : "fast" or "accurate"
        One booster, or the mean of `BAG`, each with draws of rows and features of its own.
    folds : int
        Athlete-grouped folds that choose rounds and spread.
    """

    preset: Preset = "fast"
    folds: int = 5
    learning_rate: float = 0.06
    num_leaves: int = 8
    min_data_in_leaf: int = 40
    feature_fraction: float = 0.5
    bagging_fraction: float = 0.7
    lambda_l2: float = 5.0
    max_bin: int = 127
    max_rounds: int = 240
    seed: int = 0
    threads: int = 1

    @classmethod
    def of(cls, source: object) -> TreeSettings:
        """Return the settings that `source` has as attributes of the same names."""
        return cls(**{field.name: getattr(source, field.name) for field in fields(cls)})

    def params(self) -> dict[str, Any]:
        """Return LightGBM's parameters, reproducible for a fixed seed and thread count."""
        return {
            "objective": "none",
            "num_class": OUTPUTS,
            "num_tree_per_iteration": OUTPUTS,
            "metric": "None",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_data_in_leaf,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.lambda_l2,
            "max_bin": self.max_bin,
            "seed": self.seed,
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }


class _Objective:
    """LightGBM's callback: gradient and curvature of minus the log evidence in the means."""

    def __init__(self, target: CurveTarget, offset: Floats, spread: Floats) -> None:
        self.target, self.offset, self.spread = target, offset, spread

    def __call__(self, scores: Floats, _: lgb.Dataset) -> tuple[Floats, Floats]:
        mean = np.ascontiguousarray(scores.reshape(-1, OUTPUTS, order="A")) + self.offset
        _evidence, centre, variance = self.target.moments(mean, self.spread)
        before, around = self.target.prior(mean, self.spread)
        square = self.spread**2
        gradient = (before - centre) / square
        curvature = np.maximum((around - variance) / square, LEAST_CURVATURE) / square
        weight = self.target.weight[:, None]
        return gradient * weight, curvature * weight


@dataclass(frozen=True, slots=True)
class BoostedCurve:
    """A fitted model: features to the normal prior of (log amplitude, log tau, slow share).

    Parameters
    ----------
    boosters : tuple of lightgbm.Booster
        Their outputs are averaged.
    offset, spread : float64 arrays, shape (3,)
        Added to the boosters' output (LightGBM does not store it), and the spread of an episode
        around it.
    """

    boosters: tuple[lgb.Booster, ...]
    offset: Floats
    spread: Floats

    def means(self, X: Floats) -> Floats:
        """Return the prior means, shape (n, 3)."""
        total = np.zeros((len(X), OUTPUTS))
        for booster in self.boosters:
            total += np.asarray(booster.predict(X, raw_score=True), np.float64).reshape(-1, OUTPUTS)
        return total / len(self.boosters) + self.offset

    def record_d(self, X: Floats) -> Floats:
        """Return the days since each athlete's first session on record, inf where X lacks them."""
        names = self.boosters[0].feature_name()
        if RECORD not in names:
            return np.full(len(X), np.inf)
        return X[:, names.index(RECORD)]

    def contributions(self, X: Floats) -> Floats:
        """Return each feature's exact tree contribution to the means, shape (n, n_features, 3)."""
        total = np.zeros((len(X), OUTPUTS, X.shape[1]))
        for booster in self.boosters:
            whole = np.asarray(booster.predict(X, pred_contrib=True), np.float64)
            total += whole.reshape(len(X), OUTPUTS, -1)[:, :, :-1]
        return np.ascontiguousarray(total.transpose(0, 2, 1)) / len(self.boosters)


def _binned(X: Floats, names: tuple[str, ...], settings: TreeSettings) -> lgb.Dataset:
    """Return LightGBM's view of the features, which folds and the final fit share."""
    dataset = lgb.Dataset(X, np.zeros(len(X)), feature_name=list(names), params=settings.params())
    constructed: lgb.Dataset = dataset.construct()
    return constructed


class _Growing:
    """A booster on the rows `train` of a data set, and its scores of the rows `held`."""

    def __init__(
        self, dataset: lgb.Dataset, objective: _Objective, settings: TreeSettings,
        held: NDArray[np.intp] | None = None, train: NDArray[np.intp] | None = None,
    ) -> None:  # fmt: skip
        self.objective = objective
        rows = dataset if train is None else dataset.subset(train.tolist())
        self._booster = lgb.Booster(settings.params(), rows)
        if held is not None:
            self._booster.add_valid(dataset.subset(held.tolist()), "held")

    def grow(self, rounds: int) -> None:
        for _ in range(rounds):
            self._booster.update(fobj=self.objective)

    def held_scores(self) -> Floats:
        """Return the scores of the held rows, shape (n_held, 3)."""
        found = []

        def keep(scores: Floats, _: lgb.Dataset) -> tuple[str, float, bool]:
            found.append(np.array(scores.reshape(-1, OUTPUTS, order="A")))
            return "none", 0.0, False

        self._booster.eval_valid(feval=keep)
        return found[0]

    def booster(self, rounds: int) -> lgb.Booster:
        """Return the first `rounds` of it, free of its data."""
        return lgb.Booster(model_str=self._booster.model_to_string(num_iteration=rounds))


def grow(
    X: Floats, target: CurveTarget, offset: Floats, spread: Floats, settings: TreeSettings,
    *, rounds: int, names: tuple[str, ...],
) -> lgb.Booster:  # fmt: skip
    """Grow `rounds` triples of trees on every row for a fixed episode spread."""
    return _grow(_binned(X, names, settings), target, offset, spread, settings, rounds)


def _grow(
    dataset: lgb.Dataset, target: CurveTarget, offset: Floats, spread: Floats,
    settings: TreeSettings, rounds: int,
) -> lgb.Booster:  # fmt: skip
    growing = _Growing(dataset, _Objective(target, offset, spread), settings)
    growing.grow(rounds)
    return growing.booster(rounds)


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted curve with what its folds said.

    Parameters
    ----------
    model : BoostedCurve
    held_out_means : float64 array, shape (n, 3)
        Means of each row from the fold that did not see its athlete, levelled on the fold's own.
    fold_boosters : tuple of lightgbm.Booster
        Those of the folds, in order of the folds' numbers.
    rounds : int
    evidence : float
        Held-out mean log evidence at `rounds`; `null_evidence` is that without trees.
    """

    model: BoostedCurve
    held_out_means: Floats
    fold_boosters: tuple[lgb.Booster, ...]
    rounds: int
    evidence: float
    null_evidence: float


def fit_boosted_curve(
    X: Floats, target: CurveTarget, fold: Ints, offset: Floats, spread: Floats,
    settings: TreeSettings, names: tuple[str, ...],
) -> Fit:  # fmt: skip
    """Choose rounds and spread on athlete-grouped folds, then refit on every row.

    Parameters
    ----------
    fold : int64 array, shape (n,)
        Fold of each row; all rows of an athlete are in one fold.
    offset, spread : float64 arrays, shape (3,)
        Start: mean and spread of the population.
    """
    dataset = _binned(X, names, settings)
    _, null_evidence = refine_spread(target, np.tile(offset, (len(X), 1)), spread)
    best, of_folds = _grow_folds(dataset, target, fold, offset, spread, settings)
    means = _levelled(best, of_folds, X, target, fold, offset)
    final, evidence = refine_spread(target, means, best.spread)
    boosters = tuple(
        _grow(
            dataset, target, offset, final, replace(settings, seed=settings.seed + i), best.rounds
        )
        for i in range(BAG if settings.preset == "accurate" else 1)
    )
    model = BoostedCurve(boosters, offset, final)
    return Fit(model, means, of_folds, best.rounds, evidence, null_evidence)


@dataclass(frozen=True, slots=True)
class _Stage:
    rounds: int
    means: Floats
    spread: Floats
    evidence: float


def _grow_folds(
    dataset: lgb.Dataset, target: CurveTarget, fold: Ints, offset: Floats, spread: Floats,
    settings: TreeSettings,
) -> tuple[_Stage, tuple[lgb.Booster, ...]]:  # fmt: skip
    """Grow one booster a fold, side by side, while the tests of left-out athletes gain."""
    held = [np.flatnonzero(fold == k) for k in np.unique(fold)]
    growing = []
    for rows in held:
        train = np.setdiff1d(np.arange(fold.size), rows, assume_unique=True)
        objective = _Objective(target.take(train), offset, spread)
        growing.append(_Growing(dataset, objective, settings, rows, train))
    best = _Stage(0, np.empty(0), spread, -np.inf)
    means, rounds = np.empty((fold.size, OUTPUTS)), 0
    while rounds < min(settings.max_rounds, best.rounds + PATIENCE * STEP_ROUNDS):
        step = min(STEP_ROUNDS, settings.max_rounds - rounds)
        for one, rows in zip(growing, held, strict=True):
            one.grow(step)
            means[rows] = one.held_scores() + offset
        rounds += step
        spread, evidence = refine_spread(
            target, means, spread, cycles=STEP_CYCLES, name="episode_spread_at_a_look"
        )
        if evidence > best.evidence:
            best = _Stage(rounds, means.copy(), spread, evidence)
    tell("tree_rounds", rounds, converged=rounds >= best.rounds + PATIENCE * STEP_ROUNDS)
    return best, tuple(one.booster(best.rounds) for one in growing)


def _levelled(
    stage: _Stage, boosters: tuple[lgb.Booster, ...], X: Floats, target: CurveTarget, fold: Ints,
    offset: Floats,
) -> Floats:  # fmt: skip
    """Return the means of `stage` as those of folds that are grown with its spread would be.

    The level of a fold is that of the rows it was grown on, so no left-out test enters it.
    """
    means = stage.means.copy()
    for one, booster in zip(np.unique(fold), boosters, strict=True):
        train = np.flatnonzero(fold != one)
        fitted = BoostedCurve((booster,), offset, stage.spread).means(X[train])
        means[fold == one] += refine_level(target.take(train), fitted, stage.spread)
    return means
