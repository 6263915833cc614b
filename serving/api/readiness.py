"""A model is served once it is verified, reproduces its golden rows and is warm."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmr_ml.bundle.bundle import load_bundle
from nmr_ml.errors import NmrError
from nmr_ml.predictions.golden import check_golden
from nmr_ml.runtime.traces import places
from serving.api.settings import BUNDLE_VARIABLE
from serving.requests.question import answer

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle

_LOG = logging.getLogger("serving")
#: The first call compiles kernels and fills caches; the third is as quick as any later one.
WARM_UPS = 3


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
