from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nmr_ml.cohort.quantities import canonical_labs, canonical_tests
from nmr_ml.reasons import Quarantine
from nmr_ml.recovery_tests import shipped_testspecs

SEX = pd.Series({"m": "male", "f": "female", "u": "unknown"}, dtype="str")


def _lab(
    analyte: str,
    value: float,
    unit: str,
    *,
    who: str = "m",
    specimen: str = "serum",
    below_loq: bool | None = None,
) -> tuple[float, str, Quarantine | None, str]:
    frame = pd.DataFrame(
        {
            "athlete_id": [who],
            "analyte": [analyte],
            "value": [value],
            "unit": [unit],
            "specimen": [specimen],
        }
    ).assign(below_loq=pd.array([below_loq], dtype="boolean"))
    got = canonical_labs(frame, SEX, np.array([True]))
    found = [finding for finding in got.findings if finding.rows.any()]
    reason, sentence = (found[0].reason, found[0].sentence) if found else (None, "")
    return float(got.value[0]), str(got.unit[0]), reason, sentence


@pytest.mark.parametrize(
    ("analyte", "value", "unit", "canonical", "canonical_unit"),
    [
        ("testosterone", 531, "ng/dL", 18.40977, "nmol/L"),
        ("testosterone", 18.4, "nmol/L", 18.4, "nmol/L"),
        ("cortisol", 10.2, "ug/dL", 281.418, "nmol/L"),
        ("cortisol", 10.2, "\N{MICRO SIGN}g/dL", 281.418, "nmol/L"),
        ("igf1", 200, "ng/mL", 26.14, "nmol/L"),
        ("ck", 5, "ukat/L", 300, "U/L"),
        ("ck", 300, "IU/L", 300, "U/L"),
        ("crp", 0.2, "mg/dL", 2, "mg/L"),
        ("crp", 9.524, "nmol/L", 1.0, "mg/L"),
        ("tsh", 2, "mU/L", 2, "m[IU]/L"),
        ("wbc", 6300, "/uL", 6.3, "10*9/L"),
    ],
)
def test_labs_to_canonical_units(
    analyte: str, value: float, unit: str, canonical: float, canonical_unit: str
) -> None:
    got, got_unit, reason, _ = _lab(analyte, value, unit)
    assert reason is None
    assert got == pytest.approx(canonical, rel=1e-4)
    assert got_unit == canonical_unit


@pytest.mark.parametrize(
    ("analyte", "value", "unit", "fits"),
    [
        ("cortisol", 10.2, "ng/dL", "The value fits ug/dL."),
        ("testosterone", 18, "ng/dL", "The value fits nmol/L."),
        ("testosterone", 531, "nmol/L", "The value fits ng/dL."),
        ("igf1", 1.2, "ng/mL", ""),
        ("igf1", 200, "nmol/L", "The value fits ng/mL."),
        ("wbc", 6300, "10*9/L", "The value fits /uL."),
        ("ck", 3, "U/L", "The value fits ukat/L."),
    ],
)
def test_implausible_value_names_the_unit_it_fits(
    analyte: str, value: float, unit: str, fits: str
) -> None:
    _, _, reason, sentence = _lab(analyte, value, unit)
    expected = Quarantine.LOOKS_LIKE_OTHER_UNIT if fits else Quarantine.OUT_OF_RANGE
    assert reason is expected
    assert fits in sentence


def test_hard_limits_are_by_sex() -> None:
    assert _lab("estradiol", 5000, "pmol/L", who="f")[2] is None
    assert _lab("estradiol", 5000, "pmol/L", who="m")[2] is Quarantine.OUT_OF_RANGE
    assert _lab("estradiol", 5000, "pmol/L", who="u")[2] is None
    assert _lab("testosterone", 0.5, "nmol/L", who="f")[2] is None
    assert _lab("testosterone", 0.1, "nmol/L", who="m")[2] is not None


def test_saliva_is_judged_as_saliva() -> None:
    assert _lab("cortisol", 0.9, "nmol/L", specimen="saliva")[2] is None
    assert _lab("cortisol", 0.9, "nmol/L", specimen="serum")[2] is Quarantine.OUT_OF_RANGE
    assert _lab("cortisol", 2500, "nmol/L", specimen="serum")[2] is None
    assert _lab("cortisol", 2500, "nmol/L", specimen="saliva")[2] is Quarantine.OUT_OF_RANGE
    # Nothing is known of this specimen, so nothing is held against the value.
    assert _lab("cortisol", 3, "nmol/L", specimen="urine")[2] is None


def test_marathon_is_not_a_unit_error() -> None:
    assert _lab("ck", 25_000, "U/L")[2] is None
    assert _lab("myoglobin", 3_000, "ug/L")[2] is None
    assert _lab("il6", 80, "pg/mL")[2] is None


def test_below_the_limit_of_quantification_no_value_is_too_low() -> None:
    assert _lab("il6", 0.0, "pg/mL", below_loq=True)[2] is None
    assert _lab("il6", 0.0, "pg/mL", below_loq=False)[2] is Quarantine.OUT_OF_RANGE
    assert _lab("il6", 1e5, "pg/mL", below_loq=True)[2] is Quarantine.OUT_OF_RANGE


@pytest.mark.parametrize("unit", ["furlong", "U/L", "NMOL/L", "", "nmol"])
def test_unknown_units_are_never_guessed(unit: str) -> None:
    value, _, reason, sentence = _lab("testosterone", 18, unit)
    assert reason is Quarantine.UNKNOWN_UNIT
    assert "nmol/L, ng/dL" in sentence
    assert value == 18


def test_rows_that_are_not_asked_for_stay_as_they_are() -> None:
    frame = pd.DataFrame({"test": ["cmj_height"] * 2, "value": [350.0] * 2, "unit": ["mm"] * 2})
    got = canonical_tests(frame, np.array([True, False]))
    assert list(got.value) == [35.0, 350.0]
    assert list(got.unit) == ["cm", "mm"]
    assert not got.findings


def _test(test: str, value: float, unit: str | None) -> tuple[float, str, Quarantine | None, str]:
    frame = pd.DataFrame({"test": [test], "value": [value]}).assign(
        unit=pd.Series([unit], dtype="str")
    )
    got = canonical_tests(frame, np.array([True]))
    found = [finding for finding in got.findings if finding.rows.any()]
    reason, sentence = (found[0].reason, found[0].sentence) if found else (None, "")
    return float(got.value[0]), str(got.unit[0]), reason, sentence


@pytest.mark.parametrize(
    ("test", "value", "unit", "canonical", "canonical_unit"),
    [
        ("cmj_height", 0.352, "m", 35.2, "cm"),
        ("sprint_10m", 1750, "ms", 1.75, "s"),
        ("cmj_peak_power", 4.2, "kW", 4200, "W"),
        ("mvc_knee_extension", 250, None, 250, "N.m"),
        ("rsi_mod", 0.6, "1", 0.6, "m/s"),
        ("rsi_mod", 0.6, None, 0.6, "m/s"),  # both of its units mean the same number
        ("voluntary_activation", 0.93, "1", 93, "%"),
        ("readiness", 7, None, 7, "1"),
        ("soreness", 3, "{score}", 3, "1"),
    ],
)
def test_tests_to_canonical_units(
    test: str, value: float, unit: str | None, canonical: float, canonical_unit: str
) -> None:
    got, got_unit, reason, _ = _test(test, value, unit)
    assert reason is None
    assert got == pytest.approx(canonical, rel=1e-12)
    assert got_unit == canonical_unit


@pytest.mark.parametrize(
    ("test", "value", "unit", "reason", "said"),
    [
        ("cmj_height", 35, None, Quarantine.UNIT_MISSING, "cm, m, mm"),
        ("voluntary_activation", 0.93, None, Quarantine.UNIT_MISSING, "%"),
        ("cmj_height", 35, "in", Quarantine.UNKNOWN_UNIT, "cm, m, mm"),
        ("grip", 400, "N", Quarantine.UNKNOWN_UNIT, "kg"),
        ("cmj_heigth", 35, "cm", Quarantine.UNKNOWN_CATEGORY, "cmj_height"),
        ("cmj_height", 0.35, "cm", Quarantine.LOOKS_LIKE_OTHER_UNIT, "The value fits m."),
        ("cmj_height", 350, "cm", Quarantine.LOOKS_LIKE_OTHER_UNIT, "The value fits mm."),
        ("voluntary_activation", 93, "1", Quarantine.LOOKS_LIKE_OTHER_UNIT, "The value fits %."),
        ("cmj_height", 150, "cm", Quarantine.LOOKS_LIKE_OTHER_UNIT, "The value fits mm."),
        ("readiness", 11, "1", Quarantine.OUT_OF_RANGE, "Expected 0 to 10"),
    ],
)
def test_tests_that_are_refused(
    test: str, value: float, unit: str | None, reason: Quarantine, said: str
) -> None:
    _, _, got, sentence = _test(test, value, unit)
    assert got is reason
    assert said in sentence


@pytest.mark.parametrize("test", sorted(shipped_testspecs()))
def test_every_test_of_the_catalogue_reads_its_own_units(test: str) -> None:
    spec = shipped_testspecs()[test]
    middle = sum(spec.range) / 2
    for unit in spec.accepted:
        at_one, _, reason, _ = _test(test, 1.0, unit)
        assert reason not in {Quarantine.UNKNOWN_UNIT, Quarantine.UNIT_MISSING}
        assert _test(test, middle / at_one, unit)[0] == pytest.approx(middle)
