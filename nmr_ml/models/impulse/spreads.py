"""How much athletes, sessions, levels and readings vary: the variances of a component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.numeric.arrays import Floats


#: Variances of what differs between people and sessions, in the order of `Spreads.effects`.
EFFECTS = (
    "athlete_slow", "athlete_tau", "modality_slow", "modality_tau", "session_slow", "session_tau",
    "team_slow", "team_tau",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spreads:
    """Variances; those of logs have no unit, the others are squares of the test's scale.

    Parameters
    ----------
    effects : float64 array, shape (8,)
        Of log amplitude and log half-life between athletes, between modalities within an athlete,
        between sessions, and between teams: `EFFECTS`.
    start : float64 array, shape (n_tests,)
        Of an athlete's level at the beginning of the record.
    walk : float64 array, shape (n_tests,)
        By which the level's variance grows in a day.
    reading, visit : float64 arrays, shape (n_tests,), (1,)
        Multiples of a test's error variance: of its own, and of that which all tests of a visit
        share.
    carried : float64 array, shape (1,)
        Of what is left at the beginning of a record.
    device : float64 array, shape (2,)
        Of what an athlete's device reads more or less: one the model knows, one it does not.
    """

    effects: Floats
    start: Floats
    walk: Floats
    reading: Floats
    visit: Floats
    carried: Floats
    device: Floats

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Spreads:
        """Read what `as_json` returned."""
        return cls(*(np.array(content[name], np.float64) for name in cls.__slots__))
