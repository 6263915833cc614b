"""``nmr features``: the training set as a Parquet file, or the catalogue of its columns."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  Typer reads the annotations
from typing import Annotated

import typer


def features(
    cohort: Annotated[Path | None, typer.Argument(help="A cohort folder.")] = None,
    out: Annotated[Path | None, typer.Argument(help="The Parquet file to write.")] = None,
    landmarks: Annotated[
        str, typer.Option(help="Hours after the clock start, with commas: 0,24,48.")
    ] = "0",
    extras: Annotated[
        list[str] | None,
        typer.Option("--with", help="Also a quantity of older work, no feature: acwr."),
    ] = None,
    catalogue: Annotated[
        bool, typer.Option("--catalogue", help="List every feature and exit.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else.")
    ] = False,
) -> None:
    """Write the training set: features as of each landmark, and what came of each episode."""
    from nmr_ml import console
    from nmr_ml.errors import UsageError
    from nmr_ml.targets import parse_landmarks

    hours = parse_landmarks(landmarks)
    wanted = _extras(extras or [])
    if catalogue:
        from nmr_ml.features.catalogue import catalogue_table

        console.say(catalogue_table())
        return
    if cohort is None or out is None:
        raise UsageError(
            "usage",
            "COHORT and OUT.parquet are needed.",
            "Write: nmr features COHORT OUT.parquet; or list the columns with --catalogue.",
        )
    rows, labelled = _write(cohort, out, hours, wanted)
    if as_json:
        console.emit({"out": str(out), "rows": rows, "labelled": labelled})
    else:
        console.say(f"{out}: {rows:,} rows, {labelled:,} of them labelled.")


def _extras(names: list[str]) -> list[str]:
    from nmr_ml.errors import UsageError
    from nmr_ml.features.legacy import EXTRAS

    for name in names:
        if name not in EXTRAS:
            raise UsageError(
                "usage",
                f"--with {name!r} is not known, expected {' or '.join(EXTRAS)}.",
                "The features themselves are always written; leave --with out for those alone.",
            )
    return names


def _write(cohort: Path, out: Path, hours: tuple[float, ...], extras: list[str]) -> tuple[int, int]:
    from nmr_ml.features.contract import feature_contract
    from nmr_ml.features.legacy import EXTRAS
    from nmr_ml.home import writing_file
    from nmr_ml.reader import read_cohort
    from nmr_ml.testspec import load_testspecs
    from nmr_ml.training_set import training_frame

    frame = training_frame(read_cohort(cohort), load_testspecs(), hours)
    features = frame[list(feature_contract().names)].to_numpy()
    frame = frame.assign(**{name: EXTRAS[name](features) for name in extras})
    with writing_file(out) as temporary:
        frame.to_parquet(temporary, index=False)
    return len(frame), int((frame["y_state"] == "labelled").sum())
