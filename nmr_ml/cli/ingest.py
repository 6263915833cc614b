"""`nmr ingest`: foreign data to a cohort folder."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from nmr_ml.errors import UsageError
from nmr_ml.runtime import console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.ingest import Accounted, Ingested


def ingest(
    source: Annotated[
        str, typer.Argument(help="soccermon, pmdata, landers_ramos or haun.", metavar="SOURCE")
    ],
    path: Annotated[
        Path, typer.Argument(help="The folder that holds the files of the source.", metavar="PATH")
    ],
    out: Annotated[
        Path, typer.Argument(help="The cohort folder to write, new or a cohort.", metavar="OUT")
    ],
    unit: Annotated[
        list[str] | None,
        typer.Option(
            "--unit",
            metavar="ANALYTE=UNIT",
            help="State the unit of an analyte where the source documents a wrong one.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the account as one JSON document.")
    ] = False,
) -> None:
    """Turn foreign data into a cohort folder.

    Every row of the source is used, quarantined with a reason (OUT/quarantine/source.csv) or
    listed as having no place (OUT/ingest.json).
    """
    units = stated_units(unit or [])

    from nmr_ml.ingest import SOURCES, IngestOptions

    if source not in SOURCES:
        raise UsageError(
            "unknown_source",
            f"{source!r} is no source that can be ingested; known: {', '.join(SOURCES)}.",
            "Name one of them.",
        )
    ingested = SOURCES[source](path, IngestOptions(units))

    from nmr_ml.ingest.saving import save

    save(ingested, out)
    if as_json:
        console.emit(ingested.document())
    else:
        _show(ingested, out)


def stated_units(options: Sequence[str]) -> Mapping[str, str]:
    """Return the unit by analyte of ``ANALYTE=UNIT`` options.

    Raises
    ------
    UsageError
        ``unit_malformed`` for anything else, or for an analyte that is named twice.
    """
    units: dict[str, str] = {}
    for option in options:
        analyte, sign, unit = (part.strip() for part in option.partition("="))
        if not (analyte and sign and unit) or analyte in units:
            raise UsageError(
                "unit_malformed",
                f"--unit {option!r} was given, expected ANALYTE=UNIT, once an analyte.",
                "Write for example --unit cortisol=ug/dL.",
            )
        units[analyte] = unit
    return units


def _show(ingested: Ingested, out: Path) -> None:
    from rich.table import Table

    table = Table(title=f"{ingested.name}: where every row of the source went")
    table.add_column("source")
    for heading in ("in", "used", "quarantined", "no place"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in ingested.account:
        for line in _lines(entry):
            table.add_row(*line)
        table.add_section()
    console.show(table)
    rows = ", ".join(f"{name} {len(frame):,}" for name, frame in ingested.tables.items())
    console.say(f"{out}: {rows}.")
    console.say(ingested.description)


def _lines(entry: Accounted) -> list[tuple[str, ...]]:
    """Return the line of an entry, and below it one for each reason."""
    kind = "" if entry.counts == "rows" else " (cells)"
    quarantined, no_place = sum(entry.quarantined.values()), sum(entry.no_place.values())
    numbers = (entry.rows_in, entry.used, quarantined, no_place)
    note = f" [{entry.note}]" if entry.note else ""
    return [
        (entry.source + kind + note, *(f"{number:,}" for number in numbers)),
        *((f"- {why}", "", "", f"{number:,}", "") for why, number in entry.quarantined.items()),
        *((f"- {why}", "", "", "", f"{number:,}") for why, number in entry.no_place.items()),
    ]
