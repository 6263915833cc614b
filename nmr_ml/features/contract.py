"""The feature contract: names, order and meaning of the columns that a model is trained on."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from nmr_ml.errors import DataError
from nmr_ml.features.catalogue import catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIELDS = ("name", "unit", "group", "formula", "null_rule", "max_age_h", "always", "categories")


@dataclass(frozen=True, slots=True)
class FeatureContract:
    """What the columns of a feature matrix are; every entry has one value per feature.

    Parameters
    ----------
    names, units, groups, formulas, null_rules : tuple of str
    max_ages_h : tuple of float or None, h
    always : tuple of bool
        Whether the feature has a value whatever is known.
    categories : tuple of tuple of str
        What the codes of a category stand for; empty for a number.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    groups: tuple[str, ...]
    formulas: tuple[str, ...]
    null_rules: tuple[str, ...]
    max_ages_h: tuple[float | None, ...]
    always: tuple[bool, ...]
    categories: tuple[tuple[str, ...], ...]

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, in hex."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return the canonical JSON: sorted keys, no spaces."""
        columns = zip(
            self.names, self.units, self.groups, self.formulas, self.null_rules, self.max_ages_h,
            self.always, self.categories, strict=True,
        )  # fmt: skip
        features = [dict(zip(_FIELDS, column, strict=True)) for column in columns]
        content = {"dtype": "float64", "missing": "NaN", "features": features}
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> FeatureContract:
        """Read what `to_json` wrote.

        Raises
        ------
        DataError
            ``feature_contract_unreadable`` where `text` is something else.
        """
        try:
            features = json.loads(text)["features"]
            columns = {name: tuple(feature[name] for feature in features) for name in _FIELDS}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                "feature_contract_unreadable",
                f"The feature contract cannot be read: {type(error).__name__}: {error}.",
                "Take the contract file that was written with the model.",
            ) from error
        return cls(
            names=columns["name"],
            units=columns["unit"],
            groups=columns["group"],
            formulas=columns["formula"],
            null_rules=columns["null_rule"],
            max_ages_h=columns["max_age_h"],
            always=columns["always"],
            categories=tuple(map(tuple, columns["categories"])),
        )

    def check(self, names: Sequence[str]) -> None:
        """Refuse columns that are not these, in this order.

        Raises
        ------
        DataError
            ``feature_contract_mismatch`` with a diff of the expected and the given names.
        """
        if tuple(names) == self.names:
            return
        diff = "\n".join(
            difflib.unified_diff(self.names, tuple(names), "expected", "given", n=1, lineterm="")
        )
        raise DataError(
            "feature_contract_mismatch",
            f"{len(names)} feature columns were given, expected {len(self.names)} in the order of "
            f"contract {self.hash[:12]}:\n{diff}\n",
            "Build the features with the version of nmr_ml that the model was trained with, or "
            "train again.",
        )


@cache
def feature_contract() -> FeatureContract:
    """Return the contract of the features that this version builds."""
    features = catalogue()
    return FeatureContract(
        names=tuple(f.name for f in features),
        units=tuple(f.unit for f in features),
        groups=tuple(f.group for f in features),
        formulas=tuple(f.formula for f in features),
        null_rules=tuple(f.null_rule for f in features),
        max_ages_h=tuple(f.max_age_h for f in features),
        always=tuple(f.always for f in features),
        categories=tuple(f.categories for f in features),
    )
