"""Fit what the next test will show, and score it on athletes that were left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np

from nmr_ml.features.model_inputs import model_inputs
from nmr_ml.history.episodes import HORIZON_S, find_episodes, next_loading_s
from nmr_ml.history.history import build_history
from nmr_ml.history.local_time import NEVER_S
from nmr_ml.history.queries import at_landmarks, expand
from nmr_ml.labels.followed_tests import followed_tests, tests_between
from nmr_ml.levels import INTERVAL_LEVEL
from nmr_ml.models.curve.target import OUTPUTS
from nmr_ml.models.readings.model import (
    STEPS,
    Basis,
    ReadingModel,
    Readings,
    expected_readings,
    input_names,
    log_start,
    medians,
    reading_basis,
)
from nmr_ml.models.readings.recent_tests import recent_tests
from nmr_ml.numeric.arrays import RowWise, owners
from nmr_ml.numeric.folds import athlete_folds
from training.scoring.bootstrap import MODEL, compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.models.component.model import ComponentModel
    from nmr_ml.numeric.arrays import Bools, Floats, Ints, Objects
    from nmr_ml.recovery_tests import TestSpec
    from training.config import TrainConfig
    from training.data.dataset import ComponentData
    from training.fitting.component import FittedComponent

    Means = Mapping[tuple[str, str, int], Floats]

#: Readings further ahead are not learnt; the next loading session rarely lets them be.
FURTHEST_S = 96 * 3600
#: More pairs than this change the error by less than another seed does.
MOST_PAIRS = 40_000
#: Grown on the real questionnaires and on simulated jumps; flat around these values.
TREES = {
    "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 100, "feature_fraction": 0.5,
    "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 5.0, "max_bin": 127,
    "metric": "None", "deterministic": True, "force_row_wise": True, "verbosity": -1,
}  # fmt: skip
ROUNDS_TRIED = (10, 20, 40, 80, 120, 200)
#: Nobody's answers are surer than this, in per cent or points.
LEAST_WIDTH = 0.05
#: How far forecasts may start from the usual value towards the last one, and the curve's.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
PERSISTENCE, USUAL, AVERAGE = "persistence", "usual", "average"


@dataclass(frozen=True, slots=True)
class ReadingData(RowWise):
    """Moments of asking with the readings that came after them; arrays have shape (n,).

    Parameters
    ----------
    basis : Basis
        What was known at the moment.
    value : float64 array, unit of the test
        What the test showed.
    ahead_h : float64 array, h
        From asking to the test.
    last_age_d : float64 array, d
        From the last test to asking, in whole days.
    following : bool array
        Asked at the clock start about the first test after it.
    athlete, episode_id : object arrays of str
        `athlete` names cohort and athlete: the unit of folds and bootstraps.
    """

    basis: Basis
    value: Floats
    ahead_h: Floats
    last_age_d: Floats
    following: Bools
    athlete: Objects
    episode_id: Objects


_ARRAYS = tuple(name for name in ReadingData.__slots__ if name != "basis")


@dataclass(frozen=True, slots=True)
class FittedReading:
    """A reading model with what its held-out athletes say.

    Parameters
    ----------
    model : ReadingModel
    data : ReadingData
        The pairs it was fitted to.
    held_out : Readings
        Predicted for each pair from the folds without its athlete, the interval's reach too.
    """

    model: ReadingModel
    data: ReadingData
    held_out: Readings


def fit_readings(
    cohorts: Sequence[Cohort],
    data: Mapping[str, Sequence[ComponentData]],
    fitted: Mapping[str, FittedComponent],
    specs: Mapping[str, TestSpec],
    config: TrainConfig,
) -> dict[str, FittedReading]:
    """Fit the readings of every fitted component.

    Parameters
    ----------
    data : mapping of component to sequence of ComponentData
        What the components were fitted to.
    """
    found = {}
    for name, component in fitted.items():
        means = held_out_curves(data[name], component.held_out_means)
        parts = [
            reading_data(c, specs, component.model, means, config.landmarks_h, seed=config.seed)
            for c in cohorts
        ]
        found[name] = fit_reading(
            ReadingData.concatenate(parts), component.model.index_test, config
        )
    return found


def held_out_curves(parts: Sequence[ComponentData], means: Floats) -> Means:
    """Return the held-out prior means by athlete, episode and landmark in s.

    Parameters
    ----------
    parts : sequence of ComponentData
        What the component was fitted to, in the order of the rows of `means`.
    """
    found: dict[tuple[str, str, int], Floats] = {}
    row = 0
    for part in parts:
        for episode, landmark_h in zip(part.row_episode, part.landmark_h, strict=True):
            key = part.athlete[episode], part.episode_id[episode], round(landmark_h * 3600)
            found[key] = means[row]
            row += 1
    return found


def reading_data(
    cohort: Cohort, specs: Mapping[str, TestSpec], model: ComponentModel, means: Means,
    landmarks_h: Sequence[float], *, seed: int,
) -> ReadingData:  # fmt: skip
    """Return the pairs of `cohort` for the index test of `model`.

    A pair is a moment of asking, at a landmark of an episode with known load, and a test up to
    96 h later, before the athlete's next loading session. It needs an earlier test, no baseline.

    Parameters
    ----------
    means : mapping
        From `held_out_curves`, so that the booster does not learn from what the curve model has
        seen; episodes that are not in it have no baseline, and nothing is expected of them.
    """
    history = build_history(cohort, tuple(sorted(specs)))
    episodes = find_episodes(history)
    index = {str(model.component): model.index_test}
    targets = at_landmarks(episodes, sorted({0.0, *landmarks_h}))
    asked = expand(targets, episodes, history, index)
    load = history.sessions.columns["session_load_au"]
    asked = asked.take(np.flatnonzero((asked.session >= 0) & ~np.isnan(load[asked.session])))
    query, test, first = _pairs(history, asked, seed)
    queries = asked.take(query)
    at_s = history.tests.at_s[test]
    age_d = recent_tests(history, queries.athlete, queries.test, queries.as_of_s).age_d
    who = np.array([f"{cohort.name}/{a}" for a in history.athlete_ids], object)[queries.athlete]
    ids = episodes.ids[queries.episode]
    landmark_s = queries.as_of_s - queries.clock_start_s
    unknown = np.full(OUTPUTS, np.nan)
    prior = [means.get(key, unknown) for key in zip(who, ids, landmark_s.tolist(), strict=True)]
    seen = followed_tests(history, asked, specs).take(query)
    expected = expected_readings(
        model, np.array(prior, np.float64).reshape(-1, OUTPUTS), history, queries, specs, seen, at_s
    )
    X = model_inputs(history, asked, specs)[query]
    basis = reading_basis(history, queries, specs, X, expected, at_s)
    found = ReadingData(
        basis, history.tests.columns["value"][test], (at_s - queries.as_of_s) / 3600.0, age_d,
        first & (landmark_s == 0), who, ids,
    )  # fmt: skip
    return found.take(np.flatnonzero(np.isfinite(basis.usual + basis.scale)))


def _pairs(history: History, asked: Queries, seed: int) -> tuple[Ints, Ints, Bools]:
    """Return position in `asked`, row of ``history.tests`` and whether it is the first of them."""
    never = np.full(len(asked), NEVER_S)
    loading = next_loading_s(history, asked.athlete, asked.clock_start_s, never)
    end = np.minimum(
        np.minimum(loading, asked.clock_start_s + HORIZON_S), asked.as_of_s + FURTHEST_S
    )
    tests = history.tests
    offsets, rows = tests_between(
        asked.athlete, asked.test, asked.as_of_s + 1, end, never,
        tests.offsets, tests.at_s, tests.known_s, tests.columns["test"],
    )  # fmt: skip
    query = owners(offsets)
    kept = np.sort(np.random.default_rng(seed).permutation(query.size)[:MOST_PAIRS])
    first = np.append(True, query[1:] != query[:-1])[: query.size]
    return query[kept], rows[kept], first[kept]


def fit_reading(data: ReadingData, index_test: str, config: TrainConfig) -> FittedReading:
    """Fit medians and widths, the width to residuals of athletes that the median had not seen.

    The interval's reach is the conformal quantile of |residual| / width over held-out athletes
    with the weights of hierarchical conformal prediction (each athlete counts once). It covers
    a new athlete's readings on average over athletes if athletes are exchangeable; residuals from
    folds instead of a separate set make that approximate.
    """
    of_last, of_curve = _shares(data)
    start = data.basis.start(of_last, of_curve)
    start_error = max(float(np.mean(np.abs(data.value - start))), LEAST_WIDTH)
    fold = athlete_folds(data.athlete, config.folds, config.seed)
    answers = np.concatenate([data.value, data.basis.last])
    whole = bool(np.all(answers == np.round(answers)))
    centre, median = _fit_centre(data, start, start_error, whole, fold, config)
    residual = np.abs(data.value - median) / data.basis.scale
    width, held_width = _fit_width(data, residual, fold, config)
    score = residual / held_width
    half = np.empty(len(data))
    for k in np.unique(fold):
        others = fold != k
        half[~others] = athlete_quantile(score[others], data.athlete[others], INTERVAL_LEVEL)
    model = ReadingModel(
        index_test=index_test,
        of_last=of_last,
        of_curve=of_curve,
        start_error=start_error,
        centre=centre,
        width=width,
        least_width=LEAST_WIDTH,
        reach=athlete_quantile(score, data.athlete, INTERVAL_LEVEL),
        step=1.0 if whole else 0.0,
        lowest=float(data.value.min()),
        highest=float(data.value.max()),
        ahead_h=(float(data.ahead_h.min()), float(data.ahead_h.max())),
        athletes_n=int(np.unique(data.athlete.astype(str)).size),
        pairs_n=len(data),
    )
    held_out = model.around(median, data.basis.scale * held_width * half)
    return FittedReading(model, data, held_out)


def _shares(data: ReadingData) -> tuple[float, float]:
    """Return where forecasts best start: the `SHARES` of the last value and of the curve."""

    def error(shares: tuple[float, float]) -> float:
        return float(np.mean(np.abs(data.value - data.basis.start(*shares)) / data.basis.scale))

    pairs = [(last, curve) for last in SHARES for curve in SHARES if last + curve <= 1]
    return min(pairs, key=error)


@dataclass(frozen=True, slots=True)
class _Trees:
    """Trees on the inputs of `data`: what they aim at, by which loss and from where."""

    data: ReadingData
    target: Floats
    params: Mapping[str, Any]
    init: Floats | None = None

    def dataset(self) -> lgb.Dataset:
        """Return what LightGBM grows them on."""
        return lgb.Dataset(
            self.data.basis.inputs, self.target, init_score=self.init, params=dict(self.params),
            feature_name=list(input_names()), free_raw_data=False,
        ).construct()  # fmt: skip

    def held_out(self, fold: Ints) -> list[Floats]:
        """Return what the other folds say of each pair after each of `ROUNDS_TRIED`, unlinked."""
        whole, inputs = self.dataset(), self.data.basis.inputs
        parts, order = [], []
        for k in np.unique(fold):
            own = np.flatnonzero(fold == k)
            booster = self.grow(whole.subset(np.flatnonzero(fold != k)), ROUNDS_TRIED[-1])
            parts.append(
                [
                    booster.predict(inputs[own], num_iteration=r, raw_score=True)
                    for r in ROUNDS_TRIED
                ]
            )
            order.append(own)
        place = np.argsort(np.concatenate(order))
        return [np.concatenate(stage)[place] for stage in zip(*parts, strict=True)]

    def grow(self, dataset: lgb.Dataset, rounds: int) -> lgb.Booster:
        """Return `rounds` of trees."""
        return lgb.train(dict(self.params), dataset, rounds)


def _params(config: TrainConfig, objective: str, classes: int = 1) -> dict[str, Any]:
    own = {"objective": objective, "num_class": classes}
    return {**TREES, "seed": config.seed, "num_threads": config.threads, **own}


def _fit_centre(
    data: ReadingData, start: Floats, start_error: float, whole: bool, fold: Ints,
    config: TrainConfig,
) -> tuple[lgb.Booster, Floats]:  # fmt: skip
    """Return trees fitted on every pair, and each pair's median from the other folds.

    Of readings that are whole answers, trees may also tell the chance of each answer: that sees
    how often an answer is just repeated, and needs more pairs. What comes closer on athletes left
    out is taken, and so are the rounds.
    """
    basis = data.basis
    ways = [_Trees(data, (data.value - start) / basis.scale, _params(config, "l1"))]
    if whole:
        step = np.clip(data.value - basis.last, STEPS[0], STEPS[-1]) - STEPS[0]
        params = _params(config, "multiclass", STEPS.size)
        ways.append(_Trees(data, step, params, log_start(basis.last, start, start_error)))
    found = [
        (way, rounds, medians(raw, basis, start, start_error))
        for way in ways
        for rounds, raw in zip(ROUNDS_TRIED, way.held_out(fold), strict=True)
    ]

    def error(median: Floats) -> float:
        told = np.round(median) if whole else median
        return float(np.mean(np.abs(data.value - told) / basis.scale))

    way, rounds, median = min(found, key=lambda one: error(one[2]))
    return way.grow(way.dataset(), rounds), median


def _fit_width(
    data: ReadingData, residual: Floats, fold: Ints, config: TrainConfig
) -> tuple[lgb.Booster, Floats]:
    """Return trees for the mean of `residual` on every pair, and from the other folds."""
    trees = _Trees(data, residual, _params(config, "l2"))
    stages = trees.held_out(fold)
    best = int(np.argmin([np.mean((stage - residual) ** 2) for stage in stages]))
    return trees.grow(trees.dataset(), ROUNDS_TRIED[best]), np.maximum(stages[best], LEAST_WIDTH)


def athlete_quantile(score: Floats, athlete: Objects, level: float) -> float:
    """Return the conformal quantile of scores in which every athlete counts the same.

    A score of one of K athletes with n scores weighs ``1 / ((K + 1) n)``, and ``1 / (K + 1)`` lies
    at infinity (Lee, Barber and Willett, arXiv 2306.06342); `inf` where K is too small for `level`.
    """
    _, who, counts = np.unique(athlete.astype(str), return_inverse=True, return_counts=True)
    weight = 1.0 / ((counts.size + 1) * counts[who])
    order = np.argsort(score)
    # The weights of whole athletes sum to the level exactly, but for rounding.
    place = int(np.searchsorted(np.cumsum(weight[order]), level - 1e-12))
    return float(score[order][place]) if place < score.size else float("inf")


def reading_errors(fitted: FittedReading) -> dict[str, Floats]:
    """Return the absolute error of the held-out model and of the naive forecasts, by method."""
    data = fitted.data
    forecasts = {
        MODEL: fitted.held_out.value,
        PERSISTENCE: data.basis.last,
        USUAL: data.basis.usual,
        AVERAGE: data.basis.start(0.5, 0.0),
    }
    return {name: np.abs(data.value - value) for name, value in forecasts.items()}


def reading_json(fitted: FittedReading, config: TrainConfig) -> dict[str, Any]:
    """Return for the card how well the first reading after each session is told at its end."""
    return {
        "index_test": fitted.model.index_test,
        "pairs_n": fitted.model.pairs_n,
        "interval_level": INTERVAL_LEVEL,
        "first_after_session": score_reading(fitted, fitted.data.following, config),
    }


def score_reading(fitted: FittedReading, rows: Bools, config: TrainConfig) -> dict[str, Any]:
    """Return errors, their differences to the model's, and coverage on `rows`, as JSON.

    ``coverage`` is the share of readings inside the interval, ``coverage_athletes`` the mean of
    the athletes' shares: the latter is what the interval is made for. ``mean_width`` is null where
    intervals are unbounded because the athletes are too few.
    """
    data, held_out = fitted.data, fitted.held_out
    if not rows.any():
        return {"athletes_n": 0, "readings_n": 0}
    errors = {name: error[rows] for name, error in reading_errors(fitted).items()}
    compared = compare(errors, data.athlete[rows], bootstrap=config.bootstrap, seed=config.seed)
    inside = ((held_out.lower <= data.value) & (data.value <= held_out.upper))[rows]
    names, who = np.unique(data.athlete[rows].astype(str), return_inverse=True)
    width = float((held_out.upper - held_out.lower)[rows].mean())
    return {
        "athletes_n": int(names.size),
        "readings_n": int(rows.sum()),
        "mean_absolute_error": {name: e.value for name, e in compared.score.items()},
        "difference": {
            name: {"value": e.value, "lower": e.lower, "upper": e.upper}
            for name, e in compared.difference.items()
        },
        "coverage": float(inside.mean()),
        "coverage_athletes": float((np.bincount(who, inside) / np.bincount(who)).mean()),
        "mean_width": width if np.isfinite(width) else None,
    }
