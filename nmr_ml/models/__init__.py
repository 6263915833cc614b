"""What is learnt, and the numbers it gives; models see arrays, never tables."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.models.availability.model import AvailabilityModel
    from nmr_ml.models.component.model import ComponentModel
    from nmr_ml.models.readings.model import ReadingModel
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["AvailabilityModel", "ComponentModel", "ReadingModel"]
