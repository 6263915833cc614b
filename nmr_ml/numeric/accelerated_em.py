"""Expectation maximisation in fewer steps: squared extrapolation.

Where tests say little, each step of expectation maximisation goes a small part of the way: after 40
steps the spread of log tau of jumps with 4 % error was still a tenth too wide (simulated, seed
9022). There 36 steps of this scheme went further than 160 plain ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.numeric.convergence import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from nmr_ml.numeric.arrays import Floats

    #: From parameters to those of the next step, and the height (log evidence) of the former.
    Step = Callable[[Floats], tuple[Floats, float]]

#: An extrapolation is at most so many steps long.
LONGEST = 32.0
#: Where a step moves no parameter by more, it is over.
CLOSE = 1e-5


def climb(step: Step, start: Floats, *, cycles: int, name: str = "climb") -> Floats:
    """Return the parameters after `cycles` of three steps each, or where they no longer move.

    Parameters
    ----------
    step : callable
        Takes any real parameters, those out of range as if at its end.
    start : float64 array
    name : str
        Under which it tells whether it came to its end (`nmr_ml.numeric.convergence`).

    Notes
    -----
    Scheme S3 of Varadhan & Roland (2008), doi:10.1111/j.1467-9469.2007.00585.x; an extrapolation
    that is less high than the plain step before it is not taken.
    """
    at, moved = start, None
    for cycle in range(cycles):
        first, _ = step(at)
        second, height = step(first)
        once, bend = first - at, second - 2.0 * first + at
        moved = float(np.abs(once).max())
        if moved < CLOSE:
            tell(name, cycle + 1, converged=True, moved=moved)
            return second
        stretch = np.linalg.norm(once) / max(float(np.linalg.norm(bend)), 1e-12)
        length = float(np.clip(stretch, 1.0, LONGEST))
        third, far = step(at + 2.0 * length * once + length**2 * bend)
        at = third if far >= height else second
    tell(name, cycles, converged=False, moved=moved)
    return at
