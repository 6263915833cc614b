"""A real registry with a really trained model in it, and a way to register more of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nmr_ml.bundle.bundle import save_bundle
from training.experiments.tracking import log_experiment

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.bundle.bundle import Bundle
    from training.config import TrainConfig
    from training.experiments.experiment import Trained


@dataclass
class Registry:
    """The registry in the test's ``$NMR_HOME``; version 1 is what `trained` says."""

    trained: Trained
    config: TrainConfig
    bundle: Bundle
    scratch: Path
    latest: str = "1"

    def add_version(
        self, *, card: tuple[float, float, float] | None = None, golden: Any = None
    ) -> str:
        """Register the bundle again and return its version, which becomes the candidate.

        `card` is the difference to the baseline that every component's card shall claim.
        """
        changed = self.bundle if golden is None else replace(self.bundle, golden=golden)
        if card is not None:
            changed = replace(changed, card=claiming(self.bundle.card, card))
        folder = self.scratch / f"bundle-{self.latest}"
        digest = save_bundle(changed, folder)
        _, self.latest = log_experiment(
            folder, changed.card, self.config, self.trained.card["trained_on"], digest
        )
        return self.latest


def claiming(card: Any, difference: tuple[float, float, float]) -> dict[str, Any]:
    """Return the card with this difference to the median by modality for every component."""
    claimed: dict[str, Any] = copy.deepcopy(dict(card))
    ends = dict(zip(("value", "lower", "upper"), difference, strict=True))
    for component in claimed["components"].values():
        component["held_out_brier"]["difference"]["modality_median"] = ends
    return claimed
