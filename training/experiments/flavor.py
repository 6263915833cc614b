"""The MLflow flavour of a bundle: its files, and an MLmodel that says what they are. No pickle."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from nmr_ml.bundle.registry import BUNDLE_FOLDER

if TYPE_CHECKING:
    from mlflow.models import Model


def save_model(path: str, mlflow_model: Model, bundle: Path) -> None:
    """Write the model artefact to `path`; MLflow calls it (`mlflow.models.Model.log`)."""
    shutil.copytree(bundle, Path(path) / BUNDLE_FOLDER)
    mlflow_model.add_flavor("nmr_ml", nmr_ml_version=version("nmr_ml"), data=BUNDLE_FOLDER)
    mlflow_model.save(str(Path(path) / "MLmodel"))
