"""From history and bundle to the rows of an answer."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.predictions.golden import check_golden, golden_rows
    from nmr_ml.predictions.options import Options, check_risk, parse_deltas
    from nmr_ml.predictions.predict import Predictions, predict_history
    from nmr_ml.predictions.readings import predict_readings
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "Options",
    "Predictions",
    "check_golden",
    "check_risk",
    "golden_rows",
    "parse_deltas",
    "predict_history",
    "predict_readings",
]
