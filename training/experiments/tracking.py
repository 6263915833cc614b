"""The MLflow run of an experiment: parameters, data, scores, and the bundle as native artefact."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nmr_ml.bundle.bundle import MODEL_NAME
from nmr_ml.bundle.registry import CANDIDATE, EXPERIMENT, client, reaching_registry, tracking_uri
from nmr_ml.runtime.home import home
from training.reports.convergence import not_converged, not_converged_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mlflow import MlflowClient

    from training.config import TrainConfig

#: Which searches ended at their limit, where any did.
NOT_CONVERGED_TAG = "nmr.not_converged"


def log_experiment(
    bundle: Path,
    card: Mapping[str, Any],
    config: TrainConfig,
    trained_on: Sequence[Mapping[str, Any]],
    digest: str,
) -> tuple[str, str]:
    """Log one run, register its bundle and move the alias ``candidate`` to it.

    Returns
    -------
    run_id, version : str

    Raises
    ------
    OutsideError
        ``registry_unreachable``.
    """
    with reaching_registry():
        registry = client()
        import mlflow
        from mlflow.models import Model

        from training.experiments import flavor
        from training.reports.plots import figures

        _experiment(registry)
        mlflow.set_experiment(EXPERIMENT)
        # The context marks the run failed or killed where it does not come to its end.
        with mlflow.start_run() as run:
            mlflow.log_params({k: json.dumps(v) for k, v in config.model_dump(mode="json").items()})
            mlflow.set_tags({"nmr.bundle_sha256": digest})
            if line := not_converged_line(card):
                mlflow.set_tag(NOT_CONVERGED_TAG, line)
            for cohort in trained_on:
                _log_data(cohort)
            mlflow.log_metrics(metrics(card))
            mlflow.log_dict(dict(card), "card.json")
            for file, figure in figures({n: c["held_out"] for n, c in card["components"].items()}):
                mlflow.log_figure(figure, f"plots/{file}")
            logged = Model.log(None, flavor, name=MODEL_NAME, bundle=bundle)
            version = _register(registry, logged.model_uri, run.info.run_id, logged.model_id)
        registry.set_model_version_tag(MODEL_NAME, version, "nmr.bundle_sha256", digest)
        registry.set_registered_model_alias(MODEL_NAME, CANDIDATE, version)
        return run.info.run_id, version


def metrics(card: Mapping[str, Any]) -> dict[str, float]:
    """Return the held-out scores of a card under flat names: ``power.brier.model`` and so on.

    Those on time left out are ``power.late_brier.model`` and so on, and how many searches ended at
    their limit is ``power.searches_not_converged``.
    """
    found: dict[str, float] = {}
    for name, component in card["components"].items():
        scores = component["held_out_brier"]
        found |= {f"{name}.brier.{m}": v for m, v in scores["score"].items()}
        for hour, window in scores["by_window"].items():
            found |= {f"{name}.brier_{hour}h.{m}": v for m, v in window.items()}
        found |= _differences(f"{name}.brier_vs", scores["difference"])
        for figure in ("log_score", "coverage_80", "pit_bias", "pit_spread"):
            compared = component["held_out"][figure]
            found |= {f"{name}.{figure}.{m}": e["value"] for m, e in compared["score"].items()}
            found |= _differences(f"{name}.{figure}_vs", compared["difference"])
        if late := component["held_out_time"]:
            found |= {f"{name}.late_brier.{m}": v for m, v in late["brier"]["score"].items()}
        found |= {f"{name}.{k}": v for k, v in component["figures"].items()}
    found |= {f"{p}.searches_not_converged": float(n) for p, n in not_converged(card).items()}
    held_out = card["availability"]["held_out"] or {"icnll": {}}
    return found | {f"availability.icnll.{m}": v for m, v in held_out["icnll"].items()}


def _differences(prefix: str, differences: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    return {
        f"{prefix}.{method}.{k}": v
        for method, difference in differences.items()
        for k, v in difference.items()
        if v is not None
    }


def _experiment(registry: MlflowClient) -> None:
    """Create the experiment where it is missing, with its artefacts under ``$NMR_HOME``."""
    if registry.get_experiment_by_name(EXPERIMENT) is None:
        local = tracking_uri().startswith("sqlite:")
        place = (home() / "artifacts").as_uri() if local else None
        registry.create_experiment(EXPERIMENT, artifact_location=place)


def _log_data(cohort: Mapping[str, Any]) -> None:
    import mlflow
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.data.sources import LocalArtifactDatasetSource

    source = LocalArtifactDatasetSource(str(cohort["name"]))
    dataset = MetaDataset(source, name=cohort["name"], digest=cohort["fingerprint"][:16])
    mlflow.log_input(dataset, context="training")


def _register(registry: MlflowClient, uri: str, run_id: str, model_id: str) -> str:
    from mlflow.exceptions import MlflowException

    try:
        registry.create_registered_model(MODEL_NAME)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = registry.create_model_version(MODEL_NAME, uri, run_id=run_id, model_id=model_id)
    return str(made.version)
