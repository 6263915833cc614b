"""``nmr train``, ``nmr evaluate`` and ``nmr promote``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  Typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.evaluation import Evaluation
    from training.experiment import Trained

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
#: Methods of the score table and their headings.
COMPARED = {
    "model": "model",
    "modality_median": "modality",
    "overall_median": "overall",
    "persistence": "persist.",
}


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
    from nmr_ml import console
    from training import experiment

    with console.status("training") as tell:
        trained = experiment.train(cohort, chosen, progress=tell)
    if as_json:
        console.emit(_trained_json(trained))
    else:
        _show_trained(trained)


def evaluate(
    cohort: Annotated[Path, typer.Argument(help="A cohort folder.")],
    model: Annotated[str, typer.Option(help="champion, candidate, a version, URI or folder.")] = (
        "champion"
    ),
    as_json: Json = False,
) -> None:
    """Score a model on a cohort, beside the baselines."""
    from nmr_ml import console
    from training import evaluation

    found = evaluation.evaluate(cohort, model)
    if as_json:
        console.emit(
            {
                "model_version": found.model_version,
                "cohort": found.cohort,
                "in_sample": found.in_sample,
                "components": found.components,
                "held_out": found.held_out,
            }
        )
    else:
        _show_evaluation(found)


def promote(
    version: Annotated[
        str, typer.Argument(help="A version number; by default the candidate.")
    ] = "candidate",
    as_json: Json = False,
) -> None:
    """Make a model the champion if it beats the baselines on held-out athletes."""
    from nmr_ml import console
    from training import gate

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
        "trained_on": trained.card["trained_on"],
    }


def _show_trained(trained: Trained) -> None:
    from nmr_ml import console

    scores = {n: c["held_out_brier"] for n, c in trained.card["components"].items()}
    _brier_table("Noise-smoothed Brier score on held-out athletes", scores)
    for name, component in trained.card["components"].items():
        scale = component["figures"]["error_scale"]
        if component["error_disagrees"]:
            console.say(
                f"warning: the {component['index_test']} tests scatter {scale:.2f} times as much "
                f"as configs/tests.yaml says; {name} uses the estimate."
            )
    for name, reason in trained.skipped.items():
        console.say(f"Not learnt: {name} ({reason}).")
    console.say(f"Version {trained.version} is the candidate. Promote it with: nmr promote")


def _show_evaluation(found: Evaluation) -> None:
    from nmr_ml import console

    if found.in_sample:
        console.say(
            "This model was trained on this cohort: its scores here flatter it. First the scores "
            "of the athletes that training left out."
        )
        _brier_table("Noise-smoothed Brier score on held-out athletes", found.held_out)
    here = {n: c["brier"] for n, c in found.components.items()}
    _brier_table(
        f"Noise-smoothed Brier score of version {found.model_version} on {found.cohort}", here
    )
    truth = {n: c["truth"] for n, c in found.components.items() if "truth" in c}
    if truth:
        _truth_table(truth)


def _brier_table(title: str, scores: Mapping[str, Mapping[str, Any]]) -> None:
    from rich.table import Table

    from nmr_ml import console

    console.say(f"{title}; smaller is better.")
    table = Table()
    for heading in ("component", "athletes", "tests", *COMPARED.values()):
        table.add_column(heading, justify="left" if heading == "component" else "right")
    for name, score in scores.items():
        found = (f"{score['score'][m]:.4f}" if score["score"] else "-" for m in COMPARED)
        table.add_row(name, f"{score['athletes_n']:,}", f"{score['tests_n']:,}", *found)
    console.show(table)
    for name, score in scores.items():
        gain = score["difference"].get("modality_median")
        if gain and gain["upper"] is not None:
            console.say(
                f"{name}: model - median by modality {gain['value']:+.4f} "
                f"(95 % by athletes {gain['lower']:+.4f} to {gain['upper']:+.4f})"
            )


def _truth_table(truth: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    from rich.table import Table

    from nmr_ml import console

    console.say("Recovery time against simulated truth:")
    table = Table()
    for heading in ("component", "episodes", "method", "MAE h", "bias h", "CRPS h", "80 %", "C"):
        table.add_column(heading, justify="right")
    for name, methods in truth.items():
        for method in ("model", "modality_median"):
            s = methods[method]
            table.add_row(
                name, f"{methods['episodes']['n']:,.0f}", COMPARED[method], f"{s['mae_h']:.1f}",
                f"{s['bias_h']:+.1f}", f"{s['crps_h']:.1f}", f"{s['coverage_80']:.3f}",
                f"{s.get('c_index', float('nan')):.3f}",
            )  # fmt: skip
    console.show(table)
