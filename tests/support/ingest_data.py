"""The real data of the ingestion tests, and what is checked of every source."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nmr_ml.cohort.tables import TABLES
from nmr_ml.ingest import SOURCES, Ingested, IngestOptions

if TYPE_CHECKING:
    from nmr_ml.ingest import Accounted

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def real(source: str) -> Path:
    """Return the folder of a source, or skip the test where it is not there."""
    folder = DATA / source
    if not folder.is_dir():
        pytest.skip(f"the real data of {source} are not beside the repository")
    return folder


@cache
def ingested(source: str) -> Ingested:
    return SOURCES[source](real(source), IngestOptions())


def entry(found: Ingested, start: str) -> Accounted:
    """Return the one entry of the account whose source is `start` or goes on after a comma."""
    entries = [item for item in found.account if f"{item.source},".startswith(f"{start},")]
    assert len(entries) == 1, [item.source for item in entries]
    return entries[0]


def assert_balanced(found: Ingested) -> None:
    """Check the account: nothing is lost, and what is quarantined is kept as it came."""
    for item in found.account:
        kept_out = sum(item.quarantined.values()) + sum(item.no_place.values())
        assert item.rows_in == item.used + kept_out, item
    whole = found.unusable["item"] == ""
    for counts, kept in (("rows", found.unusable[whole]), ("cells", found.unusable[~whole])):
        entries = [item for item in found.account if item.counts == counts]
        assert len(kept) == sum(sum(item.quarantined.values()) for item in entries)
    assert (found.unusable["sentence"].str.len() > 0).all()
    for name, frame in found.tables.items():
        assert set(frame.columns) <= set(TABLES[name].names)
        needed = [column.name for column in TABLES[name].columns if column.required]
        assert frame[needed].notna().all().all(), name
