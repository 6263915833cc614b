"""SoccerMon: two elite women's football teams, one row a player and day.

Midoglu et al. 2024, Scientific Data, in the one-table form ``master_dataset.csv``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from nmr_ml.ingest import sources
from nmr_ml.ingest.account import (
    USED,
    Accounted,
    Ingested,
    IngestOptions,
    is_quarantined,
    joined,
    stated_units,
    tally,
    untouched,
    unusable_rows,
)
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.ingest.sources import Cells

TIMEZONE: Final = "Europe/Oslo"
FILE: Final = "master_dataset.csv"
#: Conventions for a source that has days but no times, all local.
SESSION_START, SESSION_MIN = "17:00", 90.0
QUESTIONNAIRE, WAKE = "08:00", "07:30"

KEYS: Final = ("date", "player_id", "team")
DERIVED: Final = ("acwr", "atl", "ctl28", "ctl42", "monotony", "strain")
LOOKS_AHEAD: Final = ("injury_within_3d", "injury_within_7d", "injury_within_14d")
#: PMSYS scales, all higher = better: fatigue 5 is fresh, soreness 5 is none.
SCALES: Final = {
    "readiness": (1.0, 10.0),
    "fatigue": (1.0, 5.0),
    "soreness": (1.0, 5.0),
    "stress": (1.0, 5.0),
    "mood": (1.0, 5.0),
    "sleep_quality": (1.0, 5.0),
}
#: Also the largest load that the sessions table accepts, and hours of sleep of one night.
BOUNDS: Final = {
    **SCALES,
    "daily_load": (0.0, 20_000.0),
    "sleep_duration": (0.25, 23.0),
    "injury": (0.0, 1.0),
}
COLUMNS: Final = (*KEYS, *DERIVED, *BOUNDS, *LOOKS_AHEAD)

REST_OR_UNREPORTED: Final = "0 can mean rest or not reported: no session"
NO_FLAG: Final = "0: no injury flagged"
NOTHING: Final = (
    "nothing to keep: load 0 (rest or not reported), no answer, no injury flag of that day "
    "or of the day before"
)

DESCRIPTION: Final = (
    "SoccerMon, two elite women's football teams. The source has days and no times. By convention, "
    "and with time_precision = day, sessions last 17:00-18:30, questionnaires are answered at "
    "08:00 before that day's session, and a night of the reported length ends at 07:30, all "
    "Europe/Oslo. A session is the whole reported load of a day; a load of 0 makes none. "
    "There is no kind because the source does not tell matches from training. training_tier 4 "
    "(McKay 2022) because the source calls the teams elite. An injury lasts from 08:00 of the "
    "first flagged day to 08:00 of the first day without a flag; the flags were derived by the "
    "file's author and are no diagnosis."
)


def ingest(path: Path, options: IngestOptions) -> Ingested:
    """Turn the folder (or file) of SoccerMon into a cohort.

    Raises
    ------
    DataError
        ``source_not_found`` or ``source_unreadable``.
    UsageError
        ``unit_not_applicable``: the source has no analytes.
    """
    stated_units({}, options)
    root = sources.folder(path, FILE)
    sources.require(root, [FILE], source="soccermon")
    raw = sources.read_csv(root / FILE, root, COLUMNS)
    outcome = _row_problem(raw)
    rows = raw[~is_quarantined(outcome)]
    cells = _cells(rows)
    days = pd.to_datetime(rows["date"], format="%Y-%m-%d").astype("datetime64[us]")
    episodes, closing = _episodes(rows, days, cells["injury"])
    kept = closing.copy()
    for cell in cells.values():
        kept |= cell.outcome == USED
    outcome[rows.index] = np.where(kept, USED, NOTHING)
    unusable = [unusable_rows(raw, outcome)]
    unusable += [unusable_rows(rows, cell.outcome, item=name) for name, cell in cells.items()]
    return Ingested(
        name="soccermon",
        timezone=TIMEZONE,
        description=DESCRIPTION,
        source="SoccerMon (Simula), master_dataset.csv",
        tables={
            "athletes": _athletes(rows),
            "sessions": _sessions(rows, days, cells["daily_load"].found),
            "sleep": _sleep(rows, days, cells["sleep_duration"].found),
            "tests": _tests(rows, days, cells),
            "episodes": episodes,
        },
        account=_account(root, outcome, cells, closing),
        unusable=joined(unusable),
    )


def _row_problem(raw: pd.DataFrame) -> pd.Series[str]:
    outcome = pd.Series(USED, index=raw.index, dtype=object)
    day = pd.to_datetime(raw["date"], format="%Y-%m-%d", errors="coerce")
    outcome[raw.duplicated(["player_id", "date"])] = Quarantine.DUPLICATE.value
    outcome[day.isna()] = Quarantine.NOT_A_TIME.value
    outcome[(raw["player_id"].str.strip() == "")] = Quarantine.MISSING_VALUE.value
    return outcome


def _cells(rows: pd.DataFrame) -> dict[str, Cells]:
    cells = {name: sources.numbers(rows[name], bounds) for name, bounds in BOUNDS.items()}
    load, flag = cells["daily_load"], cells["injury"]
    cells["daily_load"] = load.no_place(load.found == 0, REST_OR_UNREPORTED)
    cells["injury"] = flag.no_place(flag.found == 0, NO_FLAG)
    return cells


def _local(days: pd.Series[pd.Timestamp], clock: str) -> pd.Series[pd.Timestamp]:
    """Return `clock` of each local day; the conventional times exist once on every day."""
    times = days + pd.Timedelta(f"{clock}:00")
    return times.dt.tz_localize(TIMEZONE).dt.tz_convert("UTC")


def _athletes(rows: pd.DataFrame) -> pd.DataFrame:
    first = rows.drop_duplicates("player_id")
    return pd.DataFrame(
        {
            "athlete_id": first["player_id"],
            "sex": "female",
            "training_tier": 4.0,
            "sport": "soccer",
            "team": first["team"],
        }
    ).reset_index(drop=True)


def _sessions(
    rows: pd.DataFrame, days: pd.Series[pd.Timestamp], load: pd.Series[float]
) -> pd.DataFrame:
    loaded = rows[load > 0]
    start = _local(days[loaded.index], SESSION_START)
    end = start + pd.Timedelta(minutes=SESSION_MIN)
    return pd.DataFrame(
        {
            "session_id": "soccermon-" + loaded["player_id"] + "-" + loaded["date"],
            "athlete_id": loaded["player_id"],
            "started_at": start,
            "ended_at": end,
            "duration_min": SESSION_MIN,
            "modality": "soccer",
            "session_load_au": load[loaded.index],
            "time_precision": "day",
            "known_at": end,
        }
    ).reset_index(drop=True)


def _sleep(
    rows: pd.DataFrame, days: pd.Series[pd.Timestamp], hours: pd.Series[float]
) -> pd.DataFrame:
    told = rows[hours.notna()]
    wake = _local(days[told.index], WAKE)
    asleep = pd.to_timedelta((hours[told.index] * 3600).round(), unit="s")
    return pd.DataFrame(
        {
            "athlete_id": told["player_id"],
            "onset_at": (wake - asleep).dt.as_unit("us"),
            "wake_at": wake,
            "asleep_min": hours[told.index] * 60,
            "device": "questionnaire",
            "time_precision": "day",
            # The answer is given with the morning questionnaire, not on waking.
            "known_at": _local(days[told.index], QUESTIONNAIRE),
        }
    ).reset_index(drop=True)


def _tests(
    rows: pd.DataFrame, days: pd.Series[pd.Timestamp], cells: dict[str, Cells]
) -> pd.DataFrame:
    answered = _local(days, QUESTIONNAIRE)
    frames = [
        pd.DataFrame(
            {
                "athlete_id": rows["player_id"],
                "measured_at": answered,
                "test": name,
                "value": cells[name].found,
            }
        )
        for name in SCALES
    ]
    tests = pd.concat(frames, ignore_index=True).dropna(subset=["value"])
    tests = tests.assign(unit="1", time_precision="day", known_at=tests["measured_at"])
    return tests.sort_values(["athlete_id", "measured_at"], kind="stable").reset_index(drop=True)


def _episodes(
    rows: pd.DataFrame, days: pd.Series[pd.Timestamp], flag: Cells
) -> tuple[pd.DataFrame, pd.Series[bool]]:
    """Return one injury for each run of flagged days, and which rows end one."""
    order = pd.DataFrame(
        {
            "athlete_id": rows["player_id"],
            "day": days,
            "flag": flag.found == 1,
            "clear": flag.outcome == NO_FLAG,
        }
    )
    order = order.sort_values(["athlete_id", "day"], kind="stable")
    follows = (order["athlete_id"] == order["athlete_id"].shift()) & (
        order["day"].diff() == pd.Timedelta(days=1)
    )
    was = order["flag"].shift(fill_value=False) & follows
    starts, closes = order["flag"] & ~was, was & order["clear"]
    run = starts.cumsum()
    onset = order[starts].set_axis(run[starts])
    # A gap, or a day whose flag is not known, leaves the run without an end.
    end = order.loc[closes, "day"].set_axis(run[closes]).reindex(onset.index)
    morning = _local(onset["day"], QUESTIONNAIRE)
    episodes = pd.DataFrame(
        {
            "episode_id": "soccermon-injury-" + onset["athlete_id"] + "-"
            + onset["day"].dt.strftime("%Y-%m-%d"),
            "athlete_id": onset["athlete_id"],
            "kind": "injury",
            "onset_at": morning,
            "resolved_at": _local(end, QUESTIONNAIRE),
            "known_at": morning,
        }
    ).reset_index(drop=True)  # fmt: skip
    return episodes, closes.reindex(rows.index)


def _account(
    root: Path, outcome: pd.Series[str], cells: dict[str, Cells], closing: pd.Series[bool]
) -> tuple[Accounted, ...]:
    usable = int((~is_quarantined(outcome)).sum())
    answers = pd.concat([cells[name].outcome for name in SCALES], ignore_index=True)
    flags = cells["injury"].outcome.mask(closing, USED)

    def of(columns: tuple[str, ...]) -> str:
        return f"{FILE}: {', '.join(columns)}"

    def no_place(columns: tuple[str, ...], why: str) -> Accounted:
        total = usable * len(columns)
        return Accounted(of(columns), total, 0, no_place={why: total}, counts="cells")

    return (
        tally(FILE, outcome, note="one row a player and day; conventions: see description"),
        Accounted(of(KEYS), usable * len(KEYS), usable * len(KEYS), counts="cells"),
        tally(of(("daily_load",)), cells["daily_load"].outcome, counts="cells",
              note="sessions 17:00-18:30 by convention"),
        tally(of(tuple(SCALES)), answers, counts="cells", note="tests at 08:00 by convention"),
        tally(of(("sleep_duration",)), cells["sleep_duration"].outcome, counts="cells",
              note="sleep that ends at 07:30 by convention"),
        tally(of(("injury",)), flags, counts="cells",
              note="runs of flagged days; the first day without a flag ends one"),
        no_place(DERIVED, "derived from the load: computed by the features"),
        no_place(LOOKS_AHEAD, "looks ahead: never ingested"),
        *(untouched(name, 0, "", note="not a file of this source: not read")
          for name in sources.unknown_files(root, [FILE])),
    )  # fmt: skip
