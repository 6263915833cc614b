"""`nmr validate`: what is in a cohort, what cannot be used, and why."""

# pandas and pandera take seconds to import, and `nmr --help` needs neither: the functions do it.

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads the annotations when the command is built
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmr_ml.errors import DataError
from nmr_ml.runtime import console

if TYPE_CHECKING:
    from rich.table import Table

    from nmr_ml.cohort.cohort import Cohort
    from nmr_ml.cohort.reader import Examined

#: How many lines of the source are named for each kind of problem.
_EXAMPLES = 3


def validate(
    cohort: Annotated[Path, typer.Argument(help="The cohort folder.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Write the rows that cannot be used to quarantine/ in this folder."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if any row is quarantined.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of a table.")
    ] = False,
) -> None:
    """Check a cohort: what can be used, what cannot, and why."""
    from nmr_ml.cohort.reader import QUARANTINE, examine_cohort, keep_quarantine

    examined = examine_cohort(cohort)
    if out is not None:
        keep_quarantine(examined, out)
    where = None if out is None else out / QUARANTINE
    quarantined = sum(count.quarantined for count in examined.cohort.counts.values())
    # With --json a failure is the one document, so the report must not be printed before it.
    if not (as_json and strict and quarantined):
        _report(examined, where, as_json=as_json)
    if strict and quarantined:
        raise DataError(
            "rows_quarantined",
            f"{cohort} has {quarantined} rows that cannot be used, expected none with --strict.",
            f"Correct the rows in {where}." if where else "See them with --out DIR.",
        )


def _report(examined: Examined, where: Path | None, *, as_json: bool) -> None:
    problems = _problems(examined)
    if as_json:
        console.emit(_document(examined.cohort, problems, where))
        return
    console.show(_table(examined.cohort))
    for problem in problems:
        lines = ", ".join(map(str, problem["lines"]))
        more = "" if problem["rows"] <= len(problem["lines"]) else ", ..."
        rows = "1 row" if problem["rows"] == 1 else f"{problem['rows']:,} rows"
        console.say(f"{problem['table']}: {problem['reason']} in {rows}.")
        console.say(f"  {problem['sentence']}")
        console.say(f"  {problem['file']}, {problem['at']} {lines}{more}")
    for warned in examined.cohort.warnings:
        console.say(f"warning[{warned.code}]: {warned.message}")
    if where is not None:
        console.say(f"Quarantined rows are in {where}.")
    elif problems:
        console.say("The rows with their reasons: nmr validate COHORT --out DIR")


def _problems(examined: Examined) -> list[dict[str, Any]]:
    """Return one entry for each table, reason and sentence, with some lines where it happened."""
    from nmr_ml.cohort.folder import is_csv

    problems = []
    for table, rejected in examined.rejected.items():
        for (reason, sentence), rows in rejected.groupby(["reason", "sentence"], sort=False):
            problems.append(
                {
                    "table": table,
                    "reason": str(reason),
                    "column": str(rows["column"].iloc[0]),
                    "sentence": str(sentence),
                    "rows": len(rows),
                    "file": examined.sources[table].name,
                    "at": "line" if is_csv(examined.sources[table]) else "row",
                    "lines": [int(line) for line in rows["line"].head(_EXAMPLES)],
                }
            )
    return problems


def _document(cohort: Cohort, problems: list[dict[str, Any]], where: Path | None) -> dict[str, Any]:
    return {
        "cohort": cohort.name,
        "timezone": cohort.timezone,
        "tables": {
            table: {
                "rows_in": count.rows_in,
                "used": count.used,
                "quarantined": count.quarantined,
                "reasons": dict(count.reasons),
            }
            for table, count in cohort.counts.items()
        },
        "problems": problems,
        "warnings": [
            {"code": warned.code, "message": warned.message, "pointer": warned.pointer}
            for warned in cohort.warnings
        ],
        "quarantine": None if where is None else str(where),
    }


def _table(cohort: Cohort) -> Table:
    from rich.table import Table

    title = f"{cohort.name} ({cohort.timezone or 'no timezone'})"
    table = Table(title=title, title_justify="left", title_style="")
    table.add_column("table", no_wrap=True)
    for name in ("rows in", "used", "quarantined"):
        table.add_column(name, justify="right")
    table.add_column("reasons")
    for name, count in cohort.counts.items():
        reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(count.reasons.items()))
        figures = (count.rows_in, count.used, count.quarantined)
        table.add_row(name, *(f"{figure:,}" for figure in figures), reasons)
    return table
