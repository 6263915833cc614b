from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.errors import UsageError
from nmr_ml.ingest.account import (
    USED,
    IngestOptions,
    joined,
    stated_units,
    tally,
    units_note,
    untouched,
    unusable_rows,
)
from nmr_ml.reasons import Quarantine

OUTCOMES = st.lists(st.sampled_from([USED, *(r.value for r in Quarantine), "no such column"]))


@given(OUTCOMES)
def test_rows_in_are_used_quarantined_or_without_place(outcomes: list[str]) -> None:
    entry = tally("file.csv", pd.Series(outcomes, dtype=object))
    assert entry.rows_in == len(outcomes)
    kept_out = sum(entry.quarantined.values()) + sum(entry.no_place.values())
    assert entry.used + kept_out == entry.rows_in
    assert entry.used == outcomes.count(USED)
    assert set(entry.quarantined) <= {reason.value for reason in Quarantine}
    assert entry.no_place.get("no such column", 0) == outcomes.count("no such column")


def test_untouched_counts_under_one_reason_and_none_for_no_rows() -> None:
    assert untouched("a.json", 3, "why").no_place == {"why": 3}
    assert untouched("a.json", 0, "why").no_place == {}


def test_unusable_rows_keep_the_row_as_text() -> None:
    rows = pd.DataFrame({"x": ["1", "abc"], "file": "f.csv", "line": [2, 3]})
    bad = unusable_rows(rows, pd.Series([USED, "not_a_number"]), item="x")
    assert bad.to_dict("records") == [
        {
            "file": "f.csv",
            "line": 3,
            "item": "x",
            "reason": "not_a_number",
            "sentence": Quarantine.NOT_A_NUMBER.sentence,
            "row": json.dumps({"x": "abc"}),
        }
    ]


def test_joined_without_parts_still_has_the_columns() -> None:
    assert list(joined([]).columns) == ["file", "line", "item", "reason", "sentence", "row"]


def test_a_stated_unit_replaces_the_documented_one_and_is_told() -> None:
    documented = {"cortisol": "ng/dL", "ck": "U/L"}
    options = IngestOptions({"cortisol": "ug/dL"})
    assert stated_units(documented, options) == {"cortisol": "ug/dL", "ck": "U/L"}
    assert "cortisol ug/dL instead of ng/dL" in units_note(documented, options)
    assert units_note(documented, IngestOptions()) == ""


@pytest.mark.parametrize(
    ("units", "code"),
    [({"insulin": "U/L"}, "unit_not_applicable"), ({"cortisol": "parsec"}, "unit_unknown"),
     ({"cortisol": "U/L"}, "unit_unknown")],
)  # fmt: skip
def test_a_stated_unit_that_cannot_be_is_refused(units: dict[str, str], code: str) -> None:
    with pytest.raises(UsageError) as refused:
        stated_units({"cortisol": "ng/dL"}, IngestOptions(units))
    assert refused.value.code == code
