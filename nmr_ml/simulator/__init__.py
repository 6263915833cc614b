"""Simulated athletes whose true recovery is known: for tests, benchmarks and demonstrations."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.simulator.cohort import SimulatedCohort, simulate
    from nmr_ml.simulator.config import SimulatorConfig, load_config
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = ["SimulatedCohort", "SimulatorConfig", "load_config", "simulate"]
