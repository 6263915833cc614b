"""The columns of a prediction, as Parquet and as JSON."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from nmr_ml.predictions.columns import (
    ANSWER_COLUMNS,
    CLEARANCE,
    CLEARANCE_COLUMN,
    CURVE_COLUMN,
    DRIVER_FIELDS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from nmr_ml.predictions.columns import AnswerColumn
    from nmr_ml.predictions.predict import Predictions

_TIME = pa.timestamp("us", tz="UTC")


def _fields(columns: Iterable[AnswerColumn]) -> list[pa.Field]:
    return [pa.field(column.name, _KINDS[column.kind]) for column in columns]


_KINDS: dict[str, pa.DataType] = {
    "text": pa.string(), "time": _TIME, "number": pa.float64(), "flag": pa.bool_(),
}  # fmt: skip
_KINDS["drivers"] = pa.list_(pa.struct(_fields(DRIVER_FIELDS)))
#: The types of the columns, stated so that a part with nothing but abstentions has the same ones.
SCHEMA = pa.schema(_fields(ANSWER_COLUMNS))


def table(frame: pd.DataFrame) -> pa.Table:
    """Return predictions as an Arrow table: NaN and NaT are null, +inf stays."""
    asked = CLEARANCE in frame
    schema = pa.schema(_fields((*ANSWER_COLUMNS, CLEARANCE_COLUMN))) if asked else SCHEMA
    arrays = [_array(frame[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(column: pd.Series, kind: pa.DataType) -> pa.Array:
    if kind != _TIME:
        return pa.array(column, type=kind, from_pandas=True)
    # pyarrow 25 reads zoned times by a way that pandas 3.1 deprecates; naive ones are UTC here.
    naive = column.dt.tz_convert(None)
    return pa.array(naive, type=pa.timestamp("us"), from_pandas=True).cast(_TIME)


def rows(predictions: Predictions) -> list[dict[str, Any]]:
    """Return predictions as JSON-safe objects with their curves: +inf is null, times ISO-8601."""
    records = table(predictions.frame).to_pylist()
    return [
        {name: _safe(value) for name, value in {**record, CURVE_COLUMN.name: curve}.items()}
        for record, curve in zip(records, predictions.curves, strict=True)
    ]


def _safe(value: object) -> object:
    if isinstance(value, dict):
        return {key: _safe(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_safe(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
