"""Kernel of the person: what the athletes table says, and the age."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.cohort.tables import SEXES
from nmr_ml.features.moments import SAME_MOMENT, Moments, copy_previous
from nmr_ml.numeric.compiled import inner

if TYPE_CHECKING:
    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Floats


WIDTH = 7
AGE = 1
UNKNOWN_SEX = SEXES.index("unknown")


class People(NamedTuple):
    """The athletes as the kernel sees them; `given` holds the features, the age left out."""

    birth_year: Floats
    pill: Floats
    given: Floats


def people_of(history: History) -> People:
    """Lay the athletes out for the kernel."""
    person = history.person
    sex, pill = person["sex"], person["hormonal_contraception"]
    share = person["fat_free_mass_kg"] / person["body_mass_kg"]
    columns = (
        np.where(sex == UNKNOWN_SEX, np.nan, sex), np.full(sex.size, np.nan),
        person["training_tier"], person["body_mass_kg"], np.where(share <= 1, share, np.nan),
        person["stature_cm"], pill,
    )  # fmt: skip
    return People(person["birth_year"], pill, np.column_stack(columns))


@inner
def person(m: Moments, first: int, last: int, p: People, out: Floats, col: int) -> None:
    """Write the features of the person from column `col` on."""
    for q in range(first, last):
        if m.alike[q] == SAME_MOMENT:
            copy_previous(out, q, col, WIDTH)
            continue
        athlete = m.athlete[q]
        for c in range(WIDTH):
            out[q, col + c] = p.given[athlete, c]
        out[q, col + AGE] = year_of(m.as_of_day[q]) - p.birth_year[athlete]


@inner
def year_of(day: int) -> int:
    """Return the year of a day number (days since 1970), by the Gregorian calendar."""
    era, day_of_era = divmod(day + 719_468, 146_097)  # from 1 March of the year 0, 400 years each
    leap_days = day_of_era // 1460 - day_of_era // 36_524 + day_of_era // 146_096
    year_of_era = (day_of_era - leap_days) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    return int(400 * era + year_of_era + (1 if day_of_year >= 306 else 0))
