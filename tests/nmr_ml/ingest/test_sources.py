from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from nmr_ml.errors import DataError
from nmr_ml.ingest import sources
from nmr_ml.ingest.account import USED

if TYPE_CHECKING:
    from pathlib import Path


def test_numbers_say_why_a_cell_is_none() -> None:
    read = sources.numbers(pd.Series(["1.5", "", "abc", "11", "0"]), (1.0, 10.0))
    assert read.outcome.tolist() == [
        USED, sources.EMPTY, "not_a_number", "out_of_range", "out_of_range",
    ]  # fmt: skip
    assert read.found[0] == 1.5
    assert np.isnan(read.found[1:]).all()


def test_local_times_that_do_not_exist_or_happen_twice_are_not_guessed() -> None:
    read = sources.times(
        pd.Series(["2020-03-29 02:30:00", "2019-10-27T02:30:00.000", "2020-03-29 03:00:00", "x"]),
        "Europe/Oslo",
    )
    assert read.outcome.tolist() == ["time_does_not_exist", "time_ambiguous", USED, "not_a_time"]
    assert read.found[2] == pd.Timestamp("2020-03-29T01:00:00Z")


def test_a_missing_folder_or_file_is_named_with_what_was_expected(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=r"tidy\.csv") as refused:
            sources.require(root, ["tidy.csv"], source="haun")
        assert refused.value.code == "source_not_found"


def test_broken_files_are_refused_without_their_content(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    (tmp_path / "b.json").write_text('{"secret": 17', encoding="utf-8")
    (tmp_path / "c.json").write_text("[1, 2]", encoding="utf-8")
    (tmp_path / "d.xlsx").write_text("no workbook", encoding="utf-8")
    (tmp_path / "e.csv").write_text("", encoding="utf-8")
    for read, name in (
        (lambda path: sources.read_csv(path, tmp_path, ["x", "z"]), "a.csv"),
        (lambda path: sources.read_json(path, tmp_path), "b.json"),
        (lambda path: sources.read_json(path, tmp_path), "c.json"),
        (sources.sheet_rows, "d.xlsx"),
        (lambda path: sources.read_csv(path, tmp_path, []), "e.csv"),
    ):
        with pytest.raises(DataError) as refused:
            read(tmp_path / name)
        assert refused.value.code == "source_unreadable"
        assert "17" not in str(refused.value)


def test_csv_rows_know_their_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\nNA\n007\n", encoding="utf-8")
    rows = sources.read_csv(tmp_path / "a.csv", tmp_path, ["x"])
    assert rows["line"].tolist() == [2, 3]
    assert rows["x"].tolist() == ["NA", "007"]
    assert rows["file"].tolist() == ["a.csv", "a.csv"]


def test_unknown_files_are_listed(tmp_path: Path) -> None:
    (tmp_path / "p01" / "pmsys").mkdir(parents=True)
    for name in ("known.csv", "p01/pmsys/srpe.csv", "p01/pmsys/new.csv"):
        (tmp_path / name).touch()
    known = ["known.csv", "p[0-9][0-9]/pmsys/srpe.csv"]
    assert sources.unknown_files(tmp_path, known) == ["p01/pmsys/new.csv"]
