"""Numbers stay what they were, or the change is owned up to (`tests.support.reference`)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.support.reference import OPTIONS, answered, kept

#: Other processors may round the last bits differently; on one processor nothing moves at all.
RTOL = 1e-9


def test_the_reference_bundle_answers_what_it_answered() -> None:
    found, expected = answered().frame, kept()
    assert list(found) == list(expected)
    assert len(found) > 200
    for name, column in expected.items():
        if pd.api.types.is_float_dtype(column):
            np.testing.assert_allclose(
                found[name].to_numpy(np.float64), column, rtol=RTOL, atol=RTOL, err_msg=str(name)
            )
        elif isinstance(column.dtype, pd.DatetimeTZDtype):
            apart = (found[name] - column).abs()
            assert (found[name].isna() == column.isna()).all(), name
            assert not (apart > pd.Timedelta(seconds=1)).any(), name
        else:
            assert found[name].isna().equals(column.isna()), name
            told = column.notna()
            assert found[name][told].tolist() == column[told].tolist(), name


def test_the_reference_holds_answers_of_every_kind() -> None:
    frame = kept()
    assert set(frame["status"]) == {"ok", "abstained"}
    assert set(frame["confidence"]) == {"cold_start", "building", "solid"}
    assert {"power", "coordination", "perceptual"} <= set(frame["component"])
    assert (frame["delta"][frame["component"] == "power"] == OPTIONS.deltas["power"]).all()
    assert frame["clearance_h"].notna().any()
    assert frame["recovery_h"].nunique() > 150
