"""Sessions as impulses under a level that lives: one likelihood for every test of an athlete."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.models.impulse.forecast import Asked, Forecasts, chances
    from nmr_ml.models.impulse.model import ImpulseModel
    from nmr_ml.models.impulse.stream import Sessions, Stream, Tests
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "Asked",
    "Forecasts",
    "ImpulseModel",
    "Sessions",
    "Stream",
    "Tests",
    "chances",
]
