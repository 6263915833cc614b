"""A reading: what a coming test will show, on the test's own scale, with the error of the test.

Recovery is about a latent deficit below a rested baseline. A reading is about the number that the
athlete sees next, so anybody can check it the next morning. The curve's expectation is one of its
inputs and no more: no curve reads above its baseline, and a baseline of questionnaires grows stale.
A booster therefore starts between what is usual for the athlete, what the last test showed and what
the curve expects, whichever mixture tells most, and corrects that.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import softmax

from nmr_ml.features.contract import feature_contract
from nmr_ml.features.measured import ITEMS
from nmr_ml.history.local_time import local_day
from nmr_ml.history.rested_baseline import daytime
from nmr_ml.labels.followed_tests import hour_effects, scale_factors
from nmr_ml.models.curve.posterior import expected_deficits
from nmr_ml.models.readings.recent_tests import recent_tests
from nmr_ml.numeric.arrays import RowWise

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm as lgb

    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.component.model import ComponentModel
    from nmr_ml.numeric.arrays import Floats, Ints
    from nmr_ml.recovery_tests import TestSpec


#: A questionnaire item older than this says nothing of the coming one, as in the features.
ITEM_AGE_D = 3.0
#: Steps from the last answer that are told apart; what lies further counts as the furthest.
STEPS = np.arange(-3, 4)
#: What the booster sees beside the features; deviations are on the component's scale.
OWN_INPUTS = (
    "reading_last", "reading_usual", "reading_last_dev", "reading_before_dev", "reading_scatter",
    "reading_weight", "reading_age_d", "reading_expected_dev", "reading_expected_sd",
    "reading_at_h", "reading_ahead_h", "reading_weekday",
    *(f"reading_{item}_{what}" for item in ITEMS for what in
      ("last", "last_dev", "before", "before_dev")),
)  # fmt: skip


class ExpectedReading(NamedTuple):
    """What the latent curve expects a test to show, unit of the test; NaN without a baseline."""

    value: Floats
    sd: Floats


@dataclass(frozen=True, slots=True)
class Basis(RowWise):
    """What readings are predicted from.

    Parameters
    ----------
    inputs : float64 array, shape (n, n_features + len(OWN_INPUTS))
    last, usual : float64 arrays, shape (n,), unit of the test
        The last value and the usual one (`nmr_ml.models.readings.recent_tests.Recent`); NaN where
        no test is known.
    expected : float64 array, shape (n,), unit of the test
        What the curve expects; NaN where there is no baseline.
    scale : float64 array, shape (n,), unit of the test
        What one per cent of the usual value is, or one point.
    """

    inputs: Floats
    last: Floats
    usual: Floats
    expected: Floats
    scale: Floats

    def start(self, of_last: float, of_curve: float) -> Floats:
        """Return the usual value, moved by shares of the way to the last one and the curve's."""
        to_curve = np.nan_to_num(self.expected - self.usual)
        return self.usual + of_last * (self.last - self.usual) + of_curve * to_curve


@dataclass(frozen=True, slots=True)
class Readings:
    """Predicted readings with their interval, unit of the test; arrays of shape (n,), or NaN."""

    value: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True)
class ReadingModel:
    """A fitted model of the readings of one component's index test.

    Parameters
    ----------
    index_test : str
    of_last, of_curve : float
        How far readings start from the usual value towards the last one and the curve's.
    start_error : float, unit of the test
        Mean distance of the readings from their start.
    centre, width : lightgbm.Booster
        What `medians` makes medians of, and mean distance of the readings from these.
    least_width : float
        On the component's scale; `width` counts as this at least.
    reach : float
        Half the interval is this many widths: the conformal quantile over held-out athletes;
        `inf` where they are too few.
    step : float, unit of the test
        Where answers are whole numbers, 1, and readings are rounded to them; else 0.
    lowest, highest : float, unit of the test
        Answers lie between these where `step` is not 0.
    ahead_h : tuple of float, h
        Shortest and longest time from the moment of asking to the test in training.
    athletes_n, pairs_n : int
        Athletes and readings it learnt from.
    """

    index_test: str
    of_last: float
    of_curve: float
    start_error: float
    centre: lgb.Booster
    width: lgb.Booster
    least_width: float
    reach: float
    step: float
    lowest: float
    highest: float
    ahead_h: tuple[float, float]
    athletes_n: int
    pairs_n: int

    def as_json(self) -> dict[str, Any]:
        """Return everything but the trees as plain values; JSON has no infinity, so it is null."""
        names = (f.name for f in fields(self) if f.name not in {"centre", "width"})
        reach = self.reach if np.isfinite(self.reach) else None
        return {name: getattr(self, name) for name in names} | {"reach": reach}

    @classmethod
    def from_json(
        cls, content: Mapping[str, Any], centre: lgb.Booster, width: lgb.Booster
    ) -> ReadingModel:
        """Read what `as_json` returned."""
        ahead_h = tuple(content["ahead_h"])
        reach = np.inf if content["reach"] is None else content["reach"]
        known = {**content, "ahead_h": ahead_h, "reach": reach}
        return cls(**known, centre=centre, width=width)

    def predict(self, basis: Basis) -> Readings:
        """Return the readings of each row of `basis`."""
        if basis.usual.size == 0:
            return Readings(np.empty(0), np.empty(0), np.empty(0))
        raw = np.asarray(self.centre.predict(basis.inputs, raw_score=True), np.float64)
        width = np.maximum(self.width.predict(basis.inputs), self.least_width)
        start = basis.start(self.of_last, self.of_curve)
        median = medians(raw, basis, start, self.start_error)
        return self.around(median, basis.scale * width * self.reach)

    def around(self, centre: Floats, half: Floats) -> Readings:
        """Return the readings around medians, in answers that the test can have."""
        return readings_around(centre, half, self.step, self.lowest, self.highest)


def medians(raw: Floats, basis: Basis, start: Floats, start_error: float) -> Floats:
    """Return the medians that trees tell, shape (n,), unit of the test.

    Parameters
    ----------
    raw : float64 array, shape (n,) or (n, len(STEPS))
        Either (median - start) / scale, or what is added to `log_start`: the chances of the answers
        around the last one. An answer is as likely anywhere in what is rounded to it, so the median
        rounds to that of the answers.
    start : float64 array, shape (n,), unit of the test
    start_error : float, unit of the test
    """
    if raw.ndim == 1:
        return np.asarray(start + basis.scale * raw)
    chance = softmax(raw + log_start(basis.last, start, start_error), axis=1)
    below = np.cumsum(chance, axis=1)
    middle = np.argmax(below >= 0.5, axis=1)[:, None]
    own = np.take_along_axis(chance, middle, axis=1)
    reached = np.take_along_axis(below, middle, axis=1)
    within = (0.5 - (reached - own)) / own
    return np.asarray(basis.last + (STEPS[middle] - 0.5 + within)[:, 0])


def log_start(last: Floats, start: Floats, start_error: float) -> Floats:
    """Return log chances, but for a constant, of the answers `STEPS` from the last one.

    Those of a Laplace distribution around `start`, shape (n, len(STEPS)).
    """
    return np.asarray(-np.abs(last[:, None] + STEPS - start[:, None]) / start_error)


def readings_around(
    centre: Floats, half: Floats, step: float, lowest: float, highest: float
) -> Readings:
    """Return `centre` ± `half`; with a `step`, the nearest answer and the answers in between.

    An answer lies in the rounded interval where it lay in the other one, so coverage is the same;
    the predicted answer itself always counts as inside.
    """
    if step == 0:
        return Readings(centre, centre - half, centre + half)
    answer = np.clip(np.round(centre / step) * step, lowest, highest)
    lower = np.clip(np.ceil((centre - half) / step) * step, lowest, answer)
    upper = np.clip(np.floor((centre + half) / step) * step, answer, highest)
    return Readings(answer, lower, upper)


def expected_readings(
    model: ComponentModel, means: Floats, history: History, queries: Queries,
    specs: Mapping[str, TestSpec], seen: Followed, at_s: Ints,
) -> ExpectedReading:  # fmt: skip
    """Return what the curves with prior `means`, updated by the tests `seen`, expect at `at_s`.

    Parameters
    ----------
    means : float64 array, shape (n, 3)
        NaN where nothing is known of the curve; then nothing is expected.
    seen : Followed
        The tests of each query's episode known at its `as_of`.
    at_s : int64 array, shape (n,), s since 1970 UTC
    """
    value, sd = np.full(len(queries), np.nan), np.full(len(queries), np.nan)
    rows = np.flatnonzero(~np.isnan(means[:, 0]) & ~np.isnan(seen.baselines.mean))
    if rows.size:
        some, known = queries.take(rows), seen.take(rows)
        at_h = (at_s[rows] - some.clock_start_s) / 3600.0
        deficit, spread = expected_deficits(
            model.grid, np.ascontiguousarray(means[rows]), model.curve.spread,
            model.measurement.read(known), at_h,
        )  # fmt: skip
        factor = scale_factors(history, some, known.baselines, specs)
        below = deficit - model.measurement.residual(known.baselines)
        hour = np.nan_to_num(daytime(at_s[rows], history.timezone) - known.baselines.daytime)
        below -= hour_effects(history, some, specs) * hour
        value[rows], sd[rows] = known.baselines.mean - below / factor, spread / np.abs(factor)
    return ExpectedReading(value, sd)


def reading_basis(
    history: History, queries: Queries, specs: Mapping[str, TestSpec], X: Floats,
    expected: ExpectedReading, at_s: Ints,
) -> Basis:  # fmt: skip
    """Return what the readings at `at_s` are predicted from, as known at each query's `as_of`.

    Parameters
    ----------
    queries : Queries
        Of one component.
    X : float64 array, shape (n, n_features)
        From `nmr_ml.features.model_inputs.model_inputs`.
    at_s : int64 array, shape (n,), s since 1970 UTC
        When the test is to be taken.
    """
    recent = recent_tests(history, queries.athlete, queries.test, queries.as_of_s)
    in_pct = np.array([specs[name].scale == "pct" for name in history.test_names])[queries.test]
    scale = np.where(in_pct, np.abs(recent.usual) / 100.0, 1.0)
    scale[scale == 0] = np.nan
    own = [
        # A level in cm or N tells athletes apart, a level on a questionnaire how far it can go.
        np.where(in_pct, np.nan, recent.last),
        np.where(in_pct, np.nan, recent.usual),
        (recent.last - recent.usual) / scale,
        (recent.before - recent.usual_before) / scale,
        recent.scatter / scale,
        recent.weight,
        recent.age_d,
        (expected.value - recent.usual) / scale,
        expected.sd / scale,
        (at_s - queries.clock_start_s) / 3600.0,
        (at_s - queries.as_of_s) / 3600.0,
        ((local_day(at_s, history.timezone) + 3) % 7).astype(np.float64),  # 1970-01-01: Thursday
    ]
    inputs = np.column_stack([X, *own, *_items(history, queries)])
    return Basis(inputs, recent.last, recent.usual, expected.value, scale)


def _items(history: History, queries: Queries) -> list[Floats]:
    """Return last value, its deviation, and the same of the value before, for each item."""
    found = []
    for item in ITEMS:
        code = history.test_names.index(item) if item in history.test_names else -1
        recent = recent_tests(
            history, queries.athlete, np.full(len(queries), code), queries.as_of_s
        )
        fresh, before = recent.age_d <= ITEM_AGE_D, recent.age_before_d <= ITEM_AGE_D + 1
        found += [
            np.where(fresh, recent.last, np.nan),
            np.where(fresh, recent.last - recent.usual, np.nan),
            np.where(before, recent.before, np.nan),
            np.where(before, recent.before - recent.usual_before, np.nan),
        ]
    return found


def input_names() -> tuple[str, ...]:
    """Return the names of the columns of `Basis.inputs`."""
    return (*feature_contract().names, *OWN_INPUTS)
