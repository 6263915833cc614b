"""The prediction API: FastAPI routes under ``/v1`` and one page without foreign assets."""

from __future__ import annotations

import hmac
import ipaddress
import json
import logging
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from nmr_ml.errors import NmrError
from nmr_ml.levels import INTERVAL_LEVEL
from nmr_ml.runtime.traces import places
from serving.api.openapi import describe
from serving.requests import problems
from serving.requests.problems import RequestError
from serving.requests.question import answer, parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from nmr_ml.bundle.bundle import Bundle
    from serving.api.settings import Settings
    from serving.requests.problems import Fault

_LOG = logging.getLogger("serving")
#: A refused body is read on to this many times the limit, or the client never sees the refusal.
_DRAIN = 8


def create_app(bundle: Bundle | None, settings: Settings) -> FastAPI:
    """Return the API.

    Parameters
    ----------
    bundle : Bundle or None
        The verified model; None: every ``/v1`` route answers 503 until `put_in_service`.
    settings : Settings
        Token and limits.
    """
    app = FastAPI(
        title="nmr", version=version("nmr_ml"), summary=__doc__, docs_url=None, redoc_url=None
    )
    put_in_service(app, bundle)
    app.state.settings = settings
    app.state.in_flight = 0
    # One computation at a time: the kernels use every core, and p99 stays near p50.
    app.state.compute = anyio.CapacityLimiter(1)
    app.add_middleware(_Shield)
    app.add_exception_handler(NmrError, _on_error)
    app.add_exception_handler(HTTPException, _on_http)
    app.include_router(_V1)
    app.add_api_route("/", _page, include_in_schema=False)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    return app


def put_in_service(app: FastAPI, bundle: Bundle | None) -> None:
    """Let `bundle` answer from now on."""
    app.state.bundle = bundle
    app.state.since = datetime.now(UTC).isoformat(timespec="seconds")


async def _authorised(request: Request) -> None:
    token = request.app.state.settings.token
    if token is None:
        if not _is_loopback(request.client.host if request.client else ""):
            message = "The server has no token, so it answers requests from its own machine only."
            raise RequestError(401, "token_needed", message)
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(given.strip().encode(), token.encode())
    if scheme.lower() != "bearer" or not right:
        message = "The header Authorization: Bearer is missing or holds another token."
        raise RequestError(401, "unauthorised", message)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_V1 = APIRouter(prefix="/v1", dependencies=[Depends(_authorised)])


@_V1.post("/predict", summary="Predict for one athlete")
async def _predict(request: Request) -> Response:
    state = request.app.state
    bundle = _ready(request)
    if state.in_flight >= state.settings.max_in_flight:
        raise RequestError(429, "too_many_in_flight", "Too many requests are being answered.")
    state.in_flight += 1
    try:
        body = await _body(request, state.settings.max_body_bytes)
        work = partial(_encoded_answer, bundle, body)
        content = await anyio.to_thread.run_sync(work, limiter=state.compute)
    finally:
        state.in_flight -= 1
    return Response(content, media_type="application/json")


@_V1.get("/model", summary="The model that answers")
async def _model(request: Request) -> dict[str, Any]:
    bundle = _ready(request)
    return {**model_document(bundle), "since": request.app.state.since}


def model_document(bundle: Bundle) -> dict[str, Any]:
    """Return what is worth knowing about a model before believing it."""
    specs = {name: bundle.specs[model.index_test] for name, model in bundle.components.items()}
    return {
        "name": bundle.model_name,
        "version": bundle.model_version,
        "contract_hash": bundle.contract_hash,
        "sha256": bundle.digest,
        "trained_on": bundle.card["trained_on"],
        "calibrated_coverage": {
            name: card["held_out"]["coverage_80"]["score"]["model"]["value"]
            for name, card in bundle.card["components"].items()
        },
        "calibration": {n: model.calibration.as_json() for n, model in bundle.components.items()},
        "interval_level": INTERVAL_LEVEL,
        "delta": {
            name: {
                "index_test": bundle.components[name].index_test,
                "value": spec.delta,
                "unit": spec.delta_unit,
            }
            for name, spec in specs.items()
        },
        "intended_use": bundle.card["intended_use"],
        "limits": bundle.card["limits"],
    }


def _ready(request: Request) -> Bundle:
    bundle: Bundle | None = request.app.state.bundle
    if bundle is None:
        raise RequestError(503, "not_ready", "No verified model is loaded.")
    return bundle


async def _body(request: Request, limit: int) -> bytes:
    content, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            content += chunk
        elif size > limit * _DRAIN:
            break
    if size > limit:
        raise RequestError(413, "too_large", f"The request is larger than {limit} bytes.")
    return bytes(content)


def _encoded_answer(bundle: Bundle, body: bytes) -> bytes:
    document = answer(bundle, parse_json(body))
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


async def _page() -> HTMLResponse:
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return HTMLResponse(_PAGE, headers=policy)


_PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


def _problem(status: int, code: str, detail: str, faults: Sequence[Fault] = ()) -> Response:
    content = json.dumps(problems.document(status, code, detail, faults))
    headers = _HEADERS.get(status)
    return Response(content, status, headers, media_type=problems.MEDIA_TYPE)


_HEADERS = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "1"},
    503: {"Retry-After": "5"},
}


async def _on_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, NmrError)  # noqa: S101  registered for this type
    faults = error.faults if isinstance(error, RequestError) else ()
    detail = error.message if faults else f"{error.message} {error.remedy}"
    return _problem(problems.status_of(error), error.code, detail, faults)


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this type
    code = {404: "no_such_route", 405: "no_such_method"}.get(error.status_code, "refused")
    response = _problem(error.status_code, code, f"{error.detail}.")
    response.headers.update(error.headers or {})
    return response


class _Shield:
    """Turns an unexpected exception into a generic 500.

    Its message, which may hold values, stays out of the answer and of the log.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception as error:  # noqa: BLE001  nothing unexpected may leak
            _LOG.error("unexpected failure: %s", places(error))
            await _problem(500, "internal", "The server failed; its log says where.")(
                scope, receive, send
            )
