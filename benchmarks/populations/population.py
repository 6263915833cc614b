"""A population: the tables of a cohort, and what recovery truly was behind them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from nmr_ml.cohort.reader import canonical_cohort

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.numeric.arrays import Floats


#: Hours after the clock start of the columns `d_*` of the truth.
TOLD_H = np.array([0.0, 12.0, 24.0, 48.0, 72.0, 96.0])
DEFICIT_COLUMNS = tuple(f"d_{h:.0f}" for h in TOLD_H)
TRUTH_COLUMNS = (
    "athlete_id", "episode_id", "component", "delta", "recovery_h", *DEFICIT_COLUMNS, "arch",
)  # fmt: skip
#: The smallest deficit that counts, as in the catalogue of tests: the hours are told for it.
DELTAS = {"power": 2.6, "coordination": 4.0, "perceptual": 0.5}
#: Nothing lasts longer than this here; the search for the end of a deficit stops there.
LONGEST_H = 1500.0
#: While a deficit may still rise again, it is looked at every so many hours.
STEP_H = 0.5
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Population:
    """A population as `canonical_cohort` and `write_cohort` take it.

    Parameters
    ----------
    name, timezone : str
    tables : mapping of str to DataFrame
        With zoned times. A column that the format does not know is kept out by the reader, which
        says so.
    truth : DataFrame with `TRUTH_COLUMNS`
        One row for each session and component, with no further session; deficits count from the
        athlete's fresh level of the day and hold what earlier sessions left.
    """

    name: str
    timezone: str
    tables: Mapping[str, pd.DataFrame]
    truth: pd.DataFrame

    def cohort(self) -> Cohort:
        """Return the cohort as the reader makes it of the tables."""
        return canonical_cohort(self.name, self.timezone, self.tables, now=datetime.now(UTC))[0]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Hours since the first midnight as moments; the season's first day is a Monday."""

    first: pd.Timestamp

    @classmethod
    def of(cls, monday: str, timezone: str) -> Calendar:
        """Begin at midnight of the day `monday` in `timezone`."""
        return cls(pd.Timestamp(monday, tz=timezone).tz_convert("UTC"))

    def at(self, hours: float) -> pd.Timestamp:
        """Return the moment, to the minute: that is what people write down."""
        return self.first + pd.Timedelta(minutes=to_minute(hours))


def to_minute(hours: float) -> int:
    """Return the whole minutes of `hours`."""
    return round(60.0 * hours)


def recovery_hours(deficit: Callable[[Floats], Floats], delta: float, falls_from_h: float) -> float:
    """Return the hour from which `deficit` stays below `delta`.

    Parameters
    ----------
    deficit : callable
        Deficits at hours after the clock start.
    falls_from_h : float
        From here on the deficit only falls. Before, a rise above `delta` that is over within
        `STEP_H` is not seen.
    """
    hours = np.append(np.arange(0.0, falls_from_h + STEP_H, STEP_H), LONGEST_H)
    counts = np.flatnonzero(deficit(hours) >= delta)
    if not counts.size:
        return 0.0
    between = hours[counts[-1]], hours[counts[-1] + 1]
    return float(brentq(lambda h: deficit(np.array([h]))[0] - delta, *between, xtol=1e-6))


def truth_row(
    keys: Mapping[str, str],
    component: str,
    deficit: Callable[[Floats], Floats],
    falls_from_h: float = 0.0,
) -> Row:
    """Return the row of `TRUTH_COLUMNS` of an episode whose ids and kind are `keys`."""
    told = dict(zip(DEFICIT_COLUMNS, deficit(TOLD_H).tolist(), strict=True))
    hours = recovery_hours(deficit, DELTAS[component], falls_from_h)
    return {
        **keys, "component": component, "delta": DELTAS[component], "recovery_h": hours, **told,
    }  # fmt: skip


def gathered(rows: Sequence[Mapping[str, Sequence[Row]]]) -> dict[str, pd.DataFrame]:
    """Return the frames of the tables whose rows each athlete has brought."""
    names = dict.fromkeys(name for own in rows for name in own)
    return {
        name: pd.DataFrame([row for own in rows for row in own.get(name, ())]) for name in names
    }


def population_of(
    name: str, timezone: str, athletes: Sequence[Mapping[str, Sequence[Row]]]
) -> Population:
    """Put the rows of all athletes together; those called ``truth`` become the truth."""
    tables = gathered(athletes)
    truth = tables.pop("truth")[list(TRUTH_COLUMNS)]
    return Population(name, timezone, tables, truth)
