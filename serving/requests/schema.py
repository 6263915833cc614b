"""The schema of a prediction request."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model
from pydantic_core import PydanticCustomError

from nmr_ml.cohort.tables import TABLES, Column, Table
from nmr_ml.recovery_tests import shipped_testspecs

ROW_TABLES = tuple(name for name in TABLES if name != "athletes")


_NAIVE_TIME = re.compile(r".*[T ]\d{2}(:?\d{2}){0,2}(\.\d+)?", re.DOTALL)


_NAIVE = "The time has no UTC offset. Write it with one, such as 2026-03-01T17:30:00+01:00."


def _column_schema(column: Column) -> dict[str, Any]:
    """Return what OpenAPI says of a column beyond its type; the cohort check enforces it."""
    known = tuple(shipped_testspecs()) if column.name == "test" else column.categories
    limits = {"minimum": column.lower, "maximum": column.upper}
    extra: dict[str, Any] = {key: value for key, value in limits.items() if value is not None}
    if known:
        extra["enum"] = [*known, None]
    if column.kind in {"time", "date"}:
        extra["format"] = "date-time" if column.kind == "time" else "date"
    return extra


_Strict = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _unicode(text: str) -> str:
    text.encode()  # half of a surrogate pair is JSON but no text: UnicodeEncodeError, a ValueError
    return text


def _with_offset(text: str) -> str:
    if _NAIVE_TIME.fullmatch(text):
        raise PydanticCustomError("naive_time", _NAIVE)
    return text


Text = Annotated[str, AfterValidator(_unicode)]


Moment = Annotated[Text, AfterValidator(_with_offset)]


def _row_model(table: Table) -> type[BaseModel]:
    """Return the model of a row: types and names only, since the cohort check judges the values."""
    types: dict[str, Any] = {"number": float | None, "bool": bool | None, "time": Moment | None}
    fields: dict[str, Any] = {
        column.name: (
            types.get(column.kind, Text | None),
            Field(default=None, json_schema_extra=_column_schema(column)),
        )
        for column in table.columns
    }
    required = [c.name for c in table.columns if c.required and c.name != "athlete_id"]
    config = _Strict | ConfigDict(json_schema_extra={"required": [*required]})
    name = "".join(word.title() for word in table.name.split("_"))
    return create_model(f"{name}Row", __config__=config, **fields)


class _Question(BaseModel):
    """The athlete and what is asked; `PredictRequest` adds the tables."""

    model_config = _Strict

    athlete: BaseModel
    timezone: Text | None = Field(
        default=None, description="IANA name of the zone of local days and clock times; else UTC."
    )
    episode_id: Text | None = None
    as_of: Moment | None = Field(default=None, json_schema_extra={"format": "date-time"})
    delta: float | dict[Text, float] | None = Field(
        default=None,
        description="Smallest deficit that counts as impaired: a number, or one per component.",
    )
    drivers: bool = False
    risk: float | None = Field(
        default=None, gt=0, lt=1,
        description="Adds clearance_h: when at most this share of an athlete's tests still comes "
        "after it and reads impaired.",
    )  # fmt: skip


def _request_model() -> type[_Question]:
    fields: dict[str, Any] = {"athlete": (_row_model(TABLES["athletes"]), ...)}
    for name in ROW_TABLES:
        fields[name] = (list[_row_model(TABLES[name])], Field(default=[]))  # type: ignore[misc]
    return create_model("PredictRequest", __base__=_Question, **fields)


PredictRequest = _request_model()
