"""What a model has to beat."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from training.baselines.curves import RivalCurves, fit_baselines
    from training.baselines.durations import DurationBaselines, fit_duration_baselines
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["DurationBaselines", "RivalCurves", "fit_baselines", "fit_duration_baselines"]
