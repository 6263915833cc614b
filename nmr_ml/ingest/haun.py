"""Haun et al. 2018: hormones and CK of men in six weeks of extreme-volume resistance training.

Frontiers in Nutrition 5:84 (10.3389/fnut.2018.00084), in the wide form ``tidy.csv``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
    units_note,
    untouched,
    unusable_rows,
)
from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nmr_ml.ingest.sources import Cells

TIMEZONE: Final = "America/Chicago"
FILE: Final = "tidy.csv"
#: The convention for the first visit; the paper has the others after weeks 3 and 6.
FIRST_VISIT: Final = pd.Timestamp("2018-01-08 08:00")
VISIT_DAYS: Final = {"T1": 0, "T2": 21, "T3": 42}
#: By source column. The source documents ng/dL for cortisol, whatever its values look like.
ANALYTES: Final = {"CK": "ck", "TESTOSTERONE": "testosterone", "CORTISOL": "cortisol"}
DOCUMENTED: Final = {"ck": "U/L", "testosterone": "ng/dL", "cortisol": "ng/dL"}
LAB_COLUMNS: Final = tuple(f"{column}_{visit}" for column in ANALYTES for visit in VISIT_DAYS)
NUMBERS: Final = {
    "AGE": (10.0, 100.0),
    "BODYMASS_T1": (20.0, 250.0),
    **dict.fromkeys(LAB_COLUMNS, (0.0, 1e6)),
}

_WEEKS: Final = tuple(f"TOTAL_VOLUME_LOAD_WEEK_{week}" for week in range(1, 7))
_WITHOUT_PLACE: Final = {
    "a sum over a week or the whole study is no session, and session days are not known": (
        *_WEEKS,
        "SQUAT_VOLUME",
    ),
    "the study arm is no team": ("GROUP",),
    "years of training are no McKay tier": ("TRAINING_AGE",),
    "the athletes table holds one body mass, that of T1": ("BODYMASS_T2", "BODYMASS_T3"),
    "no recovery test of configs/tests.yaml (muscle thickness, mood disturbance, pain threshold, "
    "3RM squat)": (
        *(f"VL_T{visit}" for visit in range(1, 5)),
        *(f"{name}_T{visit}" for name in ("TMD", "PPT_AVG") for visit in range(1, 4)),
        "SQUAT_3RM",
    ),
}  # fmt: skip
COLUMNS: Final = (
    "PARTICIPANT", *NUMBERS, *(name for names in _WITHOUT_PLACE.values() for name in names),
)  # fmt: skip

DESCRIPTION: Final = (
    "Haun et al. 2018 (10.3389/fnut.2018.00084): trained men, serum at three visits. The source "
    "has no dates: by convention, and with time_precision = day, T1 is 2018-01-08 08:00 "
    "America/Chicago, T2 three weeks and T3 six weeks later, as in the paper; birth_year is the "
    "convention's year minus the age. The source has no session days, so there are no sessions: "
    "the cohort can be validated, but neither trained on nor scored. Units are those that the "
    "source documents: testosterone and cortisol ng/dL, CK U/L."
)


def ingest(path: Path, options: IngestOptions) -> Ingested:
    """Turn the folder (or ``tidy.csv``) of Haun et al. into a cohort of athletes and labs.

    Raises
    ------
    DataError
        ``source_not_found`` or ``source_unreadable``.
    UsageError
        ``unit_not_applicable`` where a stated unit is of an analyte the source does not have.
    """
    units = stated_units(DOCUMENTED, options)
    root = sources.folder(path, FILE)
    sources.require(root, [FILE], source="haun")
    raw = sources.read_csv(root / FILE, root, COLUMNS)
    outcome = pd.Series(USED, index=raw.index, dtype=object)
    outcome[raw.duplicated(["PARTICIPANT"])] = Quarantine.DUPLICATE.value
    outcome[raw["PARTICIPANT"].str.strip() == ""] = Quarantine.MISSING_VALUE.value
    rows = raw[~is_quarantined(outcome)]
    cells = {name: sources.numbers(rows[name], bounds) for name, bounds in NUMBERS.items()}
    unusable = [unusable_rows(raw, outcome)]
    unusable += [unusable_rows(rows, cell.outcome, item=name) for name, cell in cells.items()]
    return Ingested(
        name="haun",
        timezone=TIMEZONE,
        description=DESCRIPTION + units_note(DOCUMENTED, options),
        source="Haun et al. 2018, tidy.csv",
        tables={"athletes": _athletes(rows, cells), "labs": _labs(rows, cells, units)},
        account=_account(root, outcome, rows, cells),
        unusable=joined(unusable),
    )


def _athletes(rows: pd.DataFrame, cells: Mapping[str, Cells]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "athlete_id": rows["PARTICIPANT"],
            "sex": "male",
            "birth_year": FIRST_VISIT.year - cells["AGE"].found,
            "body_mass_kg": cells["BODYMASS_T1"].found,
        }
    ).reset_index(drop=True)


def _labs(rows: pd.DataFrame, cells: Mapping[str, Cells], units: Mapping[str, str]) -> pd.DataFrame:
    frames = [
        pd.DataFrame(
            {
                "athlete_id": rows["PARTICIPANT"],
                "drawn_at": _visit(visit),
                "analyte": analyte,
                "value": cells[f"{column}_{visit}"].found,
                "unit": units[analyte],
                "specimen": "serum",
                "time_precision": "day",
                "known_at": _visit(visit),
            }
        )
        for column, analyte in ANALYTES.items()
        for visit in VISIT_DAYS
    ]
    labs = pd.concat(frames, ignore_index=True).dropna(subset=["value"])
    return labs.sort_values(["athlete_id", "drawn_at"], kind="stable").reset_index(drop=True)


def _visit(visit: str) -> pd.Timestamp:
    local = FIRST_VISIT + pd.Timedelta(days=VISIT_DAYS[visit])
    return local.tz_localize(TIMEZONE).tz_convert("UTC")


def _account(
    root: Path, outcome: pd.Series[str], rows: pd.DataFrame, cells: Mapping[str, Cells]
) -> tuple[Accounted, ...]:
    labs = pd.concat([cells[name].outcome for name in LAB_COLUMNS], ignore_index=True)
    person = pd.concat([cells["AGE"].outcome, cells["BODYMASS_T1"].outcome], ignore_index=True)
    return (
        tally(FILE, outcome, note="one row an athlete"),
        Accounted(f"{FILE}: PARTICIPANT", len(rows), len(rows), counts="cells"),
        tally(f"{FILE}: {', '.join(LAB_COLUMNS)}", labs, counts="cells",
              note="visits on convention dates: see description"),
        tally(f"{FILE}: AGE, BODYMASS_T1", person, counts="cells"),
        *(Accounted(f"{FILE}: {', '.join(names)}", len(rows) * len(names), 0,
                    no_place={why: len(rows) * len(names)}, counts="cells")
          for why, names in _WITHOUT_PLACE.items()),
        *(untouched(name, 0, "", note="not a file of this source: not read")
          for name in sources.unknown_files(root, [FILE])),
    )  # fmt: skip
