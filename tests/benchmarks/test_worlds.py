"""Worlds as they are read, asked about and printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks import worlds
from benchmarks.populations.skipped_tests import skipped_tests
from benchmarks.world_methods import label_medians
from benchmarks.worlds import Size, compare, row, sides, without_tests
from nmr_ml.cohort.writer import write_cohort

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from benchmarks.world_methods import Answer
    from nmr_ml.cohort.cohort import Cohort

SIZE = Size(athletes=4, test_athletes=3, days=21, seed=3)


def told(truth: pd.DataFrame) -> Answer:
    """Return an answer that knows the truth of the episodes of athletes who were tested."""

    def answer(cohort: Cohort) -> pd.DataFrame:
        ended = cohort["sessions"].set_index("session_id")["ended_at"]
        start = truth["episode_id"].map(ended)
        tested = truth["athlete_id"].isin(cohort["tests"]["athlete_id"])
        hours = truth["recovery_h"]
        return truth.assign(
            clock_start=start, as_of=start, lower_h=hours, upper_h=hours, interval_level=0.8,
            deficit_24h=truth["d_24"], deficit_48h=truth["d_48"], confidence="solid",
            status=tested.map({True: "ok", False: "abstained"}),
            reason=tested.map({True: None, False: "too_little_data"}),
        ).drop(columns=["d_24", "d_48", "arch"])  # fmt: skip

    return answer


def test_a_method_is_asked_with_and_without_the_tests_of_those_asked_about() -> None:
    train, test = sides("skipped_tests", SIZE, worlds.SHARED)
    given: list[tuple[Cohort, Mapping[str, float]]] = []

    def method(cohort: Cohort, deltas: Mapping[str, float]) -> Answer:
        given.append((cohort, deltas))
        return told(test.truth)

    lines = list(compare("skipped_tests", "told", method, train, test))
    assert given == [(train.cohort, {"power": 2.6, "perceptual": 0.5})]
    with_tests, without = lines[:2], lines[2:]
    assert all(line.judged.gain == 1.0 and line.judged.answered == 1.0 for line in with_tests)
    assert all(line.judged.deficit_bias == {24: 0.0, 48: 0.0} for line in with_tests)
    assert all(line.judged.n == 0 for line in without)
    assert "| no | 0 | 0.000 |" in row(without[0])
    assert row(without[0]).endswith(f"too_little_data {len(test.truth) // 2} |")
    assert len({line.count("|") for line in (worlds.HEAD.splitlines()[0], *map(row, lines))}) == 1


def test_athletes_asked_about_are_nobody_learnt_from() -> None:
    train, test = sides("weekly_match", SIZE, worlds.SHARED)
    for column in ("athlete_id", "team"):
        names = [set(side.cohort["athletes"][column]) for side in (train, test)]
        assert not names[0] & names[1]
    assert not set(train.truth["episode_id"]) & set(test.truth["episode_id"])
    assert without_tests(test.cohort)["tests"].empty
    assert len(test.cohort["tests"])


def test_the_simulator_has_kinds_of_session_and_no_team() -> None:
    train, test = sides("simulator", SIZE, worlds.SHARED)
    assert train.truth["arch"].notna().all()
    assert train.cohort["athletes"]["team"].isna().all()
    assert set(test.truth["episode_id"]) <= set(test.cohort["sessions"]["session_id"])


def test_a_folder_of_cohorts_is_a_world(tmp_path: Path) -> None:
    made = skipped_tests(3, 21, 1)
    tables = {**made.tables, "tests": made.tables["tests"].drop(columns="method")}
    for part in ("train", "test"):
        write_cohort(tmp_path / "W1" / part, name="w", timezone=made.timezone, tables=tables)
        made.truth.to_parquet(tmp_path / "W1" / f"{part}_truth.parquet")
    train, _ = sides("W1", SIZE, tmp_path)
    pd.testing.assert_frame_equal(train.truth, made.truth, check_dtype=False)
    for name in ("sessions", "tests"):
        assert len(train.cohort[name]) == len(made.tables[name])


def test_a_world_that_is_not_there_is_left_out_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["worlds", "--worlds", "W3", "--shared", str(tmp_path)])
    worlds.main()
    out, err = capsys.readouterr()
    assert "W3 is left out" in err
    assert out.strip() == worlds.HEAD


def test_a_method_that_fails_is_told_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_train: Cohort, _deltas: Mapping[str, float]) -> Answer:
        raise ZeroDivisionError("nothing to divide by")

    monkeypatch.setattr(worlds, "METHODS", {"broken": broken, "labels": label_medians})
    size = ["--athletes", "6", "--test-athletes", "3", "--days", "28"]
    asked = ["worlds", "--worlds", "skipped_tests", "--methods", "broken", "labels", *size]
    monkeypatch.setattr(sys, "argv", asked)
    worlds.main()
    out, err = capsys.readouterr()
    assert "broken on skipped_tests has failed: ZeroDivisionError" in err
    assert out.count("| skipped_tests | labels |") == 4
