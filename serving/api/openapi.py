"""The OpenAPI document, from the models that the handlers read and the columns they write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from nmr_ml.predictions.columns import (
    ANSWER_COLUMNS,
    CLEARANCE_COLUMN,
    CURVE_COLUMN,
    CURVE_FIELDS,
    DRIVER_FIELDS,
)
from serving.requests import problems
from serving.requests.schema import PredictRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

    from nmr_ml.predictions.columns import AnswerColumn

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
    warning = _object({name: _text() for name in ("code", "message", "pointer")})
    fault = _object({name: _text() for name in ("pointer", "code", "detail")})
    prediction = {c.name: _column(c) for c in (*ANSWER_COLUMNS, CLEARANCE_COLUMN, CURVE_COLUMN)}
    answer = {
        "predictions": _list(_object(prediction)),
        "model": _object({name: _text() for name in ("name", "version", "contract_hash")}),
        "warnings": _list(warning),
    }
    problem = {name: _text() for name in ("type", "title", "code", "detail")}
    numbered = {**problem, "status": {"type": "integer"}, "errors": _list(fault)}
    return {"Answer": _object(answer), "Problem": _object(numbered)}


def _column(column: AnswerColumn) -> dict[str, Any]:
    """Return the schema of a column; every one of them may be null."""
    schema: dict[str, Any] = {"description": column.meaning}
    match column.kind:
        case "drivers" | "curve":
            fields = DRIVER_FIELDS if column.kind == "drivers" else CURVE_FIELDS
            items = _object({field.name: _column(field) for field in fields})
            return {**schema, "type": ["array", "null"], "items": items}
        case "text":
            allowed = {"enum": [*column.words, None]} if column.words else {}
            return {**schema, "type": ["string", "null"], **allowed}
        case "time":
            return {**schema, "type": ["string", "null"], "format": "date-time"}
        case "flag":
            return {**schema, "type": ["boolean", "null"]}
        case "number":
            return {**schema, "type": ["number", "null"]}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _text() -> dict[str, Any]:
    return {"type": "string"}
