"""One function from a cohort to predictions: batch scoring, one request and tests all call it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmr_ml.cohort.cohort import Warned
from nmr_ml.cohort.tables import SEXES
from nmr_ml.errors import DataError, UsageError
from nmr_ml.features.engine import completeness
from nmr_ml.features.model_inputs import may_be_minor, model_inputs
from nmr_ml.history.episodes import find_episodes
from nmr_ml.history.history import NEVER_S, build_history
from nmr_ml.history.queries import at_landmarks, at_moment, expand, of_episode
from nmr_ml.labels.followed_tests import followed_tests
from nmr_ml.models.component.model import INTERVAL_LEVEL, answer, clearance_hours, drivers, prior_of
from nmr_ml.models.component.past_episodes import known_offsets
from nmr_ml.models.curve.posterior import CURVE_H
from nmr_ml.predictions.availability import Asked, ends_known, fill_absences, too_few, unlearnt
from nmr_ml.predictions.confidence import labelled_before, tier
from nmr_ml.predictions.red_flags import red_flagged
from nmr_ml.reasons import Abstain, Notice
from nmr_ml.recovery_tests import AVAILABILITY, COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.history.episodes import Episodes
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.component.model import Answers, ComponentModel, Prior
    from nmr_ml.models.curve.posterior import ReadOff

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Objects = NDArray[np.object_]

#: Hours after the clock start of the `p_*` and `deficit_*` columns.
P_H = (24.0, 48.0, 72.0, 96.0)
DEFICIT_H = (24.0, 48.0, 72.0)
#: Of a longer time, a century, no date is given.
LATEST_H = 876_000.0
#: Groups whose values decide whether a query is like the training data.
WATCHED_GROUPS = ("load",)
NUMBERS = (
    "recovery_h", "lower_h", "upper_h", "remaining_h", "p_now",
    *(f"p_{h:.0f}h" for h in P_H), *(f"deficit_{h:.0f}h" for h in DEFICIT_H), "delta",
)  # fmt: skip
#: The columns of contract §4, in its order.
COLUMNS = (
    "athlete_id", "episode_id", "kind", "component", "index_test", "clock_start", "as_of",
    "status", "reason", "recovery_h", "lower_h", "upper_h", "interval_level", "upper_unbounded",
    "remaining_h", "recovered_at", "p_now", "p_24h", "p_48h", "p_72h", "p_96h",
    "deficit_24h", "deficit_48h", "deficit_72h", "delta", "delta_unit", "limiting", "extrapolated",
    "out_of_distribution", "evidence", "confidence", "completeness", "drivers",
    "model_name", "model_version", "contract_hash",
)  # fmt: skip

#: Added where a risk is asked for.
CLEARANCE = "clearance_h"

_MESSAGES = {
    Notice.NOT_MEDICAL: "Estimates training readiness of healthy athletes for wellness and "
    "performance use. Not a medical device; it does not clear anybody to play.",
    Notice.NOT_CALIBRATED: "Some intervals come from the model alone: too few held-out athletes of "
    "the same sex and history have checked them.",
    Notice.RATINGS_ONLY: "Hours for the perceptual component are those of a questionnaire; as "
    "hours of neuromuscular recovery they are biased.",
    Notice.EXTRAPOLATED: "Some times lie beyond the follow-up the model learnt from.",
    Notice.MINOR_ENDOCRINE_IGNORED: "Hormone and laboratory values of athletes who may be under 18 "
    "were not used.",
    Notice.COLD_START: "Some athletes have no labelled past episode; their hours are those of "
    "athletes like them.",
    Notice.OUT_OF_DISTRIBUTION: "Some episodes lie outside what the model has seen.",
    Notice.RED_FLAG: "A laboratory value calls for a clinician; no hours are given.",
}


@dataclass(frozen=True, slots=True)
class Options:
    """What to predict.

    Parameters
    ----------
    landmarks_h : tuple of float, h after each clock start; not looked at where `as_of` is given
    as_of : datetime with zone, or None
    episode_id : str or None
        Only with `as_of`.
    deltas : mapping of component to δ
        Components that are not named keep the δ of their index test; the key ``*`` names all.
    drivers, curves : bool
        Whether to work out what moves each number, and the whole recovery curve.
    risk : float or None, from 0 to 1
        Adds the column ``clearance_h`` at this risk of clearing too early (`nmr_ml.models.component.clearance`).
    """

    landmarks_h: tuple[float, ...] = (0.0,)
    as_of: datetime | None = None
    episode_id: str | None = None
    deltas: Mapping[str, float] = field(default_factory=dict)
    drivers: bool = False
    curves: bool = False
    risk: float | None = None


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


def parse_deltas(text: str) -> dict[str, float]:
    """Read ``2.6`` (for every component) or ``power=2.6,coordination=4``.

    Raises
    ------
    UsageError
        ``delta_invalid``.
    """
    deltas: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = np.nan
        if not 0 < value < np.inf or (name and name not in COMPONENTS):
            raise UsageError(
                "delta_invalid",
                f"--delta {part!r} is not understood, expected a number above 0.",
                f"Write 2.6, or name components ({', '.join(COMPONENTS)}): power=2.6.",
            )
        deltas[name or "*"] = value
    return deltas


def check_risk(risk: float | None) -> float | None:
    """Return `risk` where it is one.

    Raises
    ------
    UsageError
        ``risk_invalid``.
    """
    if risk is not None and not 0 < risk < 1:
        raise UsageError(
            "risk_invalid",
            f"--risk {risk} is not understood, expected a number between 0 and 1.",
            "0.05 accepts that 5 % of an athlete's tests come after clearance and read impaired.",
        )
    return risk


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
    warnings = _warnings(frame, hidden=hidden, unchecked=unchecked) + too_few(
        bundle.availability, set(unknown)
    )
    return Predictions(frame, list(curves), warnings, superseded)


def _absent(episodes: Episodes, queries: Queries) -> Asked:
    """Return the queries about injury and systemic episodes."""
    rows = np.flatnonzero(queries.session < 0)
    return Asked(rows, episodes.event[queries.episode[rows]], queries.as_of_s[rows])


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


def abstentions(bundle: Bundle, history: History, episodes: Episodes, queries: Queries) -> Objects:
    """Return why a query gets no numbers, or None."""
    reasons = np.full(len(queries), None, dtype=object)
    exertion = queries.session >= 0
    load = history.sessions.columns["session_load_au"]
    missing = np.zeros(len(queries), dtype=bool)
    missing[exertion] = np.isnan(load[queries.session[exertion]])
    learnt = np.array([c in bundle.components for c in COMPONENTS] + [True])
    # The last one that applies is the one that is told: a red flag above all.
    reasons[~learnt[queries.component]] = Abstain.COMPONENT_NOT_LEARNT.value
    reasons[missing] = Abstain.LOAD_MISSING.value
    absent = np.flatnonzero(~exertion)
    kinds = episodes.kinds[queries.episode[absent]]
    reasons[absent[unlearnt(bundle.availability, kinds)]] = Abstain.TOO_LITTLE_DATA.value
    reasons[episodes.known_s[queries.episode] > queries.as_of_s] = Abstain.SESSION_NOT_KNOWN.value
    flagged = red_flagged(history, queries.athlete, queries.as_of_s)
    reasons[flagged] = Abstain.RED_FLAG.value
    return reasons


def _labs_known(history: History, queries: Queries) -> Bools:
    """Return whether any laboratory value of the athlete is known at `as_of`."""
    labs = history.labs
    first = np.full(len(history.athlete_ids), NEVER_S)
    np.minimum.at(first, np.repeat(np.arange(first.size), np.diff(labs.offsets)), labs.known_s)
    return np.asarray(first[queries.athlete] <= queries.as_of_s)


def identity(
    bundle: Bundle, history: History, episodes: Episodes, queries: Queries
) -> dict[str, Any]:
    """Return the columns that say what a row is about and who answers."""
    names = np.array([*COMPONENTS, AVAILABILITY], dtype=object)
    tests = np.array([*history.test_names, None], dtype=object)
    perceptual = names[queries.component] == "perceptual"
    return {
        "athlete_id": np.array(history.athlete_ids, dtype=object)[queries.athlete],
        "episode_id": episodes.ids[queries.episode],
        "kind": episodes.kinds[queries.episode],
        "component": names[queries.component],
        "index_test": tests[queries.test],
        "clock_start": _utc(queries.clock_start_s),
        "as_of": _utc(queries.as_of_s),
        "evidence": np.where(perceptual, "ratings_only", "tests").astype(object),
        "interval_level": INTERVAL_LEVEL,
        "model_name": bundle.model_name,
        "model_version": bundle.model_version,
        "contract_hash": bundle.contract_hash,
    }


def _numbers(case: _Case, reasons: Objects, absent: Asked) -> dict[str, Any]:
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
        columns, absent.where(answered[absent.rows]), bundle.availability, case.history,
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
    table = bundle.tables.get(model.component, model.grid, delta, hours)
    since_h = (queries.as_of_s[rows] - queries.clock_start_s[rows]) / 3600.0
    at_h = np.column_stack([since_h, np.tile([*P_H, *hours], (rows.size, 1))])
    prior = case.prior(model, rows)
    found = answer(prior, table, at_h)
    columns["calibrated"][rows] = prior.calibrated
    if options.risk is not None:
        columns[CLEARANCE][rows] = clearance_hours(model, prior, table, options.risk)
    median = found.recovery[:, 1]
    columns["lower_h"][rows], columns["upper_h"][rows] = found.recovery[:, 0], found.recovery[:, 2]
    columns["recovery_h"][rows] = median
    columns["upper_unbounded"][rows] = np.isinf(found.recovery[:, 2])
    columns["remaining_h"][rows] = np.maximum(median - since_h, 0.0)
    columns["extrapolated"][rows] = median > model.follow_up_h
    for i, name in enumerate(("p_now", *(f"p_{h:.0f}h" for h in P_H))):
        columns[name][rows] = found.probability[:, i]
    for h in DEFICIT_H:
        columns[f"deficit_{h:.0f}h"][rows] = found.deficit[:, hours.index(h), 1]
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
    return _utc(at).where(pd.Series(known))


def _limiting(queries: Queries, hours: Floats) -> Bools:
    """Return which component of each (episode, as_of) takes longest; the first among equals."""
    slowest = np.zeros(len(queries), dtype=bool)
    frame = pd.DataFrame({"e": queries.episode, "t": queries.as_of_s, "hours": hours})
    known = frame.dropna(subset="hours")
    if len(known):
        slowest[known.groupby(["e", "t"])["hours"].idxmax()] = True
    return slowest


def _utc(at_s: Ints) -> pd.Series[pd.Timestamp]:
    return pd.Series(at_s.astype("datetime64[s]").astype("datetime64[us]")).dt.tz_localize("UTC")


def _warnings(frame: pd.DataFrame, *, hidden: bool, unchecked: bool) -> tuple[Warned, ...]:
    ok = frame["status"] == "ok"
    applies = {
        Notice.NOT_MEDICAL: True,
        Notice.NOT_CALIBRATED: unchecked,
        Notice.RATINGS_ONLY: bool((ok & (frame["evidence"] == "ratings_only")).any()),
        Notice.EXTRAPOLATED: bool(frame["extrapolated"].any()),
        Notice.MINOR_ENDOCRINE_IGNORED: hidden,
        Notice.COLD_START: bool((ok & (frame["confidence"] == "cold_start")).any()),
        Notice.OUT_OF_DISTRIBUTION: bool(frame["out_of_distribution"].any()),
        Notice.RED_FLAG: bool((frame["reason"] == Abstain.RED_FLAG.value).any()),
    }
    return tuple(Warned(n.value, _MESSAGES[n]) for n, told in applies.items() if told)
