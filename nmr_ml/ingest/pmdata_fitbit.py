"""The Fitbit part of PMData: nights, their resting heart rate, and measured sessions.

Clocks of the export, checked against each other: sleep logs are local; `exercise.json` is UTC
although nothing says so (read as local, four times as many exercises fall into sleep, and their
ends lie one hour before those of the rated sessions, which are UTC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from nmr_ml.cohort.tables import STAGES
from nmr_ml.ingest import hypnogram, sources
from nmr_ml.ingest.account import USED, is_quarantined
from nmr_ml.ingest.hypnogram import CODE
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmr_ml.ingest.hypnogram import Epochs

DEVICE: Final = "fitbit versa 2"
#: Fitbit counts restless as awake: its `minutesAsleep` of a classic night leaves it out.
STAGE_WORDS: Final = {
    "wake": "awake", "awake": "awake", "restless": "awake", "asleep": "asleep",
    "light": "light", "deep": "deep", "rem": "rem", "unknown": "unknown",
}  # fmt: skip
#: How much of a session and an exercise together both must cover to be the same thing.
SAME: Final = 0.5

NO_LOG: Final = "no sleep log has that id"
NO_SESSION: Final = (
    "matches no rated session: it has no rating, and may be a part of a session or daily life"
)


@dataclass(frozen=True, slots=True)
class Nights:
    """`sleep` and `epochs` as tables, `outcome` for each source record, `log_id` for each night."""

    sleep: pd.DataFrame
    epochs: pd.DataFrame
    outcome: pd.Series[str]
    log_id: pd.Series[str]


def nights(records: pd.DataFrame, timezone: str) -> Nights:
    """Turn sleep logs into nights.

    The night begins with the first epoch of sleep and ends with the record. Epochs run on from the
    start of the record: the export writes them in the clock of the start, and after the change to
    summer time it pads the record with an hour of `unknown` at its end, which is cut off.

    Parameters
    ----------
    records : DataFrame
        One row a sleep log, with `athlete_id`.
    timezone : str
        Of the local times.
    """
    start = sources.times(records["startTime"], timezone)
    end = sources.times(records["endTime"], timezone)
    outcome = end.outcome.where(start.outcome == USED, start.outcome)
    outcome[(outcome == USED) & (end.found <= start.found)] = Quarantine.TIME_REVERSED.value
    outcome[~records["levels"].map(_readable)] = Quarantine.UNKNOWN_CATEGORY.value
    outcome[records.duplicated(["athlete_id", "logId"])] = Quarantine.DUPLICATE.value
    good = outcome[outcome == USED].index
    length_s = _elapsed_s(start.found[good], end.found[good])
    base = _epochs(records.loc[good], "data")
    clash = hypnogram.overlapping(base, len(good))
    base = hypnogram.clipped(base, length_s)
    wakes = hypnogram.clipped(_epochs(records.loc[good], "shortData"), length_s)
    base = hypnogram.with_wakes(base.where(~clash[base.night]), wakes.where(~clash[wakes.night]))
    minutes = hypnogram.summary(base, length_s).set_axis(good)
    outcome[minutes.index[minutes["onset_s"].isna()]] = Quarantine.MISSING_VALUE.value
    outcome[good[clash]] = Quarantine.OVERLAP.value
    kept = outcome[outcome == USED].index
    slept = (outcome[good] == USED).to_numpy()
    return Nights(
        sleep=_sleep(records.loc[kept], start.found[kept], end.found[kept], minutes.loc[kept]),
        epochs=_table(base.where(slept[base.night]), records.loc[good, "athlete_id"],
                      start.found[good]),
        outcome=outcome,
        log_id=records.loc[kept, "logId"].astype(str).reset_index(drop=True),
    )  # fmt: skip


def with_resting_hr(
    night: Nights, scores: pd.DataFrame, *, bounds: tuple[float, float]
) -> tuple[Nights, pd.Series[str]]:
    """Give each night the resting heart rate shown with its sleep score, and the scores' outcomes.

    The daily values of ``resting_heart_rate.json`` are not used: they include the day after the
    night (the value shown on waking agrees with the daily value of the day before, not of the day).
    """
    shown = sources.numbers(scores["resting_heart_rate"], bounds)
    outcome = shown.outcome.copy()
    key = scores["athlete_id"] + " " + scores["sleep_log_entry_id"].astype(str)
    outcome[key.duplicated()] = Quarantine.DUPLICATE.value
    nights_key = night.sleep["athlete_id"] + " " + night.log_id
    outcome[~is_quarantined(outcome) & ~key.isin(nights_key)] = NO_LOG
    rates = pd.Series(shown.found.to_numpy(), index=key)[(outcome == USED).to_numpy()]
    sleep = night.sleep.assign(resting_hr_bpm=rates.reindex(nights_key).to_numpy())
    return Nights(sleep, night.epochs, night.outcome, night.log_id), outcome


def measured(
    sessions: pd.DataFrame, exercises: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series[str]]:
    """Add heart rate, distance and energy of the one exercise that is the same as a session.

    Fitbit's heart-rate zones are not those of a cohort (50-60 ... 90-100 % of the maximum) and
    have no place.

    Returns
    -------
    sessions : DataFrame
        With `mean_hr_bpm`, `distance_m` and `energy_kcal`.
    outcome : Series of str
        For each exercise.
    """
    start = sources.times(exercises["startTime"], "UTC")
    length = sources.numbers(exercises["duration"], (1.0, 3000 * 60_000.0))
    outcome = length.outcome.where(start.outcome == USED, start.outcome)
    outcome[exercises.duplicated(["athlete_id", "logId"])] = Quarantine.DUPLICATE.value
    good = outcome == USED
    end = start.found + pd.to_timedelta(length.found.fillna(0.0), unit="ms")
    spans = pd.DataFrame({"athlete_id": exercises["athlete_id"], "start": start.found, "end": end})
    pairs = _same(sessions, spans[good])
    outcome[good] = NO_SESSION
    outcome[pairs["exercise"]] = USED
    chosen = exercises.loc[pairs["exercise"]]
    extra = pd.DataFrame(
        {
            "mean_hr_bpm": _found(chosen, "averageHeartRate", (30.0, 230.0)),
            # A distance of 0 is what a treadmill or the weights room gives: not measured.
            "distance_m": 1000.0 * _found(chosen, "distance", (0.001, 400.0)).where(
                chosen["distanceUnit"] == "Kilometer"
            ),
            "energy_kcal": _found(chosen, "calories", (1.0, 30_000.0)),
        }
    ).set_axis(pairs["session"].to_numpy())  # fmt: skip
    return sessions.join(extra), outcome


def _found(exercises: pd.DataFrame, column: str, bounds: tuple[float, float]) -> pd.Series[float]:
    return sources.numbers(exercises[column], bounds).found


def _same(sessions: pd.DataFrame, spans: pd.DataFrame) -> pd.DataFrame:
    """Return `session` and `exercise` labels of the pairs that are the same, one to one."""
    left = sessions[["athlete_id", "started_at", "ended_at"]].rename_axis("session").reset_index()
    pairs = left.merge(spans.rename_axis("exercise").reset_index(), on="athlete_id")
    begin, end = pairs["started_at"], pairs["ended_at"]
    shared = end.where(end < pairs["end"], pairs["end"]) - begin.where(
        begin > pairs["start"], pairs["start"]
    )
    either = end.where(end > pairs["end"], pairs["end"]) - begin.where(
        begin < pairs["start"], pairs["start"]
    )
    pairs = pairs.assign(share=shared / either).query("share >= @SAME")
    pairs = pairs.sort_values("share", ascending=False, kind="stable")
    pairs = pairs[~pairs.duplicated("session")]
    return pairs[~pairs.duplicated("exercise")][["session", "exercise"]]


def _readable(levels: object) -> bool:
    """Return whether a record's `levels` hold epochs of known stages."""
    if not isinstance(levels, dict) or not levels.get("data"):
        return False
    return all(
        {"dateTime", "level", "seconds"} <= entry.keys() and entry["level"] in STAGE_WORDS
        for name in ("data", "shortData")
        for entry in levels.get(name, [])
    )


def _epochs(records: pd.DataFrame, name: str) -> Epochs:
    found = [(n, e) for n, levels in enumerate(records["levels"]) for e in levels.get(name, [])]
    night = np.array([n for n, _ in found], dtype=np.int64)
    begin = _naive(list(records["startTime"]))
    at = _naive([entry["dateTime"] for _, entry in found])
    return hypnogram.epochs(
        night,
        (at - begin[night]) / np.timedelta64(1, "s"),
        np.array([entry["seconds"] for _, entry in found], dtype=np.float64),
        np.array([CODE[STAGE_WORDS[entry["level"]]] for _, entry in found], dtype=np.int64),
    )


def _naive(text: Sequence[str]) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    parsed = pd.to_datetime(pd.Series(text, dtype="str"), format="ISO8601")
    return parsed.dt.as_unit("us").to_numpy()


def _elapsed_s(
    start: pd.Series[pd.Timestamp], end: pd.Series[pd.Timestamp]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray((end - start).dt.total_seconds(), dtype=np.float64)


def _seconds(number: pd.Series[float]) -> pd.Series[pd.Timedelta]:
    return pd.to_timedelta(number, unit="s").dt.as_unit("us")


def _sleep(
    records: pd.DataFrame,
    start: pd.Series[pd.Timestamp],
    end: pd.Series[pd.Timestamp],
    minutes: pd.DataFrame,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "athlete_id": records["athlete_id"],
            "onset_at": start + _seconds(minutes["onset_s"]),
            "wake_at": end,
            **{name: minutes[name] for name in minutes if name != "onset_s"},
            "device": DEVICE,
            "time_precision": "minute",
            "known_at": end,
        }
    ).reset_index(drop=True)


def _table(base: Epochs, athlete: pd.Series[str], start: pd.Series[pd.Timestamp]) -> pd.DataFrame:
    begin = start.iloc[base.night].reset_index(drop=True)
    return pd.DataFrame(
        {
            "athlete_id": athlete.iloc[base.night].to_numpy(),
            "started_at": begin + _seconds(pd.Series(base.start_s)),
            "duration_s": base.end_s - base.start_s,
            "stage": np.array(STAGES)[base.stage],
        }
    )
