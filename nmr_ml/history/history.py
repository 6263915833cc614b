"""What is on record about the athletes of a cohort, as sorted arrays for the kernels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.cohort.injury_words import DIAGNOSES, REGIONS, diagnosis_of, region_of
from nmr_ml.cohort.tables import TABLES
from nmr_ml.history.columns import cohort_columns
from nmr_ml.history.local_time import NEVER_S, _local, midnights
from nmr_ml.history.sleep_regularity import night_pairs
from nmr_ml.numeric.compiled import inner, kept
from nmr_ml.numeric.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.history.columns import Columns
    from nmr_ml.numeric.arrays import Floats, Ints, Objects


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
        of `nmr_ml.cohort.tables` (for ``test``: in `History.test_names`).
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
    teams : object array of str or None, shape (n_athletes,)
    night_pairs : Rows
        See `nmr_ml.history.sleep_regularity`.
    session_ids, event_ids : str arrays
        Ids of the rows of `sessions` and of `events` (injuries and systemic episodes).
    test_devices : object array of str or None
        Device and method of the rows of `tests`, folded: ``Jump Mat`` with flight time is
        ``jumpmat flighttime``; None where neither is told.
    event_kinds, event_grades, event_regions, event_diagnoses : object arrays of str
        Of the rows of `events`; region and diagnosis by `nmr_ml.cohort.injury_words`.
    test_names : tuple of str
        The tests the codes in ``tests.columns["test"]`` stand for.
    person : mapping of str to float64 array, shape (n_athletes,)
        The numbers of the athletes table, ``sex`` as a position in `SEXES`.
    timezone : str
        IANA name of the athletes' calendar; empty means UTC.
    laid_out : Memo
        Its sessions and tests as the kernels read them, by `loading_of` and `trials_of`.
    """

    athlete_ids: tuple[str, ...]
    person: Mapping[str, Floats]
    teams: Objects
    sessions: Rows
    session_ids: Objects
    sleep: Rows
    night_pairs: Rows
    labs: Rows
    tests: Rows
    test_devices: Objects
    nutrition: Rows
    events: Rows
    event_ids: Objects
    event_kinds: Objects
    event_grades: Objects
    event_regions: Objects
    event_diagnoses: Objects
    test_names: tuple[str, ...]
    timezone: str
    laid_out: Memo[Any] = field(default_factory=Memo, init=False, repr=False, compare=False)


_NAMES = frozenset({"athlete_id", "team"})
_TABLES_OF_ROWS = ("sessions", "sleep", "night_pairs", "labs", "tests", "nutrition", "events")
_BESIDE_ROWS = {
    "sessions": ("session_ids",),
    "tests": ("test_devices",),
    "events": (
        "event_ids",
        "event_kinds",
        "event_grades",
        "event_regions",
        "event_diagnoses",
    ),
}
EVENT_KINDS = TABLES["episodes"].column("kind").categories
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
    tables : mapping of str to `nmr_ml.history.columns.Columns`
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
    events, event_ids, grades = _events(tables["episodes"], place)
    kinds = np.array([*EVENT_KINDS, None], object)
    nights = _sleep(tables["sleep"], place, timezone)
    tests, devices = _tests(tables["tests"], place, timezone)
    return History(
        athlete_ids=ids,
        person={n: _floats(c[order]) for n, c in athletes.items() if n not in _NAMES},
        teams=_texts(athletes["team"][order]),
        sessions=sessions,
        session_ids=session_ids,
        sleep=nights,
        night_pairs=_night_pairs(nights, tables["sleep_epochs"], place),
        labs=_labs(tables["labs"], place, timezone),
        tests=tests,
        test_devices=devices,
        nutrition=_nutrition(tables["nutrition"], place, timezone),
        events=events,
        event_ids=event_ids,
        event_kinds=kinds[_codes(events.columns["kind"])],
        event_grades=grades,
        event_regions=np.array(REGIONS, object)[_codes(events.columns["body_region"])],
        event_diagnoses=np.array(DIAGNOSES, object)[_codes(events.columns["diagnosis"])],
        test_names=tuple(test_names),
        timezone=timezone,
    )


def part_of(history: History, first: int, last: int) -> History:
    """Return the history of the athletes ``first:last``; its arrays are views."""
    if last - first == len(history.athlete_ids):
        return history
    changed: dict[str, Any] = {"person": {n: c[first:last] for n, c in history.person.items()}}
    for name in _TABLES_OF_ROWS:
        rows = getattr(history, name)
        own = slice(rows.offsets[first], rows.offsets[last])
        columns = {n: c[own] for n, c in rows.columns.items()}
        offsets = rows.offsets[first : last + 1] - own.start
        changed[name] = Rows(offsets, rows.at_s[own], rows.known_s[own], columns)
        for ids in _BESIDE_ROWS.get(name, ()):
            changed[ids] = getattr(history, ids)[own]
    return replace(
        history, athlete_ids=history.athlete_ids[first:last], teams=history.teams[first:last],
        **changed,
    )  # fmt: skip


def _sessions(c: Columns, place: Mapping[str, int], timezone: str) -> tuple[Rows, Objects]:
    rows, ids = _rows(c, place, "ended_at", id_column="session_id")
    numbers = rows.columns
    minutes, load = _completed(
        numbers["started_at"], rows.at_s, numbers["duration_min"], numbers["session_rpe"],
        numbers["session_load_au"], numbers["day_precision"],
    )  # fmt: skip
    return _with(
        rows,
        duration_min=minutes,
        session_load_au=load,
        start_clock_h=_local(numbers["started_at"].astype(np.int64), timezone)[1],
        local_day=_local(rows.at_s, timezone)[0],
    ), ids


@kept
def _completed(
    started_s: Floats, ended_s: Ints, minutes: Floats, rpe: Floats, load: Floats, by_day: Floats
) -> tuple[Floats, Floats]:
    minutes, load = minutes.copy(), load.copy()
    for i in range(minutes.size):
        if np.isnan(minutes[i]) and by_day[i] != 1.0:
            minutes[i] = (ended_s[i] - started_s[i]) / 60
        if np.isnan(load[i]):
            load[i] = rpe[i] * minutes[i]
    return minutes, load


def _sleep(c: Columns, place: Mapping[str, int], timezone: str) -> Rows:
    rows, _ = _rows({**c, "device": _told_apart(c["device"])}, place, "wake_at")
    day, clock_h = _local(rows.at_s, timezone)
    return _with(rows, local_day=day, wake_clock_h=clock_h)


def _night_pairs(nights: Rows, c: Columns, place: Mapping[str, int]) -> Rows:
    if not len(c["started_at"]):
        none = np.zeros(0, np.int64)
        return Rows(np.zeros(len(place) + 1, np.int64), none, none, {"same_share": np.zeros(0)})
    epochs, _ = _rows({**c, "known_at": c["started_at"]}, place, "started_at")
    columns = nights.columns
    offsets, wake_s, known_s, same_share = night_pairs(
        nights.offsets, columns["onset_at"], nights.at_s, nights.known_s,
        columns["day_precision"], epochs.offsets, epochs.at_s, epochs.columns["duration_s"],
        epochs.columns["stage"],
    )  # fmt: skip
    return Rows(offsets, wake_s, known_s, {"same_share": same_share})


def _labs(c: Columns, place: Mapping[str, int], timezone: str) -> Rows:
    # Of samples of one analyte drawn at once the one of blood (the first specimens) is the last.
    rows, _ = _rows(c, place, "drawn_at", ties=(c["analyte"], -_floats(c["specimen"])))
    return _with(rows, local_day=_local(rows.at_s, timezone)[0])


def _tests(c: Columns, place: Mapping[str, int], timezone: str) -> tuple[Rows, Objects]:
    """Return the tests with their devices."""
    texts = {"device", "method"}
    names = [_words(*both) for both in zip(c["device"], c["method"], strict=True)]
    known = sorted({name for name in names if name is not None})
    coded = {n: x for n, x in c.items() if n not in texts}
    coded["device"] = _told_apart(np.array(names, object))
    rows, _ = _rows(coded, place, "measured_at", ties=(c["test"],))
    devices = np.array([*known, None], object)[_codes(rows.columns["device"])]
    return _with(rows, local_day=_local(rows.at_s, timezone)[0]), devices


def _words(*names: object) -> str | None:
    """Return the words of `names` in lower case, without what is no letter or digit."""
    words = ["".join(filter(str.isalnum, n.casefold())) for n in names if isinstance(n, str)]
    return " ".join(word for word in words if word) or None


def _nutrition(c: Columns, place: Mapping[str, int], timezone: str) -> Rows:
    eaten = _floats(c["date"])
    at = midnights(eaten.astype(np.int64) + 1, timezone).astype(np.float64) if eaten.size else eaten
    rows, _ = _rows({**c, "local_day": eaten, "at": at}, place, "at")
    return rows


def _events(c: Columns, place: Mapping[str, int]) -> tuple[Rows, Objects, Objects]:
    """Return the events with their ids and grades; a grade is None where there is none."""
    coded = {
        **c,
        "grade": _told_apart(c["grade"]),
        "body_region": _folded(c["body_region"], region_of, REGIONS),
        "diagnosis": _folded(c["diagnosis"], diagnosis_of, DIAGNOSES),
    }
    rows, ids = _rows(coded, place, "onset_at", id_column="episode_id")
    names = np.array([*sorted({g for g in c["grade"] if isinstance(g, str)}), None], object)
    return rows, ids, names[_codes(rows.columns["grade"])]


def _rows(
    c: Columns, place: Mapping[str, int], at: str, *, ties: tuple[Objects | Floats, ...] = (),
    id_column: str | None = None,
) -> tuple[Rows, Objects]:  # fmt: skip
    """Sort by athlete, event time and `ties` or id, so that equal times have one order."""
    if len(place) == 1:
        owner = np.zeros(len(c["athlete_id"]), np.int64)
    else:
        owner = np.fromiter(map(place.__getitem__, c["athlete_id"]), np.int64, len(c["athlete_id"]))
    columns = {n: x for n, x in c.items() if n not in {"athlete_id", "known_at", at, id_column}}
    if "time_precision" in columns:
        columns["day_precision"] = _floats(columns.pop("time_precision") == _DAY_PRECISION)
    ids = np.empty(0, object) if id_column is None else np.asarray(c[id_column], object)
    offsets, at_s, known_s, in_order = _placed(
        owner, _floats(c[at]), _floats(c["known_at"]), len(place)
    )
    if not in_order:
        if id_column is not None:
            ties = (_ranks_of_tied(owner, at_s, ids),)
        order = np.lexsort((*reversed(ties), at_s, owner))
        at_s, known_s = at_s[order], known_s[order]
        columns = {n: x[order] for n, x in columns.items()}
        ids = ids if id_column is None else ids[order]
    return Rows(offsets, at_s, known_s, {n: _floats(x) for n, x in columns.items()}), ids


@kept
def _placed(
    owner: Ints, at: Floats, known: Floats, athletes_n: int
) -> tuple[Ints, Ints, Ints, bool]:
    """Return offsets, whole times, and whether rows are sorted and no two of an athlete tie."""
    offsets = np.zeros(athletes_n + 1, np.int64)
    at_s, known_s, in_order = np.empty(owner.size, np.int64), np.empty(owner.size, np.int64), True
    for i in range(owner.size):
        offsets[owner[i] + 1] += 1
        at_s[i], known_s[i] = _whole(at[i]), _whole(known[i])
        if i > 0 and (
            owner[i] < owner[i - 1] or (owner[i] == owner[i - 1] and at_s[i] <= at_s[i - 1])
        ):
            in_order = False
    return np.cumsum(offsets), at_s, known_s, in_order


def _ranks_of_tied(owner: Ints, at_s: Ints, ids: Objects) -> Floats:
    """Return the rank by id of the rows that share athlete and time with another, else 0."""
    ranks = np.zeros(owner.size)
    order = np.lexsort((at_s, owner))
    equal = (np.diff(owner[order]) == 0) & (np.diff(at_s[order]) == 0)
    tied = order[np.append(equal, False) | np.append(False, equal)]
    ranks[tied] = np.argsort(np.argsort(ids[tied].astype(str), kind="stable"), kind="stable")
    return ranks


def _texts(names: Objects | Floats) -> Objects:
    """Return texts; None where there is none."""
    texts = np.array(names, object)
    texts[[not isinstance(name, str) for name in texts]] = None
    return texts


def _told_apart(names: Objects | Floats) -> Floats:
    """Return a number for each name, the same for equal ones; NaN where there is none."""
    if names.dtype != object:
        return _floats(names)
    rank = {name: i for i, name in enumerate(sorted({n for n in names if n is not None}))}
    return np.array([rank.get(name, np.nan) for name in names], np.float64)


def _folded(
    texts: Objects | Floats, name_of: Callable[[str | None], str], names: Sequence[str]
) -> Floats:
    """Return the position in `names` of what each text is folded to."""
    return np.array([names.index(name_of(text)) for text in _texts(texts)], np.float64)


def _codes(column: Floats) -> Ints:
    """Return codes as whole numbers; -1 where missing."""
    return np.where(np.isnan(column), -1.0, column).astype(np.int64)


def _with(rows: Rows, **more: Floats) -> Rows:
    return Rows(rows.offsets, rows.at_s, rows.known_s, {**rows.columns, **more})


def _floats(column: Objects | Floats) -> Floats:
    return np.ascontiguousarray(column, np.float64)


@inner
def _whole(seconds_or_days: float) -> int:
    """Return as a whole number; `NEVER_S` where missing."""
    return NEVER_S if np.isnan(seconds_or_days) else int(seconds_or_days)
