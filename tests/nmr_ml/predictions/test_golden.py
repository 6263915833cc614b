from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from nmr_ml.errors import DataError
from nmr_ml.predictions.golden import check_golden, golden_rows

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle


def with_golden(bundle: Bundle, **changes: Any) -> Bundle:
    golden = copy.deepcopy(dict(bundle.golden))
    golden["rows"][0] |= changes
    return replace(bundle, golden=golden)


def refused(bundle: Bundle) -> bool:
    try:
        check_golden(bundle)
    except DataError as error:
        return error.code == "golden_rows_differ"
    return False


def test_a_bundle_reproduces_its_golden_rows(bundle: Bundle) -> None:
    assert not refused(bundle)
    assert golden_rows(bundle) == bundle.golden


def test_golden_rows_hold_a_real_prediction_for_each_component(bundle: Bundle) -> None:
    rows = bundle.golden["rows"]
    learnt = rows[: len(bundle.components)]
    assert [row["component"] for row in learnt] == list(bundle.components)
    assert {row["status"] for row in learnt} == {"ok"}
    assert all(row["recovery_h"] >= 0 for row in learnt)
    # The invented athlete has an open episode of each kind, and this model too few to learn from.
    assert [row["component"] for row in rows[len(learnt) :]] == ["availability"] * 2
    assert {row["status"] for row in rows[len(learnt) :]} == {"abstained"}
    json.dumps(bundle.golden, allow_nan=False)


def test_other_predictions_are_refused(bundle: Bundle) -> None:
    hours = bundle.golden["rows"][0]["recovery_h"]
    assert refused(with_golden(bundle, recovery_h=hours + 1e-3))
    assert refused(with_golden(bundle, status="abstained"))
    assert refused(with_golden(bundle, upper_h="inf"))
    assert refused(replace(bundle, golden={"rows": bundle.golden["rows"][1:]}))
    assert refused(replace(bundle, golden={"rows": []}))


def test_the_last_bits_may_differ(bundle: Bundle) -> None:
    hours = bundle.golden["rows"][0]["recovery_h"]
    assert not refused(with_golden(bundle, recovery_h=hours * (1 + 1e-9)))


@pytest.mark.parametrize("name", ["power", "perceptual"])
def test_a_changed_model_is_refused(bundle: Bundle, name: str) -> None:
    model = bundle.components[name]
    curve = replace(model.curve, offset=model.curve.offset + 0.01)
    changed = {**bundle.components, name: replace(model, curve=curve)}
    assert refused(replace(bundle, components=changed))
