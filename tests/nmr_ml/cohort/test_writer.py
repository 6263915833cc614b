from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import yaml

from nmr_ml.cohort.reader import read_cohort, read_truth
from nmr_ml.cohort.writer import write_cohort
from nmr_ml.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

ATHLETES = pd.DataFrame({"athlete_id": ["007", "NA"], "sex": ["male", "unknown"]})
KNOWN: list[Any] = ["2026-03-02T17:00Z", None]
SESSIONS = pd.DataFrame(
    {
        "session_id": ["s1", "s2"],
        "athlete_id": ["007", "NA"],
        "started_at": pd.to_datetime(["2026-03-01T17:00:00.000001+01:00"] * 2, format="ISO8601"),
        "duration_min": [90.1, 1 / 3],
        "known_at": pd.to_datetime(KNOWN, format="ISO8601"),
    }
)


def _write(path: Path, **options: Any) -> None:
    about: dict[str, Any] = {"name": "Łódź", "timezone": "Europe/Warsaw", "source": "made up"}
    write_cohort(path, tables={"athletes": ATHLETES, "sessions": SESSIONS}, **{**about, **options})


@pytest.mark.parametrize("fmt", ["parquet", "csv"])
def test_what_is_written_can_be_read(tmp_path: Path, fmt: str) -> None:
    truth = pd.DataFrame(
        {"athlete_id": ["007"], "episode_id": ["s1"], "component": ["power"], "recovery_h": [54.1]}
    )
    _write(tmp_path / "c", fmt=fmt, truth=truth)
    cohort = read_cohort(tmp_path / "c")
    assert (cohort.name, cohort.timezone) == ("Łódź", "Europe/Warsaw")
    assert list(cohort["athletes"]["athlete_id"]) == ["007", "NA"]
    sessions = cohort["sessions"]
    assert list(sessions["started_at"]) == list(SESSIONS["started_at"])
    assert list(sessions["duration_min"]) == list(SESSIONS["duration_min"])
    assert sessions["known_at"][0] == SESSIONS["known_at"][0]
    assert sessions["known_at"][1] == sessions["ended_at"][1]
    assert read_truth(tmp_path / "c")["recovery_h"].tolist() == [54.1]
    assert list(tmp_path.iterdir()) == [tmp_path / "c"]


def test_csv_times_are_iso_8601(tmp_path: Path) -> None:
    _write(tmp_path, fmt="csv")
    text = pd.read_csv(tmp_path / "sessions.csv", dtype=str, keep_default_na=False)
    assert list(text["known_at"]) == ["2026-03-02T17:00:00.000000Z", ""]


def test_empty_description_is_left_out(tmp_path: Path) -> None:
    _write(tmp_path / "c", timezone="")
    content = yaml.safe_load((tmp_path / "c" / "cohort.yaml").read_text(encoding="utf-8"))
    assert content == {"name": "Łódź", "source": "made up"}


def test_a_cohort_is_replaced_as_a_whole(tmp_path: Path) -> None:
    _write(tmp_path / "c", fmt="csv")
    _write(tmp_path / "c", fmt="parquet")
    assert sorted(entry.name for entry in (tmp_path / "c").iterdir()) == [
        "athletes.parquet",
        "cohort.yaml",
        "sessions.parquet",
    ]


def test_what_is_no_cohort_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        _write(tmp_path)
    assert caught.value.code == "out_not_empty"
    with pytest.raises(UsageError):
        _write(tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_failure_leaves_the_old_cohort(tmp_path: Path) -> None:
    _write(tmp_path / "c")
    with pytest.raises(ValueError, match="coach"):
        write_cohort(
            tmp_path / "c", name="x", timezone="", tables={"athletes": ATHLETES.assign(coach=1)}
        )
    with pytest.raises(ValueError, match="wellness"):
        write_cohort(tmp_path / "c", name="x", timezone="", tables={"wellness": ATHLETES})
    assert read_cohort(tmp_path / "c").name == "Łódź"


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutsideError) as caught:
        _write(tmp_path / "file" / "c")
    assert caught.value.code == "cannot_write"
