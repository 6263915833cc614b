"""The top of a parabola through three points."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats


def peak(values: Floats, height: Floats, best: int) -> float:
    """Return where the parabola through the highest of evenly spaced `values` peaks.

    Parameters
    ----------
    values, height : float64 arrays, shape (n,)
    best : int
        Of the greatest `height`; at an end of `values` that end itself is returned.
    """
    if not 0 < best < values.size - 1:
        return float(values[best])
    left, middle, right = height[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return float(values[best] + 0.5 * (values[1] - values[0]) * (left - right) / bend)
