"""The published data sets as cohorts, ingested into a temporary folder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nmr_ml.cohort.reader import read_cohort
from nmr_ml.ingest import SOURCES, IngestOptions
from nmr_ml.ingest.saving import save

if TYPE_CHECKING:
    from nmr_ml.cohort.cohort import Cohort


def real_cohort(source: str, data: Path) -> Cohort:
    """Return the cohort of `source`, read from its folder in `data`; no data file is kept."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / source
        save(SOURCES[source](data / source, IngestOptions({})), out)
        return read_cohort(out)
