"""What all athletes of a simulated cohort share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmr_ml.simulator.archetypes import Catalogue
from nmr_ml.simulator.clock import Clock

if TYPE_CHECKING:
    from nmr_ml.simulator.config import Profile, SimulatorConfig


@dataclass(frozen=True, slots=True)
class World:
    """Settings, seed, calendar and archetypes; `factor` is the profile's, `span` is in days."""

    config: SimulatorConfig
    seed: int
    span: int
    factor: float
    clock: Clock
    catalogue: Catalogue

    @classmethod
    def of(cls, config: SimulatorConfig, *, days: int, profile: Profile, seed: int) -> World:
        """Make the world of one cohort."""
        # A session of the last evening, and the night after it, may end on the day after next.
        clock = Clock.of(config.timezone, config.start_date, days + 4)
        factor = config.profiles[profile]
        return cls(config, seed, days, factor, clock, Catalogue.of(config))

    @property
    def all_days(self) -> int:
        """Days that physiology needs: the truth is searched for beyond the span."""
        return self.span + math.ceil(self.config.truth_horizon_h / 24.0) + 4
