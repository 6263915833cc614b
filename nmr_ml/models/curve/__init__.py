"""The recovery curve of anybody, learnt from noisy tests."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.models.curve.boosted import BoostedCurve, TreeSettings
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.models.curve.measurement import Measurement
    from nmr_ml.models.curve.population import Population
    from nmr_ml.models.curve.posterior import (
        expected_deficits,
        probability_below,
        recovery_quantiles,
    )
    from nmr_ml.models.curve.read_off import ReadOff
    from nmr_ml.models.curve.store import read_curve, write_curve
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "BoostedCurve",
    "CurveGrid",
    "Measurement",
    "Population",
    "ReadOff",
    "TreeSettings",
    "expected_deficits",
    "probability_below",
    "read_curve",
    "recovery_quantiles",
    "write_curve",
]
