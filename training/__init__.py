"""Tracked experiments: train, evaluate and promote recovery-time models."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from training.config import TrainConfig, load_config
    from training.experiments.adapting import adapt
    from training.experiments.evaluation import evaluate
    from training.experiments.experiment import train
    from training.experiments.gate import promote
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["TrainConfig", "adapt", "evaluate", "load_config", "promote", "train"]
