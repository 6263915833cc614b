"""What is on record about the athletes of a cohort, as sorted arrays for the kernels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmr_ml.columns import cohort_columns
from nmr_ml.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nmr_ml.cohort import Cohort
    from nmr_ml.columns import Columns

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Objects = NDArray[np.object_]

#: Seconds since 1970 of a moment that never comes.
NEVER_S = np.iinfo(np.int64).max
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one table, sorted by athlete, then event time.

    Parameters
    ----------
    offsets : int64 array, shape (n_athletes + 1,)
        The rows of athlete ``a`` are ``offsets[a]:offsets[a + 1]``.
    at_s, known_s : int64 array, shape (n_rows,)
        Event time and the moment the row became known, in seconds since 1970 UTC.
    columns : mapping of str to float64 array, shape (n_rows,)
        C-contiguous, NaN where missing. Times are seconds; categories are positions in the tuples
        of `nmr_ml.tables` (for ``test``: in `History.test_names`).
    """

    offsets: Ints
    at_s: Ints
    known_s: Ints
    columns: Mapping[str, Floats]

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.at_s.size)


@dataclass(frozen=True, slots=True)
class History:
    """All rows of a cohort, ready for the kernels.

    The event time of a session is its end; of a night, waking; of a day's food, the end of the day.
    ``local_day`` is the day number of the event on the athlete's calendar (of food: the day it was
    eaten); ``wake_clock_h`` and ``start_clock_h`` are the local time of waking and of a session's
    start. ``day_precision`` is 1 where the source gave the day only, so that times within the day
    are a convention, else 0.
    A session's load is RPE x min where the source gives no load but both parts, and its duration
    the time from start to end where the source gives none and knows the time of day.

    Parameters
    ----------
    athlete_ids : tuple of str
        Sorted; an athlete's index into `person` and the offsets of every table.
    session_ids, event_ids : str arrays
        Ids of the rows of `sessions` and of `events` (injuries and systemic episodes).
    test_names : tuple of str
        The tests the codes in ``tests.columns["test"]`` stand for.
    person : mapping of str to float64 array, shape (n_athletes,)
        The numbers of the athletes table, ``sex`` as a position in `SEXES`.
    timezone : str
        IANA name of the athletes' calendar; empty means UTC.
    """

    athlete_ids: tuple[str, ...]
    person: Mapping[str, Floats]
    sessions: Rows
    session_ids: Objects
    sleep: Rows
    labs: Rows
    tests: Rows
    nutrition: Rows
    events: Rows
    event_ids: Objects
    event_kinds: Objects
    test_names: tuple[str, ...]
    timezone: str


_EVENT_KINDS = TABLES["episodes"].column("kind").categories
_DAY_PRECISION = float(TABLES["sessions"].column("time_precision").categories.index("day"))


def build_history(cohort: Cohort, test_names: Sequence[str]) -> History:
    """Sort the tables of `cohort` into arrays; `test_names` fixes the codes of the tests."""
    return history_of_columns(cohort_columns(cohort, test_names), cohort.timezone, test_names)


def history_of_columns(
    tables: Mapping[str, Columns], timezone: str, test_names: Sequence[str]
) -> History:
    """Sort tables into the arrays of a history.

    Parameters
    ----------
    tables : mapping of str to `nmr_ml.columns.Columns`
        Canonical rows in any order, with `known_at` and the event time filled in. The arrays may
        become part of the history and must not be changed afterwards.
    timezone : str
        IANA name; empty means UTC.
    test_names : sequence of str
        What the codes of ``tests.test`` stand for.
    """
    athletes = tables["athletes"]
    order = np.argsort(athletes["athlete_id"], kind="stable")
    ids = tuple(athletes["athlete_id"][order].tolist())
    place = {name: i for i, name in enumerate(ids)}
    sessions, session_ids = _sessions(tables["sessions"], place, timezone)
    events, event_ids = _rows(tables["episodes"], place, "onset_at", id_column="episode_id")
    kinds = np.array([*_EVENT_KINDS, None], object)
    return History(
        athlete_ids=ids,
        person={n: _floats(c[order]) for n, c in athletes.items() if n != "athlete_id"},
        sessions=sessions,
        session_ids=session_ids,
        sleep=_sleep(tables["sleep"], place, timezone),
        labs=_labs(tables["labs"], place, timezone),
        tests=_tests(tables["tests"], place, timezone),
        nutrition=_nutrition(tables["nutrition"], place, timezone),
        events=events,
        event_ids=event_ids,
        event_kinds=kinds[np.nan_to_num(events.columns["kind"], nan=-1.0).astype(np.int64)],
        test_names=tuple(test_names),
        timezone=timezone,
    )


def local_day(at_s: Ints, timezone: str) -> Ints:
    """Return the day number (days since 1970) of each moment on the calendar of `timezone`."""
    return local_seconds(at_s, timezone) // DAY_S


def local_seconds(at_s: Ints, timezone: str) -> Ints:
    """Return what the clock of `timezone` shows at each moment, in seconds since its 1970."""
    starts_s, shifts_s = clock_changes(timezone)
    return at_s + shifts_s[np.searchsorted(starts_s, at_s, side="right")]


@cache
def clock_changes(timezone: str) -> tuple[Ints, Ints]:
    """Return when the clock of `timezone` is changed (1970-2100) and its shift before and after.

    A look-up takes microseconds where converting a single moment with pandas takes a hundred.
    """
    days = np.arange(0, 130 * 366 * DAY_S, DAY_S)
    shifts = _wall_seconds(days, timezone) - days
    changed = np.flatnonzero(np.diff(shifts))
    before, after = days[changed], days[changed + 1]
    while (after - before > 1).any():
        middle = (before + after) // 2
        early = _wall_seconds(middle, timezone) - middle == shifts[changed]
        before, after = np.where(early, middle, before), np.where(early, after, middle)
    return after, shifts[np.append(changed, days.size - 1)]


def _wall_seconds(at_s: Ints, timezone: str) -> Ints:
    utc = pd.DatetimeIndex(at_s.astype("datetime64[s]"), tz="UTC")
    wall = utc.tz_convert(timezone or "UTC").tz_localize(None)
    return wall.as_unit("s").asi8


def midnights(days: Ints, timezone: str) -> Ints:
    """Return the moment at which each local day begins, in s since 1970 UTC.

    Where the clock skips midnight that is the first time there is; where midnight happens twice,
    the first.
    """
    starts_s, shifts_s = clock_changes(timezone)
    begins_s, ends_s = np.append(-NEVER_S, starts_s), np.append(starts_s, NEVER_S)
    wall_s = days * DAY_S
    era = np.searchsorted(starts_s, wall_s - shifts_s.max(), side="right")
    found = np.maximum(wall_s - shifts_s[era], begins_s[era])
    while (over := found >= ends_s[era]).any():  # the clock is changed before it shows midnight
        era = era + over
        found = np.maximum(wall_s - shifts_s[era], begins_s[era])
    return np.asarray(found, np.int64)


def _sessions(c: Columns, place: Mapping[str, int], timezone: str) -> tuple[Rows, Objects]:
    rows, ids = _rows(c, place, "ended_at", id_column="session_id")
    numbers = rows.columns
    by_day, start = numbers["day_precision"], numbers["started_at"]
    minutes, load = numbers["duration_min"], numbers["session_load_au"]
    lasted = np.where(by_day == 1.0, np.nan, (rows.at_s - start) / 60)
    minutes = np.where(np.isnan(minutes), lasted, minutes)
    return _with(
        rows,
        duration_min=minutes,
        session_load_au=np.where(np.isnan(load), numbers["session_rpe"] * minutes, load),
        start_clock_h=_clock_h(_whole(start), timezone),
        local_day=_days(rows.at_s, timezone),
    ), ids


def _sleep(c: Columns, place: Mapping[str, int], timezone: str) -> Rows:
    rows, _ = _rows({**c, "device": _told_apart(c["device"])}, place, "wake_at")
    wall_s = local_seconds(rows.at_s, timezone)
    return _with(
        rows,
        local_day=(wall_s // DAY_S).astype(np.float64),
        wake_clock_h=wall_s % DAY_S / 3600.0,
    )


def _labs(c: Columns, place: Mapping[str, int], timezone: str) -> Rows:
    # Of samples of one analyte drawn at once the one of blood (the first specimens) is the last.
    rows, _ = _rows(c, place, "drawn_at", ties=(c["analyte"], -_floats(c["specimen"])))
    return _with(rows, local_day=_days(rows.at_s, timezone))


def _tests(c: Columns, place: Mapping[str, int], timezone: str) -> Rows:
    rows, _ = _rows(c, place, "measured_at", ties=(c["test"],))
    return _with(rows, local_day=_days(rows.at_s, timezone))


def _nutrition(c: Columns, place: Mapping[str, int], timezone: str) -> Rows:
    eaten = _floats(c["date"])
    at = midnights(_whole(eaten) + 1, timezone).astype(np.float64)
    rows, _ = _rows({**c, "local_day": eaten, "at": at}, place, "at")
    return rows


def _rows(
    c: Columns, place: Mapping[str, int], at: str, *, ties: tuple[Objects | Floats, ...] = (),
    id_column: str | None = None,
) -> tuple[Rows, Objects]:  # fmt: skip
    """Sort by athlete, event time and `ties` or id, so that equal times have one order."""
    owner = np.fromiter(map(place.__getitem__, c["athlete_id"]), np.int64, len(c["athlete_id"]))
    at_s = _whole(c[at])
    ids = np.empty(0, object) if id_column is None else np.asarray(c[id_column], object)
    if id_column is not None:
        ties = (_ranks_of_tied(owner, at_s, ids),)
    order = _order(owner, at_s, ties)
    columns = {n: x for n, x in c.items() if n not in {"athlete_id", "known_at", at, id_column}}
    if "time_precision" in columns:
        columns["day_precision"] = columns.pop("time_precision") == _DAY_PRECISION
    known_s = _whole(c["known_at"])
    if order is not None:
        owner, at_s, known_s = owner[order], at_s[order], known_s[order]
        columns = {n: x[order] for n, x in columns.items()}
        ids = ids if id_column is None else ids[order]
    offsets = np.searchsorted(owner, np.arange(len(place) + 1)).astype(np.int64)
    return Rows(offsets, at_s, known_s, {n: _floats(x) for n, x in columns.items()}), ids


def _order(owner: Ints, at_s: Ints, ties: tuple[Objects | Floats, ...]) -> Ints | None:
    """Return the order to sort by; None where the rows are sorted and no times are equal."""
    step = np.diff(owner)
    if np.all((step > 0) | ((step == 0) & (np.diff(at_s) > 0))):
        return None
    return np.lexsort((*reversed(ties), at_s, owner))


def _ranks_of_tied(owner: Ints, at_s: Ints, ids: Objects) -> Floats:
    """Return the rank by id of the rows that share athlete and time with another, else 0."""
    ranks = np.zeros(owner.size)
    order = _order(owner, at_s, ())
    if order is None:
        return ranks
    equal = (np.diff(owner[order]) == 0) & (np.diff(at_s[order]) == 0)
    tied = order[np.append(equal, False) | np.append(False, equal)]
    ranks[tied] = np.argsort(np.argsort(ids[tied].astype(str), kind="stable"), kind="stable")
    return ranks


def _told_apart(names: Objects | Floats) -> Floats:
    """Return a number for each name, the same for equal ones; NaN where there is none."""
    rank = {name: i for i, name in enumerate(sorted({n for n in names if n is not None}))}
    return np.array([rank.get(name, np.nan) for name in names], np.float64)


def _with(rows: Rows, **more: Floats) -> Rows:
    return Rows(rows.offsets, rows.at_s, rows.known_s, {**rows.columns, **more})


def _floats(column: Objects | Floats) -> Floats:
    return np.ascontiguousarray(column, np.float64)


def _whole(seconds_or_days: Objects | Floats) -> Ints:
    """Return as whole numbers; `NEVER_S` where missing."""
    numbers = _floats(seconds_or_days)
    missing = np.isnan(numbers)
    if not missing.any():
        return numbers.astype(np.int64)
    return np.where(missing, NEVER_S, np.where(missing, 0.0, numbers).astype(np.int64))


def _days(at_s: Ints, timezone: str) -> Floats:
    return local_day(at_s, timezone).astype(np.float64)


def _clock_h(at_s: Ints, timezone: str) -> Floats:
    return local_seconds(at_s, timezone) % DAY_S / 3600.0
