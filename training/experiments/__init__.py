"""Tracked runs: train, evaluate, adapt, promote."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from training.experiments.adapting import Adapted, adapt
    from training.experiments.evaluation import Evaluation, evaluate
    from training.experiments.experiment import Trained, train
    from training.experiments.gate import Verdict, judge, promote
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "Adapted",
    "Evaluation",
    "Trained",
    "Verdict",
    "adapt",
    "evaluate",
    "judge",
    "promote",
    "train",
]
