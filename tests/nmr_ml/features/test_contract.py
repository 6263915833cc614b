"""The contract, the catalogue behind it and the page written from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nmr_ml.errors import DataError
from nmr_ml.features.catalogue import GROUPS, catalogue, catalogue_table
from nmr_ml.features.contract import FeatureContract, feature_contract
from nmr_ml.features.page import features_page

PAGE = Path(__file__).parents[3] / "docs" / "features.md"


def test_names_are_unique_and_sixty_or_more() -> None:
    names = feature_contract().names
    assert len(set(names)) == len(names)
    assert sum(not feature.categories for feature in catalogue()) >= 60


def test_every_group_has_features_that_need_data() -> None:
    assert {feature.group for feature in catalogue() if not feature.always} == set(GROUPS)


@pytest.mark.parametrize("feature", catalogue(), ids=lambda feature: feature.name)
def test_every_feature_says_what_it_is(feature: object) -> None:
    for field in ("name", "unit", "group", "formula", "source", "null_rule"):
        assert getattr(feature, field).strip()


def test_json_round_trip_keeps_contract_and_hash() -> None:
    contract = feature_contract()
    again = FeatureContract.from_json(contract.to_json())
    assert again == contract
    assert again.hash == contract.hash
    assert json.loads(contract.to_json())["dtype"] == "float64"


def test_hash_depends_on_order_and_meaning() -> None:
    contract = feature_contract()
    names, formulas = contract.names, contract.formulas
    swapped = replace(contract, names=(names[1], names[0], *names[2:]))
    other = replace(contract, formulas=("else", *formulas[1:]))
    assert len({contract.hash, swapped.hash, other.hash}) == 3


def test_check_accepts_its_own_names() -> None:
    feature_contract().check(list(feature_contract().names))


def test_check_shows_what_differs() -> None:
    names = list(feature_contract().names)
    names[3] = "session_miles"
    with pytest.raises(DataError) as raised:
        feature_contract().check(names)
    assert raised.value.code == "feature_contract_mismatch"
    assert "-session_distance_m" in raised.value.message
    assert "+session_miles" in raised.value.message


def test_check_refuses_another_order() -> None:
    names = feature_contract().names
    with pytest.raises(DataError, match="feature columns were given"):
        feature_contract().check(names[::-1])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"features": [{"name": "a"}]}'])
def test_unreadable_contract_is_told(text: str) -> None:
    with pytest.raises(DataError) as raised:
        FeatureContract.from_json(text)
    assert raised.value.code == "feature_contract_unreadable"


def test_table_has_one_line_per_feature() -> None:
    lines = catalogue_table().splitlines()
    assert len(lines) == 2 + len(catalogue())
    assert len({line.count("|") - line.count("\\|") for line in lines}) == 1


def test_page_is_up_to_date() -> None:
    """Else: write `features_page()` to docs/features.md."""
    assert PAGE.read_text(encoding="utf-8") == features_page()
