"""The levels every answer is given at, and the least effect worth telling."""

from __future__ import annotations

import numpy as np

#: The nominal level of the interval and the quantiles that bound it.
INTERVAL_LEVEL = 0.8


LEVELS = np.array([0.1, 0.5, 0.9])


#: Contributions that move the hours by less are not worth a line.
LEAST_RATIO = 1.002


MOST_DRIVERS = 10
