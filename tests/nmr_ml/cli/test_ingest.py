from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from nmr_ml.cli import main as cli
from nmr_ml.cli.ingest import stated_units
from nmr_ml.cohort.reader import read_cohort
from nmr_ml.errors import UsageError
from tests.support.ingest_data import real

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("source", ["soccermon", "pmdata", "landers_ramos", "haun"])
def test_the_folder_reads_back_with_every_row(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cohort"
    assert cli.run(["ingest", source, str(real(source)), str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((out / "ingest.json").read_text(encoding="utf-8"))
    cohort = read_cohort(out, required=("athletes",))
    assert cohort.name == source
    assert {name: count.rows_in for name, count in cohort.counts.items()} == document["tables"]
    assert not cohort.warnings
    kept = pd.read_csv(out / "quarantine" / "source.csv")
    quarantined = sum(sum(item["quarantined"].values()) for item in document["account"])
    assert len(kept) == quarantined


def test_the_table_names_every_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["ingest", "haun", str(real("haun")), str(tmp_path / "c")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for text in ("TRAINING_AGE", "tidy.csv", "labs 228", "by convention"):
        assert text in shown


def test_a_stated_unit_reaches_the_cohort(tmp_path: Path) -> None:
    out = tmp_path / "c"
    call = ["ingest", "haun", str(real("haun")), str(out), "--unit", "cortisol=ug/dL"]
    assert cli.run(call) == 0
    labs = read_cohort(out, required=("athletes",)).counts["labs"]
    assert (labs.rows_in, labs.used) == (228, 228)


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["strava", "."], "unknown_source", 2),
        (["haun", "nowhere"], "source_not_found", 1),
        (["haun", ".", "--unit", "cortisol"], "unit_malformed", 2),
        (["haun", ".", "--unit", "insulin=U/L"], "unit_not_applicable", 2),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], code: str, exit_code: int,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source, path, *options = arguments
    out = tmp_path / "c"
    assert cli.run(["ingest", source, str(tmp_path / path), str(out), *options]) == exit_code
    assert f"error[{code}]" in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_that_is_no_cohort_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work", encoding="utf-8")
    assert cli.run(["ingest", "haun", str(real("haun")), str(tmp_path)]) == 2
    assert "error[out_not_empty]" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("options", [["cortisol"], ["=U/L"], ["ck="], ["ck=U/L", "ck=U/L"]])
def test_unit_options_are_analyte_and_unit(options: list[str]) -> None:
    with pytest.raises(UsageError, match="ANALYTE=UNIT"):
        stated_units(options)


def test_listing_the_command_imports_no_pandas() -> None:
    code = "import sys, nmr_ml.cli.ingest; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
