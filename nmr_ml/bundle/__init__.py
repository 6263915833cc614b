"""A model on disk and in the registry: data, never code."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle, load_bundle, save_bundle
    from nmr_ml.bundle.registry import CANDIDATE, CHAMPION, resolve
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["CANDIDATE", "CHAMPION", "Bundle", "load_bundle", "resolve", "save_bundle"]
