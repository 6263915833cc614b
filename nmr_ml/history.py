"""What is on record about the athletes of a cohort, as sorted arrays for the kernels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numba import njit

from nmr_ml.tables import ANALYTES, MODALITIES, SESSION_KINDS, SEXES, SPECIMENS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nmr_ml.cohort import Cohort

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

#: Seconds since 1970 of a moment that never comes.
NEVER_S = np.iinfo(np.int64).max


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
    ``local_day`` of sessions, sleep, tests and nutrition is the day number of the event on the
    athlete's calendar (of food: the day it was eaten); ``wake_clock_h`` and ``start_clock_h`` are
    the local time of waking and of a session's start.
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
    session_ids: NDArray[np.object_]
    sleep: Rows
    labs: Rows
    tests: Rows
    nutrition: Rows
    events: Rows
    event_ids: NDArray[np.object_]
    event_kinds: NDArray[np.object_]
    test_names: tuple[str, ...]
    timezone: str


_SESSION_NUMBERS = (
    "duration_min", "session_rpe", "session_load_au", "distance_m", "high_speed_distance_m",
    "accelerations_n", "decelerations_n", "collisions_n", "jumps_n", "tonnage_kg", "hard_sets_n",
    "eccentric_reps_n", "reps_in_reserve", "velocity_loss_pct", "mean_hr_bpm", "hr_zone1_min",
    "hr_zone2_min", "hr_zone3_min", "hr_zone4_min", "hr_zone5_min", "energy_kcal",
)  # fmt: skip
_SLEEP_NUMBERS = (
    "asleep_min", "awake_min", "light_min", "deep_min", "rem_min", "deep_first3h_min",
    "latency_min", "hrv_rmssd_ms", "resting_hr_bpm",
)  # fmt: skip
_PERSON_NUMBERS = (
    "birth_year", "body_mass_kg", "fat_free_mass_kg", "stature_cm", "hr_max_bpm", "training_tier",
)  # fmt: skip
_NUTRITION_NUMBERS = ("energy_kcal", "carbohydrate_g", "protein_g")


def build_history(cohort: Cohort, test_names: Sequence[str]) -> History:
    """Sort the tables of `cohort` into arrays; `test_names` fixes the codes of the tests."""
    athletes = cohort["athletes"].sort_values("athlete_id", kind="stable")
    ids = pd.Index(athletes["athlete_id"], dtype=object)
    day = pd.Timedelta(days=1)
    nutrition = cohort["nutrition"].assign(
        at=lambda t: _local_midnight(t["date"] + day, cohort.timezone)
    )
    sessions, session_frame = _rows(cohort["sessions"], ids, "ended_at", ("session_id",))
    events, event_frame = _rows(cohort["episodes"], ids, "onset_at", ("episode_id",))
    return History(
        athlete_ids=tuple(ids),
        person=_person(athletes),
        sessions=_with(
            sessions,
            _session_numbers(session_frame),
            started_at=_seconds_or_nan(session_frame["started_at"]),
            start_clock_h=_clock_h(session_frame["started_at"], cohort.timezone),
            kind=_codes(session_frame["kind"], SESSION_KINDS),
            modality=_codes(session_frame["modality"], MODALITIES),
            day_precision=_day_precision(session_frame),
            local_day=local_day(sessions.at_s, cohort.timezone).astype(np.float64),
        ),
        session_ids=session_frame["session_id"].to_numpy(object),
        sleep=_sleep(cohort, ids),
        labs=_labs(cohort, ids),
        tests=_tests(cohort, ids, test_names),
        nutrition=_nutrition(nutrition, ids),
        events=_with(
            events,
            {},
            resolved_at=_seconds_or_nan(event_frame["resolved_at"]),
            kind=_codes(event_frame["kind"], ("injury", "systemic")),
        ),
        event_ids=event_frame["episode_id"].to_numpy(object),
        event_kinds=event_frame["kind"].to_numpy(object),
        test_names=tuple(test_names),
        timezone=cohort.timezone,
    )


def local_day(at_s: Ints, timezone: str) -> Ints:
    """Return the day number (days since 1970) of each moment on the calendar of `timezone`."""
    return local_seconds(at_s, timezone) // 86_400


def local_seconds(at_s: Ints, timezone: str) -> Ints:
    """Return what the clock of `timezone` shows at each moment, in seconds since its 1970."""
    starts_s, shifts_s = _clock_changes(timezone)
    return at_s + shifts_s[np.searchsorted(starts_s, at_s, side="right")]


@cache
def _clock_changes(timezone: str) -> tuple[Ints, Ints]:
    """Return when the clock of `timezone` is changed (1970-2100) and its shift before and after.

    A look-up takes microseconds where converting a single moment with pandas takes a hundred.
    """
    days = np.arange(0, 130 * 366 * 86_400, 86_400)
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


def _clock_h(times: pd.Series[pd.Timestamp], timezone: str) -> Floats:
    return local_seconds(seconds(times), timezone) % 86_400 / 3600.0


def _session_numbers(frame: pd.DataFrame) -> dict[str, Floats]:
    numbers = _numbers(frame, _SESSION_NUMBERS)
    lasted = (frame["ended_at"] - frame["started_at"]).dt.total_seconds().to_numpy(np.float64) / 60
    given, in_minutes = numbers["duration_min"], frame["time_precision"].to_numpy(object) != "day"
    numbers["duration_min"] = np.where(np.isnan(given) & in_minutes, lasted, given)
    load = numbers["session_load_au"]
    by_parts = numbers["session_rpe"] * numbers["duration_min"]
    numbers["session_load_au"] = np.where(np.isnan(load), by_parts, load)
    return numbers


@njit(cache=True, nogil=True)
def upper_bound(at_s: Ints, first: int, last: int, moment_s: int) -> int:
    """Return the first of the sorted rows ``first:last`` that lies after `moment_s`."""
    while first < last:
        middle = (first + last) // 2
        if at_s[middle] <= moment_s:
            first = middle + 1
        else:
            last = middle
    return first


def _person(athletes: pd.DataFrame) -> dict[str, Floats]:
    return {
        **_numbers(athletes, _PERSON_NUMBERS),
        "sex": _codes(athletes["sex"], SEXES),
        "hormonal_contraception": _flags(athletes["hormonal_contraception"]),
    }


def _sleep(cohort: Cohort, ids: pd.Index[str]) -> Rows:
    rows, frame = _rows(cohort["sleep"], ids, "wake_at", ())
    wall_s = local_seconds(rows.at_s, cohort.timezone)
    device = pd.factorize(frame["device"], sort=True)[0].astype(np.float64)
    return _with(
        rows,
        _numbers(frame, _SLEEP_NUMBERS),
        onset_at=_seconds_or_nan(frame["onset_at"]),
        local_day=(wall_s // 86_400).astype(np.float64),
        wake_clock_h=wall_s % 86_400 / 3600.0,
        device=np.where(device < 0, np.nan, device),
    )


def _labs(cohort: Cohort, ids: pd.Index[str]) -> Rows:
    rows, frame = _rows(cohort["labs"], ids, "drawn_at", ("analyte", "specimen"))
    return _with(
        rows,
        _numbers(frame, ("value",)),
        analyte=_codes(frame["analyte"], ANALYTES),
        specimen=_codes(frame["specimen"], SPECIMENS),
        awake_at=_seconds_or_nan(frame["awake_at"]),
        below_loq=_flags(frame["below_loq"]),
    )


def _tests(cohort: Cohort, ids: pd.Index[str], test_names: Sequence[str]) -> Rows:
    rows, frame = _rows(cohort["tests"], ids, "measured_at", ("test",))
    return _with(
        rows,
        _numbers(frame, ("value", "trials_n")),
        test=_codes(frame["test"], tuple(test_names)),
        rested=_flags(frame["rested"]),
        day_precision=_day_precision(frame),
        local_day=local_day(rows.at_s, cohort.timezone).astype(np.float64),
    )


def _nutrition(frame: pd.DataFrame, ids: pd.Index[str]) -> Rows:
    rows, frame = _rows(frame, ids, "at", ())
    eaten = frame["date"].to_numpy("datetime64[D]").astype(np.float64)
    return _with(rows, _numbers(frame, _NUTRITION_NUMBERS), local_day=eaten)


def _rows(
    frame: pd.DataFrame, ids: pd.Index[str], at: str, ties: tuple[str, ...]
) -> tuple[Rows, pd.DataFrame]:
    """Sort by athlete, event time and `ties`, which make the order of equal times reproducible."""
    frame = frame.sort_values(["athlete_id", at, *ties], kind="stable")
    owner = ids.get_indexer(pd.Index(frame["athlete_id"], dtype=object))
    offsets = np.searchsorted(owner, np.arange(len(ids) + 1)).astype(np.int64)
    return Rows(offsets, seconds(frame[at]), seconds(frame["known_at"]), {}), frame


def _with(rows: Rows, numbers: Mapping[str, Floats], **more: Floats) -> Rows:
    return Rows(rows.offsets, rows.at_s, rows.known_s, {**numbers, **more})


def _numbers(frame: pd.DataFrame, names: Sequence[str]) -> dict[str, Floats]:
    # pandas hands out read-only views, which would be another signature to every kernel.
    columns = {n: frame[n].to_numpy(np.float64, na_value=np.nan) for n in names}
    return {n: np.require(column, requirements=["C", "W"]) for n, column in columns.items()}


def _codes(column: pd.Series[str], names: tuple[str, ...]) -> Floats:
    codes = pd.Index(names, dtype=object).get_indexer(pd.Index(column, dtype=object))
    numbers = codes.astype(np.float64)
    numbers[codes < 0] = np.nan
    return numbers


def _flags(column: pd.Series[bool]) -> Floats:
    return np.array(column.to_numpy(np.float64, na_value=np.nan), np.float64)


def _day_precision(frame: pd.DataFrame) -> Floats:
    return np.asarray(frame["time_precision"] == "day", np.float64)


def _local_midnight(days: pd.Series[pd.Timestamp], timezone: str) -> pd.Series[pd.Timestamp]:
    zone = timezone or "UTC"
    # A zone that changes its clock at midnight has no 00:00 that day, or two of them.
    local = days.dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
    return local.dt.tz_convert("UTC")


def seconds(times: pd.Series[pd.Timestamp]) -> Ints:
    """Return whole seconds since 1970 UTC; a missing time is `NEVER_S`."""
    missing = times.isna().to_numpy()
    ticks = times.dt.as_unit("s").to_numpy("datetime64[s]").astype(np.int64)
    return np.where(missing, NEVER_S, ticks)


def _seconds_or_nan(times: pd.Series[pd.Timestamp]) -> Floats:
    whole = seconds(times)
    numbers = whole.astype(np.float64)
    numbers[whole == NEVER_S] = np.nan
    return numbers
