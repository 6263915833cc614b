"""The OpenAPI document, from the models that the handlers read and the columns they write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from fastapi.openapi.utils import get_openapi

from serving.answers.encoding import SCHEMA
from serving.requests import problems
from serving.requests.schema import PredictRequest

if TYPE_CHECKING:
    from fastapi import FastAPI

_REFERENCE = "#/components/schemas/{model}"


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of `app`, built once."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    request = PredictRequest.model_json_schema(ref_template=_REFERENCE)
    schemas = {**request.pop("$defs"), "PredictRequest": request, **_answer_schemas()}
    document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
    for route in document["paths"].values():
        for operation in route.values():
            operation["responses"]["default"] = _response("Problem", problems.MEDIA_TYPE)
    predict = document["paths"]["/v1/predict"]["post"]
    predict["requestBody"] = {"required": True, "content": _content("PredictRequest")}
    predict["responses"]["200"] = _response("Answer")
    app.openapi_schema = document
    return document


def _content(model: str, media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REFERENCE.format(model=model)}}}


def _response(model: str, media_type: str = "application/json") -> dict[str, Any]:
    return {"description": model, "content": _content(model, media_type)}


def _answer_schemas() -> dict[str, Any]:
    point = pa.struct(
        {name: pa.float64() for name in ("h", "p", "deficit", "deficit_lower", "deficit_upper")}
    )
    prediction = pa.struct([*SCHEMA, pa.field("curve", pa.list_(point))])
    warning = pa.struct({name: pa.string() for name in ("code", "message", "pointer")})
    fault = pa.struct({name: pa.string() for name in ("pointer", "code", "detail")})
    model = pa.struct({name: pa.string() for name in ("name", "version", "contract_hash")})
    answer = {"predictions": pa.list_(prediction), "model": model, "warnings": pa.list_(warning)}
    problem = {
        **{name: pa.string() for name in ("type", "title", "code", "detail")},
        "status": pa.int64(),
        "errors": pa.list_(fault),
    }
    return {"Answer": _schema(pa.struct(answer)), "Problem": _schema(pa.struct(problem))}


def _schema(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_struct(kind):
        return {"type": "object", "properties": {part.name: _schema(part.type) for part in kind}}
    if pa.types.is_list(kind):
        return {"type": ["array", "null"], "items": _schema(kind.value_type)}
    if pa.types.is_timestamp(kind):
        return {"type": ["string", "null"], "format": "date-time"}
    if pa.types.is_boolean(kind):
        return {"type": ["boolean", "null"]}
    return {"type": ["number" if pa.types.is_primitive(kind) else "string", "null"]}
