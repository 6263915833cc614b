"""What the tests after an episode showed."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.labels.family_tests import FamilyTests
    from nmr_ml.labels.followed_tests import Followed, censor_reasons, label_states
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["FamilyTests", "Followed", "censor_reasons", "label_states"]
