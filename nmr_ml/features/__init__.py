"""What is known about an athlete at a moment, as one row of numbers."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.features.catalogue import catalogue_table
    from nmr_ml.features.contract import FeatureContract, feature_contract
    from nmr_ml.features.engine import build_features, completeness
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "FeatureContract",
    "build_features",
    "catalogue_table",
    "completeness",
    "feature_contract",
]
