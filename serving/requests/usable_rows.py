"""Requests of which every row can be used as it came: nearly all of them.

`nmr_ml.cohort.canonical` says of each row what is wrong with it, for which it takes a tenth of a
second however few rows there are. Here it is only found out whether nothing is: whether no row
would be quarantined. Where that is in doubt the answer is None, and the long way has the say.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.cohort.parsing import MISSING_WORDS
from nmr_ml.cohort.quantities import quantity_of_lab, quantity_of_test
from nmr_ml.cohort.row_rules import CLOCK_TOLERANCE, LONGEST_NIGHT, MINUTE_A_PART
from nmr_ml.cohort.table_checks import EARLIEST
from nmr_ml.cohort.tables import ANALYTES, SEXES, SPECIMENS, TABLES
from nmr_ml.history.local_time import midnights
from nmr_ml.numeric.compiled import kept
from serving.requests.moments import SECOND_US
from serving.requests.row_columns import request_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from nmr_ml.cohort.quantities import Quantity
    from nmr_ml.history.columns import Columns
    from nmr_ml.numeric.arrays import Bools, Floats, Objects

    Array = Floats | Objects
    Row = Mapping[str, object]

_BY_DAY = float(TABLES["sessions"].column("time_precision").categories.index("day"))
_EARLIEST_US = EARLIEST.timestamp() * SECOND_US
_LONGEST_US = LONGEST_NIGHT.total_seconds() * SECOND_US
_TOLERANCE_US = CLOCK_TOLERANCE.total_seconds() * SECOND_US
_LONGEST_MIN = TABLES["sessions"].column("duration_min").upper or np.inf
_MOST_AU = TABLES["sessions"].column("session_load_au").upper or np.inf


class _DoubtError(Exception):
    """A row may have to be quarantined."""


class _RequestTable(NamedTuple):
    """One table of a request: its rows, their columns, and its times in microseconds.

    Columns are completed in place, as `nmr_ml.cohort.canonical` completes a frame.
    """

    name: str
    rows: Sequence[Row]
    columns: dict[str, Array]
    exact_us: dict[str, Array]

    def numbers(self, name: str) -> Floats:
        """Return a column of numbers."""
        return self.columns[name]  # type: ignore[return-value]

    def moments_us(self, name: str) -> Floats:
        """Return a column of times, NaN where missing."""
        exact = self.exact_us.get(name)
        return self.numbers(name) if exact is None else exact  # type: ignore[return-value]


def plain_columns(
    tables: Mapping[str, Sequence[Row]], owner: str, timezone: str, now: datetime,
    test_names: tuple[str, ...],
) -> dict[str, Columns] | None:  # fmt: skip
    """Return the columns of the canonical cohort of a request; None where a row is in doubt.

    Parameters
    ----------
    tables : mapping of str to sequence of rows
        Rows as `serving.requests.row_columns.request_columns` reads them; one in ``athletes``.
    owner : str
        The one athlete; rows may leave it out.
    timezone : str
        IANA name.
    now : datetime
        The clock, with time zone.
    test_names : tuple of str
        Fixes the codes of the tests; those that are known.
    """
    try:
        read = request_columns(tables, test_names)
        now_us = now.timestamp() * SECOND_US + _TOLERANCE_US
        _need(bool(owner.strip()))
        sex = SEXES[int(_given(read.columns["athletes"]["sex"])[0])]
        for name, rows in tables.items():
            if not rows:
                continue
            table = _RequestTable(name, rows, read.columns[name], read.exact_us[name])
            _check_texts(table, owner)
            if name in _CHECKS:
                _check_times(table, timezone, now_us)
                _CHECKS[name](table, sex, test_names)
    except (_DoubtError, ValueError, LookupError):
        return None
    return read.columns  # type: ignore[return-value]


def _need(certain: bool) -> None:
    if not certain:
        raise _DoubtError


def _given(required: Array) -> Floats:
    """Return numbers of which none is missing."""
    _need(not np.isnan(required).any())
    return required  # type: ignore[return-value]


def _check_texts(table: _RequestTable, owner: str) -> None:
    named = table.columns["athlete_id"]
    if named.dtype == object:
        _need(all(name is None or name == owner for name in named))
    table.columns["athlete_id"] = np.full(len(table.rows), owner, object)
    for column in TABLES[table.name].columns:
        if column.kind == "text" and column.name in table.columns:
            cells = table.columns[column.name]
            _need(cells.dtype != object or all(cell is None or _is_plain(cell) for cell in cells))


def _check_times(table: _RequestTable, timezone: str, now_us: float) -> None:
    """Complete the end of a session and `known_at`, and check what holds for all times."""
    if table.name == "sessions":
        _complete_session(table)
    event = TABLES[table.name].event_time or ""
    if event == "date":
        days = _given(table.numbers("date")).astype(np.int64)
        begins, ends = (SECOND_US * midnights(days + more, timezone) for more in (0, 1))
    else:
        begins = ends = _given(table.moments_us(event))
    _need(float(begins.max()) <= now_us)
    _need(all(not (us < _EARLIEST_US).any() for us in table.exact_us.values()))
    if "known_at" in table.columns:
        known = table.moments_us("known_at")
        known = np.where(np.isnan(known), ends, known)
        _need(not (known < begins).any())
        table.columns["known_at"] = np.floor(known / SECOND_US)


def _complete_session(table: _RequestTable) -> None:
    start, end = _given(table.moments_us("started_at")), table.moments_us("ended_at")
    minutes, load = table.numbers("duration_min"), table.numbers("session_load_au")
    end = np.where(np.isnan(end), start + np.round(minutes * 60e6), end)
    minutes = np.where(np.isnan(minutes), (end - start) / SECOND_US / 60, minutes)
    load = np.where(np.isnan(load), table.numbers("session_rpe") * minutes, load)
    _need(not ((minutes < 0) | (minutes > _LONGEST_MIN) | (load > _MOST_AU)).any())
    table.exact_us["ended_at"] = end
    table.columns["ended_at"] = np.floor(end / SECOND_US)
    table.columns["duration_min"], table.columns["session_load_au"] = minutes, load


def _check_sessions(table: _RequestTable, _sex: str, _tests: tuple[str, ...]) -> None:
    _check_ids(table, "session_id")
    _check_periods(table, "started_at", "ended_at")


def _check_sleep(table: _RequestTable, _sex: str, _tests: tuple[str, ...]) -> None:
    _check_periods(table, "onset_at", "wake_at")
    in_bed_us = table.moments_us("wake_at") - table.moments_us("onset_at")
    _need(not (in_bed_us > _LONGEST_US).any())
    stages = ("asleep_min", "awake_min", "light_min", "deep_min", "rem_min", "deep_first3h_min")
    _need(_nights_fit(in_bed_us / 60e6, *(table.numbers(name) for name in stages)))
    _check_unique(table.moments_us("onset_at").tolist())


def _check_epochs(table: _RequestTable, _sex: str, _tests: tuple[str, ...]) -> None:
    for name in ("duration_s", "stage"):
        _given(table.columns[name])
    _check_unique(table.moments_us("started_at").tolist())


def _check_labs(table: _RequestTable, sex: str, _tests: tuple[str, ...]) -> None:
    analyte, specimen = _given(table.columns["analyte"]), _given(table.columns["specimen"])
    _need(not (table.moments_us("awake_at") > table.moments_us("drawn_at")).any())
    drawn = table.moments_us("drawn_at").tolist()
    what = list(zip(analyte.tolist(), specimen.tolist(), strict=True))
    _check_unique(list(zip(drawn, what, strict=True)))
    scales = [
        _lab_scale(ANALYTES[int(a)], SPECIMENS[int(s)], row["unit"], sex)
        for (a, s), row in zip(what, table.rows, strict=True)
    ]
    _convert(table, scales, table.numbers("below_loq") == 1.0)


def _check_tests(table: _RequestTable, _sex: str, test_names: tuple[str, ...]) -> None:
    codes = _given(table.columns["test"]).tolist()
    _check_unique(list(zip(table.moments_us("measured_at").tolist(), codes, strict=True)))
    scales = [
        _test_scale(test_names[int(code)], row.get("unit"))
        for code, row in zip(codes, table.rows, strict=True)
    ]
    _convert(table, scales, np.zeros(len(scales), np.bool_))


def _check_nutrition(table: _RequestTable, _sex: str, _tests: tuple[str, ...]) -> None:
    _check_unique(table.numbers("date").tolist())


def _check_episodes(table: _RequestTable, _sex: str, _tests: tuple[str, ...]) -> None:
    _check_ids(table, "episode_id")
    _given(table.columns["kind"])
    _need(not (table.moments_us("resolved_at") < table.moments_us("onset_at")).any())


_CHECKS: dict[str, Callable[[_RequestTable, str, tuple[str, ...]], None]] = {
    "sessions": _check_sessions,
    "sleep": _check_sleep,
    "sleep_epochs": _check_epochs,
    "labs": _check_labs,
    "tests": _check_tests,
    "nutrition": _check_nutrition,
    "episodes": _check_episodes,
}


def _check_ids(table: _RequestTable, name: str) -> None:
    ids = table.columns[name].tolist()
    _need(all(isinstance(one, str) and one.strip() for one in ids))
    _check_unique(ids)


def _check_unique(keys: Sequence[object]) -> None:
    _need(len(set(keys)) == len(keys))


def _check_periods(table: _RequestTable, start: str, end: str) -> None:
    starts, ends = _given(table.moments_us(start)), _given(table.moments_us(end))
    timed = table.numbers("time_precision") != _BY_DAY
    _need(_apart(starts, ends, timed))


@kept
def _apart(starts_us: Floats, ends_us: Floats, timed: Bools) -> bool:
    """Return whether each period has a length and no two of the timed ones overlap."""
    latest = -np.inf
    for i in np.argsort(starts_us):
        if ends_us[i] < starts_us[i] or (timed[i] and starts_us[i] < latest):
            return False
        if timed[i]:
            latest = ends_us[i]
    return True


@kept
def _nights_fit(
    in_bed: Floats, asleep: Floats, awake: Floats, light: Floats, deep: Floats, rem: Floats,
    first3h: Floats,
) -> bool:  # fmt: skip
    """Return whether the parts of each night are clearly no longer than the whole, in minutes."""
    for i in range(in_bed.size):
        stages = (awake[i], light[i], deep[i], rem[i])
        if not (
            _fit(stages, in_bed[i])
            and _fit((asleep[i], awake[i], np.nan, np.nan), in_bed[i])
            and _fit((light[i], deep[i], rem[i], np.nan), asleep[i])
            and _fit((first3h[i], np.nan, np.nan, np.nan), deep[i])
        ):
            return False
    return True


@kept
def _fit(parts: tuple[float, float, float, float], whole: float) -> bool:
    total, n = 0.0, 0
    for part in parts:
        if not np.isnan(part):
            total, n = total + part, n + 1
    slack = n * MINUTE_A_PART - 1e-6  # where rounding would decide it is in doubt
    return bool(n == 0 or np.isnan(whole) or total <= whole + slack)


def _is_plain(text: object) -> bool:
    return isinstance(text, str) and text == text.strip() and text not in MISSING_WORDS


def _convert(
    table: _RequestTable, scales: Sequence[tuple[float, float, float]], unbounded_below: Bools
) -> None:
    factor, low, high = np.array(scales).T
    value = _given(table.columns["value"]) * factor
    _need(not (((value < low) & ~unbounded_below) | (value > high)).any())
    table.columns["value"] = value


# Bounded: the units come from users, and a server lives long.
@lru_cache(maxsize=4096)
def _lab_scale(analyte: str, specimen: str, unit: str, sex: str) -> tuple[float, float, float]:
    _need(_is_plain(unit))
    return _scale(quantity_of_lab(analyte, specimen, unit, sex))


@lru_cache(maxsize=4096)
def _test_scale(test: str, unit: str | None) -> tuple[float, float, float]:
    _need(unit is None or _is_plain(unit))
    return _scale(quantity_of_test(test, unit))


def _scale(quantity: Quantity) -> tuple[float, float, float]:
    """Return the factor to the canonical unit and the bounds in it that nobody doubts."""
    _need(quantity.problem is None)
    return quantity.factor, *quantity.trusted
