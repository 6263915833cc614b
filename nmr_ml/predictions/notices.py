"""What a reader has to know beside the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmr_ml.cohort.cohort import Warned
from nmr_ml.reasons import Abstain, Notice

if TYPE_CHECKING:
    import pandas as pd


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


def warnings_of(frame: pd.DataFrame, *, hidden: bool, unchecked: bool) -> tuple[Warned, ...]:
    """Return what a reader of the predictions `frame` has to know.

    Parameters
    ----------
    frame : DataFrame
        With the columns of `nmr_ml.predictions.columns.ANSWER_COLUMNS`.
    hidden : bool
        Whether values of an athlete who may be under 18 were left out.
    unchecked : bool
        Whether an interval was not checked on athletes like this one.
    """
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
