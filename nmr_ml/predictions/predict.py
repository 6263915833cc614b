"""One function from a cohort to predictions: batch scoring, one request and tests all call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmr_ml.cohort.tables import SEXES
from nmr_ml.errors import DataError
from nmr_ml.features.engine import completeness
from nmr_ml.features.model_inputs import may_be_minor, model_inputs
from nmr_ml.history.episodes import find_episodes
from nmr_ml.history.history import build_history
from nmr_ml.history.local_time import NEVER_S
from nmr_ml.history.queries import at_landmarks, at_moment, expand, of_episode
from nmr_ml.labels.followed_tests import followed_tests
from nmr_ml.models.component.known_offsets import known_offsets
from nmr_ml.models.component.model import answers_of, clearance_hours, drivers, prior_of
from nmr_ml.models.curve.read_off import CURVE_H, read_off
from nmr_ml.numeric.arrays import owners
from nmr_ml.predictions.abstentions import abstentions
from nmr_ml.predictions.availability import (
    AskedAbsences,
    ends_known,
    fill_absences,
    of_medians,
    too_few,
)
from nmr_ml.predictions.columns import (
    CLEARANCE,
    COLUMNS,
    DEFICIT_COLUMNS,
    DEFICIT_H,
    NUMBERS,
    P_COLUMNS,
    P_H,
    identity,
    utc_times,
)
from nmr_ml.predictions.confidence import labelled_before, tier
from nmr_ml.predictions.notices import warnings_of
from nmr_ml.reasons import Abstain
from nmr_ml.recovery_tests import COMPONENTS

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort, Warned
    from nmr_ml.history.episodes import Episodes
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.component.model import Answers, ComponentModel, Prior
    from nmr_ml.models.curve.read_off import ReadOff
    from nmr_ml.numeric.arrays import Bools, Floats, Ints, Objects
    from nmr_ml.predictions.options import Options


#: Of a longer time, a century, no date is given.
LATEST_H = 876_000.0
#: Groups whose values decide whether a query is like the training data.
WATCHED_GROUPS = ("load",)


@dataclass(frozen=True, slots=True)
class Predictions:
    """Rows of contract §4, with the curve of each.

    Parameters
    ----------
    frame : DataFrame with `COLUMNS`
    curves : list of lists of ``{"h", "p", "deficit", "deficit_lower", "deficit_upper"}``
        One list per row, empty where the model abstained and where no curves were asked for. Of
        `availability` the deficits are NaN.
    warnings : tuple of Warned
    superseded : int
    """

    frame: pd.DataFrame
    curves: list[list[dict[str, float]]]
    warnings: tuple[Warned, ...]
    superseded: int


@dataclass(frozen=True, slots=True)
class _Case:
    """What a batch of queries asks, and all that was looked up to answer them."""

    bundle: Bundle
    history: History
    episodes: Episodes
    queries: Queries
    X: Floats
    seen: Followed
    options: Options

    def prior(self, model: ComponentModel, rows: Ints) -> Prior:
        """Return the prior of the queries at `rows`, which are of the component of `model`."""
        queries, seen = self.queries.take(rows), self.seen.take(rows)
        offsets = known_offsets(
            model, self.history, self.episodes, queries, seen, self.bundle.specs
        )
        sex = np.array(SEXES, object)[self.history.person["sex"][queries.athlete].astype(int)]
        return prior_of(model, self.X[rows], seen, offsets, sex)


def predict(bundle: Bundle, cohort: Cohort, options: Options) -> Predictions:
    """Return predictions for the episodes of `cohort` that `options` ask about.

    Raises
    ------
    DataError
        ``no_episode`` where nothing is there to predict.
    """
    return predict_history(bundle, build_history(cohort, tuple(sorted(bundle.specs))), options)


def predict_history(bundle: Bundle, history: History, options: Options) -> Predictions:
    """Return what `predict` does, for a cohort whose history is there already.

    ``history.test_names`` are the sorted names of ``bundle.specs``.
    """
    episodes = find_episodes(history)
    queries, superseded = ask(bundle, history, episodes, options)
    X = model_inputs(history, queries, bundle.specs)
    reasons = abstentions(bundle, history, episodes, queries)
    seen = followed_tests(history, queries, bundle.specs, others=bundle.other_tests)
    absent = _absent(episodes, queries)
    labelled = labelled_before(history, queries, seen.baselines)
    labelled[absent.rows] = ends_known(history, absent)
    case = _Case(bundle, history, episodes, queries, X, seen, options)
    columns = identity(bundle, history, episodes, queries)
    columns |= _numbers(case, reasons, absent)
    columns["confidence"] = tier(labelled)
    columns["completeness"] = completeness(X, bundle.contract)
    curves = columns.pop("curve")
    named = COLUMNS if options.risk is None else (*COLUMNS, CLEARANCE)
    frame = pd.DataFrame({name: columns[name] for name in named})
    unchecked = bool((~columns["calibrated"] & (frame["status"] == "ok")).any())
    hidden = bool((may_be_minor(history, queries) & _labs_known(history, queries)).any())
    unknown = frame.loc[frame["reason"] == Abstain.TOO_LITTLE_DATA.value, "kind"]
    told = frame.loc[(frame["status"] == "ok") & (frame["p_now"] < 1.0), "kind"]
    warnings = (
        *warnings_of(frame, hidden=hidden, unchecked=unchecked),
        *too_few(bundle.availability, set(unknown)),
        *of_medians(bundle.availability, set(told)),
    )
    return Predictions(frame, list(curves), warnings, superseded)


def _absent(episodes: Episodes, queries: Queries) -> AskedAbsences:
    """Return the queries about injury and systemic episodes."""
    rows = np.flatnonzero(queries.session < 0)
    return AskedAbsences(rows, episodes.event[queries.episode[rows]], queries.as_of_s[rows])


def ask(
    bundle: Bundle, history: History, episodes: Episodes, options: Options
) -> tuple[Queries, int]:
    """Return the queries that `options` ask about, and how many episodes are superseded.

    Raises
    ------
    DataError
        ``no_episode`` where nothing is there to predict.
    """
    if options.as_of is None:
        targets = at_landmarks(episodes, options.landmarks_h)
    else:
        as_of_s = int(np.floor(options.as_of.timestamp()))
        targets = (
            at_moment(episodes, as_of_s)
            if options.episode_id is None
            else of_episode(episodes, options.episode_id, as_of_s)
        )
    if not targets.episode.size:
        raise DataError(
            "no_episode",
            "No session and no open episode is known at the time asked about.",
            "Add the athlete's sessions, or choose a later time.",
        )
    index_tests = {name: model.index_test for name, model in bundle.components.items()}
    return expand(targets, episodes, history, index_tests), targets.superseded


def _labs_known(history: History, queries: Queries) -> Bools:
    """Return whether any laboratory value of the athlete is known at `as_of`."""
    labs = history.labs
    first = np.full(len(history.athlete_ids), NEVER_S)
    np.minimum.at(first, owners(labs.offsets), labs.known_s)
    return np.asarray(first[queries.athlete] <= queries.as_of_s)


def _numbers(case: _Case, reasons: Objects, absent: AskedAbsences) -> dict[str, Any]:
    """Return every column that the models compute, null where `reasons` has one."""
    bundle, queries, options, n = case.bundle, case.queries, case.options, len(case.queries)
    columns: dict[str, Any] = {name: np.full(n, np.nan) for name in NUMBERS}
    for name in ("curve", "drivers", "delta_unit"):
        columns[name] = np.full(n, None, dtype=object)
    columns[CLEARANCE] = np.full(n, np.nan)
    for name in ("extrapolated", "out_of_distribution", "upper_unbounded", "calibrated"):
        columns[name] = np.zeros(n, dtype=bool)
    answered = np.array([reason is None for reason in reasons], dtype=bool)
    watched = np.isin(bundle.contract.groups, WATCHED_GROUPS)
    for name, model in bundle.components.items():
        of_component = queries.component == COMPONENTS.index(model.component)
        rows = np.flatnonzero(of_component & answered)
        if rows.size:
            _fill(columns, rows, case, model)
            columns["out_of_distribution"][rows] = model.out_of_distribution(case.X[rows], watched)
        spec = bundle.specs[model.index_test]
        columns["delta_unit"][of_component] = spec.delta_unit
        columns["delta"][of_component] = _delta(spec.delta, name, options)
    fill_absences(
        columns, absent.take(answered[absent.rows]), bundle.availability, case.history,
        bundle.specs, bundle.contract, p_h=P_H, curves=options.curves, drivers=options.drivers,
    )  # fmt: skip
    for row in range(n):
        if columns["curve"][row] is None:
            columns["curve"][row] = []
    columns["status"] = np.where(answered, "ok", "abstained").astype(object)
    columns["reason"] = reasons
    columns["recovered_at"] = _recovered_at(queries.clock_start_s, columns["recovery_h"])
    columns["limiting"] = _limiting(queries, columns["recovery_h"])
    return columns


def _delta(default: float, component: str, options: Options) -> float:
    return options.deltas.get(component, options.deltas.get("*", default))


def _fill(columns: dict[str, Any], rows: Ints, case: _Case, model: ComponentModel) -> None:
    bundle, queries, options = case.bundle, case.queries, case.options
    delta = _delta(bundle.specs[model.index_test].delta, model.component, options)
    hours = CURVE_H if options.curves else DEFICIT_H
    table = bundle.tables.get(
        (model.component, delta, hours), lambda: read_off(model.grid, delta, hours)
    )
    since_h = (queries.as_of_s[rows] - queries.clock_start_s[rows]) / 3600.0
    at_h = np.column_stack([since_h, np.tile([*P_H, *hours], (rows.size, 1))])
    prior = case.prior(model, rows)
    found = answers_of(prior, table, at_h)
    columns["calibrated"][rows] = prior.calibrated
    if options.risk is not None:
        columns[CLEARANCE][rows] = clearance_hours(model, prior, table, options.risk)
    median = found.recovery[:, 1]
    columns["lower_h"][rows], columns["upper_h"][rows] = found.recovery[:, 0], found.recovery[:, 2]
    columns["recovery_h"][rows] = median
    columns["upper_unbounded"][rows] = np.isinf(found.recovery[:, 2])
    columns["remaining_h"][rows] = np.maximum(median - since_h, 0.0)
    columns["extrapolated"][rows] = median > model.follow_up_h
    for i, name in enumerate(("p_now", *P_COLUMNS)):
        columns[name][rows] = found.probability[:, i]
    for name, h in zip(DEFICIT_COLUMNS, DEFICIT_H, strict=True):
        columns[name][rows] = found.deficit[:, hours.index(h), 1]
    for k, row in enumerate(rows):
        if options.curves:
            columns["curve"][row] = _curve(found, k, 1 + len(P_H))
        if options.drivers:
            columns["drivers"][row] = _drivers(case, model, table, row, prior, k, median[k])


def _curve(found: Answers, k: int, first: int) -> list[dict[str, float]]:
    return [
        {
            "h": h,
            "p": float(found.probability[k, first + i]),
            "deficit": float(found.deficit[k, i, 1]),
            "deficit_lower": float(found.deficit[k, i, 0]),
            "deficit_upper": float(found.deficit[k, i, 2]),
        }
        for i, h in enumerate(CURVE_H)
    ]


def _drivers(
    case: _Case, model: ComponentModel, table: ReadOff, row: int, prior: Prior, k: int,
    median: float,
) -> list[dict[str, Any]]:  # fmt: skip
    x, contract = case.X[row], case.bundle.contract
    return [
        {
            "group": contract.groups[feature],
            "feature": contract.names[feature],
            "value": None if np.isnan(x[feature]) else float(x[feature]),
            "ratio": float(ratio),
        }
        for feature, ratio in drivers(model, table, x[None, :], prior, k, median)
    ]


def _recovered_at(clock_start_s: Ints, hours: Floats) -> pd.Series[pd.Timestamp]:
    known = hours <= LATEST_H
    at = clock_start_s + np.round(np.where(known, hours, 0.0) * 3600).astype(np.int64)
    return utc_times(at).where(pd.Series(known))


def _limiting(queries: Queries, hours: Floats) -> Bools:
    """Return which component of each (episode, as_of) takes longest; the first among equals."""
    slowest = np.zeros(len(queries), dtype=bool)
    frame = pd.DataFrame({"e": queries.episode, "t": queries.as_of_s, "hours": hours})
    known = frame.dropna(subset="hours")
    if len(known):
        slowest[known.groupby(["e", "t"])["hours"].idxmax()] = True
    return slowest
