"""When one curve falls below the smallest deficit that counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.models.curve.likelihood import LAST_H, remaining
from nmr_ml.numeric.compiled import kept

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats


_BISECTIONS = 48


@kept
def recovery_hours(
    amplitude: float, tau_h: float, slow: float, power: float, delta: float
) -> float:
    """Return when ``A e(t)`` falls below `delta` for good, in hours; `inf` beyond `LAST_H`."""
    if amplitude < delta:
        return 0.0
    if amplitude * remaining(LAST_H, tau_h, slow, power) >= delta:
        return np.inf
    low, high = 0.0, LAST_H
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if amplitude * remaining(middle, tau_h, slow, power) >= delta:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@kept
def node_recovery_hours(
    log_amplitude: Floats, log_tau: Floats, slow: Floats, power: Floats, delta: float
) -> Floats:
    """Return the recovery time of every node in hours, shape (n_s, n_a, n_b)."""
    times = np.empty((slow.size, log_amplitude.size, log_tau.size))
    for s in range(slow.size):
        for i in range(log_amplitude.size):
            for j in range(log_tau.size):
                times[s, i, j] = recovery_hours(
                    np.exp(log_amplitude[i]), np.exp(log_tau[j]), slow[s], power[s], delta
                )
    return times
