"""What was said against what happened."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from training.scoring.absence_scores import score_absences
    from training.scoring.bootstrap import Estimate, compare
    from training.scoring.forecast_scores import Scores, score_forecasts
    from training.scoring.forecasts import CurvePriors, Forecasts, from_curves, from_normal
    from training.scoring.scores import Brier, time_scores
    from training.scoring.truth import score_times
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "Brier",
    "CurvePriors",
    "Estimate",
    "Forecasts",
    "Scores",
    "compare",
    "from_curves",
    "from_normal",
    "score_absences",
    "score_forecasts",
    "score_times",
    "time_scores",
]
