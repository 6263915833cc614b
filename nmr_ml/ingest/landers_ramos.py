"""Landers-Ramos et al. 2022: eleven runners before, after and 24 h after a 50 km race.

PLoS ONE 17(9):e0273510 (10.1371/journal.pone.0273510), in the wide form ``tidy.csv`` beside the
published workbooks.
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

TIMEZONE: Final = "America/New_York"
FILE: Final = "tidy.csv"
#: Conventions: the source gives neither a date nor a clock time, only the order and the 24 h.
RACE_START: Final = pd.Timestamp("2019-06-01 08:00")
RACE_END: Final = pd.Timestamp("2019-06-01 15:00")
WHEN: Final = {
    "pre": RACE_START - pd.Timedelta(minutes=30),
    "post": RACE_END + pd.Timedelta(minutes=30),
    "h24": RACE_END + pd.Timedelta(hours=24),
}
DISTANCE_M: Final = 50_000.0
SEX: Final = {"M": "male", "F": "female"}

#: Column stem to analyte, documented unit and specimen. The workbook heads white cells with
#: "million/uL"; the assay of the cytokines reports pg/mL. Whole blood is no specimen of a cohort.
ANALYTES: Final = {
    "ck": ("ck", "U/L", "serum"),
    "wbc": ("wbc", "10*6/uL", "plasma"),
    "il6": ("il6", "pg/mL", "plasma"),
    "tnfa": ("tnf_alpha", "pg/mL", "plasma"),
    "il8": ("il8", "pg/mL", "plasma"),
}
DOCUMENTED: Final = {analyte: unit for analyte, unit, _ in ANALYTES.values()}
STRENGTH: Final = tuple(f"strength_kg_{when}" for when in WHEN)
LAB_COLUMNS: Final = tuple(f"{stem}_{when}" for stem in ANALYTES for when in WHEN)
PERSON: Final = {"age": (10.0, 100.0), "Height (cm)": (100.0, 250.0), "Weight (kg)": (20.0, 250.0)}
NUMBERS: Final = {
    **dict.fromkeys(STRENGTH, (0.0, 1e4)),
    **dict.fromkeys(LAB_COLUMNS, (0.0, 1e6)),
    **PERSON,
}
_WITHOUT_PLACE: Final = {
    "taken during the race at a time that is not known": (
        *(f"strength_kg_lap{lap}" for lap in range(1, 5)),
        *(f"{stem}_lap1" for stem in ANALYTES),
    ),
    "taken at a screening visit whose date is not known": ("ck_screen", "wbc_screen"),
    "calprotectin is no analyte of a cohort": (
        "calpro_pre", "calpro_lap1", "calpro_post", "calpro_h24",
    ),
    "no column of the athletes table": ("Rel. VO2 (ml/min/Kg)", "km/week (current"),
}  # fmt: skip
COLUMNS: Final = (
    "pid", "sex", *NUMBERS, *(name for names in _WITHOUT_PLACE.values() for name in names),
)  # fmt: skip

DESCRIPTION: Final = (
    "Landers-Ramos et al. 2022 (10.1371/journal.pone.0273510): runners of a 50 km race of five "
    "10 km laps. The source has no dates or clock times: by convention, and with time_precision = "
    "day, the race is on 2019-06-01 08:00-15:00 America/New_York, the measurements before it at "
    "07:30, after it at 15:30, and the last 24 h after its end; birth_year is the convention's "
    "year minus the age. The load of the race is not known. Strength is the isometric force of "
    "the stronger leg in kg. Each athlete has one rested test, fewer than the 3 that a baseline "
    "needs, so no episode has a label. Units are those that the source documents: CK U/L, white "
    "cells million/uL, cytokines pg/mL; white cells were counted in whole blood."
)


def ingest(path: Path, options: IngestOptions) -> Ingested:
    """Turn the folder (or ``tidy.csv``) of Landers-Ramos et al. into a cohort.

    Raises
    ------
    DataError
        ``source_not_found`` or ``source_unreadable``.
    UsageError
        ``unit_not_applicable`` where a stated unit is of an analyte the source does not have.
    """
    units = stated_units(DOCUMENTED, options)
    root = sources.folder(path, FILE)
    sources.require(root, [FILE], source="landers_ramos")
    raw = sources.read_csv(root / FILE, root, COLUMNS)
    outcome = pd.Series(USED, index=raw.index, dtype=object)
    outcome[raw.duplicated(["pid"])] = Quarantine.DUPLICATE.value
    outcome[~raw["sex"].isin(SEX)] = Quarantine.UNKNOWN_CATEGORY.value
    outcome[pd.to_numeric(raw["pid"], errors="coerce").isna()] = Quarantine.NOT_A_NUMBER.value
    rows = raw[~is_quarantined(outcome)]
    cells = {name: sources.numbers(rows[name], bounds) for name, bounds in NUMBERS.items()}
    # As the workbooks spell it; the table has turned the number into 1.0.
    ids = "ULTRA_" + rows["pid"].astype(float).astype(int).astype(str).str.zfill(2)
    unusable = [unusable_rows(raw, outcome)]
    unusable += [unusable_rows(rows, cell.outcome, item=name) for name, cell in cells.items()]
    return Ingested(
        name="landers_ramos",
        timezone=TIMEZONE,
        description=DESCRIPTION + units_note(DOCUMENTED, options),
        source="Landers-Ramos et al. 2022, tidy.csv",
        tables={
            "athletes": _athletes(rows, ids, cells),
            "sessions": _sessions(ids),
            "labs": _labs(ids, cells, units),
            "tests": _tests(ids, cells),
        },
        account=_account(root, outcome, rows, cells),
        unusable=joined(unusable),
    )


def _utc(local: pd.Timestamp) -> pd.Timestamp:
    return local.tz_localize(TIMEZONE).tz_convert("UTC")


def _athletes(rows: pd.DataFrame, ids: pd.Series[str], cells: Mapping[str, Cells]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "athlete_id": ids,
            "sex": rows["sex"].map(SEX),
            "birth_year": RACE_START.year - cells["age"].found,
            "body_mass_kg": cells["Weight (kg)"].found,
            "stature_cm": cells["Height (cm)"].found,
            "sport": "running",
        }
    ).reset_index(drop=True)


def _sessions(ids: pd.Series[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "session_id": "landers_ramos-race-" + ids,
            "athlete_id": ids,
            "started_at": _utc(RACE_START),
            "ended_at": _utc(RACE_END),
            "duration_min": (RACE_END - RACE_START).total_seconds() / 60,
            "kind": "race",
            "modality": "running",
            "distance_m": DISTANCE_M,
            "time_precision": "day",
            "known_at": _utc(RACE_END),
        }
    ).reset_index(drop=True)


def _tests(ids: pd.Series[str], cells: Mapping[str, Cells]) -> pd.DataFrame:
    frames = [
        pd.DataFrame(
            {
                "athlete_id": ids,
                "measured_at": _utc(at),
                "test": "mvc_knee_extension_kg",
                "value": cells[f"strength_kg_{when}"].found,
                "unit": "kg",
                "rested": when == "pre",
                "time_precision": "day",
                "known_at": _utc(at),
            }
        )
        for when, at in WHEN.items()
    ]
    return _in_order(frames, "measured_at")


def _labs(
    ids: pd.Series[str], cells: Mapping[str, Cells], units: Mapping[str, str]
) -> pd.DataFrame:
    frames = [
        pd.DataFrame(
            {
                "athlete_id": ids,
                "drawn_at": _utc(at),
                "analyte": analyte,
                "value": cells[f"{stem}_{when}"].found,
                "unit": units[analyte],
                "specimen": specimen,
                "time_precision": "day",
                "known_at": _utc(at),
            }
        )
        for stem, (analyte, _, specimen) in ANALYTES.items()
        for when, at in WHEN.items()
    ]
    return _in_order(frames, "drawn_at")


def _in_order(frames: list[pd.DataFrame], at: str) -> pd.DataFrame:
    rows = pd.concat(frames, ignore_index=True).dropna(subset=["value"])
    return rows.sort_values(["athlete_id", at], kind="stable").reset_index(drop=True)


def _account(
    root: Path, outcome: pd.Series[str], rows: pd.DataFrame, cells: Mapping[str, Cells]
) -> tuple[Accounted, ...]:
    def of(names: tuple[str, ...], note: str = "") -> Accounted:
        outcomes = pd.concat([cells[name].outcome for name in names], ignore_index=True)
        return tally(f"{FILE}: {', '.join(names)}", outcomes, counts="cells", note=note)

    books = sorted(root.glob("*.xlsx"))
    sheets = {book.name: sources.sheet_rows(book) for book in books}
    return (
        tally(FILE, outcome, note="one row an athlete"),
        Accounted(f"{FILE}: pid, sex", 2 * len(rows), 2 * len(rows), counts="cells"),
        of(STRENGTH, "times by convention: see description"),
        of(LAB_COLUMNS, "times by convention: see description"),
        of(tuple(PERSON)),
        *(Accounted(f"{FILE}: {', '.join(names)}", len(rows) * len(names), 0,
                    no_place={why: len(rows) * len(names)}, counts="cells")
          for why, names in _WITHOUT_PLACE.items()),
        *(untouched(f"{book}: {sheet}", len(found), "the values are taken from tidy.csv; the rest "
                    "is assay wells, other blood counts, surveys and statistics")
          for book, each in sheets.items() for sheet, found in each.items()),
        *(untouched(name, 0, "", note="not a file of this source: not read")
          for name in sources.unknown_files(root, [FILE, "*.xlsx"])),
    )  # fmt: skip
