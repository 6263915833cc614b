"""The sources that can be ingested, by the name the command line uses."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from nmr_ml.ingest import haun, landers_ramos, pmdata, soccermon

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nmr_ml.ingest.account import Ingested, IngestOptions

SOURCES: Final[Mapping[str, Callable[[Path, IngestOptions], Ingested]]] = MappingProxyType(
    {
        "soccermon": soccermon.ingest,
        "pmdata": pmdata.ingest,
        "landers_ramos": landers_ramos.ingest,
        "haun": haun.ingest,
    }
)
