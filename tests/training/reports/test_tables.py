from __future__ import annotations

from typing import Any

import pytest

from training.baselines.curves import MODALITY
from training.reports.tables import show_components, show_groups, show_methods, show_truth
from training.scoring.bootstrap import MODEL

GAP = {"value": -0.0311, "lower": -0.04, "upper": -0.02}
UNSURE = {"value": -0.0311, "lower": None, "upper": None}
Shown = pytest.CaptureFixture[str]


def brier(gap: dict[str, Any] = GAP) -> dict[str, Any]:
    return {
        "athletes_n": 12, "tests_n": 1234, "score": {MODEL: 0.2, MODALITY: 0.2311},
        "difference": {MODALITY: gap},
    }  # fmt: skip


def compared(value: float) -> dict[str, Any]:
    one = {"value": value, "lower": value - 0.01, "upper": value + 0.01}
    return {"score": {MODEL: one, MODALITY: one}, "difference": {MODALITY: one}}


def scores() -> dict[str, Any]:
    parts = {n: compared(v) for n, v in (("log_score", -2.512), ("coverage_80", 0.807),
                                         ("pit_bias", 0.013), ("pit_spread", -0.021))}  # fmt: skip
    men = {"athletes_n": 11, "tests_n": 900, "too_small": False, "brier": brier(), **parts}
    women = {"athletes_n": 1, "tests_n": 7, "too_small": True}
    sex = {"female": women, "male": men}
    return {"athletes_n": 12, "tests_n": 2000, **parts, "groups": {"sex": sex}}


def lines(capsys: Shown) -> list[str]:
    """Return what was shown, which fits a narrow terminal."""
    found = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in found if "athletes" not in line)
    return found


def test_methods_stand_one_to_a_line_with_the_model_first(capsys: Shown) -> None:
    show_methods("athletes left out", "power", brier(), scores())
    said = lines(capsys)
    assert said[0].startswith("power, athletes left out: 12 athletes, 2,000 tests, 1,234 of them")
    rows = [line for line in said if "0.2" in line]
    assert [row[:19].strip() for row in rows] == ["model", "median by modality"]
    assert "-0.031 [-0.040, -0.020]" in rows[1]
    for number in ("-2.512", "0.807", "+0.013", "-0.021"):
        assert number in rows[0]


def test_an_interval_without_ends_is_told_without_them(capsys: Shown) -> None:
    show_components("Held out", [("power", brier(UNSURE), scores())])
    said = "\n".join(lines(capsys))
    assert "-0.031" in said
    assert "None" not in said
    assert "[" not in said


def test_groups_too_small_are_named_as_such(capsys: Shown) -> None:
    simulated = scores()
    simulated["truth"] = {"groups": {"sex": {"male": {"coverage_80": GAP | {"value": 0.78}}}}}
    show_groups({"power": scores(), "central": simulated, "absent": {"brier": brier()}})
    said = "\n".join(lines(capsys))
    assert said.count("1 athlete") == 2
    assert "-0.031 81% 78%" in said
    assert "absent" not in said


def test_nothing_is_said_of_no_groups(capsys: Shown) -> None:
    show_groups({"power": {"brier": brier()}})
    assert lines(capsys) == []


def test_truth_names_the_component_once(capsys: Shown) -> None:
    errors = {"mae_h": 18.04, "bias_h": 1.0, "crps_h": 13.26, "coverage_80": 0.8}
    truth = {
        MODEL: {**errors, "c_index": 0.851}, MODALITY: errors, "episodes": {"n": 1500.0},
        "difference": {"crps_h": {MODALITY: GAP}, "mae_h": {MODALITY: GAP}}, "groups": {},
    }  # fmt: skip
    show_truth({"power": truth})
    said = lines(capsys)
    assert sum("power (1,500)" in line for line in said) == 1
    first, second = (line for line in said if "18.0" in line)
    assert "0.851" in first
    assert "-0.0 [-0.0, -0.0]" in second
