from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from nmr_ml.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def squad(tmp_path: Path) -> Path:
    path = tmp_path / "squad"
    path.mkdir()
    (path / "cohort.yaml").write_text("name: '[bold]A'\ntimezone: Europe/Oslo\n", encoding="utf-8")
    pd.DataFrame({"athlete_id": ["007"], "sex": ["male"], "shoe": ["43"]}).to_csv(
        path / "athletes.csv", index=False
    )
    pd.DataFrame(
        {
            "session_id": ["s1", "s2", "s3"],
            "athlete_id": ["007", "7", "7"],
            "started_at": [f"2026-03-0{day}T17:00" for day in (1, 2, 3)],
            "duration_min": [90, 80, 70],
        }
    ).to_csv(path / "sessions.csv", index=False)
    return path


def test_table_reasons_and_warnings(squad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(squad)]) == 0
    out = capsys.readouterr().out
    assert "[bold]A (Europe/Oslo)" in out
    row = next(line for line in out.splitlines() if "sessions" in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == [
        "sessions",
        "3",
        "1",
        "2",
        "orphan 2",
    ]
    assert "sessions: orphan in 2 rows." in out
    assert "Add the athlete or the right id." in out
    assert "sessions.csv, line 3, 4" in out
    assert "warning[unknown_column]: athletes" in out
    assert "--out DIR" in out
    assert not (squad / "quarantine").exists()


def test_quarantine_is_written_where_asked(squad: Path, tmp_path: Path) -> None:
    assert run(["validate", str(squad), "--out", str(tmp_path / "out")]) == 0
    rows = pd.read_csv(tmp_path / "out" / "quarantine" / "sessions.csv", dtype=str)
    assert list(rows["session_id"]) == ["s2", "s3"]
    assert list(rows["line"]) == ["3", "4"]
    assert set(rows["reason"]) == {"orphan"}


def test_json_is_one_document(squad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(squad), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["tables"]["sessions"] == {
        "rows_in": 3,
        "used": 1,
        "quarantined": 2,
        "reasons": {"orphan": 2},
    }
    assert document["problems"][0]["lines"] == [3, 4]
    assert document["warnings"][0]["code"] == "unknown_column"
    assert document["quarantine"] is None


def test_strict(squad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(squad), "--strict", "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert "sessions: orphan" in printed.out
    assert "error[rows_quarantined]" in printed.err
    assert (tmp_path / "out" / "quarantine" / "sessions.csv").is_file()
    assert run(["validate", str(squad), "--strict", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "rows_quarantined"


def test_strict_is_content_with_a_clean_cohort(squad: Path) -> None:
    frame = pd.read_csv(squad / "sessions.csv", dtype=str).iloc[:1]
    frame.to_csv(squad / "sessions.csv", index=False)
    assert run(["validate", str(squad), "--strict"]) == 0


def test_no_cohort(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error[not_a_cohort]: ")


def test_the_module_is_light_to_import() -> None:
    code = (
        "import sys, nmr_ml.cli.validate; "
        "print([name for name in ('pandas', 'pandera', 'pint', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
