"""Forecasts: what the next test of each component will show, with the error of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmr_ml.errors import UsageError
from nmr_ml.features.model_inputs import model_inputs
from nmr_ml.history.episodes import find_episodes
from nmr_ml.history.history import build_history
from nmr_ml.labels.followed_tests import followed_tests
from nmr_ml.models.readings.model import expected_readings, reading_basis
from nmr_ml.predictions.abstentions import abstentions
from nmr_ml.predictions.columns import identity
from nmr_ml.predictions.predict import ask
from nmr_ml.reasons import Abstain
from nmr_ml.recovery_tests import COMPONENTS

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.models.component.model import ComponentModel
    from nmr_ml.models.readings.model import Readings
    from nmr_ml.numeric.arrays import Ints
    from nmr_ml.predictions.options import Options


#: From the evening after a session to the next morning.
NEXT_MORNING_H = 14.0
READING_COLUMNS = (
    "athlete_id", "episode_id", "component", "index_test", "clock_start", "as_of", "at", "status",
    "reason", "reading", "lower", "upper", "interval_level", "unit", "extrapolated",
    "model_name", "model_version", "contract_hash",
)  # fmt: skip


def predict_readings(
    bundle: Bundle, cohort: Cohort, options: Options, *, ahead_h: float = NEXT_MORNING_H
) -> pd.DataFrame:
    """Predict what a test will show `ahead_h` hours after each moment of asking.

    Parameters
    ----------
    options : Options
        Which episodes, and as of when; injury and systemic episodes have no readings.
    ahead_h : float, h
        Above 0. ``extrapolated`` says where training has no tests that far ahead.

    Returns
    -------
    DataFrame with `READING_COLUMNS`
        ``reading`` is the median, ``lower`` and ``upper`` bound the interval of the nominal
        ``interval_level``, all in ``unit``; null where ``status`` is abstained: ``too_little_data``
        where no test of the kind is known.

    Raises
    ------
    UsageError
        ``ahead_invalid``.
    DataError
        ``no_episode`` where nothing is there to predict.
    """
    if not 0 < ahead_h < np.inf:
        raise UsageError(
            "ahead_invalid",
            f"ahead_h is {ahead_h!r}, expected hours above 0.",
            f"The next morning is {NEXT_MORNING_H:g} hours after an evening.",
        )
    history = build_history(cohort, tuple(sorted(bundle.specs)))
    episodes = find_episodes(history)
    queries, _ = ask(bundle, history, episodes, options)
    queries = queries.take(np.flatnonzero(queries.session >= 0))
    at_s = queries.as_of_s + round(ahead_h * 3600)
    columns = identity(bundle, history, episodes, queries)
    reasons = abstentions(bundle, history, episodes, queries)
    numbers = {name: np.full(len(queries), np.nan) for name in ("reading", "lower", "upper")}
    columns["unit"] = np.full(len(queries), None, dtype=object)
    columns["extrapolated"] = np.zeros(len(queries), dtype=bool)
    for name, model in bundle.components.items():
        of_component = queries.component == COMPONENTS.index(model.component)
        columns["unit"][of_component] = bundle.specs[model.index_test].unit
        answered = np.array([reason is None for reason in reasons], dtype=bool)
        rows = np.flatnonzero(of_component & answered)
        if name not in bundle.readings:
            reasons[rows] = Abstain.COMPONENT_NOT_LEARNT.value
        elif rows.size:
            found = _readings(bundle, history, queries.take(rows), at_s[rows], model)
            numbers["reading"][rows] = found.value
            numbers["lower"][rows], numbers["upper"][rows] = found.lower, found.upper
            reasons[rows[np.isnan(found.value)]] = Abstain.TOO_LITTLE_DATA.value
            shortest, longest = bundle.readings[name].ahead_h
            columns["extrapolated"][rows] = not shortest <= ahead_h <= longest
    columns |= numbers
    columns["at"] = pd.to_datetime(at_s, unit="s", utc=True).as_unit("us")
    columns["reason"] = reasons
    columns["status"] = np.where([r is None for r in reasons], "ok", "abstained").astype(object)
    return pd.DataFrame({name: columns[name] for name in READING_COLUMNS})


def _readings(
    bundle: Bundle, history: History, queries: Queries, at_s: Ints, model: ComponentModel
) -> Readings:
    """Return the readings of queries about the component of `model`."""
    X = model_inputs(history, queries, bundle.specs)
    seen = followed_tests(history, queries, bundle.specs)
    expected = expected_readings(
        model, model.curve.means(X), history, queries, bundle.specs, seen, at_s
    )
    basis = reading_basis(history, queries, bundle.specs, X, expected, at_s)
    return bundle.readings[model.component].predict(basis)
