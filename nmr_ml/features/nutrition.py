"""Kernel of food: the last known day, the last three, and energy availability."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.features.moments import SAME_MOMENT, Moments, copy_previous, fill_missing, stacked
from nmr_ml.history.local_time import DAY_S, HOUR_S
from nmr_ml.numeric.compiled import inner
from nmr_ml.numeric.sorted_rows import upper_bound, upper_bound_near

if TYPE_CHECKING:
    from nmr_ml.features.load import Sessions
    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Floats, Ints


WIDTH = 6
STALE_S = 3 * DAY_S


class Food(NamedTuple):
    """The days as the kernel sees them; `grams` holds carbohydrate and protein."""

    offsets: Ints
    at_s: Ints
    known_s: Ints
    day: Ints
    grams: Floats
    energy_kcal: Floats
    body_mass_kg: Floats
    fat_free_mass_kg: Floats


def food_of(history: History) -> Food:
    """Lay the days out for the kernel."""
    rows, columns = history.nutrition, history.nutrition.columns
    return Food(
        rows.offsets, rows.at_s, rows.known_s, columns["local_day"].astype(np.int64),
        stacked([columns["carbohydrate_g"], columns["protein_g"]]), columns["energy_kcal"],
        history.person["body_mass_kg"], history.person["fat_free_mass_kg"],
    )  # fmt: skip


@inner
def nutrition(
    m: Moments, first: int, last: int, f: Food, s: Sessions, out: Floats, col: int
) -> None:
    """Write the features of food from column `col` on."""
    end = 0
    for q in range(first, last):
        if m.alike[q] == SAME_MOMENT:
            copy_previous(out, q, col, WIDTH)
            continue
        fill_missing(out, q, col, WIDTH)
        as_of, athlete = m.as_of_s[q], m.athlete[q]
        begin = f.offsets[athlete]
        end = upper_bound_near(f.at_s, begin, f.offsets[athlete + 1], as_of, end)
        begin = upper_bound_near(f.at_s, begin, end, as_of - STALE_S, end - 3)
        mass, lean = f.body_mass_kg[athlete], f.fat_free_mass_kg[athlete]
        if mass > 0:
            for nutrient in range(2):
                latest, mean = eaten(f, begin, end, nutrient, as_of)
                out[q, col + 2 * nutrient] = latest / mass
                out[q, col + 2 * nutrient + 1] = mean / mass
        for i in range(end - 1, begin - 1, -1):
            if f.known_s[i] <= as_of:
                spent = spent_kcal(s, athlete, f.day[i], as_of)
                out[q, col + 4] = (f.energy_kcal[i] - spent) / lean if lean > 0 else np.nan
                out[q, col + 5] = (as_of - f.at_s[i]) / HOUR_S
                break


@inner
def eaten(f: Food, begin: int, end: int, nutrient: int, as_of_s: int) -> tuple[float, float]:
    """Return the grams of the last known day and the mean of the days, NaN below 2 of them."""
    last, total, days = np.nan, 0.0, 0
    for i in range(end - 1, begin - 1, -1):
        grams = f.grams[i, nutrient]
        if f.known_s[i] <= as_of_s and not np.isnan(grams):
            last = grams if days == 0 else last
            total, days = total + grams, days + 1
    return last, total / days if days >= 2 else np.nan


@inner
def spent_kcal(s: Sessions, athlete: int, day: int, as_of_s: int) -> float:
    """Return the energy of the sessions of a local day; NaN where that of one is not known."""
    first = s.offsets[athlete]
    total = 0.0
    last = upper_bound(s.at_s, first, s.offsets[athlete + 1], as_of_s)
    for i in range(last - 1, first - 1, -1):
        if s.day[i] < day:
            break
        if s.day[i] == day and s.known_s[i] <= as_of_s:
            total += s.energy_kcal[i]
    return total
