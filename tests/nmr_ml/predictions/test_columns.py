"""The columns of an answer stand once; everything that is written follows them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from nmr_ml.predictions.columns import (
    ANSWER_COLUMNS,
    COLUMNS,
    CURVE_FIELDS,
    DRIVER_FIELDS,
    NUMBERS,
)
from nmr_ml.predictions.page import answers_page
from serving.answers.encoding import SCHEMA, rows
from tests.support.reference import answered, kept

PAGE = Path(__file__).parents[3] / "docs" / "answers.md"
#: Contract §4, as users rely on it.
CONTRACT = (
    "athlete_id episode_id kind component index_test clock_start as_of status reason recovery_h "
    "lower_h upper_h interval_level upper_unbounded remaining_h recovered_at p_now p_24h p_48h "
    "p_72h p_96h deficit_24h deficit_48h deficit_72h delta delta_unit limiting extrapolated "
    "out_of_distribution evidence confidence completeness drivers model_name model_version "
    "contract_hash"
)


def test_names_and_order_are_those_of_the_contract() -> None:
    assert tuple(CONTRACT.split()) == COLUMNS
    assert set(NUMBERS) <= set(COLUMNS)
    assert tuple(SCHEMA.names) == COLUMNS


def test_types_follow_the_kinds() -> None:
    of = {c.name: c.kind for c in ANSWER_COLUMNS}
    assert {name for name in COLUMNS if pa.types.is_boolean(SCHEMA.field(name).type)} == {
        name for name, kind in of.items() if kind == "flag"
    }
    assert [f.name for f in SCHEMA.field("drivers").type.value_type] == [
        field.name for field in DRIVER_FIELDS
    ]


def test_texts_hold_no_other_words_than_are_told() -> None:
    frame = kept()
    closed = [c for c in ANSWER_COLUMNS if c.words]
    assert {c.name for c in closed} >= {"kind", "component", "status", "reason", "confidence"}
    for column in closed:
        assert set(frame[column.name].dropna()) <= set(column.words), column.name


def test_json_has_the_columns_and_the_curve() -> None:
    row = rows(answered())[0]
    assert tuple(row) == (*COLUMNS, "clearance_h", "curve")
    assert [field.name for field in CURVE_FIELDS] == [
        "h", "p", "deficit", "deficit_lower", "deficit_upper",
    ]  # fmt: skip
    assert pd.notna(row["athlete_id"])


def test_page_is_up_to_date() -> None:
    """Else: write `answers_page()` to docs/answers.md."""
    assert PAGE.read_text(encoding="utf-8") == answers_page()
