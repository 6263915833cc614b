"""How long injuries and systemic episodes last."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.models.availability.absences import Absences, absence_inputs, absences_of, bounds_ln
    from nmr_ml.models.availability.law import DurationLaw
    from nmr_ml.models.availability.model import AvailabilityModel, expect
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "Absences",
    "AvailabilityModel",
    "DurationLaw",
    "absence_inputs",
    "absences_of",
    "bounds_ln",
    "expect",
]
