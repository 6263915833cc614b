"""The promotion gate: a model becomes champion on evidence."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nmr_ml.bundle.bundle import MODEL_NAME, load_bundle
from nmr_ml.bundle.registry import (
    CANDIDATE,
    CHAMPION,
    PREVIOUS_TAG,
    client,
    reaching_registry,
    resolve,
    version_of,
)
from nmr_ml.errors import DataError
from nmr_ml.predictions.golden import check_golden
from training.baselines.curves import MODALITY
from training.reports.card import beats_baseline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient

VERDICT_TAG = "nmr.gate"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of a card, a line per component."""

    passed: bool
    lines: tuple[str, ...]


def judge(card: Mapping[str, Any]) -> Verdict:
    """Return whether the model beats the median by modality on held-out athletes.

    The noise-smoothed Brier score at 24, 48 and 72 h decides. No component may be worse than the
    baseline, and at least one has to be better beyond the bootstrap's noise: the upper end of its
    athlete-clustered 95 % interval lies below 0. (To ask it of each would refuse a good model for
    one component with few athletes.)
    """
    scores = {n: c["held_out_brier"] for n, c in card["components"].items()}
    better = {n: (_difference(s) or 0.0) < 0 for n, s in scores.items()}
    clear = [name for name, s in scores.items() if beats_baseline(s)]
    lines = tuple(f"{n}: {_line(s, clear=n in clear)}" for n, s in scores.items())
    return Verdict(all(better.values()) and bool(clear), lines)


def _difference(scores: Mapping[str, Any]) -> float | None:
    value: float | None = scores["difference"].get(MODALITY, {}).get("value")
    return value


def _line(scores: Mapping[str, Any], *, clear: bool) -> str:
    difference = scores["difference"].get(MODALITY)
    if not difference or difference["upper"] is None:
        return "too few tests at 24, 48 and 72 h to compare with the median by modality"
    said = "better than" if difference["value"] < 0 else "not better than"
    return (
        f"{'clearly ' if clear else ''}{said} the median by modality, Brier "
        f"{scores['score']['model']:.4f} against {scores['score'][MODALITY]:.4f}, difference "
        f"{difference['value']:+.4f} ({difference['lower']:+.4f} to {difference['upper']:+.4f})"
    )


def promote(version: str = CANDIDATE) -> tuple[str, Verdict]:
    """Make a version the champion if the gate passes.

    Returns
    -------
    version : str
    verdict : Verdict

    Raises
    ------
    DataError
        ``gate_refused`` with the figures; ``model_not_found``; ``golden_rows_differ``.
    OutsideError
        ``registry_unreachable``.
    """
    with reaching_registry():
        number = _version(version)
        bundle = load_bundle(resolve(number))
        check_golden(bundle)
        verdict = judge(bundle.card)
        registry = client()
        record = json.dumps({"passed": verdict.passed, "lines": verdict.lines})
        registry.set_model_version_tag(MODEL_NAME, number, VERDICT_TAG, record)
        if not verdict.passed:
            raise DataError(
                "gate_refused",
                f"Version {number} is not promoted. {'; '.join(verdict.lines)}.",
                "Train on more athletes, or on more tests each, and promote again.",
            )
        _crown(registry, number)
        return number, verdict


def _version(reference: str) -> str:
    resolve(reference)
    return version_of(client(), reference)


def _crown(registry: MlflowClient, number: str) -> None:
    aliases = registry.get_registered_model(MODEL_NAME).aliases
    before = aliases.get(CHAMPION)
    # MLflow gives the number of an alias as an integer.
    if before is not None and str(before) != number:
        registry.set_model_version_tag(MODEL_NAME, number, PREVIOUS_TAG, str(before))
    registry.set_registered_model_alias(MODEL_NAME, CHAMPION, number)
