"""`nmr simulate` from the outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nmr_ml.cli.main import run
from nmr_ml.cohort.reader import read_cohort, read_truth

if TYPE_CHECKING:
    from pathlib import Path


def test_it_writes_a_cohort_that_reads_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cohort"
    arguments = ["--athletes", "3", "--days", "20", "--profile", "null", "--seed", "5"]
    assert run(["simulate", str(out), *arguments, "--set", "trials_n=2"]) == 0
    assert "athletes 3" in capsys.readouterr().out
    cohort = read_cohort(out)
    assert cohort.name == "simulated-null-5"
    assert set(cohort["tests"]["trials_n"].dropna()) == {2.0}
    assert len(read_truth(out)) > 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--days", "3"], "out_of_bounds"),
        (["--set", "no.such.key=1"], "config_invalid"),
        (["--profile", "wishful"], "usage"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_written(
    arguments: list[str], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["simulate", str(tmp_path / "cohort"), *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"error[{code}]")
    assert not (tmp_path / "cohort").exists()
