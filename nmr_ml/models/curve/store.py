"""A boosted curve on disk: LightGBM text beside numbers that JSON holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np

from nmr_ml.models.curve.boosted import BoostedCurve
from nmr_ml.models.curve.family_scale import FamilyScale
from nmr_ml.models.curve.grid import CurveGrid
from nmr_ml.models.curve.measurement import Measurement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_curve(
    folder: Path, stem: str, curve: BoostedCurve, grid: CurveGrid, measurement: Measurement
) -> dict[str, Any]:
    """Write each booster to ``STEM.N.lgb.txt`` in `folder` and return the rest as JSON."""
    for i, booster in enumerate(curve.boosters):
        (folder / f"{stem}.{i}.lgb.txt").write_text(booster.model_to_string(), encoding="utf-8")
    return {
        "boosters": len(curve.boosters),
        "offset": curve.offset.tolist(),
        "spread": curve.spread.tolist(),
        "grid": {name: getattr(grid, name).tolist() for name in CurveGrid.__slots__},
        "measurement": asdict(measurement),
    }


def read_curve(
    folder: Path, stem: str, entry: Mapping[str, Any]
) -> tuple[BoostedCurve, CurveGrid, Measurement]:
    """Return what `write_curve` wrote, `entry` being what it returned.

    Raises
    ------
    OSError, ValueError, KeyError, TypeError, lightgbm.basic.LightGBMError
        Where file or entry is not what was written.
    """
    boosters = tuple(
        lgb.Booster(model_str=(folder / f"{stem}.{i}.lgb.txt").read_text(encoding="utf-8"))
        for i in range(entry["boosters"])
    )
    curve = BoostedCurve(boosters, np.array(entry["offset"]), np.array(entry["spread"]))
    stored = dict(entry["grid"])
    level = np.array(stored.pop("level"), np.int64)
    grid = CurveGrid(**{name: np.array(v, np.float64) for name, v in stored.items()}, level=level)
    read = entry["measurement"]
    measurement = Measurement(
        float(read["error_scale"]),
        tuple(read["residual_deficit"]),
        {name: FamilyScale(**scale) for name, scale in read["family"].items()},
    )
    return curve, grid, measurement
