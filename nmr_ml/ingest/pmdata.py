"""PMData: five months of sixteen people, with PMSYS questionnaires and a Fitbit.

Thambawita et al. 2020 (10.1145/3339825.3394926), in its published folder layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from nmr_ml.cohort.tables import SLEEP
from nmr_ml.ingest import pmdata_files as files
from nmr_ml.ingest import pmdata_fitbit as fitbit
from nmr_ml.ingest import pmdata_pmsys as pmsys
from nmr_ml.ingest import sources
from nmr_ml.ingest.account import (
    USED,
    Accounted,
    Ingested,
    IngestOptions,
    is_quarantined,
    joined,
    stated_units,
    untouched,
)
from nmr_ml.ingest.pmdata_files import Kept, Part, keep
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from pathlib import Path

#: The study ran from November 2019 to March 2020; ages are those at its start.
STUDY_YEAR: Final = 2019
OVERVIEW: Final = "participant-overview.xlsx"
REPORTING: Final = "googledocs/reporting.csv"
WELLNESS, SRPE, INJURY = "pmsys/wellness.csv", "pmsys/srpe.csv", "pmsys/injury.csv"
SLEEP_LOGS, SCORES, EXERCISE = (
    "fitbit/sleep.json", "fitbit/sleep_score.csv", "fitbit/exercise.json",
)  # fmt: skip
_DAY_SUMS: Final = "minutes of a whole day are no session"
#: Files whose rows have no place at all, and why.
WITHOUT_PLACE: Final = {
    "fitbit/resting_heart_rate.json": "the value of a whole day includes what follows the night; "
    "nights have the value shown with their sleep score",
    "fitbit/time_in_heart_rate_zones.json": _DAY_SUMS,
    "fitbit/lightly_active_minutes.json": _DAY_SUMS,
    "fitbit/moderately_active_minutes.json": _DAY_SUMS,
    "fitbit/sedentary_minutes.json": _DAY_SUMS,
    "fitbit/very_active_minutes.json": _DAY_SUMS,
}
SCORE_COLUMNS: Final = ("sleep_log_entry_id", "resting_heart_rate")
_COMPOSITES: Final = (
    "timestamp", "overall_score", "composition_score", "revitalization_score", "duration_score",
    "deep_sleep_in_minutes", "restlessness",
)  # fmt: skip
LOG_COLUMNS: Final = ("logId", "startTime", "endTime", "levels")
EXERCISE_COLUMNS: Final = (
    "logId", "startTime", "duration", "averageHeartRate", "distance", "distanceUnit", "calories",
)  # fmt: skip
PERSON: Final = {"Age": (10.0, 100.0), "Height": (100.0, 250.0), "Max heart rate": (100.0, 240.0)}
_OVERVIEW_COLUMNS: Final = (
    "Participant ID", "Age", "Height", "Gender", "A or B person", "Max heart rate", "Date",
    "Minutes", "Seconds", "Stride walk", "Stride run",
)  # fmt: skip
_OVERVIEW_REST: Final = {
    "no column of the athletes table": ("A or B person", "Stride walk", "Stride run"),
    "a 5 km time is no recovery test, and the day has no rated effort": (
        "Date", "Minutes", "Seconds",
    ),
}  # fmt: skip

NO_FOLDER: Final = "no folder of that person"
NO_AMOUNTS: Final = "meals, fluid and alcohol have no amounts that a cohort holds"
ONE_MASS: Final = "the athletes table holds one body mass: the first reported"

DESCRIPTION: Final = (
    "PMData (10.1145/3339825.3394926). Questionnaires, sessions, injury reports and exercises have "
    "real UTC times, sleep logs local ones (Europe/Oslo). birth_year is 2019 minus the age; "
    "body_mass_kg is the first reported. A night begins with the first epoch of sleep and ends "
    "with its record; naps are rows too. Nights that only tell asleep from awake have no stage "
    "minutes, and restless counts as awake, as Fitbit counts it. A session that mostly coincides "
    "with a Fitbit exercise has its heart rate, distance and energy. Reports of one body part are "
    "one injury unless a day of reports without it lies between and they are more than 14 days "
    "apart; it ends with the first day of reports without it, and its grade is that of the first "
    "report."
)


def ingest(path: Path, options: IngestOptions) -> Ingested:
    """Turn the folder of PMData into a cohort.

    Raises
    ------
    DataError
        ``source_not_found`` or ``source_unreadable``.
    UsageError
        ``unit_not_applicable``: the source has no analytes.
    """
    stated_units({}, options)
    sources.require(path, [OVERVIEW, f"{files.PEOPLE}/{SRPE}"], source="pmdata")
    mass, reporting = _body_mass(files.read(path, REPORTING, ("date", "weight")))
    athletes, overview = _athletes(path, mass)
    tests, wellness = pmsys.tests(files.read(path, WELLNESS, pmsys.WELLNESS_COLUMNS))
    rated, srpe = pmsys.sessions(files.read(path, SRPE, pmsys.SRPE_COLUMNS))
    episodes, injury = pmsys.episodes(files.read(path, INJURY, pmsys.INJURY_COLUMNS))
    nights, slept = _nights(path)
    sessions, exercise = _measured(path, rated)
    parts = (overview, wellness, srpe, injury, reporting, slept, exercise)
    return Ingested(
        name="pmdata",
        timezone=pmsys.TIMEZONE,
        description=DESCRIPTION,
        source="PMData (Simula)",
        tables={
            "athletes": athletes,
            "sessions": sessions,
            "sleep": nights.sleep,
            "sleep_epochs": nights.epochs,
            "tests": tests,
            "episodes": episodes,
        },
        account=(*(entry for part in parts for entry in part.account), *_rest(path)),
        unusable=joined([frame for part in parts for frame in part.unusable]),
    )


def _athletes(root: Path, mass: pd.Series[float]) -> tuple[pd.DataFrame, Kept]:
    raw = _overview(root)
    person, sex = raw["Participant ID"].str.strip(), raw["Gender"].str.strip()
    cells = {name: sources.numbers(raw[name], bounds) for name, bounds in PERSON.items()}
    outcome = pd.Series(USED, index=raw.index, dtype=object)
    outcome[~person.isin(files.people(root))] = NO_FOLDER
    outcome[person.duplicated()] = Quarantine.DUPLICATE.value
    known = pd.DataFrame(
        {
            "sex": sex.where(sex.isin(["male", "female"]), "unknown"),
            "birth_year": STUDY_YEAR - cells["Age"].found,
            "stature_cm": cells["Height"].found,
            "hr_max_bpm": cells["Max heart rate"].found,
        }
    )
    known = known.set_axis(person)[(outcome == USED).to_numpy()]
    everybody = pd.Index(files.people(root), name="athlete_id")
    athletes = known.reindex(everybody).assign(body_mass_kg=mass.reindex(everybody))
    athletes["sex"] = athletes["sex"].fillna("unknown")
    usable = {name: cell.loc(raw.index[~is_quarantined(outcome)]) for name, cell in cells.items()}
    part = Part(OVERVIEW, raw, ())
    return athletes.reset_index(), keep(part, outcome, cells=usable, no_place=_OVERVIEW_REST)


def _overview(root: Path) -> pd.DataFrame:
    """Return the rows below the headings of the first sheet as text.

    Raises
    ------
    DataError
        ``source_unreadable`` where the headings are not those that are published.
    """
    path = root / OVERVIEW
    sheet = next(iter(sources.sheet_rows(path).values()), [])
    width = len(_OVERVIEW_COLUMNS)
    text = [["" if cell is None else str(cell) for cell in (*row, *[None] * width)[:width]]
            for _, row in sheet]  # fmt: skip
    frame = pd.DataFrame(text, columns=list(_OVERVIEW_COLUMNS), dtype="str")
    frame = frame.assign(file=OVERVIEW, line=[number for number, _ in sheet])
    heading = frame.index[frame["Participant ID"] == "Participant ID"]
    if heading.empty or tuple(frame.loc[heading[0], list(_OVERVIEW_COLUMNS)]) != _OVERVIEW_COLUMNS:
        names = ", ".join(_OVERVIEW_COLUMNS)
        raise sources.unreadable(path, f"has no line with the headings {names}")
    return frame.loc[heading[0] + 1 :].reset_index(drop=True)


def _body_mass(part: Part) -> tuple[pd.Series[float], Kept]:
    """Return the first reported body mass of each person: later ones would look ahead."""
    raw = part.rows
    day = pd.to_datetime(raw["date"], format="%d/%m/%Y", errors="coerce")
    weight = sources.numbers(raw["weight"], (20.0, 250.0), empty=NO_AMOUNTS)
    outcome = weight.outcome.copy()
    outcome[day.isna()] = Quarantine.NOT_A_TIME.value
    told = raw.assign(day=day, mass=weight.found)[outcome == USED]
    first = told.sort_values(["athlete_id", "day"], kind="stable").drop_duplicates("athlete_id")
    outcome[told.index.difference(first.index)] = ONE_MASS
    no_place = {NO_AMOUNTS: ("timestamp", "meals", "glasses_of_fluid", "alcohol_consumed")}
    return first.set_index("athlete_id")["mass"], keep(part, outcome, no_place=no_place)


def _nights(root: Path) -> tuple[fitbit.Nights, Kept]:
    logs = files.read(root, SLEEP_LOGS, LOG_COLUMNS)
    scores = files.read(root, SCORES, SCORE_COLUMNS)
    column = SLEEP.column("resting_hr_bpm")
    bounds = (column.lower or 0.0, column.upper or 0.0)
    plain = fitbit.nights(logs.rows, pmsys.TIMEZONE)
    nights, shown = fitbit.with_resting_hr(plain, scores.rows, bounds=bounds)
    log = keep(logs, nights.outcome, leave_out=["levels"], note="one row a sleep log, naps too")
    composites = {
        "composite scores of the device; minutes are counted from the epochs": _COMPOSITES
    }
    score = keep(scores, shown, no_place=composites, note="the resting heart rate of the night")
    return nights, Kept((*log.account, *score.account), (*log.unusable, *score.unusable))


def _measured(root: Path, rated: pd.DataFrame) -> tuple[pd.DataFrame, Kept]:
    part = files.read(root, EXERCISE, EXERCISE_COLUMNS)
    sessions, outcome = fitbit.measured(rated, part.rows)
    note = "adds heart rate, distance and energy to the rated session that it coincides with"
    return sessions, keep(part, outcome, note=note)


def _rest(root: Path) -> tuple[Accounted, ...]:
    """Account for the files without a place and those that nobody knows."""
    entries: list[Accounted] = []
    for name, why in WITHOUT_PLACE.items():
        part = files.read(root, name, ())
        outcome = pd.Series(why, index=part.rows.index, dtype=object)
        entries += keep(part, outcome).account
    known = (WELLNESS, SRPE, INJURY, REPORTING, SLEEP_LOGS, SCORES, EXERCISE, *WITHOUT_PLACE)
    patterns = [OVERVIEW, *(f"{files.PEOPLE}/{name}" for name in known)]
    strange = sources.unknown_files(root, patterns)
    return (*entries, *(untouched(n, 0, "", note="not a file of this source: not read")
                        for n in strange))  # fmt: skip
