from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from nmr_ml.cohort.quarantine import quarantined_rows, write_quarantine

if TYPE_CHECKING:
    from pathlib import Path

RAW = pd.DataFrame({"id": ["007", "8", "9"], "reason": ["sick", "", "x"]}, index=[5, 5, 5])
REJECTED = pd.DataFrame(
    {"line": [2, 4], "reason": ["orphan", "future"], "sentence": ["a", "b"], "column": ["", "t"]},
    index=[0, 2],
)


def test_rows_keep_every_column_of_theirs() -> None:
    rows = quarantined_rows(RAW, REJECTED)
    assert rows.to_dict("list") == {
        "id": ["007", "9"],
        "reason_original": ["sick", "x"],
        "line": [2, 4],
        "reason": ["orphan", "future"],
        "sentence": ["a", "b"],
    }


def test_written_only_where_there_are_rows(tmp_path: Path) -> None:
    rows = quarantined_rows(RAW, REJECTED)
    write_quarantine(tmp_path / "q", {"labs": rows, "sleep": rows})
    assert sorted(path.name for path in (tmp_path / "q").iterdir()) == ["labs.csv", "sleep.csv"]
    write_quarantine(tmp_path / "q", {"labs": rows, "sleep": rows.iloc[:0]})
    assert [path.name for path in (tmp_path / "q").iterdir()] == ["labs.csv"]


def test_nothing_to_write_makes_no_folder(tmp_path: Path) -> None:
    write_quarantine(tmp_path / "q", {"labs": REJECTED.iloc[:0]})
    assert not (tmp_path / "q").exists()
