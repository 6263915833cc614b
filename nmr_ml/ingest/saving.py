"""An ingested source to a cohort folder with its account and its quarantine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from nmr_ml.cohort.writer import write_cohort
from nmr_ml.runtime.home import writing_file

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.ingest.account import Ingested

ACCOUNT: Final = "ingest.json"
UNUSABLE: Final = "quarantine/source.csv"


def save(ingested: Ingested, out: Path) -> None:
    """Write the cohort folder `out`, then ``ingest.json`` and ``quarantine/source.csv`` in it.

    ``quarantine/source.csv`` is there even without rows: an empty quarantine is a result.

    Raises
    ------
    UsageError
        ``out_not_empty`` where `out` is there and is no cohort.
    OutsideError
        ``cannot_write`` where the disk refuses.
    """
    write_cohort(
        out,
        name=ingested.name,
        timezone=ingested.timezone,
        tables=ingested.tables,
        description=ingested.description,
        source=ingested.source,
    )
    account = json.dumps(ingested.document(), ensure_ascii=False, indent=2)
    with writing_file(out / ACCOUNT) as temporary:
        temporary.write_text(account + "\n", encoding="utf-8")
    with writing_file(out / UNUSABLE) as temporary:
        ingested.unusable.to_csv(temporary, index=False, encoding="utf-8")
