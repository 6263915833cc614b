"""The numbers of injury and systemic episodes, as the columns of contract §4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.cohort.cohort import Warned
from nmr_ml.levels import LEVELS
from nmr_ml.models.availability.absences import absence_inputs, absences_of, athlete_runs
from nmr_ml.models.availability.model import expect, ratios
from nmr_ml.numeric.arrays import RowWise
from nmr_ml.reasons import Notice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nmr_ml.features.contract import FeatureContract
    from nmr_ml.history.history import History
    from nmr_ml.models.availability.absences import Absences
    from nmr_ml.models.availability.law import DurationLaw
    from nmr_ml.models.availability.model import AvailabilityModel
    from nmr_ml.numeric.arrays import Bools, Floats, Ints, Objects
    from nmr_ml.recovery_tests import TestSpec


#: Hours after the onset at which the curve is given: the days and weeks that such episodes last.
ABSENCE_CURVE_H = tuple(
    24.0 * day for day in (0, 1, 2, 3, 4, 5, 7, 10, 14, 21, 28, 42, 56, 84, 112)
)


@dataclass(frozen=True, slots=True)
class AskedAbsences(RowWise):
    """Which episodes are asked about.

    Parameters
    ----------
    rows : int64 array, shape (n,)
        Where the answers stand among all of a prediction.
    event : int64 array, shape (n,)
        Row of `History.events`.
    as_of_s : int64 array, shape (n,), s since 1970 UTC
    """

    rows: Ints
    event: Ints
    as_of_s: Ints


def unlearnt(model: AvailabilityModel, kinds: Objects) -> Bools:
    """Return which of some injury and systemic episodes are of a kind that gets no numbers."""
    return ~np.isin(kinds, [kind for kind in set(kinds) if model.learnt(kind)])


def ends_known(history: History, asked: AskedAbsences) -> Ints:
    """Return of how many other episodes of the athlete the end is known at `as_of`."""
    if not asked.rows.size:
        return np.empty(0, np.int64)
    absences = absences_of(history)
    first, last = athlete_runs(absences)
    known_s = np.maximum(absences.known_s, absences.resolved_s)
    return np.array(
        [
            np.sum(known_s[first[e] : last[e]] <= at) - (known_s[e] <= at)
            for e, at in zip(asked.event, asked.as_of_s, strict=True)
        ],
        np.int64,
    )


def fill_absences(
    columns: dict[str, Any], asked: AskedAbsences, model: AvailabilityModel, history: History,
    specs: Mapping[str, TestSpec], contract: FeatureContract,
    *, p_h: Sequence[float], curves: bool, drivers: bool,
) -> None:  # fmt: skip
    """Write the numbers of episodes of learnt kinds into `columns`.

    An end that is known is told; of an open episode it is told what is to be expected, given that
    it has lasted until `as_of`. Deficits and δ stay null.
    """
    if model.law is None or not asked.rows.size:
        return
    absences = absences_of(history)
    hours = np.array([*p_h, *(ABSENCE_CURVE_H if curves else ())])
    p_names = [f"p_{h:.0f}h" for h in p_h]
    over = absences.resolved_s[asked.event] <= asked.as_of_s
    ended, still_open = asked.take(over), asked.take(~over)
    lasted = absences.lasted_h[ended.event]
    recovery = np.repeat(lasted[:, None], LEVELS.size, axis=1)
    chances = (lasted[:, None] <= hours).astype(np.float64)
    _write(columns, ended, absences, recovery, np.ones(lasted.size), chances, p_names)
    X, parts = _from_features(model, history, specs, contract)
    offset = _offset(model, X, len(absences))
    by_median = np.array([model.by_median(kind) for kind in absences.kind], np.bool_)
    not_offset = np.zeros(len(absences))
    for law, own, moved in (
        (model.law, ~by_median, offset),
        (model.medians, by_median, not_offset),
    ):
        some = still_open.take(own[still_open.event])
        if law is None or not some.rows.size:
            continue
        expected = expect(law, absences, some.event, some.as_of_s, moved)
        chances = expected.probability(np.tile(hours, (some.rows.size, 1)))
        none = np.zeros(some.rows.size)
        _write(columns, some, absences, expected.quantiles(LEVELS), none, chances, p_names)
        _write_doubts(columns, some, absences, model, law)
        if drivers and law is model.law and model.trees is not None:
            for k, (row, event) in enumerate(zip(some.rows, some.event, strict=True)):
                columns["drivers"][row] = [
                    _driver(model.trees.columns[i], X[event, i], ratio, contract)
                    for i, ratio in ratios(expected.take(k), parts[event])
                ]


def _from_features(
    model: AvailabilityModel, history: History, specs: Mapping[str, TestSpec],
    contract: FeatureContract,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return the trees' columns of each event and what each contributes; no columns without."""
    if model.trees is None:
        nothing = np.empty((len(history.events), 0))
        return nothing, nothing
    X = model.trees.select(absence_inputs(history, specs), contract.names)
    return X, model.trees.contributions(X)


def _offset(model: AvailabilityModel, X: Floats, n: int) -> Floats:
    if model.trees is None or not n:
        return np.zeros(n)
    return np.asarray(model.trees.booster.predict(X, raw_score=True), np.float64)


def _write(
    columns: dict[str, Any], asked: AskedAbsences, absences: Absences, recovery: Floats,
    now: Floats, chances: Floats, p_names: Sequence[str],
) -> None:  # fmt: skip
    """Write quantiles and chances: those of the columns `p_names` first, then the curve."""
    rows = asked.rows
    columns["lower_h"][rows], columns["recovery_h"][rows], columns["upper_h"][rows] = recovery.T
    since_h = (asked.as_of_s - absences.onset_s[asked.event]) / 3600.0
    columns["remaining_h"][rows] = np.maximum(recovery[:, 1] - since_h, 0.0)
    columns["p_now"][rows] = now
    for i, name in enumerate(p_names):
        columns[name][rows] = chances[:, i]
    curves = chances[:, len(p_names) :]
    for row, curve in zip(rows, curves, strict=True):
        columns["curve"][row] = [_point(ABSENCE_CURVE_H[i], p) for i, p in enumerate(curve)]


def _point(hour: float, chance: float) -> dict[str, float]:
    nothing = dict.fromkeys(("deficit", "deficit_lower", "deficit_upper"), np.nan)
    return {"h": hour, "p": float(chance), **nothing}


def _write_doubts(
    columns: dict[str, Any], asked: AskedAbsences, absences: Absences, model: AvailabilityModel,
    law: DurationLaw,
) -> None:  # fmt: skip
    """Mark episodes unlike those of training, and medians beyond what was ever followed."""
    kinds = absences.kind[asked.event]
    longest = np.array([model.counted[kind].longest_h for kind in kinds], np.float64)
    columns["extrapolated"][asked.rows] = columns["recovery_h"][asked.rows] > longest
    columns["out_of_distribution"][asked.rows] = [
        law.is_strange(*cell) for cell in zip(*absences.take(asked.event).labels, strict=True)
    ]


def _driver(name: str, value: float, ratio: float, contract: FeatureContract) -> dict[str, Any]:
    return {
        "group": contract.groups[contract.names.index(name)],
        "feature": name,
        "value": None if np.isnan(value) else float(value),
        "ratio": ratio,
    }


def of_medians(model: AvailabilityModel, kinds: Iterable[str]) -> tuple[Warned, ...]:
    """Return a warning for each of `kinds` that is answered with its median."""
    return tuple(
        Warned(
            Notice.MEDIAN_OF_KIND.value,
            f"Hours for {kind} episodes are those of the median {kind} episode: what is on record "
            "of an episode and its athlete foretold held-out athletes no better.",
        )
        for kind in sorted(kinds)
        if model.by_median(kind)
    )


def too_few(model: AvailabilityModel, kinds: Iterable[str]) -> tuple[Warned, ...]:
    """Return a warning for each of `kinds`: how many episodes there were, how many it takes."""
    return tuple(
        Warned(
            Notice.TOO_FEW_EPISODES.value,
            f"No hours are given for {kind} episodes: the model learnt from {model.needed(kind)}.",
        )
        for kind in sorted(kinds)
    )
