"""One component's model for one athlete: offsets, calibration, clearance."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.models.component.calibration import Calibration
    from nmr_ml.models.component.clearance import Clearance
    from nmr_ml.models.component.model import ComponentModel
    from nmr_ml.models.component.offsets import OffsetPrior, Offsets, Team, athlete_offsets
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "Calibration",
    "Clearance",
    "ComponentModel",
    "OffsetPrior",
    "Offsets",
    "Team",
    "athlete_offsets",
]
