"""What a method gets and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np

from benchmarks.rivals.cells import PopulationCells, cell_weights, population_cells
from nmr_ml.features.contract import feature_contract
from nmr_ml.numeric.arrays import owners
from nmr_ml.numeric.folds import athlete_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.rivals.problem import Side
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.numeric.arrays import Bools, Floats, Ints


FOLDS = 5
#: Features that are codes of words.
CODES = ("session_modality", "session_kind", "sex")
#: Answers with the quantiles at `benchmarks.rivals.scores.LEVELS`, shape (n_episodes, n_levels).
Answer = Callable[["Side"], "NDArray[np.float64]"]


@dataclass(frozen=True)
class Training:
    """Labelled episodes that a method is fitted to, and what several methods derive from them.

    Parameters
    ----------
    side : Side
        Labelled episodes only.
    delta : float
    seed : int
        Of folds, subsets and trees.
    """

    side: Side
    delta: float
    seed: int = 0

    @cached_property
    def X(self) -> Floats:  # noqa: N802  the matrix of features
        """Features at the clock start."""
        return self.side.X

    @cached_property
    def fold(self) -> Ints:
        """Fold of each episode; all episodes of an athlete are in one."""
        return athlete_folds(self.side.data.athlete, FOLDS, self.seed)

    def intervals(self) -> tuple[Floats, Floats]:
        """Return the hard intervals of each episode."""
        return first_recovered(self.side.data.followed, self.delta)

    def cells(self) -> tuple[PopulationCells, Floats, Floats]:
        """Return the population of curves, and posterior and likelihood over its cells."""
        data = self.side.data
        cells = population_cells(data.followed, data.modality, self.delta, seed=self.seed)
        return (cells, *cell_weights(cells, data.followed, data.modality))

    def subset(self, most: int) -> Ints:
        """Return at most `most` episodes for methods that cannot take all in reasonable time."""
        rows = np.random.default_rng(self.seed).permutation(len(self.side))[:most]
        return np.sort(rows)


def first_recovered(followed: Followed, delta: float) -> tuple[Floats, Floats]:
    """Return the interval (lower, upper] in hours that a usual user would read off the tests.

    The upper end is the first test below `delta`, the lower one the test before it (0 h without
    one); infinite above the last test where none is below. The errors of the tests are not looked
    at, which is what is wrong with it.
    """
    n = len(followed)
    owner = owners(followed.offsets)
    last = np.full(n, -1.0)
    np.maximum.at(last, owner, followed.hours)
    upper = np.full(n, np.inf)
    below = followed.deficit < delta
    np.minimum.at(upper, owner[below], followed.hours[below])
    lower = np.zeros(n)
    before = followed.hours < upper[owner]
    np.maximum.at(lower, owner[before], followed.hours[before])
    return lower, upper


def middles(lower: Floats, upper: Floats) -> tuple[Floats, Bools]:
    """Return the middle of each interval and whether it ends; else its lower end."""
    ended = np.isfinite(upper)
    return np.where(ended, 0.5 * (lower + np.where(ended, upper, 0.0)), lower), ended


@dataclass(frozen=True, slots=True)
class Columns:
    """Dense, standardised columns for methods that take no missing values.

    Parameters
    ----------
    kept : int64 array
        Columns of X, missing values filled with their `centre` and scaled.
    codes : tuple of (column, values)
        Columns of codes that become one indicator for each value.
    """

    kept: Ints
    centre: Floats
    scale: Floats
    codes: tuple[tuple[int, tuple[float, ...]], ...]

    @classmethod
    def of(cls, X: Floats, kept: Ints) -> Columns:
        """Take medians and spreads of the columns `kept` of X, and the values of its codes."""
        names = feature_contract().names
        coded = [names.index(name) for name in CODES]
        kept = np.array([c for c in kept if c not in coded], np.int64)
        filled = ~np.isnan(X[:, kept]).all(axis=0)
        kept = kept[filled]
        centre, scale = np.nanmedian(X[:, kept], axis=0), np.nanstd(X[:, kept], axis=0)
        varied = scale > 1e-9
        codes = []
        for c in coded:
            values, counts = np.unique(X[~np.isnan(X[:, c]), c], return_counts=True)
            # The most frequent value is the reference.
            codes.append((c, tuple(np.delete(values, np.argmax(counts)).tolist())))
        return cls(kept[varied], centre[varied], scale[varied], tuple(codes))

    def dense(self, X: Floats) -> Floats:
        """Return the columns for X, shape (n, n_columns); values are cut at 5 spreads."""
        filled = np.where(np.isnan(X[:, self.kept]), self.centre, X[:, self.kept])
        scaled = np.clip((filled - self.centre) / self.scale, -5.0, 5.0)
        marks = [X[:, c] == value for c, values in self.codes for value in values]
        return np.column_stack([scaled, *(m.astype(np.float64) for m in marks)])


def trees(seed: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401  whatever LightGBM takes
    """Return LightGBM's parameters: those of ``configs/train.yaml``, one thread."""
    return {
        "learning_rate": 0.06, "num_leaves": 8, "min_data_in_leaf": 40, "feature_fraction": 0.5,
        "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 5.0, "max_bin": 127,
        "seed": seed, "num_threads": 1, "deterministic": True, "force_row_wise": True,
        "verbosity": -1, **more,
    }  # fmt: skip


def fit_l2(
    X: Floats, y: Floats, fold: Ints, seed: int, *, most: int = 400
) -> tuple[lgb.Booster, Floats]:
    """Return a squared-error booster, and the predictions for athletes that its folds left out.

    The number of trees is that of least error over the folds.
    """
    params = trees(seed, objective="regression")
    steps = np.unique(np.linspace(10, most, 40).astype(int))
    staged = np.empty((steps.size, y.size))
    for k in np.unique(fold):
        train, held = fold != k, fold == k
        booster = lgb.train(params, lgb.Dataset(X[train], y[train]), most)
        for i, step in enumerate(steps):
            staged[i, held] = booster.predict(X[held], num_iteration=int(step))
    best = int(np.argmin(((staged - y) ** 2).mean(axis=1)))
    return lgb.train(params, lgb.Dataset(X, y), int(steps[best])), staged[best]


def strongest(X: Floats, y: Floats, seed: int, most: int) -> Ints:
    """Return the columns of X that a quick booster of y gains most from."""
    booster = lgb.train(trees(seed, objective="regression"), lgb.Dataset(X, y), 80)
    return np.argsort(booster.feature_importance("gain"))[::-1][:most].astype(np.int64)
