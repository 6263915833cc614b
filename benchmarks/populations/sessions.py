"""Kinds of session and what each leaves in the record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.populations.population import to_minute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.populations.population import Calendar, Row
    from benchmarks.populations.surroundings import Person


#: Sessions whose effort nobody noted.
NO_RPE_SHARE = 0.03
#: SD of log between what a load column says and the load that the body had.
COLUMN_SD = 0.12


@dataclass(frozen=True, slots=True)
class SessionKind:
    """What a kind of session looks like in the record.

    Parameters
    ----------
    kind, modality : str
        Words of the format.
    minutes, rpe : float
        Of the usual one.
    markers : mapping of str to float
        Load columns that this kind has, with the usual value.
    fixed : mapping of str to float
        Columns that do not grow with the load.
    """

    kind: str
    modality: str
    minutes: float
    rpe: float
    markers: Mapping[str, float] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Session:
    """A session that took place; `load` is 1 for the usual one of its kind."""

    session_id: str
    arch: str
    started_h: float
    ended_h: float
    load: float


def take_part(
    person: Person, number: int, arch: str, kind: SessionKind, starts_h: float
) -> Session:
    """Return the athlete's session `number`, which begins within minutes of `starts_h`."""
    rng = person.rng
    load = float(rng.lognormal(0.0, 0.2))
    # What the record says in whole minutes is what happened: the clock of the truth starts there.
    started = to_minute(starts_h + rng.uniform(-0.1, 0.1))
    lasted = round(kind.minutes * load**0.4)
    name = f"{person.athlete_id}-{number:03d}"
    return Session(name, arch, started / 60.0, (started + lasted) / 60.0, load)


def recorded(person: Person, session: Session, kind: SessionKind, calendar: Calendar) -> Row:
    """Return the row of a session."""
    rng = person.rng
    counted = {
        name: round(float(usual * session.load * np.exp(rng.normal(0.0, COLUMN_SD))))
        for name, usual in kind.markers.items()
    }
    rpe = np.clip(kind.rpe * session.load**0.5 + rng.normal(0.0, 0.6), 1.0, 10.0)
    return {
        "session_id": session.session_id, "athlete_id": person.athlete_id,
        "started_at": calendar.at(session.started_h), "ended_at": calendar.at(session.ended_h),
        "kind": kind.kind, "modality": kind.modality,
        "session_rpe": np.nan if rng.random() < NO_RPE_SHARE else round(float(rpe), 1),
        **counted, **kind.fixed,
    }  # fmt: skip
