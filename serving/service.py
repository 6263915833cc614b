"""The BentoML service: ``bentoml serve serving.service:RecoveryService``."""

# ruff: noqa: E402  telemetry is switched off before the library that has it is imported
from __future__ import annotations

from nmr_ml import telemetry

telemetry.switch_off()

import gc
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bentoml

from nmr_ml.bundle import load_bundle
from nmr_ml.errors import NmrError
from nmr_ml.golden import check_golden
from nmr_ml.traces import places
from serving.app import create_app, put_in_service
from serving.requests import answer
from serving.settings import BUNDLE_VARIABLE, Settings

if TYPE_CHECKING:
    from nmr_ml.bundle import Bundle

_LOG = logging.getLogger("serving")
#: BentoML keeps a timer for each finished request this long; see `_settle`.
TIMEOUT_S = 10
WARM_UPS = 3

app = create_app(None, Settings.from_environment())


@bentoml.service(
    workers=1,
    traffic={"timeout": TIMEOUT_S},
    http={"host": "127.0.0.1", "port": 3000},
)
# Mounted at the root, its page takes the place of BentoML's, which loads scripts from elsewhere.
@bentoml.asgi_app(app, path="/")
class RecoveryService:
    """Serves the bundle that ``NMR_SERVE_BUNDLE`` names; without one it lives but is not ready."""

    def __init__(self) -> None:
        put_in_service(app, verified_bundle())
        _settle()

    async def __is_ready__(self) -> bool:
        return app.state.bundle is not None


def verified_bundle() -> Bundle | None:
    """Load, verify and warm up the model; None, with the reason in the log, where that fails."""
    path = os.environ.get(BUNDLE_VARIABLE, "")
    if not path:
        _LOG.error("not ready: %s names no bundle", BUNDLE_VARIABLE)
        return None
    try:
        bundle = load_bundle(Path(path))
        check_golden(bundle)
        for _ in range(WARM_UPS):
            answer(bundle, _specimen(datetime.now(UTC)))
    except NmrError as error:
        _LOG.error("not ready [%s]: %s %s", error.code, error.message, error.remedy)
        return None
    except Exception as error:  # noqa: BLE001  the process must live to say that it is not ready
        _LOG.error("not ready: %s", places(error))
        return None
    _LOG.info("ready: %s version %s", bundle.model_name, bundle.model_version)
    return bundle


def _specimen(now: datetime) -> dict[str, Any]:
    """Return a request of nobody's that goes through every step of an answer."""
    days = [now - timedelta(days=day) for day in range(30, 0, -3)]
    return {
        "athlete": {"sex": "unknown"},
        "sessions": [
            {
                "session_id": str(number),
                "started_at": day.isoformat(),
                "duration_min": 60,
                "session_rpe": 5,
            }
            for number, day in enumerate(days)
        ],
        "drivers": True,
    }


def _settle() -> None:
    """Keep the collector from walking the model and BentoML's finished timers at every turn.

    Measured on BentoML 1.4.39: p99 at one client 140-400 ms with the defaults, 12 ms with these.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
