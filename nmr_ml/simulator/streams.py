"""Random streams that belong to one athlete or team and one purpose, and to nobody else."""

from __future__ import annotations

from enum import IntEnum, unique
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import lfilter

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats


@unique
class Purpose(IntEnum):
    """What a stream is drawn for; a number once given keeps old seeds reproducible."""

    TEAM = 0
    PLAN = 1
    PERSON = 2
    SESSIONS = 3
    DAYS = 4
    AVAILABILITY = 5
    TESTS = 6
    RATINGS = 7
    SLEEP = 8
    LABS = 9
    NUTRITION = 10
    RECORDS = 11


def stream(seed: int, purpose: Purpose, index: int) -> np.random.Generator:
    """Return the generator of one athlete or team, whatever else is simulated."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(purpose), index)))


def wandering(rng: np.random.Generator, days: int, correlation: float) -> Floats:
    """Return a standard normal daily series with the given correlation from day to day."""
    noise = rng.standard_normal(days)
    noise[1:] *= np.sqrt(1.0 - correlation**2)
    series: Floats = lfilter([1.0], [1.0, -correlation], noise)
    return series
