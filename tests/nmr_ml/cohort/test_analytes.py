from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from nmr_ml.cohort.analytes import load_analytes, shipped_analytes
from nmr_ml.cohort.tables import ANALYTES, SPECIMENS
from nmr_ml.errors import UsageError
from nmr_ml.runtime import configs

if TYPE_CHECKING:
    from pathlib import Path


# The conversion column of the table in the domain specification, section 3.3.
@pytest.mark.parametrize(
    ("analyte", "unit", "to_canonical"),
    [
        ("testosterone", "ng/dL", 0.03467),
        ("testosterone", "pg/mL", 3.467e-3),
        ("free_testosterone", "pg/mL", 3.467),
        ("cortisol", "ug/dL", 27.59),
        ("dheas", "ug/dL", 0.02714),
        ("igf1", "ng/mL", 0.1307),
        ("gh", "ng/mL", 1.0),
        ("prolactin", "ng/mL", 21.2),
        ("ft3", "pg/mL", 1.536),
        ("estradiol", "pg/mL", 3.671),
        ("progesterone", "ng/mL", 3.18),
        ("ck", "ukat/L", 60.0),
        ("myoglobin", "ng/mL", 1.0),
        ("crp", "mg/dL", 10.0),
        ("il6", "ng/L", 1.0),
        ("wbc", "10*3/uL", 1.0),
    ],
)
def test_conversion(analyte: str, unit: str, to_canonical: float) -> None:
    assert shipped_analytes()[analyte].to_canonical(unit) == pytest.approx(to_canonical, rel=1e-9)


@pytest.mark.parametrize("analyte", ANALYTES)
def test_catalogue_is_consistent(analyte: str) -> None:
    spec = shipped_analytes()[analyte]
    assert spec.to_canonical(spec.unit) == 1.0
    assert spec.bounds("serum", "male") is not None
    for specimen in SPECIMENS:
        for sex in ("male", "female", "unknown"):
            bounds = spec.bounds(specimen, sex)
            if bounds is not None:
                hard, reference = bounds
                assert hard[0] <= reference[0] < reference[1] <= hard[1]


def test_unknown_sex_takes_the_ranges_of_both() -> None:
    bounds = shipped_analytes()["testosterone"].bounds("serum", "unknown")
    assert bounds == ((0.02, 70), (0.25, 31.8))


def test_saliva_is_kept_apart_from_blood() -> None:
    cortisol = shipped_analytes()["cortisol"]
    assert cortisol.bounds("saliva", "male") != cortisol.bounds("serum", "male")
    assert cortisol.bounds("capillary", "male") == cortisol.bounds("serum", "male")
    assert cortisol.bounds("urine", "male") is None


def _changed(path: Path, change: dict[str, object]) -> Path:
    content = configs.load("analytes.yaml")
    content["ck"] = {**content["ck"], **change}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("change", [{"usual": ["nmol/L"]}, {"typo": 1}, {"ranges": {"blood": 3}}])
def test_invalid_catalogue_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        load_analytes(_changed(tmp_path / "analytes.yaml", change))
    assert caught.value.code == "config_invalid"
    assert "analytes.yaml" in caught.value.message


def test_catalogue_must_be_whole(tmp_path: Path) -> None:
    content = configs.load("analytes.yaml")
    del content["ck"]
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(UsageError, match="ck: missing or unknown"):
        load_analytes(tmp_path / "a.yaml")
