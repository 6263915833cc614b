"""The columns of a prediction, as Parquet and as JSON."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from nmr_ml.predictions.columns import CLEARANCE

if TYPE_CHECKING:
    import pandas as pd

    from nmr_ml.predictions.predict import Predictions

_TIME = pa.timestamp("us", tz="UTC")
_DRIVER = pa.struct(
    {
        "group": pa.string(),
        "feature": pa.string(),
        "value": pa.float64(),
        "ratio": pa.float64(),
    }
)

#: The types of the columns, stated so that a part with nothing but abstentions has the same ones.
SCHEMA = pa.schema(
    {
        "athlete_id": pa.string(),
        "episode_id": pa.string(),
        "kind": pa.string(),
        "component": pa.string(),
        "index_test": pa.string(),
        "clock_start": _TIME,
        "as_of": _TIME,
        "status": pa.string(),
        "reason": pa.string(),
        "recovery_h": pa.float64(),
        "lower_h": pa.float64(),
        "upper_h": pa.float64(),
        "interval_level": pa.float64(),
        "upper_unbounded": pa.bool_(),
        "remaining_h": pa.float64(),
        "recovered_at": _TIME,
        "p_now": pa.float64(),
        "p_24h": pa.float64(),
        "p_48h": pa.float64(),
        "p_72h": pa.float64(),
        "p_96h": pa.float64(),
        "deficit_24h": pa.float64(),
        "deficit_48h": pa.float64(),
        "deficit_72h": pa.float64(),
        "delta": pa.float64(),
        "delta_unit": pa.string(),
        "limiting": pa.bool_(),
        "extrapolated": pa.bool_(),
        "out_of_distribution": pa.bool_(),
        "evidence": pa.string(),
        "confidence": pa.string(),
        "completeness": pa.float64(),
        "drivers": pa.list_(_DRIVER),
        "model_name": pa.string(),
        "model_version": pa.string(),
        "contract_hash": pa.string(),
    }
)


def table(frame: pd.DataFrame) -> pa.Table:
    """Return predictions as an Arrow table: NaN and NaT are null, +inf stays."""
    asked = CLEARANCE in frame
    schema = SCHEMA.append(pa.field(CLEARANCE, pa.float64())) if asked else SCHEMA
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
        {name: _safe(value) for name, value in {**record, "curve": curve}.items()}
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
