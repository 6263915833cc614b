"""The rules between rows and between the columns of a row: which rows break them, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmr_ml.cohort.parsing import STR
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from nmr_ml.cohort.parsing import Mask
    from nmr_ml.cohort.tables import Table

#: How far clocks may differ before a time counts as future.
CLOCK_TOLERANCE = pd.Timedelta(hours=1)
#: How far `known_at` may precede the event by rounding of the event's own time.
ROUNDING = pd.Timedelta(seconds=1)
#: Longer than this nobody is in bed; a wrong date would swallow every later night as an overlap.
LONGEST_NIGHT = pd.Timedelta(hours=24)
#: Devices round every stage to whole minutes, so each part may be that much too long.
MINUTE_A_PART = 1.0
#: Start and end of what a row is about.
SPANS = {
    "sessions": ("started_at", "ended_at"),
    "sleep": ("onset_at", "wake_at"),
    "labs": ("awake_at", "drawn_at"),
    "episodes": ("onset_at", "resolved_at"),
}
_STAGES = ("awake_min", "light_min", "deep_min", "rem_min")
_EXCLUSIVE = ("sessions", "sleep")


@dataclass(frozen=True, slots=True)
class Finding:
    """The rows (a mask over the table as it came) that break one rule, and what to say of them."""

    rows: Mask
    reason: Quarantine
    column: str = ""
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The rule for a person, with the column and what was expected."""
        said = f"{self.column}: {self.reason.sentence}" if self.column else self.reason.sentence
        return f"{said} {self.detail}" if self.detail else said


def survivors(findings: Sequence[Finding], n: int) -> Mask:
    """Return which of `n` rows break no rule so far."""
    alive = np.ones(n, dtype=np.bool_)
    for finding in findings:
        alive &= ~finding.rows
    return alive


def rejected(findings: Sequence[Finding], n: int) -> pd.DataFrame:
    """Return one line for each row that breaks a rule: the first it breaks.

    Returns
    -------
    DataFrame
        Columns `reason`, `sentence`, `column`; the index is the position of the row as it came.
    """
    first = np.full(n, -1)
    for number, finding in enumerate(findings):
        if finding.rows.any():
            first[finding.rows & (first < 0)] = number
    positions = np.flatnonzero(first >= 0)
    broken = [findings[number] for number in first[positions]]
    return pd.DataFrame(
        {
            "reason": [finding.reason.value for finding in broken],
            "sentence": [finding.sentence for finding in broken],
            "column": [finding.column for finding in broken],
        },
        index=positions,
        dtype=STR,
    )


def of_one_row(
    table: Table, frame: pd.DataFrame, begins: pd.Series | None, now: datetime
) -> list[Finding]:
    """Return the rows whose own columns contradict each other or the clock.

    Parameters
    ----------
    frame : DataFrame
        Canonical dtypes, event time and `known_at` filled in.
    begins : Series or None
        The earliest time at which a row can be known, UTC: its event time, or for a date the
        beginning of that local day; None for a table without event time.
    now : datetime
        The clock, with time zone.
    """
    findings = []
    if table.name in SPANS:
        start, end = SPANS[table.name]
        findings.append(
            Finding(
                _true(frame[end] < frame[start]), Quarantine.TIME_REVERSED, end, f"Start: {start}."
            )
        )
    if table.name == "sleep":
        findings += _night(frame)
    if begins is None:
        return findings
    late = _true(begins > pd.Timestamp(now) + CLOCK_TOLERANCE)
    findings.append(Finding(late, Quarantine.FUTURE, table.event_time or ""))
    if "known_at" in frame:
        early = _true(frame["known_at"] < begins - ROUNDING)
        findings.append(Finding(early, Quarantine.KNOWN_BEFORE_EVENT, "known_at"))
    return findings


def _true(flags: pd.Series) -> Mask:
    return flags.to_numpy(dtype=np.bool_)


def _night(frame: pd.DataFrame) -> list[Finding]:
    in_bed = frame["wake_at"] - frame["onset_at"]
    too_long = Finding(
        _true(in_bed > LONGEST_NIGHT), Quarantine.OUT_OF_RANGE, "wake_at", "Expected 24 h at most."
    )
    minutes = in_bed.dt.total_seconds() / 60
    sums = (
        (_STAGES, minutes, "the time in bed"),
        (("asleep_min", "awake_min"), minutes, "the time in bed"),
        (("light_min", "deep_min", "rem_min"), frame["asleep_min"], "asleep_min"),
        (("deep_first3h_min",), frame["deep_min"], "deep_min"),
    )
    return [too_long, *(_parts(frame, parts, whole, name) for parts, whole, name in sums)]


def _parts(frame: pd.DataFrame, parts: tuple[str, ...], whole: pd.Series, name: str) -> Finding:
    values = frame[list(parts)].to_numpy()
    slack = MINUTE_A_PART * np.count_nonzero(~np.isnan(values), axis=1)
    exceeds = np.nansum(values, axis=1) > whole.to_numpy() + slack
    detail = f"{' + '.join(parts)} against {name}."
    column = parts[0] if len(parts) == 1 else ""
    return Finding(exceeds, Quarantine.PARTS_EXCEED_WHOLE, column, detail)


def orphans(frame: pd.DataFrame, athletes: pd.Index) -> Finding:
    """Return the rows of athletes who are not among `athletes` (those that can be used)."""
    known = frame["athlete_id"].isin(athletes)
    return Finding(~_true(known), Quarantine.ORPHAN, "athlete_id")


def duplicates(table: Table, frame: pd.DataFrame, alive: Mask) -> list[Finding]:
    """Return the rows whose key an earlier row has: the same row again, or another."""
    candidates = frame.loc[alive]
    again = candidates.duplicated(list(table.key), keep=False)
    if not again.any():
        return []
    shared = candidates.loc[again]
    same = shared.index[shared.duplicated()]
    later = shared.index[shared.duplicated(list(table.key))]
    column = table.key[-1]
    return [
        Finding(_at(same, len(frame)), Quarantine.DUPLICATE, column),
        Finding(_at(later, len(frame)), Quarantine.CONFLICTING_DUPLICATE, column),
    ]


def _at(positions: pd.Index, n: int) -> Mask:
    found = np.zeros(n, dtype=np.bool_)
    found[positions.to_numpy(dtype=np.intp)] = True
    return found


def overlaps(table: Table, frame: pd.DataFrame, alive: Mask) -> list[Finding]:
    """Return the sessions and nights that begin before an earlier one of the athlete has ended.

    Of two that overlap the later-starting one is quarantined. Where only the day is known the
    times are a convention, and nothing overlaps.
    """
    if table.name not in _EXCLUSIVE:
        return []
    start, end = SPANS[table.name]
    timed = alive
    if "time_precision" in frame:
        timed = alive & ~_true(frame["time_precision"] == "day")
    rows = np.flatnonzero(timed)
    # Plain numbers of microseconds: times with a zone would become objects.
    starts, ends = (frame[name].to_numpy(dtype="datetime64[us]")[rows] for name in (start, end))
    athlete = pd.factorize(frame["athlete_id"].to_numpy(dtype=object)[rows])[0]
    order = np.lexsort((starts, athlete))
    rows, athlete, starts, ends = rows[order], athlete[order], starts[order], ends[order]
    # In order of start, any overlap at all shows between two neighbours.
    clash = (athlete[1:] == athlete[:-1]) & (starts[1:] < ends[:-1])
    found = np.zeros(len(frame), dtype=np.bool_)
    for suspect in np.unique(athlete[1:][clash]):
        own = athlete == suspect
        found[rows[own][_within_earlier(starts[own], ends[own])]] = True
    return [Finding(found, Quarantine.OVERLAP, start)]


def _within_earlier(starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]) -> list[int]:
    """Return which periods of one athlete, in order of start, begin inside the last one kept."""
    out, kept = [], 0
    for number in range(1, len(starts)):
        if starts[number] < ends[kept]:
            out.append(number)
        else:
            kept = number
    return out
