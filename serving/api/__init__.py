"""The HTTP side of predictions."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from serving.api.app import create_app, put_in_service
    from serving.api.readiness import verified_bundle
    from serving.api.settings import Settings
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["Settings", "create_app", "put_in_service", "verified_bundle"]
