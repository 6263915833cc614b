"""What is to be predicted: which episodes, at which δ, with what beside the hours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.errors import UsageError
from nmr_ml.recovery_tests import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Options:
    """What to predict.

    Parameters
    ----------
    landmarks_h : tuple of float, h after each clock start; not looked at where `as_of` is given
    as_of : datetime with zone, or None
    episode_id : str or None
        Only with `as_of`.
    deltas : mapping of component to δ
        Components that are not named keep the δ of their index test; the key ``*`` names all.
    drivers, curves : bool
        Whether to work out what moves each number, and the whole recovery curve.
    risk : float or None, from 0 to 1
        Adds the column ``clearance_h`` at this risk of clearing too early
        (`nmr_ml.models.component.clearance`).
    """

    landmarks_h: tuple[float, ...] = (0.0,)
    as_of: datetime | None = None
    episode_id: str | None = None
    deltas: Mapping[str, float] = field(default_factory=dict)
    drivers: bool = False
    curves: bool = False
    risk: float | None = None


def parse_deltas(text: str) -> dict[str, float]:
    """Read ``2.6`` (for every component) or ``power=2.6,coordination=4``.

    Raises
    ------
    UsageError
        ``delta_invalid``.
    """
    deltas: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = np.nan
        if not 0 < value < np.inf or (name and name not in COMPONENTS):
            raise UsageError(
                "delta_invalid",
                f"--delta {part!r} is not understood, expected a number above 0.",
                f"Write 2.6, or name components ({', '.join(COMPONENTS)}): power=2.6.",
            )
        deltas[name or "*"] = value
    return deltas


def check_risk(risk: float | None) -> float | None:
    """Return `risk` where it is one.

    Raises
    ------
    UsageError
        ``risk_invalid``.
    """
    if risk is not None and not 0 < risk < 1:
        raise UsageError(
            "risk_invalid",
            f"--risk {risk} is not understood, expected a number between 0 and 1.",
            "0.05 accepts that 5 % of an athlete's tests come after clearance and read impaired.",
        )
    return risk
