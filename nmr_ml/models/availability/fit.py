"""Fits the law of the lengths of injuries and systemic episodes, and the trees beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np
from scipy.optimize import minimize

from nmr_ml.models.availability.absences import bounds_ln
from nmr_ml.models.availability.interval_likelihood import (
    interval_terms,
    newton_terms,
    rough_median,
)
from nmr_ml.models.availability.law import FAMILIES, LOG_PRIOR, NODES, SD_OF_Z, DurationLaw, label
from nmr_ml.models.availability.model import TREE_COLUMNS
from nmr_ml.numeric.convergence import tell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.models.availability.absences import Absences
    from nmr_ml.numeric.arrays import Floats, Ints, Objects


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


@dataclass(frozen=True, slots=True)
class _Problem:
    """The data of a fit, and its prior by parameter.

    Parameters stand in this order: locations of both kinds together, of each kind, of each grade,
    log scale of both, of each kind, log SD of the athletes.
    """

    lower_ln: Floats
    upper_ln: Floats
    offset: Floats
    athlete: Ints
    design: Floats
    spread_design: Floats
    centre: Floats
    precision: Floats
    family: str

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        """Return minus the log posterior and its gradient."""
        m, k = self.design.shape[1], self.spread_design.shape[1]
        sd, away = np.exp(x[-1]), x - self.centre
        mu = (self.design @ x[:m] + self.offset)[:, None] + NODES * sd
        scale = np.exp(self.spread_design @ x[m : m + k])
        n, nodes = mu.shape
        terms = interval_terms(
            np.repeat(self.lower_ln, nodes), np.repeat(self.upper_ln, nodes), mu.ravel(),
            np.repeat(scale, nodes), FAMILIES[self.family],
        )  # fmt: skip
        by_athlete = np.tile(LOG_PRIOR, (self.athlete.max() + 1, 1))
        np.add.at(by_athlete, self.athlete, terms.log_p.reshape(n, nodes))
        top = by_athlete.max(axis=1, keepdims=True)
        weight = np.exp(by_athlete - top)
        total = weight.sum(axis=1, keepdims=True)
        weight = (weight / total)[self.athlete]
        slope = weight * terms.slope.reshape(n, nodes)
        gradient = np.concatenate(
            [
                self.design.T @ slope.sum(axis=1),
                self.spread_design.T @ (weight * terms.scale_slope.reshape(n, nodes)).sum(axis=1),
                [(slope @ NODES).sum() * sd],
            ]
        )
        prior = 0.5 * (self.precision * away**2).sum()
        return float(prior - (top + np.log(total)).sum()), gradient + self.precision * away


def fit_law(
    lower_ln: Floats, upper_ln: Floats, kind: Objects, grade: Objects, athlete: Objects,
    *, family: str, graded: bool, offset: Floats | None = None,
) -> DurationLaw:  # fmt: skip
    """Fit a law to episodes that lasted between `lower_ln` and `upper_ln` log hours.

    Parameters
    ----------
    lower_ln, upper_ln : float64 arrays, shape (n,)
    kind, grade, athlete : object arrays of str, shape (n,)
    family : {"lognormal", "loglogistic"}
    graded : bool
        Whether the grades of a kind have locations of their own.
    offset : float64 array, shape (n,), optional
        Added to the location of each episode.
    """
    kinds = sorted(set(kind))
    groups = sorted({(k, label(g)) for k, g in zip(kind, grade, strict=True)}) if graded else []
    own = [(k, label(g)) for k, g in zip(kind, grade, strict=True)]
    of_kind = np.column_stack([np.ones(kind.size), *((kind == k).astype(float) for k in kinds)])
    of_group = np.array([[pair == group for group in groups] for pair in own], np.float64)
    design = np.hstack([of_kind, of_group.reshape(kind.size, len(groups))])
    centre = np.zeros(design.shape[1] + of_kind.shape[1] + 1)
    centre[0] = rough_median(lower_ln, upper_ln)
    centre[design.shape[1]] = np.log(SPREAD / SD_OF_Z[family])
    centre[-1] = np.log(ATHLETE_SD)
    sds = [np.inf, *[KIND_SD] * len(kinds), *[GRADE_SD] * len(groups), SPREAD_LN_SD]
    sds += [*[KIND_SPREAD_LN_SD] * len(kinds), ATHLETE_LN_SD]
    problem = _Problem(
        lower_ln, upper_ln, np.zeros(kind.size) if offset is None else offset,
        np.unique(athlete.astype(str), return_inverse=True)[1], design, of_kind, centre,
        np.array(sds) ** -2.0, family,
    )  # fmt: skip
    found = minimize(problem, centre, jac=True, method="BFGS", options={"gtol": 1e-4})
    tell("absence_law", int(found.nit), converged=bool(found.success))
    return _law(problem, found.x, kinds, groups, family)


def _law(
    problem: _Problem, x: Floats, kinds: list[str], groups: list[tuple[str, str]], family: str
) -> DurationLaw:
    m, first = problem.design.shape[1], 1 + len(kinds)
    covariance = _location_covariance(problem, x)

    def located(*places: int) -> tuple[float, float]:
        variance = covariance[np.ix_(places, places)].sum()
        return float(x[list(places)].sum()), float(np.sqrt(max(variance, 0.0)))

    location = {k: located(0, 1 + i) for i, k in enumerate(kinds)}
    grades: dict[str, dict[str, tuple[float, float]]] = {}
    for i, (kind, grade) in enumerate(groups, start=first):
        grades.setdefault(kind, {})[grade] = located(0, 1 + kinds.index(kind), i)
    share = problem.design[:, first:].mean(axis=0)
    for kind, of_kind in grades.items():
        own = np.array([group[0] == kind for group in groups])
        location[kind] = _any_grade(np.array(list(of_kind.values())), share[own])
    return DurationLaw(
        family=family,
        location={k: mean for k, (mean, _) in location.items()},
        location_se={k: se for k, (_, se) in location.items()},
        scale={k: float(np.exp(x[m] + x[m + 1 + i])) for i, k in enumerate(kinds)},
        grades=grades,
        athlete_sd=float(np.exp(x[-1])),
    )


def _any_grade(located: Floats, share: Floats) -> tuple[float, float]:
    """Return location and SD of an episode that may have any grade, as often as in training."""
    mean, se = np.average(located, axis=0, weights=share)
    between = np.average((located[:, 0] - mean) ** 2, weights=share)
    return float(mean), float(np.sqrt(se**2 + between))


def _location_covariance(problem: _Problem, x: Floats, step: float = 1e-4) -> Floats:
    """Return the inverse curvature of the log posterior in the locations (Laplace)."""
    m = problem.design.shape[1]
    rows = []
    for i in range(m):
        move = np.zeros(x.size)
        move[i] = step
        rows.append((problem(x + move)[1][:m] - problem(x - move)[1][:m]) / (2.0 * step))
    curvature = np.array(rows)
    return np.asarray(np.linalg.inv((curvature + curvature.T) / 2.0))


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
    mu, scale = law.place(absences.kind, absences.grade)
    scale = np.hypot(scale, law.athlete_sd / SD_OF_Z[law.family])

    def objective(score: Floats, _: lgb.Dataset) -> tuple[Floats, Floats]:
        return newton_terms(lower, upper, mu + score, scale, law.code)

    dataset = lgb.Dataset(X, np.zeros(len(X)), feature_name=list(TREE_COLUMNS))
    settings = {**params, "objective": objective, "metric": "None"}
    return lgb.train(settings, dataset, num_boost_round=rounds)
