"""What laboratories measure: units, conversions and plausible values by sex and specimen."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from nmr_ml.cohort.tables import ANALYTES
from nmr_ml.cohort.units import bridged_factor, normal
from nmr_ml.errors import UsageError
from nmr_ml.runtime import configs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Matrix = Literal["blood", "saliva", "urine"]
#: Saliva holds about the free fraction of a hormone: its values are never judged by those of blood.
MATRIX: dict[str, Matrix] = {
    "serum": "blood",
    "plasma": "blood",
    "capillary": "blood",
    "saliva": "saliva",
    "urine": "urine",
}
Bounds = tuple[float, float]


class SexBounds(BaseModel):
    """Inclusive bounds by sex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    male: Bounds
    female: Bounds

    def of(self, sex: str) -> Bounds:
        """Return the bounds of `sex`; of either sex where it is unknown."""
        if sex == "male":
            return self.male
        if sex == "female":
            return self.female
        return min(self.male[0], self.female[0]), max(self.male[1], self.female[1])


class Ranges(BaseModel):
    """Plausible values in one specimen, in `unit`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: str
    hard: SexBounds
    reference: SexBounds


class Analyte(BaseModel):
    """One analyte of ``configs/analytes.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: str
    per: dict[str, float] = {}
    usual: tuple[str, ...]
    ranges: dict[Matrix, Ranges]

    @model_validator(mode="after")
    def _convertible(self) -> Analyte:
        for unit in (*self.usual, *(ranges.unit for ranges in self.ranges.values())):
            if self.to_canonical(unit) is None:
                raise ValueError(f"{unit} cannot be converted to {self.unit}")
        return self

    def to_canonical(self, unit: str) -> float | None:
        """Return the factor from `unit` to the canonical unit; None for one it does not come in."""
        if normal(unit) == normal(self.unit):
            return 1.0
        return bridged_factor(unit, self.unit, self.per)

    def bounds(self, specimen: str, sex: str) -> tuple[Bounds, Bounds] | None:
        """Return the hard and the reference bounds in the canonical unit; None if unknown."""
        ranges = self.ranges.get(MATRIX[specimen])
        if ranges is None:
            return None
        worth = self.to_canonical(ranges.unit) or 1.0
        hard, reference = ranges.hard.of(sex), ranges.reference.of(sex)
        return (hard[0] * worth, hard[1] * worth), (reference[0] * worth, reference[1] * worth)


def load_analytes(override: Path | None = None) -> Mapping[str, Analyte]:
    """Read the catalogue of analytes.

    Raises
    ------
    UsageError
        ``config_invalid`` where an analyte is missing or has an unknown key, an impossible value
        or a unit that cannot be converted.
    """
    content = configs.load("analytes.yaml", override=override)
    try:
        catalogue = {name: Analyte.model_validate(entry) for name, entry in content.items()}
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or error.title
        raise _invalid(f"{where}: {first['msg']}") from error
    if catalogue.keys() != set(ANALYTES):
        raise _invalid(f"{', '.join(sorted(catalogue.keys() ^ set(ANALYTES)))}: missing or unknown")
    return catalogue


def _invalid(fact: str) -> UsageError:
    return UsageError(
        "config_invalid",
        f"analytes.yaml: {fact}.",
        "Compare with the shipped configs/analytes.yaml.",
    )


@cache
def shipped_analytes() -> Mapping[str, Analyte]:
    """Return the catalogue in force, read once."""
    return load_analytes()
