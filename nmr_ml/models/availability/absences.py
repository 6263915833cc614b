"""Injuries and systemic episodes on record, and what is known of how long they last.

An end is a date: however exactly the row is written, nobody knows the minute at which an injury was
over. So a resolved episode lasted its recorded hours, give or take `HALF_DAY_H`, and one without an
end lasted longer than until the athlete's last row (contract §1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.features.model_inputs import model_inputs
from nmr_ml.history.local_time import NEVER_S
from nmr_ml.history.queries import Queries
from nmr_ml.numeric.arrays import RowWise, owners
from nmr_ml.recovery_tests import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.history.history import History
    from nmr_ml.numeric.arrays import Bools, Floats, Ints, Objects
    from nmr_ml.recovery_tests import TestSpec


#: A date is known to the day: its event lies within half a day of the moment that is written down.
HALF_DAY_H = 12.0


@dataclass(frozen=True, slots=True)
class Absences(RowWise):
    """Injury and systemic episodes, those of an athlete beside one another; shapes (n,).

    Parameters
    ----------
    athlete : object array of str
        Cohort and athlete: the unit of folds and bootstraps.
    episode_id, kind, grade, region, diagnosis : object arrays of str
        `grade` is None where the record has none; region and diagnosis are those of
        `nmr_ml.cohort.injury_words`.
    onset_s, known_s, resolved_s : int64 arrays, s since 1970 UTC
        `resolved_s` is `nmr_ml.history.local_time.NEVER_S` where no end is on record.
    last_s : int64 array, s since 1970 UTC
        The last row of the athlete in any table.
    """

    athlete: Objects
    episode_id: Objects
    kind: Objects
    grade: Objects
    region: Objects
    diagnosis: Objects
    onset_s: Ints
    known_s: Ints
    resolved_s: Ints
    last_s: Ints

    @property
    def labels(self) -> tuple[Objects, Objects, Objects, Objects]:
        """What a law knows of an episode: kind, grade, body region and diagnosis."""
        return self.kind, self.grade, self.region, self.diagnosis

    @property
    def resolved(self) -> Bools:
        """Whether an end is on record."""
        return np.asarray(self.resolved_s != NEVER_S)

    @property
    def lasted_h(self) -> Floats:
        """Hours from onset to the end on record, NaN without one."""
        ended = np.where(self.resolved, self.resolved_s, self.onset_s)
        return np.where(self.resolved, (ended - self.onset_s) / 3600.0, np.nan)


def absences_of(history: History, cohort: str = "") -> Absences:
    """Return the episodes of `history.events`, in their order; `cohort` is its name."""
    events = history.events
    owner = owners(events.offsets)
    names = np.array([f"{cohort}/{name}" for name in history.athlete_ids], dtype=object)
    resolved = events.columns["resolved_at"]
    known = ~np.isnan(resolved)
    return Absences(
        athlete=names[owner],
        episode_id=history.event_ids,
        kind=history.event_kinds,
        grade=history.event_grades,
        region=history.event_regions,
        diagnosis=history.event_diagnoses,
        onset_s=events.at_s,
        known_s=events.known_s,
        resolved_s=np.where(known, np.where(known, resolved, 0.0).astype(np.int64), NEVER_S),
        last_s=_last_rows(history)[owner],
    )


def _last_rows(history: History) -> Ints:
    """Return the moment of each athlete's last row, 0 for none."""
    last = np.zeros(len(history.athlete_ids), np.int64)
    for rows in (
        history.sessions, history.sleep, history.labs, history.tests, history.nutrition,
        history.events,
    ):  # fmt: skip
        np.maximum.at(last, owners(rows.offsets), rows.at_s)
    return last


def bounds_ln(absences: Absences) -> tuple[Floats, Floats]:
    """Return between which log hours each episode lasted; -inf and +inf where it has no bound."""
    lasted = absences.lasted_h
    watched = (absences.last_s - absences.onset_s) / 3600.0
    low = np.where(absences.resolved, lasted - HALF_DAY_H, watched)
    high = np.where(absences.resolved, lasted + HALF_DAY_H, np.inf)
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(low, 0.0)), np.log(high)


def athlete_runs(absences: Absences) -> tuple[Ints, Ints]:
    """Return for each episode where those of its athlete begin, and where they end."""
    changes = np.flatnonzero(absences.athlete[1:] != absences.athlete[:-1]) + 1
    bounds = np.concatenate([[0], changes, [len(absences)]])
    lengths = np.diff(bounds)
    return np.repeat(bounds[:-1], lengths), np.repeat(bounds[1:], lengths)


def absence_inputs(history: History, specs: Mapping[str, TestSpec]) -> Floats:
    """Return the features of each of `history.events` as known at its onset, in contract order."""
    events = history.events
    n = len(events)
    queries = Queries(
        episode=np.arange(n),
        component=np.full(n, len(COMPONENTS)),
        athlete=owners(events.offsets),
        session=np.full(n, -1),
        test=np.full(n, -1),
        clock_start_s=events.at_s,
        as_of_s=events.at_s,
    )
    return model_inputs(history, queries, specs)
