"""Batch scoring: whole parts, the same numbers however it was cut, stopped or begun again."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from nmr_ml.errors import DataError, UsageError
from nmr_ml.predictions.columns import COLUMNS
from nmr_ml.predictions.options import Options
from nmr_ml.predictions.predict import predict
from serving import batch as scoring
from serving.answers.encoding import SCHEMA, rows, table
from serving.commands import score as score_command
from serving.requests.example import eligible, request_of
from serving.requests.question import answer
from tests.support.serving_process import NMR

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.cohort.cohort import Cohort

AS_OF = datetime(2024, 2, 20, tzinfo=UTC)


def scored(cohort: Path, out: Path, bundle: Bundle, options: Options, bucket: int) -> Any:
    assert scoring.finished(cohort, out, bundle, options, bucket=bucket) is None
    return scoring.score(cohort, out, bundle, options, bucket=bucket)


def predictions(out: Path) -> pd.DataFrame:
    keys = ["athlete_id", "episode_id", "component", "as_of"]
    frame: pd.DataFrame = pq.read_table(out / "predictions").to_pandas()
    return frame.sort_values(keys, ignore_index=True)


@pytest.fixture(scope="module")
def whole(
    sim_cohort_path: Path, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """The cohort scored at each clock start, uninterrupted and in one part."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, scored(sim_cohort_path, out, bundle, Options(), 200)


def test_the_columns_are_those_of_the_library() -> None:
    assert tuple(SCHEMA.names) == COLUMNS


def test_the_manifest_counts_what_is_there(
    whole: tuple[Path, dict[str, Any]], sim_cohort: Cohort
) -> None:
    out, manifest = whole
    assert manifest == json.loads((out / "manifest.json").read_text())
    frame = predictions(out)
    assert manifest["predicted"] == (frame["status"] == "ok").sum() > 0
    assert manifest["abstained"] == (frame["status"] == "abstained").sum()
    counts = sim_cohort.counts.values()
    assert manifest["rows_in"] == sum(count.rows_in for count in counts)
    assert manifest["quarantined"] == sum(count.quarantined for count in counts)
    assert manifest["superseded"] == 0
    assert manifest["finished"] is True
    assert (manifest["model_name"], manifest["model_version"]) == (
        frame["model_name"].iloc[0],
        frame["model_version"].iloc[0],
    )


def test_abstentions_have_no_numbers(whole: tuple[Path, dict[str, Any]]) -> None:
    frame = predictions(whole[0])
    silent = frame[frame["status"] == "abstained"]
    assert len(silent)
    assert silent["reason"].notna().all()
    for name in ("recovery_h", "lower_h", "upper_h", "p_24h", "deficit_24h", "recovered_at"):
        assert silent[name].isna().all()


def test_buckets_make_the_same_predictions(
    whole: tuple[Path, dict[str, Any]], sim_cohort_path: Path, bundle: Bundle, tmp_path: Path
) -> None:
    manifest = scored(sim_cohort_path, tmp_path / "out", bundle, Options(), 5)
    parts = sorted(path.name for path in (tmp_path / "out" / "predictions").iterdir())
    assert parts == [f"part-{number:05d}.parquet" for number in range(4)]
    pd.testing.assert_frame_equal(predictions(tmp_path / "out"), predictions(whole[0]))
    assert {**manifest, "finished_at": ""} == {**whole[1], "finished_at": ""}
    owners = [
        set(pq.read_table(tmp_path / "out" / "predictions" / part)["athlete_id"].to_pylist())
        for part in parts
    ]
    assert sum(map(len, owners)) == len(set().union(*owners))  # no athlete is in two parts


def test_one_request_is_answered_as_the_batch_is(
    sim_cohort_path: Path, sim_cohort: Cohort, bundle: Bundle, tmp_path: Path
) -> None:
    athlete, as_of = eligible(sim_cohort)
    options = Options(as_of=as_of, drivers=True, deltas={"power": 3.0})
    manifest = scored(sim_cohort_path, tmp_path / "out", bundle, options, 200)
    assert manifest["superseded"] > 0
    body = {**request_of(sim_cohort, athlete, as_of), "drivers": True, "delta": {"power": 3.0}}
    found = answer(bundle, json.loads(json.dumps(body)))["predictions"]
    batch = pq.read_table(tmp_path / "out" / "predictions").to_pylist()
    expected = [row for row in batch if row["athlete_id"] == athlete]
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        for name, value in other.items():
            if isinstance(value, datetime):
                assert one[name] == value.isoformat()
            elif value == float("inf"):
                assert one[name] is None
            else:
                assert one[name] == value, name  # to the bit


def test_finished_runs_are_not_done_again(
    whole: tuple[Path, dict[str, Any]], sim_cohort_path: Path, bundle: Bundle
) -> None:
    found = scoring.finished(sim_cohort_path, whole[0], bundle, Options())
    assert found == whole[1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (Options(landmarks_h=(0.0, 24.0)), "landmarks_h"),
        (Options(deltas={"*": 3.0}), "deltas"),
        (Options(as_of=AS_OF), "as_of"),
    ],
)
def test_an_output_of_other_options_is_refused(
    whole: tuple[Path, dict[str, Any]],
    sim_cohort_path: Path,
    bundle: Bundle,
    options: Options,
    told: str,
) -> None:
    with pytest.raises(DataError, match=told) as refused:
        scoring.finished(sim_cohort_path, whole[0], bundle, options)
    assert refused.value.code == "output_belongs_to_other_run"


def test_a_folder_of_something_else_is_refused(
    sim_cohort_path: Path, bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError) as refused:
        scoring.finished(sim_cohort_path, tmp_path, bundle, Options())
    assert refused.value.code == "output_belongs_to_other_run"
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_other_data_are_another_run_once_there_are_parts(
    sim_cohort_path: Path, bundle: Bundle, tmp_path: Path
) -> None:
    options = Options(as_of=AS_OF)
    copy, out = tmp_path / "cohort", tmp_path / "out"
    copy.mkdir()
    for file in sim_cohort_path.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert scoring.finished(copy, out, bundle, options) is None
    (copy / "nutrition.parquet").unlink()
    assert scoring.finished(copy, out, bundle, options) is None  # nothing was written yet
    scoring.score(copy, out, bundle, options)
    (copy / "labs.parquet").unlink()
    with pytest.raises(DataError, match="another cohort"):
        scoring.finished(copy, out, bundle, options)


def test_nothing_to_predict_is_said(sim_cohort_path: Path, bundle: Bundle, tmp_path: Path) -> None:
    options = Options(as_of=datetime(1999, 1, 1, tzinfo=UTC))
    with pytest.raises(DataError) as refused:
        scored(sim_cohort_path, tmp_path / "out", bundle, options, 200)
    assert refused.value.code == "no_episode"
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_part_without_rows_has_the_same_types(bundle: Bundle, sim_cohort: Cohort) -> None:
    frame = predict(bundle, sim_cohort, Options(as_of=AS_OF)).frame
    assert table(frame).schema == table(frame.iloc[:0]).schema == SCHEMA


def test_json_has_no_infinity(bundle: Bundle, sim_cohort: Cohort) -> None:
    found = predict(bundle, sim_cohort, Options())
    unbounded = [row for row in rows(found) if row["upper_unbounded"]]
    assert np.isinf(found.frame["upper_h"]).sum() == len(unbounded)
    assert all(row["upper_h"] is None for row in unbounded)
    json.dumps(rows(found), allow_nan=False)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"landmarks": "0", "as_of": "2024-02-20T00:00:00Z"}, "options_conflict"),
        ({"landmarks": "0;24"}, "landmark_invalid"),
        ({"as_of": "2024-02-20T00:00:00"}, "as_of_invalid"),
        ({"as_of": "today"}, "as_of_invalid"),
        ({"delta": "speed=2"}, "delta_invalid"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(
    tmp_path: Path, given: dict[str, Any], code: str
) -> None:
    with pytest.raises(UsageError) as refused:
        score_command(tmp_path / "absent", tmp_path / "out", model="absent/model", **given)
    assert refused.value.code == code
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_ends_the_same(
    whole: tuple[Path, dict[str, Any]], sim_cohort_path: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [
        *NMR, "score", str(sim_cohort_path), str(out), "--model", str(tiny_bundle),
        "--bucket-athletes", "1", "--json",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not list(out.glob("predictions/part-*")):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.startswith(b"error[interrupted]")
    kept = {path: path.stat().st_mtime_ns for path in out.glob("predictions/part-*")}
    assert 0 < len(kept) < 16
    assert not (out / "manifest.json").exists()
    assert list(out.glob("predictions/.part-*")) == []
    (out / "predictions" / ".part-00003.parquet.dead").write_text("of a run that was killed")
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)
    manifest = json.loads(done.stdout)
    assert {**manifest, "finished_at": ""} == {**whole[1], "finished_at": ""}
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    assert len(list((out / "predictions").iterdir())) == 16
    pd.testing.assert_frame_equal(predictions(out), predictions(whole[0]))
    again = subprocess.run(command, capture_output=True, check=True, timeout=120)
    assert json.loads(again.stdout) == manifest
