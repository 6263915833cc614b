"""Fits the law of the lengths of injuries and systemic episodes, and the trees beside it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import lightgbm as lgb
import numpy as np
from scipy.optimize import minimize

from nmr_ml.models.availability.absences import bounds_ln
from nmr_ml.models.availability.interval_likelihood import (
    Terms,
    interval_terms,
    newton_terms,
    rough_median,
)
from nmr_ml.models.availability.law import (
    FAMILIES,
    LOG_PRIOR,
    NODES,
    SD_OF_Z,
    UNSEEN,
    DurationLaw,
    label,
)
from nmr_ml.models.availability.model import TREE_COLUMNS
from nmr_ml.numeric.convergence import tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.models.availability.absences import Absences
    from nmr_ml.numeric.arrays import Bools, Floats, Ints, Objects

    #: By factor the key of each episode's level, None where the factor does not apply.
    Keys = Mapping[str, Sequence[tuple[str, ...] | None]]


#: Prior SD, in log hours, of a kind around both: exertion, injury and systemic episodes last hours,
#: weeks and months (domain.md §1), so a factor of e is nothing unusual.
KIND_SD = 1.0


#: Of a grade around its kind: lay-off of hamstring injuries by MRI grade is 8, 17, 22 and 73 d
#: (Ekstrand 2012, n = 516), whose logs have SD 0.92.
GRADE_SD = 0.9


#: Median and log SD of the SD of log hours of both kinds; within those grades it is 0.36, 0.55,
#: 0.47 and 0.72. Without a prior a few episodes that their grades explain let it collapse to 0.
SPREAD, SPREAD_LN_SD = 0.5, 0.5


#: Of a kind's log scale around that of both [assumption].
KIND_SPREAD_LN_SD = 0.3


#: The athletes' offsets: median and log SD of their SD. Without a prior few athletes let it
#: collapse to 0, and new athletes are then not covered (method.md §6; 0.22 is that of its §1).
ATHLETE_SD = 0.22


ATHLETE_LN_SD = 0.7


#: What the record says in free text, and both together; how far their levels differ is estimated.
WORDS = ("region", "diagnosis", "pair")


#: SD of the levels of a factor around their kind. Those of words are where the search begins
#: [assumption].
LEVEL_SD = {"kind": KIND_SD, "grade": GRADE_SD, **dict.fromkeys(WORDS, 0.4)}


#: The least and the most that the variance of words is, in square log hours. At the least, 1 % of
#: the hours, they do not differ and are left out.
LEAST_VARIANCE, MOST_VARIANCE = 1e-4, 4.0


#: Rounds of finding mode and variances in turn, and the change of ln variance that ends them.
ROUNDS, LEAST_MOVE = 20, 0.05


class _Level(NamedTuple):
    """A group of episodes with a location of its own; the first part of `key` is the kind."""

    factor: str
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Problem:
    """The data of a fit, and its prior by parameter.

    Parameters stand in this order: location of all kinds together, of each of `levels`, log scale
    of all kinds, of each kind, log SD of the athletes.
    """

    lower_ln: Floats
    upper_ln: Floats
    offset: Floats
    athlete: Ints
    levels: tuple[_Level, ...]
    design: Floats
    spread_design: Floats
    centre: Floats
    precision: Floats
    family: str

    def places(self, factor: str) -> Ints:
        """Return where the levels of `factor` stand among the parameters."""
        own = [level.factor == factor for level in self.levels]
        return np.asarray(1 + np.flatnonzero(own), np.int64)

    def with_variances(self, variances: Mapping[str, float]) -> _Problem:
        """Return the problem with the levels of factors as far apart as `variances` say."""
        precision = self.precision.copy()
        for factor, variance in variances.items():
            precision[self.places(factor)] = 1.0 / variance
        return replace(self, precision=precision)

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        """Return minus the log posterior and its gradient."""
        terms, weight, total = self._terms(x)
        slope, away = weight * terms.slope, x - self.centre
        gradient = np.concatenate(
            [
                self.design.T @ slope.sum(axis=1),
                self.spread_design.T @ (weight * terms.scale_slope).sum(axis=1),
                [(slope @ NODES).sum() * np.exp(x[-1])],
            ]
        )
        prior = 0.5 * (self.precision * away**2).sum()
        return float(prior - total), gradient + self.precision * away

    def covariance(self, x: Floats) -> Floats:
        """Return the inverse curvature of the log posterior in the locations (Laplace)."""
        terms, weight, _ = self._terms(x)
        curvature = self.curvature_of_known(x)
        # An athlete's offset is not known: what its nodes disagree about tells nothing.
        for a in range(self.athlete.max() + 1):
            own = np.flatnonzero(self.athlete == a)
            slopes, of_node = terms.slope[own].T @ self.design[own], weight[own[0]]
            mean = of_node @ slopes
            curvature -= (slopes.T * of_node) @ slopes - np.outer(mean, mean)
        return np.asarray(np.linalg.inv(curvature))

    def curvature_of_known(self, x: Floats) -> Floats:
        """Return the curvature in the locations if offsets were known; nowhere negative."""
        terms, weight, _ = self._terms(x)
        each = (weight * terms.curvature).sum(axis=1)
        prior = np.diag(self.precision[: self.design.shape[1]])
        return np.asarray((self.design.T * each) @ self.design + prior)

    def _terms(self, x: Floats) -> tuple[Terms, Floats, float]:
        """Return terms by episode and node, the weights of the nodes, and the log likelihood."""
        m, k = self.design.shape[1], self.spread_design.shape[1]
        mu = (self.design @ x[:m] + self.offset)[:, None] + NODES * np.exp(x[-1])
        scale = np.exp(self.spread_design @ x[m : m + k])
        n, nodes = mu.shape
        found = interval_terms(
            np.repeat(self.lower_ln, nodes), np.repeat(self.upper_ln, nodes), mu.ravel(),
            np.repeat(scale, nodes), FAMILIES[self.family],
        )  # fmt: skip
        terms = Terms(*(part.reshape(n, nodes) for part in found))
        by_athlete = np.tile(LOG_PRIOR, (self.athlete.max() + 1, 1))
        np.add.at(by_athlete, self.athlete, terms.log_p)
        top = by_athlete.max(axis=1, keepdims=True)
        weight = np.exp(by_athlete - top)
        total = weight.sum(axis=1, keepdims=True)
        return terms, (weight / total)[self.athlete], float((top + np.log(total)).sum())


def fit_law(
    absences: Absences, *, family: str, graded: bool, words: bool = True,
    offset: Floats | None = None,
) -> DurationLaw:  # fmt: skip
    """Fit a law to episodes.

    Parameters
    ----------
    family : {"lognormal", "loglogistic"}
    graded : bool
        Whether the grades of a kind have locations of their own.
    words : bool
        Whether body regions, diagnoses and pairs of them have, as far as they differ: their
        variances are those under which the episodes are most probable, and may be 0.
    offset : float64 array, shape (n,), optional
        Added to the location of each episode.
    """
    keys = _keys(absences, graded=graded, words=words)
    problem = _problem(absences, keys, family, offset)
    variances = _most_probable_variances(problem)
    if len(variances) < len({*keys} & {*WORDS}):
        keys = {f: own for f, own in keys.items() if f not in WORDS or f in variances}
        problem = _problem(absences, keys, family, offset)
    problem = problem.with_variances(variances)
    return _law(problem, _mode(problem), absences.kind, variances)


def _keys(absences: Absences, *, graded: bool, words: bool) -> Keys:
    """Return the levels of each episode; words apply to kinds that have several of them."""
    kind = absences.kind.tolist()
    found: dict[str, Sequence[tuple[str, ...] | None]] = {"kind": [(k,) for k in kind]}
    if graded:
        found["grade"] = [(k, label(g)) for k, g in zip(kind, absences.grade, strict=True)]
    if words:
        region, diagnosis = _several(kind, absences.region), _several(kind, absences.diagnosis)
        pair = [(*r, d[1]) if r and d else None for r, d in zip(region, diagnosis, strict=True)]
        found |= {"region": region, "diagnosis": diagnosis, "pair": pair}
    return {factor: own for factor, own in found.items() if any(own)}


def _several(kind: Sequence[str], word: Objects) -> list[tuple[str, str] | None]:
    own = list(zip(kind, word.tolist(), strict=True))
    words_n = Counter(k for k, _ in set(own))
    return [pair if words_n[pair[0]] > 1 else None for pair in own]


def _problem(absences: Absences, keys: Keys, family: str, offset: Floats | None) -> _Problem:
    n = len(absences)
    levels = [
        _Level(factor, key)
        for factor, own in keys.items()
        for key in sorted({one for one in own if one is not None})
    ]
    columns = [[one == level.key for one in keys[level.factor]] for level in levels]
    design = np.column_stack([np.ones(n), *columns])
    kinds = [level.factor == "kind" for level in levels]
    spread_design = design[:, [True, *kinds]]
    sds = [np.inf, *(LEVEL_SD[level.factor] for level in levels), SPREAD_LN_SD]
    sds += [*[KIND_SPREAD_LN_SD] * sum(kinds), ATHLETE_LN_SD]
    lower, upper = bounds_ln(absences)
    centre = np.zeros(len(sds))
    centre[0] = rough_median(lower, upper)
    centre[design.shape[1]] = np.log(SPREAD / SD_OF_Z[family])
    centre[-1] = np.log(ATHLETE_SD)
    return _Problem(
        lower, upper, np.zeros(n) if offset is None else offset,
        np.unique(absences.athlete.astype(str), return_inverse=True)[1], tuple(levels), design,
        spread_design, centre, np.array(sds) ** -2.0, family,
    )  # fmt: skip


def _mode(problem: _Problem) -> Floats:
    """Return the parameters with the highest posterior density."""
    m = problem.design.shape[1]
    steps = np.eye(problem.centre.size)  # how far BFGS goes at first; the ridge is for no episode
    known = np.linalg.inv(problem.curvature_of_known(problem.centre) + 1e-3 * np.eye(m))
    steps[:m, :m] = (known + known.T) / 2.0  # rounding leaves it crooked
    found = minimize(
        problem, problem.centre, jac=True, method="BFGS",
        options={"gtol": 1e-4, "hess_inv0": steps},
    )  # fmt: skip
    tell("absence_law", int(found.nit), converged=bool(found.success))
    return np.asarray(found.x)


def _most_probable_variances(problem: _Problem) -> dict[str, float]:
    """Return how far the levels of each of `WORDS` lie apart, without those that do not.

    The likelihood is taken for normal around the mode, which then moves, until neither does.
    """
    found = {factor: LEVEL_SD[factor] ** 2 for factor in WORDS if problem.places(factor).size}
    for step in range(ROUNDS if found else 0):
        before = found
        found = _variances_around(problem.with_variances(found), found)
        moved = max(abs(math.log(found[factor] / before[factor])) for factor in found)
        if moved < LEAST_MOVE or step == ROUNDS - 1:
            tell("absence_words", step + 1, converged=moved < LEAST_MOVE, moved=moved)
            break
    return {factor: v for factor, v in found.items() if v > 1.01 * LEAST_VARIANCE}


def _variances_around(problem: _Problem, start: Mapping[str, float]) -> dict[str, float]:
    x, m = _mode(problem), problem.design.shape[1]
    curvature = np.linalg.inv(problem.covariance(x))
    pull = curvature @ x[:m]
    told = curvature - np.diag(problem.precision[:m])
    own = [problem.places(factor) for factor in start]
    n = np.array([places.size for places in own])

    def lost(variances: Floats) -> tuple[float, Floats]:
        """Return minus the log probability of the episodes, and its slope."""
        prior = problem.with_variances(dict(zip(start, variances, strict=True))).precision[:m]
        covariance = np.linalg.inv(told + np.diag(prior))
        mean = covariance @ pull
        squares = np.array([(mean[o] ** 2 + np.diag(covariance)[o]).sum() for o in own])
        value = n @ np.log(variances) - pull @ mean - np.linalg.slogdet(covariance)[1]
        return 0.5 * float(value), 0.5 * (n - squares / variances) / variances

    found = minimize(
        lost, [*start.values()], jac=True, method="L-BFGS-B",
        bounds=[(LEAST_VARIANCE, MOST_VARIANCE)] * len(start), options={"ftol": 1e-10},
    )  # fmt: skip
    return dict(zip(start, found.x.tolist(), strict=True))


def _law(
    problem: _Problem, x: Floats, kind: Objects, variances: Mapping[str, float]
) -> DurationLaw:
    m = problem.design.shape[1]
    covariance = problem.covariance(x)

    def located(row: Floats) -> tuple[float, float]:
        return float(row @ x[:m]), math.sqrt(max(float(row @ covariance @ row), 0.0))

    found: dict[str, tuple[float, float]] = {}
    grades: dict[str, dict[str, tuple[float, float]]] = {}
    shifts = {}
    for name in sorted(set(kind)):
        average = _average(problem, kind == name)
        found[name] = located(average)
        of_grade = {
            level.key[1]: located(average + np.eye(m)[i])
            for i, level in enumerate(problem.levels, start=1)
            if level.factor == "grade" and level.key[0] == name
        }
        if of_grade:
            own = problem.design[kind == name][:, problem.places("grade")]
            share = own.mean(axis=0)
            grades[name] = of_grade
            found[name] = _any_grade(np.array([*of_grade.values()]), share[share > 0])
        if of_words := _shifts(problem, name, average, x[:m], covariance, variances):
            shifts[name] = of_words
    scale = np.exp(x[m] + x[m + 1 : -1])
    return DurationLaw(
        family=problem.family,
        location={name: mean for name, (mean, _) in found.items()},
        location_se={name: se for name, (_, se) in found.items()},
        scale={name: float(s) for name, s in zip(found, scale, strict=True)},
        grades=grades,
        athlete_sd=float(np.exp(x[-1])),
        shifts=shifts,
        spread={factor: float(np.sqrt(variance)) for factor, variance in variances.items()},
    )


def _average(problem: _Problem, of_kind: Bools) -> Floats:
    """Return the row of the design of a kind's average episode, its grade left open."""
    row = problem.design[of_kind].mean(axis=0)
    row[problem.places("grade")] = 0.0
    return np.asarray(row)


def _shifts(
    problem: _Problem, kind: str, average: Floats, locations: Floats, covariance: Floats,
    variances: Mapping[str, float],
) -> dict[str, dict[str, tuple[float, float]]]:  # fmt: skip
    """Return what each region and diagnosis moves; one never seen is the average, less surely."""
    at = {level: i for i, level in enumerate(problem.levels, start=1) if level.key[0] == kind}
    regions = {key[1] for factor, key in at if factor in {"region", "pair"}}
    diagnoses = {key[-1] for factor, key in at if factor in {"diagnosis", "pair"}}
    applying = [factor for factor in variances if any(level.factor == factor for level in at)]
    if not applying:
        return {}

    def moved(region: str, diagnosis: str) -> tuple[float, float]:
        row, unseen = average.copy(), 0.0
        keys = {"region": (kind, region), "diagnosis": (kind, diagnosis),
                "pair": (kind, region, diagnosis)}  # fmt: skip
        for factor in applying:
            level = _Level(factor, keys[factor])
            if level in at:
                row[[i for other, i in at.items() if other.factor == factor]] = 0.0
                row[at[level]] = 1.0
            else:
                unseen += variances[factor]
        more = row @ covariance @ row - average @ covariance @ average
        return float((row - average) @ locations), float(more + unseen)

    return {
        region: {diagnosis: moved(region, diagnosis) for diagnosis in [UNSEEN, *sorted(diagnoses)]}
        for region in [UNSEEN, *sorted(regions)]
    }


def _any_grade(located: Floats, share: Floats) -> tuple[float, float]:
    """Return location and SD of an episode that may have any grade, as often as in training."""
    mean, se = np.average(located, axis=0, weights=share)
    between = np.average((located[:, 0] - mean) ** 2, weights=share)
    return float(mean), float(np.sqrt(se**2 + between))


def grow_trees(
    X: Floats, absences: Absences, law: DurationLaw, params: Mapping[str, Any], rounds: int
) -> lgb.Booster:
    """Grow trees that move the location of `law` by the interval-censored likelihood.

    Parameters
    ----------
    X : float64 array, shape (n_absences, n_columns)
        `TREE_COLUMNS`.
    params : mapping
        LightGBM's; the objective is set here.
    """
    lower, upper = bounds_ln(absences)
    mu, scale = law.place(*absences.labels)
    scale = np.hypot(scale, law.athlete_sd / SD_OF_Z[law.family])

    def objective(score: Floats, _: lgb.Dataset) -> tuple[Floats, Floats]:
        return newton_terms(lower, upper, mu + score, scale, law.code)

    dataset = lgb.Dataset(X, np.zeros(len(X)), feature_name=list(TREE_COLUMNS))
    settings = {**params, "objective": objective, "metric": "None"}
    return lgb.train(settings, dataset, num_boost_round=rounds)
