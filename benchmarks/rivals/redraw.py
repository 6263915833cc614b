"""The simulator's own posterior: what a morning test would tell somebody who knows the simulator.

For one episode everything that is known is held: the states before the session, the session's load
as it was, sleep, hormones and food of every day. What the simulator draws at random for athlete and
session is drawn again: the athlete's rate, size of impulse, weight of inflammation, familiarity and
training status, the session's own impulse, and the daily rates that no column explains. Each draw
gives a recovery time and a deficit at the hour of the test, through the simulator's own kernels.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.rivals.problem import INDEX_TEST
from nmr_ml.simulator import kernels, load_config
from nmr_ml.simulator.archetypes import damage_protection, impulses
from nmr_ml.simulator.life import deltas, live
from nmr_ml.simulator.modulators import daily_rates
from nmr_ml.simulator.observe_sessions import session_ids
from nmr_ml.simulator.people import make_person, make_team, team_index
from nmr_ml.simulator.schedule import make_plan
from nmr_ml.simulator.streams import wandering
from nmr_ml.simulator.world import World

if TYPE_CHECKING:
    from benchmarks.rivals.problem import Origin
    from nmr_ml.numeric.arrays import Floats
    from nmr_ml.simulator.life import Life
    from nmr_ml.simulator.people import Person


DAMAGE = 2
#: So short a time before the session's end that nothing is left out but the session.
JUST_H = 1e-6


@dataclass(frozen=True, slots=True)
class Asked:
    """An episode and its test: hours after the clock start, and the height jumped in cm.

    `athlete` is the simulator's number of the athlete.
    """

    athlete: int
    session_id: str
    test_h: float
    value_cm: float


@dataclass(frozen=True, slots=True)
class Redrawn:
    """Draws of each episode, shape (n, n_draws): recovery time in h, deficit at the test in %.

    `reading` (n,) is the deficit that the test shows against the true rested level of that hour,
    `true_h` the recovery time as it was.
    """

    recovery_h: Floats
    deficit: Floats
    true_h: Floats
    reading: Floats


def redraw(origin: Origin, asked: list[Asked], *, draws: int, seed: int) -> Redrawn:
    """Draw each of `asked` anew `draws` times."""
    config = load_config(settings=(f"test_error_pct={origin.test_error_pct}", *origin.settings))
    world = World.of(config, days=origin.days, profile=origin.profile, seed=origin.seed)  # type: ignore[arg-type]
    by_athlete = defaultdict(list)
    for place, one in enumerate(asked):
        by_athlete[one.athlete].append(place)
    times, deficits = np.empty((len(asked), draws)), np.empty((len(asked), draws))
    true_h, reading = np.empty(len(asked)), np.empty(len(asked))
    rng = np.random.default_rng(seed)
    for athlete, places in by_athlete.items():
        life = _life(athlete, world)
        hours, ids = life.recovery_hours()[:, kernels.POWER], session_ids(life).tolist()
        for place in places:
            i, test_h = ids.index(asked[place].session_id), asked[place].test_h
            true_h[place] = hours[i]
            reading[place] = _reading(life, i, asked[place])
            for k in range(draws):
                times[place, k], deficits[place, k] = _one(life, i, test_h, rng)
    return Redrawn(times, deficits, true_h, reading)


def _life(athlete: int, world: World) -> Life:
    team = make_team(team_index(athlete, world.config), world.seed, world.config)
    person = make_person(athlete, team, world.seed, world.config)
    return live(person, make_plan(team, world), world)


def _reading(life: Life, i: int, one: Asked) -> float:
    """Return the deficit that the jump shows to somebody who knows level, hour and short sleep."""
    config, person = life.world.config, life.person
    at_h = float(life.sessions.end_h[i]) + one.test_h
    day, hour = life.world.clock.local(np.array([at_h]))
    daytime = 1.0 + config.tests.cmj_day_amplitude * float(np.cos(2 * np.pi * (hour[0] - 17) / 24))
    level = person.base[INDEX_TEST] * (1.0 + person.drift_per_h[INDEX_TEST] * at_h)
    short_h = max(person.sleep_hours - float(life.sleep_h[day[0]]), 0.0)
    sleepy = short_h * life.world.factor * config.modulators.acute_sleep_pct_per_h
    return 100.0 * (1.0 - one.value_cm / (level * daytime)) - sleepy


def _person(person: Person, rng: np.random.Generator, life: Life) -> Person:
    """Draw what no column tells of the athlete."""
    people, normal = life.world.config.people, rng.standard_normal(5)
    return replace(
        person,
        log_rate=people.rate_sd * normal[0],
        impulse=float(np.exp(people.impulse_sd * normal[1])),
        inflammation=float(np.exp(people.inflammation_sd * normal[2])),
        familiarity=float(
            np.clip(people.familiarity_mean + people.familiarity_sd * normal[3], 0.1, 0.95)
        ),
        training=float(np.clip(normal[4], -2.0, 2.0)),
    )


def _one(life: Life, i: int, test_h: float, rng: np.random.Generator) -> tuple[float, float]:
    """Return recovery time and deficit at `test_h` after session `i`, all drawn anew."""
    config, person = life.world.config, _person(life.person, rng, life)
    path = config.modulators.daily_sd * wandering(
        rng, life.days.unexplained.size, config.modulators.daily_correlation
    )
    days = replace(life.days, unexplained=path)
    lost = life.sleep_h - life.days.sleep_h
    rates = daily_rates(person, days, lost, life.world.factor, config)
    undisturbed = daily_rates(person, days, np.zeros_like(lost), life.world.factor, config)
    outputs = config.weights()
    outputs = outputs._replace(power_i=outputs.power_i * person.inflammation)
    after = _after(life, i, person, rng)
    end_h = life.sessions.end_h[i : i + 1]
    hours = kernels.recovery_hours(
        end_h, after, life.late_night[i : i + 1], rates, undisturbed, deltas(),
        config.truth_horizon_h, config.dynamics, outputs,
    )  # fmt: skip
    then = kernels.states_at(end_h + test_h, end_h, after, after[0], rates, config.dynamics)
    return float(hours[0, kernels.POWER]), float(
        kernels.deficits_of(then, outputs)[0, kernels.POWER]
    )


def _after(life: Life, i: int, person: Person, rng: np.random.Generator) -> Floats:
    """Return the states just after session `i` for another draw of athlete and session."""
    world, sessions = life.world, life.sessions
    config = world.config
    one = sessions.load.take(np.array([i]))
    noise = float(np.exp(config.variation.session_impulse * rng.standard_normal()))
    left = impulses(one, world.catalogue, config.mapping) * person.impulse * noise
    left[:, DAMAGE] *= damage_protection(_familiarity(person, life, i), person.training,
                                         config.mapping)  # fmt: skip
    before = life.states(sessions.end_h[i : i + 1] - JUST_H)[0]
    at_once = np.zeros(1)  # a session that ends at hour 0 lets nothing decay
    states, _ = kernels.run_sessions(
        at_once, at_once, left, sessions.load_au[i : i + 1], np.full(1, np.nan), before,
        life.rates, config.dynamics, life.outputs, config.follow_up,
    )  # fmt: skip
    return np.asarray(states)


def _familiarity(person: Person, life: Life, i: int) -> Floats:
    """Return how used the athlete is to the exercise on the day of session `i`."""
    config = life.world.config
    day, _ = life.world.clock.local(life.sessions.start_h[i : i + 1])
    season = day - config.calendar.preseason_days
    missing = config.mapping.preseason_loss * np.exp(-season / config.mapping.preseason_days)
    return np.clip(person.familiarity - missing, 0.0, 1.0)
