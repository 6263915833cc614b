"""The availability model's scores for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nmr_ml.runtime import console
from training.baselines.curves import OVERALL
from training.baselines.durations import BY_KIND
from training.fitting.availability import LAW
from training.scoring.bootstrap import MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Methods of the table and their headings.
COMPARED = {MODEL: "model", LAW: "law alone", BY_KIND: "median by kind", OVERALL: "overall median"}


def show_learnt(entry: Mapping[str, Any]) -> None:
    """Say what was learnt of injury and systemic episodes, by a card's entry."""
    if entry["held_out"] is not None:
        show_scores("Injury and systemic episodes on held-out athletes", entry["held_out"])
    for kind, gain in entry["gain"].items():
        by_law = entry["answered_by"][kind] == LAW
        console.say(
            f"availability after {kind} episodes: answered by the "
            f"{'law' if by_law else 'median by kind, for the law is no better beyond noise'}; "
            f"law - median by kind {gain['value']:+.3f} (95 % by athletes {gain['lower']:+.3f} to "
            f"{gain['upper']:+.3f})."
        )
    for kind, needed in entry["too_few"].items():
        if entry["counted"][kind]["episodes_n"]:
            console.say(f"Not learnt: availability after {kind} episodes ({needed}).")


def show_scores(title: str, scores: Mapping[str, Any]) -> None:
    """Show scores as `training.scoring.absence_scores.score_absences` gives them."""
    from rich.table import Table

    console.say(
        f"{title}: {scores['episodes_n']:,} episodes of {scores['athletes_n']:,} athletes, "
        f"{scores['resolved_n']:,} with an end on record. Days are of those."
    )
    table = Table()
    for heading in ("method", "-log P of the end", "MAE d", "interval score d", "80 %"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for method, heading in COMPARED.items():
        if method not in scores["icnll"]:
            continue
        days = [scores.get(name, {}).get(method) for name in ("mae_h", "interval_score_h")]
        cover = scores.get("coverage_80", {}).get(method)
        table.add_row(
            heading,
            f"{scores['icnll'][method]:.3f}",
            *("-" if hours is None else f"{hours / 24:.1f}" for hours in days),
            "-" if cover is None else f"{cover:.2f}",
        )
    console.show(table)
    gain = scores["difference"][BY_KIND]
    console.say(
        f"availability: model - median by kind {gain['value']:+.3f} "
        f"(95 % by athletes {gain['lower']:+.3f} to {gain['upper']:+.3f})"
    )
