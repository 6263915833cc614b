from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.cohort.parsing import bools, ids, numbers, strings
from nmr_ml.reasons import Quarantine


@pytest.mark.parametrize("dtype", ["object", "str", "category"])
def test_ids_stay_as_written(dtype: str) -> None:
    written = pd.Series(["007", "NA", " x", "1e5"], dtype=dtype)
    assert list(ids(written).column) == ["007", "NA", " x", "1e5"]


def test_ids_from_numbers() -> None:
    assert list(ids(pd.Series([7, 2**60 + 1])).column) == ["7", str(2**60 + 1)]
    whole = ids(pd.Series([7.0, np.nan])).column
    assert whole[0] == "7"
    assert pd.isna(whole[1])


def test_ids_from_bytes_and_half_characters() -> None:
    assert list(ids(pd.Series([b"007", "\ud800"], dtype=object)).column) == ["007", "?"]


def test_blank_is_missing() -> None:
    for parse in (ids, strings):
        assert pd.isna(parse(pd.Series(["", "  ", None], dtype=object)).column).all()
    assert pd.isna(strings(pd.Series(["NA", "null"])).column).all()


@pytest.mark.parametrize(
    ("cell", "value", "reason"),
    [
        (" 12 ", 12.0, None),
        ("+.5e1", 5.0, None),
        (3, 3.0, None),
        (Decimal("1.25"), 1.25, None),
        ("NA", np.nan, None),
        (None, np.nan, None),
        ("7,5", np.nan, Quarantine.NOT_A_NUMBER),
        ("1_000", np.nan, Quarantine.NOT_A_NUMBER),
        ("0x1A", np.nan, Quarantine.NOT_A_NUMBER),
        ("12 kg", np.nan, Quarantine.NOT_A_NUMBER),
        (True, np.nan, Quarantine.NOT_A_NUMBER),
        ([1], np.nan, Quarantine.NOT_A_NUMBER),
        ("inf", np.nan, Quarantine.OUT_OF_RANGE),
        (float("-inf"), np.nan, Quarantine.OUT_OF_RANGE),
        ("1e400", np.nan, Quarantine.OUT_OF_RANGE),
    ],
)
def test_numbers(cell: object, value: float, reason: Quarantine | None) -> None:
    parsed = numbers(pd.Series([cell], dtype=object))
    np.testing.assert_array_equal(parsed.column, [value])
    assert [r for r, rows in parsed.problems if rows.any()] == ([] if reason is None else [reason])


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float32", "UInt8"])
def test_typed_numbers(dtype: str) -> None:
    parsed = numbers(pd.Series([1, 2], dtype=dtype))
    assert parsed.column.dtype == np.float64
    np.testing.assert_array_equal(parsed.column, [1.0, 2.0])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_to_the_last_digit(value: float) -> None:
    assert numbers(pd.Series([repr(value)], dtype="str")).column[0] == value


@pytest.mark.parametrize(
    ("cell", "value"),
    [("TRUE", True), ("Yes", True), (1, True), ("0", False), ("no", False), (False, False)],
)
def test_bools(cell: object, value: bool) -> None:
    parsed = bools(pd.Series([cell, None], dtype=object))
    assert parsed.column[0] == value
    assert pd.isna(parsed.column[1])
    assert not parsed.problems[0][1].any()


def test_not_a_bool() -> None:
    parsed = bools(pd.Series(["maybe", 2], dtype=object))
    assert pd.isna(parsed.column).all()
    assert parsed.problems[0][0] is Quarantine.NOT_A_BOOL
    assert parsed.problems[0][1].all()
