"""One athlete's cohort time: sessions that took place, states through time, and the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.recovery_tests import COMPONENTS, shipped_testspecs
from nmr_ml.simulator import kernels
from nmr_ml.simulator.availability import away, draw_absences
from nmr_ml.simulator.kernels import ACUTE, CHRONIC, N_STATES, run_sessions, states_at
from nmr_ml.simulator.modulators import daily_rates, draw_days, late_nights, lost_sleep
from nmr_ml.simulator.schedule import attend

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats, Ints
    from nmr_ml.simulator.availability import Absence
    from nmr_ml.simulator.kernels import Outputs
    from nmr_ml.simulator.modulators import Days
    from nmr_ml.simulator.people import Person
    from nmr_ml.simulator.schedule import Plan, Sessions
    from nmr_ml.simulator.world import World

#: Chronic load before the first session, RPE x min per hour: a usual training week [assumption].
USUAL_LOAD_PER_H = 330.0 / 24.0


@dataclass(frozen=True, slots=True)
class Life:
    """What happened to one athlete.

    `after` holds the states just after each session; `rates` are the daily rates as lived,
    `undisturbed` those without the nights that late sessions cut; `sleep_h` is as lived.
    """

    person: Person
    sessions: Sessions
    absences: tuple[Absence, ...]
    days: Days
    sleep_h: Floats
    late_night: Ints
    rates: Floats
    undisturbed: Floats
    after: Floats
    outputs: Outputs
    world: World

    def states(self, times: Floats) -> Floats:
        """Return the states at elapsed hours, shape (times, N_STATES)."""
        dynamics = self.world.config.dynamics
        states: Floats = states_at(
            times, self.sessions.end_h, self.after, rested(), self.rates, dynamics
        )
        return states

    def recovery_hours(self) -> Floats:
        """Return the true recovery times of each session and component, shape (sessions, 4)."""
        config = self.world.config
        hours: Floats = kernels.recovery_hours(
            self.sessions.end_h,
            self.after,
            self.late_night,
            self.rates,
            self.undisturbed,
            deltas(),
            config.truth_horizon_h,
            config.dynamics,
            self.outputs,
        )
        return hours


def rested() -> Floats:
    """Return the states of a rested athlete in usual training."""
    states = np.zeros(N_STATES, dtype=np.float64)
    states[[ACUTE, CHRONIC]] = USUAL_LOAD_PER_H
    return states


def deltas() -> Floats:
    """Return δ of the index test of each component, in the order of `COMPONENTS`."""
    by_component = {
        spec.component: spec.delta for spec in shipped_testspecs().values() if spec.index
    }
    return np.array([by_component[component] for component in COMPONENTS], dtype=np.float64)


def live(person: Person, plan: Plan, world: World) -> Life:
    """Run `person` through the team's plan."""
    config = world.config
    meant = attend(person, plan, world)
    absences = draw_absences(person, meant, world)
    # The session of an injury ends at its onset, and so has taken place.
    sessions = meant.take(~away(meant.start_h, absences) & ~away(meant.end_h, absences))
    days = draw_days(person, world.all_days, world.seed, config)
    end_day, end_clock = world.clock.local(sessions.end_h)
    late = late_nights(end_clock, end_day, sessions.kind == "match", config)
    lost = lost_sleep(late, world.all_days, config)
    rates = daily_rates(person, days, lost, world.factor, config)
    weights = config.weights()
    outputs = weights._replace(power_i=weights.power_i * person.inflammation)
    after, held = run_sessions(
        sessions.start_h,
        sessions.end_h,
        sessions.impulses,
        sessions.load_au,
        sessions.rest_draw,
        rested(),
        rates,
        config.dynamics,
        outputs,
        config.follow_up,
    )
    return Life(
        person=person,
        sessions=sessions.take(held),
        absences=tuple(absences),
        days=days,
        sleep_h=days.sleep_h + lost,
        late_night=late[held],
        rates=rates,
        undisturbed=daily_rates(person, days, np.zeros(world.all_days), world.factor, config),
        after=after[held],
        outputs=outputs,
        world=world,
    )
