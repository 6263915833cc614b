"""How components are learnt and checked on athletes left out."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from training.fitting.availability import FittedAvailability, fit_availability
    from training.fitting.component import FittedComponent, fit_component
    from training.fitting.readings import FittedReading, fit_readings
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "FittedAvailability",
    "FittedComponent",
    "FittedReading",
    "fit_availability",
    "fit_component",
    "fit_readings",
]
