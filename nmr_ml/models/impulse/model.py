"""What was learnt of one component: impulses, people, levels and readings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.models.impulse.coefficients import Coefficients
from nmr_ml.models.impulse.columns import Columns
from nmr_ml.models.impulse.groups import Groups
from nmr_ml.models.impulse.spreads import Spreads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.numeric.arrays import Floats, Ints, Objects


@dataclass(frozen=True, slots=True)
class ImpulseModel:
    """A fitted component.

    Parameters
    ----------
    groups : Groups
    columns : Columns
    coefficients : Coefficients
    spreads : Spreads
    constants : float64 array, shape (3 n_groups, 3 n_groups)
        Covariance of ``log_slow``, ``fast`` and ``log_tau`` of the groups, as estimated.
    teams : tuple of str
    devices : tuple of str
        Devices and methods of tests that it knows.
    in_pct : bool
        Whether deficits are in per cent; else in points.
    """

    groups: Groups
    columns: Columns
    coefficients: Coefficients
    spreads: Spreads
    constants: Floats
    teams: tuple[str, ...]
    devices: tuple[str, ...]
    in_pct: bool

    def team_places(self, teams: Objects) -> Ints:
        """Return the position of each team among those it knows; -1 for another or none."""
        place = {name: i for i, name in enumerate(self.teams)}
        return np.array([place.get(name, -1) for name in teams], np.int64)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "groups": self.groups.as_json(),
            "columns": self.columns.as_json(),
            "coefficients": self.coefficients.as_json(),
            "spreads": self.spreads.as_json(),
            "constants": self.constants.tolist(),
            "teams": list(self.teams),
            "devices": list(self.devices),
            "in_pct": self.in_pct,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ImpulseModel:
        """Read what `as_json` returned."""
        return cls(
            groups=Groups.from_json(content["groups"]),
            columns=Columns.from_json(content["columns"]),
            coefficients=Coefficients.from_json(content["coefficients"]),
            spreads=Spreads.from_json(content["spreads"]),
            constants=np.array(content["constants"], np.float64),
            teams=tuple(content["teams"]),
            devices=tuple(content["devices"]),
            in_pct=content["in_pct"],
        )
