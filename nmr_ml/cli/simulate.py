"""`nmr simulate`: a cohort whose true recovery is known."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import Annotated, Literal

import typer

from nmr_ml.runtime import console


def simulate(
    out: Annotated[
        Path, typer.Argument(help="The cohort folder to write, new or a cohort.", metavar="OUT")
    ],
    athletes: Annotated[int, typer.Option(help="How many athletes.")] = 40,
    days: Annotated[int, typer.Option(help="How many days, 14 to 730.")] = 120,
    profile: Annotated[
        Literal["evidence", "strong", "null"],
        typer.Option(
            help="How much sleep and hormones change recovery: as the literature suggests, "
            "three times that, or not at all."
        ),
    ] = "evidence",
    seed: Annotated[int, typer.Option(help="The same seed gives the same cohort.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a setting of configs/simulator.yaml."
        ),
    ] = None,
) -> None:
    """Simulate athletes, and write them as a cohort with the true recovery times.

    The numbers agree with many published group means and miss others; they are no athlete data.
    """
    from nmr_ml import simulator
    from nmr_ml.cohort.writer import write_cohort

    config = simulator.load_config(settings=settings or ())
    with console.status(f"simulating {athletes:,} athletes"):
        cohort = simulator.simulate(
            athletes=athletes, days=days, profile=profile, seed=seed, config=config
        )
        write_cohort(
            out,
            name=cohort.name,
            timezone=cohort.timezone,
            tables=cohort.tables,
            description=cohort.description,
            source="nmr simulate",
            truth=cohort.truth,
        )
    rows = ", ".join(f"{name} {len(frame):,}" for name, frame in cohort.tables.items())
    console.say(f"{out}: {rows}, truth {len(cohort.truth):,}.")
