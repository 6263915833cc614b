"""Rules of the contract in plain Python, one row at a time: what kernels are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.history.loading_sessions import LOADING_SHARE

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Bools, Floats, Ints


def loading_rule(known_s: Ints, loads: Floats, as_of_s: int) -> Bools:
    """Return which sessions of one athlete count as loading, as far as was known at `as_of_s`."""
    flags = []
    for i, load in enumerate(loads):
        earlier = loads[:i][known_s[:i] <= as_of_s]
        earlier = earlier[~np.isnan(earlier)]
        unsure = bool(np.isnan(load)) or earlier.size == 0
        loading = unsure or bool(load >= LOADING_SHARE * np.median(earlier))
        flags.append(bool(known_s[i] <= as_of_s) and loading)
    return np.array(flags, np.bool_)
