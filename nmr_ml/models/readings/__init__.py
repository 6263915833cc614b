"""What the next test will show."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.models.readings.model import (
        ReadingModel,
        Readings,
        expected_readings,
        reading_basis,
    )
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["ReadingModel", "Readings", "expected_readings", "reading_basis"]
