"""Foreign data to cohorts; every source row is used, quarantined or listed as having no place."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.ingest.account import Accounted, Ingested, IngestOptions
    from nmr_ml.ingest.known_sources import SOURCES
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["SOURCES", "Accounted", "IngestOptions", "Ingested"]
