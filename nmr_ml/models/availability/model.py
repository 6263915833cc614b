"""When an injury or a systemic episode is over: the model of the one component `availability`.

Its scale is that of dates, days to months. From what is on record (kind, grade, body region,
diagnosis, the athlete's other episodes, and features where held-out athletes say that they help) it
gives the distribution of T, and at a landmark that of T given that the episode is still open, by
exact truncation. Where held-out athletes are foretold no better by all that, it gives the median of
the kind.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.levels import LEAST_RATIO, LEVELS
from nmr_ml.models.availability.absences import HALF_DAY_H, athlete_runs
from nmr_ml.models.availability.interval_likelihood import (
    interval_terms,
    mixture_log_survival,
    mixture_quantiles,
    past_evidence,
)
from nmr_ml.models.availability.law import LOG_PRIOR, DurationLaw

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm as lgb

    from nmr_ml.models.availability.absences import Absences
    from nmr_ml.numeric.arrays import Floats, Ints


KINDS = ("injury", "systemic")
#: What may tell how long an episode lasts: the person, earlier episodes, load and sleep before the
#: onset, how the athlete felt (domain.md §3). Few, because episodes are.
TREE_COLUMNS = (
    "age_y", "sex", "body_mass_kg", "training_tier", "injuries_365d_n", "systemic_365d_n",
    "since_resolved_d", "load_sum_7d_au", "chronic_load_ewma28_au", "acute_chronic_load_ln",
    "sleep_debt_14d_h", "readiness_dev_28d", "soreness_dev_28d",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counted:
    """What training held of one kind.

    Parameters
    ----------
    episodes_n, resolved_n, athletes_n : int
        Episodes, those of them with an end on record, and the athletes of the latter.
    longest_h : float, h
        The longest that any of them was followed.
    """

    episodes_n: int = 0
    resolved_n: int = 0
    athletes_n: int = 0
    longest_h: float = 0.0


@dataclass(frozen=True, slots=True)
class DurationTrees:
    """Trees that move the location of log T; their columns are features at the onset.

    Parameters
    ----------
    booster : lightgbm.Booster
    columns : tuple of str
        Names of the features, in the booster's order.
    """

    booster: lgb.Booster
    columns: tuple[str, ...]

    def select(self, X: Floats, names: tuple[str, ...]) -> Floats:
        """Return the columns of these trees from a matrix with the columns `names`."""
        return np.ascontiguousarray(X[:, [names.index(column) for column in self.columns]])

    def contributions(self, X: Floats) -> Floats:
        """Return each column's exact contribution to log T, shape (n, n_columns)."""
        found = np.asarray(self.booster.predict(X, pred_contrib=True), np.float64)
        return found.reshape(len(X), -1)[:, :-1]


@dataclass(frozen=True, slots=True)
class AvailabilityModel:
    """What was learnt of injury and systemic episodes.

    Parameters
    ----------
    law : DurationLaw or None
        None where no kind has enough episodes.
    medians : DurationLaw or None
        The median by kind: it answers for kinds whose held-out athletes are not foretold better by
        `law`. None where there is none.
    trees : DurationTrees or None
        None where held-out athletes are predicted no better with features.
    counted : mapping of kind to Counted
    least_resolved, least_athletes : int
        A kind with fewer resolved episodes, or of fewer athletes, gets no numbers.
    """

    law: DurationLaw | None
    medians: DurationLaw | None
    trees: DurationTrees | None
    counted: Mapping[str, Counted]
    least_resolved: int
    least_athletes: int

    def learnt(self, kind: str) -> bool:
        """Return whether `kind` gets numbers."""
        count = self.counted.get(kind, Counted())
        enough = count.resolved_n >= self.least_resolved and count.athletes_n >= self.least_athletes
        return self.law is not None and enough

    def by_median(self, kind: str) -> bool:
        """Return whether `kind` is answered with its median."""
        return self.medians is not None and kind in self.medians.location

    def needed(self, kind: str) -> str:
        """Return how many episodes of `kind` there were, and how many it takes."""
        count = self.counted.get(kind, Counted())
        return (
            f"{count.resolved_n} resolved {kind} episodes of {count.athletes_n} athletes, needed "
            f"{self.least_resolved} of {self.least_athletes}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain lists and numbers; the trees are a file of their own."""
        return {
            "law": None if self.law is None else asdict(self.law),
            "medians": None if self.medians is None else asdict(self.medians),
            "columns": None if self.trees is None else list(self.trees.columns),
            "counted": {kind: asdict(count) for kind, count in self.counted.items()},
            "least_resolved": self.least_resolved,
            "least_athletes": self.least_athletes,
        }

    @classmethod
    def from_json(
        cls, content: Mapping[str, Any], booster: lgb.Booster | None
    ) -> AvailabilityModel:
        """Read what `as_json` returned; `booster` is the one of ``columns``."""
        law, medians, trees = _law_from(content["law"]), _law_from(content["medians"]), None
        if booster is not None:
            trees = DurationTrees(booster, tuple(content["columns"]))
        counted = {kind: Counted(**count) for kind, count in content["counted"].items()}
        return cls(
            law, medians, trees, counted, content["least_resolved"], content["least_athletes"]
        )  # fmt: skip


def _law_from(content: Mapping[str, Any] | None) -> DurationLaw | None:
    if content is None:
        return None
    grades = {k: {g: tuple(at) for g, at in v.items()} for k, v in content["grades"].items()}
    shifts = {
        kind: {r: {d: tuple(at) for d, at in row.items()} for r, row in regions.items()}
        for kind, regions in content["shifts"].items()
    }
    return DurationLaw(**{**content, "grades": grades, "shifts": shifts})


@dataclass(frozen=True, slots=True)
class ExpectedLength:
    """The distribution of T of some open episodes at some moments; shapes start with (n,).

    ``ln T = mu + node + scale · Z``, the nodes weighted by what the athlete's other episodes say,
    given that ``T > elapsed_h``.
    """

    mu: Floats
    scale: Floats
    log_weight: Floats
    elapsed_h: Floats
    nodes: Floats
    family: int

    def quantiles(self, levels: Floats) -> Floats:
        """Return quantiles of T in h after the onset, shape (n, n_levels)."""
        found = mixture_quantiles(
            levels, _ln(self.elapsed_h), self.log_weight, self.mu, self.scale, self.nodes,
            self.family,
        )  # fmt: skip
        return np.exp(found)

    def probability(self, at_h: Floats) -> Floats:
        """Return P(T <= at_h), shape (n, n_hours) as `at_h`."""
        over = self._log_survival(np.maximum(at_h, self.elapsed_h[:, None]))
        before = self._log_survival(self.elapsed_h[:, None])
        return np.asarray(0.0 - np.expm1(over - before))  # 0 rather than -0

    def _log_survival(self, at_h: Floats) -> Floats:
        return np.asarray(
            mixture_log_survival(
                _ln(at_h), self.log_weight, self.mu, self.scale, self.nodes, self.family
            )
        )

    def log_p(self, lower_ln: Floats, upper_ln: Floats) -> Floats:
        """Return ln P(lower < ln T <= upper), shape (n,); only where nothing has elapsed."""
        n, nodes = self.log_weight.shape
        terms = interval_terms(
            np.repeat(lower_ln, nodes), np.repeat(upper_ln, nodes),
            (self.mu[:, None] + self.nodes).ravel(), np.repeat(self.scale, nodes), self.family,
        )  # fmt: skip
        each = terms.log_p.reshape(n, nodes) + self.log_weight
        return np.asarray(np.logaddexp.reduce(each, axis=1))

    def take(self, row: int) -> ExpectedLength:
        """Return the distribution of one row."""
        one = slice(row, row + 1)
        return ExpectedLength(
            self.mu[one], self.scale[one], self.log_weight[one], self.elapsed_h[one], self.nodes,
            self.family,
        )  # fmt: skip

    def moved(self, by_ln: Floats) -> ExpectedLength:
        """Return this one row's distribution with its location moved by each of `by_ln`."""
        n = by_ln.size
        return ExpectedLength(
            self.mu[0] + by_ln, np.repeat(self.scale[:1], n), np.repeat(self.log_weight, n, axis=0),
            np.repeat(self.elapsed_h, n), self.nodes, self.family,
        )  # fmt: skip


def _ln(hours: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.ascontiguousarray(np.log(hours))


def expect(
    law: DurationLaw, absences: Absences, rows: Ints, as_of_s: Ints, offset: Floats
) -> ExpectedLength:
    """Return the distribution of T of the episodes `rows` as known at each `as_of_s`.

    The athlete's other episodes count as far as they were known then: an end that lies after
    `as_of` is not known, and an episode without one is known to be open until then.

    Parameters
    ----------
    absences : Absences
        Every episode of the athletes.
    offset : float64 array, shape (n_absences,)
        What the trees add to the location of each episode.
    """
    mu, scale = law.place(*absences.labels)
    mu = mu + offset
    first, last = athlete_runs(absences)
    evidence = past_evidence(
        first[rows], last[rows], rows, as_of_s, absences.onset_s, absences.known_s,
        absences.resolved_s, mu, scale, HALF_DAY_H, law.nodes, law.code,
    )  # fmt: skip
    weight = LOG_PRIOR + evidence
    return ExpectedLength(
        np.ascontiguousarray(mu[rows]),
        np.ascontiguousarray(scale[rows]),
        weight - np.logaddexp.reduce(weight, axis=1)[:, None],
        np.maximum((as_of_s - absences.onset_s[rows]) / 3600.0, 0.0),
        law.nodes,
        law.code,
    )


def ratios(expected: ExpectedLength, parts: Floats) -> list[tuple[int, float]]:
    """Return (column, ratio of hours) of what moves the median of a row, the strongest first.

    Parameters
    ----------
    expected : Expected
        Of one row.
    parts : float64 array, shape (n_columns,)
        What each column adds to its location.
    """
    moved = np.flatnonzero(parts)
    if not moved.size:
        return []
    middle = LEVELS[1:2]
    without = expected.moved(-parts[moved]).quantiles(middle)[:, 0]
    found = expected.quantiles(middle)[0, 0] / without
    pairs = [(int(i), float(r)) for i, r in zip(moved, found, strict=True)]
    telling = [pair for pair in pairs if abs(np.log(pair[1])) > np.log(LEAST_RATIO)]
    return sorted(telling, key=lambda pair: -abs(np.log(pair[1])))
