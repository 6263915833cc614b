"""The commands that predict: ``score``, ``predict`` and ``serve``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003  Typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer

from nmr_ml.errors import DataError, UsageError
from nmr_ml.runtime import console

if TYPE_CHECKING:
    from typing import Any

Model = Annotated[
    str,
    typer.Option(help="champion, candidate, a version number, an MLflow URI or a bundle folder."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON document and nothing else.")]


def score(
    cohort: Annotated[Path, typer.Argument(help="The folder of the cohort.")],
    out: Annotated[Path, typer.Argument(help="The folder to write; a stopped run goes on in it.")],
    landmarks: Annotated[
        str | None, typer.Option(help="Hours after each clock start, such as 0,24,48. Default 0.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="One moment for all, ISO-8601 with its offset, instead.")
    ] = None,
    model: Model = "champion",
    delta: Annotated[
        str | None, typer.Option(help="Smallest deficit that counts: 2.6 or power=2.6,central=2.")
    ] = None,
    drivers: Annotated[bool, typer.Option("--drivers", help="Say what moves each number.")] = False,
    risk: Annotated[
        float | None,
        typer.Option(help="Add clearance_h, after which at most this share of tests is impaired."),
    ] = None,
    bucket_athletes: Annotated[int, typer.Option(min=1, hidden=True)] = 200,
    as_json: AsJson = False,
) -> None:
    """Predict for every athlete of a cohort, into Parquet parts with a manifest."""
    if landmarks is not None and as_of is not None:
        raise UsageError(
            "options_conflict",
            "--landmarks and --as-of were both given.",
            "Give landmarks to look at every episode, or one time to look at each athlete then.",
        )
    from nmr_ml.history.queries import parse_landmarks

    hours = parse_landmarks(landmarks or "0")
    moment = None if as_of is None else _moment(as_of)
    from nmr_ml.bundle.bundle import load_bundle
    from nmr_ml.bundle.registry import resolve
    from nmr_ml.cohort.folder import read_description
    from nmr_ml.predictions.options import Options, check_risk, parse_deltas
    from serving import batch as scoring

    deltas = {} if delta is None else parse_deltas(delta)
    options = Options(hours, moment, deltas=deltas, drivers=drivers, risk=check_risk(risk))
    read_description(cohort)
    bundle = load_bundle(resolve(model))
    manifest = scoring.finished(cohort, out, bundle, options, bucket=bucket_athletes)
    said = "Done before"
    if manifest is None:
        with console.progress("Scoring") as advance:
            manifest = scoring.score(
                cohort, out, bundle, options, bucket=bucket_athletes, advance=advance
            )
        said = "Done"
    if as_json:
        console.emit(manifest)
    else:
        console.say(f"{said}: {_counts(manifest)} in {out}.")


def predict(
    request: Annotated[Path, typer.Argument(help="A JSON file like the body of POST /v1/predict.")],
    model: Model = "champion",
    as_json: AsJson = False,
) -> None:
    """Predict for one athlete, offline; the answer is the one that the API gives."""
    text = _request_bytes(request)
    from serving.requests.question import answer, parse, parse_json

    body = parse_json(text)
    parse(body)  # a wrong request is refused before a model is looked for
    from nmr_ml.bundle.bundle import load_bundle
    from nmr_ml.bundle.registry import resolve

    document = answer(load_bundle(resolve(model)), body)
    if as_json:
        console.emit(document)
        return
    from serving.answers.rendering import rendered

    console.show(rendered(document))


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 3000,
    model: Model = "champion",
) -> None:
    """Serve predictions over HTTP until interrupted.

    Other machines are served only where NMR_API_TOKEN is set, which requests then must carry.
    """
    from serving.api.settings import Settings

    settings = Settings.from_environment()
    from serving import server

    with server.bind(host, port, settings.token) as listener:
        from nmr_ml.bundle.registry import resolve

        server.serve(listener, resolve(model))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min  # noqa: DTZ901  naive on purpose: refused below
    if moment.tzinfo is None:
        raise UsageError(
            "as_of_invalid",
            f"--as-of {text!r} is not an ISO-8601 time with its UTC offset.",
            "Write it like 2026-03-01T17:30:00+01:00.",
        )
    return moment.astimezone(UTC)


def _request_bytes(request: Path) -> bytes:
    try:
        return request.read_bytes()
    except OSError as error:
        raise DataError(
            "request_unreadable",
            f"{request} cannot be read: {error.strerror}.",
            "Give a JSON file like the body of POST /v1/predict.",
        ) from error


def _counts(manifest: dict[str, Any]) -> str:
    names = ("predicted", "abstained", "superseded", "quarantined")
    return ", ".join(f"{manifest[name]} {name}" for name in names)
