"""The columns of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from nmr_ml.history.episodes import EXERTION
from nmr_ml.history.history import EVENT_KINDS
from nmr_ml.levels import INTERVAL_LEVEL
from nmr_ml.predictions.confidence import CONFIDENCE
from nmr_ml.reasons import Abstain
from nmr_ml.recovery_tests import AVAILABILITY, COMPONENTS

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.history.episodes import Episodes
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.numeric.arrays import Ints


Kind = Literal["text", "time", "number", "flag", "drivers", "curve"]

#: Hours after the clock start of the `p_*` and `deficit_*` columns.
P_H = (24.0, 48.0, 72.0, 96.0)
DEFICIT_H = (24.0, 48.0, 72.0)
P_COLUMNS = tuple(f"p_{h:.0f}h" for h in P_H)
DEFICIT_COLUMNS = tuple(f"deficit_{h:.0f}h" for h in DEFICIT_H)
#: Columns that a model computes: the same for the same input, so golden rows hold them.
NUMBERS = (
    "recovery_h", "lower_h", "upper_h", "remaining_h", "p_now", *P_COLUMNS, *DEFICIT_COLUMNS,
    "delta",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AnswerColumn:
    """One column of an answer, whatever it is written as.

    Parameters
    ----------
    name : str
    kind : str
        ``drivers`` and ``curve`` are lists of `DRIVER_FIELDS` and `CURVE_FIELDS`.
    meaning : str
        One sentence for a reader, with the unit.
    words : tuple of str
        The values that a text can have, where they are a closed list.
    """

    name: str
    kind: Kind
    meaning: str
    words: tuple[str, ...] = ()


#: The columns of contract §4, in its order: frame, Parquet, JSON, OpenAPI and docs follow them.
ANSWER_COLUMNS = (
    AnswerColumn("athlete_id", "text", "The athlete, as the cohort or request calls them."),
    AnswerColumn("episode_id", "text", "What is recovered from; of an exertion its session_id."),
    AnswerColumn("kind", "text", "The kind of episode.", (EXERTION, *EVENT_KINDS)),
    AnswerColumn("component", "text", "The component of recovery.", (*COMPONENTS, AVAILABILITY)),
    AnswerColumn("index_test", "text", "The test on whose scale δ and the deficits are."),
    AnswerColumn("clock_start", "time", "End of the session, or onset: hours count from it."),
    AnswerColumn("as_of", "time", "The moment of the prediction: nothing known later is in it."),
    AnswerColumn("status", "text", "Whether there are numbers.", ("ok", "abstained")),
    AnswerColumn("reason", "text", "Why there are none, else null.", tuple(Abstain)),
    AnswerColumn("recovery_h", "number", "Median recovery time, hours after clock_start."),
    AnswerColumn("lower_h", "number", "Lower end of the interval, hours after clock_start."),
    AnswerColumn(
        "upper_h", "number",
        "Upper end of the interval, hours; +inf in Parquet and null in JSON where unbounded.",
    ),
    AnswerColumn("interval_level", "number", "Nominal probability of the interval."),
    AnswerColumn("upper_unbounded", "flag", "Whether the interval has no upper end."),
    AnswerColumn("remaining_h", "number", "Hours from as_of to the median, at least 0."),
    AnswerColumn("recovered_at", "time", "The moment of the median."),
    AnswerColumn("p_now", "number", "Probability of having recovered by as_of."),
    *(
        AnswerColumn(name, "number", f"Probability of having recovered by {h:.0f} h.")
        for name, h in zip(P_COLUMNS, P_H, strict=True)
    ),
    *(
        AnswerColumn(name, "number", f"Median latent deficit at {h:.0f} h, in delta_unit.")
        for name, h in zip(DEFICIT_COLUMNS, DEFICIT_H, strict=True)
    ),
    AnswerColumn("delta", "number", "δ: the smallest deficit that counts as impaired."),
    AnswerColumn("delta_unit", "text", "Per cent of the baseline, or points.", ("pct", "points")),
    AnswerColumn("limiting", "flag", "Whether this component takes longest in the episode."),
    AnswerColumn(
        "extrapolated", "flag", "Whether the median lies beyond what the model learnt from."
    ),
    AnswerColumn(
        "out_of_distribution", "flag", "Whether the episode is unlike those the model has seen."
    ),
    AnswerColumn(
        "evidence", "text", "What the hours rest on; those of ratings are a questionnaire's.",
        ("tests", "ratings_only"),
    ),
    AnswerColumn(
        "confidence", "text", "By the labelled earlier episodes of the athlete: 0, 1-4, more.",
        CONFIDENCE,
    ),
    AnswerColumn(
        "completeness", "number", "Share of the feature groups with a value that is not too old."
    ),
    AnswerColumn("drivers", "drivers", "What moves the hours most, where asked for, else null."),
    AnswerColumn("model_name", "text", "The registered model."),
    AnswerColumn("model_version", "text", "Its version."),
    AnswerColumn("contract_hash", "text", "SHA-256 of its feature contract."),
)  # fmt: skip
COLUMNS = tuple(column.name for column in ANSWER_COLUMNS)
#: Added where a risk is asked for.
CLEARANCE_COLUMN = AnswerColumn(
    "clearance_h", "number",
    "Hours after which at most the share asked for of an athlete's tests still reads impaired.",
)  # fmt: skip
CLEARANCE = CLEARANCE_COLUMN.name
#: Added in JSON, beside the columns.
CURVE_COLUMN = AnswerColumn("curve", "curve", "The recovery curve, where asked for.")
DRIVER_FIELDS = (
    AnswerColumn("group", "text", "The group of features."),
    AnswerColumn("feature", "text", "The feature, by its contract name."),
    AnswerColumn("value", "number", "Its value, null where absent."),
    AnswerColumn("ratio", "number", "recovery_h over what it would be without it."),
)
CURVE_FIELDS = (
    AnswerColumn("h", "number", "Hours after clock_start."),
    AnswerColumn("p", "number", "Probability of having recovered by then."),
    AnswerColumn("deficit", "number", "Median latent deficit, in delta_unit."),
    AnswerColumn("deficit_lower", "number", "Lower end of its interval."),
    AnswerColumn("deficit_upper", "number", "Upper end of its interval."),
)


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
        "clock_start": utc_times(queries.clock_start_s),
        "as_of": utc_times(queries.as_of_s),
        "evidence": np.where(perceptual, "ratings_only", "tests").astype(object),
        "interval_level": INTERVAL_LEVEL,
        "model_name": bundle.model_name,
        "model_version": bundle.model_version,
        "contract_hash": bundle.contract_hash,
    }


def utc_times(at_s: Ints) -> pd.Series[pd.Timestamp]:
    """Return moments in seconds since 1970 as times of UTC."""
    return pd.Series(at_s.astype("datetime64[s]").astype("datetime64[us]")).dt.tz_localize("UTC")
