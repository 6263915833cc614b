from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.cohort.units import bridged_factor, factor, normal

UNITS = ["nmol/L", "pmol/L", "ng/dL", "ug/mL", "U/L", "ukat/L", "10*9/L", "N.m", "ms", "%", "kW"]


@pytest.mark.parametrize(
    ("unit", "to", "expected"),
    [
        ("ng/mL", "ug/L", 1.0),
        ("pg/mL", "ng/L", 1.0),
        ("ug/dL", "ng/mL", 10.0),
        ("mg/dL", "mg/L", 10.0),
        ("ukat/L", "U/L", 60.0),
        ("10*3/uL", "10*9/L", 1.0),
        ("/uL", "10*9/L", 1e-3),
        ("u[IU]/mL", "m[iU]/L", 1.0),
        ("IU/L", "[IU]/L", 1.0),
        ("kN", "N", 1000.0),
        ("N.m", "N.m", 1.0),
        ("mm", "cm", 0.1),
        ("ms", "s", 1e-3),
        ("1", "%", 100.0),
        ("min", "s", 60.0),
    ],
)
def test_factor(unit: str, to: str, expected: float) -> None:
    assert factor(unit, to) == expected


@pytest.mark.parametrize(
    ("unit", "to"),
    [
        ("nmol/L", "ng/dL"),  # needs the substance
        ("U/L", "[IU]/L"),  # an enzyme unit is no unit of biological activity
        ("m/s", "1"),
        ("furlong", "m"),
        ("NG/DL", "ng/dL"),  # UCUM is case-sensitive: DL could be anything
        ("", "1"),
        ("ng/", "ng"),
        ("ng//dL", "ng/dL"),
        ("kmin", "s"),
        ("N.", "N"),
    ],
)
def test_no_factor(unit: str, to: str) -> None:
    assert factor(unit, to) is None


@pytest.mark.parametrize("micro", ["\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}", "u"])
def test_micro_signs_are_one(micro: str) -> None:
    assert factor(f"{micro}g/dL", "ng/mL") == 10.0


@pytest.mark.parametrize(
    ("written", "meant"),
    [(" ng/dL ", "ng/dL"), ("{score}", "1"), ("10*9{cells}/L", "10*9/L"), ("N·m", "N.m"), ("", "")],
)
def test_normal(written: str, meant: str) -> None:
    assert normal(written) == meant


@given(st.sampled_from(UNITS), st.sampled_from(UNITS), st.floats(1e-6, 1e6))
def test_round_trip(one: str, other: str, value: float) -> None:
    there, back = factor(one, other), factor(other, one)
    assert (there is None) == (back is None)
    if there is not None and back is not None:
        assert value * there * back == pytest.approx(value, rel=1e-12)


def test_bridge_serves_every_unit_of_its_dimension() -> None:
    per = {"ng/dL": 0.03467}
    assert bridged_factor("ng/dL", "nmol/L", per) == 0.03467
    assert bridged_factor("ng/mL", "nmol/L", per) == 3.467
    assert bridged_factor("pmol/L", "nmol/L", per) == 1e-3
    assert bridged_factor("U/L", "nmol/L", per) is None
