from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nmr_ml.bundle.bundle import MODEL_NAME
from nmr_ml.bundle.registry import CHAMPION, PREVIOUS_TAG, client, resolve
from nmr_ml.errors import DataError
from tests.support.gate_cards import BAD, GOOD, WEAK, card
from training.experiments.gate import VERDICT_TAG, judge, promote

if TYPE_CHECKING:
    from tests.support.registered import Registry


UNSURE = (-0.02, None, None)


def tags_of(version: str) -> dict[str, str]:
    return dict(client().get_model_version(MODEL_NAME, version).tags)


@pytest.mark.parametrize(
    ("components", "passed"),
    [
        ({"power": GOOD}, True),
        ({"power": GOOD, "coordination": WEAK}, True),  # no worse, and one clearly better
        ({"power": GOOD, "coordination": BAD}, False),
        ({"power": WEAK}, False),
        ({"power": WEAK, "coordination": WEAK}, False),
        ({"power": (-0.02, -0.03, 0.0)}, False),  # the interval touches 0
        ({"power": (0.0, -0.01, 0.01)}, False),
        ({"power": None}, False),
        ({"power": GOOD, "central": None}, False),  # what was not compared is not known to be good
        ({"power": UNSURE}, False),
        ({}, False),
    ],
)
def test_the_gate_asks_for_no_worse_anywhere_and_clearly_better_somewhere(
    components: dict[str, Any], passed: bool
) -> None:
    verdict = judge(card(**components))
    assert verdict.passed is passed
    assert len(verdict.lines) == len(components)


def test_the_gate_says_why() -> None:
    good, bad, none = judge(card(power=GOOD, coordination=BAD, central=None)).lines
    assert good.startswith("power: clearly better than the median by modality")
    assert "0.1800 against 0.2000" in good
    assert "-0.0200 (-0.0300 to -0.0100)" in good
    assert bad.startswith("coordination: not better than the median by modality")
    assert none.startswith("central: too few tests")


@pytest.mark.slow
def test_a_model_that_passes_becomes_champion(registry: Registry) -> None:
    registry.add_version(card=GOOD)
    number, verdict = promote()
    assert verdict.passed
    assert number == registry.latest
    assert client().get_model_version_by_alias(MODEL_NAME, CHAMPION).version == int(number)
    record = json.loads(tags_of(number)[VERDICT_TAG])
    assert record == {"passed": True, "lines": list(verdict.lines)}
    assert PREVIOUS_TAG not in tags_of(number)
    assert resolve("champion") == resolve(number)


@pytest.mark.slow
def test_the_version_before_is_kept_for_a_way_back(registry: Registry) -> None:
    registry.add_version(card=GOOD)
    first, _ = promote()
    registry.add_version(card=GOOD)
    second, _ = promote()
    assert second != first
    assert tags_of(second)[PREVIOUS_TAG] == first
    promote(second)  # again: it is not its own predecessor
    assert tags_of(second)[PREVIOUS_TAG] == first


@pytest.mark.slow
def test_a_model_that_does_not_pass_changes_nothing(registry: Registry) -> None:
    registry.add_version(card=BAD)
    with pytest.raises(DataError) as caught:
        promote(registry.latest)
    assert caught.value.code == "gate_refused"
    assert "not better than the median by modality" in caught.value.message
    assert json.loads(tags_of(registry.latest)[VERDICT_TAG])["passed"] is False
    with pytest.raises(DataError, match="promoted"):
        resolve("champion")


@pytest.mark.slow
def test_a_model_that_does_not_reproduce_its_golden_rows_is_refused(registry: Registry) -> None:
    registry.add_version(card=GOOD, golden={"rows": []})
    with pytest.raises(DataError) as caught:
        promote()
    assert caught.value.code == "golden_rows_differ"
    with pytest.raises(DataError):
        resolve("champion")


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["999", "nobody"])
def test_what_is_not_there_is_not_promoted(registry: Registry, reference: str) -> None:
    assert registry.latest
    with pytest.raises(DataError) as caught:
        promote(reference)
    assert caught.value.code == "model_not_found"
