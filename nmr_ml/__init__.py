"""Neuromuscular recovery: how many hours it takes, how sure that is, and why."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle, load_bundle
    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.cohort.reader import canonical_cohort, read_cohort
    from nmr_ml.errors import NmrError
    from nmr_ml.estimator import RecoveryCurveRegressor
    from nmr_ml.predictions.options import Options
    from nmr_ml.predictions.predict import Predictions, predict
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "Bundle",
    "Cohort",
    "NmrError",
    "Options",
    "Predictions",
    "RecoveryCurveRegressor",
    "canonical_cohort",
    "load_bundle",
    "predict",
    "read_cohort",
]
