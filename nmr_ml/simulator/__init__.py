"""Simulated athletes whose true recovery is known: for tests, benchmarks and demonstrations."""

from __future__ import annotations

from nmr_ml.simulator.cohort import SimulatedCohort, simulate
from nmr_ml.simulator.config import SimulatorConfig, load_config

__all__ = ["SimulatedCohort", "SimulatorConfig", "load_config", "simulate"]
