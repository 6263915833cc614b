"""``nmr train``, ``nmr adapt``, ``nmr evaluate`` and ``nmr promote``."""

from __future__ import annotations

import math
from pathlib import Path  # noqa: TC003  Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.experiments.evaluation import Evaluation
    from training.experiments.experiment import Trained

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def train(
    cohort: Annotated[list[Path], typer.Argument(help="One or more cohort folders.")],
    config: Annotated[Path | None, typer.Option(help="YAML beside the shipped train.yaml.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run one tracked experiment and make its model the candidate."""
    from training.config import load_config

    chosen = load_config(config, settings or [])
    from nmr_ml.runtime import console
    from training.experiments import experiment

    with console.status("training") as tell:
        trained = experiment.train(cohort, chosen, progress=tell)
    if as_json:
        console.emit(_trained_json(trained))
    else:
        _show_trained(trained)


def adapt(
    cohort: Annotated[Path, typer.Argument(help="A cohort with a few labelled athletes.")],
    model: Annotated[str, typer.Option(help="champion, candidate, a version, URI or folder.")] = (
        "champion"
    ),
    as_json: Json = False,
) -> None:
    """Learn how fast the teams of a cohort recover, without refitting the model."""
    from nmr_ml.runtime import console
    from training.experiments import adapting

    adapted = adapting.adapt(cohort, model)
    if as_json:
        console.emit({"version": adapted.version, "run_id": adapted.run_id, "teams": adapted.teams})
        return
    console.say(f"Version {adapted.version} knows these teams and is the candidate:")
    for component, teams in adapted.teams.items():
        for name, team in teams.items():
            called = "athletes without a known team" if name == "*" else name
            size, speed = map(math.exp, team["mean"])
            console.say(
                f"  {component}, {called}: deficit x {size:.2f}, time constant x {speed:.2f} "
                f"({team['athletes_n']} athletes, {team['episodes_n']} episodes)"
            )


def evaluate(
    cohort: Annotated[Path, typer.Argument(help="A cohort folder.")],
    model: Annotated[str, typer.Option(help="champion, candidate, a version, URI or folder.")] = (
        "champion"
    ),
    plots: Annotated[
        Path | None, typer.Option(help="A folder for pictures of calibration and PIT.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a model on a cohort, beside the baselines."""
    from nmr_ml.runtime import console
    from training.experiments import evaluation

    found = evaluation.evaluate(cohort, model)
    drawn: list[str] = []
    if plots is not None:
        from training.reports.plots import write_plots

        drawn = write_plots(found.components, plots)
    if as_json:
        console.emit(
            {
                "model_version": found.model_version,
                "cohort": found.cohort,
                "in_sample": found.in_sample,
                "components": found.components,
                "held_out": found.held_out,
                "held_out_scores": found.held_out_scores,
                "held_out_time": found.held_out_time,
                "availability": found.availability,
                "plots": drawn,
            }
        )
    else:
        _show_evaluation(found)
        if drawn:
            console.say(f"In {plots}: {', '.join(drawn)}.")


def promote(
    version: Annotated[
        str, typer.Argument(help="A version number; by default the candidate.")
    ] = "candidate",
    as_json: Json = False,
) -> None:
    """Make a model the champion if it beats the baselines on held-out athletes."""
    from nmr_ml.runtime import console
    from training.experiments import gate

    number, verdict = gate.promote(version)
    if as_json:
        console.emit({"champion": number, "passed": verdict.passed, "lines": list(verdict.lines)})
    else:
        console.say(f"Version {number} is champion.")
        for line in verdict.lines:
            console.say(f"  {line}")


def _trained_json(trained: Trained) -> dict[str, Any]:
    return {
        "version": trained.version,
        "run_id": trained.run_id,
        "bundle_sha256": trained.digest,
        "skipped": dict(trained.skipped),
        "components": trained.card["components"],
        "availability": trained.card["availability"],
        "convergence": trained.card["convergence"],
        "trained_on": trained.card["trained_on"],
    }


def _show_trained(trained: Trained) -> None:
    from nmr_ml.runtime import console
    from training.reports import tables as report
    from training.reports.absences import show_learnt
    from training.reports.convergence import not_converged_line

    parts = trained.card["components"]
    of_athletes = [(n, c["held_out_brier"], c["held_out"]) for n, c in parts.items()]
    report.show_components("Noise-smoothed Brier score on held-out athletes", of_athletes)
    _show_late({n: c["held_out_time"] for n, c in parts.items()})
    report.show_credit({n: c["credit"] for n, c in parts.items()})
    for name, component in trained.card["components"].items():
        scale = component["figures"]["error_scale"]
        if component["error_disagrees"]:
            console.say(
                f"warning: the {component['index_test']} tests scatter {scale:.2f} times as much "
                f"as configs/tests.yaml says; {name} uses the estimate."
            )
    if line := not_converged_line(trained.card):
        console.say(f"Searches that ended at their limit of steps (the card names them): {line}.")
    show_learnt(trained.card["availability"])
    for name, reason in trained.skipped.items():
        console.say(f"Not learnt: {name} ({reason}).")
    console.say(f"Version {trained.version} is the candidate. Promote it with: nmr promote")


def _show_evaluation(found: Evaluation) -> None:
    from nmr_ml.runtime import console
    from training.reports import tables as report
    from training.reports.absences import show_scores

    here = {n: c for n, c in found.components.items() if "log_score" in c}
    title = f"version {found.model_version} on {found.cohort}"
    if found.in_sample:
        console.say(
            "This model was trained on this cohort: its scores here flatter it. First the scores "
            "of the athletes, and of the time, that training left out."
        )
        for name, scores in found.held_out_scores.items():
            report.show_methods("athletes left out", name, found.held_out[name], scores)
        _show_late(found.held_out_time)
        report.show_components(
            f"Noise-smoothed Brier score of {title}", [(n, c["brier"], c) for n, c in here.items()]
        )
    else:
        for name, scores in here.items():
            report.show_methods(title, name, scores["brier"], scores)
    console.say(report.LEGEND)
    report.show_groups(here)
    truth = {n: c["truth"] for n, c in found.components.items() if "truth" in c}
    if truth:
        report.show_truth(truth)
    if found.availability is not None:
        show_scores(f"Injury and systemic episodes of {found.cohort}", found.availability)


def _show_late(components: Mapping[str, Any]) -> None:
    from training.reports import tables as report

    late = {name: scores for name, scores in components.items() if scores}
    if late:
        until = next(iter(late.values()))["trained_until"]
        report.show_components(
            f"The same athletes later, trained on the first {until:.0%} of each cohort's time",
            [(name, scores["brier"], scores) for name, scores in late.items()],
        )


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
    from nmr_ml.errors import UsageError
    from nmr_ml.history.queries import parse_landmarks
    from nmr_ml.runtime import console

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
    from nmr_ml.cohort.reader import read_cohort
    from nmr_ml.features.contract import feature_contract
    from nmr_ml.features.legacy import EXTRAS
    from nmr_ml.recovery_tests import load_testspecs
    from nmr_ml.runtime.home import writing_file
    from training.data.training_set import training_frame

    frame = training_frame(read_cohort(cohort), load_testspecs(), hours)
    features = frame[list(feature_contract().names)].to_numpy()
    frame = frame.assign(**{name: EXTRAS[name](features) for name in extras})
    with writing_file(out) as temporary:
        frame.to_parquet(temporary, index=False)
    return len(frame), int((frame["y_state"] == "labelled").sum())
