from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from nmr_ml.cli.main import run
from nmr_ml.cohort.writer import write_cohort
from nmr_ml.runtime.home import home
from tests.support.gate_cards import BAD, GOOD

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.cohort.cohort import Cohort
    from tests.support.registered import Registry

Captured = pytest.CaptureFixture[str]
QUICK = ["--set", "folds=2", "--set", "max_rounds=10", "--set", "bootstrap=20",
         "--set", "least_athletes=5", "--set", "least_episodes=50"]  # fmt: skip


def asked(capsys: Captured, *arguments: object) -> tuple[int, Any]:
    """Run a command with ``--json`` and return its exit code and its one document."""
    code = run([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def jumps(sim_cohort: Cohort, tmp_path: Path) -> Path:
    """The simulated cohort with its jump tests alone: quick to train on."""
    tests = sim_cohort["tests"]
    some = {**sim_cohort.tables, "tests": tests[tests["test"] == "cmj_height"]}
    only = replace(sim_cohort, tables=some)
    path = tmp_path / "jumps"
    write_cohort(path, name="jumps", timezone=only.timezone, tables=only.tables)
    return path


@pytest.mark.slow
def test_train_makes_a_candidate(capsys: Captured, registry: Registry, jumps: Path) -> None:
    code, said = asked(capsys, "train", jumps, *QUICK)
    assert code == 0
    assert said["version"] == "2" != registry.latest
    assert set(said["components"]) == {"power"}
    assert set(said["skipped"]) == {"coordination", "central", "perceptual"}
    assert [cohort["name"] for cohort in said["trained_on"]] == ["jumps"]
    assert len(said["bundle_sha256"]) == 64
    code, evaluated = asked(capsys, "evaluate", jumps, "--model", "candidate")
    assert code == 0
    assert evaluated["model_version"] == "2"
    assert evaluated["in_sample"] is True


@pytest.mark.slow
def test_train_tells_a_person_what_came_of_it(
    capsys: Captured, registry: Registry, jumps: Path
) -> None:
    assert registry.latest == "1"
    assert run(["train", str(jumps), *QUICK]) == 0
    said = capsys.readouterr().out
    assert "Version 2 is the candidate. Promote it with: nmr promote" in said
    assert "Not learnt: central (no labelled episode)." in said
    assert "Noise-smoothed Brier score on held-out athletes" in said
    assert "The same athletes later, trained on the first 70% of each cohort's time" in said


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        (["--set", "fold=3"], 2, "config_invalid"),
        (["--set", "folds"], 2, "config_invalid"),
        (["--config", "nowhere.yaml"], 2, "config_unreadable"),
        ([], 1, "cohort_not_found"),
    ],
)
def test_train_refuses_before_it_reads_or_writes(
    capsys: Captured, options: list[str], code: int, error: str
) -> None:
    found, said = asked(capsys, "train", "nowhere", *options)
    assert (found, said["error"]["code"]) == (code, error)
    assert said["error"]["remedy"]
    assert not (home() / "mlflow.db").exists()


def test_evaluate_shows_scores_beside_the_baselines(
    capsys: Captured, sim_cohort_path: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    assert run(["evaluate", str(sim_cohort_path), "--model", str(tiny_bundle)]) == 0
    said = capsys.readouterr().out
    for word in (
        "power", "coordination", "perceptual", "last test persists", "Banister-like decay",
        "log", "PIT", "sex: female", "confidence: solid", "CRPS h",
    ):  # fmt: skip
        assert word in said
    plots = tmp_path / "plots"
    asked_for = ("evaluate", sim_cohort_path, "--model", tiny_bundle, "--plots", plots)
    code, document = asked(capsys, *asked_for)
    assert code == 0
    assert {"brier", "log_score", "coverage_80", "pit", "calibration", "groups", "truth"} <= set(
        document["components"]["power"]
    )
    assert set(document["held_out_time"]) == set(document["components"])
    assert sorted(file.name for file in plots.iterdir()) == sorted(document["plots"])
    assert {"power_calibration.png", "power_pit.png"} <= set(document["plots"])


def test_evaluate_without_a_champion_says_no(capsys: Captured, sim_cohort_path: Path) -> None:
    code, said = asked(capsys, "evaluate", sim_cohort_path)
    assert (code, said["error"]["code"]) == (1, "no_champion")


@pytest.mark.slow
def test_promote_crowns_what_passes(capsys: Captured, registry: Registry) -> None:
    number = registry.add_version(card=GOOD)
    assert run(["promote"]) == 0
    assert f"Version {number} is champion." in capsys.readouterr().out
    code, said = asked(capsys, "promote", number)
    assert code == 0
    assert said["champion"] == number
    assert said["passed"] is True
    assert len(said["lines"]) == 3


@pytest.mark.slow
def test_promote_refuses_what_does_not(capsys: Captured, registry: Registry) -> None:
    number = registry.add_version(card=BAD)
    code, said = asked(capsys, "promote", number)
    assert (code, said["error"]["code"]) == (1, "gate_refused")
    assert asked(capsys, "promote", "77")[1]["error"]["code"] == "model_not_found"


def test_promote_without_any_model_says_no(capsys: Captured) -> None:
    code, said = asked(capsys, "promote")
    assert (code, said["error"]["code"]) == (1, "model_not_found")
