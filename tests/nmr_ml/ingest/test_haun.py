from __future__ import annotations

import csv
from datetime import UTC, datetime

import pandas as pd

from nmr_ml.cohort.reader import canonical_cohort
from nmr_ml.ingest import IngestOptions, haun
from tests.support.ingest_data import assert_balanced, entry, ingested, real

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def raw() -> list[dict[str, str]]:
    with (real("haun") / haun.FILE).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_row_and_value_of_the_real_data_is_accounted_for() -> None:
    found = ingested("haun")
    assert_balanced(found)
    assert entry(found, "tidy.csv").used == len(raw()) == 31
    labs = found.tables["labs"].groupby("analyte")["value"].agg(["count", "sum"])
    for column, analyte in haun.ANALYTES.items():
        values = [float(row[f"{column}_T{n}"]) for row in raw() for n in (1, 2, 3)
                  if row[f"{column}_T{n}"]]  # fmt: skip
        assert labs.loc[analyte, "count"] == len(values)
        assert round(labs["sum"][analyte], 6) == round(sum(values), 6)
    assert labs["count"].to_dict() == {"ck": 72, "cortisol": 78, "testosterone": 78}


def test_there_are_no_sessions_because_the_source_has_no_session_days() -> None:
    found = ingested("haun")
    assert set(found.tables) == {"athletes", "labs"}
    weeks = entry(found, f"tidy.csv: {haun._WEEKS[0]}")
    assert weeks.used == 0
    assert "neither trained on nor scored" in found.description


def test_visits_lie_three_weeks_apart_on_convention_dates() -> None:
    days = ingested("haun").tables["labs"]["drawn_at"].drop_duplicates().sort_values()
    # Days on the calendar, whatever the clock does between them.
    calendar = days.dt.tz_convert(haun.TIMEZONE).dt.normalize().dt.tz_localize(None)
    assert calendar.diff().dropna().tolist() == [pd.Timedelta(days=21)] * 2
    local = days.dt.tz_convert(haun.TIMEZONE).dt.strftime("%H:%M")
    assert set(local) == {"08:00"}
    assert set(ingested("haun").tables["labs"]["time_precision"]) == {"day"}


def test_the_documented_unit_of_cortisol_is_a_trap_that_validation_catches() -> None:
    found = ingested("haun")
    assert set(found.tables["labs"].query("analyte == 'cortisol'")["unit"]) == {"ng/dL"}
    cohort, rejected = canonical_cohort(found.name, found.timezone, dict(found.tables), now=NOW)
    bad = found.tables["labs"].loc[rejected["labs"].index, "analyte"]
    assert bad.tolist() == ["cortisol"] * 78
    # The lowest value, 1.08, is out of range instead.
    reasons = rejected["labs"]["reason"].value_counts().to_dict()
    assert reasons == {"looks_like_other_unit": 77, "out_of_range": 1}
    assert cohort.counts["labs"].used == 150


def test_the_unit_that_the_user_states_lets_them_pass() -> None:
    found = haun.ingest(real("haun"), IngestOptions({"cortisol": "ug/dL"}))
    assert "cortisol ug/dL instead of ng/dL" in found.description
    cohort, rejected = canonical_cohort(found.name, found.timezone, dict(found.tables), now=NOW)
    assert len(rejected["labs"]) == 0
    cortisol = cohort["labs"].query("analyte == 'cortisol'")["value"]
    # 10 µg/dL is 276 nmol/L: a morning value.
    assert 250 < cortisol.median() < 450
