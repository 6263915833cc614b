from __future__ import annotations

import csv
from datetime import UTC, datetime

import openpyxl
import pandas as pd
import pytest

from nmr_ml.cohort.reader import canonical_cohort
from nmr_ml.ingest import IngestOptions, landers_ramos
from tests.support.ingest_data import assert_balanced, entry, ingested, real

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def raw() -> list[dict[str, str]]:
    with (real("landers_ramos") / landers_ramos.FILE).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_row_of_the_real_data_is_accounted_for() -> None:
    found = ingested("landers_ramos")
    assert_balanced(found)
    stems, times = ("ck", "wbc", "il6", "tnfa", "il8"), ("pre", "post", "h24")
    labs = sum(bool(row[f"{stem}_{when}"]) for row in raw() for stem in stems for when in times)
    assert {name: len(frame) for name, frame in found.tables.items()} == {
        "athletes": 11, "sessions": 11, "labs": labs, "tests": 33,
    }  # fmt: skip
    assert labs == 141
    assert entry(found, "tidy.csv: strength_kg_lap1").no_place == {
        "taken during the race at a time that is not known": 99
    }
    assert len(found.unusable) == 0


def test_strength_is_that_of_the_workbook() -> None:
    book = openpyxl.load_workbook(real("landers_ramos") / "Torque.xlsx", data_only=True)
    sheet = {
        row[1]: row for row in book["Strength"].iter_rows(min_row=4, max_row=14, values_only=True)
    }
    tests = ingested("landers_ramos").tables["tests"]
    for athlete, own in tests.groupby("athlete_id"):
        row = sheet[str(athlete).title().replace("_", "-")]
        assert own["value"].tolist() == pytest.approx([row[2], row[7], row[8]])
        assert own["rested"].tolist() == [True, False, False]
    book.close()


def test_eight_of_eleven_are_still_below_at_24_hours() -> None:
    tests = ingested("landers_ramos").tables["tests"]
    wide = tests.pivot_table(index="athlete_id", columns="measured_at", values="value").to_numpy()
    assert ((wide[:, 2] / wide[:, 0] - 1) < -0.05).sum() == 8
    labs = ingested("landers_ramos").tables["labs"]
    ck = labs[labs["analyte"] == "ck"].groupby("drawn_at")["value"].mean()
    assert ck.iloc[[0, 2]].tolist() == pytest.approx([184.3, 1507.5454545])


def test_the_24_hours_are_kept_by_the_convention() -> None:
    found = ingested("landers_ramos")
    race = found.tables["sessions"].iloc[0]
    assert race[["kind", "modality", "distance_m", "time_precision"]].tolist() == [
        "race", "running", 50_000.0, "day",
    ]  # fmt: skip
    assert "session_rpe" not in found.tables["sessions"]
    times = found.tables["tests"]["measured_at"].drop_duplicates().sort_values().tolist()
    assert times[0] < race["started_at"]
    assert times[1] > race["ended_at"]
    assert times[2] - race["ended_at"] == pd.Timedelta(hours=24)


def test_white_cells_come_in_the_unit_that_the_workbook_documents() -> None:
    book = openpyxl.load_workbook(real("landers_ramos") / "CK and WBCs.xlsx", data_only=True)
    headings = next(book["CK, Hct, RBC, WBC"].iter_rows(max_row=1, values_only=True))
    assert "White Cell Count (million/uL)" in headings
    book.close()
    for units, caught in (({}, 28), ({"wbc": "10*9/L"}, 0)):
        found = landers_ramos.ingest(real("landers_ramos"), IngestOptions(units))
        cohort, rejected = canonical_cohort(found.name, found.timezone, dict(found.tables), now=NOW)
        wbc = (found.tables["labs"]["analyte"] == "wbc").sum()
        assert wbc == 28
        assert len(rejected["labs"]) == caught
        assert cohort.counts["labs"].used == 141 - caught
        assert sum(count.quarantined for count in cohort.counts.values()) == caught
