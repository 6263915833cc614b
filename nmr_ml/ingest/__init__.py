"""Foreign data to cohorts; every source row is used, quarantined or listed as having no place."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from nmr_ml.ingest import haun, landers_ramos, pmdata, soccermon
from nmr_ml.ingest.account import Accounted, Ingested, IngestOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["SOURCES", "Accounted", "IngestOptions", "Ingested"]

#: The sources that are known, by the name the command line uses.
SOURCES: Final[Mapping[str, Callable[[Path, IngestOptions], Ingested]]] = MappingProxyType(
    {
        "soccermon": soccermon.ingest,
        "pmdata": pmdata.ingest,
        "landers_ramos": landers_ramos.ingest,
        "haun": haun.ingest,
    }
)
