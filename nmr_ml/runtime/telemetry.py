"""Libraries that phone home or chatter are switched off before they are imported."""

from __future__ import annotations

import logging
import os

_SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # BentoML compares with the word `true`; `1` leaves its telemetry on.
    "BENTOML_DO_NOT_TRACK": "true",
    "DO_NOT_TRACK": "1",
    # Tips and run addresses on standard output would break `--json`.
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def switch_off() -> None:
    """Opt out of telemetry and quiet the libraries; call it before importing any of them."""
    os.environ.update(_SWITCHES)
    for name in ("alembic", "mlflow", "bentoml"):
        logging.getLogger(name).setLevel(logging.WARNING)
