"""Morning questionnaires; every item is higher when better."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.recovery_tests import shipped_testspecs
from nmr_ml.simulator.availability import away
from nmr_ml.simulator.kernels import PERCEPTUAL, C, F, H, I, deficits_of, soreness
from nmr_ml.simulator.observe_tests import declared
from nmr_ml.simulator.streams import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nmr_ml.numeric.arrays import Floats, Ints
    from nmr_ml.simulator.life import Life
    from nmr_ml.simulator.observe_tests import Columns

RATINGS = ("readiness", "fatigue", "soreness", "sleep_quality", "stress", "mood")
_TEN = (0.0, 10.0)
_FIVE = (1.0, 5.0)


def ratings(life: Life) -> Iterator[Columns]:
    """Yield the rows of each questionnaire item, as columns."""
    config, clock = life.world.config, life.world.clock
    rng = stream(life.world.seed, Purpose.RATINGS, life.person.index)
    day = np.flatnonzero(rng.random(life.world.span) < config.tests.questionnaire_probability)
    times = clock.elapsed(day, life.days.wake_hour[day] + 0.4)
    states = life.states(times)
    low = _lowered(life, states, day)
    ill = away(times, [a for a in life.absences if a.kind == "systemic"])
    told = declared(times, np.ones(times.size, dtype=bool), config.tests.rested_rating_h, life)
    for item in RATINGS:
        base = np.full(day.size, life.person.base[item])
        deficit = low[item] + config.availability.readiness_loss * ill
        value = answer(item, base, deficit, rng)
        yield {
            "athlete_id": np.full(day.size, life.person.athlete_id),
            "measured_at": times,
            "test": np.full(day.size, item),
            "value": value,
            "unit": np.full(day.size, "1"),
            "rested": told,
        }


def answer(
    item: str,
    base: Floats,
    deficit: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Return whole-numbered answers whose error, rounding included, is that of the catalogue.

    Rounding adds a variance of 1/12 (Sheppard), so that much less is drawn.
    """
    error = float(np.sqrt(shipped_testspecs()[item].between_day_te ** 2 - 1.0 / 12.0))
    exact = base - deficit + error * rng.standard_normal(base.shape)
    return np.clip(np.round(exact), *(_TEN if item == "readiness" else _FIVE))


def _lowered(life: Life, states: Floats, day: Ints) -> dict[str, Floats]:
    """Return the points that each item is lowered by."""
    spec, out = life.world.config.ratings, life.outputs
    endocrine = spec.mood_h * states[:, H]
    return {
        "readiness": deficits_of(states, out)[:, PERCEPTUAL],
        "fatigue": spec.fatigue_f * states[:, F]
        + spec.fatigue_c * states[:, C]
        + spec.fatigue_h * states[:, H],
        "soreness": spec.soreness * soreness(states[:, I], out),
        "sleep_quality": spec.sleep_per_h * (life.person.sleep_hours - life.sleep_h[day]),
        "stress": endocrine,
        "mood": endocrine,
    }
