"""The coefficients of a component, by name, and as the one vector that a fit moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.numeric.arrays import Floats


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What is the same for all athletes; amplitudes are on the scale of the index test.

    Parameters
    ----------
    log_slow, fast, log_tau, log_plateau : float64 arrays, shape (n_groups,)
        Of an average session of each group: log amplitude of the slow part, amplitude of the fast
        part (below 0: potentiation), log half-life of the slow part in h, and log c of its kernel
        (`nmr_ml.models.impulse.decay`).
    log_fast_h : float64 array, shape (1,)
        Log half-life of the fast part, in h.
    slow_slope, tau_slope : float64 arrays, shape (n_columns,)
        Of log amplitude and log half-life of the slow part, by SD of each column.
    fast_slope : float64 array, shape (n_own,)
        Of the amplitude of the fast part, by SD of each of the session's own columns.
    log_share, log_pace : float64 arrays, shape (n_tests,)
        Of each test of the family: log of its deficit over that of the index test, and of its
        half-life over that of the index test; 0 for the index test.
    level, trend, cosine, sine : float64 arrays, shape (n_tests,)
        Of each test: mean fresh level, rise over `nmr_ml.models.impulse.response.SEASON_H`, and
        effect of the time of day.
    carried : float64 array, shape (1,)
        What is left at the beginning of a record.
    team_slow, team_tau : float64 arrays, shape (n_teams,)
        Deviations of each team's log amplitude and log half-life; their mean is 0.
    device : float64 array, shape (n_devices,)
        What each device reads more than another.
    """

    log_slow: Floats
    fast: Floats
    log_tau: Floats
    log_plateau: Floats
    log_fast_h: Floats
    slow_slope: Floats
    tau_slope: Floats
    fast_slope: Floats
    log_share: Floats
    log_pace: Floats
    level: Floats
    trend: Floats
    cosine: Floats
    sine: Floats
    carried: Floats
    team_slow: Floats
    team_tau: Floats
    device: Floats

    @property
    def places(self) -> dict[str, slice]:
        """Where each of them stands in `vector`."""
        sizes = [getattr(self, name).size for name in self.__slots__]
        ends = np.cumsum(sizes)
        return {
            name: slice(int(end - size), int(end))
            for name, size, end in zip(self.__slots__, sizes, ends, strict=True)
        }

    @property
    def vector(self) -> Floats:
        """All of them, one after the other."""
        return np.concatenate([getattr(self, name) for name in self.__slots__])

    def of_vector(self, vector: Floats) -> Coefficients:
        """Return coefficients of the same shape with other values."""
        return Coefficients(*(vector[place] for place in self.places.values()))

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Coefficients:
        """Read what `as_json` returned."""
        return cls(*(np.array(content[name], np.float64) for name in cls.__slots__))
