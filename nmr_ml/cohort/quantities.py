"""Laboratory and test values to canonical units, and which of them are not believable."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nmr_ml.cohort.analytes import shipped_analytes
from nmr_ml.cohort.row_rules import Finding
from nmr_ml.cohort.units import factor, normal
from nmr_ml.reasons import Quarantine
from nmr_ml.recovery_tests import shipped_testspecs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nmr_ml.cohort.parsing import Mask

_EVERYTHING = (-np.inf, np.inf)
#: Beyond the reference range by this factor a value is in doubt even inside the hard limits, if it
#: lies in the reference range of another unit: 18 ng/dL of testosterone in a man, meant as nmol/L.
FAR = 10.0


@dataclass(frozen=True, slots=True)
class Quantity:
    """How a value of one kind in one unit is read; bounds are inclusive, in the canonical unit.

    `trusted` are the values never doubted; a value outside them is blamed on its unit where in one
    of `others` (units with their factors) it would lie in `usual`. Outside `hard` it is an error
    in any case.
    """

    problem: Quarantine | None
    detail: str = ""
    unit: str = ""
    factor: float = np.nan
    hard: tuple[float, float] = _EVERYTHING
    trusted: tuple[float, float] = _EVERYTHING
    usual: tuple[float, float] = _EVERYTHING
    others: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Converted:
    """Values and units after conversion; rows of a finding keep what came."""

    value: pd.Series
    unit: pd.Series
    findings: tuple[Finding, ...]


def canonical_labs(frame: pd.DataFrame, sex: pd.Series, rows: Mask) -> Converted:
    """Return the laboratory values in the units of ``configs/analytes.yaml``.

    Parameters
    ----------
    frame : DataFrame
        The `labs` table in canonical dtypes, rows indexed 0, 1, 2 ...
    sex : Series
        The sex of each athlete, indexed by athlete.
    rows : mask
        The rows to convert: those that break no rule so far.
    """
    whose = sex.reindex(frame["athlete_id"]).fillna("unknown")
    keys = [frame[name] for name in ("analyte", "specimen", "unit")]
    low = frame["below_loq"].fillna(False).to_numpy(dtype=np.bool_)
    return _converted(frame, [*keys, whose], quantity_of_lab, rows, unbounded_below=low)


def canonical_tests(frame: pd.DataFrame, rows: Mask) -> Converted:
    """Return the test values in the units of ``configs/tests.yaml``; see `canonical_labs`."""
    keys = [frame["test"], frame["unit"]]
    nothing = np.zeros(len(frame), dtype=np.bool_)
    return _converted(frame, keys, quantity_of_test, rows, unbounded_below=nothing)


@lru_cache(maxsize=4096)
def quantity_of_lab(analyte: str, specimen: str, unit: str, sex: str) -> Quantity:
    """Return how a laboratory value is read."""
    spec = shipped_analytes()[analyte]
    to_canonical = spec.to_canonical(unit)
    if to_canonical is None:
        return Quantity(Quarantine.UNKNOWN_UNIT, f"Known: {', '.join(spec.usual)}.")
    bounds = spec.bounds(specimen, sex)
    if bounds is None:
        return Quantity(None, unit=spec.unit, factor=to_canonical)
    hard, usual = bounds
    return Quantity(
        None,
        unit=spec.unit,
        factor=to_canonical,
        hard=hard,
        trusted=(max(hard[0], usual[0] / FAR), min(hard[1], usual[1] * FAR)),
        usual=usual,
        others=_others(spec.usual, spec.to_canonical, to_canonical),
    )


@lru_cache(maxsize=4096)
def quantity_of_test(test: str, unit: str | None) -> Quantity:
    """Return how the value of a test is read; a test that is not known has a problem."""
    spec = shipped_testspecs().get(test)
    if spec is None:
        return Quantity(Quarantine.UNKNOWN_CATEGORY, f"Known: {', '.join(shipped_testspecs())}.")

    def to_canonical(accepted: str) -> float:
        # A bare number is the canonical unit where the two cannot be converted: RSI-mod in 1.
        worth = factor(accepted, spec.unit)
        return 1.0 if worth is None else worth

    names = {normal(accepted): accepted for accepted in spec.accepted}
    if unit is None and len({to_canonical(accepted) for accepted in names}) > 1:
        return Quantity(Quarantine.UNIT_MISSING, f"Known: {', '.join(spec.accepted)}.")
    if unit is not None and normal(unit) not in names:
        return Quantity(Quarantine.UNKNOWN_UNIT, f"Known: {', '.join(spec.accepted)}.")
    given = to_canonical(unit or spec.unit)
    return Quantity(
        None,
        unit=spec.unit,
        factor=given,
        hard=spec.range,
        trusted=spec.range,
        usual=spec.range,
        others=_others(spec.accepted, to_canonical, given),
    )


def _others(
    units: Sequence[str], to_canonical: Callable[[str], float | None], given: float
) -> tuple[tuple[str, float], ...]:
    """Return the units that would give another value, one for each factor."""
    by_factor: dict[float, str] = {}
    for unit in units:
        worth = to_canonical(unit)
        if worth is not None and not np.isclose(worth, given, rtol=1e-9):
            by_factor.setdefault(worth, unit)
    return tuple((unit, worth) for worth, unit in by_factor.items())


def _converted(
    frame: pd.DataFrame,
    keys: Sequence[pd.Series],
    read: Callable[..., Quantity],
    rows: Mask,
    *,
    unbounded_below: Mask,
) -> Converted:
    given = frame["value"].to_numpy(dtype=np.float64)
    value, unit = given.copy(), frame["unit"].to_numpy(dtype=object, copy=True)
    collected: dict[tuple[Quarantine, str, str], Mask] = defaultdict(
        lambda: np.zeros(len(frame), dtype=np.bool_)
    )
    for key, at in _groups(keys, rows):
        quantity = read(*key)
        if quantity.problem is not None:
            column = "test" if quantity.problem is Quarantine.UNKNOWN_CATEGORY else "unit"
            collected[quantity.problem, column, quantity.detail][at] = True
            continue
        value[at] = given[at] * quantity.factor
        unit[at] = quantity.unit
        for reason, detail, wrong in _doubts(quantity, given[at], unbounded_below[at], key):
            collected[reason, "value", detail][at[wrong]] = True
    findings = tuple(Finding(found, *about) for about, found in collected.items())
    return Converted(pd.Series(value), pd.Series(unit, dtype="str"), findings)


def _groups(keys: Sequence[pd.Series], rows: Mask) -> list[tuple[tuple[Any, ...], np.ndarray]]:
    """Return the distinct keys (None for a missing part) of `rows`, with the positions of each."""
    at = np.flatnonzero(rows)
    if not len(at):
        return []
    codes = np.zeros(len(at), dtype=np.int64)
    levels = []
    for key in keys:
        code, level = pd.factorize(key.to_numpy(dtype=object)[at], use_na_sentinel=True)
        levels.append([*level, None])
        codes = codes * len(levels[-1]) + np.where(code < 0, len(level), code)
    distinct, group = np.unique(codes, return_inverse=True)
    order = np.argsort(group, kind="stable")
    parts = np.split(at[order], np.flatnonzero(np.diff(group[order])) + 1)
    return [(_key(code, levels), part) for code, part in zip(distinct, parts, strict=True)]


def _key(code: int, levels: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    parts = []
    for level in reversed(levels):
        code, index = divmod(int(code), len(level))
        parts.append(level[index])
    return tuple(reversed(parts))


def _doubts(
    quantity: Quantity, given: np.ndarray, unbounded_below: Mask, key: tuple[Any, ...]
) -> list[tuple[Quarantine, str, Mask]]:
    """Return what is wrong with values of one kind: another unit fits, or out of range."""
    value = given * quantity.factor
    low = (value < quantity.trusted[0]) & ~unbounded_below
    doubtful = low | (value > quantity.trusted[1])
    if not doubtful.any():
        return []
    fits = np.array(
        [_within(given * worth, quantity.usual) & doubtful for _, worth in quantity.others],
        dtype=np.bool_,
    ).reshape(len(quantity.others), len(given))
    hinted = fits.any(axis=0)
    findings = [
        (
            Quarantine.LOOKS_LIKE_OTHER_UNIT,
            _hint(quantity, pattern),
            (fits.T == pattern).all(axis=1),
        )
        for pattern in np.unique(fits.T[hinted], axis=0)
    ]
    low_end, high_end = quantity.hard
    hard = ((value < low_end) & ~unbounded_below) | (value > high_end)
    detail = f"Expected {low_end:.6g} to {high_end:.6g} {quantity.unit} for {key[0]}."
    return [*findings, (Quarantine.OUT_OF_RANGE, detail, hard & ~hinted)]


def _within(value: np.ndarray, bounds: tuple[float, float]) -> Mask:
    inside: Mask = (value >= bounds[0]) & (value <= bounds[1])
    return inside


def _hint(quantity: Quantity, pattern: Mask) -> str:
    units = [unit for (unit, _), fits in zip(quantity.others, pattern, strict=True) if fits]
    return f"The value fits {' or '.join(units)}."
