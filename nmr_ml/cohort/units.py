"""Units of measurement: UCUM text to conversion factors, by way of pint."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pint

# UCUM atoms that occur in blood chemistry and performance tests, by their pint names. `U` is the
# enzyme unit (µmol/min); `[IU]` is the arbitrary unit of a biological activity: they do not mix.
_METRIC = {
    "g": "gram",
    "mol": "mole",
    "L": "liter",
    "l": "liter",
    "m": "meter",
    "s": "second",
    "N": "newton",
    "W": "watt",
    "U": "enzyme_unit",
    "kat": "katal",
    "[IU]": "international_unit",
    "[iU]": "international_unit",
    # Not UCUM, but what laboratories print, and nothing else it could mean.
    "IU": "international_unit",
}
_PLAIN = {"1": "dimensionless", "%": "percent", "min": "minute", "h": "hour"}
_PREFIXES = {
    "k": 1e3,
    "d": 1e-1,
    "c": 1e-2,
    "m": 1e-3,
    "u": 1e-6,
    "n": 1e-9,
    "p": 1e-12,
    "f": 1e-15,
}
_POWER_OF_TEN = re.compile(r"10[*^](-?\d{1,2})")
_ANNOTATION = re.compile(r"\{[^{}]*\}")
# The micro sign and the Greek letter look alike; UCUM writes both as u. `·` is the product.
_VARIANTS = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u", "·": "."})


def normal(unit: str) -> str:
    """Return `unit` without blanks, annotations (``{cells}``) and look-alike characters.

    A unit that is nothing but an annotation, such as ``{score}``, is the dimensionless ``1``.
    """
    text = unit.strip().translate(_VARIANTS)
    return _ANNOTATION.sub("", text) or ("1" if text else "")


# Bounded: the text comes from users, and a server lives long.
@lru_cache(maxsize=4096)
def factor(unit: str, to: str) -> float | None:
    """Return what a value in `unit` is multiplied with to be in `to`; None where that is undefined.

    Parameters
    ----------
    unit, to : str
        UCUM units, case-sensitive: ``nmol/L``, ``10*9/L``, ``N.m``.

    Notes
    -----
    Rounded to 14 significant digits, so that 1 ng/mL is exactly 1 µg/L.
    """
    source, target = _quantity(normal(unit)), _quantity(normal(to))
    if source is None or target is None or not source.is_compatible_with(target):
        return None
    return float(f"{(source / target).to('dimensionless').magnitude:.14g}")


@cache
def _registry() -> pint.UnitRegistry:
    # pint takes half a second to import, and most commands convert nothing.
    import pint

    registry: pint.UnitRegistry = pint.UnitRegistry()
    registry.define("international_unit = [biological_activity]")
    return registry


@lru_cache(maxsize=4096)
def _quantity(unit: str) -> pint.Quantity | None:
    """Return `unit` as a pint quantity, or None where it is not UCUM as far as it is known here."""
    numerator, *denominators = unit.split("/")
    if not unit or not all(denominators):
        return None
    value = _registry().Quantity(1.0)
    for index, product in enumerate((numerator or "1", *denominators)):
        for atom in product.split("."):
            part = _atom(atom)
            if part is None:
                return None
            value = value / part if index else value * part
    return value


def _atom(text: str) -> pint.Quantity | None:
    quantity = _registry().Quantity
    if power := _POWER_OF_TEN.fullmatch(text):
        return quantity(10.0 ** int(power.group(1)))
    if name := _METRIC.get(text) or _PLAIN.get(text):
        return quantity(1.0, name)
    scale, name = _PREFIXES.get(text[:1]), _METRIC.get(text[1:])
    return None if scale is None or name is None else quantity(scale, name)


def bridged_factor(unit: str, to: str, per: Mapping[str, float]) -> float | None:
    """Return the factor from `unit` to `to`, over a substance's own factors where pint has none.

    Parameters
    ----------
    unit, to : str
        UCUM units.
    per : mapping of str to float
        What one of a unit is in `to`: ``{"ng/dL": 0.03467}`` for testosterone in nmol/L.
    """
    direct = factor(unit, to)
    if direct is not None:
        return direct
    for bridge, worth in per.items():
        leg = factor(unit, bridge)
        if leg is not None:
            return float(f"{leg * worth:.14g}")
    return None
