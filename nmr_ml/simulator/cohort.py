"""A whole simulated cohort: the tables of the format, and the truth behind them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmr_ml.cohort.tables import TABLES, TRUTH
from nmr_ml.errors import UsageError
from nmr_ml.recovery_tests import AVAILABILITY, COMPONENTS
from nmr_ml.simulator.config import shipped_config
from nmr_ml.simulator.life import deltas, live
from nmr_ml.simulator.observe_days import meals, nights
from nmr_ml.simulator.observe_labs import labs
from nmr_ml.simulator.observe_ratings import ratings
from nmr_ml.simulator.observe_sessions import recorded_sessions, session_ids
from nmr_ml.simulator.observe_tests import jump_tests
from nmr_ml.simulator.people import make_person, make_team, team_index
from nmr_ml.simulator.schedule import make_plan
from nmr_ml.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from nmr_ml.cohort.tables import Table
    from nmr_ml.simulator.clock import Clock
    from nmr_ml.simulator.config import Profile, SimulatorConfig
    from nmr_ml.simulator.life import Life
    from nmr_ml.simulator.observe_tests import Columns
    from nmr_ml.simulator.people import Person, Team
    from nmr_ml.simulator.schedule import Plan

MAX_DAYS = 730
#: Kinds of columns that hold text; the empty text stands for a missing one until the frame is made.
_WORDS = frozenset({"id", "text", "category"})
Chunks = dict[str, list["Columns"]]


@dataclass(frozen=True, slots=True)
class SimulatedCohort:
    """A cohort as `nmr_ml.cohort.writer.write_cohort` takes it.

    `tables` have the column names of `nmr_ml.cohort.tables` and zoned times; `truth` has one row
    for each episode and component, `recovery_h` being the hours had no further session come.
    """

    name: str
    timezone: str
    description: str
    tables: Mapping[str, pd.DataFrame]
    truth: pd.DataFrame


def simulate(
    *,
    athletes: int,
    days: int,
    profile: Profile = "evidence",
    seed: int = 0,
    config: SimulatorConfig | None = None,
) -> SimulatedCohort:
    """Simulate a cohort; the same arguments give the same cohort.

    Parameters
    ----------
    athletes, days : int
        At least 1 athlete and 14 days, at most 730 days. An athlete's data do not depend on
        `athletes`.
    profile : {"evidence", "strong", "null"}
        How much sleep and hormones change recovery: as the literature suggests, three times that,
        or not at all.
    seed : int
        At least 0.
    config : SimulatorConfig, optional
        By default ``configs/simulator.yaml``.

    Raises
    ------
    UsageError
        ``out_of_bounds`` for an argument outside of its bounds.
    """
    config = config or shipped_config()
    _check("athletes", athletes, 1, 1_000_000)
    _check("days", days, 14, MAX_DAYS)
    _check("seed", seed, 0, 2**63 - 1)
    if profile not in config.profiles:
        raise UsageError(
            "out_of_bounds",
            f"profile is {profile!r}, expected one of {', '.join(config.profiles)}.",
            "Choose one of them.",
        )
    world = World.of(config, days=days, profile=profile, seed=seed)
    chunks: Chunks = defaultdict(list)
    for person, plan in _people(athletes, world):
        _observe(chunks, live(person, plan, world))
    tables = {
        name: _frame(table, chunks[name], world.clock)
        for name, table in TABLES.items()
        if name in chunks
    }
    return SimulatedCohort(
        name=f"simulated-{profile}-{seed}",
        timezone=config.timezone,
        description=f"{athletes} simulated athletes, {days} days, profile {profile}, seed {seed}",
        tables=tables,
        truth=_frame(TRUTH, chunks[TRUTH.name], world.clock),
    )


def _check(name: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise UsageError(
            "out_of_bounds",
            f"{name} is {value}, expected {lowest} to {highest}.",
            f"Choose {name} within these bounds.",
        )


def _people(athletes: int, world: World) -> Iterator[tuple[Person, Plan]]:
    teams: dict[int, tuple[Team, Plan]] = {}
    for athlete in range(athletes):
        index = team_index(athlete, world.config)
        if index not in teams:
            team = make_team(index, world.seed, world.config)
            teams[index] = team, make_plan(team, world)
        team, plan = teams[index]
        yield make_person(athlete, team, world.seed, world.config), plan


def _observe(chunks: Chunks, life: Life) -> None:
    """Add what is recorded of one athlete to the chunks of each table."""
    chunks["athletes"].append(_who(life.person))
    chunks["sessions"].append(recorded_sessions(life))
    chunks["tests"].extend(jump_tests(life))
    chunks["tests"].extend(ratings(life))
    chunks["labs"].extend(labs(life))
    for table, rows in (("sleep", nights(life)), ("nutrition", meals(life))):
        if rows is not None:
            chunks[table].append(rows)
    chunks["episodes"].append(_episodes(life))
    chunks[TRUTH.name].append(_session_truth(life))
    chunks[TRUTH.name].append(_absence_truth(life))


def _who(person: Person) -> Columns:
    male = person.male
    return {
        "athlete_id": np.array([person.athlete_id]),
        "sex": np.array([person.team.sex]),
        "birth_year": np.array([float(person.birth_year)]),
        "body_mass_kg": np.array([person.body_mass_kg]),
        "fat_free_mass_kg": np.array([person.fat_free_mass_kg]),
        "stature_cm": np.array([person.stature_cm]),
        "hr_max_bpm": np.array([person.hr_max_bpm]),
        "training_tier": np.array([float(person.tier)]),
        "hormonal_contraception": np.array([np.nan if male else float(person.contraception)]),
        "sport": np.array([person.team.sport]),
        "team": np.array([person.team.name]),
    }


def _absence_ids(life: Life) -> NDArray[np.str_]:
    prefix = life.person.athlete_id
    return np.array([f"{prefix}-e{number:02d}" for number in range(len(life.absences))], dtype=str)


def _episodes(life: Life) -> Columns:
    """Return injuries and systemic episodes; those that outlast the cohort are unresolved."""
    found = life.absences
    resolved = np.array([a.resolved_h for a in found], dtype=np.float64)
    return {
        "episode_id": _absence_ids(life),
        "athlete_id": np.full(len(found), life.person.athlete_id),
        "kind": np.array([a.kind for a in found], dtype=str),
        "onset_at": np.array([a.onset_h for a in found], dtype=np.float64),
        "resolved_at": np.where(resolved <= 24.0 * life.world.span, resolved, np.nan),
        "body_region": np.array([a.body_region or "" for a in found], dtype=str),
        "diagnosis": np.array([a.diagnosis or "" for a in found], dtype=str),
        "grade": np.array([a.grade for a in found], dtype=str),
    }


def _session_truth(life: Life) -> Columns:
    hours = life.recovery_hours()
    n = len(life.sessions)
    return {
        "athlete_id": np.full(4 * n, life.person.athlete_id),
        "episode_id": np.repeat(session_ids(life), 4),
        "component": np.tile(np.array(COMPONENTS), n),
        "delta": np.tile(deltas(), n),
        "recovery_h": np.round(hours.ravel(), 3),
    }


def _absence_truth(life: Life) -> Columns:
    n = len(life.absences)
    return {
        "athlete_id": np.full(n, life.person.athlete_id),
        "episode_id": _absence_ids(life),
        "component": np.full(n, AVAILABILITY),
        "delta": np.full(n, np.nan),
        "recovery_h": np.round(
            np.array([a.resolved_h - a.onset_h for a in life.absences], dtype=np.float64), 3
        ),
    }


def _frame(table: Table, chunks: list[Columns], clock: Clock) -> pd.DataFrame:
    """Join the chunks of a table; columns that no chunk has are left out."""
    present = [column for column in table.columns if any(column.name in c for c in chunks)]
    sizes = [len(next(iter(chunk.values()))) for chunk in chunks]
    data = {}
    for column in present:
        missing = "" if column.kind in _WORDS else np.nan
        parts = [
            chunk[column.name] if column.name in chunk else np.full(size, missing)
            for chunk, size in zip(chunks, sizes, strict=True)
        ]
        data[column.name] = _typed(column.kind, np.concatenate(parts), clock)
    return pd.DataFrame(data)


def _typed(kind: str, values: NDArray[np.generic], clock: Clock) -> pd.Series:
    """Return one column in the type that its kind has in the canonical frames."""
    if kind in _WORDS:
        words = pd.Series(values, dtype="str")
        return words.where(words != "")
    numbers = values.astype(np.float64)
    if kind == "time":
        return clock.stamps(numbers)
    if kind == "date":
        return pd.Series(clock.dates(numbers.astype(np.int64)))
    if kind == "bool":
        return pd.Series(numbers).astype("boolean")
    return pd.Series(numbers)
