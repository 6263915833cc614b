"""The latent-curve model: one LightGBM with the log amplitude, log tau and slow share of a curve.

Its objective is the exact likelihood of the tests with the episode's own amplitude, time constant
and share integrated over the grid, so noisy tests pull on the curve as far as their error allows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import lightgbm as lgb
import numpy as np

from nmr_ml.kernels import inner, kept, summed
from nmr_ml.squarem import climb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.curve import CurveGrid

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Table = NDArray[np.float32]

#: What is told of a curve: log amplitude, log time constant, share of the slow part.
OUTPUTS = 3
#: The exact Hessian is negative for a fifth of the rows; Newton steps need a floor, for each
#: output. Tests say little of one episode's share, so with a higher floor it is hardly learnt.
LEAST_CURVATURE = np.array([0.1, 0.1, 0.05])
#: Below these spreads a normal falls between the nodes, and an output is learnt slowly: a tight
#: prior leaves no gradient. With 0.1 for the share and its lower curvature, instead of the
#: likeliest 0.07 and 0.1, the CRPS of new athletes was 0-2 % lower and 80 % intervals of strength
#: sessions held the truth 6-11 points more often (seeds 102 and 103).
LEAST_SPREAD = np.array([0.12, 0.12, 0.1])
#: Nodes further than this many spreads from the mean are not looked at.
REACH = 4.5
#: Rounds between two looks at the held-out athletes, and looks without a gain before growing ends.
STEP_ROUNDS = 10
PATIENCE = 3
#: Cycles of `nmr_ml.squarem.climb` of the spread at each look, and at the last.
STEP_CYCLES, CYCLES = 2, 10
#: No spread is wider than ten times over and under.
MOST_LOG_SPREAD = float(np.log(np.log(10.0)))

#: Boosters of the preset "accurate". Over 3 components of a simulated cohort (150 athletes x 90
#: days) five lower the CRPS of the true recovery time by 0.4-1 %; averaging the boosters of the
#: folds instead raises it by 3-10 %, since these are grown with the population's wider spread.
BAG = 5

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


@inner
def _weigh(nodes: Floats, mean: float, spread: float, out: Floats) -> tuple[int, int, int, float]:
    """Write the normal prior of evenly spaced `nodes` within `REACH`, 1 at the nearest to `mean`.

    Returns
    -------
    nearest, first, end : int
        Beyond ``first:end`` it is 0.
    total : float
        Sum of `out`.
    """
    out[:] = 0.0
    if nodes.size == 1:
        out[0] = 1.0
        return 0, 0, 1, 1.0
    step = nodes[1] - nodes[0]
    nearest = min(max(int(np.rint((mean - nodes[0]) / step)), 0), nodes.size - 1)
    reach = int(REACH * spread / step) + 1
    first, end = max(nearest - reach, 0), min(nearest + reach + 1, nodes.size)
    # exp(-(d + k step)² / 2 s²) is exp(-d² / 2 s²), left out, times ratio^k fall^(k²).
    ratio = np.exp((mean - nodes[nearest]) * step / spread**2)
    fall = np.exp(-0.5 * (step / spread) ** 2)
    out[nearest], total = 1.0, 1.0
    up, weight = ratio * fall, 1.0
    for k in range(nearest + 1, end):
        weight *= up
        up *= fall**2
        out[k] = weight
        total += weight
    down, weight = fall / ratio, 1.0
    for k in range(nearest - 1, first - 1, -1):
        weight *= down
        down *= fall**2
        out[k] = weight
        total += weight
    return nearest, first, end, total


@inner
def _moments(mass: Floats, nodes: Floats, nearest: int, total: float) -> tuple[float, float]:
    """Return mean and variance of evenly spaced `nodes` weighted by ``mass / total``.

    Taken in steps around the node `nearest` to the mean, so that nothing cancels in the variance.
    """
    first, second = 0.0, 0.0
    for k in range(mass.size):
        first += mass[k] * (k - nearest)
        second += mass[k] * (k - nearest) ** 2
    step = nodes[1] - nodes[0] if nodes.size > 1 else 1.0
    first /= total
    return nodes[nearest] + step * first, max(second / total - first**2, 0.0) * step**2


@summed
def posterior_moments(
    table: Table,
    episode: Ints,
    log_amplitude: Floats,
    log_tau: Floats,
    share: Floats,
    mean: Floats,
    spread: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return log evidence, and mean and variance of each output given the tests.

    Parameters
    ----------
    table : float32 array, shape (n_episodes, n_w, n_a, n_b)
        Likelihood of each episode's tests, from `nmr_ml.curve.likelihood_tables`.
    episode : int64 array, shape (n,)
        Row of `table` for each prior.
    log_amplitude, log_tau, share : float64 arrays, shapes (n_a,), (n_b,) and (n_w,)
        Evenly spaced nodes.
    mean, spread : float64 arrays, shape (n, 3)
        The normal prior of each row.

    Returns
    -------
    evidence : shape (n,), relative to the table's `top`
    mean, variance : shape (n, 3)
    """
    n, n_b = episode.size, log_tau.size
    wa, wb, ww = np.empty(log_amplitude.size), np.empty(n_b), np.empty(share.size)
    by_a, by_b, by_w = np.empty(log_amplitude.size), np.empty(n_b), np.empty(share.size)
    row = np.empty(n_b)
    evidence, centre, variance = np.empty(n), np.empty((n, 3)), np.empty((n, 3))
    for q in range(n):
        near_a, a0, a1, sum_a = _weigh(log_amplitude, mean[q, 0], spread[q, 0], wa)
        near_b, _b0, _b1, sum_b = _weigh(log_tau, mean[q, 1], spread[q, 1], wb)
        near_w, w0, w1, sum_w = _weigh(share, mean[q, 2], spread[q, 2], ww)
        by_a[:], by_b[:], by_w[:] = 0.0, 0.0, 0.0
        for i in range(a0, a1):
            row[:] = 0.0
            for c in range(w0, w1):
                nodes, total = table[episode[q], c, i], 0.0
                for j in range(n_b):  # over all of them: loops of one length are the fastest
                    weighed = nodes[j] * wb[j]
                    total += weighed
                    row[j] += ww[c] * weighed
                by_w[c] += ww[c] * wa[i] * total
            for j in range(n_b):
                by_b[j] += wa[i] * row[j]
            by_a[i] = wa[i] * row.sum()
        total = max(by_a.sum(), 1e-290)
        evidence[q] = np.log(total / (sum_a * sum_b * sum_w))
        centre[q, 0], variance[q, 0] = _moments(by_a, log_amplitude, near_a, total)
        centre[q, 1], variance[q, 1] = _moments(by_b, log_tau, near_b, total)
        centre[q, 2], variance[q, 2] = _moments(by_w, share, near_w, total)
    return evidence, centre, variance


@kept
def prior_moments(
    log_amplitude: Floats, log_tau: Floats, share: Floats, mean: Floats, spread: Floats
) -> tuple[Floats, Floats]:
    """Return mean and variance of each output's normal prior over the nodes.

    Cut at the ends of the grid it has another mean and a smaller variance than uncut, which the
    slow share, on few nodes near 1, would otherwise pay for.

    Parameters
    ----------
    mean, spread : float64 arrays, shape (n, 3)

    Returns
    -------
    mean, variance : shape (n, 3)
    """
    centre, variance = np.empty(mean.shape), np.empty(mean.shape)
    for axis, nodes in enumerate((log_amplitude, log_tau, share)):
        weight = np.empty(nodes.size)
        for q in range(mean.shape[0]):
            near, _first, _end, total = _weigh(nodes, mean[q, axis], spread[q, axis], weight)
            centre[q, axis], variance[q, axis] = _moments(weight, nodes, near, total)
    return centre, variance


@dataclass(frozen=True, slots=True)
class CurveTarget:
    """What the boosted curve is fitted to: the tests of each row's episode.

    Parameters
    ----------
    grid : CurveGrid
    table : float32 array, shape (n_episodes, n_w, n_a, n_b)
        From `nmr_ml.curve.likelihood_tables`.
    episode : int64 array, shape (n,)
        Row of `table`; an episode seen at several landmarks has several rows.
    weight : float64 array, shape (n,)
    """

    grid: CurveGrid
    table: Table
    episode: Ints
    weight: Floats

    def take(self, rows: NDArray[np.intp]) -> CurveTarget:
        """Return the target of `rows`."""
        return CurveTarget(self.grid, self.table, self.episode[rows], self.weight[rows])

    def moments(self, mean: Floats, spread: Floats) -> tuple[Floats, Floats, Floats]:
        """Return `posterior_moments` of every row under normal priors; `spread` may be shared."""
        spreads = np.ascontiguousarray(np.broadcast_to(spread, mean.shape))
        evidence, centre, variance = posterior_moments(
            self.table, self.episode, self.grid.log_amplitude, self.grid.log_tau, self.grid.share,
            mean, spreads,
        )  # fmt: skip
        return evidence, centre, variance

    def prior(self, mean: Floats, spread: Floats) -> tuple[Floats, Floats]:
        """Return `prior_moments` of every row; `spread` may be shared."""
        spreads = np.ascontiguousarray(np.broadcast_to(spread, mean.shape))
        grid = self.grid
        centre, variance = prior_moments(
            grid.log_amplitude, grid.log_tau, grid.share, mean, spreads
        )
        return centre, variance


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


def refine_spread(
    target: CurveTarget, mean: Floats, spread: Floats, *, cycles: int = CYCLES
) -> tuple[Floats, float]:
    """Return the spread that makes the tests of held-out athletes most likely, and that evidence.

    Expectation maximisation for fixed means; the evidence is the weighted mean per row. Of the slow
    share, whose prior is cut at the ends of its few nodes, it finds a spread on the small side.
    """

    def step(at: Floats) -> tuple[Floats, float]:
        found, centre, variance = target.moments(mean, _wide_enough(at))
        around = np.average((centre - mean) ** 2 + variance, axis=0, weights=target.weight)
        around = np.maximum(around, LEAST_SPREAD**2)
        return 0.5 * np.log(around), float(np.average(found, weights=target.weight))

    at = climb(step, np.log(spread), cycles=cycles)
    return _wide_enough(at), step(at)[1]


def _wide_enough(log_spread: Floats) -> Floats:
    return np.asarray(np.maximum(np.exp(np.minimum(log_spread, MOST_LOG_SPREAD)), LEAST_SPREAD))


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted curve with what its folds said.

    Parameters
    ----------
    model : BoostedCurve
    held_out_means : float64 array, shape (n, 3)
        Means of each row from the fold that did not see its athlete.
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
    final, evidence = refine_spread(target, best.means, best.spread)
    boosters = tuple(
        _grow(
            dataset, target, offset, final, replace(settings, seed=settings.seed + i), best.rounds
        )
        for i in range(BAG if settings.preset == "accurate" else 1)
    )
    model = BoostedCurve(boosters, offset, final)
    return Fit(model, best.means, of_folds, best.rounds, evidence, null_evidence)


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
        spread, evidence = refine_spread(target, means, spread, cycles=STEP_CYCLES)
        if evidence > best.evidence:
            best = _Stage(rounds, means.copy(), spread, evidence)
    return best, tuple(one.booster(best.rounds) for one in growing)
