"""Who trains when and how much: team weeks, and what each athlete makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.numeric.arrays import RowWise
from nmr_ml.simulator.archetypes import LIGHT, MARKERS, Load, damage_protection, impulses
from nmr_ml.simulator.clock import to_minute
from nmr_ml.simulator.streams import Purpose, stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nmr_ml.numeric.arrays import Bools, Floats, Ints
    from nmr_ml.simulator.archetypes import Catalogue
    from nmr_ml.simulator.config import SimulatorConfig, Slot
    from nmr_ml.simulator.people import Person, Team
    from nmr_ml.simulator.world import World

_COUNTS = np.array([name.endswith("_n") for name in MARKERS])
#: A chance, not a count, decides about each planned session; these are the columns of the draws.
_ATTENDS, _SUBSTITUTE, _REST, _INJURY = range(4)


@dataclass(frozen=True, slots=True)
class Plan:
    """The sessions that a team holds, in order of their start."""

    day: Ints
    start_h: Floats
    archetype: Ints
    kind: NDArray[np.str_]
    volume: Floats
    intensity: Floats
    team_load: Floats
    probability: Floats
    followed: Bools


@dataclass(frozen=True, slots=True)
class Sessions(RowWise):
    """The sessions of one athlete, in order of their start; times are elapsed hours.

    `impulses` are F, C, D, G, H for this athlete; `injury_draw` and `rest_draw` are uniform
    numbers that injuries and the coach's decision compare their chances with.
    """

    start_h: Floats
    end_h: Floats
    kind: NDArray[np.str_]
    load: Load
    impulses: Floats
    followed: Bools
    injury_draw: Floats
    rest_draw: Floats

    @property
    def load_au(self) -> Floats:
        """Session load, RPE x min."""
        return self.load.rpe * self.load.duration_min


def is_break(day: Ints, team: Team, config: SimulatorConfig) -> Bools:
    """Return whether the team rests on `day`: before the season and in its breaks."""
    calendar = config.calendar
    in_season = day - calendar.preseason_days
    cycle = calendar.break_every_days + calendar.break_days
    resting = (in_season + team.break_offset) % cycle >= calendar.break_every_days
    return (in_season < 0) | resting


def make_plan(team: Team, world: World) -> Plan:
    """Draw the sessions that `team` holds."""
    config, catalogue = world.config, world.catalogue
    rng = stream(world.seed, Purpose.PLAN, team.index)
    all_days = np.arange(world.span)
    free = is_break(all_days, team, config)
    held = [
        (day, *place)
        for day in all_days[~free]
        for place in _day_of(config.sports[team.sport], int(day % 7), rng, config)
    ]
    slots = [slot for _, slot, _, _, _ in held]
    day = np.array([row[0] for row in held], dtype=np.int64)
    return Plan(
        day=day,
        start_h=world.clock.elapsed(day, [row[2] for row in held]),
        archetype=np.array([catalogue.names.index(s.archetype) for s in slots], dtype=np.int64),
        kind=np.array([slot.kind for slot in slots], dtype=str),
        volume=np.array([slot.volume for slot in slots]),
        intensity=np.array([slot.intensity for slot in slots]),
        team_load=np.array([row[3] for row in held]),
        probability=np.array([slot.probability for slot in slots]),
        followed=np.array([row[4] for row in held], dtype=bool),
    )


def _day_of(
    week: tuple[Slot, ...], weekday: int, rng: np.random.Generator, config: SimulatorConfig
) -> Iterator[tuple[Slot, float, float, bool]]:
    """Yield the sessions of one day: slot, clock hour, log-normal load, whether tests follow."""
    rows = []
    for slot in week:
        if slot.day != weekday:
            continue
        planned, late, followed = rng.random(3)
        load = float(np.exp(config.variation.team_load * rng.standard_normal()))
        if planned < slot.planned:
            hour = slot.hour + (config.calendar.late_shift_h if late < slot.late else 0.0)
            light = slot.archetype == LIGHT
            chance = getattr(config.tests.follow, "light" if light else slot.kind)
            rows.append((slot, hour, load, bool(followed < chance)))
    # On the day of a match or race nothing else is done.
    contests = [row for row in rows if row[0].kind != "training"][:1]
    yield from sorted(contests or rows, key=lambda row: row[1])


def attend(person: Person, plan: Plan, world: World) -> Sessions:
    """Draw what `person` does of the team's plan, injuries aside."""
    config, catalogue = world.config, world.catalogue
    rng = stream(world.seed, Purpose.SESSIONS, person.index)
    n = plan.start_h.size
    chance = rng.random((n, 4))
    calendar = config.calendar
    contest = plan.kind == "match"
    substitute = contest & (chance[:, _SUBSTITUTE] < calendar.substitute_share)
    volume = plan.volume * np.where(substitute, calendar.substitute_volume, 1.0)
    load = draw_loads(plan, volume, catalogue, rng, config)
    noise = np.exp(config.variation.session_impulse * rng.standard_normal(n))
    left = impulses(load, catalogue, config.mapping) * (person.impulse * noise)[:, None]
    left[:, 2] *= damage_protection(
        _familiarity(person, plan, config), person.training, config.mapping
    )
    free = contest | (plan.kind == "race") | (not config.informative_follow_up)
    start_h = plan.start_h
    end_h = to_minute(start_h + load.duration_min / 60.0)
    sessions = Sessions(
        start_h=start_h,
        end_h=end_h,
        kind=plan.kind,
        load=load,
        impulses=left,
        followed=plan.followed,
        injury_draw=chance[:, _INJURY],
        rest_draw=np.where(free, np.nan, chance[:, _REST]),
    )
    return sessions.take(_one_at_a_time(chance[:, _ATTENDS] < plan.probability, start_h, end_h))


def _familiarity(person: Person, plan: Plan, config: SimulatorConfig) -> Floats:
    """Return how used the body is to the exercise; less so in the first weeks."""
    season = plan.day - config.calendar.preseason_days
    missing = config.mapping.preseason_loss * np.exp(-season / config.mapping.preseason_days)
    return np.clip(person.familiarity - missing, 0.0, 1.0)


def draw_loads(
    plan: Plan,
    volume: Floats,
    catalogue: Catalogue,
    rng: np.random.Generator,
    config: SimulatorConfig,
) -> Load:
    """Draw the load of each session; the markers carry most of its variation."""
    n, variation, kind = volume.size, config.variation, plan.archetype
    scale = plan.team_load * np.exp(variation.athlete_load * rng.standard_normal(n))
    spread = np.array([variation.markers[name] for name in MARKERS])
    markers = catalogue.markers[kind] * (volume * scale)[:, None]
    markers = markers * np.exp(spread * rng.standard_normal((n, len(MARKERS))))
    # The power of .35 leaves the longer share of a bigger load to time and distance [assumption].
    rpe = catalogue.rpe[kind] * plan.intensity * scale**0.35 * volume**0.15
    rpe += variation.rpe_points * rng.standard_normal(n)
    beat = catalogue.hr_reserve[kind] * plan.intensity**0.6
    beat = beat + variation.hr_reserve * rng.standard_normal(n)
    reserve = catalogue.reps_in_reserve[kind]
    reserve = reserve + variation.reps_in_reserve * rng.standard_normal(n)
    minutes = catalogue.duration_min[kind] * volume * np.exp(0.04 * rng.standard_normal(n))
    return Load(
        archetype=kind,
        duration_min=np.maximum(10.0, np.round(minutes)),
        rpe=np.clip(rpe, 1.0, 10.0),
        hr_reserve=np.clip(beat, 0.2, 0.97),
        reps_in_reserve=np.clip(np.round(2.0 * reserve) / 2.0, 0.0, 7.0),
        markers=np.where(_COUNTS, np.maximum(np.round(markers), 1.0), np.round(markers)),
    )


def _one_at_a_time(attends: Bools, start_h: Floats, end_h: Floats) -> Bools:
    """Return who of `attends` does not begin before an earlier session has ended."""
    busy_until = -np.inf
    kept = attends.copy()
    for i in np.flatnonzero(attends):
        if start_h[i] < busy_until:
            kept[i] = False
        else:
            busy_until = end_h[i]
    return kept
