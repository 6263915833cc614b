from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nmr_ml.bundle.bundle import MODEL_NAME, load_bundle
from nmr_ml.bundle.registry import CANDIDATE, EXPERIMENT, client, resolve
from nmr_ml.errors import OutsideError
from nmr_ml.runtime.home import home
from tests.support.gate_cards import GOOD, card
from training.experiments.tracking import NOT_CONVERGED_TAG, log_experiment, metrics
from training.reports.convergence import not_converged_line

if TYPE_CHECKING:
    from tests.support.registered import Registry


def unscored() -> dict[str, Any]:
    """Return the further scores of a component that has none."""
    figures = ("log_score", "coverage_80", "pit_bias", "pit_spread")
    nothing: dict[str, Any] = {name: {"score": {}, "difference": {}} for name in figures}
    return {"held_out": nothing, "held_out_time": None}


def test_metrics_are_the_cards_numbers_under_flat_names() -> None:
    content = card(power=GOOD, central=None)
    scores = content["components"]["power"]["held_out_brier"]
    scores["by_window"] = {"24": {"model": 0.1, "modality_median": 0.2}}
    for name, component in content["components"].items():
        component |= {"figures": {"rounds": 7.0 if name == "power" else 3.0}, **unscored()}
    content["components"]["power"]["held_out"]["log_score"] = {
        "score": {"model": {"value": -2.5, "lower": -2.6, "upper": -2.4}},
        "difference": {"linear": {"value": 0.1, "lower": None, "upper": None}},
    }
    late = {"brier": {"score": {"model": 0.19}}}
    content["components"]["power"]["held_out_time"] = late
    content["availability"] = {"held_out": None}
    searches = {"population": {"searches": 9, "not_converged": 2, "most_steps": 12}}
    content["convergence"] = {"power": searches, "availability": {}}
    assert metrics(content) == {
        "power.searches_not_converged": 2.0,
        "availability.searches_not_converged": 0.0,
        "power.brier.model": pytest.approx(0.18),
        "power.brier.modality_median": 0.2,
        "power.brier.overall_median": 0.22,
        "power.brier.persistence": 0.24,
        "power.brier_24h.model": 0.1,
        "power.brier_24h.modality_median": 0.2,
        "power.brier_vs.modality_median.value": -0.02,
        "power.brier_vs.modality_median.lower": -0.03,
        "power.brier_vs.modality_median.upper": -0.01,
        "power.log_score.model": -2.5,
        "power.log_score_vs.linear.value": 0.1,
        "power.late_brier.model": 0.19,
        "power.rounds": 7.0,
        "central.rounds": 3.0,
    }


def test_an_interval_without_ends_is_no_metric() -> None:
    content = card(power=(-0.02, None, None))  # type: ignore[arg-type]
    content["components"]["power"] |= {"figures": {}, **unscored()}
    content["components"]["power"]["held_out_brier"]["by_window"] = {}
    content["availability"] = {"held_out": None}
    assert (
        set(metrics(content)) & {f"power.brier_vs.modality_median.{k}" for k in ("lower", "upper")}
        == set()
    )


@pytest.mark.slow
def test_a_run_holds_parameters_data_scores_and_the_card(registry: Registry) -> None:
    trained = registry.trained
    run = client().get_run(trained.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        name: json.dumps(value) for name, value in registry.config.model_dump(mode="json").items()
    }
    assert run.data.metrics == pytest.approx(metrics(trained.card))
    assert run.data.tags["nmr.bundle_sha256"] == trained.digest
    assert run.data.tags.get(NOT_CONVERGED_TAG, "") == not_converged_line(trained.card)
    (data,) = run.inputs.dataset_inputs
    (cohort,) = trained.card["trained_on"]
    assert data.dataset.name == cohort["name"]
    assert cohort["fingerprint"].startswith(data.dataset.digest)
    plots = {file.path for file in client().list_artifacts(trained.run_id, "plots")}
    assert plots == {
        f"plots/{name}_{kind}.png"
        for name in trained.card["components"]
        for kind in ("calibration", "pit")
    }
    path = client().download_artifacts(trained.run_id, "card.json", str(home()))
    assert json.loads(Path(path).read_text()) == json.loads(json.dumps(trained.card))


@pytest.mark.slow
def test_the_version_is_the_candidate_and_knows_its_content(registry: Registry) -> None:
    found = client().get_model_version_by_alias(MODEL_NAME, CANDIDATE)
    assert str(found.version) == registry.trained.version == "1"
    assert found.run_id == registry.trained.run_id
    assert found.tags["nmr.bundle_sha256"] == registry.trained.digest
    assert load_bundle(resolve("1")).digest == registry.trained.digest


@pytest.mark.slow
def test_the_artefact_is_data_and_no_code(registry: Registry) -> None:
    import mlflow

    uri = f"models:/{client().get_model_version(MODEL_NAME, registry.latest).name}/1"
    folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(home() / "got")))
    suffixes = {file.suffix for file in folder.rglob("*") if file.is_file()}
    assert suffixes <= {".json", ".txt", ".yaml", ""}
    described = (folder / "MLmodel").read_text()
    assert "nmr_ml" in described
    assert "python_function" not in described
    assert "pickle" not in described


class Interrupting(dict[str, Any]):
    """A card at whose reading somebody presses Ctrl-C."""

    def __getitem__(self, key: str) -> Any:
        raise KeyboardInterrupt


@pytest.mark.slow
def test_an_interrupted_run_is_not_finished_and_moves_no_alias(
    registry: Registry, tiny_bundle: Path
) -> None:
    trained_on = registry.trained.card["trained_on"]
    interrupted = Interrupting(registry.trained.card)
    with pytest.raises(KeyboardInterrupt):
        log_experiment(tiny_bundle, interrupted, registry.config, trained_on, "0" * 64)
    _unchanged(registry)


@pytest.mark.slow
def test_a_run_that_fails_moves_no_alias(registry: Registry, tmp_path: Path) -> None:
    trained = registry.trained
    with pytest.raises(OutsideError) as caught:
        log_experiment(
            tmp_path / "gone", trained.card, registry.config, trained.card["trained_on"], "0" * 64
        )
    assert caught.value.code == "registry_unreachable"
    _unchanged(registry)


def _unchanged(registry: Registry) -> None:
    experiment = client().get_experiment_by_name(EXPERIMENT)
    runs = client().search_runs([experiment.experiment_id])
    assert len(runs) == 2
    (broken,) = (run for run in runs if run.info.run_id != registry.trained.run_id)
    assert broken.info.status in {"FAILED", "KILLED"}
    assert str(client().get_model_version_by_alias(MODEL_NAME, CANDIDATE).version) == "1"
    assert len(client().search_model_versions(f"name='{MODEL_NAME}'")) == 1


@pytest.mark.slow
def test_a_second_run_makes_the_next_version(registry: Registry) -> None:
    assert registry.add_version() == "2"
    assert str(client().get_model_version_by_alias(MODEL_NAME, CANDIDATE).version) == "2"
