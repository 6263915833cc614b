"""Predictions with a registered model: batch scoring and the online API."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from serving.batch import score
    from serving.requests.question import answer
    from serving.server import serve
    from serving.service import RecoveryService
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["RecoveryService", "answer", "score", "serve"]
