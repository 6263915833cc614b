"""A cohort: the checked, canonical tables about a group of athletes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


@dataclass(frozen=True, slots=True)
class Warned:
    """Something worth telling that does not stop the work."""

    code: str
    message: str
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class TableCount:
    """Where the rows of one table went: `rows_in` = `used` + `quarantined`."""

    rows_in: int
    used: int
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def quarantined(self) -> int:
        """Rows that cannot be used."""
        return sum(self.reasons.values())


@dataclass(frozen=True, slots=True)
class Cohort:
    """The canonical tables of a cohort.

    Parameters
    ----------
    name, timezone : str
        From ``cohort.yaml``; `timezone` is an IANA name and empty where the cohort names none.
    tables : mapping of str to DataFrame
        One frame for each table of `nmr_ml.cohort.tables.TABLES`, always with every column of its
        table (wholly missing where the source has none, no rows where the table is absent). Times
        are ``datetime64[us, UTC]``, dates naive ``datetime64[us]``, numbers float64, bools
        ``boolean``, the rest ``str``. `known_at` and the event time are filled in; laboratory and
        test values are in canonical units.
    counts : mapping of str to TableCount
        Rows in, used and quarantined, for each table that is present.
    warnings : tuple of Warned
        What the reader kept out or noticed.
    """

    name: str
    timezone: str
    tables: Mapping[str, pd.DataFrame]
    counts: Mapping[str, TableCount] = field(default_factory=dict)
    warnings: tuple[Warned, ...] = ()

    def __getitem__(self, table: str) -> pd.DataFrame:
        """Return the frame of `table`; KeyError for a name that is no table."""
        return self.tables[table]
