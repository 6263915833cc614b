"""The MLflow registry: where a model reference becomes a local, verified bundle folder."""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nmr_ml.bundle.bundle import MANIFEST, MODEL_NAME, REGISTRATION, verify
from nmr_ml.errors import DataError, NmrError, OutsideError
from nmr_ml.runtime import telemetry
from nmr_ml.runtime.home import home, writing_folder
from nmr_ml.runtime.replacement import restored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient

EXPERIMENT = "nmr"
CHAMPION, CANDIDATE = "champion", "candidate"
#: The folder of the bundle inside the model artefact.
BUNDLE_FOLDER = "bundle"
#: The promotion gate's verdict and the version before a champion are kept as tags.
PREVIOUS_TAG = "nmr.previous_champion"
#: MLflow would try an address where nobody answers for four minutes; a person waits for us.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_NAMES = "Give champion, candidate, a version number, a model URI or a bundle folder, as ./FOLDER."


def tracking_uri() -> str:
    """Return ``MLFLOW_TRACKING_URI``, by default a SQLite file under ``$NMR_HOME``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"


def client() -> MlflowClient:
    """Return a client of the tracking store and registry in force."""
    telemetry.switch_off()
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    import mlflow  # takes seconds, so only where it is needed

    home().mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(tracking_uri())
    return mlflow.MlflowClient()


@contextmanager
def reaching_registry() -> Iterator[None]:
    """Turn failures of the store into one error; `NmrError` passes through."""
    try:
        yield
    except NmrError:
        raise
    except Exception as error:
        raise OutsideError(
            "registry_unreachable",
            f"The model registry at {_without_secrets(tracking_uri())} failed: "
            f"{type(error).__name__}.",
            "Check MLFLOW_TRACKING_URI and that the store runs and can be written.",
        ) from error


def resolve(reference: str) -> Path:
    """Return the local folder of the bundle that `reference` names.

    Parameters
    ----------
    reference : str
        ``champion``, ``candidate``, a version number, an MLflow model URI or a bundle folder: a
        path with a ``/``. A bare name is never a folder, so that one called ``champion`` does not
        stand in for the champion.

    Raises
    ------
    DataError
        ``no_champion``, ``model_not_found``, or what `nmr_ml.bundle.bundle.verify` raises.
    OutsideError
        ``registry_unreachable``.
    """
    if "/" in reference and not _URI.match(reference):
        return _folder(reference)
    if "MLFLOW_TRACKING_URI" not in os.environ and not (home() / "mlflow.db").is_file():
        raise _not_found(reference)
    with reaching_registry():
        return _from_registry(client(), reference)


def _folder(reference: str) -> Path:
    if not (restored(Path(reference)) / MANIFEST).is_file():
        raise DataError("model_not_found", f"The folder {reference} holds no {MANIFEST}.", _NAMES)
    return Path(reference)


def version_of(registry: MlflowClient, reference: str) -> str:
    """Return the version number that an alias or a number stands for; errors as `resolve`."""
    from mlflow.exceptions import MlflowException

    try:
        if reference.isdigit():
            return str(registry.get_model_version(MODEL_NAME, reference).version)
        return str(registry.get_model_version_by_alias(MODEL_NAME, reference).version)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise _not_found(reference) from error
        raise


def _from_registry(registry: MlflowClient, reference: str) -> Path:
    own = re.fullmatch(rf"models:/{MODEL_NAME}[@/]([\w-]+)", reference)
    if ":" in reference and not own:
        return _download(reference, reference, reference)
    version = version_of(registry, own[1] if own else reference)
    model = registry.get_model_version(MODEL_NAME, version)
    return _download(f"models:/{MODEL_NAME}/{version}", version, f"{model.source}")


def _download(uri: str, version: str, source: str) -> Path:
    """Return the bundle of a model URI, from the cache where it is whole there."""
    key = re.sub(r"[^A-Za-z0-9]+", "-", f"{version}-{source[-24:]}").strip("-")
    cached = restored(home() / "models" / key)
    if not (cached / MANIFEST).is_file():
        import mlflow

        with writing_folder(cached) as folder:
            scratch = folder / "download"
            scratch.mkdir()
            local = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=scratch))
            if not (local / BUNDLE_FOLDER / MANIFEST).is_file():
                raise DataError(
                    "bundle_not_found",
                    f"The model {uri} holds no {BUNDLE_FOLDER}/{MANIFEST}.",
                    "Name a model that `nmr train` registered.",
                )
            for file in (local / BUNDLE_FOLDER).iterdir():
                file.replace(folder / file.name)
            shutil.rmtree(scratch)
            registration = {"name": MODEL_NAME, "version": version}
            (folder / REGISTRATION).write_text(json.dumps(registration), encoding="utf-8")
            verify(folder)
    return cached


def _not_found(reference: str) -> DataError:
    if reference in {CHAMPION, f"models:/{MODEL_NAME}@{CHAMPION}"}:
        return DataError(
            "no_champion",
            "No model has been promoted to champion yet.",
            "Run `nmr train COHORT`, then `nmr promote`; or name another with --model.",
        )
    return DataError("model_not_found", f"The registry has no model {reference!r}.", _NAMES)


def _without_secrets(uri: str) -> str:
    # A password may hold an @, and a query too may name one.
    return re.sub(r"//[^/]*@", "//…@", uri.partition("?")[0])
